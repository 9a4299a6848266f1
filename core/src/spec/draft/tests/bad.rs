//! What is refused, and which field is named.

use super::*;

/// Id, the change, the field that must be named.
type Row = (&'static str, fn(&mut Draft), &'static str);

#[track_caller]
fn refuses(rows: &[Row]) {
    for (id, change, field) in rows {
        match check(changed(change)) {
            Ok(_) => panic!("{id}: must be refused"),
            Err(violations) => {
                let fields: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
                assert_eq!(fields, [*field], "{id}: {violations:?}");
                let words = &violations[0].description;
                assert!(
                    words.len() < 400 && words.bytes().all(|b| matches!(b, b' '..=b'~')),
                    "{id}: {words}"
                );
            }
        }
    }
}

/// Text that must be refused, by the field it stands in.
const BAD_TEXTS: &[(&str, &[&str])] = &[
    (
        "spec.name",
        &[
            "x",
            " x1",
            "x1 ",
            "X1",
            "a/b",
            "../../x",
            "-ab",
            "_ab",
            ".ab",
            "42",
            "42.7",
            "42.7.2",
            "last",
            "x\0y",
            "n\u{e4}me",
            "0190d3c4-7e2a-7c5e-8f00-3d2b1a4c5e6f",
            "0190d3c47e2a7c5e8f003d2b1a4c5e6f",
            "a'; drop table jobs",
            "a*",
            "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl",
        ],
    ),
    (
        "spec.image",
        &[
            "-",
            "--privileged",
            "BB:1",
            "a:",
            "a@sha256:zz",
            "a@md5:00",
            "http://x/y",
            "https://registry/x",
            "a b",
            "../x",
            "x/../y",
            "/x",
            "x/",
            "x//y",
            "scratch",
            "scratch:1",
            "d\u{e9}bian",
            "\u{430}lpine",
            "a\nb",
            "a\0",
            "a:b:c",
            "a:-x",
            "a..b",
            "a___b",
            "a.",
            "_a",
            "a@",
            "@sha256:00",
            "host:0/x",
            "host:65536/x",
            "host:/x",
            "host:x/y",
            "-h.io/x",
            "h..io/x",
            "[::1/x",
            "[zz]/x",
            "[::1]",
            "169.254.169.254/latest",
            "[fe80::1]/x",
            "Foo/bar",
            "h.io/X",
            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "a@sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
        ],
    ),
    (
        "spec.working_dir",
        &[
            "tmp",
            "./x",
            "/a/../b",
            "/..",
            "/a/./b",
            "//",
            "/a//b",
            "/proc/self/fd/8",
            "/proc/1/fd/7",
            "/proc",
            "/dev/fd/8",
            "/a\0b",
            "/a\nb",
            "C:\\",
        ],
    ),
    (
        "spec.user",
        &[
            ":",
            "root:",
            ":root",
            "a:b:c",
            "99999999999",
            "2147483648",
            "0:99999999999",
            "-1",
            "a b",
            "a/b",
            "1a",
            "r\u{f6}t",
            "abcdefghijklmnopqrstuvwxyzabcdefg",
        ],
    ),
    (
        "spec.stop_signal",
        &[
            "SIGFOO",
            "0",
            "32",
            "65",
            "-9",
            "SIG",
            "SIGRTMIN",
            "RTMIN+1",
            "SIGRTMAX",
            "TERM ",
            "9.0",
            "SIGSIGTERM",
            "\u{661}",
            "99999999999999999999",
        ],
    ),
];

#[test]
fn bad_texts_are_refused() {
    for (field, texts) in BAD_TEXTS {
        for text in *texts {
            let mut draft = draft();
            let slot = match *field {
                "spec.name" => &mut draft.name,
                "spec.image" => &mut draft.image,
                "spec.working_dir" => &mut draft.working_dir,
                "spec.user" => &mut draft.user,
                _ => &mut draft.stop_signal,
            };
            (*text).clone_into(slot);
            let violations = check(draft).expect_err(&format!("{field} {text:?} must be refused"));
            let fields: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
            assert_eq!(fields, [*field], "{text:?}: {violations:?}");
            let words = &violations[0].description;
            assert!(words.bytes().all(|b| matches!(b, b' '..=b'~')), "{text:?}: {words}");
        }
    }
}

