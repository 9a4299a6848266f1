//! What a key means.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::screen::Screen;

/// Told by `?`, one line each.
pub(super) const HELP: [&str; 11] = [
    "q, Esc, Ctrl-C   leave",
    "up, down, k, j   choose a job",
    "PgUp, PgDn       ten at a time",
    "Home, End        the first, the last",
    "Enter            describe it; Esc goes back",
    "l                its output; Ctrl-C goes back",
    "s                sort: newest, longest, name, state",
    "r                the other way round",
    "f                all jobs, or those that failed",
    "?                this, and away again",
    "NO_COLOR=1       takes the colours away",
];

/// What a key asks of somebody else than the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// Nothing, or the screen has done it.
    Nothing,
    Leave,
    /// To read about a job.
    Describe(u64),
    /// To see the output of a job.
    Output(u64),
}

/// Does what a key means, or says what is wished.
pub(super) fn press(screen: &mut Screen, key: KeyEvent) -> Wish {
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c') if is_control => return Wish::Leave,
        KeyCode::Esc | KeyCode::Char('q') => {
            return if screen.close() { Wish::Nothing } else { Wish::Leave };
        }
        KeyCode::Char('?') => screen.turn_help(),
        KeyCode::Char('f') => screen.turn_to_failures(),
        KeyCode::Char('s') => screen.sort_next(),
        KeyCode::Char('r') => screen.turn_round(),
        KeyCode::Up | KeyCode::Char('k') => screen.move_by(-1),
        KeyCode::Down | KeyCode::Char('j') => screen.move_by(1),
        KeyCode::PageUp => screen.move_by(-10),
        KeyCode::PageDown => screen.move_by(10),
        KeyCode::Home => screen.move_by(isize::MIN),
        KeyCode::End => screen.move_by(isize::MAX),
        KeyCode::Enter => return screen.chosen().map_or(Wish::Nothing, Wish::Describe),
        KeyCode::Char('l') => return screen.chosen().map_or(Wish::Nothing, Wish::Output),
        _ => {}
    }
    Wish::Nothing
}
