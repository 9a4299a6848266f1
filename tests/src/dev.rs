//! `cluster-cli dev`, started as a person does.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::cluster::bare_cli;
use crate::{CliCall, Running};

/// All programs start, or end, on a loaded machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A `dev` that is asked to end when the test is over, however that comes: killed, it would leave its programs behind.
#[derive(Debug)]
pub struct Dev(Option<Running>);

impl Dev {
    /// Starts it and waits until it takes work. `args` begin with `dev`.
    pub async fn start(folder: &Path, args: &[&str]) -> Self {
        let dev = CliCall::new(bare_cli(folder), args).spawn();
        dev.expect_stdout("ready", LIMIT).await;
        Self(Some(dev))
    }

    /// The address of the page that it prints.
    pub async fn page(&self) -> String {
        let dev = self.0.as_ref().expect("it runs");
        // The end of the line is there, too.
        dev.expect_stdout("#token=", LIMIT).await;
        let said = String::from_utf8_lossy(&dev.stdout_so_far()).into_owned();
        let line = said.lines().find_map(|line| line.strip_prefix("page: "));
        line.expect("it prints an address").trim().to_owned()
    }

    /// Ends it in an orderly way.
    pub async fn end(mut self) {
        let dev = self.0.take().expect("it runs");
        dev.signal(Signal::TERM);
        dev.wait(LIMIT).await.expect_code(0);
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if let Some(mut dev) = self.0.take() {
            dev.signal(Signal::TERM);
            let deadline = Instant::now() + Duration::from_secs(30);
            while dev.is_running() && Instant::now() < deadline {
                std::thread::yield_now();
            }
        }
    }
}
