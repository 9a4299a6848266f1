use dockmgr_proto::v1;

use super::*;

fn job() -> v1::Job {
    v1::Job {
        id: 42,
        state: v1::job::State::Active.into(),
        create_time: Some(dockmgr_proto::wkt::Timestamp { seconds: 1, nanos: 5_000_000 }),
        spec: Some(v1::JobSpec { name: "evil\x1b[2J".into(), image: "a".into(), ..v1::JobSpec::default() }),
        tasks: Some(v1::TaskCounts {
            total: 8,
            succeeded: 2,
            running: 1,
            queued: 5,
            ..v1::TaskCounts::default()
        }),
        ..v1::Job::default()
    }
}

#[test]
fn tables_have_upper_case_heads_and_no_control_bytes() {
    let text = table(&[job()], true);
    assert!(text.starts_with("ID "), "{text}");
    assert!(!text.contains('\x1b'), "{text:?}");
    assert!(text.lines().all(|line| !line.ends_with(' ')), "{text:?}");
}

#[test]
fn json_is_the_api_s_own() {
    let text = json_line(&job()).expect("shown");
    assert!(text.contains(r#""createTime":"1970-01-01T00:00:01.005Z""#), "{text}");
    assert!(text.contains(r#""id":"42""#) && text.contains(r#""state":"STATE_ACTIVE""#), "{text}");
    let back: v1::Job = serde_json::from_str(&text).expect("the API reads it back");
    assert_eq!(back, job());
}
