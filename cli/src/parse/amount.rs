//! Amounts of processor and memory.

/// Smallest share of a processor: below it the kernel's own quota has no meaning.
const LEAST_MILLIS: i64 = 10;
/// More processors than any machine has.
const MOST_CPUS: i64 = 100_000;

/// Processors as a decimal number such as `2`, `0.25` or `.5`, in thousandths of a core.
pub(crate) fn cpus(text: &str) -> Result<i64, String> {
    let wrong = || format!("'{}' is no number of processors such as 2 or 0.25", text.escape_default());
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) || (whole.is_empty() && part.is_empty()) || text.ends_with('.') {
        return Err(wrong());
    }
    if part.trim_end_matches('0').len() > 3 {
        return Err(format!("'{}' is finer than a thousandth of a processor", text.escape_default()));
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| wrong())? };
    let thousandths = format!("{part:0<3.3}").parse::<i64>().map_err(|_| wrong())?;
    if whole >= MOST_CPUS {
        return Err(format!("{whole} processors are more than any machine has"));
    }
    let millis = whole * 1000 + thousandths;
    if millis < LEAST_MILLIS {
        return Err("the least is 0.01 processors".to_owned());
    }
    Ok(millis)
}

/// A size such as `512m`, `1g`, `1.5GiB` or a plain number of bytes; units are powers of 1024. Never 0.
pub(crate) fn size(text: &str) -> Result<i64, String> {
    let wrong = || format!("'{}' is no size such as 512m, 1g or 1.5GiB", text.escape_default());
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(wrong()),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || number.ends_with('.') || part.contains('.') || part.len() > 6 {
        return Err(wrong());
    }
    let too_large = || format!("'{}' is larger than any memory", text.escape_default());
    let bytes =
        whole.parse::<u128>().map_err(|_| too_large())?.checked_mul(1 << shift).ok_or_else(too_large)?;
    let part: u128 = if part.is_empty() { 0 } else { format!("{part:0<6}").parse().map_err(|_| wrong())? };
    let total = i64::try_from(bytes + (part << shift) / 1_000_000).map_err(|_| too_large())?;
    if total == 0 {
        return Err("must be more than 0".to_owned());
    }
    Ok(total)
}
