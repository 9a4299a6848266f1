//! From a container's command to the steps the fake runs.
//!
//! Owns the small language: `exit`, `echo [-n]`, `printf TEXT`, `sleep`, `true`, `false`, `:`, `wait`, `seq`, `kill -SIG $$`, `trap`, `exec`,
//! `for V in ...; do ...; done`, `while true; do ...; done`, chains with `;` `&&` `||`, `>&2`, variables; and four of its own:
//! `fake:bytes N SEED` (pseudo-random output), `fake:fill N TEXT` (TEXT repeated to N bytes), `fake:oom`, `fake:crash`.
//! Everything else prints `fake: would run: ...` and ends with 0. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::signals;
use super::words::{Part, Token, expand, sequence, tokens};
use dockmgr_core::log::Stream;

/// Most steps of one program, loops unrolled.
const STEP_LIMIT: usize = 100_000;

/// Length of the text that `fake:fill` writes again and again, in bytes, about.
const FILL: usize = 256 * 1024;

/// One step and when it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) guard: Guard,
    pub(crate) action: Action,
}

/// Whether a step runs, by the status of the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    Always,
    IfOk,
    IfFailed,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Writes text; shared, so that a loop that writes for hours holds its text once.
    Print(Stream, Bytes),
    /// Writes pseudo-random bytes: count and seed.
    Bytes(Stream, u64, u64),
    /// Lets time pass.
    Sleep(Duration),
    /// Ends a command with a status.
    Status(u8),
    /// Ends the program.
    Exit(u8),
    /// Raises a signal in the program itself.
    Raise(u8),
    /// Sets what a signal does: nothing, these steps, or (absent) its default.
    Trap(u8, Option<Vec<Step>>),
    /// The kernel kills it for memory.
    OutOfMemory,
    /// Goes back to an earlier step.
    Jump(usize),
}

/// Compiles the command of a container.
pub(crate) fn compile(argv: &[String], env: &BTreeMap<String, String>) -> Vec<Step> {
    let Some(first) = argv.first() else { return vec![always(Action::Exit(0))] };
    if let Some(failure) = refused_by_init(first) {
        return failure;
    }
    let program = first.rsplit('/').next().unwrap_or(first);
    let compiled =
        if matches!(program, "sh" | "bash" | "dash") && argv.get(1).is_some_and(|flag| flag == "-c") {
            // A wrapper hands the script on as its last argument.
            argv.get(2..).and_then(<[String]>::last).and_then(|script| compile_script(script, env))
        } else {
            let mut steps = Vec::new();
            simple(Guard::Always, argv, Stream::Stdout, env, &mut steps).map(|()| steps)
        };
    compiled.unwrap_or_else(|| would_run(argv))
}

/// The failures of a reaper that cannot run the command, told by name alone: nothing exists below `/nonexistent` or under
/// a name that starts with `no-such-`, and nothing below `/etc` is executable.
fn refused_by_init(command: &str) -> Option<Vec<Step>> {
    let (code, why) = if command.starts_with("/nonexistent") || command.starts_with("no-such-") {
        (127, "No such file or directory")
    } else if command.starts_with("/etc/") {
        (126, "Permission denied")
    } else {
        return None;
    };
    let text = format!("[FATAL tini (7)] exec {command} failed: {why}\n");
    Some(vec![always(Action::Print(Stream::Stderr, text.into())), always(Action::Exit(code))])
}

fn would_run(argv: &[String]) -> Vec<Step> {
    let text = format!("fake: would run: {}\n", argv.join(" "));
    vec![always(Action::Print(Stream::Stdout, text.into())), always(Action::Exit(0))]
}

fn always(action: Action) -> Step {
    Step { guard: Guard::Always, action }
}

/// Compiles a script; `None` if it uses anything unknown.
fn compile_script(script: &str, env: &BTreeMap<String, String>) -> Option<Vec<Step>> {
    let tokens = tokens(script)?;
    let mut steps = Vec::new();
    let mut variables = env.clone();
    list(&tokens, &mut variables, &mut steps)?;
    Some(steps)
}

