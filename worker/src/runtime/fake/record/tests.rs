use super::*;
use crate::runtime::fake::Fake;
use crate::runtime::{ContainerId, ContainerSpec, PullProgress, Recovered, Runtime};

const BOOT: &str = "boot-1";

async fn open(folder: &Path) -> Fake {
    let fake = Fake::open(folder, BOOT, 4, 1 << 30).expect("opens");
    fake.pull("test", None, &tokio::sync::watch::Sender::new(PullProgress::default())).await.expect("pulls");
    fake
}

async fn start(fake: &Fake, name: &str, script: &str) -> ContainerId {
    let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
    let id = fake.create(&ContainerSpec::new(name, "test", argv)).await.expect("created");
    fake.start(&id).await.expect("started");
    id
}

async fn output(fake: &Fake, id: &ContainerId) -> Vec<u8> {
    let mut log = fake.recover_log(id).await.expect("opens");
    let mut out = Vec::new();
    while let Some(Recovered::Bytes(_, bytes)) = log.next().await.expect("reads") {
        out.extend_from_slice(&bytes);
    }
    out
}

fn executions(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("executions")).expect("is told");
    let words = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    text.lines().filter(|line| line.starts_with(['S', 'E'])).map(words).collect()
}

#[tokio::test]
async fn containers_go_on_while_the_worker_is_dead() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = open(folder.path()).await;
    let info = first.info().await.expect("answers");
    let id = start(&first, "c", "echo one; sleep 0.1; echo two; exit 7").await;
    let quiet = start(&first, "d", "trap 'exit 3' TERM; sleep 600").await;
    drop(first);
    let second = open(folder.path()).await;
    assert_eq!(second.info().await.expect("answers").daemon_id, info.daemon_id, "the same daemon");
    second.wait_hint(&id, None).await.expect("ends");
    assert_eq!(output(&second, &id).await, b"one\ntwo\n");
    assert_eq!(second.inspect("c").await.expect("answers").expect("is there").exit(), Some(7));
    assert!(second.inspect("d").await.expect("answers").expect("is there").status.may_run());
    assert!(second.signal(&quiet, "SIGTERM").await.expect("sent"));
    drop(second);
    let third = open(folder.path()).await;
    assert_eq!(third.inspect("d").await.expect("answers").expect("is there").exit(), Some(3));
    assert_eq!(third.runs("d"), Some(1));
    assert_eq!(executions(folder.path())[..4], ["S c", "S d", "E c", "E d"]);
}

#[tokio::test]
async fn another_process_kills_what_a_hung_worker_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let fake = open(folder.path()).await;
    let id = start(&fake, "c", "trap '' TERM; sleep 600").await;
    order_kill(folder.path(), "c", dockmgr_support::clock::boot_nanos()).expect("ordered");
    assert_eq!(fake.inspect("c").await.expect("answers").expect("is there").exit(), Some(137));
    drop(fake);
    let again = open(folder.path()).await;
    again.wait_hint(&id, None).await.expect("has ended");
    assert_eq!(again.inspect("c").await.expect("answers").expect("is there").exit(), Some(137));
}

#[tokio::test]
async fn a_call_that_was_being_written_when_the_worker_died_never_happened() {
    let folder = tempfile::tempdir().expect("a folder");
    start(&open(folder.path()).await, "c", "exit 0").await;
    append(&folder.path().join("events")).expect("opens").write_all(b"{\"at\":1,\"ev").expect("writes");
    let fake = open(folder.path()).await;
    start(&fake, "d", "exit 0").await;
    drop(fake);
    let again = open(folder.path()).await;
    assert!(again.inspect("c").await.expect("answers").is_some());
    assert!(again.inspect("d").await.expect("answers").is_some());
}

#[tokio::test]
async fn a_shortened_record_keeps_what_is_there_and_gives_no_id_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let fake = open(folder.path()).await;
    let gone = start(&fake, "a", "exit 0").await;
    let kept = start(&fake, "b", "echo b; sleep 600").await;
    let last = start(&fake, "c", "exit 0").await;
    for id in [&gone, &last] {
        fake.wait_hint(id, None).await.expect("ends");
        fake.remove(id, false).await.expect("removed");
    }
    drop(fake);
    let (mut record, _) = Record::open(folder.path(), BOOT, 0).expect("opens");
    let before = std::fs::metadata(folder.path().join("events")).expect("is there").len();
    record.shorten().expect("rewrites");
    assert!(std::fs::metadata(folder.path().join("events")).expect("is there").len() < before);
    drop(record);
    let again = open(folder.path()).await;
    assert!(again.inspect(kept.as_str()).await.expect("answers").expect("is there").status.may_run());
    assert!(again.inspect("a").await.expect("answers").is_none());
    let fresh = start(&again, "d", "exit 0").await;
    assert!(fresh.as_str() > last.as_str(), "{fresh} after {last}");
}

#[tokio::test]
async fn another_boot_begins_an_empty_daemon() {
    let folder = tempfile::tempdir().expect("a folder");
    start(&open(folder.path()).await, "c", "sleep 600").await;
    let fake = Fake::open(folder.path(), "boot-2", 4, 1 << 30).expect("opens");
    assert!(fake.inspect("c").await.expect("answers").is_none());
}
