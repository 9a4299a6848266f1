//! What holds for every query and every line.

use proptest::prelude::*;

use super::super::*;
use super::{generate, naive};
use crate::log::Stream;

fn stream() -> impl Strategy<Value = Stream> {
    prop_oneof![Just(Stream::Stdout), Just(Stream::Stderr)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn a_printed_query_parses_to_itself(query in generate::query("\\PC{0,6}|[ a-z\"\\\\*/:=()]{0,6}")) {
        let printed = query.to_string();
        let parsed = Query::parse(&printed);
        prop_assert_eq!(parsed.as_ref(), Ok(&query), "printed {}", printed);
    }

    #[test]
    fn a_query_finds_what_the_naive_one_finds(
        query in generate::query(generate::word()), line in generate::line(), stream in stream(),
    ) {
        let expected = naive::matches(&query.root, stream, &line);
        prop_assert_eq!(query.matches(stream, &line), expected, "{} in {}", query, line.escape_ascii());
        let known = query.of_stream(stream);
        prop_assert_eq!(known.matches(stream, &line), expected, "{} in {}", known, line.escape_ascii());
    }

    #[test]
    fn a_line_that_matches_has_what_the_query_needs(
        query in generate::query(generate::word()), line in generate::line(), stream in stream(),
    ) {
        let folded: Vec<Vec<u8>> = tokens(&line).map(<[u8]>::to_ascii_lowercase).collect();
        let allowed = query.needs().allow(&|token| folded.iter().any(|have| have == token));
        prop_assert!(allowed || !query.matches(stream, &line), "{} in {}", query, line.escape_ascii());
    }

    #[test]
    fn any_text_and_any_line_go_without_panic(
        text in "\\PC{0,40}", line in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        if let Ok(query) = Query::parse(&text) {
            query.matches(Stream::Stdout, &line);
            query.ranges(&line, 8);
            prop_assert_eq!(Query::parse(&query.to_string()), Ok(query));
        }
        severity(&line);
    }

    #[test]
    fn marks_lie_in_the_line_in_order(
        query in generate::query(generate::word()), line in generate::line(),
    ) {
        let mut from = 0;
        for range in query.ranges(&line, 8) {
            prop_assert!(range.start >= from && range.start < range.end && range.end <= line.len());
            from = range.end;
        }
    }
}
