//! RFC 3339 times in filters.

use dockmgr_core::time::WallTime;

/// Reads a time such as `2026-01-31T12:00:00Z` or with an offset; `None` if it is none.
pub(super) fn rfc3339(text: &str) -> Option<WallTime> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(WallTime(time.as_millisecond()))
}
