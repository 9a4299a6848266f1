//! Stories about a cluster. After each step the invariants are recounted, the records are compared with the memory, and
//! scheduling again must find nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use super::records::Records;
use super::spec_text::{MIB, label, spec};
use crate::cluster::{
    Cluster, Command, Config, Effects, Event, Hello, Key, NodeStatus, NoteKind, Progress, Refusal, Reply,
    Report, Request, Submission, TaskEntry, Token, WorkerNews,
};
use crate::ids::{AttemptId, Incarnation, JobId, JobUid, NodeId, TaskIndex};
use crate::outcome::{AttemptEnd, EndReason, TaskState};
use crate::scheduler::Scope;
use crate::spec::Resources;
use crate::time::{BootTime, Now, WallTime};

pub(super) struct Scenario {
    pub(super) cluster: Cluster,
    pub(super) records: Records,
    pub(super) boot: Duration,
    pub(super) last: Effects,
    /// Nodes whose session the last steps cut.
    pub(super) last_hang_ups: std::collections::BTreeSet<NodeId>,
    notes: Vec<(NoteKind, String)>,
    sent: Vec<String>,
    names: BTreeMap<NodeId, String>,
    incarnations: BTreeMap<NodeId, u128>,
    uids: u128,
    sequences: BTreeMap<AttemptId, u64>,
}

impl Scenario {
    pub(super) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(super) fn with(config: Config) -> Self {
        Self {
            cluster: Cluster::new(config),
            records: Records::default(),
            boot: Duration::from_secs(1000),
            last: Effects::default(),
            last_hang_ups: std::collections::BTreeSet::new(),
            notes: Vec::new(),
            sent: Vec::new(),
            names: BTreeMap::new(),
            incarnations: BTreeMap::new(),
            uids: 0,
            sequences: BTreeMap::new(),
        }
    }

    /// Registers a worker: `4cpu 8gib zone=eu image=debian mount=/data`.
    pub(super) fn worker(mut self, name: &str, text: &str) -> Self {
        self.hello(name, text, Vec::new());
        self
    }

    pub(super) fn hello(&mut self, name: &str, text: &str, attempts: Vec<Report>) {
        let node = node(name);
        self.names.insert(node, name.to_owned());
        let incarnation = *self.incarnations.entry(node).or_insert(1);
        let news = WorkerNews::Hello(Box::new(hello(name, text, attempts)));
        self.step(Event::Worker { node, incarnation: Incarnation(Uuid::from_u128(incarnation)), news });
    }

    /// The next words of the worker come from a newer process.
    pub(super) fn restart_worker(&mut self, name: &str) {
        *self.incarnations.entry(node(name)).or_insert(1) += 1;
    }

    pub(super) fn news(&mut self, name: &str, news: WorkerNews) {
        let incarnation = Incarnation(Uuid::from_u128(self.incarnations[&node(name)]));
        self.step(Event::Worker { node: node(name), incarnation, news });
    }

    pub(super) fn heartbeat(&mut self, name: &str, reasons: &[&str]) {
        let not_ready = reasons.iter().map(|reason| (*reason).to_owned()).collect();
        let status = NodeStatus { not_ready, disk_free: 1, ..NodeStatus::default() };
        let news = WorkerNews::Heartbeat { status, images_added: Vec::new(), images_removed: Vec::new() };
        self.news(name, news);
    }

    /// Reports progress of an attempt with the next sequence number.
    pub(super) fn report(&mut self, name: &str, attempt: &str, progress: Progress) {
        let report = self.next_report(attempt, progress);
        self.news(name, WorkerNews::Report(report));
    }

    pub(super) fn next_report(&mut self, attempt: &str, progress: Progress) -> Report {
        let attempt: AttemptId = attempt.parse().unwrap();
        let sequence = self.sequences.entry(attempt).or_insert(0);
        *sequence += 1;
        Report { attempt, sequence: *sequence, progress }
    }

