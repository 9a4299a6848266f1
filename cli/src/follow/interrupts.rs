//! Ctrl-C and SIGTERM.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// Listens for both from its making on: neither ends the program by itself any more.
#[derive(Debug)]
pub(crate) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen =
            |kind| signal(kind).map_err(|error| Failure::failed(format!("listen for signals: {error}")));
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// The next of either. Cancel safe.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            // A person at the terminal.
            _ = self.interrupt.recv() => {}
            // A supervisor.
            _ = self.terminate.recv() => {}
        }
    }
}