/// Compiles commands joined by operators.
fn list(mut tokens: &[Token], variables: &mut BTreeMap<String, String>, steps: &mut Vec<Step>) -> Option<()> {
    let mut guard = Guard::Always;
    while let Some(first) = tokens.first() {
        match first {
            Token::End => (guard, tokens) = (Guard::Always, &tokens[1..]),
            Token::And => (guard, tokens) = (Guard::IfOk, &tokens[1..]),
            Token::Or => (guard, tokens) = (Guard::IfFailed, &tokens[1..]),
            Token::ToStderr => return None,
            Token::Word(word) => match keyword(word) {
                Some("for") if guard == Guard::Always => tokens = for_loop(tokens, variables, steps)?,
                Some("while") if guard == Guard::Always => tokens = while_loop(tokens, variables, steps)?,
                _ => tokens = command(guard, tokens, variables, steps)?,
            },
        }
        if steps.len() > STEP_LIMIT {
            return None;
        }
    }
    Some(())
}

fn keyword(word: &[Part]) -> Option<&str> {
    match word {
        [Part::Text(text)] => Some(text),
        _ => None,
    }
}

/// Compiles one command up to the next operator; what follows it.
fn command<'a>(
    guard: Guard,
    tokens: &'a [Token],
    variables: &mut BTreeMap<String, String>,
    steps: &mut Vec<Step>,
) -> Option<&'a [Token]> {
    let end =
        tokens.iter().position(|t| matches!(t, Token::End | Token::And | Token::Or)).unwrap_or(tokens.len());
    let mut stream = Stream::Stdout;
    let mut words = Vec::new();
    for token in &tokens[..end] {
        match token {
            Token::Word(parts) => words.push(expand(parts, variables)?),
            Token::ToStderr => stream = Stream::Stderr,
            Token::End | Token::And | Token::Or => return None,
        }
    }
    if let ([assignment], Guard::Always) = (&words[..], guard)
        && let Some((name, value)) = assignment.split_once('=')
    {
        variables.insert(name.to_owned(), value.to_owned());
    } else {
        simple(guard, &words, stream, variables, steps)?;
    }
    Some(&tokens[end..])
}

/// Finds the body of a loop: its tokens and what follows `done`.
fn body(tokens: &[Token]) -> Option<(&[Token], &[Token])> {
    let start = tokens.iter().position(|t| matches!(t, Token::Word(w) if keyword(w) == Some("do")))? + 1;
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token {
            Token::Word(word) if keyword(word) == Some("do") => depth += 1,
            Token::Word(word) if keyword(word) == Some("done") && depth == 0 => {
                return Some((&tokens[start..at], &tokens[at + 1..]));
            }
            Token::Word(word) if keyword(word) == Some("done") => depth -= 1,
            Token::Word(_) | Token::End | Token::And | Token::Or | Token::ToStderr => {}
        }
    }
    None
}

fn for_loop<'a>(
    tokens: &'a [Token],
    variables: &mut BTreeMap<String, String>,
    steps: &mut Vec<Step>,
) -> Option<&'a [Token]> {
    let [_for, Token::Word(name), Token::Word(word_in), values @ ..] = tokens else { return None };
    let name = keyword(name).filter(|_| keyword(word_in) == Some("in"))?;
    let (body, rest) = body(values)?;
    for token in values.iter().take_while(|token| **token != Token::End) {
        let Token::Word(parts) = token else { return None };
        for value in expand(parts, variables)?.split_whitespace() {
            variables.insert(name.to_owned(), value.to_owned());
            list(body, variables, steps)?;
        }
    }
    Some(rest)
}

fn while_loop<'a>(
    tokens: &'a [Token],
    variables: &mut BTreeMap<String, String>,
    steps: &mut Vec<Step>,
) -> Option<&'a [Token]> {
    let [_while, Token::Word(condition), ..] = tokens else { return None };
    matches!(keyword(condition), Some("true" | ":")).then_some(())?;
    let (body, rest) = body(tokens)?;
    let start = steps.len();
    list(body, variables, steps)?;
    steps.push(always(Action::Jump(start)));
    Some(rest)
}

