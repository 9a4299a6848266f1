//! What is accepted, and what becomes of it.

use super::*;

#[test]
fn good_texts_are_accepted() {
    let accepted = |id: &str, change: &dyn Fn(&mut Draft)| {
        let draft = changed(change);
        check(draft).unwrap_or_else(|violations| panic!("{id} must be accepted: {violations:?}"))
    };
    for name in ["ab", "0a", "a.b_c-d", "build-42", "lastly", "1-2", &"x".repeat(63), "0190d3c4-7e2a"] {
        let spec = accepted(name, &|draft| name.clone_into(&mut draft.name));
        assert_eq!(spec.name.expect("given").as_str(), name);
    }
    for dir in ["/", "/work", "/work/", "/a b", "/procs", "/dev/shm", "/.hidden/..x", "/\u{e4}"] {
        accepted(dir, &|draft| dir.clone_into(&mut draft.working_dir));
    }
    for user in ["root", "0", "0:0", "nobody:nogroup", "1000:users", "_apt", "a.b-c", "svc$", "2147483647"] {
        let spec = accepted(user, &|draft| user.clone_into(&mut draft.user));
        assert_eq!(spec.user.as_deref(), Some(user));
    }
    for (signal, number) in [
        ("SIGTERM", 15),
        ("TERM", 15),
        ("term", 15),
        ("15", 15),
        ("sigint", 2),
        ("KILL", 9),
        ("POLL", 29),
        ("31", 31),
    ] {
        let spec = accepted(signal, &|draft| signal.clone_into(&mut draft.stop_signal));
        assert_eq!(spec.stop_signal.map(Signal::number), Some(number), "{signal}");
    }
}

/// A reference, its registry, its path, its tag, its digest.
type Parts<'a> = (&'a str, Option<&'a str>, &'a str, Option<&'a str>, Option<&'a str>);

#[test]
fn image_references_are_taken_apart() {
    let hex = "0123456789abcdef".repeat(4);
    let pinned = format!("h.io:5000/a/b:1@sha256:{hex}");
    let digest = format!("sha256:{hex}");
    let digest = digest.as_str();
    let long_tag = format!("a:{}", "x".repeat(128));
    let cases: [Parts<'_>; 18] = [
        ("debian", None, "debian", None, None),
        ("debian:stable-slim", None, "debian", Some("stable-slim"), None),
        ("library/debian", None, "library/debian", None, None),
        ("a__b/c-d/e.f", None, "a__b/c-d/e.f", None, None),
        ("a--b", None, "a--b", None, None),
        ("localhost/x", Some("localhost"), "x", None, None),
        ("localhost:5000/x", Some("localhost:5000"), "x", None, None),
        ("localhost:5000", None, "localhost", Some("5000"), None),
        ("127.0.0.1:5000/x:t", Some("127.0.0.1:5000"), "x", Some("t"), None),
        ("10.0.0.1:22/x", Some("10.0.0.1:22"), "x", None, None),
        ("[::1]:5000/x", Some("[::1]:5000"), "x", None, None),
        ("[::1]/x:1", Some("[::1]"), "x", Some("1"), None),
        ("H.io/x", Some("H.io"), "x", None, None),
        ("a:_X.y-Z", None, "a", Some("_X.y-Z"), None),
        ("h.io/scratch", Some("h.io"), "scratch", None, None),
        (
            "registry.example.com/team/tool:v1.2.3",
            Some("registry.example.com"),
            "team/tool",
            Some("v1.2.3"),
            None,
        ),
        (&pinned, Some("h.io:5000"), "a/b", Some("1"), Some(digest)),
        (&long_tag, None, "a", Some(&long_tag[2..]), None),
    ];
    for (text, host, path, tag, digest) in cases {
        let image = ImageRef::parse(text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            (image.registry_host(), image.path(), image.tag(), image.digest()),
            (host, path, tag, digest)
        );
        assert_eq!(image.as_str(), text);
        assert_eq!(image.has_tag_or_digest(), tag.is_some() || digest.is_some(), "{text}");
        assert_eq!(image.effective_tag(), tag.or(digest.is_none().then_some("latest")), "{text}");
    }
}

