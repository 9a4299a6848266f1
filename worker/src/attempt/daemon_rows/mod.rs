//! The fault matrix of the Docker daemon, row by row: the real attempt driver and the real Docker client against a daemon
//! that misbehaves to order. A test begins with the id of its row.

mod containers;
mod daemon;
mod ends;
mod images;
mod output;
mod rig;
mod starts;
mod wire;

use rig::Rig;