const BAD_NUMBERS_AND_TIMES: &[Row] = &[
    ("cpu-negative", |d| d.resources = Some(resources(-1, 0, 0)), "spec.resources.cpu_millis"),
    ("cpu-below-0.01", |d| d.resources = Some(resources(9, 0, 0)), "spec.resources.cpu_millis"),
    ("cpu-huge", |d| d.resources = Some(resources(i64::MAX, 0, 0)), "spec.resources.cpu_millis"),
    ("memory-negative", |d| d.resources = Some(resources(0, -1, 0)), "spec.resources.memory_bytes"),
    ("memory-5m", |d| d.resources = Some(resources(0, 5 << 20, 0)), "spec.resources.memory_bytes"),
    (
        "memory-one-less",
        |d| d.resources = Some(resources(0, (6 << 20) - 1, 0)),
        "spec.resources.memory_bytes",
    ),
    ("gpus-negative", |d| d.resources = Some(resources(0, 0, -1)), "spec.resources.gpus"),
    ("gpus-many", |d| d.resources = Some(resources(0, 0, 1025)), "spec.resources.gpus"),
    ("pids-negative", |d| d.pids_limit = -1, "spec.pids_limit"),
    ("pids-many", |d| d.pids_limit = 4_194_305, "spec.pids_limit"),
    ("retries-negative", |d| d.retries = -1, "spec.retries"),
    ("retries-many", |d| d.retries = 101, "spec.retries"),
    ("priority-high", |d| d.priority = 1_000_001, "spec.priority"),
    ("priority-low", |d| d.priority = i32::MIN, "spec.priority"),
    ("log-negative", |d| d.log_limit = -1, "spec.log_limit_bytes"),
    ("log-small", |d| d.log_limit = 1023, "spec.log_limit_bytes"),
    ("log-large", |d| d.log_limit = (16 << 30) + 1, "spec.log_limit_bytes"),
    ("timeout-zero", |d| d.timeout = Some(raw(0, 0)), "spec.timeout"),
    ("timeout-negative", |d| d.timeout = Some(raw(-5, 0)), "spec.timeout"),
    ("timeout-negative-nanos", |d| d.timeout = Some(raw(1, -1)), "spec.timeout"),
    ("timeout-nanos", |d| d.timeout = Some(raw(1, 1_000_000_000)), "spec.timeout"),
    ("timeout-huge", |d| d.timeout = Some(raw(i64::MAX, 0)), "spec.timeout"),
    ("queue-timeout-zero", |d| d.queue_timeout = Some(raw(0, 0)), "spec.queue_timeout"),
    ("queue-timeout-min", |d| d.queue_timeout = Some(raw(i64::MIN, i32::MIN)), "spec.queue_timeout"),
    ("grace-negative", |d| d.grace = Some(raw(-1, 0)), "spec.grace_period"),
    ("grace-a-day", |d| d.grace = Some(raw(86_400, 0)), "spec.grace_period"),
    ("grace-just-over", |d| d.grace = Some(raw(3600, 1)), "spec.grace_period"),
    (
        "array-reversed",
        |d| d.array = Some(DraftArray { first: 2, last: 1, max_running: 0 }),
        "spec.array.last",
    ),
    (
        "array-1000001",
        |d| d.array = Some(DraftArray { last: 1_000_000, ..DraftArray::default() }),
        "spec.array.last",
    ),
    (
        "array-all",
        |d| d.array = Some(DraftArray { last: u32::MAX, ..DraftArray::default() }),
        "spec.array.last",
    ),
    ("pull-unknown", |d| d.pull = Choice::Unknown(9), "spec.pull_policy"),
    ("network-unknown", |d| d.network = Choice::Unknown(-1), "spec.network"),
    ("on-lost-unknown", |d| d.on_lost = Choice::Unknown(i32::MAX), "spec.on_lost"),
];

#[test]
fn bad_numbers_and_times_are_refused() {
    refuses(BAD_NUMBERS_AND_TIMES);
}

const ARGS: &str = "spec.command.argv.args";

