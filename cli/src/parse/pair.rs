//! Pairs: labels and constraints.

use dockmgr_core::spec::{LabelKey, LabelValue};
use dockmgr_proto::v1::Constraint;
use dockmgr_proto::v1::constraint::Operator;

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// A label, `key=value` or `key` alone.
pub(crate) fn label(text: &str) -> Result<Pair, String> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    let wrong = |problem: &dyn std::fmt::Display| {
        let shown: String = text.chars().take(64).flat_map(char::escape_default).collect();
        format!("'{shown}' is no label such as team=search: {problem}")
    };
    if key.starts_with("dockmgr.") {
        return Err("labels that begin with 'dockmgr.' are reserved".to_owned());
    }
    LabelKey::parse(key).map_err(|problem| wrong(&problem))?;
    LabelValue::parse(value).map_err(|problem| wrong(&problem))?;
    Ok(Pair { key: key.to_owned(), value: value.to_owned() })
}

/// A constraint, `key=value` or `key!=value`.
pub(crate) fn constraint(text: &str) -> Result<Constraint, String> {
    let (operator, split) = match (text.split_once("!="), text.split_once('=')) {
        (Some(split), _) => (Operator::NotEqual, split),
        (None, Some(split)) => (Operator::Equal, split),
        (None, None) => {
            return Err(format!("'{}' is no constraint such as zone=a or zone!=a", text.escape_default()));
        }
    };
    if split.0.is_empty() {
        return Err(format!("'{}' names no label", text.escape_default()));
    }
    Ok(Constraint { key: split.0.to_owned(), operator: operator.into(), value: split.1.to_owned() })
}
