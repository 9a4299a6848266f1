//! Amounts of what a task needs or a node has, and their arithmetic.

use std::fmt;

/// Amounts of processor, memory and graphics processors. Zero is allowed: it is what an idle node uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Resources {
    /// Processor share in thousandths of a core.
    pub cpu_millis: u64,
    /// Memory in bytes.
    pub memory: u64,
    /// Whole graphics processors.
    pub gpus: u32,
}

impl Resources {
    /// Whether `self` fits into `free`.
    pub fn fits(self, free: Self) -> bool {
        self.cpu_millis <= free.cpu_millis && self.memory <= free.memory && self.gpus <= free.gpus
    }

    /// Sum, held at the largest value.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            cpu_millis: self.cpu_millis.saturating_add(other.cpu_millis),
            memory: self.memory.saturating_add(other.memory),
            gpus: self.gpus.saturating_add(other.gpus),
        }
    }

    /// What is left of `self` after `other` is taken away, zero where there is not enough.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            cpu_millis: self.cpu_millis.saturating_sub(other.cpu_millis),
            memory: self.memory.saturating_sub(other.memory),
            gpus: self.gpus.saturating_sub(other.gpus),
        }
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = self.memory / (1024 * 1024);
        write!(f, "{}.{:03} cpu, {mib} MiB", self.cpu_millis / 1000, self.cpu_millis % 1000)?;
        if self.gpus > 0 {
            write!(f, ", {} gpu", self.gpus)?;
        }
        Ok(())
    }
}
