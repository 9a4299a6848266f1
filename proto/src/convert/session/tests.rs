use std::collections::BTreeMap;
use std::time::Duration;

use dockmgr_core::cluster::{Command, Hello, NodeStatus, Progress, Pull, Report, StopCause, WorkerNews};
use dockmgr_core::ids::{AttemptId, Incarnation, NodeId};
use dockmgr_core::log::{End, Mark, Offsets, Stream};
use dockmgr_core::outcome::{AttemptEnd, EndReason, Usage};
use dockmgr_core::spec::{Resources, Signal};
use dockmgr_core::time::WallTime;
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::v1;

const NODE: &str = "0190d3c4-7e2a-7c5e-8f00-3d2b1a4c5e6f";

fn attempt() -> AttemptId {
    AttemptId::from_parts(42, 7, 2).unwrap()
}

fn ended() -> Progress {
    let marks = vec![
        Mark::Truncated { stream: Stream::Stderr, at: 10, cap: 10 },
        Mark::Suspect { reason: "disk low".to_owned() },
        Mark::Gap { stream: Stream::Stdout, from: 3, to: 5, reason: "cut off".to_owned() },
    ];
    Progress::Ended(Box::new(AttemptEnd {
        reason: EndReason::Signaled,
        exit_code: Some(137),
        message: "gone".to_owned(),
        oom_seen: true,
        started: Some(WallTime(-1)),
        ended: Some(WallTime(1_700_000_000_123)),
        run: Duration::from_millis(5_007),
        usage: Some(Usage { cpu: Duration::new(3, 250_000_000), peak_memory: 1 << 40 }),
        log_end: Some(End { offsets: Offsets { stdout: 5, stderr: u64::MAX }, marks }),
        container: Some("c".repeat(64)),
        image_digest: None,
        retryable: true,
    }))
}

fn every_progress() -> Vec<Progress> {
    let digest = Some("sha256:ab".to_owned());
    vec![
        Progress::Accepted,
        Progress::Pulling(Pull { current: 1, total: u64::MAX, status: "Extracting".to_owned() }),
        Progress::Starting { image_digest: None },
        Progress::Running { container: "c".to_owned(), started: WallTime(0), image_digest: digest },
        Progress::Stopping { stuck: true },
        ended(),
    ]
}

#[test]
fn every_report_comes_back_as_it_was() {
    for progress in every_progress() {
        let report = Report { attempt: attempt(), sequence: 9, progress };
        assert_eq!(report_from_wire("report", report_to_wire(&report)), Ok(report));
    }
}

#[test]
fn a_run_time_comes_back_in_whole_milliseconds() {
    let with_run = |run| {
        let Progress::Ended(mut end) = ended() else { unreachable!("it is an end") };
        end.run = run;
        Report { attempt: attempt(), sequence: 1, progress: Progress::Ended(end) }
    };
    let finer = with_run(Duration::from_nanos(5_007_999_999));
    let kept = with_run(Duration::from_millis(5_007));
    assert_eq!(report_from_wire("report", report_to_wire(&finer)), Ok(kept));
}

#[test]
fn a_hello_comes_back_as_it_was() {
    let reports =
        every_progress().into_iter().map(|progress| Report { attempt: attempt(), sequence: 1, progress });
    let hello = Hello {
        name: "w1".to_owned(),
        labels: BTreeMap::from([("zone".parse().unwrap(), "eu".parse().unwrap())]),
        capacity: Resources { cpu_millis: 4000, memory: 1 << 33, gpus: 1 },
        worker_version: "0.1.0".to_owned(),
        runtime_version: String::new(),
        boot_id: "b".to_owned(),
        attempts: reports.collect(),
        images: ["debian:stable-slim".to_owned()].into(),
        status: NodeStatus {
            not_ready: vec!["disk".to_owned()],
            disk_free: 5,
            images: 3,
            warnings: vec!["live-restore is off".to_owned()],
        },
        allowed_mounts: vec!["/srv".to_owned()],
    };
    let (node, incarnation) = (NODE.parse::<NodeId>().unwrap(), NODE.parse::<Incarnation>().unwrap());
    for cluster in [None, Some(NODE.parse().unwrap())] {
        let back = hello_from_wire(hello_to_wire(node, incarnation, cluster, &hello));
        assert_eq!(back, Ok(Registration { node, incarnation, cluster, hello: hello.clone() }));
    }
}

