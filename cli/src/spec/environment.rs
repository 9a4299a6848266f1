//! Environment variables of a job: from flags, files and the caller's own environment.

use std::env;
use std::path::PathBuf;

use dockmgr_proto::v1::EnvVar;

use crate::failure::Failure;
use crate::input;

/// Largest file of variables that is read.
const MOST_BYTES: u64 = 1024 * 1024;

/// All variables, those of files first; of several with one name the last wins.
pub(super) fn variables(flags: &[String], files: &[PathBuf]) -> Result<Vec<EnvVar>, Failure> {
    let mut all: Vec<EnvVar> = Vec::new();
    let mut place = std::collections::BTreeMap::new();
    let mut add = |variable: EnvVar| {
        if let Some(at) = place.get(&variable.name) {
            all[*at] = variable;
        } else {
            place.insert(variable.name.clone(), all.len());
            all.push(variable);
        }
    };
    for path in files {
        let text = input::read_text(path, MOST_BYTES, "the environment file")?;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_end_matches('\r');
            if line.trim().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            let place = format!("line {} of '{}'", number + 1, path.display());
            add(variable(line).map_err(|problem| Failure::usage(format!("{place}: {problem}")))?);
        }
    }
    for flag in flags {
        add(variable(flag).map_err(|problem| Failure::usage(format!("--env: {problem}")))?);
    }
    Ok(all)
}

fn variable(text: &str) -> Result<EnvVar, String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    let shown: String = name.chars().take(64).flat_map(char::escape_default).collect();
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(format!("'{shown}' is no name of a variable"));
    }
    let value = match value {
        Some(value) => value,
        None => match env::var(name) {
            Ok(value) => value,
            Err(env::VarError::NotPresent) => {
                return Err(format!("'{shown}' is not set here: give {shown}=VALUE"));
            }
            Err(env::VarError::NotUnicode(_)) => {
                return Err(format!("the value of '{shown}' here is not UTF-8"));
            }
        },
    };
    Ok(EnvVar { name: name.to_owned(), value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_a_name_wins_and_keeps_its_place() {
        let flags = ["A=1", "B=2", "A=3"].map(str::to_owned);
        let all = variables(&flags, &[]).expect("well formed");
        let shown: Vec<String> = all.iter().map(|v| format!("{}={}", v.name, v.value)).collect();
        assert_eq!(shown, ["A=3", "B=2"]);
        for bad in ["", "=x", "A B=1", "A\nB=1", "DOCKMGR_SURELY_NOT_SET_HERE"] {
            assert!(variables(&[bad.to_owned()], &[]).is_err(), "{bad:?} must be refused");
        }
    }
}
