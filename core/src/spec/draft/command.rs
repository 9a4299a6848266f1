//! The command of a spec and its environment.

use std::collections::BTreeSet;

use super::super::command::{Command, Entrypoint, EnvVar, Shell};
use super::super::error::{Error, Excerpt};
use super::super::limits::{
    MAX_ENV, MAX_PATH_BYTES, MAX_SCRIPT_BYTES, MAX_STRING_BYTES, MAX_VECTOR_BYTES, RESERVED_ENV_PREFIX,
};
use super::super::violation::Violations;
use super::{Choice, DraftCommand, DraftForm, EntrypointKind};

/// Checks what is to run.
pub(super) fn command(found: &mut Violations, draft: Option<DraftCommand>) -> Option<Command> {
    let Some(draft) = draft else {
        found.add("spec.command", "it is missing: give `argv` or `script`");
        return None;
    };
    let entrypoint = entrypoint(found, draft.entrypoint, draft.entrypoint_path);
    match draft.form {
        Some(DraftForm::Argv(args)) => {
            check_argv(found, &args);
            Some(Command::Argv { args, entrypoint: entrypoint? })
        }
        Some(DraftForm::Script { text, shell }) => {
            check_script(found, &text);
            let shell = shell_of(found, shell);
            Some(Command::Script { text, shell, entrypoint: entrypoint? })
        }
        None if matches!(entrypoint, Some(Entrypoint::Image)) => Some(Command::Image),
        None => {
            found.add("spec.command", "it is empty: give `argv` or `script`, or entrypoint kind image alone");
            None
        }
    }
}

/// Checks an argument vector.
fn check_argv(found: &mut Violations, args: &[String]) {
    const FIELD: &str = "spec.command.argv.args";
    match args.first() {
        None => found.add(FIELD, "it is empty: the first element names the program"),
        Some(program) if program.is_empty() => found.add(format!("{FIELD}[0]"), "the program has no name"),
        Some(_) => {}
    }
    for (at, arg) in args.iter().enumerate() {
        if arg.contains('\0') {
            found.add(format!("{FIELD}[{at}]"), "no argument can contain a NUL");
        }
        if arg.len() > MAX_STRING_BYTES {
            let bytes = arg.len();
            found.add(
                format!("{FIELD}[{at}]"),
                format_args!("it has {bytes} bytes; Linux passes at most {MAX_STRING_BYTES} in one argument"),
            );
        }
    }
    let bytes: usize = args.iter().map(|arg| arg.len() + 1).sum();
    if bytes > MAX_VECTOR_BYTES {
        found.add(
            FIELD,
            format_args!("all arguments have {bytes} bytes; at most {MAX_VECTOR_BYTES} are allowed"),
        );
    }
}

/// Checks the text of a script.
fn check_script(found: &mut Violations, text: &str) {
    const FIELD: &str = "spec.command.script.text";
    if text.trim().is_empty() {
        found.add(FIELD, "the script is empty");
    }
    if text.contains('\0') {
        found.add(FIELD, "no script can contain a NUL");
    }
    if text.len() > MAX_SCRIPT_BYTES {
        let bytes = text.len();
        found.add(FIELD, format_args!("it has {bytes} bytes; at most {MAX_SCRIPT_BYTES} are allowed"));
    }
}

/// Checks the shell of a script.
fn shell_of(found: &mut Violations, shell: String) -> Shell {
    if shell.is_empty() {
        return Shell::Auto;
    }
    if let Some(problem) = program_problem(&shell) {
        found.add("spec.command.script.shell", problem);
    }
    Shell::Path(shell)
}

/// Checks what precedes the command; `None` after a violation.
fn entrypoint(found: &mut Violations, kind: Choice<EntrypointKind>, path: String) -> Option<Entrypoint> {
    const FIELD: &str = "spec.command.entrypoint.path";
    let entrypoint = match kind {
        Choice::Unset | Choice::Known(EntrypointKind::None) => Entrypoint::None,
        Choice::Known(EntrypointKind::Image) => Entrypoint::Image,
        Choice::Known(EntrypointKind::Path) => {
            if let Some(problem) = program_problem(&path) {
                found.add(FIELD, problem);
            }
            return Some(Entrypoint::Path(path));
        }
        Choice::Unknown(number) => {
            found.add(
                "spec.command.entrypoint.kind",
                format_args!("{number} is not a value this server knows"),
            );
            return None;
        }
    };
    if !path.is_empty() {
        found.add(FIELD, "a path is given but the kind is not KIND_PATH");
    }
    Some(entrypoint)
}

/// What is wrong with the name of a program in the image; `None` if nothing is.
fn program_problem(path: &str) -> Option<&'static str> {
    if path.is_empty() {
        Some("it is empty: name a program of the image")
    } else if path.len() > MAX_PATH_BYTES {
        Some("it has more than 4095 bytes")
    } else if path.chars().any(char::is_control) {
        Some("it has a control character")
    } else if path.starts_with('-') {
        Some("it begins with '-', as an option does")
    } else if path.contains('/') && !path.starts_with('/') {
        Some("it is a relative path; give an absolute one, or a name that PATH finds")
    } else {
        None
    }
}

/// Checks the environment.
pub(super) fn environment(found: &mut Violations, draft: Vec<(String, String)>) -> Vec<EnvVar> {
    if draft.len() > MAX_ENV {
        found.add(
            "spec.env",
            format_args!("there are {} variables; at most {MAX_ENV} are allowed", draft.len()),
        );
    }
    let bytes: usize = draft.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    if bytes > MAX_VECTOR_BYTES {
        found.add("spec.env", format_args!("it has {bytes} bytes; at most {MAX_VECTOR_BYTES} are allowed"));
    }
    let mut seen = BTreeSet::new();
    for (at, (name, value)) in draft.iter().enumerate() {
        let field = format!("spec.env[{at}]");
        if let Err(error) = check_variable(name) {
            found.add(format!("{field}.name"), error);
        } else if !seen.insert(name) {
            found.add(format!("{field}.name"), format_args!("{} is given twice", Excerpt::of(name)));
        }
        if value.contains('\0') {
            found.add(format!("{field}.value"), "no value can contain a NUL");
        }
        if name.len() + 1 + value.len() > MAX_STRING_BYTES {
            let words = format_args!("Linux passes at most {MAX_STRING_BYTES} bytes of name and value");
            found.add(format!("{field}.value"), words);
        }
    }
    draft.into_iter().map(|(name, value)| EnvVar { name, value }).collect()
}

/// Checks the name of a variable. Names a shell cannot use are allowed: programs can.
fn check_variable(name: &str) -> Result<(), Error> {
    let bad = |rule| Err(Error::Variable(Excerpt::of(name), rule));
    if name.is_empty() {
        return bad("it is empty");
    }
    if name.contains('=') {
        return bad("it contains '='");
    }
    if name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return bad("it contains a space or a control character");
    }
    if name.starts_with(RESERVED_ENV_PREFIX) {
        return bad("names that begin with 'DOCKMGR_' are set by dockmgr");
    }
    Ok(())
}
