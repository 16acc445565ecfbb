//! Validation of the raw path. It rejects every path that another parser may read as a different
//! one.

/// Whether a path is rejected. It must not have dot segments, encoded dots, slashes or percent
/// signs, backslashes, empty segments, control characters or incomplete escapes.
pub(crate) fn is_invalid(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return true };
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        // A trailing slash is allowed. It selects another route or none.
        let is_empty = segment.is_empty() && segments.peek().is_some();
        // Some parsers trim spaces at the end of a URL.
        let is_dot_segment = matches!(segment.trim_matches(' '), "." | "..");
        if is_empty || is_dot_segment || has_invalid_byte(segment) {
            return true;
        }
    }
    false
}

fn has_invalid_byte(segment: &str) -> bool {
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        let hex_digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let decoded = match byte {
            b'%' => match (hex_digit(bytes.next()), hex_digit(bytes.next())) {
                (Some(high), Some(low)) => u8::try_from(high * 16 + low).unwrap_or(0),
                _ => return true,
            },
            b'.' => continue,
            byte => byte,
        };
        // A client has no reason to encode a dot, slash or percent sign in these paths.
        let is_invalid_escape = byte == b'%' && matches!(decoded, b'.' | b'/' | b'%');
        if is_invalid_escape || decoded == b'\\' || decoded.is_ascii_control() {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::is_invalid;

    #[test]
    fn valid_paths_are_accepted() {
        for path in
            ["/", "/api/stream/token", "/api/stream/message/call-a_b", "/a/b.c", "/a%40b", "/a/"]
        {
            assert!(!is_invalid(path), "{path}");
        }
    }

    #[test]
    fn invalid_paths_are_rejected() {
        for path in [
            "",
            "api",
            "//api",
            "/api//x",
            "/api/../x",
            "/api/./x",
            "/..",
            "/api/%2e%2e/x",
            "/api/%2E/x",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a%00",
            "/a\u{7}",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%252e",
            "/a\u{7f}",
            "/a/.. ",
        ] {
            assert!(is_invalid(path), "{path:?}");
        }
    }

    proptest! {
        /// Decoding a valid path does not change its segments.
        #[test]
        fn valid_path_decodes_to_the_same_segments(path in "[/a-z.%2eEfF5c\\\\]{0,24}") {
            if !is_invalid(&path) {
                let decoded = percent_encoding::percent_decode_str(&path).decode_utf8_lossy();
                prop_assert!(!decoded.contains('\\') && !decoded.contains("//"));
                prop_assert!(decoded.split('/').all(|segment| segment != "." && segment != ".."));
                prop_assert_eq!(decoded.matches('/').count(), path.matches('/').count());
            }
        }
    }
}
