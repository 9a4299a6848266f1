//! Connections between workers and coordinators: in order, delayed, cut, half open, reset with a prefix delivered.

use dockmgr_core::cluster::{Command, Hello, NodeStatus, Report};
use dockmgr_core::ids::{AttemptId, Epoch};

use crate::clock::Instant;
use crate::output::{Ack, Piece};

/// What a worker says.
#[derive(Debug, Clone)]
pub(crate) enum Up {
    Hello(Box<Hello>),
    Heartbeat {
        sequence: u64,
        status: NodeStatus,
    },
    Report(Box<Report>),
    Output(AttemptId, Box<Piece>),
    /// The worker's end is closed.
    Fin,
}

/// What a coordinator says.
#[derive(Debug, Clone)]
pub(crate) enum Down {
    Command(Epoch, Box<Command>),
    HeartbeatAck(Epoch, u64),
    OutputAck(AttemptId, Ack),
    /// This coordinator does not lead.
    NotLeader,
    /// The coordinator's end is closed.
    Fin,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) worker: usize,
    pub(crate) worker_life: u64,
    pub(crate) coordinator: usize,
    pub(crate) coordinator_life: u64,
    /// Each end knows only its own closing until it hears of the other's.
    pub(crate) worker_open: bool,
    pub(crate) coordinator_open: bool,
    /// When the last message of a direction arrives: later ones do not overtake it.
    pub(crate) last_up: Instant,
    pub(crate) last_down: Instant,
    /// Sent while nothing passes.
    pub(crate) held_up: Vec<Up>,
    pub(crate) held_down: Vec<Down>,
}

/// Which pairs are cut, counted because cuts overlap.
#[derive(Debug, Default)]
pub(crate) struct Network {
    pub(crate) connections: Vec<Connection>,
    pub(crate) cut_up: Vec<Vec<u32>>,
    pub(crate) cut_down: Vec<Vec<u32>>,
    /// How many times slower than usual.
    pub(crate) slow: u32,
    pub(crate) lose_clients: u32,
}

impl Network {
    pub(crate) fn new(workers: usize, coordinators: usize) -> Self {
        let none = vec![vec![0; coordinators]; workers];
        Self { cut_up: none.clone(), cut_down: none, ..Self::default() }
    }
}
