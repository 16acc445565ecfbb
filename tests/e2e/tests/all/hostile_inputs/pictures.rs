//! The addresses of pictures. A token request leaves an unusable one out, and an upsert rejects it.

use e2e::TestApp;
use serde_json::{Value, json};

/// Addresses with http or https and a host.
const USABLE: &[&str] = &[
    "http://example.com",
    "https://example.com/a.png",
    "HTTPS://EXAMPLE.COM/A.PNG",
    "https://example.com:8443/a%20b.png?x=1&y=%7C#top",
    "https://xn--bcher-kva.example/a.png",
    "https://graph.example.com/1/picture?type=large&access_token=1%7Cx",
    "https://192.0.2.1/a.png",
    "https://[2001:db8::1]/a.png",
];

/// Addresses of another scheme, without a host, or with a character that a URL cannot have.
const UNUSABLE: &[&str] = &[
    "",
    " ",
    "a.png",
    "/a.png",
    "//example.com/a.png",
    "example.com/a.png",
    "https://",
    "https:///a.png",
    "http:/example.com/a.png",
    "https:example.com/a.png",
    " https://example.com/a.png",
    "https://example.com/a b.png",
    "https://example.com/a.png\n",
    "https://example.com/a.png\u{0}",
    "javascript:alert(1)",
    "javascript://example.com/%0aalert(1)",
    "vbscript:msgbox(1)",
    "data:image/png;base64,iVBORw0KGgo=",
    "data:text/html,<script>alert(1)</script>",
    "blob:https://example.com/0f0a4d6e",
    "file:///etc/passwd",
    "ftp://example.com/a.png",
    "mailto:alice@example.com",
    "about:blank",
];

/// An address in the form of a login provider's, with this number of characters.
fn provider_url(length: usize) -> String {
    let (start, end) = ("https://lh3.googleusercontent.com/a/", "=s96-c");
    format!("{start}{}{end}", "A".repeat(length - start.len() - end.len()))
}

/// Values of `image`, each with whether it is usable.
fn pictures() -> Vec<(Value, bool)> {
    let mut pictures: Vec<(Value, bool)> = Vec::new();
    pictures.extend(USABLE.iter().map(|url| (json!(url), true)));
    pictures.extend([560, 1_100, 2_047, 2_048].map(|n| (json!(provider_url(n)), true)));
    pictures.extend(UNUSABLE.iter().map(|url| (json!(url), false)));
    pictures.extend([2_049, 60_000].map(|n| (json!(provider_url(n)), false)));
    let url = "https://example.com/a.png";
    let others = [json!(7), json!(1.5), json!(true), json!([]), json!([url]), json!({"url": url})];
    pictures.extend(others.map(|value| (value, false)));
    pictures
}

/// The picture of Alice at Stream.
fn stored_picture(app: &TestApp) -> Option<String> {
    app.stream().user("alice").and_then(|user| user.image)
}

#[tokio::test]
async fn token_request_leaves_an_unusable_picture_out() {
    let app = TestApp::start().await;
    let mut stored = None;
    for (n, (picture, is_usable)) in pictures().into_iter().enumerate() {
        let name = format!("Alice {n}");
        let body = json!({"userData": {"name": name, "image": picture}});
        let response = app.post("/token", "alice", body).await;
        assert_eq!(response.outcome(), (200, ""), "{n}");
        let ignored = response.body["ignored"].as_array().map_or(0, Vec::len);
        assert_eq!(ignored, usize::from(!is_usable), "{n}: {}", response.body["ignored"]);
        if is_usable {
            stored = picture.as_str().map(str::to_owned);
        } else {
            assert_eq!(response.body["ignored"][0]["pointer"], "/userData/image", "{n}");
        }
        assert!(response.text.len() < 2_048, "{n}: {}", response.text.len());
        assert_eq!(stored_picture(&app), stored, "{n}");
        // The rest of the profile is used.
        assert_eq!(app.stream().user("alice").unwrap().name, Some(name));
    }
    assert!(stored.is_some());
    let removal = json!({"userData": {"image": null}});
    let response = app.post("/token", "alice", removal).await.expect_success();
    assert!(response.body["ignored"].is_null());
    assert_eq!(stored_picture(&app), None);
}

#[tokio::test]
async fn upsert_rejects_an_unusable_picture() {
    let app = TestApp::start().await;
    let mut stored = None;
    for (n, (picture, is_usable)) in pictures().into_iter().enumerate() {
        let body = json!({"userData": {"image": picture}});
        let response = app.post("/user/upsert", "alice", body).await;
        if is_usable {
            assert_eq!(response.outcome(), (200, ""), "{n}");
            assert_eq!(response.body["user"]["image"], picture, "{n}");
            stored = picture.as_str().map(str::to_owned);
        } else {
            assert_eq!(response.outcome(), (400, "invalid_body"), "{n}");
            assert_eq!(response.body["errors"][0]["pointer"], "/userData/image", "{n}");
        }
        assert!(response.text.len() < 3_072, "{n}: {}", response.text.len());
        assert_eq!(stored_picture(&app), stored, "{n}");
    }
    let removal = json!({"userData": {"image": null}});
    let response = app.post("/user/upsert", "alice", removal).await.expect_success();
    assert!(response.body["user"]["image"].is_null());
    assert_eq!(stored_picture(&app), None);
}

/// All fields of a profile at their limits are within Stream's limit of 5 KB for a user, also with
/// the times that Stream adds.
#[tokio::test]
async fn largest_profile_is_accepted_by_stream() {
    let app = TestApp::start().await;
    let user = "u".repeat(64);
    let name = "\u{1f600}".repeat(128);
    let data = json!({
        "name": name,
        "image": provider_url(2_048),
        "language": "zh-Hant",
        // 2,048 bytes as JSON.
        "custom": {"a": "x".repeat(2_040)},
    });
    let response = app.post("/user/upsert", &user, json!({"userData": data})).await;
    assert_eq!(response.outcome(), (200, ""));
    assert_eq!(app.stream().user(&user).unwrap().name, Some(name));
    let _ = app.post("/token/revoke", &user, json!({})).await.expect_success();
    let _ = app.post("/token", &user, json!({})).await.expect_success();
}
