//! Planted bugs: does the simulation find what it is there to find?
//!
//! Each names a line that is left out or turned round when it is active. Which one is active is chosen at run time, per
//! thread, so that one build serves them all. Without the feature `mutants` nothing can be active and the hooks are
//! constants that cost nothing; no program is built with it.

macro_rules! mutants {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// A planted bug.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mutant { $($(#[doc = $doc])+ $name,)+ }

        impl Mutant {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// What it does, in a line.
            pub fn description(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

mutants! {
    /// A start request whose answer was lost is sent again.
    BlindStartRetry,
    /// Capture that goes on after an interruption begins at the present, not at the last byte.
    ResumeSinceNow,
    /// A container that was never started counts as ended with code 0, as waiting for it says.
    WaitOnCreated,
    /// The daemon removes containers by itself when they end.
    AutoRemove,
    /// A commit does not ask whether its epoch still leads.
    UnguardedWrite,
    /// A worker is given up as soon as its session breaks.
    SessionIsLiveness,
    /// The store says that a commit is durable before it is.
    FsyncSkipped,
    /// Clients are answered before the commit.
    AnswerBeforeCommit,
    /// A code seen after a boot of the host is believed.
    ExitAfterReboot,
    /// The sweep removes containers of attempts that are known.
    SweepWithoutSecondLook,
    /// Back-offs are measured with the wall clock.
    WallClockTimer,
    /// The daemon keeps only the newest output of a container.
    RotatedLog,
    /// The last piece of the output is dropped at the end.
    DropLastPiece,
    /// An idempotency key is forgotten after a few seconds.
    KeyExpiresEarly,
    /// The end of an attempt is taken and not stored.
    EndNotStored,
    /// An attempt that ends keeps its place.
    PlaceNotFreed,
    /// What a Hello does not name is taken for gone at once, though the Hello may be an old one.
    HelloBelieved,
    /// A stop is carried out and not stored.
    StopNotStored,
    /// The end of an attempt that was replaced is taken for the task's.
    SupersededAccepted,
    /// A container is removed although the end of its output is not durable.
    RemoveBeforeLogEnd,
    /// A worker whose contact is lost lets its attempts run on.
    NoFence,
    /// The guard process does nothing.
    NoGuard,
    /// A report is acknowledged to the worker before it is stored.
    AcknowledgeBeforeCommit,
    /// The start is sent before the intent to start is written down.
    StartIntentNotWritten,
    /// A later end of an attempt replaces the first.
    EndOverwritten,
}

#[cfg(feature = "mutants")]
thread_local! {
    static ACTIVE: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

/// Whether this planted bug is active in this thread.
#[cfg(feature = "mutants")]
#[inline]
pub fn active(mutant: Mutant) -> bool {
    ACTIVE.get() == Some(mutant)
}

/// Whether this planted bug is active: never, without the feature.
#[cfg(not(feature = "mutants"))]
#[inline]
pub const fn active(_mutant: Mutant) -> bool {
    false
}

/// Makes one planted bug active in this thread, or none.
#[cfg(feature = "mutants")]
pub fn activate(mutant: Option<Mutant>) {
    ACTIVE.set(mutant);
}
