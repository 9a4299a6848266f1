use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

struct Constant;

impl Page for Constant {
    async fn text(&self) -> Result<String, fmt::Error> {
        Ok("x 1\n".to_owned())
    }
}

async fn listening(token: Option<&str>) -> (SocketAddr, Tasks) {
    let listen = "127.0.0.1:0".parse().expect("an address");
    let token = token.map(|text| ApiToken::parse(text).expect("long enough"));
    let listener = Listener::bind(&Settings { listen, token }).await.expect("binds");
    let (address, tasks) = (listener.address(), Tasks::default());
    tasks.spawn("metrics", listener.run(Constant, tasks.clone()));
    (address, tasks)
}

/// Sends bytes and returns all that comes back.
async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    stream.write_all(request.as_bytes()).await.expect("sends");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer and its end");
    answer
}

#[tokio::test]
async fn the_page_is_answered_once_a_connection_with_its_type() {
    let (address, tasks) = listening(None).await;
    let answer = exchange(address, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(
        answer.contains("content-type: text/plain; version=0.0.4") && answer.ends_with("\r\nx 1\n"),
        "{answer}"
    );
    let answer = exchange(address, "GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
    let answer =
        exchange(address, "POST /metrics HTTP/1.1\r\nHost: localhost\r\ncontent-length: 0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert_eq!(tasks.shut_down(Duration::from_secs(5)).await, Vec::<&str>::new());
}

#[tokio::test]
async fn a_reader_without_the_token_sees_nothing() {
    let (address, _tasks) = listening(Some("0123456789abcdef")).await;
    let answer = exchange(address, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 401 ") && !answer.contains("x 1"), "{answer}");
    let request =
        "GET /metrics HTTP/1.1\r\nHost: a.example\r\nAuthorization: Bearer 0123456789abcdef\r\n\r\n";
    assert!(exchange(address, request).await.ends_with("x 1\n"));
}

#[tokio::test]
async fn silent_and_garbled_connections_do_not_keep_others_out() {
    let (address, _tasks) = listening(None).await;
    let mut silent = Vec::new();
    for _ in 0..AT_ONCE * 3 {
        let mut stream = TcpStream::connect(address).await.expect("connects");
        // An error means that it was refused already.
        let _sent = stream.write_all(b"\x16\x03\x01\x00PRI * HTTP/2.0\r\n\r\n").await;
        silent.push(stream);
    }
    let endless =
        format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(2 * MAX_HEAD));
    let mut stream = TcpStream::connect(address).await.expect("connects");
    let _sent = stream.write_all(endless.as_bytes()).await;
    let answer = exchange(address, "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await;
    assert!(answer.ends_with("x 1\n"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_loses_its_place() {
    let (address, _tasks) = listening(None).await;
    let mut silent = TcpStream::connect(address).await.expect("connects");
    let mut nothing = String::new();
    let ended = tokio::time::timeout(WHOLE * 2, silent.read_to_string(&mut nothing)).await;
    assert!(ended.is_ok(), "it is cut");
}
