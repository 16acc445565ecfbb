//! The form of a path, checked on the text as it came: nothing that another parser on the way may
//! read as another path.

/// Whether a path is refused: dot segments, encoded dots or slashes, backslashes, empty segments,
/// control bytes, or a percent sign that encodes nothing.
pub(super) fn is_refused(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return true };
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        // One slash at the very end is harmless: it is another route, or none.
        let empty = segment.is_empty() && segments.peek().is_some();
        // Some parsers trim the blanks at the end of a URL first.
        let dots = matches!(segment.trim_matches(' '), "." | "..");
        if empty || dots || has_refused_byte(segment) {
            return true;
        }
    }
    false
}

fn has_refused_byte(segment: &str) -> bool {
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        let hex = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let decoded = match byte {
            b'%' => match (hex(bytes.next()), hex(bytes.next())) {
                (Some(high), Some(low)) => u8::try_from(high * 16 + low).unwrap_or(0),
                _ => return true,
            },
            b'.' => continue,
            byte => byte,
        };
        // A decoded dot, slash or percent sign means that somebody has something to hide.
        let hidden = byte == b'%' && matches!(decoded, b'.' | b'/' | b'%');
        if hidden || decoded == b'\\' || decoded.is_ascii_control() {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::is_refused;

    #[test]
    fn paths_that_pass() {
        for path in
            ["/", "/api/stream/token", "/api/stream/message/call-a_b", "/a/b.c", "/a%40b", "/a/"]
        {
            assert!(!is_refused(path), "{path}");
        }
    }

    #[test]
    fn paths_that_are_refused() {
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
            assert!(is_refused(path), "{path:?}");
        }
    }

    proptest! {
        /// A path that passes names the same segments to whoever decodes it.
        #[test]
        fn a_path_that_passes_hides_nothing(path in "[/a-z.%2eEfF5c\\\\]{0,24}") {
            if !is_refused(&path) {
                let decoded = percent_encoding::percent_decode_str(&path).decode_utf8_lossy();
                prop_assert!(!decoded.contains('\\') && !decoded.contains("//"));
                prop_assert!(decoded.split('/').all(|segment| segment != "." && segment != ".."));
                prop_assert_eq!(decoded.matches('/').count(), path.matches('/').count());
            }
        }
    }
}