/// Id and the change.
type Row = (&'static str, fn(&mut Draft));

#[test]
fn limits_themselves_are_accepted() {
    let rows: [Row; 26] = [
        ("cpu-least", |d| d.resources = Some(resources(10, 0, 0))),
        ("cpu-most", |d| d.resources = Some(resources(1_000_000_000, 0, 0))),
        ("memory-least", |d| d.resources = Some(resources(0, 6 << 20, 0))),
        ("memory-most", |d| d.resources = Some(resources(0, i64::MAX, 0))),
        ("gpus-most", |d| d.resources = Some(resources(0, 0, 1024))),
        ("pids", |d| d.pids_limit = 4_194_304),
        ("pids-one", |d| d.pids_limit = 1),
        ("retries", |d| d.retries = 100),
        ("priority-high", |d| d.priority = 1_000_000),
        ("priority-low", |d| d.priority = -1_000_000),
        ("log-least", |d| d.log_limit = 1024),
        ("log-most", |d| d.log_limit = 16 << 30),
        ("timeout-least", |d| d.timeout = Some(raw(0, 1))),
        ("timeout-most", |d| d.timeout = Some(raw(315_360_000, 0))),
        ("queue-timeout", |d| d.queue_timeout = Some(raw(1, 999_999_999))),
        ("grace-none", |d| d.grace = Some(raw(0, 0))),
        ("grace-most", |d| d.grace = Some(raw(3600, 0))),
        ("array-most", |d| d.array = Some(DraftArray { first: 1, last: 1_000_000, max_running: 8 })),
        ("array-one", |d| d.array = Some(DraftArray { first: u32::MAX, last: u32::MAX, max_running: 0 })),
        ("argv-long", |d| d.command = Some(argv(&["x", &"y".repeat(131_071), "", "-x", "\n"]))),
        ("script-long", |d| d.command = Some(script(&"x".repeat(120 << 10), "/bin/bash"))),
        ("shell-name", |d| d.command = Some(script("print(1)", "python3"))),
        ("entry-path", |d| d.command = Some(entry(Choice::Known(EntrypointKind::Path), "/usr/bin/env"))),
        ("env", |d| d.env = pairs(&[("A", ""), ("a.b-c", "x=y\n"), ("DOCKMGR", "1"), ("\u{e4}", "2")])),
        ("labels", |d| d.labels.extend(pairs(&[("team", "x"), ("a.b/c_d", ""), ("X.Y-z", "1.0")]))),
        ("reserved-constraint", |d| {
            d.constraints = vec![constraint("dockmgr.node", Choice::Known(Operator::NotEqual), "")];
        }),
    ];
    for (id, change) in rows {
        check(changed(change)).unwrap_or_else(|violations| panic!("{id} must be accepted: {violations:?}"));
    }
}

#[test]
fn good_mounts_are_accepted() {
    let mounts = [
        mount(MountKind::Bind, "/srv/data/", "/data"),
        mount(MountKind::Bind, "/home/u", "/home"),
        mount(MountKind::Bind, "/var/log", "/logs"),
        mount(MountKind::Bind, "/running", "/r"),
        mount(MountKind::Volume, "cache", "/cache"),
        mount(MountKind::Volume, "", "/scratch"),
        mount(MountKind::Tmpfs, "", "/tmp"),
        mount(MountKind::Tmpfs, "", "/dev/shm"),
    ];
    let spec = check(changed(|draft| draft.mounts = mounts.into())).expect("good");
    assert_eq!(spec.mounts.len(), 8);
    let (source, target) = ("/srv/data".to_owned(), "/data".to_owned());
    assert_eq!(spec.mounts[0], Mount::Bind { source, target, read_only: false });
}
