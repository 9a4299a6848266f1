//! Specs that must be refused, each with the field that is wrong; nothing is stored.

use std::collections::HashMap;

use dockmgr_proto::v1::{self, JobSpec};
use dockmgr_tests::Cluster;
use dockmgr_tests::raw::Api;
use tonic::Code;
use tonic_types::StatusExt as _;

/// What is done to a good spec, and the field the answer must name.
type Row = (&'static str, fn(&mut JobSpec), &'static str);

#[expect(clippy::unnecessary_wraps, reason = "the shape of the field it fills")]
fn duration(seconds: i64, nanos: i32) -> Option<dockmgr_proto::wkt::Duration> {
    Some(dockmgr_proto::wkt::Duration { seconds, nanos })
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of the field it fills")]
fn argv(words: &[&str]) -> Option<v1::Command> {
    let args = words.iter().map(|word| (*word).to_owned()).collect();
    Some(v1::Command { form: Some(v1::command::Form::Argv(v1::Argv { args })), entrypoint: None })
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of the field it fills")]
fn script(text: String, shell: &str) -> Option<v1::Command> {
    let form = v1::command::Form::Script(v1::Script { text, shell: shell.to_owned() });
    Some(v1::Command { form: Some(form), entrypoint: None })
}

fn label(spec: &mut JobSpec, key: &str, value: &str) {
    spec.labels = HashMap::from([(key.to_owned(), value.to_owned())]).into_iter().collect();
}

fn env(spec: &mut JobSpec, name: &str, value: &str) {
    spec.env = vec![v1::EnvVar { name: name.to_owned(), value: value.to_owned() }];
}

fn mount(spec: &mut JobSpec, kind: v1::mount::Kind, source: &str, target: &str) {
    spec.mounts.push(v1::Mount {
        kind: kind.into(),
        source: source.to_owned(),
        target: target.to_owned(),
        read_only: false,
    });
}

fn amounts(spec: &mut JobSpec, cpu_millis: i64, memory_bytes: i64, gpus: i32) {
    spec.resources = Some(v1::Resources { cpu_millis, memory_bytes, gpus });
}

fn array(spec: &mut JobSpec, first: u32, last: u32) {
    spec.array = Some(v1::ArraySpec { first, last, max_running: 0 });
}

fn constraint(spec: &mut JobSpec, key: &str, operator: i32) {
    spec.constraints = vec![v1::Constraint { key: key.to_owned(), operator, value: "x".to_owned() }];
}

use v1::mount::Kind::{Bind, Tmpfs, Unspecified, Volume};

const ROWS: &[Row] = &[
    ("empty argv", |s| s.command = argv(&[]), "spec.command"),
    ("empty first word", |s| s.command = argv(&[""]), "spec.command"),
    ("NUL in a word", |s| s.command = argv(&["a", "b\0c"]), "spec.command"),
    ("no form at all", |s| s.command = Some(v1::Command::default()), "spec.command"),
    ("empty script", |s| s.command = script(String::new(), ""), "spec.command"),
    ("NUL in the script", |s| s.command = script("a\0b".into(), ""), "spec.command"),
    ("huge script", |s| s.command = script("x".repeat(300 << 10), ""), "spec.command"),
    ("relative shell", |s| s.command = script("true".into(), "../sh"), "spec.command"),
    ("name upper case", |s| s.name = "Nightly".into(), "spec.name"),
    ("name too long", |s| s.name = "n".repeat(300), "spec.name"),
    ("name of one character", |s| s.name = "a".into(), "spec.name"),
    ("name all digits", |s| s.name = "123".into(), "spec.name"),
    ("name last", |s| s.name = "last".into(), "spec.name"),
    ("name with a slash", |s| s.name = "../../x".into(), "spec.name"),
    ("name with a newline", |s| s.name = "a\nb".into(), "spec.name"),
    ("name with escape codes", |s| s.name = "a\u{1b}[2J".into(), "spec.name"),
    ("image upper case", |s| s.image = "BB:1".into(), "spec.image"),
    ("image empty tag", |s| s.image = "a:".into(), "spec.image"),
    ("image bad digest", |s| s.image = "a@sha256:zz".into(), "spec.image"),
    ("image is a URL", |s| s.image = "http://x/y".into(), "spec.image"),
    ("image with a space", |s| s.image = "a b".into(), "spec.image"),
    ("image climbs up", |s| s.image = "../x".into(), "spec.image"),
    ("image is an option", |s| s.image = "--privileged".into(), "spec.image"),
    ("image with a homoglyph", |s| s.image = "d\u{0435}bian".into(), "spec.image"),
    ("image too long", |s| s.image = "a".repeat(5000), "spec.image"),
    ("label reserved", |s| label(s, "dockmgr.node", "x"), "spec.labels"),
    ("label without a key", |s| label(s, "", "x"), "spec.labels"),
    ("label value too long", |s| label(s, "k", &"v".repeat(65_536)), "spec.labels"),
    ("label value with a newline", |s| label(s, "k", "a\nb"), "spec.labels"),
    (
        "too many labels",
        |s| s.labels = (0..65).map(|n| (format!("k{n}"), "v".to_owned())).collect(),
        "spec.labels",
    ),
    ("variable without a name", |s| env(s, "", "x"), "spec.env"),
    ("variable with an equals sign", |s| env(s, "A=B", "x"), "spec.env"),
    ("variable with NUL", |s| env(s, "A", "x\0y"), "spec.env"),
    ("variable of ours", |s| env(s, "DOCKMGR_JOB", "7"), "spec.env"),
    ("variable of 1 MiB less a bit", |s| env(s, "A", &"x".repeat(900_000)), "spec"),
    (
        "too many variables",
        |s| s.env = (0..5000).map(|n| v1::EnvVar { name: format!("V{n}"), value: String::new() }).collect(),
        "spec.env",
    ),
    ("relative working folder", |s| s.working_dir = "tmp".into(), "spec.working_dir"),
    ("working folder climbs", |s| s.working_dir = "/a/../../b".into(), "spec.working_dir"),
    ("working folder of the runtime", |s| s.working_dir = "/proc/self/fd/8".into(), "spec.working_dir"),
    ("user with a space", |s| s.user = "a b".into(), "spec.user"),
    ("user number too large", |s| s.user = "99999999999".into(), "spec.user"),
    ("negative processors", |s| amounts(s, -1, 0, 0), "spec.resources.cpu_millis"),
    ("hardly any processor", |s| amounts(s, 1, 0, 0), "spec.resources.cpu_millis"),
    ("processors overflow", |s| amounts(s, i64::MAX, 0, 0), "spec.resources.cpu_millis"),
    ("negative memory", |s| amounts(s, 0, -1, 0), "spec.resources.memory_bytes"),
    ("memory below Docker's least", |s| amounts(s, 0, 5 << 20, 0), "spec.resources.memory_bytes"),
    ("negative gpus", |s| amounts(s, 0, 0, -1), "spec.resources.gpus"),
    ("negative process limit", |s| s.pids_limit = -1, "spec.pids_limit"),
    ("negative time-out", |s| s.timeout = duration(-5, 0), "spec.timeout"),
    ("time-out of nothing", |s| s.timeout = duration(0, 0), "spec.timeout"),
    ("time-out overflow", |s| s.timeout = duration(i64::MAX, 0), "spec.timeout"),
    ("time-out of two signs", |s| s.timeout = duration(1, -5), "spec.timeout"),
    ("nanoseconds overflow", |s| s.queue_timeout = duration(1, i32::MAX), "spec.queue_timeout"),
    ("negative grace", |s| s.grace_period = duration(-1, 0), "spec.grace_period"),
    ("grace of a day", |s| s.grace_period = duration(86_400, 0), "spec.grace_period"),
    ("negative retries", |s| s.retries = -1, "spec.retries"),
    ("too many retries", |s| s.retries = 101, "spec.retries"),
    ("priority too large", |s| s.priority = i32::MAX, "spec.priority"),
    ("unknown pull policy", |s| s.pull_policy = 77, "spec.pull_policy"),
    ("unknown network", |s| s.network = 77, "spec.network"),
    ("unknown policy for loss", |s| s.on_lost = -1, "spec.on_lost"),
    ("unknown signal", |s| s.stop_signal = "SIGFOO".into(), "spec.stop_signal"),
    ("signal 0", |s| s.stop_signal = "0".into(), "spec.stop_signal"),
    ("signal 65", |s| s.stop_signal = "65".into(), "spec.stop_signal"),
    ("mount on the root", |s| mount(s, Tmpfs, "", "/"), "spec.mounts"),
    ("mount on a relative path", |s| mount(s, Tmpfs, "", "a"), "spec.mounts"),
    (
        "two mounts on one path",
        |s| {
            mount(s, Tmpfs, "", "/a");
            mount(s, Tmpfs, "", "/a");
        },
        "spec.mounts",
    ),
    ("mount of no kind", |s| mount(s, Unspecified, "", "/a"), "spec.mounts"),
    ("bind without a source", |s| mount(s, Bind, "", "/a"), "spec.mounts"),
    ("bind of a relative source", |s| mount(s, Bind, "etc", "/a"), "spec.mounts"),
    ("volume name with a slash", |s| mount(s, Volume, "a/b", "/a"), "spec.mounts"),
    ("constraint without operator", |s| constraint(s, "zone", 0), "spec.constraints"),
    ("constraint without key", |s| constraint(s, "", 1), "spec.constraints"),
    ("array backwards", |s| array(s, 5, 4), "spec.array"),
    ("array of a million and one", |s| array(s, 0, 1_000_000), "spec.array"),
    ("array of all indices", |s| array(s, 0, u32::MAX), "spec.array"),
    ("negative log limit", |s| s.log_limit_bytes = -1, "spec.log_limit_bytes"),
    ("log limit overflow", |s| s.log_limit_bytes = i64::MAX, "spec.log_limit_bytes"),
];

#[tokio::test]
async fn every_bad_spec_is_refused_with_the_name_of_its_field() {
    let cluster = Cluster::fake().await;
    let mut jobs = Api::of(&cluster).await.jobs();
    let mut wrong = Vec::new();
    for (name, spoil, field) in ROWS {
        let mut spec = JobSpec { command: argv(&["true"]), ..JobSpec::default() };
        spoil(&mut spec);
        let request = v1::CreateJobRequest { spec: Some(spec), ..v1::CreateJobRequest::default() };
        match jobs.create_job(request).await {
            Ok(_) => wrong.push(format!("{name}: was taken")),
            Err(status) if status.code() != Code::InvalidArgument => {
                wrong.push(format!("{name}: {status:?}"));
            }
            Err(status) => {
                let fields = fields(&status);
                if !fields.iter().any(|named| named.starts_with(field)) {
                    wrong.push(format!("{name}: names {fields:?}, not {field}: {}", status.message()));
                }
            }
        }
    }
    assert!(ROWS.len() >= 60);
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), ROWS.len(), wrong.join("\n"));
    assert_eq!(cluster.cli(["ps", "-a", "-q"]).ok().await.text(), "", "something was stored");
    cluster.run(["exit 3"]).await.expect_code(3);
}

/// The fields a refusal names.
pub(crate) fn fields(status: &tonic::Status) -> Vec<String> {
    let details = status.get_details_bad_request();
    details.into_iter().flat_map(|bad| bad.field_violations).map(|violation| violation.field).collect()
}
