//! What the tree must look like: who may know whom, how long a file may be, what must not be written down.
//!
//! Owns reading the sources as text. What the compiler and clippy can check is left to them.

mod documents;
mod faults;
mod sources;
mod tree;
