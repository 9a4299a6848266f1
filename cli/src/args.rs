//! The command line as a whole.

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser};

use crate::commands::Command;
use crate::exit::Speaks;
use crate::settings::Reach;

/// What is shown when nothing was asked for.
pub(crate) const SHORT_HELP: &str = "\
cluster-cli runs commands in Docker containers on whichever machine of a cluster has room.

  cluster-cli dev                                a cluster on this machine
  cluster-cli run 'seq 100 | shuf | head -3'     run, show the output, exit with its code
  cluster-cli submit --array 1-100 -- ./work     queue a hundred tasks, print the job number

Look:   top, ps, describe JOB, logs [-f] JOB, search QUERY, events, node ls
Steer:  stop JOB, kill JOB, wait JOB, retry JOB, rm JOB, prune
Help:   cluster-cli --help, cluster-cli COMMAND --help, cluster-cli doctor
";

/// Run commands in Docker containers on whichever machine of a cluster has room.
#[derive(Debug, Parser)]
#[command(name = "cluster-cli", version, about, disable_help_subcommand = true, max_term_width = 100)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Where to do it.
    #[command(flatten)]
    pub(crate) reach: Reach,
}

/// Why the command line was not understood.
pub(crate) struct Misunderstood {
    /// The parser's words, or help that was asked for.
    pub(crate) error: clap::Error,
    /// Whose exit code the command would have given.
    pub(crate) speaks: Speaks,
}

/// Reads the words of the command line.
pub(crate) fn parse(words: Vec<std::ffi::OsString>) -> Result<Cli, Misunderstood> {
    let shown: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let place = command_place(&shown);
    let words = words.into_iter().enumerate();
    let words: Vec<_> = words.map(|(at, word)| tls_key(&shown, place, at).map_or(word, Into::into)).collect();
    Cli::try_parse_from(words).map_err(|error| Misunderstood { speaks: speaks(&shown, place), error })
}

/// Whether the parser's error is help or a version that was asked for.
pub(crate) fn was_asked_for(error: &clap::Error) -> bool {
    matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
}

/// `--key` is the idempotency key of `run` and `submit`, and the TLS key everywhere else.
fn tls_key(words: &[String], place: Option<usize>, at: usize) -> Option<String> {
    let has_own = place.is_some_and(|place| at > place && matches!(words[place].as_str(), "run" | "submit"));
    let behind = words.iter().position(|word| word == "--").is_some_and(|end| at > end);
    if has_own || behind || at == 0 {
        return None;
    }
    let word = words.get(at)?;
    if word == "--key" {
        return Some("--tls-key".to_owned());
    }
    word.strip_prefix("--key=").map(|value| format!("--tls-key={value}"))
}

/// Where the name of the command stands: the first word that is no flag and no value of one.
fn command_place(words: &[String]) -> Option<usize> {
    let takes_value = ["--server", "--context", "--ca", "--cert", "--key", "--tls-key", "--token-file"];
    let mut at = 1;
    while let Some(word) = words.get(at) {
        match word.as_str() {
            flag if takes_value.contains(&flag) => at += 2,
            flag if flag.starts_with('-') => at += 1,
            _ => return Some(at),
        }
    }
    None
}

/// Whose exit code a command line would give that could not be read.
fn speaks(words: &[String], place: Option<usize>) -> Speaks {
    let Some(place) = place else { return Speaks::ForItself };
    let own = words[place + 1..].split(|word| word == "--").next().unwrap_or_default();
    match words[place].as_str() {
        "run" | "wait" => Speaks::ForJob,
        "submit" if own.iter().any(|word| word == "--wait") => Speaks::ForJob,
        _ => Speaks::ForItself,
    }
}

/// The description of the whole command line, for completions and manual pages.
pub(crate) fn describe() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Cli, Misunderstood> {
        parse(std::iter::once("cluster-cli").chain(line.split(' ')).map(Into::into).collect())
    }

    #[test]
    fn the_description_of_the_command_line_is_sound() {
        describe().debug_assert();
    }

    #[test]
    fn key_is_the_idempotency_key_of_run_and_submit_and_the_tls_key_elsewhere() {
        let elsewhere = read("ps --key k.pem").ok().and_then(|cli| cli.reach.tls_key);
        assert_eq!(elsewhere, Some("k.pem".into()));
        let before = read("--key k.pem run true").ok().and_then(|cli| cli.reach.tls_key);
        assert_eq!(before, Some("k.pem".into()));
        assert_eq!(read("run --key once -- prog --key x").ok().and_then(|cli| cli.reach.tls_key), None);
    }

    #[test]
    fn a_line_that_cannot_be_read_knows_whose_exit_code_it_would_give() {
        let speaks = |line: &str| read(line).err().map(|e| e.speaks);
        assert_eq!(speaks("run --no-such"), Some(Speaks::ForJob));
        assert_eq!(speaks("--server x run --no-such"), Some(Speaks::ForJob));
        assert_eq!(speaks("submit --wait --no-such"), Some(Speaks::ForJob));
        assert_eq!(speaks("submit --no-such -- --wait"), Some(Speaks::ForItself));
        assert_eq!(speaks("ps --no-such"), Some(Speaks::ForItself));
    }
}
