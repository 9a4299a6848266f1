//! What a line must have at least to match, for skipping whole stretches of a log without looking at their lines.

/// A condition on the tokens of a line, or of many lines together: where it fails, none of them matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needs {
    /// Nothing is known: any line may match.
    Nothing,
    /// This folded token.
    Token(Vec<u8>),
    /// All of these.
    All(Vec<Needs>),
    /// One of these; an empty list fails always.
    Any(Vec<Needs>),
}

impl Needs {
    /// Whether something with the tokens that `has` says yes to may match. `has` gets folded tokens and may say yes to
    /// tokens that are not there, never no to one that is.
    pub fn allow(&self, has: &impl Fn(&[u8]) -> bool) -> bool {
        match self {
            Self::Nothing => true,
            Self::Token(token) => has(token),
            Self::All(parts) => parts.iter().all(|part| part.allow(has)),
            Self::Any(parts) => parts.iter().any(|part| part.allow(has)),
        }
    }

    pub(super) fn tokens(tokens: Vec<Vec<u8>>) -> Self {
        Self::all(tokens.into_iter().map(Self::Token))
    }

    pub(super) fn all(parts: impl Iterator<Item = Self>) -> Self {
        let mut parts: Vec<Self> = parts.filter(|part| *part != Self::Nothing).collect();
        match parts.len() {
            0 => Self::Nothing,
            1 => parts.remove(0),
            _ => Self::All(parts),
        }
    }

    pub(super) fn any(parts: impl Iterator<Item = Self>) -> Self {
        let parts: Vec<Self> = parts.collect();
        if parts.contains(&Self::Nothing) { Self::Nothing } else { Self::Any(parts) }
    }
}
