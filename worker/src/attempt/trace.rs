//! The spans of an attempt that its worker saw; drawn once, when its result is written down.

use dockmgr_core::outcome::AttemptEnd;
use dockmgr_core::time::WallTime;
use dockmgr_core::trace::{JobTrace, Span, Step, Value};
use dockmgr_support::clock;

use super::driver::Driver;

/// When the steps before the run were; empty for what an earlier process did.
#[derive(Debug, Default)]
pub(super) struct StepTimes {
    /// The image was first asked for.
    wanted: Option<WallTime>,
    /// It was there.
    ready: Option<WallTime>,
}

impl StepTimes {
    /// The image is asked for, perhaps not for the first time.
    pub(super) fn image_wanted(&mut self) {
        self.wanted.get_or_insert_with(now);
    }

    /// The image is there.
    pub(super) fn image_ready(&mut self) {
        self.ready = Some(now());
    }
}

impl Driver {
    /// Records the spans, if spans go anywhere and the submitter wants them.
    pub(super) fn trace(&self, end: &AttemptEnd) {
        if !self.context.tracer.is_on() {
            return;
        }
        let start = self.start();
        let trace = JobTrace::of(self.context.identity().cluster, self.attempt.job(), &start.spec);
        if trace.is_sampled() {
            self.context.tracer.record(self.spans(&trace, end));
        }
    }

    fn spans(&self, trace: &JobTrace, end: &AttemptEnd) -> Vec<Span> {
        let ended = end.ended.unwrap_or_else(now);
        let draw = |step, times| {
            let span = trace.worker_span(self.attempt, step, times);
            span.with("dockmgr.node", Value::Text(self.context.node_name.clone()))
        };
        let fails = |span: Span| Span { error: Some(end.reason.to_string()), ..span };
        let StepTimes { wanted, ready } = self.times;
        let pull = wanted.map(|wanted| {
            let span = draw(Step::Pull, (wanted, ready.unwrap_or(ended)))
                .with("container.image.name", Value::Text(self.start().spec.image.to_string()));
            if ready.is_some() { span } else { fails(span) }
        });
        let start = ready.map(|ready| {
            let span = draw(Step::Start, (ready, end.started.unwrap_or(ended)));
            if end.started.is_some() { span } else { fails(span) }
        });
        let run = end.started.map(|started| {
            let span = draw(Step::Run, (started, ended));
            if end.is_success() { span } else { fails(span) }
        });
        [pull, start, run].into_iter().flatten().collect()
    }
}

fn now() -> WallTime {
    WallTime(clock::wall_millis())
}
