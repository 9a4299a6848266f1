//! What the far end of an exporter holds, put together again.

use std::collections::BTreeMap;

use dockmgr_tests::{Cluster, STEP_LIMIT, wait_until};
use serde_json::Value;

/// Lines by (job, task, attempt, stream) and offset.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    lines: BTreeMap<(u64, u64, u64, String), BTreeMap<u64, String>>,
    /// Documents that came more than once.
    pub(crate) repeats: usize,
    /// Ends of attempts and jobs by their id: how each ended.
    pub(crate) ends: BTreeMap<String, String>,
}

impl Held {
    /// What documents in the JSON form say.
    pub(crate) fn of(documents: impl IntoIterator<Item = Value>) -> Self {
        let mut held = Self::default();
        for document in documents {
            let event = |name: &str| document["event"][name].as_str().unwrap_or_default().to_owned();
            if event("dataset") != "dockmgr.output" {
                let message = document["message"].as_str().expect("a message");
                held.end(event("id"), message.to_owned());
                continue;
            }
            let own = |name: &str| document.pointer(&format!("/dockmgr/{name}")).cloned().unwrap_or_default();
            let number = |name: &str| own(name).as_u64().unwrap_or_else(|| panic!("{name} in {document}"));
            let stream = own("stream").as_str().expect("a stream").to_owned();
            let message = document["message"].as_str().expect("a message").to_owned();
            held.add((number("job"), number("task"), number("attempt"), stream), number("offset"), message);
        }
        held
    }

    /// Adds a line.
    pub(crate) fn add(&mut self, place: (u64, u64, u64, String), offset: u64, message: String) {
        if self.lines.entry(place).or_default().insert(offset, message).is_some() {
            self.repeats += 1;
        }
    }

    /// Adds an end.
    pub(crate) fn end(&mut self, id: String, message: String) {
        if self.ends.insert(id, message).is_some() {
            self.repeats += 1;
        }
    }

    /// The text of one stream of a task's only attempt; a hole shows as such.
    pub(crate) fn text(&self, job: u64, task: u64, stream: &str) -> String {
        let mut text = String::new();
        let Some(lines) = self.lines.get(&(job, task, 1, stream.to_owned())) else { return text };
        for (offset, line) in lines {
            if *offset != text.len() as u64 {
                text.push_str("<hole>");
            }
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

/// Waits until `look` shows exactly these texts of standard output: job, task, text; and that task and job ended well.
pub(crate) async fn expect(expected: &[(u64, u64, String)], mut look: impl AsyncFnMut() -> Held) -> Held {
    wait_until("everything to be shipped", 3 * STEP_LIMIT, async || {
        let held = look().await;
        for (job, task, text) in expected {
            let seen = held.text(*job, *task, "stdout");
            if seen != *text {
                return Err(format!("of job {job}.{task} is there {:?}", tail(&seen)));
            }
            for id in [format!("{job}.{task}.1-end"), format!("{job}-end")] {
                if !held.ends.get(&id).is_some_and(|end| end.starts_with("ended: exited, exit code 0")) {
                    return Err(format!("{id} is {:?}", held.ends.get(&id)));
                }
            }
        }
        Ok(held)
    })
    .await
}

fn tail(text: &str) -> &str {
    &text[text.floor_char_boundary(text.len().saturating_sub(200))..]
}

/// Submits jobs that write for some seconds and kills the coordinator meanwhile, `kills` times. What they wrote comes back.
pub(crate) async fn written_under_kills(cluster: &mut Cluster, kills: usize) -> Vec<(u64, u64, String)> {
    let lines = |n: u64| {
        format!("for i in $(seq 1 {n}); do echo line $i of it; sleep 0.05; done; echo -n no newline")
    };
    let text = |n: u64| (1..=n).map(|i| format!("line {i} of it\n")).collect::<String>() + "no newline\n";
    let mut expected = Vec::new();
    for round in 0..=kills {
        let long = cluster.submit([lines(100)]).await;
        let array = cluster.submit(["--array", "0-9", "echo task $DOCKMGR_TASK; echo no >&2"]).await;
        expected.push((long, 0, text(100)));
        for task in 0..10 {
            expected.push((array, task, format!("task {task}\n")));
        }
        if round < kills {
            cluster.wait_state(long, dockmgr_proto::v1::TaskState::Running).await;
            cluster.kill_coordinator().await;
            cluster.start_coordinator().await;
        }
    }
    expected
}
