use std::time::Duration;

use super::*;

#[test]
fn processors_are_parsed_exactly_or_refused() {
    for (text, millis) in
        [("1", 1000), ("0.25", 250), (".5", 500), ("2.0", 2000), ("0.01", 10), ("1.125", 1125)]
    {
        assert_eq!(cpus(text), Ok(millis), "{text}");
    }
    for bad in [
        "",
        ".",
        "0",
        "0.0",
        "-1",
        "+1",
        "NaN",
        "inf",
        "1,5",
        "0.0000001",
        "1e3",
        "1.",
        "1 ",
        "0.009",
        "99999999999",
        "0x1",
        "1.2.3",
    ] {
        assert!(cpus(bad).is_err(), "{bad:?} must be refused");
    }
}

#[test]
fn sizes_are_powers_of_1024_or_refused() {
    for (text, bytes) in [
        ("512m", 512 << 20),
        ("1g", 1 << 30),
        ("1GiB", 1 << 30),
        ("1.5k", 1536),
        ("10", 10),
        ("2TB", 2 << 40),
    ] {
        assert_eq!(size(text), Ok(bytes), "{text}");
    }
    for bad in [
        "",
        "0",
        "0g",
        "-1g",
        "1GiBB",
        "99999999999g",
        "g",
        "1.g",
        ".5g",
        "1e3",
        "1 g",
        "NaN",
        "99999999999999999999",
    ] {
        assert!(size(bad).is_err(), "{bad:?} must be refused");
    }
}

#[test]
fn durations_go_from_large_to_small_units() {
    for (text, millis) in [
        ("90s", 90_000),
        ("10m", 600_000),
        ("1h30m", 5_400_000),
        ("500ms", 500),
        ("30", 30_000),
        ("1d", 86_400_000),
        ("0", 0),
    ] {
        assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
    }
    for bad in [
        "",
        "-5",
        "5x",
        "1e20",
        "1m1h",
        "1s1s",
        "1h30",
        "h",
        "99999999999999999999s",
        "4000000000d",
        " 1s",
        "1.5h",
    ] {
        assert!(duration(bad).is_err(), "{bad:?} must be refused");
    }
    assert!(positive_duration("0").is_err());
}

#[test]
fn arrays_and_mounts_say_what_is_wrong() {
    let eight = array("0-7%2").expect("well formed");
    assert_eq!((eight.first, eight.last, eight.max_running), (0, 7, 2));
    for bad in ["", "7", "7-0", "0-7%0", "0-7%", "a-b", "0-1000000", "-1-3", "0-99999999999", "1-2-3"] {
        assert!(array(bad).is_err(), "{bad:?} must be refused");
    }
    let data = mount("type=bind,source=/srv,target=/data,readonly").expect("well formed");
    assert!(data.read_only && data.source == "/srv" && data.target == "/data");
    for bad in [
        "",
        "type=bind",
        "type=x,target=/a",
        "type=tmpfs,source=/a,target=/b",
        "type=bind,source=a,target=/b",
        "target=/a",
        "type=volume,target=a",
        "type=tmpfs,target=/a,size=1",
    ] {
        assert!(mount(bad).is_err(), "{bad:?} must be refused");
    }
}

#[test]
fn labels_constraints_and_moments_are_strict() {
    assert_eq!(label("team=a-b"), Ok(Pair { key: "team".into(), value: "a-b".into() }));
    for bad in ["", "=x", "dockmgr.cluster=x", "a=b=c", ",", "a!=b", "a b", "a=b\" or state=\"x"] {
        assert!(label(bad).is_err(), "{bad:?} must be refused");
    }
    assert_eq!(constraint("zone!=a").map(|c| c.operator), Ok(2));
    for bad in ["", "zone", "=a", "!=a"] {
        assert!(constraint(bad).is_err(), "{bad:?} must be refused");
    }
    assert!(moment("2026-01-31T12:00:00Z").is_ok() && moment("10m").is_ok());
    assert!(moment("yesterday").is_err() && moment("2026-13-01T00:00:00Z").is_err());
}
