use std::collections::BTreeMap;

use dockmgr_core::spec::limits;
use dockmgr_core::spec::{Constraint, EnvVar, ImageRef, JobName, LabelKey, LabelValue, Resources, Signal};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use prost::Message as _;
use std::time::Duration;

use super::*;

fn program() -> impl Strategy<Value = String> {
    "/[a-z]{1,8}|[a-z][a-z0-9]{0,8}"
}

fn entrypoint() -> impl Strategy<Value = Entrypoint> {
    prop_oneof![Just(Entrypoint::None), Just(Entrypoint::Image), program().prop_map(Entrypoint::Path)]
}

fn command() -> impl Strategy<Value = Command> {
    let argv =
        (program(), vec("[ -~\u{e4}\n]{0,12}", 0..4), entrypoint()).prop_map(|(first, rest, entrypoint)| {
            Command::Argv { args: [vec![first], rest].concat(), entrypoint }
        });
    let shell = prop_oneof![Just(Shell::Auto), program().prop_map(Shell::Path)];
    let script = ("[a-z][ -~\n]{0,40}", shell, entrypoint())
        .prop_map(|(text, shell, entrypoint)| Command::Script { text, shell, entrypoint });
    prop_oneof![argv, script, Just(Command::Image)]
}

fn mounts() -> impl Strategy<Value = Vec<Mount>> {
    let kind = (0..3_u8, "[a-z]{2,8}", option::of(Just(())), any::<bool>());
    btree_map("/[a-oq-z]{1,8}", kind, 0..4).prop_map(|mounts| {
        let mount =
            |(target, (kind, name, named, read_only)): (String, (u8, String, Option<()>, bool))| match kind {
                0 => Mount::Bind { source: format!("/srv/{name}"), target, read_only },
                1 => Mount::Volume { source: named.map(|()| name), target, read_only },
                _ => Mount::Tmpfs { target },
            };
        mounts.into_iter().map(mount).collect()
    })
}

fn label_key() -> impl Strategy<Value = LabelKey> {
    "([a-c]{1,3}\\.[a-c]{1,3}/)?[e-z]([a-zA-Z0-9_.-]{0,8}[a-z])?".prop_map(|key| key.parse().unwrap())
}

fn label_value() -> impl Strategy<Value = LabelValue> {
    "([a-z]([a-zA-Z0-9_.-]{0,8}[a-z])?)?".prop_map(|value| value.parse().unwrap())
}

fn constraints() -> impl Strategy<Value = Vec<Constraint>> {
    let operator = prop_oneof![Just(Operator::Equal), Just(Operator::NotEqual)];
    btree_map(label_key(), (operator, label_value()), 0..4).prop_map(|list| {
        list.into_iter().map(|(key, (operator, value))| Constraint { key, operator, value }).collect()
    })
}

fn length(most: Duration) -> impl Strategy<Value = Duration> {
    (0..most.as_secs(), 1..1_000_000_000_u32).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos))
}

prop_compose! {
    fn texts()(
        name in option::of("[a-z][a-z0-9._-]{3,20}x"),
        labels in btree_map(label_key(), label_value(), 0..4),
        image in "([a-z]{1,5}\\.io(:[1-9][0-9]{1,3})?/)?[a-z]{1,6}(/[a-z]{1,6})?(:[A-Za-z0-9_]{1,8})?(@sha256:[0-9a-f]{64})?",
        env in btree_map("[A-CE-Z_][A-Z_0-9]{0,8}", "[ -~\n]{0,20}", 0..5),
        working_dir in option::of("/[a-oq-z]{1,8}(/[a-z]{1,8})?"),
        user in option::of("[a-z]{1,8}(:[0-9]{1,9})?"),
        stop_signal in option::of((1..=31_u8).prop_map(|number| Signal::new(number).unwrap())),
    ) -> (Option<JobName>, BTreeMap<LabelKey, LabelValue>, ImageRef, Vec<EnvVar>, Option<String>, Option<String>, Option<Signal>) {
        let env = env.into_iter().map(|(name, value)| EnvVar { name, value }).collect();
        (name.map(|name| name.parse().unwrap()), labels, image.parse().unwrap(), env, working_dir, user, stop_signal)
    }
}

