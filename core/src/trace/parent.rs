//! The header `traceparent` of W3C Trace Context: `00-<trace>-<span>-<flags>`.

use std::fmt;

use super::{SpanId, TraceId};

/// The flag that says that the sender records.
const SAMPLED: u8 = 1;

/// Whose child a span is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace: TraceId,
    /// The span above.
    pub span: SpanId,
    /// Whether the sender records it.
    pub sampled: bool,
}

impl TraceParent {
    /// Reads the header's value; `None` for what the specification tells to ignore: other lengths, upper case, zero ids,
    /// version `ff`. A later version may add fields at the end (section 4.3 of the specification).
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut part = |length| parts.next().filter(|part| part.len() == length && part.bytes().all(is_hex));
        let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        if version == "ff" || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let trace = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?;
        let span = u64::from_str_radix(span, 16).ok().filter(|id| *id != 0)?;
        let flags = u8::from_str_radix(flags, 16).ok()?;
        Some(Self {
            trace: TraceId(trace.to_be_bytes()),
            span: SpanId(span.to_be_bytes()),
            sampled: flags & SAMPLED != 0,
        })
    }
}

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}
