//! A real Chromium, driven over its own protocol through two pipes: no driver program and no port.
//!
//! Owns the process, one tab, and what the tab complained about. Commands are answered in order; events that come between
//! are kept where a test asks for them.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::STEP_LIMIT;

/// Where Debian's package and others have the browser.
const PROGRAMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// The browser reads commands at file 3 and answers at file 4.
const PIPED: &str = r#"exec "$@" 3<&0 4>&1 </dev/null >&2"#;

/// One browser with one tab.
#[derive(Debug)]
pub struct Browser {
    _process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    next: u64,
    tab: String,
    complaints: Vec<String>,
    /// A network of the machine came or went, and the browser gave up its requests.
    disturbed: bool,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser with an empty tab of 1280 by 800.
    ///
    /// # Panics
    /// If there is none, or it does not answer in time.
    pub async fn start() -> Self {
        let profile = tempfile::tempdir().expect("a folder of its own");
        let mut process = launch(profile.path());
        let commands = process.stdin.take().expect("piped");
        let answers = BufReader::new(process.stdout.take().expect("piped"));
        let mut browser = Self {
            _process: process,
            commands,
            answers,
            next: 1,
            tab: String::new(),
            complaints: Vec::new(),
            disturbed: false,
            _profile: profile,
        };
        let target = browser
            .ask(
                "Target.createTarget",
                json!({ "url": "about:blank", "newWindow": true, "width": 1280, "height": 800 }),
            )
            .await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.ask("Target.attachToTarget", attach).await;
        session["sessionId"].as_str().expect("a session").clone_into(&mut browser.tab);
        for domain in ["Page", "Runtime", "Log"] {
            browser.ask(&format!("{domain}.enable"), json!({})).await;
        }
        browser
    }

    /// Opens an address and waits until its document is there.
    pub async fn open(&mut self, address: &str) {
        loop {
            self.disturbed = false;
            self.ask("Page.navigate", json!({ "url": address })).await;
            self.until("document.readyState === 'complete' && location.href !== 'about:blank'").await;
            if !self.disturbed {
                return;
            }
        }
    }

