//! The measured variants of the functions.

use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::fixture::{self, Fixture};
use crate::{BenchError, build};

/// The implementation of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Rust, with secrets as variables.
    Rust,
    /// Rust, fetching its secrets from Secrets Manager as in a deployment.
    RustFetchingSecrets,
    /// `lambda_http` without any work.
    Baseline,
    /// The Node.js baseline.
    Node,
}

/// A measured function.
#[derive(Clone, Debug)]
pub(crate) struct Variant {
    pub(crate) kind: Kind,
    pub(crate) function: &'static str,
}

/// The measured functions in Rust.
pub(crate) const RUST_FUNCTIONS: [&str; 2] = ["token", "call-create"];
const NODE_FUNCTIONS: [&str; 3] = ["hello", "token", "call-create"];

/// All variants. Those in Node.js need Node.js.
pub(crate) fn all(with_node: bool) -> Vec<Variant> {
    let variant = |kind| move |&function| Variant { kind, function };
    let mut variants = vec![Variant { kind: Kind::Baseline, function: "baseline" }];
    variants.extend(RUST_FUNCTIONS.iter().map(variant(Kind::Rust)));
    variants.push(Variant { kind: Kind::RustFetchingSecrets, function: "token" });
    if with_node {
        variants.extend(NODE_FUNCTIONS.iter().map(variant(Kind::Node)));
    }
    variants
}

impl Variant {
    /// The name in the results.
    pub(crate) fn name(&self) -> String {
        match self.kind {
            Kind::Rust => self.function.to_owned(),
            Kind::RustFetchingSecrets => format!("{}, fetching its secrets", self.function),
            Kind::Baseline => "baseline".to_owned(),
            Kind::Node => format!("Node {}", self.function),
        }
    }

    /// The command that starts the variant.
    pub(crate) fn command(&self, fixture: &Fixture) -> Result<Command, BenchError> {
        match self.kind {
            Kind::Rust | Kind::Baseline => Ok(fixture.rust_command(self.function)),
            Kind::RustFetchingSecrets => Ok(fixture.rust_command_fetching_secrets(self.function)),
            Kind::Node => {
                let runtime = std::fs::read(build::node_baseline_dir().join("dist/runtime.json"))?;
                let runtime: Value = serde_json::from_slice(&runtime)?;
                let command_line: Vec<String> = serde_json::from_value(runtime["command"].clone())?;
                let [program, arguments @ ..] = &command_line[..] else {
                    return Err(BenchError::new("dist/runtime.json has no command"));
                };
                let mut command = Command::new(program);
                fixture.set_environment(&mut command);
                command
                    .args(arguments)
                    .arg(format!("dist/{}.handler", self.function))
                    .current_dir(build::node_baseline_dir())
                    .env("PATH", std::env::var_os("PATH").unwrap_or_default())
                    .env("AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED", "true");
                Ok(command)
            }
        }
    }

    /// The deployed file.
    pub(crate) fn artefact(&self) -> PathBuf {
        match self.kind {
            Kind::Rust | Kind::RustFetchingSecrets | Kind::Baseline => {
                build::release_binary(self.function)
            }
            Kind::Node => {
                build::node_baseline_dir().join("dist").join(format!("{}.js", self.function))
            }
        }
    }

    /// The event of a request. Each number is another user.
    pub(crate) fn event(&self, fixture: &Fixture, number: u32) -> Result<Value, BenchError> {
        let user = fixture::user_id(number);
        match self.function {
            "call-create" => {
                let body = json!({"receiverId": "bob", "allowParallel": true});
                fixture.event("call-create", &user, &body)
            }
            _ => fixture.event("token", &user, &json!({})),
        }
    }
}
