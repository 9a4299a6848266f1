//! Tasks as rows.

use dockmgr_proto::v1::Task;

use super::{Row, reason, seconds_between, task_state};
use crate::terminal::escape_line;

impl Row for Task {
    const LIST: &'static str = "tasks";

    fn head(_wide: bool) -> Vec<&'static str> {
        vec!["TASK", "STATE", "EXIT", "ATTEMPTS", "NODE", "RAN", "REASON", "MESSAGE"]
    }

    fn cells(&self, _wide: bool) -> Vec<String> {
        let last = self.attempts.last();
        vec![
            self.index.to_string(),
            task_state(self.state()).to_owned(),
            self.exit_code.map_or_else(|| "-".to_owned(), |code| code.to_string()),
            last.map_or(0, |attempt| attempt.number).to_string(),
            last.map_or_else(|| "-".to_owned(), |attempt| escape_line(&attempt.node_name)),
            last.map_or_else(
                || "-".to_owned(),
                |attempt| seconds_between(attempt.start_time.as_ref(), attempt.end_time.as_ref()),
            ),
            reason(self.end_reason()).to_owned(),
            escape_line(&self.message),
        ]
    }

    fn name(&self) -> String {
        self.index.to_string()
    }
}
