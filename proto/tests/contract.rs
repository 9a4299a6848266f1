//! The rules of the wire contract that need no outside tool: everything is commented, named as the style asks, and the
//! generated code knows it. `make lint-proto` checks more with buf.

use std::collections::BTreeSet;

use dockmgr_proto::DESCRIPTOR_SET;
use prost::Message as _;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};

/// Tags of the parts of a descriptor, as `descriptor.proto` numbers them; they make the paths of comments.
mod tag {
    pub(super) const FILE_MESSAGE: i32 = 4;
    pub(super) const FILE_ENUM: i32 = 5;
    pub(super) const FILE_SERVICE: i32 = 6;
    pub(super) const MESSAGE_FIELD: i32 = 2;
    pub(super) const MESSAGE_NESTED: i32 = 3;
    pub(super) const MESSAGE_ENUM: i32 = 4;
    pub(super) const MESSAGE_ONEOF: i32 = 8;
    pub(super) const ENUM_VALUE: i32 = 2;
    pub(super) const SERVICE_METHOD: i32 = 2;
}

fn our_files() -> Vec<FileDescriptorProto> {
    let set = FileDescriptorSet::decode(DESCRIPTOR_SET).expect("the build script made it");
    let files: Vec<_> = set.file.into_iter().filter(|file| file.package().starts_with("dockmgr.")).collect();
    assert!(files.len() >= 9, "all files of both packages are in the set");
    files
}

/// A position as the paths of comments have it.
fn number(at: usize) -> i32 {
    i32::try_from(at).expect("no file has that many parts")
}

/// Collects what has no comment.
struct Comments {
    written: BTreeSet<Vec<i32>>,
    missing: Vec<String>,
}

impl Comments {
    fn of(file: &FileDescriptorProto) -> Self {
        let places = &file.source_code_info.as_ref().expect("source info is included").location;
        let has_words = |text: &str| text.trim().len() > 1;
        let commented = places.iter().filter(|place| has_words(place.leading_comments()));
        Self { written: commented.map(|place| place.path.clone()).collect(), missing: Vec::new() }
    }

    fn need(&mut self, path: &[i32], name: &str) {
        if !self.written.contains(path) {
            self.missing.push(name.to_owned());
        }
    }

    fn need_message(&mut self, path: &[i32], name: &str, message: &DescriptorProto) {
        self.need(path, name);
        let below = |kind: i32, at: usize| [path, &[kind, number(at)]].concat();
        for (at, field) in message.field.iter().enumerate() {
            self.need(&below(tag::MESSAGE_FIELD, at), &format!("{name}.{}", field.name()));
        }
        for (at, oneof) in message.oneof_decl.iter().enumerate() {
            // `optional` fields hide in a oneof of their own, which nobody wrote.
            let hidden =
                message.field.iter().any(|f| f.proto3_optional() && f.oneof_index == i32::try_from(at).ok());
            if !hidden {
                self.need(&below(tag::MESSAGE_ONEOF, at), &format!("{name}.{}", oneof.name()));
            }
        }
        for (at, nested) in message.nested_type.iter().enumerate() {
            let is_map = nested.options.as_ref().is_some_and(prost_types::MessageOptions::map_entry);
            if !is_map {
                self.need_message(
                    &below(tag::MESSAGE_NESTED, at),
                    &format!("{name}.{}", nested.name()),
                    nested,
                );
            }
        }
        for (at, nested) in message.enum_type.iter().enumerate() {
            self.need_enum(&below(tag::MESSAGE_ENUM, at), &format!("{name}.{}", nested.name()), nested);
        }
    }

    fn need_enum(&mut self, path: &[i32], name: &str, declared: &EnumDescriptorProto) {
        self.need(path, name);
        for (at, value) in declared.value.iter().enumerate() {
            let below = [path, &[tag::ENUM_VALUE, number(at)]].concat();
            self.need(&below, &format!("{name}.{}", value.name()));
        }
    }
}

#[test]
fn every_message_field_enum_and_rpc_has_a_comment() {
    let mut missing = Vec::new();
    for file in our_files() {
        let mut comments = Comments::of(&file);
        for (at, message) in file.message_type.iter().enumerate() {
            comments.need_message(&[tag::FILE_MESSAGE, number(at)], message.name(), message);
        }
        for (at, declared) in file.enum_type.iter().enumerate() {
            comments.need_enum(&[tag::FILE_ENUM, number(at)], declared.name(), declared);
        }
        for (at, service) in file.service.iter().enumerate() {
            let path = [tag::FILE_SERVICE, number(at)];
            comments.need(&path, service.name());
            for (at, method) in service.method.iter().enumerate() {
                let below = [path[0], path[1], tag::SERVICE_METHOD, number(at)];
                comments.need(&below, &format!("{}.{}", service.name(), method.name()));
            }
        }
        missing.extend(comments.missing);
    }
    assert_eq!(missing, Vec::<String>::new(), "these have no comment");
}

#[test]
fn every_enum_value_carries_its_enum_and_zero_means_unspecified() {
    fn check(declared: &EnumDescriptorProto) {
        let mut prefix = String::new();
        for (at, letter) in declared.name().chars().enumerate() {
            if letter.is_uppercase() && at > 0 {
                prefix.push('_');
            }
            prefix.push(letter.to_ascii_uppercase());
        }
        assert_eq!(declared.value[0].name(), format!("{prefix}_UNSPECIFIED"), "{}", declared.name());
        assert_eq!(declared.value[0].number(), 0, "{}", declared.name());
        for value in &declared.value {
            assert!(
                value.name().starts_with(&format!("{prefix}_")),
                "{} of {}",
                value.name(),
                declared.name()
            );
        }
    }
    fn walk(message: &DescriptorProto) {
        message.enum_type.iter().for_each(check);
        message.nested_type.iter().for_each(walk);
    }
    for file in our_files() {
        file.enum_type.iter().for_each(check);
        file.message_type.iter().for_each(walk);
    }
}

#[test]
fn every_rpc_has_a_request_and_a_response_of_its_own() {
    for file in our_files() {
        for service in &file.service {
            assert!(service.name().ends_with("Service"), "{}", service.name());
            for method in &service.method {
                let own = format!(".{}.{}", file.package(), method.name());
                assert_eq!(method.input_type(), format!("{own}Request"));
                assert_eq!(method.output_type(), format!("{own}Response"));
            }
        }
    }
}
