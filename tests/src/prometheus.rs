//! A real Prometheus, its tool, and the pages it scrapes.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::process::Process;
use crate::{STEP_LIMIT, eventually, ports};

/// A Prometheus of the test's own.
#[derive(Debug)]
pub struct Prometheus {
    address: SocketAddr,
    _process: Process,
}

/// One job of its configuration: a name, what it scrapes, and the token file for it.
pub type Scrape<'a> = (&'a str, Vec<SocketAddr>, Option<&'a Path>);

impl Prometheus {
    /// Starts one below `folder` that scrapes once a second, and waits until it is ready.
    pub async fn start(folder: &Path, scrapes: &[Scrape<'_>]) -> Self {
        let mut config =
            "global: { scrape_interval: 1s, evaluation_interval: 1s }\nscrape_configs:\n".to_owned();
        for (job, targets, token) in scrapes {
            let targets: Vec<String> = targets.iter().map(|target| format!("\"{target}\"")).collect();
            config += &format!(
                "  - job_name: {job}\n    static_configs: [{{ targets: [{}] }}]\n",
                targets.join(", ")
            );
            if let Some(token) = token {
                config += &format!("    authorization: {{ credentials_file: \"{}\" }}\n", token.display());
            }
        }
        let file = folder.join("prometheus.yml");
        fs::write(&file, config).expect("write the configuration");
        let address = SocketAddr::from(([127, 0, 0, 1], ports::free()));
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()))
            .arg(format!("--web.listen-address={address}"))
            .current_dir(folder);
        let process = Process::start("prometheus", &mut command, &folder.join("prometheus.log"));
        let started = Self { address, _process: process };
        eventually("Prometheus to be ready", STEP_LIMIT, async || {
            get(address, "/-/ready", &[]).await.is_ok_and(|(status, _)| status == 200)
        })
        .await;
        started
    }

    /// The value of an expression that gives one sample now; `None` if it gives none.
    pub async fn value(&self, expression: &str) -> Option<f64> {
        let found = self.query(expression).await;
        let samples = found["data"]["result"].as_array().expect("a vector");
        assert!(samples.len() <= 1, "{expression} gives {found}");
        let value = samples.first()?["value"][1].as_str().expect("a sample has a value");
        Some(value.parse().expect("a number"))
    }

    /// The answer to an instant query.
    pub async fn query(&self, expression: &str) -> Value {
        let path = format!("/api/v1/query?query={}", encoded(expression));
        let (status, text) = get(self.address, &path, &[]).await.expect("Prometheus answers");
        assert_eq!(status, 200, "{expression}: {text}");
        serde_json::from_str(&text).expect("Prometheus answers JSON")
    }
}

/// Runs `promtool` with text as its input; what it prints, both streams, as an error if it fails.
pub async fn promtool(args: &[&str], folder: &Path, input: &str) -> Result<String, String> {
    let mut command = Command::new("promtool");
    command
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("run promtool: {error}"));
    let mut stdin = child.stdin.take().expect("piped");
    // It may have ended without reading what it does not need.
    let _written = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output = child.wait_with_output().await.expect("promtool ends");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if output.status.success() { Ok(text) } else { Err(text) }
}

/// Fetches a page over HTTP/1.1; status and body.
pub async fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<(u16, String), String> {
    call(address, "GET", path, headers, "").await
}

/// Any call over HTTP/1.1 with a body of text; status and body.
pub async fn call(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<(u16, String), String> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !body.is_empty() {
        request += &format!("Content-Length: {}\r\n", body.len());
    }
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request += &format!("Host: {address}\r\n");
    }
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += "\r\n";
    request += body;
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(STEP_LIMIT, exchange).await.map_err(|_| "no answer")?;
    let answer = String::from_utf8_lossy(&answer.map_err(|error| error.to_string())?).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no end of the headers")?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or("no status")?;
    Ok((status, body_of(head, body)))
}

/// The body, put together if it came in chunks.
fn body_of(head: &str, body: &str) -> String {
    if !head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        return body.to_owned();
    }
    let (mut whole, mut rest) = (String::new(), body);
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).expect("a chunk has a size");
        whole += &after[..size];
        rest = after[size..].trim_start_matches("\r\n");
        if size == 0 {
            break;
        }
    }
    whole
}

/// Percent-encoded for a query string.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| {
        if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(byte).collect()
}