    /// The value of an expression; promises are waited for.
    ///
    /// # Panics
    /// If the expression throws.
    pub async fn eval(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.ask("Runtime.evaluate", asked).await;
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    ///
    /// # Panics
    /// If it does not become so in time; says what the page shows then.
    pub async fn until(&mut self, expression: &str) {
        let deadline = tokio::time::Instant::now() + STEP_LIMIT;
        while self.eval(&format!("Boolean({expression})")).await != true {
            if tokio::time::Instant::now() >= deadline {
                let shown = self.eval("document.body.innerText").await;
                panic!("not in time: {expression}\n{:?}\n{shown}", self.complaints);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the page shows a text.
    pub async fn shows(&mut self, text: &str) {
        self.until(&format!("document.body.innerText.includes({})", Value::from(text))).await;
    }

    /// Clicks the first button or link that says `text`.
    pub async fn click(&mut self, text: &str) {
        let found = format!(
            "[...document.querySelectorAll('dialog[open] button, button, a, summary')].find(one => one.innerText.trim() === {} && one.offsetParent)",
            Value::from(text)
        );
        self.until(&found).await;
        self.eval(&format!("{found}.click()")).await;
    }

    /// Clicks with the mouse in the middle of the element that an expression gives.
    pub async fn point(&mut self, element: &str) {
        self.until(&format!("{element}?.offsetParent")).await;
        let place = self
            .eval(&format!(
                "(() => {{ const area = {element}.getBoundingClientRect(); return [area.x + area.width / 2, area.y + area.height / 2]; }})()"
            ))
            .await;
        let place = (place[0].as_f64().expect("a number"), place[1].as_f64().expect("a number"));
        self.drag(place, place).await;
    }

    /// Saves what the page gives to be saved in a folder.
    pub async fn downloads(&mut self, folder: &Path) {
        let wish = json!({ "behavior": "allow", "downloadPath": folder });
        self.ask("Browser.setDownloadBehavior", wish).await;
    }

    /// Presses keys, one after another.
    pub async fn press(&mut self, keys: &str) {
        for key in keys.chars() {
            self.ask(
                "Input.dispatchKeyEvent",
                json!({ "type": "keyDown", "text": key.to_string(), "key": key.to_string() }),
            )
            .await;
            self.ask("Input.dispatchKeyEvent", json!({ "type": "keyUp", "key": key.to_string() })).await;
        }
    }

    /// Drags from one place to another, in pixels of the window.
    pub async fn drag(&mut self, from: (f64, f64), to: (f64, f64)) {
        for (kind, (x, y)) in [("mousePressed", from), ("mouseMoved", to), ("mouseReleased", to)] {
            let event =
                json!({ "type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1 });
            self.ask("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Shows the page in the colours of `scheme`, `light` or `dark`.
    pub async fn colours(&mut self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.ask("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// Keeps a picture of the page as `target/test/screenshots/NAME.png`.
    pub async fn picture(&mut self, name: &str) {
        let shot = self.ask("Page.captureScreenshot", json!({ "format": "png" })).await;
        let bytes =
            base64::engine::general_purpose::STANDARD.decode(shot["data"].as_str().expect("a picture"));
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test/screenshots");
        std::fs::create_dir_all(&folder).expect("the folder of test outputs");
        std::fs::write(folder.join(format!("{name}.png")), bytes.expect("base64"))
            .expect("the disk takes it");
    }

    /// What the page threw, what its policy forbade, what could not be loaded, since the last look.
    pub fn complaints(&mut self) -> Vec<String> {
        std::mem::take(&mut self.complaints)
    }

    /// Sends a command and waits for its answer.
    ///
    /// # Panics
    /// If the browser refuses it or does not answer.
    pub async fn ask(&mut self, method: &str, parameters: Value) -> Value {
        let id = self.next;
        self.next += 1;
        let mut command = json!({ "id": id, "method": method, "params": parameters });
        if !self.tab.is_empty() {
            command["sessionId"] = Value::from(self.tab.as_str());
        }
        let text = format!("{command}\0");
        self.commands.write_all(text.as_bytes()).await.expect("the browser takes commands");
        let answer = tokio::time::timeout(STEP_LIMIT, async {
            loop {
                let message = self.message().await;
                if message["id"] == id {
                    return message;
                }
                self.note(&message);
            }
        });
        let answer = answer.await.unwrap_or_else(|_| panic!("{method} is not answered"));
        assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
        answer["result"].clone()
    }

    async fn message(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.answers.read_until(0, &mut bytes).await.expect("the browser lives");
        assert_eq!(bytes.pop(), Some(0), "the browser has ended");
        serde_json::from_slice(&bytes).expect("the browser speaks JSON")
    }

    fn note(&mut self, event: &Value) {
        let parameters = &event["params"];
        match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => {
                self.complaints.push(parameters["exceptionDetails"]["exception"]["description"].to_string());
            }
            Some("Log.entryAdded") if parameters["entry"]["level"] == "error" => {
                let entry = &parameters["entry"];
                if entry["text"].as_str().is_some_and(|text| text.contains("ERR_NETWORK_CHANGED")) {
                    self.disturbed = true;
                    return;
                }
                self.complaints.push(format!("{}: {}", entry["source"], entry["text"]));
            }
            _ => {}
        }
    }
}

fn launch(profile: &Path) -> Child {
    let program = program();
    let mut command = Command::new("bash");
    command
        .args(["-c", PIPED, "bash"])
        .arg(program)
        .arg(format!("--user-data-dir={}", profile.display()))
        .args([
            "--headless=new",
            "--remote-debugging-pipe",
            "--no-first-run",
            "--disable-gpu",
            "--disable-extensions",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--lang=en",
        ]);
    if rustix::process::geteuid().is_root() {
        // It refuses to build its sandbox for root; what it shows here is ours.
        command.arg("--no-sandbox");
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    command.spawn().expect("bash runs")
}

fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).flat_map(|folder| PROGRAMS.map(|name| folder.join(name)));
    let mut found = found.filter(|program| program.exists());
    found.next().expect("no Chromium: run deploy/host/setup.sh --test")
}
