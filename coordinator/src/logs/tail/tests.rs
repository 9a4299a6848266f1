use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use dockmgr_core::ids::{NodeId, TaskId};
use dockmgr_core::log::{Entry, Mark, Offsets};
use dockmgr_support::tasks::Tasks;

use super::super::tests::data;
use super::super::{BegunAttempt, Fate};
use super::*;

/// Longest wait for a step that takes moments.
const PATIENCE: Duration = Duration::from_secs(30);

/// A cluster that knows what the test told it.
#[derive(Clone)]
struct Cluster {
    tasks: Arc<Mutex<BTreeMap<u32, BegunTask>>>,
    over: Arc<Mutex<bool>>,
    changed: watch::Sender<u64>,
}

impl AttemptDirectory for Cluster {
    type Error = &'static str;

    async fn begun(
        &self,
        _: JobId,
        from: TaskIndex,
        limit: usize,
    ) -> Result<Option<Vec<BegunTask>>, Self::Error> {
        let tasks = self.tasks.lock().expect("no panic");
        Ok(Some(tasks.range(from.0..).take(limit).map(|(_, task)| task.clone()).collect()))
    }

    async fn is_over(&self, _: JobId) -> Result<Option<bool>, Self::Error> {
        Ok(Some(*self.over.lock().expect("no panic")))
    }

    fn changes(&self) -> Result<watch::Receiver<u64>, Self::Error> {
        Ok(self.changed.subscribe())
    }

    async fn wants(&self, _: NodeId, _: AttemptId) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

impl Cluster {
    fn new() -> Self {
        Self { tasks: Arc::default(), over: Arc::default(), changed: watch::Sender::new(0) }
    }

    /// Tells how a task stands: the fate of each attempt, oldest first.
    fn task(&self, index: u32, fates: &[Fate], ended: bool) {
        let attempts = (1..)
            .zip(fates)
            .map(|(number, fate)| BegunAttempt {
                number: AttemptNumber(number),
                node_name: format!("n{number}"),
                fate: fate.clone(),
            })
            .collect();
        let task = BegunTask { index: TaskIndex(index), attempts, ended };
        self.tasks.lock().expect("no panic").insert(index, task);
        self.changed.send_modify(|revision| *revision += 1);
    }

