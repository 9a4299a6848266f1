//! Points in time: RFC 3339, or how long ago.

use dockmgr_support::clock;
use jiff::Timestamp;

/// A point in time such as `2026-01-31T12:00:00Z`, or a duration such as `10m` that lies back from now.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(ago) = super::duration(text) {
        let millis = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
        return Timestamp::from_millisecond(clock::wall_millis().saturating_sub(millis))
            .map_err(|_| format!("'{}' lies too far back", text.escape_default()));
    }
    text.parse().map_err(|_| {
        format!(
            "'{}' is neither a time such as 2026-01-31T12:00:00Z nor a duration such as 10m",
            text.escape_default()
        )
    })
}