#[test]
fn a_stop_comes_back_as_it_was_and_a_signal_is_told_apart() {
    for (cause, signal, grace) in [
        (StopCause::Stop, None, None),
        (StopCause::Kill, Some(Signal::KILL), Some(Duration::ZERO)),
        (StopCause::Timeout, Some(Signal::INT), Some(Duration::from_secs(3600))),
        (StopCause::Superseded, None, Some(Duration::from_millis(1))),
    ] {
        let back = stop_from_wire(stop_to_wire(attempt(), cause, signal, grace));
        assert_eq!(back, Ok(Command::Stop { attempt: attempt(), cause, signal, grace }));
    }
    let mut wire = stop_to_wire(attempt(), StopCause::Kill, Some(Signal::INT), None);
    wire.signal_only = true;
    assert_eq!(stop_from_wire(wire), Ok(Command::Signal { attempt: attempt(), signal: Signal::INT }));
}

#[test]
fn a_heartbeat_without_a_condition_is_refused_by_name() {
    let error = heartbeat_from_wire(v1::Heartbeat::default()).unwrap_err();
    assert_eq!(error.to_string(), "heartbeat.status: it is missing");
    let status = Some(v1::NodeStatus::default());
    assert!(matches!(
        heartbeat_from_wire(v1::Heartbeat { status, ..v1::Heartbeat::default() }),
        Ok(WorkerNews::Heartbeat { .. })
    ));
}

#[test]
fn wrong_fields_of_a_report_are_named() {
    let good = report_to_wire(&Report { attempt: attempt(), sequence: 1, progress: ended() });
    let field_of = |change: &dyn Fn(&mut v1::AttemptReport, &mut v1::AttemptEnded)| {
        let mut wire = good.clone();
        let Some(v1::attempt_report::News::Ended(mut end)) = wire.news.take() else { panic!("it has ended") };
        change(&mut wire, &mut end);
        wire.news = Some(v1::attempt_report::News::Ended(end));
        report_from_wire("report", wire).unwrap_err().field
    };
    assert_eq!(field_of(&|report, _| report.sequence = 0), "report.sequence");
    assert_eq!(field_of(&|report, _| report.attempt = None), "report.attempt");
    assert_eq!(field_of(&|report, _| report.attempt.as_mut().unwrap().attempt = 0), "report.attempt");
    assert_eq!(field_of(&|_, end| end.reason = 0), "report.ended.reason");
    assert_eq!(field_of(&|_, end| end.reason = 99), "report.ended.reason");
    assert_eq!(field_of(&|_, end| end.exit_code = Some(256)), "report.ended.exit_code");
    assert_eq!(field_of(&|_, end| end.exit_code = Some(-1)), "report.ended.exit_code");
    assert_eq!(field_of(&|_, end| end.run_duration = None), "report.ended.run_duration");
    assert_eq!(
        field_of(&|_, end| end.usage.as_mut().unwrap().cpu_seconds = f64::NAN),
        "report.ended.usage.cpu_seconds"
    );
    assert_eq!(field_of(&|_, end| end.log_end.as_mut().unwrap().end = None), "report.ended.log_end.end");
    assert_eq!(
        field_of(&|_, end| end.log_end.as_mut().unwrap().marks[0].stream = 0),
        "report.ended.log_end.marks[0].stream"
    );
}

proptest! {
    #[test]
    fn no_bytes_make_a_session_message_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(wire) = v1::Hello::decode(bytes.as_slice()) {
            drop(hello_from_wire(wire));
        }
        if let Ok(wire) = v1::Heartbeat::decode(bytes.as_slice()) {
            drop(heartbeat_from_wire(wire));
        }
        if let Ok(wire) = v1::AttemptReport::decode(bytes.as_slice()) {
            drop(report_from_wire("report", wire));
        }
        if let Ok(wire) = v1::StartAttempt::decode(bytes.as_slice()) {
            drop(start_from_wire(wire));
        }
        if let Ok(wire) = v1::StopAttempt::decode(bytes.as_slice()) {
            drop(stop_from_wire(wire));
        }
    }
}
