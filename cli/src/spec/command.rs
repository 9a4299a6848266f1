//! What runs: an exact argv or a script, decided by how it was written.

use dockmgr_proto::v1::command::Form;
use dockmgr_proto::v1::entrypoint::Kind;
use dockmgr_proto::v1::{Argv, Command, Entrypoint, Script};

use super::file::{Scalar, Words};
use crate::failure::Failure;

/// Where a script without words comes from.
pub(super) trait ScriptSource {
    /// Whether standard input is something else than a terminal.
    fn is_piped(&self) -> bool;
    /// Reads all of it.
    fn read(&self) -> Result<String, Failure>;
}

/// Decides what runs from the words of the command line, else the job file, else standard input.
pub(super) fn command(
    words: &[String],
    file: Option<Words>,
    entrypoint: Option<&str>,
    shell: Option<&str>,
    stdin: &dyn ScriptSource,
) -> Result<Command, Failure> {
    let form = match (words, file) {
        ([dash], _) if dash == "-" => Some(piped(shell, stdin)?),
        ([], Some(Words::Text(text))) => Some(single(&text, shell)?),
        ([], Some(Words::List(list))) => {
            Some(Form::Argv(Argv { args: list.into_iter().map(Scalar::text).collect() }))
        }
        ([], None) if entrypoint == Some("image") => None,
        ([], None) if stdin.is_piped() => Some(piped(shell, stdin)?),
        ([], None) => {
            return Err(Failure::usage("no command").hint("for example: cluster-cli run -- echo hello"));
        }
        ([only], _) => Some(single(only, shell)?),
        (several, _) => Some(exact(several, shell)?),
    };
    let entrypoint = match entrypoint {
        None => None,
        Some("none") => Some(Entrypoint { kind: Kind::None.into(), path: String::new() }),
        Some("image") => Some(Entrypoint { kind: Kind::Image.into(), path: String::new() }),
        Some("") => return Err(Failure::usage("--entrypoint must not be empty")),
        Some(path) => Some(Entrypoint { kind: Kind::Path.into(), path: path.to_owned() }),
    };
    Ok(Command { form, entrypoint })
}

/// One argument: a script if it has white space or a shell character, else a plain word.
fn single(text: &str, shell: Option<&str>) -> Result<Form, Failure> {
    if text.trim().is_empty() {
        return Err(Failure::usage("the command is empty"));
    }
    match shell {
        Some("none") => Ok(Form::Argv(Argv { args: vec![text.to_owned()] })),
        Some(_) => script(text, shell),
        None if text.contains(is_shell) => script(text, shell),
        None => Ok(Form::Argv(Argv { args: vec![text.to_owned()] })),
    }
}

fn exact(words: &[String], shell: Option<&str>) -> Result<Form, Failure> {
    match shell {
        None | Some("none") => Ok(Form::Argv(Argv { args: words.to_vec() })),
        Some(_) => Err(Failure::usage("--shell takes a script: one argument, not several")
            .hint("quote the whole script: cluster-cli run --shell /bin/sh 'a && b'")),
    }
}

fn piped(shell: Option<&str>, stdin: &dyn ScriptSource) -> Result<Form, Failure> {
    let text = stdin.read()?;
    if text.trim().is_empty() {
        return Err(Failure::usage("no command, and the script on standard input is empty")
            .hint("for example: cluster-cli run -- echo hello"));
    }
    script(&text, shell)
}

fn script(text: &str, shell: Option<&str>) -> Result<Form, Failure> {
    let shell = match shell {
        Some("none") => return Err(Failure::usage("a script on standard input needs a shell")),
        Some("") => return Err(Failure::usage("--shell must not be empty")),
        other => other.unwrap_or_default().to_owned(),
    };
    Ok(Form::Script(Script { text: text.to_owned(), shell }))
}

/// White space, or a character that a shell reads as more than itself.
fn is_shell(c: char) -> bool {
    c.is_whitespace() || "|&;<>()$`\\\"'*?[]{}#~=!%".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Stdin(Option<&'static str>);

    impl ScriptSource for Stdin {
        fn is_piped(&self) -> bool {
            self.0.is_some()
        }

        fn read(&self) -> Result<String, Failure> {
            Ok(self.0.unwrap_or_default().to_owned())
        }
    }

    fn decide(
        words: &[&str],
        shell: Option<&str>,
        stdin: Option<&'static str>,
    ) -> Result<Option<Form>, Failure> {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        command(&words, None, None, shell, &Stdin(stdin)).map(|c| c.form)
    }

    #[test]
    fn one_plain_word_or_several_are_exact_and_the_rest_is_a_script() {
        let argv =
            |args: &[&str]| Some(Form::Argv(Argv { args: args.iter().map(|a| (*a).to_owned()).collect() }));
        let script = |text: &str, shell: &str| {
            Some(Form::Script(Script { text: text.to_owned(), shell: shell.to_owned() }))
        };
        for (words, shell, stdin, expected) in [
            (vec!["true"], None, None, argv(&["true"])),
            (vec!["true"], None, Some("ignored"), argv(&["true"])),
            (vec!["echo", "a b"], None, None, argv(&["echo", "a b"])),
            (vec!["echo hi"], None, None, script("echo hi", "")),
            (vec!["a|b"], None, None, script("a|b", "")),
            (vec!["a b"], Some("none"), None, argv(&["a b"])),
            (vec!["true"], Some("/bin/zsh"), None, script("true", "/bin/zsh")),
            (vec!["-"], None, Some("echo\n"), script("echo\n", "")),
            (vec![], None, Some("echo\n"), script("echo\n", "")),
        ] {
            assert_eq!(decide(&words, shell, stdin).ok(), Some(expected), "{words:?} {shell:?} {stdin:?}");
        }
        for (words, shell, stdin) in [
            (vec![], None, None),
            (vec![], None, Some(" \n")),
            (vec!["-"], None, Some("")),
            (vec![""], None, None),
            (vec!["  "], None, None),
            (vec!["a", "b"], Some("/bin/sh"), None),
        ] {
            assert!(decide(&words, shell, stdin).is_err(), "{words:?} {shell:?} {stdin:?}");
        }
    }
}
