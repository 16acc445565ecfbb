//! The path in an event, which differs from the path of the request.
//!
//! An HTTP API percent-decodes the path twice, which AWS does not document. After the first pass it
//! drops everything from a `?`. It rejects a path that cannot be decoded. Dot segments and double
//! slashes are not changed. The test cases were recorded from AWS (July 2026,
//! <https://github.com/hotsock/voker>, path probe).

use percent_encoding::percent_decode_str;

/// The `rawPath` for the path of a request, or `None` if the gateway rejects it.
pub(super) fn raw_path(wire: &str) -> Option<String> {
    let once = percent_decode_strict(wire)?;
    let path = once.split('?').next().unwrap_or_default();
    percent_decode_strict(path)
}

/// Percent-decodes a text. `None` if a `%` is not followed by two hexadecimal digits.
fn percent_decode_strict(text: &str) -> Option<String> {
    let well_formed = text.match_indices('%').all(|(at, _)| {
        let digits = text.as_bytes().get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    well_formed.then(|| percent_decode_lossy(text))
}

/// Percent-decodes a text. Invalid sequences are kept.
pub(super) fn percent_decode_lossy(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_path_matches_recorded_aws_behavior() {
        let recorded = [
            ("/capture/plain", Some("/capture/plain")),
            ("/capture/space%20value", Some("/capture/space value")),
            ("/capture/question%3Fvalue", Some("/capture/question")),
            ("/capture/percent%25done", None),
            ("/capture/hash%23value", Some("/capture/hash#value")),
            ("/capture/slash%2Fvalue", Some("/capture/slash/value")),
            ("/capture/unicode-%CE%BB", Some("/capture/unicode-λ")),
            ("/capture/literal%252Fvalue", Some("/capture/literal/value")),
            ("/capture/literal%253Fvalue", Some("/capture/literal?value")),
            ("/capture/literal%2525value", Some("/capture/literal%value")),
        ];
        for (wire, delivered) in recorded {
            assert_eq!(raw_path(wire).as_deref(), delivered, "{wire}");
        }
    }

    #[test]
    fn unencoded_path_is_unchanged() {
        for path in ["/", "/a/../b//c/.", "/a\\b"] {
            assert_eq!(raw_path(path).as_deref(), Some(path));
        }
    }
}
