//! Demands on a node's labels.

use std::collections::BTreeMap;

use super::name::{LabelKey, LabelValue};

/// A demand on one label of a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Constraint {
    /// Key of the label.
    pub key: LabelKey,
    /// How it is compared.
    pub operator: Operator,
    /// The value compared with.
    pub value: LabelValue,
}

/// How a label is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operator {
    /// Exactly this value.
    Equal,
    /// Absent or another value.
    NotEqual,
}

impl Constraint {
    /// Whether a node with these labels satisfies the demand.
    pub fn holds(&self, labels: &BTreeMap<LabelKey, LabelValue>) -> bool {
        let equal = labels.get(&self.key) == Some(&self.value);
        match self.operator {
            Operator::Equal => equal,
            Operator::NotEqual => !equal,
        }
    }
}