const BAD_COMMANDS: &[Row] = &[
    ("command-missing", |d| d.command = None, "spec.command"),
    ("command-empty", |d| d.command = Some(DraftCommand::default()), "spec.command"),
    ("argv-empty", |d| d.command = Some(argv(&[])), ARGS),
    ("argv-no-name", |d| d.command = Some(argv(&[""])), "spec.command.argv.args[0]"),
    ("argv-nul", |d| d.command = Some(argv(&["x", "a\0b"])), "spec.command.argv.args[1]"),
    ("argv-long-one", |d| d.command = Some(argv(&["x", &"y".repeat(131_072)])), "spec.command.argv.args[1]"),
    ("argv-long-sum", |d| d.command = Some(argv(&vec!["y".repeat(1000).as_str(); 263])), ARGS),
    ("argv-many", |d| d.command = Some(argv(&vec!["y"; 140_000])), ARGS),
    ("script-blank", |d| d.command = Some(script(" \n\t", "")), "spec.command.script.text"),
    ("script-empty", |d| d.command = Some(script("", "")), "spec.command.script.text"),
    ("script-nul", |d| d.command = Some(script("a\0", "")), "spec.command.script.text"),
    (
        "script-long",
        |d| d.command = Some(script(&"x".repeat((120 << 10) + 1), "")),
        "spec.command.script.text",
    ),
    ("shell-relative", |d| d.command = Some(script("x", "bin/sh")), "spec.command.script.shell"),
    ("shell-option", |d| d.command = Some(script("x", "-c")), "spec.command.script.shell"),
    ("shell-nul", |d| d.command = Some(script("x", "/bin/s\0h")), "spec.command.script.shell"),
    ("entry-unknown", |d| d.command = Some(entry(Choice::Unknown(7), "")), "spec.command.entrypoint.kind"),
    (
        "entry-no-path",
        |d| d.command = Some(entry(Choice::Known(EntrypointKind::Path), "")),
        "spec.command.entrypoint.path",
    ),
    (
        "entry-stray-path",
        |d| d.command = Some(entry(Choice::Known(EntrypointKind::Image), "/x")),
        "spec.command.entrypoint.path",
    ),
    ("entry-unset-path", |d| d.command = Some(entry(Choice::Unset, "/x")), "spec.command.entrypoint.path"),
    ("env-empty-name", |d| d.env = pairs(&[("", "x")]), "spec.env[0].name"),
    ("env-equals", |d| d.env = pairs(&[("A=B", "x")]), "spec.env[0].name"),
    ("env-space", |d| d.env = pairs(&[("A B", "x")]), "spec.env[0].name"),
    ("env-newline", |d| d.env = pairs(&[("A\n", "x")]), "spec.env[0].name"),
    ("env-nul-name", |d| d.env = pairs(&[("A\0", "x")]), "spec.env[0].name"),
    ("env-nul-value", |d| d.env = pairs(&[("A", "\0")]), "spec.env[0].value"),
    ("env-reserved", |d| d.env = pairs(&[("DOCKMGR_JOB", "1")]), "spec.env[0].name"),
    ("env-twice", |d| d.env = pairs(&[("A", "1"), ("A", "2")]), "spec.env[1].name"),
    ("env-long-value", |d| d.env = pairs(&[("A", &"x".repeat(131_070))]), "spec.env[0].value"),
    ("env-many", |d| d.env = (0..4097).map(|n| (format!("V{n}"), String::new())).collect(), "spec.env"),
    ("env-large", |d| d.env = (0..300).map(|n| (format!("V{n}"), "x".repeat(1000))).collect(), "spec.env"),
];

#[test]
fn bad_commands_are_refused() {
    refuses(BAD_COMMANDS);
}

const BIND: MountKind = MountKind::Bind;
const EQUAL: Choice<Operator> = Choice::Known(Operator::Equal);

const BAD_LABELS_AND_CONSTRAINTS: &[Row] = &[
    ("label-reserved", |d| d.labels.extend(pairs(&[("dockmgr.x", "1")])), "spec.labels[dockmgr.x]"),
    (
        "label-reserved-prefix",
        |d| d.labels.extend(pairs(&[("dockmgr.dev/x", "1")])),
        "spec.labels[dockmgr.dev/x]",
    ),
    ("label-empty-key", |d| d.labels.extend(pairs(&[("", "1")])), "spec.labels[]"),
    ("label-dash", |d| d.labels.extend(pairs(&[("-a", "1")])), "spec.labels[-a]"),
    ("label-slashes", |d| d.labels.extend(pairs(&[("a/b/c", "1")])), "spec.labels[a/b/c]"),
    ("label-upper-prefix", |d| d.labels.extend(pairs(&[("A.b/c", "1")])), "spec.labels[A.b/c]"),
    ("label-space-value", |d| d.labels.extend(pairs(&[("a", "b c")])), "spec.labels[a]"),
    ("label-long-value", |d| d.labels.extend(pairs(&[("a", &"x".repeat(64))])), "spec.labels[a]"),
    ("label-64k-value", |d| d.labels.extend(pairs(&[("a", &"x".repeat(65_536))])), "spec.labels[a]"),
    (
        "labels-many",
        |d| d.labels = (0..65).map(|n| (format!("k{n}"), String::new())).collect(),
        "spec.labels",
    ),
    ("constraint-key", |d| d.constraints = vec![constraint("", EQUAL, "x")], "spec.constraints[0].key"),
    (
        "constraint-value",
        |d| d.constraints = vec![constraint("a", EQUAL, "x y")],
        "spec.constraints[0].value",
    ),
    (
        "constraint-unset",
        |d| d.constraints = vec![constraint("a", Choice::Unset, "x")],
        "spec.constraints[0].operator",
    ),
    (
        "constraint-odd",
        |d| d.constraints = vec![constraint("a", Choice::Unknown(3), "x")],
        "spec.constraints[0].operator",
    ),
    ("constraints-many", |d| d.constraints = vec![constraint("a", EQUAL, "x"); 65], "spec.constraints"),
];

