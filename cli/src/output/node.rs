//! Nodes and events as rows.

use dockmgr_proto::v1::node::State;
use dockmgr_proto::v1::{Event, Node, Resources};

use super::{Row, age, bytes, cores};
use crate::terminal::escape_line;

impl Row for Node {
    const LIST: &'static str = "nodes";

    fn head(wide: bool) -> Vec<&'static str> {
        let mut head = vec!["NAME", "STATE", "CPUS", "MEMORY", "RUNS", "AGE", "RUNTIME"];
        if wide {
            head.extend(["ID", "LABELS", "DISK FREE", "IMAGES", "WORKER", "REASONS"]);
        }
        head
    }

    fn cells(&self, wide: bool) -> Vec<String> {
        let none = Resources::default();
        let (used, has) = (self.used.as_ref().unwrap_or(&none), self.capacity.as_ref().unwrap_or(&none));
        let mut cells = vec![
            escape_line(&self.display_name),
            node_state(self),
            format!("{}/{}", cores(used.cpu_millis), cores(has.cpu_millis)),
            format!("{}/{}", bytes(used.memory_bytes), bytes(has.memory_bytes)),
            self.attempts.to_string(),
            age(self.register_time.as_ref()),
            escape_line(&self.runtime_version),
        ];
        if wide {
            let labels: Vec<String> =
                self.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            cells.push(escape_line(&self.id));
            cells.push(escape_line(&labels.join(",")));
            cells.push(bytes(self.disk_free_bytes));
            cells.push(self.images.to_string());
            cells.push(escape_line(&self.worker_version));
            cells.push(escape_line(&self.reasons.join("; ")));
        }
        cells
    }

    fn name(&self) -> String {
        escape_line(&self.display_name)
    }
}

fn node_state(node: &Node) -> String {
    let state = match node.state() {
        State::Unspecified => "?",
        State::Ready => "ready",
        State::NotReady => "not_ready",
        State::Silent => "silent",
        State::Lost => "lost",
    };
    let left = node.drain_remaining.and_then(|left| std::time::Duration::try_from(left).ok());
    match (node.draining, left) {
        (false, _) => state.to_owned(),
        (true, None) => format!("{state},draining"),
        (true, Some(std::time::Duration::ZERO)) => format!("{state},draining:over"),
        (true, Some(left)) => format!("{state},draining:{}", super::duration(left)),
    }
}

impl Row for Event {
    const LIST: &'static str = "events";

    fn head(_wide: bool) -> Vec<&'static str> {
        vec!["TIME", "TYPE", "JOB", "NODE", "MESSAGE"]
    }

    fn cells(&self, _wide: bool) -> Vec<String> {
        let job = match &self.attempt {
            Some(attempt) => format!("{}.{}.{}", attempt.job_id, attempt.task_index, attempt.attempt),
            None if self.job_id > 0 => self.job_id.to_string(),
            None => "-".to_owned(),
        };
        vec![
            self.time.as_ref().map_or_else(|| "-".to_owned(), super::rfc3339),
            escape_line(&self.r#type),
            job,
            if self.node_name.is_empty() { "-".to_owned() } else { escape_line(&self.node_name) },
            escape_line(&self.message),
        ]
    }

    fn name(&self) -> String {
        self.sequence.to_string()
    }
}
