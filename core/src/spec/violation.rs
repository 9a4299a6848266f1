//! Wrong fields, collected so that a person sees all of them at once.

use std::fmt;

/// One wrong field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field in the wire message, `spec.resources.cpu_millis`.
    pub field: String,
    /// What is wrong and what would be right.
    pub description: String,
}

impl Violation {
    /// The same violation of a message that lies inside `parent`, such as `requests[3]`.
    #[must_use]
    pub fn under(self, parent: &str) -> Self {
        Self { field: format!("{parent}.{}", self.field), ..self }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.description)
    }
}

/// Violations found so far. At most [`Self::MOST`] are kept: a million wrong entries need no million sentences.
#[derive(Debug, Default)]
pub(super) struct Violations {
    list: Vec<Violation>,
    left_out: usize,
}

impl Violations {
    /// Most violations that are reported one by one.
    pub(super) const MOST: usize = 100;

    /// Adds one.
    pub(super) fn add(&mut self, field: impl Into<String>, description: impl fmt::Display) {
        if self.list.len() < Self::MOST {
            self.list.push(Violation { field: field.into(), description: description.to_string() });
        } else {
            self.left_out += 1;
        }
    }

    /// Adds the error of a result and returns its value, if it has one.
    pub(super) fn keep<T>(
        &mut self,
        field: impl Into<String>,
        result: Result<T, impl fmt::Display>,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(field, error);
                None
            }
        }
    }

    /// The finished list; empty if nothing is wrong.
    pub(super) fn into_list(mut self) -> Vec<Violation> {
        if self.left_out > 0 {
            let description = format!("{} more fields are wrong", self.left_out);
            self.list.push(Violation { field: "spec".to_owned(), description });
        }
        self.list
    }
}
