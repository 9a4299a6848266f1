//! Seeds that found something once. Worlds change when faults or clients are added, so a seed need not meet the same
//! thing again; the rule it was about has a test of its own where that was cheap. All together take no time.

/// A seed and what it found.
pub(crate) const SEEDS: [(u64, &str); 10] = [
    (108, "a group cut off between two transactions: a job's end stored without its last task's"),
    (145, "a Hello held up on its way ended attempts it did not name"),
    (173, "output called complete although the start was in doubt"),
    (498, "the code 0 that the daemon shows after a boot, recorded for a stopped attempt"),
    (4724, "a start decided before a Hello, sent on the session after it, while the Hello was believed"),
    (7299, "an order to forget lost with its process: the next one started the container"),
    (8876, "the next job number lost with a group that was cut off"),
    (40_012_622, "a start carried out a minute late, on the side that was replaced"),
    (40_021_497, "the same on the side that replaces"),
    (12_192_146_206_967, "an attempt whose output had its end was run by the next process"),
];
