//! Servers that are overloaded, cut answers off, close idle connections or judge each document.

use std::sync::Arc;

use dockmgr_core::export::{About, Delivery, DocumentId, Verdict};
use dockmgr_core::ids::AttemptId;
use dockmgr_core::log::Stream;
use dockmgr_core::time::WallTime;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::super::target::{Kind, Target};
use super::*;

/// An answer, and whether the connection is closed after so many bytes of it.
struct Scripted(&'static str, Option<usize>);

/// A server that gives one answer after the other, and a sink that sends to it.
async fn server(form: &str, answers: Vec<Scripted>) -> (HttpSink, impl Future<Output = usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("{form}+http://{}/x", listener.local_addr().expect("an address"));
    let Kind::Server(server) = Target::parse(&url).expect("a URL").kind else { panic!("a server") };
    let serve = async move {
        let (mut connections, mut stream) = (0, None);
        for Scripted(answer, cut) in answers {
            let mut open = if let Some(open) = stream.take() {
                open
            } else {
                connections += 1;
                listener.accept().await.expect("a connection").0
            };
            read_request(&mut open).await;
            let sent = &answer.as_bytes()[..cut.unwrap_or(answer.len())];
            open.write_all(sent).await.expect("it listens");
            stream = cut.is_none().then_some(open);
        }
        connections
    };
    (HttpSink::new(server), serve)
}

async fn read_request(stream: &mut TcpStream) {
    let (mut request, mut block) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut block).await.expect("a request");
        assert!(read > 0, "a whole request comes");
        request.extend_from_slice(&block[..read]);
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        if body.len() >= length.parse::<usize>().expect("a number") {
            return;
        }
    }
}

fn documents(count: u64) -> Vec<Document> {
    let attempt = AttemptId::from_parts(1, 0, 1).expect("valid");
    let about = Arc::new(About::default());
    let id = |offset| DocumentId::Line(attempt, Stream::Stdout, offset);
    let document = |offset| Document::line(id(offset), WallTime(0), Bytes::from_static(b"x"), &about);
    (0..count).map(document).collect()
}

const BUSY: &str = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy";
const TOO_LARGE: &str = "HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\n\r\n";
const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn an_overloaded_server_is_left_alone_for_as_long_as_it_asks() {
    let (sink, serve) = server("elasticsearch", vec![Scripted(BUSY, None), Scripted(BUSY, None)]).await;
    let documents = documents(2);
    let ask = async {
        for _ in 0..2 {
            let after = Some(Duration::from_secs(7));
            let why = "status 429: busy".to_owned();
            assert_eq!(sink.send(&documents).await, Answer::Later { why, after });
        }
    };
    let (connections, ()) = tokio::join!(serve, ask);
    assert_eq!(connections, 1, "the connection is used again");
}

#[tokio::test]
async fn each_document_of_a_bulk_request_is_judged() {
    const MIXED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 95\r\n\r\n\
        {\"items\":[{\"create\":{\"status\":201}},{\"create\":{\"status\":429}},{\"create\":{\"status\":400}}]      }";
    let (sink, serve) = server("elasticsearch", vec![Scripted(MIXED, None)]).await;
    let documents = documents(3);
    let (_, answer) = tokio::join!(serve, sink.send(&documents));
    let Answer::Each(verdicts) = answer else { panic!("{answer:?}") };
    assert!(matches!(verdicts[..], [Verdict::Delivered, Verdict::Again, Verdict::Dead(_)]), "{verdicts:?}");
}

#[tokio::test]
async fn an_answer_that_is_cut_off_and_an_idle_connection_that_is_closed_lose_nothing() {
    // The second connection is closed right behind a whole answer.
    let answers = vec![Scripted(BUSY, Some(20)), Scripted(EMPTY, Some(EMPTY.len())), Scripted(EMPTY, None)];
    let (sink, serve) = server("otlp", answers).await;
    let documents = documents(1);
    let ask = async {
        let cut = sink.send(&documents).await;
        assert!(matches!(cut, Answer::Later { after: None, .. }), "{cut:?}");
        assert_eq!(sink.send(&documents).await, Answer::Taken);
        assert_eq!(sink.send(&documents).await, Answer::Taken);
    };
    let (connections, ()) = tokio::join!(serve, ask);
    assert_eq!(connections, 3);
}

#[tokio::test]
async fn a_request_that_is_too_large_is_sent_in_halves_and_one_document_alone_is_dead() {
    let answers = [TOO_LARGE, EMPTY, TOO_LARGE].map(|answer| Scripted(answer, None)).into();
    let (sink, serve) = server("otlp", answers).await;
    let ask = async {
        let mut delivery = Delivery::new(documents(2));
        let mut dead = Vec::new();
        while let Some(sent) = delivery.next() {
            let answer = sink.send(sent).await;
            dead.extend(delivery.answered(answer).dead);
        }
        dead
    };
    let (_, dead) = tokio::join!(serve, ask);
    let ids: Vec<String> = dead.iter().map(|letter| letter.document.id.to_string()).collect();
    assert_eq!(ids, ["1.0.1-stdout-1"]);
}
