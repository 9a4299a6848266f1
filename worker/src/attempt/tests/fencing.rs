//! Losing contact with the leader: what ends, what goes on, and what a crash in between changes (nothing).

use super::*;
use crate::testing::wait_until_async;

/// An attempt of a job that waits for its worker.
fn waiting(job: u64, script: &str) -> Box<Start> {
    let mut start = start(job, "image:1", script);
    start.spec.on_lost = OnLost::Wait;
    start
}

impl Life {
    /// Starts to watch the clock, as the worker does.
    fn watch_contact(&self) {
        let watch = watch_forever(self.attempts.clone(), self.tasks.token().clone());
        self.tasks.spawn("fence", watch);
    }

    /// From now on the last contact is too long ago.
    fn lose_contact(&self) {
        self.attempts.context().contact.set_fence_after(Duration::ZERO);
    }

    fn find_contact(&self) {
        touch(&self.attempts.context().contact);
    }

    /// Whether the newest report of an attempt is one of these.
    fn says(&self, attempt: AttemptId, what: fn(&Progress) -> bool) -> bool {
        let reports = self.attempts.context().outbox.all();
        reports.iter().any(|report| report.attempt == attempt && what(&report.progress))
    }
}

#[tokio::test]
async fn without_contact_an_attempt_is_stopped_and_ends_as_lost_but_one_that_waits_runs_on() {
    let mut rig = Rig::new();
    let life = rig.boot().await;
    life.watch_contact();
    let (kept, lost) = (waiting(1, "sleep 100"), start(2, "image:1", "trap 'exit 0' TERM; sleep 100"));
    let attempts = [kept.attempt, lost.attempt];
    for start in [kept, lost] {
        let attempt = start.attempt;
        life.attempts.start(start);
        life.running(attempt).await;
    }
    life.lose_contact();
    let end = life.ended(attempts[1]).await;
    assert_eq!((end.reason, end.retryable), (EndReason::Lost, true));
    assert!(end.message.starts_with("fenced: no contact with the leader for"), "{}", end.message);
    assert!(end.log_end.is_some_and(|log| log.is_complete()), "its output has an end all the same");
    assert!(life.end_of(attempts[0]).is_none(), "a job that waits is never fenced");
}

#[tokio::test]
async fn while_contact_is_lost_nothing_starts_and_afterwards_it_does() {
    let mut rig = Rig::new();
    let life = rig.boot().await;
    life.watch_contact();
    life.lose_contact();
    let (refused, kept) = (start(1, "image:1", "true"), waiting(2, "exit 4"));
    let attempts = [refused.attempt, kept.attempt];
    life.attempts.start(refused);
    life.attempts.start(kept);
    let end = life.ended(attempts[0]).await;
    assert_eq!((end.reason, end.exit_code, end.retryable), (EndReason::Lost, None, true));
    assert_eq!(rig.runs(attempts[0]).unwrap_or(0), 0, "no start was sent");
    assert_eq!(life.ended(attempts[1]).await.exit_code, Some(4));
    life.find_contact();
    let later = start(3, "image:1", "exit 5");
    let attempt = later.attempt;
    life.attempts.start(later);
    assert_eq!(life.ended(attempt).await.exit_code, Some(5));
}

#[tokio::test]
async fn a_worker_that_comes_back_too_late_fences_before_anything_else_starts() {
    let mut rig = Rig::new();
    let life = rig.boot().await;
    rig.fake.order_fault(Call::Create, Fault::Hangs);
    let (queued, running) = (start(1, "image:1", "true"), start(2, "image:1", "sleep 100"));
    let ids = [queued.attempt, running.attempt];
    life.attempts.start(queued);
    wait_until("the create hangs", || {
        life.says(ids[0], |news| matches!(news, Progress::Starting { .. })).then_some(())
    })
    .await;
    life.attempts.start(running);
    life.running(ids[1]).await;
    life.lose_contact();
    life.crash().await;
    let life = rig.boot_without_contact().await;
    for attempt in ids {
        let end = life.ended(attempt).await;
        assert_eq!((end.reason, end.retryable), (EndReason::Lost, true), "{attempt}: {}", end.message);
    }
    assert_eq!(rig.runs(ids[0]).unwrap_or(0), 0, "what had not started does not start");
    for attempt in ids {
        assert!(rig.runs(attempt).unwrap_or(0) <= 1);
    }
}

#[tokio::test]
async fn a_fence_that_was_begun_ends_the_same_way_after_a_crash_although_contact_is_back() {
    let mut rig = Rig::new();
    let life = rig.boot().await;
    life.watch_contact();
    let start = start(1, "image:1", "trap '' TERM; sleep 100");
    let attempt = start.attempt;
    life.attempts.start(start);
    life.running(attempt).await;
    life.lose_contact();
    wait_until("the fence begins", || {
        life.says(attempt, |news| matches!(news, Progress::Stopping { .. })).then_some(())
    })
    .await;
    life.crash().await;
    let life = rig.boot().await;
    let end = life.ended(attempt).await;
    assert_eq!((end.reason, end.exit_code, end.retryable), (EndReason::Lost, Some(137), true));
}

#[tokio::test]
async fn an_end_of_its_own_while_the_worker_is_away_is_told_although_it_comes_back_fenced() {
    let mut rig = Rig::new();
    let life = rig.boot().await;
    let start = start(1, "image:1", "sleep 0.2; exit 3");
    let attempt = start.attempt;
    life.attempts.start(start);
    life.running(attempt).await;
    life.lose_contact();
    life.crash().await;
    let name = container_name(IDENTITY.cluster, attempt);
    wait_until_async("it ends alone", async || {
        let state = rig.fake.inspect(&name).await.expect("the fake answers");
        state.is_some_and(|state| state.exit() == Some(3))
    })
    .await;
    let life = rig.boot_without_contact().await;
    let end = life.ended(attempt).await;
    assert_eq!((end.reason, end.exit_code), (EndReason::Exited, Some(3)));
}
