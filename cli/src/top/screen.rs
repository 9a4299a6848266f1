//! The screen of `top`: what was looked at, what is chosen, and how both are drawn. Pure but for ages, which are read from the
//! clock as in every table.
//!
//! ```text
//!   coordinator, or what is wrong with it
//!   tasks, queue, throughput
//!   workers, each with bars
//!   jobs or failures, one of them chosen        <- over them: help, or a page about a job
//!   keys
//! ```

mod draw;

use dockmgr_proto::v1::Job;
use dockmgr_support::clock;
use ratatui::Frame;

use super::look::{Facts, Look};
use super::order::Order;

/// Which jobs are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Shown {
    /// Those that are active, and the newest.
    #[default]
    All,
    /// The newest that failed.
    Failed,
}

/// What a person sees.
#[derive(Debug, Default)]
pub(super) struct Screen {
    server: String,
    has_colours: bool,
    facts: Facts,
    /// When the facts were read, in milliseconds; `None` before the first.
    read_millis: Option<i64>,
    /// Why the facts are old.
    problem: Option<String>,
    /// Number of the chosen job; the first where that is not shown.
    chosen: u64,
    order: Order,
    is_turned: bool,
    shown: Shown,
    has_help: bool,
    /// A page about a job, and its first line that is shown.
    page: Option<(String, usize)>,
}

impl Screen {
    /// An empty screen.
    pub(super) fn new(server: String, has_colours: bool) -> Self {
        Self { server, has_colours, ..Self::default() }
    }

    /// Takes what a look brought; without facts the old ones stay, and it is said why.
    pub(super) fn take(&mut self, look: Look) {
        match look {
            Ok(facts) => {
                (self.facts, self.problem) = (facts, None);
                self.read_millis = Some(clock::wall_millis());
                self.sort();
            }
            Err(problem) => self.problem = Some(problem),
        }
    }

    /// The job that is chosen.
    pub(super) fn chosen(&self) -> Option<u64> {
        self.jobs().get(self.place()).map(|job| job.id)
    }

    /// Chooses a job so many rows further down, or moves the page.
    pub(super) fn move_by(&mut self, rows: isize) {
        if let Some((text, first)) = &mut self.page {
            let last = text.lines().count().saturating_sub(1);
            *first = first.saturating_add_signed(rows).min(last);
            return;
        }
        let last = self.jobs().len().saturating_sub(1);
        let place = self.place().saturating_add_signed(rows).min(last);
        self.chosen = self.jobs().get(place).map_or(0, |job| job.id);
    }

    /// Shows all jobs, or those that failed.
    pub(super) fn turn_to_failures(&mut self) {
        self.shown = match self.shown {
            Shown::All => Shown::Failed,
            Shown::Failed => Shown::All,
        };
    }

    /// Sorts by the next order.
    pub(super) fn sort_next(&mut self) {
        self.order = self.order.next();
        self.is_turned = false;
        self.sort();
    }

    /// Sorts the other way round.
    pub(super) fn turn_round(&mut self) {
        self.is_turned = !self.is_turned;
        self.sort();
    }

    /// Shows the help, or takes it away.
    pub(super) fn turn_help(&mut self) {
        self.has_help = !self.has_help;
    }

    /// Shows a page over the jobs.
    pub(super) fn open_page(&mut self, text: String) {
        self.page = Some((text, 0));
    }

    /// Takes away what is over the jobs; false if nothing is.
    pub(super) fn close(&mut self) -> bool {
        std::mem::take(&mut self.has_help) || self.page.take().is_some()
    }

    /// Draws everything; any size will do.
    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        draw::everything(self, frame);
    }

    fn sort(&mut self) {
        self.order.sort(&mut self.facts.jobs, self.is_turned);
        self.order.sort(&mut self.facts.failed, self.is_turned);
    }

    fn jobs(&self) -> &[Job] {
        match self.shown {
            Shown::All => &self.facts.jobs,
            Shown::Failed => &self.facts.failed,
        }
    }

    fn place(&self) -> usize {
        self.jobs().iter().position(|job| job.id == self.chosen).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
