//! Everything together.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use stream_emulator::Emulator;

use crate::backends::Backends;
use crate::cargo_build::Binaries;
use crate::clock::StackClock;
use crate::dynamo::LocalDynamo;
use crate::error::{InvokeError, StartError};
use crate::gateway::{Gateway, Routes};
use crate::http_server::Server;
use crate::lambda::{Functions, RuntimeApi};
use crate::listener::bind_localhost;
use crate::options::Options;
use crate::output::FunctionOutput;
use crate::scheduler::Scheduler;
use crate::secrets::SecretStore;
use crate::template::Template;

/// The API with all its functions, DynamoDB and Stream.
///
/// Stop it with [`Stack::stop`], which returns when nothing is left running. A stack that is only
/// dropped ends as well, but nobody waits for it.
pub struct Stack {
    api_url: String,
    clock: StackClock,
    scheduler: Option<Scheduler>,
    api_server: Server,
    runtime_api: RuntimeApi,
    functions: Arc<Functions>,
    output: FunctionOutput,
    backends: Backends,
}

impl Stack {
    /// Builds the functions, and starts everything but their processes, which start when they are
    /// needed.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let template = Template::load()?;
        // What is taken is noticed before a long build.
        let (api_listener, api_address) = bind_localhost("the API", options.api_port).await?;
        let api_url = format!("http://{api_address}");
        let clock = StackClock::default();
        let backends =
            Backends::start_for_api(&api_url, &options, &template, clock.clone()).await?;
        let binaries = Binaries::prepare(options.build_mode).await?;
        let output = FunctionOutput::new(options.echo);
        let (listener, address) = bind_localhost("the Runtime API", 0).await?;
        let runtime_api = RuntimeApi::start(listener, address, output.clone());
        let functions = Arc::new(Functions::new(
            &template.functions,
            &binaries,
            backends.variables(),
            &clock,
            &runtime_api,
            &output,
            options.max_instances,
        )?);
        let gateway = Arc::new(Gateway {
            routes: Routes::new(&template.functions),
            functions: Arc::clone(&functions),
            clock: clock.clone(),
        });
        let api_server = Server::start(api_listener, move |request, peer| {
            Arc::clone(&gateway).handle(request, peer)
        });
        let scheduler =
            options.schedules.then(|| Scheduler::start(&template.functions, &functions));
        Ok(Self { api_url, clock, scheduler, api_server, runtime_api, functions, output, backends })
    }

    /// DynamoDB and Stream only. Builds nothing and runs no function.
    pub async fn start_backends(options: Options) -> Result<Backends, StartError> {
        Backends::start(&options).await
    }

    /// Where the API answers, such as `http://127.0.0.1:9000`.
    #[must_use]
    pub fn api_url(&self) -> &str {
        &self.api_url
    }

    /// DynamoDB.
    #[must_use]
    pub fn dynamo(&self) -> &LocalDynamo {
        self.backends.dynamo()
    }

    /// The Stream emulator; none where Stream itself is used, or nothing.
    #[must_use]
    pub fn stream(&self) -> Option<&Emulator> {
        self.backends.stream()
    }

    /// Secrets Manager; none where the functions are given their secrets.
    #[must_use]
    pub fn secrets(&self) -> Option<&SecretStore> {
        self.backends.secrets()
    }

    /// Invokes a function, named as its binary is, with an event as it stands.
    pub async fn invoke(&self, function: &str, event: Value) -> Result<Value, InvokeError> {
        let payload = self.functions.invoke(function, event.to_string().into()).await?;
        serde_json::from_slice(&payload).map_err(|reason| InvokeError::InvalidResponse {
            function: function.to_owned(),
            reason,
        })
    }

    /// What time it is for this stack: the machine's, unless it was moved.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// Moves the time of this stack ahead, in whole seconds: for the Stream emulator, for API
    /// Gateway, and for every process that starts from now on. Processes that wait for work are
    /// gone when this returns; one at work keeps its time, and is gone after it.
    pub async fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.functions.retire_idle_instances().await;
    }

    /// Everything that the functions have printed.
    #[must_use]
    pub fn output(&self) -> String {
        self.output.text()
    }

    /// The processes that are alive.
    #[must_use]
    pub fn process_ids(&self) -> Vec<u32> {
        self.functions.pids()
    }

    /// A bearer token of a user with the role `user`, good for twelve hours.
    #[must_use]
    pub fn token_for(&self, user: &str) -> String {
        self.backends.token_for(user)
    }

    /// A bearer token with these claims and no others.
    #[must_use]
    pub fn sign_token(&self, claims: Value) -> String {
        self.backends.sign_token(claims)
    }

    /// What Stream would say of a webhook's body in `X-Signature`.
    #[must_use]
    pub fn sign_webhook(&self, body: &[u8]) -> String {
        self.backends.sign_webhook(body)
    }

    /// Ends every process and every server, and returns when all are gone, with everything that
    /// the functions have printed.
    pub async fn stop(self) -> String {
        if let Some(scheduler) = self.scheduler {
            scheduler.stop().await;
        }
        // The functions first: their end answers the requests that the front still waits for.
        self.functions.stop().await;
        self.api_server.stop().await;
        self.runtime_api.stop().await;
        self.backends.stop().await;
        self.output.text()
    }
}