    fn end(&self) {
        *self.over.lock().expect("no panic") = true;
        self.changed.send_modify(|revision| *revision += 1);
    }
}

fn job() -> JobId {
    JobId::new(9).expect("valid")
}

fn id(index: u32, number: u32) -> AttemptId {
    AttemptId { task: TaskId { job: job(), index: TaskIndex(index) }, number: AttemptNumber(number) }
}

fn follow() -> Wanted {
    Wanted {
        job: job(),
        task: None,
        attempt: None,
        follow: true,
        last_lines: None,
        since: None,
        until: None,
        only: None,
    }
}

fn complete(stdout: u64) -> End {
    End::complete(Offsets { stdout, stderr: 0 })
}

fn open(root: &Path) -> LogStore {
    LogStore::open(
        root.to_owned(),
        crate::logs::Sharing::Alone,
        crate::logs::Sealing::default(),
        &Tasks::default(),
    )
    .expect("opens")
}

async fn put(store: &LogStore, attempt: AttemptId, entries: Vec<Entry>) {
    store.append(attempt, entries).await.expect("kept");
}

async fn next(tail: &mut Tail<Cluster>) -> Option<(Step, ResumeToken)> {
    tokio::time::timeout(PATIENCE, tail.next()).await.expect("in time").expect("readable")
}

/// A step in short: `42.7.1 begin`, `42.7.1 text`, `42.7.1 end`.
fn short(step: &Step) -> String {
    match step {
        Step::Begin(id, node) => format!("{id} begin {node}"),
        Step::Records(id, records) => {
            let bytes: Vec<u8> = records.iter().flat_map(|record| record.bytes.to_vec()).collect();
            format!("{id} {}", String::from_utf8_lossy(&bytes))
        }
        Step::End(id, end) if end.is_complete() => format!("{id} end"),
        Step::End(id, _) => format!("{id} end, marked"),
        Step::Idle => "idle".to_owned(),
        Step::JobEnd => "job end".to_owned(),
    }
}

async fn rest(tail: &mut Tail<Cluster>) -> Vec<String> {
    let mut steps = Vec::new();
    while let Some((step, _)) = next(tail).await {
        steps.push(short(&step));
    }
    steps
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_sees_each_attempt_begin_and_end_and_ends_with_the_job() {
    let dir = tempfile::tempdir().expect("folder");
    let (store, cluster) = (open(dir.path()), Cluster::new());
    let mut tail = Tail::new(cluster.clone(), store.clone(), follow(), None).expect("leads");
    let told = async {
        cluster.task(0, &[Fate::Live], false);
        put(&store, id(0, 1), vec![data(Stream::Stdout, 0, b"one"), Entry::End(complete(3))]).await;
        cluster.task(0, &[Fate::Ended(complete(3)), Fate::Live], false);
        put(&store, id(0, 2), vec![data(Stream::Stdout, 0, b"two")]).await;
        cluster.task(0, &[Fate::Ended(complete(3)), Fate::Ended(complete(3))], true);
        cluster.end();
    };
    let (steps, ()) = tokio::join!(rest(&mut tail), told);
    // Whoever looks when the second attempt is there already begins with it.
    let second = ["9.0.2 begin n2", "9.0.2 two", "9.0.2 end", "job end"];
    assert_eq!(steps[steps.len() - 4..], second, "{steps:?}");
    assert!(steps.len() == 4 || steps[..3] == ["9.0.1 begin n1", "9.0.1 one", "9.0.1 end"], "{steps:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_cut_after_any_step_goes_on_without_loss_or_repeat() {
    let dir = tempfile::tempdir().expect("folder");
    let (store, cluster) = (open(dir.path()), Cluster::new());
    for index in 0..70 {
        put(&store, id(index, 1), vec![data(Stream::Stdout, 0, b"text"), Entry::End(complete(4))]).await;
        cluster.task(index, &[Fate::Ended(complete(4))], true);
    }
    cluster.end();
    let mut token = None;
    let mut steps = Vec::new();
    loop {
        let mut tail = Tail::new(cluster.clone(), store.clone(), follow(), token).expect("leads");
        let Some((step, behind)) = next(&mut tail).await else { break };
        steps.push(short(&step));
        if step == Step::JobEnd {
            break;
        }
        let text = behind.to_string();
        token = Some(text.parse().expect("a token parses"));
    }
    assert_eq!(steps.len(), 70 * 3 + 1);
    steps.sort();
    steps.dedup();
    assert_eq!(steps.len(), 70 * 3 + 1, "nothing was repeated");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_never_said_how_its_output_ended_is_marked() {
    let dir = tempfile::tempdir().expect("folder");
    let (store, cluster) = (open(dir.path()), Cluster::new());
    put(&store, id(0, 1), vec![data(Stream::Stdout, 0, b"half")]).await;
    cluster.task(0, &[Fate::Silent], true);
    cluster.end();
    let mut tail = Tail::new(cluster, store, follow(), None).expect("leads");
    assert_eq!(rest(&mut tail).await, ["9.0.1 begin n1", "9.0.1 half", "9.0.1 end, marked", "job end"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn output_still_on_its_way_is_waited_for_after_the_job_has_ended() {
    let dir = tempfile::tempdir().expect("folder");
    let (store, cluster) = (open(dir.path()), Cluster::new());
    cluster.task(0, &[Fate::Ended(complete(4))], true);
    cluster.end();
    let mut tail = Tail::new(cluster, store.clone(), follow(), None).expect("leads");
    assert_eq!(short(&next(&mut tail).await.expect("a step").0), "9.0.1 begin n1");
    put(&store, id(0, 1), vec![data(Stream::Stdout, 0, b"la")]).await;
    assert_eq!(short(&next(&mut tail).await.expect("a step").0), "9.0.1 la");
    let mark = Mark::Suspect { reason: "disk".to_owned() };
    let end = End { marks: vec![mark], ..complete(4) };
    put(&store, id(0, 1), vec![data(Stream::Stdout, 2, b"te"), Entry::End(end)]).await;
    assert_eq!(rest(&mut tail).await, ["9.0.1 te", "9.0.1 end, marked", "job end"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_follow_what_is_there_is_given_in_order_and_that_is_all() {
    let dir = tempfile::tempdir().expect("folder");
    let (store, cluster) = (open(dir.path()), Cluster::new());
    for index in [3, 1] {
        put(
            &store,
            id(index, 1),
            vec![data(Stream::Stdout, 0, b"a\nb\nc\n"), data(Stream::Stderr, 0, b"e\n")],
        )
        .await;
        cluster.task(index, &[Fate::Live], false);
    }
    let wanted = Wanted { follow: false, last_lines: Some(2), only: Some(Stream::Stdout), ..follow() };
    let mut tail = Tail::new(cluster, store, wanted, None).expect("leads");
    assert_eq!(rest(&mut tail).await, ["9.1.1 begin n1", "9.1.1 b\nc\n", "9.3.1 begin n1", "9.3.1 b\nc\n"]);
}