#[test]
fn bad_labels_and_constraints_are_refused() {
    refuses(BAD_LABELS_AND_CONSTRAINTS);
}

const BAD_MOUNTS_AND_SIZES: &[Row] = &[
    ("target-root", |d| d.mounts = vec![mount(BIND, "/srv", "/")], "spec.mounts[0].target"),
    ("target-relative", |d| d.mounts = vec![mount(BIND, "/srv", "x")], "spec.mounts[0].target"),
    ("target-empty", |d| d.mounts = vec![mount(BIND, "/srv", "")], "spec.mounts[0].target"),
    ("target-dots", |d| d.mounts = vec![mount(BIND, "/srv", "/a/../b")], "spec.mounts[0].target"),
    ("target-proc", |d| d.mounts = vec![mount(BIND, "/srv", "/proc/x")], "spec.mounts[0].target"),
    (
        "target-twice",
        |d| d.mounts = vec![mount(BIND, "/srv", "/x"), mount(MountKind::Volume, "", "/x/")],
        "spec.mounts[1].target",
    ),
    ("source-root", |d| d.mounts = vec![mount(BIND, "/", "/x")], "spec.mounts[0].source"),
    (
        "source-socket",
        |d| d.mounts = vec![mount(BIND, "/var/run/docker.sock", "/x")],
        "spec.mounts[0].source",
    ),
    ("source-socket-2", |d| d.mounts = vec![mount(BIND, "/run/docker.sock", "/x")], "spec.mounts[0].source"),
    (
        "source-socket-3",
        |d| d.mounts = vec![mount(BIND, "/home/u/docker.sock", "/x")],
        "spec.mounts[0].source",
    ),
    ("source-run", |d| d.mounts = vec![mount(BIND, "/run/", "/x")], "spec.mounts[0].source"),
    ("source-var-run", |d| d.mounts = vec![mount(BIND, "/var/run", "/x")], "spec.mounts[0].source"),
    ("source-var", |d| d.mounts = vec![mount(BIND, "/var", "/x")], "spec.mounts[0].source"),
    (
        "source-docker-data",
        |d| d.mounts = vec![mount(BIND, "/var/lib/docker/x", "/x")],
        "spec.mounts[0].source",
    ),
    ("source-proc", |d| d.mounts = vec![mount(BIND, "/proc/1/root", "/x")], "spec.mounts[0].source"),
    ("source-dev", |d| d.mounts = vec![mount(BIND, "/dev/sda", "/x")], "spec.mounts[0].source"),
    ("source-sys", |d| d.mounts = vec![mount(BIND, "/sys", "/x")], "spec.mounts[0].source"),
    ("source-dots", |d| d.mounts = vec![mount(BIND, "/srv/../etc", "/x")], "spec.mounts[0].source"),
    ("source-relative", |d| d.mounts = vec![mount(BIND, "srv", "/x")], "spec.mounts[0].source"),
    ("source-empty", |d| d.mounts = vec![mount(BIND, "", "/x")], "spec.mounts[0].source"),
    ("volume-path", |d| d.mounts = vec![mount(MountKind::Volume, "/srv", "/x")], "spec.mounts[0].source"),
    ("volume-short", |d| d.mounts = vec![mount(MountKind::Volume, "v", "/x")], "spec.mounts[0].source"),
    ("volume-space", |d| d.mounts = vec![mount(MountKind::Volume, "a b", "/x")], "spec.mounts[0].source"),
    ("tmpfs-source", |d| d.mounts = vec![mount(MountKind::Tmpfs, "tmp", "/x")], "spec.mounts[0].source"),
    (
        "tmpfs-read-only",
        |d| d.mounts = vec![DraftMount { read_only: true, ..mount(MountKind::Tmpfs, "", "/x") }],
        "spec.mounts[0].read_only",
    ),
    (
        "mount-kind",
        |d| d.mounts = vec![DraftMount { target: "/x".to_owned(), ..DraftMount::default() }],
        "spec.mounts[0].kind",
    ),
    (
        "mounts-many",
        |d| d.mounts = (0..65).map(|n| mount(MountKind::Tmpfs, "", &format!("/m{n}"))).collect(),
        "spec.mounts",
    ),
    (
        "spec-large",
        |d| {
            d.command = Some(argv(&vec!["y".repeat(1000).as_str(); 260]));
            d.env = (0..250).map(|n| (format!("V{n}"), "x".repeat(1000))).collect();
            d.constraints = vec![constraint("a", EQUAL, &"x".repeat(63)); 64];
            d.mounts =
                (0..64).map(|n| mount(MountKind::Tmpfs, "", &format!("/{n}{}", "x".repeat(200)))).collect();
        },
        "spec",
    ),
];

#[test]
fn bad_mounts_and_sizes_are_refused() {
    refuses(BAD_MOUNTS_AND_SIZES);
}
