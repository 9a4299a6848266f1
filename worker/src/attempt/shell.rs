//! How a script becomes the words of a container's first process.
//!
//! Owns the wrapper that picks the shell inside the one start and gives the script the stop window. Facts it rests on:
//! the init process sends the stop signal to the whole process group (`TINI_KILL_PROCESS_GROUP=1`) and ends the container
//! as soon as its one child ends; a shell without a trap dies of the signal at once and takes its still tidying children
//! with it. A shell with a trap waits for its foreground child first, then runs the trap.
//!
//! The trap stands in front of the script *in the same shell*: the script's own traps replace it, `exit`, `$?` and line
//! numbers stay exact (it shares the script's first line), and no shell is left between init and the script. It waits for
//! everything that got the same signal: its children, and what is left of the process group where a subshell died of the
//! signal before its own child. What left the group got no signal and ends with the container. A filter at the end of a
//! pipeline dies of the signal too, so what a slower part in front of it says afterwards is lost, as in any shell.

use dockmgr_core::spec::{Shell, Signal};

/// Replaces itself by bash where the image has it, else by sh; `$1` is the script.
const PICK_SHELL: &str =
    r#"if command -v bash >/dev/null 2>&1; then exec bash -c "$1"; else exec sh -c "$1"; fi"#;

/// Waits while another process of the shell's group lives, by the kernel's table: after the name in brackets come state,
/// parent and group. Only builtins and `sleep`; where either is missing it does not wait. No single quotes: it stands in some.
const WAIT_FOR_GROUP: &str = concat!(
    r#"dm_of() { read -r dm_s <"$1" && set -- ${dm_s##*) } && dm_state=$1 dm_group=$3; }; "#,
    r#"IFS=" "; if dm_of /proc/$$/stat && [ "$dm_group" ]; then dm_own=$dm_group; while :; do dm_more=; "#,
    r#"for dm_p in /proc/[0-9]*/stat; do [ "$dm_p" = /proc/$$/stat ] && continue; "#,
    r#"dm_of "$dm_p" && [ "$dm_group" = "$dm_own" ] && [ "$dm_state" != Z ] && dm_more=1; done; "#,
    r#"[ "$dm_more" ] || break; sleep 0.1 || break; done; fi 2>/dev/null;"#,
);

/// Shells that understand `trap` as the wrapper writes it.
const TRAPPING: [&str; 8] = ["sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "busybox"];

/// The words that run `text`. `stop` is the signal of a stop.
pub(super) fn script_words(text: &str, shell: &Shell, stop: Signal) -> Vec<String> {
    match shell {
        Shell::Auto => {
            let script = with_trap(text, stop);
            ["/bin/sh", "-c", PICK_SHELL, "sh", &script].map(str::to_owned).to_vec()
        }
        Shell::Path(path) => {
            let name = path.rsplit('/').next().unwrap_or(path);
            // Another interpreter gets the script as it is: its own default for the signal applies.
            let script = if TRAPPING.contains(&name) { with_trap(text, stop) } else { text.to_owned() };
            [path, "-c", &script].map(str::to_owned).to_vec()
        }
    }
}

fn with_trap(text: &str, stop: Signal) -> String {
    if stop == Signal::KILL {
        return text.to_owned();
    }
    // The first act of the trap ignores the signal, so that a second one does not cut the wait short.
    let (name, code) = (stop.short_name(), stop.exit_code());
    format!(r#"trap 'trap "" {name}; wait; {WAIT_FOR_GROUP} exit {code}' {name}; {text}"#)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Runs the words on this machine, in place of a container.
    fn run(text: &str, shell: &Shell) -> (Option<i32>, String) {
        let words = script_words(text, shell, Signal::TERM);
        let output = Command::new(&words[0]).args(&words[1..]).output().expect("a shell");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    #[test]
    fn the_scripts_own_code_and_output_are_exact() {
        for shell in [Shell::Auto, Shell::Path("/bin/sh".into()), Shell::Path("/bin/bash".into())] {
            for (text, code, out) in [
                ("exit 7", 7, ""),
                ("true", 0, ""),
                ("false", 1, ""),
                ("false\necho $?", 0, "1\n"),
                ("echo \"a 'b' $((1+1))\" | sed s/a/x/\nexit 3", 3, "x 'b' 2\n"),
                ("# only a comment", 0, ""),
                ("#!/bin/sh\necho hi", 0, "hi\n"),
                ("cat <<END\n$HOME_NOT_SET'\"\nEND\n", 0, "'\"\n"),
                ("trap 'echo bye' EXIT; exit 5", 5, "bye\n"),
                ("sh -c 'exit 9'", 9, ""),
                ("no-such-command-here 2>/dev/null", 127, ""),
                ("set -e; false; echo not reached", 1, ""),
            ] {
                assert_eq!(run(text, &shell), (Some(code), out.to_owned()), "{text:?} in {shell:?}");
            }
        }
    }

    #[test]
    fn bash_is_taken_where_it_exists() {
        assert_eq!(run("echo ${BASH_VERSION:+bash}", &Shell::Auto).1, "bash\n");
    }

    #[test]
    fn another_interpreter_gets_the_script_untouched() {
        let words = script_words("print(1)", &Shell::Path("/usr/bin/python3".into()), Signal::TERM);
        assert_eq!(words, ["/usr/bin/python3", "-c", "print(1)"]);
    }
}
