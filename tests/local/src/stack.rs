//! Everything together.

use std::sync::Arc;

use serde_json::Value;
use stream_emulator::Emulator;

use crate::backends::Backends;
use crate::cargo_build::Binaries;
use crate::dynamo::DynamoFront;
use crate::error::{InvokeError, StartError};
use crate::gateway::{Gateway, Routes};
use crate::lambda::{Functions, RuntimeApi};
use crate::listen::listen;
use crate::options::Options;
use crate::output::Output;
use crate::serve::Server;
use crate::template::Template;

/// The API with all its functions, DynamoDB and Stream.
///
/// Stop it with [`Stack::stop`], which returns when nothing is left running. A stack that is only
/// dropped ends as well, but nobody waits for it.
pub struct Stack {
    api_url: String,
    front: Server,
    runtime_api: RuntimeApi,
    functions: Arc<Functions>,
    output: Output,
    backends: Backends,
}

impl Stack {
    /// Builds the functions, and starts everything but their processes, which start when they are
    /// needed.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let template = Template::load()?;
        // What is taken is noticed before a long build.
        let (api, api_address) = listen("the API", options.api_port).await?;
        let backends = Backends::with_table(&options, &template.table).await?;
        let binaries = Binaries::prepare(options.build).await?;
        let output = Output::new(options.echo);
        let (listener, address) = listen("the Runtime API", 0).await?;
        let runtime_api = RuntimeApi::start(listener, address, output.clone());
        let functions = Arc::new(Functions::new(
            &template.functions,
            &binaries,
            backends.variables(),
            &runtime_api,
            &output,
            options.max_instances,
        )?);
        let gateway = Arc::new(Gateway {
            routes: Routes::new(&template.functions),
            functions: Arc::clone(&functions),
        });
        let front =
            Server::start(api, move |request, peer| Arc::clone(&gateway).answer(request, peer));
        let api_url = format!("http://{api_address}");
        Ok(Self { api_url, front, runtime_api, functions, output, backends })
    }

    /// DynamoDB and Stream only. Builds nothing and runs no function.
    pub async fn backends(options: Options) -> Result<Backends, StartError> {
        Backends::start(&options).await
    }

    /// Where the API answers, such as `http://127.0.0.1:9000`.
    #[must_use]
    pub fn api_url(&self) -> &str {
        &self.api_url
    }

    /// DynamoDB.
    #[must_use]
    pub fn dynamo(&self) -> &DynamoFront {
        self.backends.dynamo()
    }

    /// The Stream emulator; none where Stream itself is used, or nothing.
    #[must_use]
    pub fn stream(&self) -> Option<&Emulator> {
        self.backends.stream()
    }

    /// Invokes a function, named as its binary is, with an event as it stands.
    pub async fn invoke(&self, function: &str, event: Value) -> Result<Value, InvokeError> {
        let payload = self.functions.invoke(function, event.to_string().into()).await?;
        serde_json::from_slice(&payload)
            .map_err(|reason| InvokeError::NotJson { function: function.to_owned(), reason })
    }

    /// Everything that the functions have printed.
    #[must_use]
    pub fn output(&self) -> String {
        self.output.text()
    }

    /// The processes that are alive.
    #[must_use]
    pub fn instances(&self) -> Vec<u32> {
        self.functions.pids()
    }

    /// A bearer token of a user with the role `user`, good for twelve hours.
    #[must_use]
    pub fn token_for(&self, user: &str) -> String {
        self.backends.token_for(user)
    }

    /// A bearer token with these claims and no others.
    #[must_use]
    pub fn sign(&self, claims: Value) -> String {
        self.backends.sign(claims)
    }

    /// Ends every process and every server, and returns when all are gone, with everything that
    /// the functions have printed.
    pub async fn stop(self) -> String {
        // The functions first: their end answers the requests that the front still waits for.
        self.functions.stop().await;
        self.front.stop().await;
        self.runtime_api.stop().await;
        self.backends.stop().await;
        self.output.text()
    }
}
