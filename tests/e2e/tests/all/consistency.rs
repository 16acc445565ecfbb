//! What is written down twice says the same twice, and the code keeps to its own rules.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The routes that `cargo lambda watch` serves, from the workspace's metadata.
fn router() -> BTreeMap<String, String> {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(local::workspace_root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let table = &metadata["metadata"]["lambda"]["watch"]["router"];
    let mut routes = BTreeMap::new();
    for (path, entries) in table.as_object().unwrap() {
        for entry in entries.as_array().unwrap() {
            let method = entry["method"].as_str().unwrap();
            routes
                .insert(format!("{method} {path}"), entry["function"].as_str().unwrap().to_owned());
        }
    }
    routes
}

#[test]
fn cargo_lambda_serves_the_templates_routes() {
    let template: BTreeSet<_> = local::route_keys().unwrap().into_iter().collect();
    let router: BTreeSet<_> = router().into_keys().collect();
    assert_eq!(router, template);
}

#[test]
fn every_event_is_one_of_its_functions_route() {
    // The webhook has no caller with a token, and tests of its own.
    let listed = e2e::FUNCTIONS.into_iter().chain(["webhook"]);
    let listed: BTreeSet<_> = listed.map(str::to_owned).collect();
    assert_eq!(listed, router().into_values().collect());
    for (route, function) in router() {
        assert_eq!(e2e::event(&function)["routeKey"], route.as_str(), "{function}");
    }
}

#[test]
fn the_readme_lists_every_route() {
    let readme = std::fs::read_to_string(local::workspace_root().join("README.md")).unwrap();
    for route in local::route_keys().unwrap() {
        // The table says once that all of them are under `/api/stream`.
        let shown = route.replacen(" /api/stream/", " /", 1);
        assert!(readme.contains(&format!("| `{shown}` |")), "{route}");
    }
}

/// One TLS and one crypto library in everything that is built here, the functions included.
#[test]
fn there_is_one_crypto_library() {
    let lock = std::fs::read_to_string(local::workspace_root().join("Cargo.lock")).unwrap();
    let has = |name: &str| lock.contains(&format!("name = \"{name}\"\n"));
    assert!(has("ring"));
    for name in ["aws-lc-rs", "aws-lc-sys", "openssl", "native-tls", "rsa"] {
        assert!(!has(name), "{name}");
    }
    assert_eq!(lock.matches("name = \"rustls\"\n").count(), 1);
    assert_eq!(lock.matches("name = \"hyper\"\n").count(), 1);
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// What may be used where: each crate or call has one place.
#[test]
fn dependencies_point_inward() {
    let root = local::workspace_root();
    let mut files = Vec::new();
    sources(&root.join("shared/src"), &mut files);
    sources(&root.join("functions"), &mut files);
    for (word, homes) in [
        (
            "lambda_runtime",
            &["shared/src/http/", "shared/src/lambda.rs", "shared/src/schedule.rs"][..],
        ),
        ("aws_sdk_dynamodb", &["shared/src/dynamo.rs", "/dynamo.rs"]),
        ("aws_sdk_secretsmanager", &["shared/src/secrets/manager.rs"]),
        ("aws_config", &["shared/src/net/sdk.rs"]),
        ("aws_smithy", &["shared/src/net/aws.rs"]),
        (
            "reqwest",
            &[
                "shared/src/net/",
                "shared/src/stream/transport.rs",
                "shared/src/dynamo.rs",
                "shared/src/auth/keys/fetch.rs",
                // In no binary: its URL parser is what paths are held against.
                "shared/src/http/fuzzing.rs",
            ],
        ),
        ("metrique", &["shared/src/telemetry/", "shared/src/quality/metrics.rs"]),
        ("std::env", &["shared/src/config.rs"]),
        ("SystemTime", &["shared/src/clock.rs"]),
        ("Uuid::new", &["shared/src/random.rs"]),
    ] {
        for file in &files {
            let shown = file.strip_prefix(root).unwrap().display().to_string();
            let text = std::fs::read_to_string(file).unwrap();
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            let used = code.into_iter().any(|line| line.contains(word));
            let home = homes.iter().any(|home| shown.contains(home));
            assert!(home || !used, "{shown} uses {word}");
        }
    }
}
