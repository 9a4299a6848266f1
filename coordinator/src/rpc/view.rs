//! Jobs, tasks, attempts and nodes of the cluster as messages of the API.

use dockmgr_core::cluster::{
    AttemptEntry, Cluster, Counts, Job, JobOutcome, Node, NodeState, TaskEntry, Verdict,
};
use dockmgr_core::outcome::TaskState;
use dockmgr_core::time::{Now, WallTime};
use dockmgr_proto::convert;
use dockmgr_proto::v1;
use dockmgr_proto::wkt::Timestamp;

/// A job with its one task, or without tasks if it is an array.
pub(crate) fn job(cluster: &Cluster, job: &Job) -> v1::Job {
    let task = match job.spec.array {
        Some(_) => None,
        None => job.task(0).map(|entry| task(cluster, job, &entry)),
    };
    let queue_position = cluster.queue_position(job.id);
    let summary = summary(job);
    let message = cluster.waits_for(job.id).unwrap_or_else(|| summary.message.clone());
    v1::Job { queue_position, task, message, ..summary }
}

/// A job as stored, without what only a live cluster knows.
fn summary(job: &Job) -> v1::Job {
    let outcome = job.outcome.as_ref();
    v1::Job {
        name: format!("namespaces/default/jobs/{}", job.id),
        id: job.id.get(),
        uid: job.uid.to_string(),
        spec: Some(convert::spec::to_wire(&job.spec)),
        state: convert::outcome::job_state_to_wire(job.state()).into(),
        tasks: Some(counts(job.counts)),
        create_time: Some(time(job.created)),
        start_time: job.started.map(time),
        end_time: job.ended.map(time),
        exit_code: outcome.map(|outcome| i32::from(outcome.exit_code)),
        end_reason: outcome
            .map_or(v1::EndReason::Unspecified, |o| convert::outcome::end_reason_to_wire(o.reason))
            .into(),
        message: outcome.map(|outcome: &JobOutcome| outcome.message.clone()).unwrap_or_default(),
        retry_of: job.retry_of.map_or(0, dockmgr_core::ids::JobId::get),
        revision: job.revision,
        stop_requested: job.stop.is_some(),
        task: None,
        queue_position: 0,
        overlap_possible: job.overlap_possible,
        pinned: job.pinned,
        output_deletion: job.output_deleted.map(|(at, reason)| v1::OutputDeletion {
            time: Some(time(at)),
            reason: convert::outcome::output_deletion_to_wire(reason).into(),
        }),
    }
}

/// Ranges of array indices that failed, such as `3,7-9`, cut after 64 ranges; empty for a plain job.
pub(crate) fn failed_tasks(job: &Job) -> String {
    const MAX_RANGES: usize = 64;
    if job.spec.array.is_none() || job.counts.failed == 0 {
        return String::new();
    }
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for task in job.tasks_from(0).filter(|task| task.state == TaskState::Failed) {
        let Some(index) = job.indices.index_of(task.position) else { continue };
        let full = ranges.len() == MAX_RANGES;
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(index.0) => *last = index.0,
            Some(_) if full => break,
            Some(_) | None => ranges.push((index.0, index.0)),
        }
    }
    let text = |(first, last): &(u32, u32)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    ranges.iter().map(text).collect::<Vec<_>>().join(",")
}

/// A task with the attempts that are kept.
pub(crate) fn task(cluster: &Cluster, job: &Job, task: &TaskEntry) -> v1::Task {
    v1::Task {
        index: job.indices.index_of(task.position).map_or(task.position, |index| index.0),
        state: convert::outcome::task_state_to_wire(task.state).into(),
        attempts: task.attempts.iter().map(attempt).collect(),
        end_reason: task
            .end_reason
            .map_or(v1::EndReason::Unspecified, convert::outcome::end_reason_to_wire)
            .into(),
        exit_code: task.exit_code().map(i32::from),
        message: cluster.worker_awaited(job, task).unwrap_or_else(|| task.message.clone()),
        retry_time: task.retry_at.map(|at| time(at.wall)),
    }
}

