use dockmgr_proto::v1::LogAttemptEnd;

use super::*;

fn batch(task: u32, stream: LogStream, data: &'static [u8]) -> Event {
    let record =
        LogRecord { stream: stream.into(), offset: 0, time: None, data: bytes::Bytes::from_static(data) };
    let attempt = Some(AttemptRef { job_id: 42, task_index: task, attempt: 1 });
    Event::Batch(LogBatch { attempt, records: vec![record] })
}

fn end(task: u32) -> Event {
    Event::End(LogAttemptEnd {
        attempt: Some(AttemptRef { job_id: 42, task_index: task, attempt: 1 }),
        end: None,
    })
}

/// What arrives on our stdout and stderr.
fn printed(style: Style, events: &[Event]) -> (String, String) {
    let mut printer = Printer::new(style);
    let mut pieces: Vec<Piece> = events.iter().flat_map(|e| printer.print(e).expect("printable")).collect();
    pieces.extend(printer.finish());
    let of = |to: To| {
        let bytes: Vec<u8> = pieces.iter().filter(|p| p.to == to).flat_map(|p| p.bytes.clone()).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    (of(To::Stdout), of(To::Stderr))
}

#[test]
fn a_plain_job_comes_through_byte_for_byte_on_its_own_streams() {
    let events = [
        batch(0, LogStream::Stdout, b"a\r\x1b[2J"),
        batch(0, LogStream::Stderr, b"e"),
        batch(0, LogStream::Stdout, b"\0no newline"),
        end(0),
    ];
    let (out, err) = printed(Style::default(), &events);
    assert_eq!((out.as_str(), err.as_str()), ("a\r\x1b[2J\0no newline", "e"));
}

#[test]
fn lines_of_an_array_stay_whole_under_their_prefix() {
    let events = [
        batch(1, LogStream::Stdout, b"one "),
        batch(2, LogStream::Stdout, b"two\nopen"),
        batch(1, LogStream::Stdout, b"whole\n"),
        end(2),
        end(1),
    ];
    let (out, _) = printed(Style { prefixed: true, ..Style::default() }, &events);
    assert_eq!(out, "42.2| two\n42.1| one whole\n42.2| open\n");
}

#[test]
fn a_terminal_gets_no_raw_control_and_an_unfinished_sequence_is_shown() {
    let style = Style { guard_stdout: true, ..Style::default() };
    let (out, err) = printed(
        style,
        &[batch(0, LogStream::Stdout, b"x\x1b[2Jy\x1b["), batch(0, LogStream::Stderr, b"\x07")],
    );
    assert_eq!((out.as_str(), err.as_str()), ("x^[[2Jy^[[", "\x07"));
}

#[test]
fn a_line_longer_than_what_is_held_is_not_mixed_with_another() {
    static LONG: [u8; MOST_HELD + 5] = [b'x'; MOST_HELD + 5];
    let events = [batch(1, LogStream::Stdout, &LONG), batch(2, LogStream::Stdout, b"short\n"), end(1)];
    let (out, _) = printed(Style { prefixed: true, ..Style::default() }, &events);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 3, "{} lines", lines.len());
    assert_eq!((lines[1], lines[2]), ("42.2| short", "42.1| xxxxx"));
}
