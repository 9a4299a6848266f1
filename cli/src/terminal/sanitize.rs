//! Makes a job's output harmless for a terminal: what could move the cursor, hide text or speak to the terminal is shown
//! as text; colours may pass.
//!
//! Pure, one instance a stream. Passes: printable text, newline, tab, a carriage return before a newline, and `ESC [ ... m`
//! with digits, `;` and `:`. Shown: other C0 as `^X`, C1 and everything that turns or splits lines (bidirectional
//! controls, U+2028, U+2029) as `\u{202e}`, bytes that are no UTF-8 as `\xff`.
//!
//! ```text
//!   ground --ESC--> escape --[--> colour --m--> ground (passed)
//!     |               \_______________\--anything else--> ground (shown)
//!     +--CR--> return --LF--> ground (passed) | anything else --> ground (shown)
//! ```

/// Longest colour sequence that is held back.
const MOST_COLOUR: usize = 64;
const ESC: u8 = 0x1b;

/// Escapes one stream, chunk by chunk; holds back what may be the beginning of something longer.
#[derive(Debug, Default)]
pub(crate) struct Sanitizer {
    /// Bytes of an unfinished escape sequence, carriage return or character; never longer than [`MOST_COLOUR`].
    held: Vec<u8>,
    /// A colour was passed on and not reset.
    coloured: bool,
}

impl Sanitizer {
    /// Appends the harmless form of `input` to `output`.
    pub(crate) fn push(&mut self, input: &[u8], output: &mut Vec<u8>) {
        for byte in input {
            self.take(*byte, output);
        }
    }

    /// Shows what was held back and ends any colour: nothing follows, or something of our own does.
    pub(crate) fn finish(&mut self, output: &mut Vec<u8>) {
        let held = std::mem::take(&mut self.held);
        show_all(&held, output);
        if std::mem::take(&mut self.coloured) {
            output.extend_from_slice(b"\x1b[0m");
        }
    }

    fn take(&mut self, byte: u8, output: &mut Vec<u8>) {
        match self.held.first().copied() {
            None => self.ground(byte, output),
            Some(b'\r') => {
                self.held.clear();
                if byte == b'\n' {
                    output.extend_from_slice(b"\r\n");
                } else {
                    show(b'\r', output);
                    self.ground(byte, output);
                }
            }
            Some(ESC) => self.escape(byte, output),
            Some(_) => self.character(byte, output),
        }
    }

    fn ground(&mut self, byte: u8, output: &mut Vec<u8>) {
        match byte {
            b'\n' | b'\t' | b' '..=b'~' => output.push(byte),
            b'\r' | ESC | 0xc2..=0xf4 => self.held.push(byte),
            _ => show(byte, output),
        }
    }

    fn escape(&mut self, byte: u8, output: &mut Vec<u8>) {
        let begins = self.held.len() == 1 && byte == b'[';
        let goes_on = self.held.len() > 1 && matches!(byte, b'0'..=b'9' | b';' | b':');
        if (begins || goes_on) && self.held.len() < MOST_COLOUR {
            self.held.push(byte);
            return;
        }
        let held = std::mem::take(&mut self.held);
        if byte == b'm' && held.len() > 1 {
            self.coloured = !matches!(held.as_slice(), b"\x1b[" | b"\x1b[0");
            output.extend_from_slice(&held);
            output.push(byte);
            return;
        }
        show_all(&held, output);
        self.ground(byte, output);
    }

    fn character(&mut self, byte: u8, output: &mut Vec<u8>) {
        if !(0x80..=0xbf).contains(&byte) {
            let held = std::mem::take(&mut self.held);
            show_all(&held, output);
            self.ground(byte, output);
            return;
        }
        self.held.push(byte);
        match std::str::from_utf8(&self.held) {
            Ok(text) => {
                for c in text.chars() {
                    character(c, output);
                }
                self.held.clear();
            }
            // Incomplete so far, and no more than what a character has.
            Err(error) if error.error_len().is_none() => {}
            Err(_) => {
                let held = std::mem::take(&mut self.held);
                show_all(&held, output);
            }
        }
    }
}

/// One line of foreign text (a message, a name) made harmless; newlines become spaces.
pub(crate) fn escape_line(text: &str) -> String {
    let mut output = Vec::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => output.push(b' '),
            '\0'..='\u{1f}' | '\u{7f}' => show(u8::try_from(u32::from(c)).unwrap_or(b'?'), &mut output),
            other => character(other, &mut output),
        }
    }
    String::from_utf8_lossy(&output).into_owned()
}

/// Passes a character beyond ASCII, or shows its number.
fn character(c: char, output: &mut Vec<u8>) {
    if is_hostile(c) {
        output.extend_from_slice(format!("\\u{{{:x}}}", u32::from(c)).as_bytes());
    } else {
        output.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// C1, line and paragraph separators, bidirectional controls, and tags nobody sees.
fn is_hostile(c: char) -> bool {
    matches!(c, '\u{80}'..='\u{9f}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn show_all(bytes: &[u8], output: &mut Vec<u8>) {
    for byte in bytes {
        show(*byte, output);
    }
}

/// Shows a byte: a control in caret form, others as they are or in hexadecimal.
fn show(byte: u8, output: &mut Vec<u8>) {
    match byte {
        b'\n' | b'\t' | b' '..=b'~' => output.push(byte),
        0..=0x1f | 0x7f => output.extend_from_slice(&[b'^', byte ^ 0x40]),
        0x80..=0xff => output.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
    }
}

#[cfg(test)]
mod tests;