fn attempt(attempt: &AttemptEntry) -> v1::Attempt {
    let end = attempt.end.as_deref();
    let loss = attempt.loss.as_deref();
    let late = loss.and_then(|loss| loss.late.as_ref());
    v1::Attempt {
        number: attempt.number.0,
        node_id: attempt.node.to_string(),
        node_name: attempt.node_name.to_string(),
        state: convert::outcome::task_state_to_wire(attempt.state).into(),
        place_time: Some(time(attempt.placed)),
        start_time: attempt.started.map(time),
        end_time: end.and_then(|end| end.ended).map(time),
        end_reason: end
            .map_or(v1::EndReason::Unspecified, |end| convert::outcome::end_reason_to_wire(end.reason))
            .into(),
        exit_code: end.and_then(|end| end.exit_code).map(i32::from),
        message: end.map(|end| end.message.clone()).unwrap_or_default(),
        oom_seen: end.is_some_and(|end| end.oom_seen),
        usage: end.and_then(|end| end.usage).map(convert::outcome::usage_to_wire),
        log_end: end.and_then(|end| end.log_end.as_ref()).map(convert::log::end_to_wire),
        container_id: attempt.container.clone().unwrap_or_default(),
        image_digest: attempt.image_digest.as_deref().unwrap_or_default().to_owned(),
        run_duration: end
            .filter(|_| attempt.started.is_some())
            .map(|end| convert::time::duration_to_wire(end.run)),
        pull: attempt.pull.as_deref().map(|pull| v1::PullProgress {
            current_bytes: pull.current,
            total_bytes: pull.total,
            status: pull.status.clone(),
        }),
        lost_time: loss.map(|loss| time(loss.given_up)),
        late_time: late.map(|late| time(late.told)),
        late_start_time: late.and_then(|late| late.started).map(time),
        late_end_time: late.and_then(|late| late.ended).map(time),
        overlap_possible: late.is_some_and(|late| late.overlap),
    }
}

/// A node.
pub(crate) fn node(cluster: &Cluster, node: &Node, now: Now) -> v1::Node {
    let state = match node.state() {
        NodeState::Ready => v1::node::State::Ready,
        NodeState::NotReady => v1::node::State::NotReady,
        NodeState::Silent => v1::node::State::Silent,
        NodeState::Lost => v1::node::State::Lost,
    };
    v1::Node {
        name: format!("nodes/{}", node.id),
        id: node.id.to_string(),
        display_name: node.name.to_string(),
        labels: convert::resources::labels_to_wire(&node.host.labels),
        state: state.into(),
        draining: node.drain.is_some(),
        capacity: Some(convert::resources::resources_to_wire(node.host.capacity)),
        used: Some(convert::resources::resources_to_wire(node.host.used)),
        attempts: u32::try_from(node.attempts.len()).unwrap_or(u32::MAX),
        reasons: cluster.node_reasons(node, now.boot),
        register_time: Some(time(node.registered)),
        silent_duration: node.silence(now.boot).map(convert::time::duration_to_wire),
        worker_version: node.worker_version.clone(),
        runtime_version: node.runtime_version.clone(),
        disk_free_bytes: i64::try_from(node.status.disk_free).unwrap_or(i64::MAX),
        images: node.status.images,
        drain_remaining: node
            .drain
            .and_then(|drain| drain.due)
            .map(|due| convert::time::duration_to_wire(due.since(now.boot))),
        warnings: node.status.warnings.clone(),
    }
}

/// What a node says about a spec.
pub(crate) fn verdict(verdict: &Verdict) -> v1::NodeVerdict {
    v1::NodeVerdict {
        node_id: verdict.node.to_string(),
        node_name: verdict.name.clone(),
        fits_now: verdict.fits_now,
        fits_ever: verdict.fits_ever,
        reason: verdict.reason.clone(),
    }
}

fn counts(counts: Counts) -> v1::TaskCounts {
    v1::TaskCounts {
        total: counts.total(),
        queued: counts.queued,
        starting: counts.starting,
        running: counts.running,
        unknown: counts.unknown,
        succeeded: counts.succeeded,
        failed: counts.failed,
        cancelled: counts.cancelled,
    }
}

/// A moment.
pub(crate) fn time(time: WallTime) -> Timestamp {
    convert::time::wall_to_wire(time)
}
