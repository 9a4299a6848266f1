//! What keeps a shape off a node, as facts; the words are made where people read them.

use std::fmt;

use super::{Host, Shape};
use crate::spec::{Constraint, Operator, Resources};

/// One reason why a shape does not fit a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misfit {
    /// More is needed than the node has.
    TooSmall {
        /// What is needed.
        needed: Resources,
        /// What it has.
        capacity: Resources,
    },
    /// A label is not as demanded.
    Label(Constraint),
    /// A host path is not under an allowed folder.
    Mount(String),
    /// Enough is there, but in use.
    InUse {
        /// What is needed.
        needed: Resources,
        /// What is in use.
        used: Resources,
        /// What it has.
        capacity: Resources,
    },
}

impl Shape {
    /// Whether a task of this shape could be placed on the node now.
    pub fn fits_now(&self, host: &Host) -> bool {
        host.takes_work && self.resources.fits(host.free()) && self.fits_idle(host)
    }

    /// Whether a task of this shape could run on the node if it were idle and took work.
    pub fn fits_idle(&self, host: &Host) -> bool {
        self.resources.fits(host.capacity)
            && self.constraints.iter().all(|constraint| constraint.holds(&host.labels))
            && self.bind_sources.iter().all(|source| is_allowed(source, &host.allowed_mounts))
    }

    /// Everything that would keep a task of this shape off the node even if it were idle.
    pub fn misfits_idle(&self, host: &Host) -> Vec<Misfit> {
        let mut found = Vec::new();
        if !self.resources.fits(host.capacity) {
            found.push(Misfit::TooSmall { needed: self.resources, capacity: host.capacity });
        }
        let unmet = self.constraints.iter().filter(|constraint| !constraint.holds(&host.labels));
        found.extend(unmet.cloned().map(Misfit::Label));
        let refused = self.bind_sources.iter().filter(|source| !is_allowed(source, &host.allowed_mounts));
        found.extend(refused.cloned().map(Misfit::Mount));
        found
    }

    /// What the node is short of right now, where it would fit if it were idle.
    pub fn misfit_now(&self, host: &Host) -> Option<Misfit> {
        let short = self.resources.fits(host.capacity) && !self.resources.fits(host.free());
        short.then_some(Misfit::InUse { needed: self.resources, used: host.used, capacity: host.capacity })
    }
}

/// Whether a host path is one of the allowed folders or lies under one. The worker checks again, symbolic links included.
fn is_allowed(source: &str, allowed: &[String]) -> bool {
    let is_normal = source.starts_with('/') && source.split('/').all(|part| part != ".." && part != ".");
    is_normal
        && allowed.iter().any(|folder| {
            let folder = folder.trim_end_matches('/');
            source.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall { needed, capacity } => {
                let mut parts = Vec::new();
                if needed.cpu_millis > capacity.cpu_millis {
                    parts.push(format!(
                        "needs {} cpu, has {}",
                        Cpu(needed.cpu_millis),
                        Cpu(capacity.cpu_millis)
                    ));
                }
                if needed.memory > capacity.memory {
                    let (needed, has) = (Mib(needed.memory), Mib(capacity.memory));
                    parts.push(format!("needs {needed} of memory, has {has}"));
                }
                if needed.gpus > capacity.gpus {
                    parts.push(format!("needs {} gpu, has {}", needed.gpus, capacity.gpus));
                }
                f.write_str(&parts.join("; "))
            }
            Self::Label(Constraint { key, operator: Operator::Equal, value }) => {
                write!(f, "label {key}={value} is missing")
            }
            Self::Label(Constraint { key, operator: Operator::NotEqual, value }) => {
                write!(f, "label {key}={value} is excluded")
            }
            Self::Mount(source) => write!(f, "mounting {source} is not allowed there"),
            Self::InUse { needed, used, capacity } => {
                f.write_str(&in_use(*needed, *used, *capacity).join("; "))
            }
        }
    }
}

fn in_use(needed: Resources, used: Resources, capacity: Resources) -> Vec<String> {
    let free = capacity.minus(used);
    let mut parts = Vec::new();
    if needed.cpu_millis > free.cpu_millis {
        parts.push(format!("{} of {} cpu are in use", Cpu(used.cpu_millis), Cpu(capacity.cpu_millis)));
    }
    if needed.memory > free.memory {
        parts.push(format!("{} of {} memory are in use", Mib(used.memory), Mib(capacity.memory)));
    }
    if needed.gpus > free.gpus {
        parts.push(format!("{} of {} gpu are in use", used.gpus, capacity.gpus));
    }
    parts
}

/// Thousandths of a core, printed as cores.
struct Cpu(u64);

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

/// Bytes, printed as MiB; a needed amount just above a node's shows as the same number only below 1 MiB of difference.
struct Mib(u64);

impl fmt::Display for Mib {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB", self.0 / (1024 * 1024))
    }
}
