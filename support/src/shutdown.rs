//! Signals that end a program.
//!
//! Owns listening for them; what an orderly end means is the program's.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::tasks::Tasks;

/// Exit code after a second signal cut the orderly end short: 128 + SIGTERM.
pub const ABORTED: i32 = 143;

/// Cancels the returned token on SIGTERM or SIGINT; a second signal ends the process at once with [`ABORTED`].
///
/// # Errors
/// The system's, when the handlers cannot be installed.
#[expect(clippy::disallowed_methods, reason = "a second signal asks for an exit without an orderly end")]
pub fn on_signals(tasks: &Tasks) -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let asked = stop.clone();
    let ended = tasks.token().clone();
    tasks.spawn("signals", async move {
        let mut seen = 0;
        loop {
            tokio::select! {
                // The program has ended by itself or its orderly end is done.
                () = ended.cancelled() => return,
                // An operator or a supervisor wants it to end.
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            seen += 1;
            if seen > 1 {
                tracing::warn!("second signal: exiting at once");
                std::process::exit(ABORTED);
            }
            tracing::info!("signal received: ending in an orderly way");
            asked.cancel();
        }
    });
    Ok(stop)
}
