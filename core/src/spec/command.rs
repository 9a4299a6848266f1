//! What runs in a container: an exact argument vector or a script, and its environment.

/// What runs in the container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Command {
    /// An exact argument vector, not empty.
    Argv {
        /// The program and its arguments.
        args: Vec<String>,
        /// What is put in front of it.
        entrypoint: Entrypoint,
    },
    /// A script handed to a shell.
    Script {
        /// The text.
        text: String,
        /// Which shell.
        shell: Shell,
        /// What is put in front of the shell.
        entrypoint: Entrypoint,
    },
    /// The image's own command with its own entrypoint: nothing was given but `--entrypoint image`.
    Image,
}

/// Which shell reads a script.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shell {
    /// bash where the image has it, else sh; chosen inside the one start of the container.
    Auto,
    /// This path.
    Path(String),
}

/// What is put in front of a command.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entrypoint {
    /// Nothing: the image's entrypoint is not used.
    None,
    /// The image's own.
    Image,
    /// This program.
    Path(String),
}

/// One environment variable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EnvVar {
    /// Its name: not empty, no `=`, no NUL.
    pub name: String,
    /// Its value: no NUL.
    pub value: String,
}
