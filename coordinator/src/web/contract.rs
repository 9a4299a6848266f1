//! The messages and calls there are, and what their comments say: read from the descriptors that reflection serves, too.

use std::collections::BTreeMap;

use dockmgr_proto::DESCRIPTOR_SET;
use prost_reflect::{DescriptorPool, FileDescriptor, MethodDescriptor};

/// Where all public services live.
const PACKAGE: &str = "dockmgr.v1";

/// See the module.
#[derive(Debug)]
pub(super) struct Contract {
    pool: DescriptorPool,
    /// Leading comments, by file and path.
    comments: BTreeMap<(String, Vec<i32>), String>,
}

impl Contract {
    pub(super) fn new() -> Self {
        let pool =
            DescriptorPool::decode(DESCRIPTOR_SET).expect("the descriptors were made with the program");
        let mut comments = BTreeMap::new();
        for file in pool.files() {
            let known = file.file_descriptor_proto().source_code_info.iter().flat_map(|info| &info.location);
            for location in known {
                if let Some(text) = &location.leading_comments {
                    let text = text.lines().map(str::trim).collect::<Vec<_>>().join(" ");
                    comments.insert((file.name().to_owned(), location.path.clone()), text.trim().to_owned());
                }
            }
        }
        Self { pool, comments }
    }

    /// The call `Service/Method`.
    pub(super) fn method(&self, name: &str) -> Option<MethodDescriptor> {
        let (service, method) = name.split_once('/')?;
        let service = self.pool.get_service_by_name(&format!("{PACKAGE}.{service}"))?;
        service.methods().find(|found| found.name() == method)
    }

    /// What the comment at a path of a file says; empty if there is none.
    pub(super) fn comment(&self, file: &FileDescriptor, path: &[i32]) -> &str {
        self.comments.get(&(file.name().to_owned(), path.to_vec())).map_or("", String::as_str)
    }
}
