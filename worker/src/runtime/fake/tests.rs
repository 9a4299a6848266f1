use super::*;
use crate::runtime::Runtime;

async fn fake() -> Fake {
    let fake = Fake::new(4, 1 << 30);
    fake.pull("test", None, &watch::Sender::new(PullProgress::default())).await.expect("pulls anything");
    fake
}

async fn run(fake: &Fake, script: &str) -> (ContainerState, String) {
    let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
    let mut spec = ContainerSpec::new("c", "test", argv);
    spec.env.push(("WHO".to_owned(), "world".to_owned()));
    let id = fake.create(&spec).await.expect("created");
    fake.start(&id).await.expect("started");
    fake.wait_hint(&id, None).await.expect("ends");
    let mut log = fake.recover_log(&id).await.expect("opens");
    let mut out = Vec::new();
    while let Some(Recovered::Bytes(_, bytes)) = log.next().await.expect("reads") {
        out.extend_from_slice(&bytes);
    }
    let state = fake.inspect("c").await.expect("answers").expect("is there");
    fake.remove(&id, false).await.expect("removed");
    (state, String::from_utf8(out).expect("text"))
}

#[tokio::test(start_paused = true)]
async fn the_script_language_does_what_a_shell_does() {
    let fake = fake().await;
    for (script, code, output) in [
        ("exit 7", 7, ""),
        ("true; false", 1, ""),
        ("false || echo a && echo b", 0, "a\nb\n"),
        ("false && echo a; echo b", 0, "b\n"),
        ("echo -n hello $WHO; echo \" ${WHO}!\" '$WHO' # no", 0, "hello world world! $WHO\n"),
        ("for i in $(seq 2) x; do echo $i; sleep 0.1; done", 0, "1\n2\nx\n"),
        ("trap 'echo bye; exit 3' TERM; kill -TERM $$; echo never", 3, "bye\n"),
        ("trap '' TERM; kill -15 $$; echo still", 0, "still\n"),
        ("kill -9 $$", 137, ""),
        ("X=1; seq $X 3", 0, "1\n2\n3\n"),
        ("cat /etc/passwd | wc", 0, "fake: would run: sh -c cat /etc/passwd | wc\n"),
    ] {
        let (state, printed) = run(&fake, script).await;
        assert_eq!((state.exit(), printed.as_str()), (Some(code), output), "{script}");
    }
}

#[tokio::test(start_paused = true)]
async fn lost_answers_hide_effects() {
    let fake = fake().await;
    let spec = ContainerSpec::new("c", "test", vec!["true".to_owned()]);
    fake.order_fault(Call::Create, Fault::LostAfter);
    assert!(fake.create(&spec).await.expect_err("lost").is_ambiguous());
    let id = fake.inspect("c").await.expect("answers").expect("created all the same").id;
    fake.order_fault(Call::Start, Fault::LostBefore);
    assert!(fake.start(&id).await.is_err());
    assert_eq!(fake.runs("c"), Some(0));
    fake.set_reachable(false);
    assert!(matches!(fake.inspect("c").await, Err(Error::Unreachable { .. })));
    fake.set_reachable(true);
    assert!(fake.inspect("c").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_containers_need_no_tasks() {
    let fake = fake().await;
    for n in 0..10_000 {
        let spec = ContainerSpec::new(format!("c{n}"), "test", vec!["sleep".to_owned(), "60".to_owned()]);
        let id = fake.create(&spec).await.expect("created");
        fake.start(&id).await.expect("started");
    }
    let last = ContainerId::parse("c9999").expect("a name");
    fake.wait_hint(&last, None).await.expect("ends");
    let running =
        fake.list(&BTreeMap::new()).await.expect("lists").iter().filter(|c| c.status.may_run()).count();
    assert_eq!(running, 0);
}

#[tokio::test(start_paused = true)]
async fn an_endless_loop_without_sleep_lets_others_run() {
    let fake = fake().await;
    let argv = ["sh", "-c", "while true; do true; done"].map(str::to_owned).to_vec();
    let id = fake.create(&ContainerSpec::new("c", "test", argv)).await.expect("created");
    fake.start(&id).await.expect("started");
    assert!(fake.inspect("c").await.expect("answers").expect("is there").status.may_run());
    assert!(fake.signal(&id, "SIGTERM").await.expect("sent"));
    assert_eq!(fake.inspect("c").await.expect("answers").expect("is there").exit(), Some(143));
}