    pub(super) fn run(&mut self, name: &str, attempt: &str) {
        self.report(name, attempt, running());
    }

    pub(super) fn exit(&mut self, name: &str, attempt: &str, code: u8) {
        self.end(name, attempt, end(EndReason::Exited, Some(code)));
    }

    pub(super) fn end(&mut self, name: &str, attempt: &str, end: AttemptEnd) {
        self.report(name, attempt, Progress::Ended(Box::new(end)));
    }

    pub(super) fn try_submit(&mut self, text: &str, key: Option<(&str, u8)>) -> Result<JobId, Refusal> {
        self.uids += 1;
        let uid = JobUid(Uuid::from_u128(self.uids));
        let key = key.map(|(text, hash)| Key { text: text.to_owned(), fingerprint: [hash; 32] });
        let reply = self.ask(Request::Submit(vec![Submission { spec: spec(text), uid, key }]))?;
        let Reply::Submitted(jobs) = reply else { panic!("{reply:?}") };
        Ok(jobs[0])
    }

    pub(super) fn submit(&mut self, text: &str) -> JobId {
        self.try_submit(text, None).expect("taken")
    }

    pub(super) fn retry(&mut self, job: JobId) -> Result<JobId, Refusal> {
        self.uids += 1;
        let reply = self.ask(Request::Retry { job, uid: JobUid(Uuid::from_u128(self.uids)), key: None })?;
        let Reply::Submitted(jobs) = reply else { panic!("{reply:?}") };
        Ok(jobs[0])
    }

    pub(super) fn stop(&mut self, job: JobId, task: Option<u32>) {
        let task = task.map(TaskIndex);
        self.ask(Request::Stop { job, task, signal: None, grace: None }).expect("taken");
    }

    pub(super) fn kill(&mut self, job: JobId) {
        self.ask(Request::Kill { job, task: None, signal: None }).expect("taken");
    }

    pub(super) fn ask(&mut self, request: Request) -> Result<Reply, Refusal> {
        self.step(Event::Request(Token(7), request));
        let answers = std::mem::take(&mut self.last.answers);
        let [(Token(7), answer)] = &answers[..] else { panic!("one answer, not {answers:?}") };
        answer.clone()
    }

    /// Lets time pass, with ticks exactly when they are asked for.
    pub(super) fn pass(&mut self, seconds: f64) {
        let end = self.boot + Duration::from_secs_f64(seconds);
        while let Some(at) =
            self.cluster.wake_at().map(|at| Duration::from_nanos(at.0)).filter(|at| *at <= end)
        {
            self.boot = self.boot.max(at);
            self.step(Event::Tick { jitter: 99 });
        }
        self.boot = end;
        self.step(Event::Tick { jitter: 7 });
    }

    pub(super) fn step(&mut self, event: Event) {
        self.last = self.cluster.step(self.now(), event);
        self.records.commit(&self.cluster, &self.last.dirty);
        self.last_hang_ups.append(&mut self.last.hang_ups);
        self.notes.extend(self.last.notes.iter().map(|note| (note.kind, note.message.clone())));
        for send in &self.last.sends {
            let name = self.names.get(&send.node).map_or("?", String::as_str);
            self.sent.push(format!("{name} {}", words(&send.command)));
        }
        self.check();
    }

    fn check(&mut self) {
        self.cluster.check_invariants().expect("sound");
        self.records.assert_tell_the_story_of(&self.cluster);
        if self.last.wake_at != Some(BootTime(u64::try_from(self.boot.as_nanos()).unwrap())) {
            self.cluster.scope = Scope::All;
            assert!(!self.cluster.place());
            assert_eq!(self.cluster.out, Effects::default(), "scheduling twice found more");
        }
    }

    pub(super) fn now(&self) -> Now {
        let boot = BootTime(u64::try_from(self.boot.as_nanos()).unwrap());
        Now { boot, wall: WallTime(i64::try_from(self.boot.as_millis()).unwrap() + 1_000_000) }
    }

