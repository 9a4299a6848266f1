//! The filter language of job lists and watches.
//!
//! ```text
//! filter    = condition { "AND" condition }
//! condition = field operator value
//! field     = "state" | "name" | "id" | "create_time" | "labels." key
//! operator  = "=" | "!=" | "<" | "<=" | ">" | ">="      (order only for id and create_time)
//! value     = word | '"' text '"'
//! ```
//!
//! Owns parsing and matching. Times arrive as RFC 3339 text and are compared as milliseconds by the caller's reader, so
//! that this crate needs no calendar.

mod lexer;

use std::collections::BTreeMap;

use crate::outcome::JobState;
use crate::spec::{LabelKey, LabelValue};
use crate::time::WallTime;

use lexer::Token;

/// Longest filter that is read, in bytes.
pub const MAX_BYTES: usize = 4096;
/// Most conditions of one filter.
const MAX_CONDITIONS: usize = 32;

/// Conditions that must all hold; none means that everything matches.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    conditions: Vec<Condition>,
}

/// Why a text is not a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} (at character {at})")]
pub struct Error {
    /// Where, counted in characters from 0.
    pub at: usize,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// What a filter looks at.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Number of the job.
    pub id: u64,
    /// Its name, empty if it has none.
    pub name: &'a str,
    /// Its state.
    pub state: JobState,
    /// Its labels.
    pub labels: &'a BTreeMap<LabelKey, LabelValue>,
    /// When it was stored.
    pub created: WallTime,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    State { equal: bool, state: JobState },
    Name { equal: bool, name: String },
    Label { key: String, equal: bool, value: String },
    Id { order: Order, id: u64 },
    Created { order: Order, at: WallTime },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Order {
    fn parse(text: &str) -> Self {
        match text {
            "!=" => Self::NotEqual,
            "<" => Self::Less,
            "<=" => Self::AtMost,
            ">" => Self::Greater,
            ">=" => Self::AtLeast,
            _ => Self::Equal,
        }
    }

    fn holds<T: Ord>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Less => left < right,
            Self::AtMost => left <= right,
            Self::Greater => left > right,
            Self::AtLeast => left >= right,
        }
    }
}

impl Filter {
    /// Parses a filter; empty text matches everything. `read_time` turns an RFC 3339 time into milliseconds.
    ///
    /// # Errors
    /// Says where and what is wrong.
    pub fn parse(text: &str, read_time: impl Fn(&str) -> Option<WallTime>) -> Result<Self, Error> {
        if text.len() > MAX_BYTES {
            return Err(Error { at: MAX_BYTES, problem: format!("longer than {MAX_BYTES} bytes") });
        }
        let tokens = lexer::tokens(text)?;
        let mut conditions = Vec::new();
        let mut rest = tokens.as_slice();
        while let [field, operator, value, after @ ..] = rest {
            conditions.push(condition(field, operator, value, &read_time)?);
            rest = match after {
                [] => after,
                [and, more @ ..] if and.text == "AND" && !and.quoted && !more.is_empty() => more,
                [other, ..] => return Err(other.error("expected AND and another condition here")),
            };
        }
        if let [left, ..] = rest {
            return Err(left.error("a condition is FIELD OPERATOR VALUE, for example state = ACTIVE"));
        }
        if conditions.len() > MAX_CONDITIONS {
            return Err(Error { at: 0, problem: format!("more than {MAX_CONDITIONS} conditions") });
        }
        Ok(Self { conditions })
    }

    /// Whether all conditions hold.
    pub fn matches(&self, subject: Subject<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.holds(subject))
    }
}

impl Condition {
    fn holds(&self, subject: Subject<'_>) -> bool {
        match self {
            Self::State { equal, state } => (subject.state == *state) == *equal,
            Self::Name { equal, name } => (subject.name == name) == *equal,
            Self::Label { key, equal, value } => {
                let found = subject.labels.iter().find(|(have, _)| have.as_str() == key);
                found.is_some_and(|(_, have)| have.as_str() == value) == *equal
            }
            Self::Id { order, id } => order.holds(&subject.id, id),
            Self::Created { order, at } => order.holds(&subject.created, at),
        }
    }
}

