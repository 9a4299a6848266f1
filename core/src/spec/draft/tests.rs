//! Tables of whole drafts: each row changes one field of a good draft and says which field is named, if any.

use std::time::Duration;

use proptest::prelude::*;

use super::super::{Command, Constraint, Entrypoint, JobSpec, Mount, Operator, Shell, Signal, Violation};
use super::*;

mod bad;
mod good;

/// A draft with nothing but a command.
fn draft() -> Draft {
    let form = Some(DraftForm::Argv(vec!["true".to_owned()]));
    Draft { command: Some(DraftCommand { form, ..DraftCommand::default() }), ..Draft::default() }
}

fn argv(args: &[&str]) -> DraftCommand {
    let form = Some(DraftForm::Argv(args.iter().map(ToString::to_string).collect()));
    DraftCommand { form, ..DraftCommand::default() }
}

fn script(text: &str, shell: &str) -> DraftCommand {
    let form = Some(DraftForm::Script { text: text.to_owned(), shell: shell.to_owned() });
    DraftCommand { form, ..DraftCommand::default() }
}

fn entry(kind: Choice<EntrypointKind>, path: &str) -> DraftCommand {
    DraftCommand { entrypoint: kind, entrypoint_path: path.to_owned(), ..argv(&["x"]) }
}

fn mount(kind: MountKind, source: &str, target: &str) -> DraftMount {
    let (source, target) = (source.to_owned(), target.to_owned());
    DraftMount { kind: Choice::Known(kind), source, target, read_only: false }
}

fn constraint(key: &str, operator: Choice<Operator>, value: &str) -> DraftConstraint {
    DraftConstraint { key: key.to_owned(), operator, value: value.to_owned() }
}

fn resources(cpu_millis: i64, memory_bytes: i64, gpus: i32) -> DraftResources {
    DraftResources { cpu_millis, memory_bytes, gpus }
}

fn raw(seconds: i64, nanos: i32) -> RawDuration {
    RawDuration { seconds, nanos }
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A good draft after one change.
fn changed(change: impl FnOnce(&mut Draft)) -> Draft {
    let mut draft = draft();
    change(&mut draft);
    draft
}

fn check(draft: Draft) -> Result<JobSpec, Vec<Violation>> {
    draft.validate(&Defaults::default())
}

#[test]
fn every_default_is_filled_in() {
    let spec = check(draft()).expect("a command is all a spec needs");
    assert_eq!(spec.image.as_str(), "debian:stable-slim");
    assert_eq!((spec.resources.cpu_millis, spec.resources.memory, spec.resources.gpus), (1000, 1 << 30, 0));
    assert_eq!((spec.pids_limit, spec.retries, spec.priority, spec.log_limit), (4096, 0, 0, 256 << 20));
    assert_eq!((spec.timeout, spec.queue_timeout, spec.grace), (None, None, Duration::from_secs(10)));
    assert_eq!(
        (spec.pull, spec.network, spec.on_lost),
        (PullPolicy::Missing, NetworkMode::Outbound, OnLost::Retry)
    );
    assert_eq!((spec.name.clone(), spec.stop_signal, spec.array, spec.task_count()), (None, None, None, 1));
    let args = vec!["true".to_owned()];
    assert_eq!(spec.command, Command::Argv { args, entrypoint: Entrypoint::None });
}

#[test]
fn all_wrong_fields_are_named_at_once() {
    let draft = Draft {
        name: "A".to_owned(),
        image: "X Y".to_owned(),
        env: pairs(&[("", "a"), ("OK", "b"), ("A=B", "\0")]),
        resources: Some(resources(-1, 1, -1)),
        retries: -1,
        ..Draft::default()
    };
    let fields: Vec<_> = check(draft).unwrap_err().into_iter().map(|violation| violation.field).collect();
    assert_eq!(
        fields,
        [
            "spec.name",
            "spec.image",
            "spec.command",
            "spec.env[0].name",
            "spec.env[2].name",
            "spec.env[2].value",
            "spec.resources.cpu_millis",
            "spec.resources.memory_bytes",
            "spec.resources.gpus",
            "spec.retries",
        ]
    );
}

#[test]
fn a_million_wrong_entries_make_a_short_answer() {
    let violations =
        check(changed(|draft| draft.env = vec![(String::new(), String::new()); 1_000_000])).unwrap_err();
    assert_eq!(violations.len(), 101);
    assert!(violations[100].description.contains("more fields are wrong"), "{}", violations[100]);
}

#[test]
fn a_violation_inside_a_batch_says_where() {
    let violation = check(Draft::default()).unwrap_err().remove(0).under("requests[3]");
    assert_eq!(violation.field, "requests[3].spec.command");
}

#[test]
fn equal_constraints_count_once_and_paths_lose_their_last_slash() {
    let mut draft = draft();
    draft.constraints = vec![constraint("zone", Choice::Known(Operator::Equal), "eu"); 2];
    draft.mounts = vec![mount(MountKind::Volume, "", "/data/")];
    let spec = check(draft).expect("good");
    let (key, value) = ("zone".parse().unwrap(), "eu".parse().unwrap());
    assert_eq!(spec.constraints, [Constraint { key, operator: Operator::Equal, value }]);
    let target = "/data".to_owned();
    assert_eq!(spec.mounts, [Mount::Volume { source: None, target, read_only: false }]);
}

#[test]
fn the_image_alone_and_a_script_are_commands_too() {
    let spec = check(changed(|draft| {
        let entrypoint = Choice::Known(EntrypointKind::Image);
        draft.command = Some(DraftCommand { entrypoint, ..DraftCommand::default() });
    }));
    assert_eq!(spec.expect("good").command, Command::Image);
    let spec = check(changed(|draft| draft.command = Some(script("make\n", ""))));
    let (text, shell, entrypoint) = ("make\n".to_owned(), Shell::Auto, Entrypoint::None);
    assert_eq!(spec.expect("good").command, Command::Script { text, shell, entrypoint });
}

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(text in "\\PC{0,80}|[ -~]{0,80}|[a-z0-9:/@.\\[\\]-]{0,80}") {
        let draft = Draft {
            name: text.clone(),
            labels: BTreeMap::from([(text.clone(), text.clone())]),
            image: text.clone(),
            command: Some(script(&text, &text)),
            env: vec![(text.clone(), text.clone())],
            working_dir: text.clone(),
            user: text.clone(),
            stop_signal: text.clone(),
            mounts: [MountKind::Bind, MountKind::Volume].map(|kind| mount(kind, &text, &text)).into(),
            ..Draft::default()
        };
        drop(check(draft));
        if let Ok(signal) = Signal::parse(&text) {
            prop_assert_eq!(Signal::parse(&signal.to_string()), Ok(signal));
        }
        if let Ok(image) = ImageRef::parse(&text) {
            let host = image.registry_host().map(|host| format!("{host}/")).unwrap_or_default();
            let tag = image.tag().map(|tag| format!(":{tag}")).unwrap_or_default();
            let digest = image.digest().map(|digest| format!("@{digest}")).unwrap_or_default();
            prop_assert_eq!(format!("{host}{}{tag}{digest}", image.path()), text);
        }
    }
}
