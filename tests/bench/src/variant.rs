//! What is measured: a function, in one of the ways to write it.

use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::scene::{self, Scene};
use crate::{Failure, build};

/// In what a function is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Ours.
    Rust,
    /// Ours, with the secrets where they are kept when deployed.
    Fetching,
    /// Nothing but `lambda_http`.
    Floor,
    /// The peer.
    Node,
}

/// What is measured.
#[derive(Clone, Debug)]
pub(crate) struct Variant {
    pub(crate) kind: Kind,
    pub(crate) function: &'static str,
}

const RUST: [&str; 2] = ["token", "call-create"];
const NODE: [&str; 3] = ["hello", "token", "call-create"];

/// Everything that is measured, with the peer's where there is a Node.
pub(crate) fn all(node: bool) -> Vec<Variant> {
    let variant = |kind| move |&function| Variant { kind, function };
    let mut variants = vec![Variant { kind: Kind::Floor, function: "floor" }];
    variants.extend(RUST.iter().map(variant(Kind::Rust)));
    variants.push(Variant { kind: Kind::Fetching, function: "token" });
    if node {
        variants.extend(NODE.iter().map(variant(Kind::Node)));
    }
    variants
}

impl Variant {
    /// What it is called in the results.
    pub(crate) fn name(&self) -> String {
        match self.kind {
            Kind::Rust => self.function.to_owned(),
            Kind::Fetching => format!("{}, fetching its secrets", self.function),
            Kind::Floor => "floor".to_owned(),
            Kind::Node => format!("Node {}", self.function),
        }
    }

    /// How it is started.
    pub(crate) fn command(&self, scene: &Scene) -> Result<Command, Failure> {
        match self.kind {
            Kind::Rust | Kind::Floor => Ok(scene.rust(self.function)),
            Kind::Fetching => Ok(scene.rust_fetching(self.function)),
            Kind::Node => {
                let runtime = std::fs::read(build::peer().join("dist/runtime.json"))?;
                let runtime: Value = serde_json::from_slice(&runtime)?;
                let words: Vec<String> = serde_json::from_value(runtime["command"].clone())?;
                let [program, arguments @ ..] = &words[..] else {
                    return Err(Failure::new("the peer's runtime has no command"));
                };
                let mut command = Command::new(program);
                scene.surround(&mut command);
                command
                    .args(arguments)
                    .arg(format!("dist/{}.handler", self.function))
                    .current_dir(build::peer())
                    .env("PATH", std::env::var_os("PATH").unwrap_or_default())
                    .env("AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED", "true");
                Ok(command)
            }
        }
    }

    /// What is deployed.
    pub(crate) fn artefact(&self) -> PathBuf {
        match self.kind {
            Kind::Rust | Kind::Fetching | Kind::Floor => build::binary(self.function),
            Kind::Node => build::peer().join("dist").join(format!("{}.js", self.function)),
        }
    }

    /// What it is asked: each time by somebody else, as it would be.
    pub(crate) fn event(&self, scene: &Scene, number: u32) -> Result<Value, Failure> {
        let user = scene::user(number);
        match self.function {
            "call-create" => {
                let body = json!({"receiverId": "bob", "allowParallel": true});
                scene.event("call-create", &user, &body)
            }
            _ => scene.event("token", &user, &json!({})),
        }
    }
}
