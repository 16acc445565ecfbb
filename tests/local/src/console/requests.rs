//! The recorded requests: a read waits until there is a newer one.

use std::time::Duration;

use serde_json::Value;

use crate::trace::Recorder;

/// The longest wait of a read.
const MAX_WAIT: Duration = Duration::from_secs(25);

/// The query parameters of a read.
#[derive(Debug, Default, PartialEq, Eq)]
struct RequestsQuery {
    after: u64,
    wait: Duration,
}

impl RequestsQuery {
    /// Parses a query string. Unknown and invalid parameters are ignored.
    fn parse(query: &str) -> Self {
        let mut parsed = Self::default();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match (name, value.parse()) {
                ("after", Ok(after)) => parsed.after = after,
                ("waitMs", Ok(millis)) => {
                    parsed.wait = Duration::from_millis(millis).min(MAX_WAIT);
                }
                _ => {}
            }
        }
        parsed
    }
}

/// The requests that have changed since the number of the query.
pub(super) async fn read(recorder: &Recorder, query: &str) -> Value {
    let RequestsQuery { after, wait } = RequestsQuery::parse(query);
    recorder.changes(after, wait).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_is_parsed_and_the_wait_is_limited() {
        let query = |after, millis| RequestsQuery { after, wait: Duration::from_millis(millis) };
        for (text, expected) in [
            ("", query(0, 0)),
            ("after=7&waitMs=1500", query(7, 1_500)),
            ("waitMs=999999", query(0, 25_000)),
            ("after=-1&waitMs=x&other=1", query(0, 0)),
        ] {
            assert_eq!(RequestsQuery::parse(text), expected, "{text}");
        }
    }
}
