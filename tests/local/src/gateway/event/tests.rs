use http::Request;

use super::*;

fn build_test_event(uri: &str, headers: &[(&str, &[u8])], body: &[u8]) -> Value {
    let mut request = Request::builder().method("POST").uri(uri);
    for &(name, value) in headers {
        request = request.header(name, value);
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let gateway_request = GatewayRequest {
        parts: &parts,
        body,
        path: "/call/a b",
        peer: "127.0.0.1".parse().unwrap(),
        at: "2026-07-10T19:19:05.766Z".parse().unwrap(),
        request_id: "ATfSmjLgPHcESJw=",
    };
    let route = RouteMatch {
        key: "POST /call/{callId}",
        function: "f",
        parameters: BTreeMap::from([("callId", "a b".to_owned())]),
    };
    build_event(&gateway_request, &route)
}

#[test]
fn event_matches_the_documented_format() {
    let mut event = build_test_event(
        "/call/a%20b?repeat=one&repeat=two&plus=a+b&encoded=a%2Bb&empty=&bare",
        &[
            ("Host", b"api.example"),
            ("Content-Type", b"application/json; charset=utf-8"),
            ("User-Agent", b"test/1"),
            ("X-Probe", b"first"),
            ("X-Probe", b"second"),
            ("X-Forwarded-For", b"203.0.113.9"),
            ("Connection", b"keep-alive"),
            ("Cookie", b"session=abc; theme=dark"),
            ("Cookie", b"more=1"),
        ],
        r#"{"name":"λ"}"#.as_bytes(),
    );
    let trace = event["headers"]["x-amzn-trace-id"].take();
    assert!(trace.as_str().unwrap().starts_with("Root=1-"));
    assert_eq!(
        event,
        json!({
            "version": "2.0",
            "routeKey": "POST /call/{callId}",
            "rawPath": "/call/a b",
            "rawQueryString":
                "repeat=one&repeat=two&plus=a+b&encoded=a%2Bb&empty=&bare",
            "cookies": ["session=abc", "theme=dark", "more=1"],
            "headers": {
                "content-length": "13",
                "content-type": "application/json; charset=utf-8",
                "host": "api.example",
                "user-agent": "test/1",
                "x-amzn-trace-id": null,
                "x-forwarded-for": "203.0.113.9, 127.0.0.1",
                "x-forwarded-port": "443",
                "x-forwarded-proto": "https",
                "x-probe": "first,second",
            },
            "queryStringParameters": {
                "repeat": "one,two", "plus": "a b", "encoded": "a+b", "empty": "", "bare": "",
            },
            "pathParameters": {"callId": "a b"},
            "requestContext": {
                "accountId": ids::ACCOUNT_ID,
                "apiId": "local",
                "domainName": DOMAIN_NAME,
                "domainPrefix": "local",
                "http": {
                    "method": "POST",
                    "path": "/call/a b",
                    "protocol": "HTTP/1.1",
                    "sourceIp": "127.0.0.1",
                    "userAgent": "test/1",
                },
                "requestId": "ATfSmjLgPHcESJw=",
                "routeKey": "POST /call/{callId}",
                "stage": "$default",
                "time": "10/Jul/2026:19:19:05 +0000",
                "timeEpoch": 1_783_711_145_766_i64,
            },
            "body": "{\"name\":\"λ\"}",
            "isBase64Encoded": false,
        })
    );
}

#[test]
fn body_is_text_only_for_text_content_types() {
    let cases: [(Option<&str>, &[u8], &str, bool); 9] = [
        (Some("text/csv"), b"a,b", "a,b", false),
        (Some("application/json"), b"{}", "{}", false),
        (Some("Application/JSON;charset=utf-8"), b"{}", "{}", false),
        (Some("application/xml"), b"<a/>", "<a/>", false),
        (Some("application/x-www-form-urlencoded"), b"a=b", "YT1i", true),
        (Some("application/octet-stream"), b"a=b", "YT1i", true),
        (Some("application/problem+json"), b"{}", "e30=", true),
        (None, b"{}", "e30=", true),
        (Some("text/plain"), &[0xff], "/w==", true),
    ];
    for (content_type, body, expected, in_base64) in cases {
        let headers = content_type.map(|value| ("content-type", value.as_bytes()));
        let event = build_test_event("/call/a", headers.as_slice(), body);
        assert_eq!(event["body"], expected, "{content_type:?}");
        assert_eq!(event["isBase64Encoded"], in_base64, "{content_type:?}");
    }
}

#[test]
fn compressed_body_is_base64_encoded() {
    // `{}`, compressed with gzip. The second byte is invalid in UTF-8.
    let body = STANDARD.decode("H4sIAAAAAAAAA6uuBQBDv6ajAgAAAA==").unwrap();
    let headers: [(&str, &[u8]); 2] =
        [("content-type", b"application/json"), ("content-encoding", b"gzip")];
    let event = build_test_event("/call/a", &headers, &body);
    assert_eq!(event["isBase64Encoded"], true);
    assert_eq!(STANDARD.decode(event["body"].as_str().unwrap()).unwrap(), body);
    assert_eq!(event["headers"]["content-encoding"], "gzip");
    assert_eq!(event["headers"]["content-length"], body.len().to_string());
}

#[test]
fn empty_fields_are_omitted() {
    let event = build_test_event("/call/a", &[], b"");
    for member in ["body", "cookies", "queryStringParameters"] {
        assert!(event.get(member).is_none(), "{member}");
    }
    assert_eq!(event["headers"]["content-length"], "0");
    assert_eq!(event["requestContext"]["http"]["userAgent"], "");
}

#[test]
fn unusual_header_values_are_forwarded() {
    let event = build_test_event("/call/a", &[("Host", b"["), ("X-Latin", b"caf\xe9")], b"");
    assert_eq!(event["headers"]["host"], "[");
    assert_eq!(event["headers"]["x-latin"], "caf\u{fffd}");
}
