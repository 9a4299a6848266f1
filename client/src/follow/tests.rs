use super::*;

fn record(offset: u64, data: &'static [u8]) -> v1::LogRecord {
    v1::LogRecord { stream: 1, offset, time: None, data: bytes::Bytes::from_static(data) }
}

#[test]
fn bytes_that_come_twice_are_cut_off_by_their_offset() {
    let attempt = Some(v1::AttemptRef { job_id: 1, task_index: 0, attempt: 1 });
    let mut seen = Seen::default();
    let mut text = Vec::new();
    for (offset, data) in [(5, b"hello".as_slice()), (5, b"hello"), (7, b"llo wor"), (14, b"ld")] {
        let batch = v1::LogBatch { attempt, records: vec![record(offset, data)] };
        if let Some(Event::Batch(batch)) = seen.pass(Event::Batch(batch)) {
            batch.records.iter().for_each(|r| text.extend_from_slice(&r.data));
        }
    }
    assert_eq!(text, b"hello world");
}
