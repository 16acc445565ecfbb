//! Consistency of the repository: routes, documents, dependencies and their allowed uses.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The routes of `cargo lambda watch`, from the metadata of the workspace.
fn cargo_lambda_routes() -> BTreeMap<String, String> {
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
fn cargo_lambda_routes_match_the_template() {
    let template: BTreeSet<_> = local::route_keys().unwrap().into_iter().collect();
    let router: BTreeSet<_> = cargo_lambda_routes().into_keys().collect();
    assert_eq!(router, template);
}

#[test]
fn every_sample_event_matches_its_route() {
    // The sample events of the webhook and of the health check have their own tests.
    let listed = e2e::FUNCTIONS.into_iter().chain(["webhook", "health"]);
    let listed: BTreeSet<_> = listed.map(str::to_owned).collect();
    assert_eq!(listed, cargo_lambda_routes().into_values().collect());
    for (route, function) in cargo_lambda_routes() {
        assert_eq!(e2e::sample_event(&function)["routeKey"], route.as_str(), "{function}");
    }
}

#[test]
fn readme_lists_every_route() {
    let readme = std::fs::read_to_string(local::workspace_root().join("README.md")).unwrap();
    for route in local::route_keys().unwrap() {
        // The table omits the prefix `/api/stream`.
        let table_entry = route.replacen(" /api/stream/", " /", 1);
        assert!(readme.contains(&format!("| `{table_entry}` |")), "{route}");
    }
}

/// The whole workspace uses one TLS library and one crypto library.
#[test]
fn exactly_one_crypto_library_is_used() {
    let lock = std::fs::read_to_string(local::workspace_root().join("Cargo.lock")).unwrap();
    let has = |name: &str| lock.contains(&format!("name = \"{name}\"\n"));
    assert!(has("ring"));
    for name in ["aws-lc-rs", "aws-lc-sys", "openssl", "native-tls", "rsa"] {
        assert!(!has(name), "{name}");
    }
    assert_eq!(lock.matches("name = \"rustls\"\n").count(), 1);
    assert_eq!(lock.matches("name = \"hyper\"\n").count(), 1);
}

fn collect_rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Each crate or call is used only in these paths.
#[test]
fn dependencies_are_used_only_in_allowed_modules() {
    let root = local::workspace_root();
    let mut files = Vec::new();
    collect_rust_files(&root.join("shared/src"), &mut files);
    collect_rust_files(&root.join("functions"), &mut files);
    for (word, allowed_paths) in [
        ("lambda_http", &["shared/src/http/", "shared/src/fuzzing.rs"][..]),
        ("lambda_runtime", &["shared/src/lambda.rs", "shared/src/event_function.rs"]),
        (
            "aws_sdk_dynamodb",
            &["/dynamo.rs", "shared/src/calls/dynamo/", "shared/src/dynamo/tests.rs"],
        ),
        ("aws_sdk_secretsmanager", &["shared/src/secrets/manager.rs"]),
        ("aws_config", &["shared/src/net/sdk.rs"]),
        ("aws_runtime", &["shared/src/net/"]),
        ("aws_sigv4", &["shared/src/net/sigv4.rs"]),
        ("aws_smithy", &["shared/src/net/", "shared/src/test_support/aws.rs"]),
        ("aws_types", &["shared/src/net/"]),
        ("hyper", &["shared/src/net/mod.rs", "shared/src/net/body.rs", "shared/src/net/pool.rs"]),
        (
            "reqwest",
            &[
                "shared/src/net/",
                "shared/src/stream/transport.rs",
                "shared/src/dynamo.rs",
                "shared/src/auth/jwks/fetch.rs",
                // Not in a binary: a fuzz target compares paths with its URL parser.
                "shared/src/fuzzing.rs",
            ],
        ),
        ("metrique", &["shared/src/telemetry/", "shared/src/quality/metrics.rs"]),
        // The tests of the chart write it to a directory of the environment.
        ("std::env", &["shared/src/config.rs", "shared/src/quality/chart/tests.rs"]),
        ("SystemTime", &["shared/src/clock.rs"]),
        ("Uuid::new", &["shared/src/random.rs"]),
    ] {
        for file in &files {
            let relative_path = file.strip_prefix(root).unwrap().display().to_string();
            let text = std::fs::read_to_string(file).unwrap();
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            let is_used = code.into_iter().any(|line| line.contains(word));
            let is_allowed = allowed_paths.iter().any(|path| relative_path.contains(path));
            assert!(is_allowed || !is_used, "{relative_path} uses {word}");
        }
    }
}