prop_compose! {
    fn numbers()(
        cpu_millis in limits::MIN_CPU_MILLIS..=limits::MAX_CPU_MILLIS,
        memory in limits::MIN_MEMORY..=i64::MAX.unsigned_abs(),
        gpus in 0..=limits::MAX_GPUS,
        pids_limit in 1..=limits::MAX_PIDS,
        retries in 0..=limits::MAX_RETRIES,
        priority in -limits::MAX_PRIORITY..=limits::MAX_PRIORITY,
        log_limit in limits::MIN_LOG_LIMIT..=limits::MAX_LOG_LIMIT,
        array in option::of((any::<u32>(), 0..ArraySpec::MAX_TASKS, any::<u32>())),
    ) -> (Resources, u32, u32, i32, u64, Option<ArraySpec>) {
        let array = array.and_then(|(first, more, most)| ArraySpec::new(first, first.saturating_add(more), most));
        (Resources { cpu_millis, memory, gpus }, pids_limit, retries, priority, log_limit, array)
    }
}

prop_compose! {
    fn job_spec()(
        (name, labels, image, env, working_dir, user, stop_signal) in texts(),
        (resources, pids_limit, retries, priority, log_limit, array) in numbers(),
        command in command(),
        mounts in mounts(),
        constraints in constraints(),
        timeout in option::of(length(limits::MAX_TIMEOUT)),
        queue_timeout in option::of(length(limits::MAX_TIMEOUT)),
        grace in length(limits::MAX_GRACE),
        pull in prop_oneof![Just(PullPolicy::Always), Just(PullPolicy::Missing), Just(PullPolicy::Never)],
        network in prop_oneof![Just(NetworkMode::Outbound), Just(NetworkMode::None)],
        on_lost in prop_oneof![Just(OnLost::Retry), Just(OnLost::Wait), Just(OnLost::Fail)],
        (read_only, keep_image) in any::<(bool, bool)>(),
    ) -> JobSpec {
        JobSpec {
            name, labels, image, command, env, working_dir, user, resources, pids_limit, timeout, queue_timeout, retries,
            priority, constraints, array, pull, grace, stop_signal, network, mounts, read_only, log_limit, keep_image, on_lost,
        }
    }
}

proptest! {
    #[test]
    fn every_spec_comes_back_as_it_was(spec in job_spec()) {
        let wire = to_wire(&spec);
        prop_assert_eq!(from_wire(Some(wire.clone()), &Defaults::default()), Ok(spec.clone()));
        let bytes = wire.encode_to_vec();
        prop_assert_eq!(filled_from_wire(v1::JobSpec::decode(bytes.as_slice()).ok()), Ok(spec.clone()));
        let json = serde_json::to_string(&wire).unwrap();
        prop_assert_eq!(filled_from_wire(serde_json::from_str(&json).ok()), Ok(spec));
    }

    #[test]
    fn damaged_specs_are_refused_or_valid_but_never_panic(
        spec in job_spec(),
        damage in vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = to_wire(&spec).encode_to_vec();
        for (at, byte) in damage {
            *at.get_mut(&mut bytes) = byte;
        }
        if let Ok(wire) = v1::JobSpec::decode(bytes.as_slice())
            && let Ok(spec) = from_wire(Some(wire), &Defaults::default())
        {
            prop_assert_eq!(filled_from_wire(Some(to_wire(&spec))), Ok(spec));
        }
    }
}

#[test]
fn a_missing_spec_and_a_spec_without_an_image_are_named() {
    let fields = |result: Result<JobSpec, Vec<Violation>>| -> Vec<String> {
        result.unwrap_err().into_iter().map(|violation| violation.field).collect()
    };
    assert_eq!(fields(from_wire(None, &Defaults::default())), ["spec"]);
    assert_eq!(fields(filled_from_wire(Some(v1::JobSpec::default()))), ["spec.image"]);
}

#[test]
fn numbers_no_enum_knows_are_named() {
    let wire = v1::JobSpec {
        command: Some(v1::Command {
            form: None,
            entrypoint: Some(v1::Entrypoint { kind: 77, path: String::new() }),
        }),
        pull_policy: 4,
        network: -1,
        on_lost: 4,
        constraints: vec![v1::Constraint { key: "a".to_owned(), operator: 3, value: String::new() }],
        mounts: vec![v1::Mount { kind: 4, target: "/x".to_owned(), ..v1::Mount::default() }],
        ..v1::JobSpec::default()
    };
    let violations = from_wire(Some(wire), &Defaults::default()).unwrap_err();
    let mut fields: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "spec.command",
            "spec.command.entrypoint.kind",
            "spec.constraints[0].operator",
            "spec.mounts[0].kind",
            "spec.network",
            "spec.on_lost",
            "spec.pull_policy",
        ]
    );
}