fn condition(
    field: &Token,
    operator: &Token,
    value: &Token,
    read_time: &impl Fn(&str) -> Option<WallTime>,
) -> Result<Condition, Error> {
    if !operator.is_operator {
        return Err(operator.error("expected an operator here: = != < <= > >="));
    }
    let order = Order::parse(&operator.text);
    let equality = || match order {
        Order::Equal => Ok(true),
        Order::NotEqual => Ok(false),
        Order::Less | Order::AtMost | Order::Greater | Order::AtLeast => {
            Err(operator.error("this field knows only = and !="))
        }
    };
    match field.text.as_str() {
        "state" => Ok(Condition::State { equal: equality()?, state: state(value)? }),
        "name" => Ok(Condition::Name { equal: equality()?, name: value.text.clone() }),
        "id" => {
            let id = value.text.parse().map_err(|_| value.error("id is compared with a number"))?;
            Ok(Condition::Id { order, id })
        }
        "create_time" => {
            let at = read_time(&value.text)
                .ok_or_else(|| value.error("expected an RFC 3339 time such as \"2026-01-31T12:00:00Z\""))?;
            Ok(Condition::Created { order, at })
        }
        other => match other.strip_prefix("labels.") {
            Some(key) if !key.is_empty() => {
                Ok(Condition::Label { key: key.to_owned(), equal: equality()?, value: value.text.clone() })
            }
            _ => Err(field.error("fields are state, name, id, create_time and labels.KEY")),
        },
    }
}

fn state(value: &Token) -> Result<JobState, Error> {
    match value.text.trim_start_matches("STATE_").to_ascii_uppercase().as_str() {
        "ACTIVE" => Ok(JobState::Active),
        "SUCCEEDED" => Ok(JobState::Succeeded),
        "FAILED" => Ok(JobState::Failed),
        "CANCELLED" => Ok(JobState::Cancelled),
        _ => Err(value.error("states are ACTIVE, SUCCEEDED, FAILED and CANCELLED")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Filter, Error> {
        Filter::parse(text, |time| time.strip_prefix('@').and_then(|ms| ms.parse().ok()).map(WallTime))
    }

    fn matches(text: &str) -> bool {
        let mut labels = BTreeMap::new();
        labels.insert(
            LabelKey::parse("team").expect("valid"),
            LabelValue::parse("x y".split(' ').next().unwrap_or("")).expect("valid"),
        );
        let subject = Subject {
            id: 7,
            name: "nightly",
            state: JobState::Failed,
            labels: &labels,
            created: WallTime(1000),
        };
        parse(text).expect(text).matches(subject)
    }

    #[test]
    fn conditions_are_joined_by_and() {
        for holds in [
            "",
            "  ",
            "state = FAILED",
            "state=failed",
            "state != ACTIVE",
            "name = \"nightly\"",
            "labels.team = x",
            "id > 6",
            "id >= 7 AND id <= 7",
            "create_time < \"@1001\"",
            "labels.other != z",
            "state = STATE_FAILED AND name=nightly",
        ] {
            assert!(matches(holds), "{holds:?} must match");
        }
        for fails in
            ["state = ACTIVE", "id > 7", "labels.team != x", "name = x AND id = 7", "create_time > @1000"]
        {
            assert!(!matches(fails), "{fails:?} must not match");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused_with_its_place() {
        for bad in [
            "state",
            "state =",
            "= x",
            "state = x",
            "id = x",
            "id = -1",
            "foo = 1",
            "labels. = x",
            "state < ACTIVE",
            "id = 1 AND",
            "id = 1 OR id = 2",
            "id = 1 id = 2",
            "name = \"open",
            "AND",
            "create_time > yesterday",
            "id ! 3",
        ] {
            assert!(parse(bad).is_err(), "{bad:?} must be refused");
        }
        assert_eq!(parse("id = 1 OR id = 2").expect_err("refused").at, 7);
        assert!(parse(&"x".repeat(MAX_BYTES + 1)).is_err());
    }
}
