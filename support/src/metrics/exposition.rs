//! The text a scrape gets: the format 0.0.4 that every reader of Prometheus metrics understands.
//!
//! The registry writes the younger `OpenMetrics` format, in which a counter's family lacks the `_total` its samples have;
//! readers of the older one would see a counter without a type. Here the families get their full names.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

/// The bounds of histograms of times that jobs take: from a start on an idle machine to a day.
pub const JOB_SECONDS: [f64; 14] =
    [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0, 21_600.0, 86_400.0];
/// The bounds of histograms of times that programs take.
pub const WORK_SECONDS: [f64; 12] =
    [0.000_01, 0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];

/// Everything in the registries as text; no two of them may have a metric of the same name.
///
/// # Errors
/// That of a collector.
pub fn encode(registries: &[&Registry]) -> Result<String, fmt::Error> {
    let mut raw = String::new();
    for registry in registries {
        text::encode_registry(&mut raw, registry)?;
    }
    Ok(classic(&raw))
}

/// One family of gauges, read at the moment of the scrape; nothing if there are no rows.
///
/// # Errors
/// The encoder's.
pub fn gauges<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    rows: impl IntoIterator<Item = (L, f64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in rows {
        ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

/// One gauge without labels.
///
/// # Errors
/// The encoder's.
pub fn gauge(encoder: &mut DescriptorEncoder, name: &str, help: &str, value: f64) -> fmt::Result {
    let family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    ConstGauge::new(value).encode(family)
}

/// One counter without labels that something else counts; `name` without `_total`.
///
/// # Errors
/// The encoder's.
pub fn counter(encoder: &mut DescriptorEncoder, name: &str, help: &str, value: f64) -> fmt::Result {
    let family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    ConstCounter::new(value).encode(family)
}

/// A number of things as a sample; exact below 2^53, which no count reaches.
#[expect(clippy::cast_precision_loss, reason = "no count reaches 2^53")]
pub fn count(number: u64) -> f64 {
    number as f64
}

fn classic(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len() + 1024);
    // The help of a family comes before its type, which decides about its name.
    let mut help = None;
    for line in raw.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map(|(_, words)| words);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let suffix = if kind == "counter" { "_total" } else { "" };
            if let Some(words) = help.take() {
                out.push_str(&format!("# HELP {name}{suffix} {words}\n"));
            }
            out.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
        } else if !line.starts_with('#') {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family;
    use prometheus_client::metrics::histogram::Histogram;

    use super::*;

    #[test]
    fn counters_carry_their_full_name_in_help_and_type() {
        let mut registry = Registry::default();
        let jobs = Family::<[(&'static str, &'static str); 1], Counter>::default();
        registry.register("jobs", "Jobs", jobs.clone());
        registry.register("wait_seconds", "Waiting", Histogram::new([1.0]));
        jobs.get_or_create(&[("state", "ended")]).inc();
        let expected = "# HELP jobs_total Jobs.\n# TYPE jobs_total counter\njobs_total{state=\"ended\"} 1\n\
                        # HELP wait_seconds Waiting.\n# TYPE wait_seconds histogram\nwait_seconds_sum 0.0\n\
                        wait_seconds_count 0\nwait_seconds_bucket{le=\"1.0\"} 0\nwait_seconds_bucket{le=\"+Inf\"} 0\n";
        assert_eq!(encode(&[&registry]).expect("writable"), expected);
    }

    #[test]
    fn text_from_outside_cannot_leave_its_label() {
        let family = Family::<[(&'static str, String); 1], Counter>::default();
        let mut registry = Registry::default();
        registry.register("n", "N", family.clone());
        family.get_or_create(&[("node", "a\"} 1\n# EOF\nb\\".to_owned())]).inc();
        let text = encode(&[&registry]).expect("writable");
        assert!(text.ends_with("\nn_total{node=\"a\\\"} 1\\n# EOF\\nb\\\\\"} 1\n"), "{text}");
    }
}
