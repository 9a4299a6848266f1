//! Durations such as `90s`, `10m` or `1h30m`.

use std::time::Duration;

/// Longest duration that is taken: a hundred years.
const MOST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// A duration in d, h, m, s and ms, largest first; a plain number is seconds. May be 0.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{}' is no duration such as 90s, 10m or 1h30m", text.escape_default());
    if text.is_empty() || text.len() > 40 {
        return Err(wrong());
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    let mut smallest = Duration::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at(letters);
        let unit = match unit {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "" if total.is_zero() && number.len() == text.len() => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            "d" => Duration::from_secs(86_400),
            _ => return Err(wrong()),
        };
        if unit >= smallest {
            return Err(wrong());
        }
        smallest = unit;
        let count: u32 = number.parse().map_err(|_| wrong())?;
        let add = unit.checked_mul(count).ok_or_else(wrong)?;
        total = total.checked_add(add).filter(|sum| *sum <= MOST).ok_or_else(wrong)?;
        rest = next;
    }
    Ok(total)
}

/// A duration that is not 0.
pub(crate) fn positive_duration(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration.is_zero() { Err("must be more than 0".to_owned()) } else { Ok(duration) }
}
