//! The well-known types of the API.
//!
//! Owns `google.protobuf.Timestamp` and its canonical JSON: the crate the other well-known types come from writes times with `+00:00`, the canonical mapping wants `Z`.

use jiff::fmt::temporal::DateTimePrinter;
pub use pbjson_types::Duration;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment, as seconds and nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct Timestamp {
    /// Whole seconds; negative before 1970.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Nanoseconds of the second, 0 to 999,999,999, counted forward also before 1970.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let moment = jiff::Timestamp::new(self.seconds, self.nanos).map_err(serde::ser::Error::custom)?;
        // The canonical mapping writes 0, 3, 6 or 9 digits.
        let digits = match self.nanos {
            0 => 0,
            nanos if nanos % 1_000_000 == 0 => 3,
            nanos if nanos % 1_000 == 0 => 6,
            _ => 9,
        };
        serializer.serialize_str(&DateTimePrinter::new().precision(Some(digits)).timestamp_to_string(&moment))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let moment: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        let nanos = moment.as_nanosecond();
        let (seconds, nanos) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
        let seconds = i64::try_from(seconds).map_err(serde::de::Error::custom)?;
        let nanos = i32::try_from(nanos).map_err(serde::de::Error::custom)?;
        Ok(Self { seconds, nanos })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_the_canonical_mapping_has_it_and_read_back() {
        for (seconds, nanos, text) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (1_700_000_000, 500_000_000, "2023-11-14T22:13:20.500Z"),
            (1, 1_000, "1970-01-01T00:00:01.000001Z"),
            (1, 7, "1970-01-01T00:00:01.000000007Z"),
            (-1, 0, "1969-12-31T23:59:59Z"),
        ] {
            let time = Timestamp { seconds, nanos };
            let json = serde_json::to_string(&time).expect("in range");
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Timestamp>(&json).expect("its own text"), time);
        }
        assert!(serde_json::to_string(&Timestamp { seconds: i64::MAX, nanos: 0 }).is_err());
        assert!(serde_json::from_str::<Timestamp>("\"yesterday\"").is_err());
    }
}
