//! Times in Stream's JSON: a number of nanoseconds since the Unix epoch (v2 API), or an RFC 3339
//! string (webhooks and v1 API).

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::clock::Timestamp;

/// A time in Stream's JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamTime(pub Timestamp);

impl<'de> Deserialize<'de> for StreamTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StreamTimeVisitor)
    }
}

struct StreamTimeVisitor;

impl Visitor<'_> for StreamTimeVisitor {
    type Value = StreamTime;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nanoseconds or an RFC 3339 time")
    }

    fn visit_i64<E: Error>(self, nanos: i64) -> Result<StreamTime, E> {
        Ok(StreamTime(Timestamp::from_millis(nanos.div_euclid(1_000_000))))
    }

    fn visit_u64<E: Error>(self, nanos: u64) -> Result<StreamTime, E> {
        i64::try_from(nanos).map_err(E::custom).and_then(|nanos| self.visit_i64(nanos))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<StreamTime, E> {
        let instant: jiff::Timestamp = text.parse().map_err(E::custom)?;
        Ok(StreamTime(Timestamp::from_millis(instant.as_millisecond())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_and_rfc3339_parse_to_the_same_instant() {
        let at = Timestamp::from_millis(1_767_225_600_123);
        for text in [
            "1767225600123456789",
            r#""2026-01-01T00:00:00.123456789Z""#,
            r#""2026-01-01T01:00:00.123+01:00""#,
        ] {
            assert_eq!(serde_json::from_str::<StreamTime>(text).unwrap(), StreamTime(at), "{text}");
        }
        for text in ["1.5", "true", r#""yesterday""#] {
            assert!(serde_json::from_str::<StreamTime>(text).is_err(), "{text}");
        }
    }
}