/// Compiles one command of plain words.
fn simple(
    guard: Guard,
    words: &[String],
    stream: Stream,
    variables: &BTreeMap<String, String>,
    steps: &mut Vec<Step>,
) -> Option<()> {
    let Some((name, arguments)) = words.split_first() else { return Some(()) };
    let number = |at: usize| arguments.get(at).and_then(|word| word.parse::<u64>().ok());
    let print = |text: Vec<u8>| Action::Print(stream, text.into());
    let action = match name.as_str() {
        "exec" => return simple(guard, arguments, stream, variables, steps),
        // Nothing runs in the background here, so there is nothing to wait for.
        "true" | ":" | "wait" => Action::Status(0),
        "false" => Action::Status(1),
        "exit" if arguments.is_empty() => Action::Exit(0),
        "exit" => Action::Exit(u8::try_from(number(0)? & 0xff).expect("masked")),
        "echo" if arguments.first().is_some_and(|flag| flag == "-n") => {
            print(arguments[1..].join(" ").into_bytes())
        }
        "echo" => print((arguments.join(" ") + "\n").into_bytes()),
        "printf" if arguments.len() == 1 && !arguments[0].contains('%') => {
            print(arguments[0].replace("\\n", "\n").into_bytes())
        }
        "seq" => print((sequence(&arguments.join(" "))?.join("\n") + "\n").into_bytes()),
        "sleep" if arguments == ["infinity"] => Action::Sleep(Duration::from_secs(u64::from(u32::MAX))),
        "sleep" => {
            let seconds = arguments.first()?.trim_end_matches('s').parse().ok()?;
            Action::Sleep(Duration::try_from_secs_f64(seconds).ok()?)
        }
        "kill" if arguments.len() == 2 && arguments[1] == "1" => {
            Action::Raise(signals::parse(arguments[0].trim_start_matches('-'))?)
        }
        "trap" => return trap(guard, arguments, variables, steps),
        "fake:bytes" => Action::Bytes(stream, number(0)?, number(1).unwrap_or(1)),
        "fake:fill" => {
            let count = usize::try_from(number(0)?).ok()?;
            // Behind `||` a first piece that is written would keep the others from it.
            let length = if guard == Guard::IfFailed { count } else { FILL };
            let pieces = fill(count, arguments.get(1)?, length)?;
            steps.extend(pieces.map(|text| Step { guard, action: Action::Print(stream, text) }));
            return Some(());
        }
        "fake:oom" => Action::OutOfMemory,
        "fake:crash" => Action::Exit(139),
        _ => return None,
    };
    steps.push(Step { guard, action });
    Some(())
}

/// Text over and over, to so many bytes in all: pieces that share their memory.
fn fill(count: usize, text: &str, length: usize) -> Option<impl Iterator<Item = Bytes>> {
    let text = text.replace("\\n", "\n");
    let times = length.checked_div(text.len())? + 1;
    let piece = Bytes::from(text.repeat(times));
    let rest = piece.slice(..count % piece.len());
    Some(std::iter::repeat_n(piece.clone(), count / piece.len()).chain([rest]))
}

fn trap(
    guard: Guard,
    arguments: &[String],
    variables: &BTreeMap<String, String>,
    steps: &mut Vec<Step>,
) -> Option<()> {
    let (handler, names) = arguments.split_first()?;
    for name in names {
        let signal = signals::parse(name)?;
        // A handler beyond this language, such as a wrapper's own, ends the program the way the signal would.
        let ends = || vec![always(Action::Exit(128 + signal))];
        let compiled = || compile_script(handler, variables).unwrap_or_else(ends);
        let handler = (handler != "-").then(compiled);
        steps.push(Step { guard, action: Action::Trap(signal, handler) });
    }
    Some(())
}