    /// The coordinator is killed and started again.
    pub(super) fn restart(&mut self) {
        self.boot += Duration::from_secs(5);
        self.cluster = self.records.restore(self.cluster.config.clone(), self.now());
        self.check();
    }

    /// Lines of the event log since the last call.
    pub(super) fn notes(&mut self) -> Vec<(NoteKind, String)> {
        std::mem::take(&mut self.notes)
    }

    /// The words of one kind of line since the last call; the others are dropped.
    pub(super) fn notes_of(&mut self, kind: NoteKind) -> Vec<String> {
        self.notes().into_iter().filter(|(of, _)| *of == kind).map(|(_, message)| message).collect()
    }

    /// Commands sent since the last call, in order, as `w1 start 1.0.1; w1 ack 1.0.1 #1`.
    pub(super) fn sent(&mut self) -> String {
        std::mem::take(&mut self.sent).join("; ")
    }

    pub(super) fn task(&self, job: JobId, index: u32) -> TaskEntry {
        let job = self.cluster.job(job).expect("job");
        let position = job.indices.position_of(TaskIndex(index)).expect("task");
        job.task(position).expect("inside").into_owned()
    }

    pub(super) fn state(&self, job: JobId, index: u32) -> TaskState {
        self.task(job, index).state
    }
}

pub(super) fn node(name: &str) -> NodeId {
    let number = name.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
    NodeId(Uuid::from_u128(number))
}

pub(super) fn hello(name: &str, text: &str, attempts: Vec<Report>) -> Hello {
    let mut hello = Hello {
        name: name.to_owned(),
        labels: BTreeMap::new(),
        capacity: Resources { cpu_millis: 0, memory: 8192 * MIB, gpus: 0 },
        worker_version: "1".to_owned(),
        runtime_version: "fake".to_owned(),
        boot_id: "b".to_owned(),
        attempts,
        images: std::collections::BTreeSet::new(),
        status: NodeStatus::default(),
        allowed_mounts: Vec::new(),
    };
    for word in text.split_whitespace() {
        if let Some(cpus) = word.strip_suffix("cpu") {
            hello.capacity.cpu_millis = cpus.parse::<u64>().unwrap() * 1000;
        } else if let Some(gib) = word.strip_suffix("gib") {
            hello.capacity.memory = gib.parse::<u64>().unwrap() * 1024 * MIB;
        } else if let Some(folder) = word.strip_prefix("mount=") {
            hello.allowed_mounts.push(folder.to_owned());
        } else if let Some(image) = word.strip_prefix("image=") {
            hello.images.insert(image.to_owned());
        } else {
            hello.labels.extend([label(word)]);
        }
    }
    hello
}

pub(super) fn running() -> Progress {
    Progress::Running { container: "c1".to_owned(), started: WallTime(5), image_digest: None }
}

pub(super) fn end(reason: EndReason, exit_code: Option<u8>) -> AttemptEnd {
    AttemptEnd {
        reason,
        exit_code,
        message: String::new(),
        oom_seen: false,
        started: Some(WallTime(5)),
        ended: Some(WallTime(6)),
        run: Duration::from_secs(1),
        usage: None,
        log_end: None,
        container: Some("c1".to_owned()),
        image_digest: Some("sha256:aa".to_owned()),
        retryable: false,
    }
}

fn words(command: &Command) -> String {
    match command {
        Command::Welcome => "welcome".to_owned(),
        Command::Start(start) => format!("start {}", start.attempt),
        Command::Stop { attempt, cause, .. } => format!("{cause:?} {attempt}").to_lowercase(),
        Command::Signal { attempt, signal } => format!("signal {} {attempt}", signal.number()),
        Command::Acknowledge { attempt, sequence } => format!("ack {attempt} #{sequence}"),
        Command::Forget { attempt } => format!("forget {attempt}"),
    }
}
