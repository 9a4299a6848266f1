//! `top`: the cluster on one screen, drawn anew when something changed.
//!
//! ```text
//!   looks at the cluster --> screen --> terminal
//!   keys, sizes -------------^
//! ```
//!
//! Owns the terminal while it runs and gives it back as it was. What is drawn is [`screen`]'s, what a key means [`keys`]'s.

mod keys;
mod look;
mod order;
mod screen;

use std::time::Duration;

use dockmgr_client::Client;
use dockmgr_proto::v1::TailLogsRequest;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use ratatui::crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::commands::describe;
use crate::failure::{Failure, Kind};
use crate::follow::{Interrupts, OnInterrupt, Printer, Progress, Shown, Style};
use crate::job_ref::JobRef;
use crate::{output, terminal};

use keys::Wish;
use look::looks;
use screen::Screen;

/// How often keys are asked for: no person notices.
const KEYS: Duration = Duration::from_millis(50);

/// Shows the cluster until a person leaves.
pub(crate) async fn show(client: &Client) -> Result<u8, Failure> {
    let mut screen = Screen::new(client.server().to_string(), terminal::has_colours());
    let mut interrupts = Interrupts::listen()?;
    loop {
        let mut held = Held(ratatui::try_init().map_err(|error| odd(&error))?);
        let wish = watch(client, &mut screen, &mut held.0, &mut interrupts).await;
        drop(held);
        match wish? {
            Wish::Nothing | Wish::Describe(_) => {}
            Wish::Leave => return Ok(0),
            Wish::Output(job) => logs(client, job).await?,
        }
    }
}

/// A terminal in our hands; dropping it gives the person back what was there.
struct Held(DefaultTerminal);

impl Drop for Held {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Draws until a person wants to leave, or to see the output of a job.
async fn watch(
    client: &Client,
    screen: &mut Screen,
    terminal: &mut DefaultTerminal,
    interrupts: &mut Interrupts,
) -> Result<Wish, Failure> {
    let (out, mut seen) = watch::channel(None);
    let looking = looks(client, out);
    tokio::pin!(looking);
    let mut has_changed = true;
    let mut drawn = Instant::now();
    loop {
        // Ages move on, too.
        if has_changed || drawn.elapsed() >= Duration::from_secs(1) {
            terminal.draw(|frame| screen.draw(frame)).map_err(|error| odd(&error))?;
            drawn = Instant::now();
        }
        has_changed = false;
        tokio::select! {
            // Looks are taken, for ever.
            () = &mut looking => {}
            // One brought something.
            Ok(()) = seen.changed() => {
                let look = seen.borrow_and_update().clone();
                if let Some(look) = look {
                    screen.take(look);
                }
                has_changed = true;
            }
            // A person may have pressed a key.
            () = sleep(KEYS) => while event::poll(Duration::ZERO).map_err(|error| odd(&error))? {
                has_changed = true;
                let wish = match event::read().map_err(|error| odd(&error))? {
                    Event::Key(key) if key.kind == KeyEventKind::Press => keys::press(screen, key),
                    _ => Wish::Nothing,
                };
                match wish {
                    Wish::Nothing => {}
                    Wish::Describe(job) => screen.open_page(page(client, job).await),
                    Wish::Leave | Wish::Output(_) => return Ok(wish),
                }
            },
            // A supervisor wants it to end.
            () = interrupts.next() => return Ok(Wish::Leave),
        }
    }
}

/// What is known of a job, or why it is not.
async fn page(client: &Client, job: u64) -> String {
    let wanted = JobRef { job: job.to_string(), task: None, attempt: None };
    match tokio::time::timeout(look::PATIENCE, describe::page(client, &wanted)).await {
        Ok(Ok(page)) => page,
        Ok(Err(failure)) => failure.to_string(),
        Err(_elapsed) => "The coordinator does not answer.".to_owned(),
    }
}

/// Shows the output of a job on the ordinary screen; a person comes back with Ctrl-C, or with any key behind its end.
async fn logs(client: &Client, job: u64) -> Result<(), Failure> {
    output::say(&format!("cluster-cli: output of job {job}; Ctrl-C goes back"));
    let style = Style { guard_stdout: true, guard_stderr: true, ..Style::default() };
    let request = TailLogsRequest { job: job.to_string(), follow: true, ..TailLogsRequest::default() };
    let shown = Shown {
        client,
        request,
        printer: Printer::new(style),
        progress: Progress::none(),
        on_interrupt: OnInterrupt::Leave,
    };
    match shown.until_the_end().await {
        Err(failure) if failure.kind == Kind::Interrupted => return Ok(()),
        Err(failure) => output::say(failure.to_string().trim_end()),
        Ok(_) => {}
    }
    output::say("cluster-cli: that is all; any key goes back");
    enable_raw_mode().map_err(|error| odd(&error))?;
    let pressed = any_key().await;
    disable_raw_mode().map_err(|error| odd(&error))?;
    pressed
}

async fn any_key() -> Result<(), Failure> {
    loop {
        while event::poll(Duration::ZERO).map_err(|error| odd(&error))? {
            if matches!(event::read().map_err(|error| odd(&error))?, Event::Key(key) if key.kind == KeyEventKind::Press)
            {
                return Ok(());
            }
        }
        sleep(KEYS).await;
    }
}

fn odd(error: &std::io::Error) -> Failure {
    Failure::failed(format!("use the terminal: {error}"))
}
