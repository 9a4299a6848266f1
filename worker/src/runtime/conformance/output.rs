//! Bytes: live by attach and kept by the daemon, the same both ways.

use super::Subject;
use super::read_recovered;
use super::subject::Output;
use crate::runtime::output::Stream;
use crate::runtime::{ContainerSpec, Error, Recovered, Runtime};

/// A script that writes `length` times `x`.
fn fill(on: &Subject, length: usize) -> String {
    if on.is_docker() {
        format!("head -c {length} /dev/zero | tr '\\0' x")
    } else {
        format!("fake:fill {length} x")
    }
}

/// A script that writes random bytes to both streams.
fn random(on: &Subject, name: &str, count: usize) -> ContainerSpec {
    on.script(
        name,
        &if on.is_docker() {
            format!("head -c {count} /dev/urandom; head -c {count} /dev/urandom >&2")
        } else {
            format!("fake:bytes {count} 1; fake:bytes {count} 2 >&2")
        },
    )
}

/// Runs it and checks that attach and the kept log give exactly `wanted` on stdout.
async fn check(on: &Subject, spec: &ContainerSpec, wanted: &[u8]) {
    let (live, state, id) = on.run(spec).await;
    assert_eq!(state.exit(), Some(0));
    // Not compared as values: a difference of megabytes is no message.
    assert!(live.stdout == wanted, "attach gave {} bytes, wanted {}", live.stdout.len(), wanted.len());
    let (kept, exact) = on.recover(&id).await;
    assert!(kept.stdout == wanted, "the log gave {} bytes, wanted {}", kept.stdout.len(), wanted.len());
    assert!(exact && kept.stderr.is_empty());
}

/// What `seq` prints.
fn numbers(from: u32, to: u32) -> Vec<u8> {
    (from..=to).flat_map(|number| format!("{number}\n").into_bytes()).collect()
}

pub(super) async fn attach_before_start_gives_every_byte_of_both_streams(on: Subject) {
    let (output, _, _) = on.run(&on.script("a", "seq 1 9000; seq 9001 9999 >&2")).await;
    let numbers =
        |from: u32, to: u32| (from..=to).fold(String::new(), |text, n| format!("{text}{n}\n")).into_bytes();
    assert!(output == Output { stdout: numbers(1, 9000), stderr: numbers(9001, 9999) });
}

pub(super) async fn the_kept_log_gives_the_same_bytes_as_attach(on: Subject) {
    const COUNT: usize = 1_000_000;
    let (live, _, id) = on.run(&random(&on, "a", COUNT)).await;
    assert_eq!((live.stdout.len(), live.stderr.len()), (COUNT, COUNT));
    let (kept, exact) = on.recover(&id).await;
    assert!(kept == live && exact, "kept {} and {} bytes", kept.stdout.len(), kept.stderr.len());
}

pub(super) async fn lines_around_the_split_size_survive(on: Subject) {
    // The daemon cuts lines every 16 KiB. All lengths in one container, each followed by another line.
    let lengths = [16_383, 16_384, 16_385, 20_000, 32_767, 32_768, 32_769, 1];
    let script: Vec<String> = lengths.iter().map(|length| format!("{}; echo", fill(&on, *length))).collect();
    let wanted: Vec<u8> = lengths
        .iter()
        .flat_map(|length| ["x".repeat(*length), "\n".to_owned()].concat().into_bytes())
        .collect();
    check(&on, &on.script("a", &script.join("; ")), &wanted).await;
    for length in [16_383, 16_384, 16_385, 20_000] {
        let script = format!("{}; echo", fill(&on, length));
        check(&on, &on.script(&format!("l{length}"), &script), ("x".repeat(length) + "\n").as_bytes()).await;
    }
}

pub(super) async fn an_unterminated_last_line_survives(on: Subject) {
    for length in [1, 16_383, 16_384, 16_385, 20_000] {
        let spec = on.script(&format!("l{length}"), &format!("echo first; {}", fill(&on, length)));
        check(&on, &spec, ("first\n".to_owned() + &"x".repeat(length)).as_bytes()).await;
    }
}

pub(super) async fn empty_lines_survive(on: Subject) {
    check(&on, &on.script("a", "echo; echo; echo a; echo; echo"), b"\n\na\n\n\n").await;
}

pub(super) async fn no_output_is_an_empty_log(on: Subject) {
    check(&on, &on.spec("a", &["true"]), b"").await;
}

pub(super) async fn the_kept_log_follows_a_running_container(on: Subject) {
    let id = on.start(&on.script("a", "echo early; sleep 1; echo late >&2; echo -n end")).await;
    let mut log = on.runtime.recover_log(&id).await.expect("opens");
    let Some(Recovered::Bytes(Stream::Stdout, first)) = log.next().await.expect("reads") else {
        panic!("nothing came")
    };
    assert_eq!(&first[..], b"early\n");
    assert!(on.state(&id).await.status.may_run(), "it came while the container ran");
    let (rest, exact) = read_recovered(log).await;
    assert_eq!(rest, Output { stdout: b"end".to_vec(), stderr: b"late\n".to_vec() });
    assert!(exact);
}

pub(super) async fn leaving_an_attach_disturbs_nothing(on: Subject) {
    let id = on.create(&on.script("a", "sleep 0.3; seq 5000; exit 4")).await;
    drop(on.runtime.attach(&id).await.expect("attaches"));
    on.runtime.start(&id).await.expect("starts");
    drop(on.runtime.attach(&id).await.expect("attaches"));
    assert_eq!(on.ended(&id).await.exit(), Some(4));
    assert!(on.recover(&id).await.0.stdout == numbers(1, 5000));
}

pub(super) async fn the_log_of_an_absent_container_is_not_found(on: Subject) {
    let absent = crate::runtime::ContainerId::parse("dockmgr-test-absent").expect("a name");
    assert!(matches!(on.runtime.recover_log(&absent).await, Err(Error::NotFound { .. })));
}
