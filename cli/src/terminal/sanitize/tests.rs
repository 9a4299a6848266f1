use proptest::prelude::*;

use super::*;

fn whole(input: &[u8]) -> String {
    let mut sanitizer = Sanitizer::default();
    let mut output = Vec::new();
    sanitizer.push(input, &mut output);
    sanitizer.finish(&mut output);
    String::from_utf8(output).expect("always text")
}

#[test]
fn text_and_colours_pass() {
    for text in [
        "hello\tworld\n",
        "grün \u{1f980} 漢字\n",
        "a\r\nb\r\n",
        "\x1b[1;31mred\x1b[0m\n",
        "\x1b[38:5:1mx\x1b[m",
    ] {
        assert_eq!(whole(text.as_bytes()), text);
    }
    assert_eq!(whole(b"\x1b[31mleft open"), "\x1b[31mleft open\x1b[0m");
}

#[test]
fn what_could_fool_a_terminal_is_shown() {
    for (input, shown) in [
        (b"\x1b[2J".as_slice(), "^[[2J"),
        (b"\x1b]0;title\x07", "^[]0;title^G"),
        (b"\x1b]52;c;cHduZWQ=\x07", "^[]52;c;cHduZWQ=^G"),
        (b"\x1bPq\x1b\\", "^[Pq^[\\"),
        (b"good\rbad\n", "good^Mbad\n"),
        (b"\r\r\n", "^M\r\n"),
        (b"\x9b2J", "\\x9b2J"),
        ("\u{9b}2J".as_bytes(), "\\u{9b}2J"),
        ("a\u{202e}b\u{2028}c\u{85}".as_bytes(), "a\\u{202e}b\\u{2028}c\\u{85}"),
        (b"a\0b\x7f\x08", "a^@b^?^H"),
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"\xe2\x82", "\\xe2\\x82"),
        (b"\xe2\x82\x1b[2J", "\\xe2\\x82^[[2J"),
        (b"\x1b[31", "^[[31"),
        (b"\x1b\x1b[2J", "^[^[[2J"),
        (b"\x1b[?25l", "^[[?25l"),
    ] {
        assert_eq!(whole(input), shown, "{input:?}");
    }
}

#[test]
fn a_line_of_foreign_words_stays_one_harmless_line() {
    assert_eq!(escape_line("a\nb\x1b[2J\u{202e}\u{9b}é"), "a b^[[2J\\u{202e}\\u{9b}é");
}

proptest! {
    #[test]
    fn where_a_chunk_ends_makes_no_difference(input: Vec<u8>, cut in 0usize..64) {
        let cut = cut.min(input.len());
        let mut sanitizer = Sanitizer::default();
        let mut output = Vec::new();
        sanitizer.push(&input[..cut], &mut output);
        prop_assert!(sanitizer.held.len() <= MOST_COLOUR);
        sanitizer.push(&input[cut..], &mut output);
        sanitizer.finish(&mut output);
        prop_assert_eq!(String::from_utf8(output).expect("always text"), whole(&input));
    }

    #[test]
    fn no_control_gets_through_but_newline_tab_and_colour(
        pieces in prop::collection::vec(prop_oneof![
            Just(vec![0x1b]), Just(b"[".to_vec()), Just(b"]0;".to_vec()), Just(b"31m".to_vec()), Just(vec![0x9b]),
            Just(vec![0xc2]), Just(b"\r".to_vec()), Just(b"\n".to_vec()), prop::collection::vec(any::<u8>(), 0..6)
        ], 0..30)
    ) {
        let shown = whole(&pieces.concat()).replace("\r\n", "\n");
        let mut rest = shown.as_str();
        while let Some(at) = rest.find(|c: char| c.is_control() && c != '\n' && c != '\t') {
            let colour = rest[at..].strip_prefix("\u{1b}[");
            prop_assert!(colour.is_some(), "a control got through: {:?}", &rest[at..]);
            let colour = colour.unwrap_or_default();
            let end = colour.find(|c: char| !matches!(c, '0'..='9' | ';' | ':'));
            prop_assert!(end.is_some_and(|end| colour[end..].starts_with('m')), "no colour: {:?}", &rest[at..]);
            rest = &colour[end.unwrap_or(0)..];
        }
    }
}
