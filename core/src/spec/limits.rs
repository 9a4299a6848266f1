//! Every limit of a job spec in one place, with its reason.

use std::time::Duration;

/// Least processor share in thousandths of a core: the kernel's smallest quota is 1 ms of a 100 ms period.
pub const MIN_CPU_MILLIS: u64 = 10;
/// Most processor share: a million cores, far above any machine and far below an overflow of nanoseconds.
pub const MAX_CPU_MILLIS: u64 = 1_000_000_000;
/// Processor share where none is asked for: one core.
pub const DEFAULT_CPU_MILLIS: u64 = 1000;
/// Least memory in bytes: Docker refuses less than 6 MiB.
pub const MIN_MEMORY: u64 = 6 << 20;
/// Memory where none is asked for.
pub const DEFAULT_MEMORY: u64 = 1 << 30;
/// Most graphics processors of one task.
pub const MAX_GPUS: u32 = 1024;
/// Most processes and threads of one container: the kernel's own limit of process ids on 64 bit.
pub const MAX_PIDS: u32 = 4_194_304;
/// Processes and threads where nothing is asked for: enough for builds, too few for a fork bomb to hurt a host.
pub const DEFAULT_PIDS: u32 = 4096;
/// Most retries.
pub const MAX_RETRIES: u32 = 100;
/// Largest and, negated, smallest priority.
pub const MAX_PRIORITY: i32 = 1_000_000;
/// Longest run or queue time-out: ten years. Who wants more leaves it out.
pub const MAX_TIMEOUT: Duration = Duration::from_hours(10 * 365 * 24);
/// Longest grace.
pub const MAX_GRACE: Duration = Duration::from_hours(1);
/// Grace where none is asked for: what `docker stop` gives.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);
/// Least kept output in bytes.
pub const MIN_LOG_LIMIT: u64 = 1 << 10;
/// Most kept output in bytes: the daemon keeps twice as much for recovery, which must stay on one disk.
pub const MAX_LOG_LIMIT: u64 = 16 << 30;
/// Kept output where nothing is asked for.
pub const DEFAULT_LOG_LIMIT: u64 = 256 << 20;
/// Most labels.
pub const MAX_LABELS: usize = 64;
/// Most constraints.
pub const MAX_CONSTRAINTS: usize = 64;
/// Most mounts.
pub const MAX_MOUNTS: usize = 64;
/// Most environment variables.
pub const MAX_ENV: usize = 4096;
/// Most bytes of the whole environment, and of the whole argument vector.
pub const MAX_VECTOR_BYTES: usize = 256 << 10;
/// Most bytes of one argument or one `NAME=value`: Linux refuses to start a program with a longer one
/// (`MAX_ARG_STRLEN`, 128 KiB with the closing NUL).
pub const MAX_STRING_BYTES: usize = (128 << 10) - 1;
/// Most bytes of a script: it reaches the shell as one argument, behind a few words of ours ([`MAX_STRING_BYTES`]).
pub const MAX_SCRIPT_BYTES: usize = 120 << 10;
/// Most bytes of all texts of a spec: what is stored must stay well under etcd's 1.5 MiB a request.
pub const MAX_SPEC_BYTES: usize = 512 << 10;
/// Most bytes of a path: Linux refuses longer ones (`PATH_MAX`).
pub const MAX_PATH_BYTES: usize = 4095;
/// Beginning of the label keys that are dockmgr's own.
pub const RESERVED_LABEL_PREFIX: &str = "dockmgr.";
/// Beginning of the variable names that dockmgr sets itself.
pub const RESERVED_ENV_PREFIX: &str = "DOCKMGR_";
