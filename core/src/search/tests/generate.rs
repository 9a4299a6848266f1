//! Random queries, and random lines that they have something to do with.

use proptest::prelude::*;

use super::super::expr::{Expr, Order, Term};
use super::super::pattern::Pattern;
use super::super::regex::Regex;
use super::super::text::Text;
use super::super::{Query, parser};

/// Expressions whose text is not always the one that is printed.
const REGEXES: [&str; 9] =
    ["a+", "x/y", r"\d+ b", r"\\", "[/]b", "\u{e9}|b", "a b_c d", "^err.*x$", r"(?-u)\xe9"];
const WORDS: [&str; 12] =
    ["a", "ab", "err", "error", "b_c", "42", "\u{e9}", "a b", "x=y", "AND", "/", "\"q\\"];
const NAMES: [&str; 6] = ["a", "user.id", "a.b", "level", "ms", "b_c"];

/// A query, not deep.
pub(super) fn query(texts: impl Strategy<Value = String> + Clone + 'static) -> impl Strategy<Value = Query> {
    let leaf = term(texts).prop_map(Expr::Term);
    let tree = leaf.prop_recursive(3, 10, 3, |part| {
        prop_oneof![
            proptest::collection::vec(part.clone(), 2..4).prop_map(Expr::And),
            proptest::collection::vec(part.clone(), 2..4).prop_map(Expr::Or),
            part.prop_map(|part| Expr::Not(Box::new(part))),
        ]
    });
    tree.prop_map(|root| Query { root })
}

/// A text that lines have.
pub(super) fn word() -> impl Strategy<Value = String> + Clone {
    proptest::sample::select(&WORDS[..]).prop_map(str::to_owned)
}

/// A line of words, of pairs, or a JSON object.
pub(super) fn line() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        word(),
        proptest::sample::select(vec![" ", "=", "\"", "\\", "\t", "[error]", "ERROR", "x", "\u{e9}"])
            .prop_map(str::to_owned),
        (proptest::sample::select(&NAMES[..]), word()).prop_map(|(name, value)| format!(" {name}={value} ")),
        (proptest::sample::select(&NAMES[..]), word())
            .prop_map(|(name, value)| format!(" {name}={value:?} ")),
    ];
    let text = proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat().into_bytes());
    let bytes = proptest::collection::vec(any::<u8>(), 0..30);
    prop_oneof![6 => text, 1 => bytes, 4 => object().prop_map(|value| value.to_string().into_bytes())]
}

fn object() -> impl Strategy<Value = serde_json::Value> {
    let value = prop_oneof![
        word().prop_map(serde_json::Value::from),
        (-50i64..50).prop_map(serde_json::Value::from),
        proptest::sample::select(vec!["error", "WARN", "info"]).prop_map(serde_json::Value::from),
        any::<bool>().prop_map(serde_json::Value::from),
    ];
    let fields = |value: BoxedStrategy<serde_json::Value>| {
        let name = proptest::sample::select(vec!["a", "b", "user", "id", "user.id", "level", "ms", "b_c"]);
        proptest::collection::vec((name, value), 0..4).prop_map(|fields| {
            serde_json::Value::Object(
                fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            )
        })
    };
    let list = proptest::collection::vec(value.clone(), 0..3).prop_map(serde_json::Value::from);
    let inner = fields(value.clone().boxed());
    fields(prop_oneof![4 => value, 1 => list, 2 => inner].boxed())
}

fn term(texts: impl Strategy<Value = String> + Clone + 'static) -> impl Strategy<Value = Term> {
    let pattern = |texts: BoxedStrategy<String>| {
        (texts, any::<bool>(), any::<bool>()).prop_map(|(text, start, end)| Pattern::new(text, start, end))
    };
    let filled = texts.clone().prop_filter("a word has characters", |text| !text.is_empty());
    let text = pattern(filled.boxed()).prop_map(|pattern| Term::Text(Text::new(pattern)));
    let regex = proptest::sample::select(&REGEXES[..])
        .prop_map(|source| Term::Regex(Regex::new(source.to_owned()).expect("it compiles")));
    let fits =
        (proptest::sample::select(&NAMES[..]), pattern(texts.clone().boxed())).prop_map(|(name, value)| {
            parser::field_of_line(name, Order::Equal, &value, 0).expect("any text will do")
        });
    let order = proptest::sample::select(vec![Order::Less, Order::AtMost, Order::Greater, Order::AtLeast]);
    let compared =
        (proptest::sample::select(&NAMES[..]), order, -60i32..60).prop_map(|(name, order, number)| {
            let value = Pattern::new(number.to_string(), false, false);
            parser::field_of_line(name, order, &value, 0).expect("a number")
        });
    let written = proptest::sample::select(vec![
        "job:42",
        "job:1.2",
        "job:1.2.3",
        "task<=7",
        "attempt:1",
        "state:active",
        "reason:oom",
        "stream:stdout",
        "stream:stderr",
        "level:error",
        "level>=info",
        "level<warn",
        "label:k=v",
        "label:a.b/c",
        "label:k=*v*",
        "label:k=",
    ]);
    let written = written.prop_map(|text| match Query::parse(text).expect(text).root {
        Expr::Term(term) => term,
        other => panic!("{other:?} is no term"),
    });
    let named = pattern(texts.boxed());
    let named = (named, any::<bool>())
        .prop_map(|(value, node)| if node { Term::Node(value) } else { Term::Name(value) });
    prop_oneof![4 => text, 1 => regex, 3 => fits, 1 => compared, 2 => written, 1 => named]
}
