//! The whole local stack.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use stream_emulator::Emulator;

use crate::backends::Backends;
use crate::cargo_build::Binaries;
use crate::clock::StackClock;
use crate::console::{Addresses, Console, ConsoleOptions, ResendClient, sweep_event};
use crate::control::Control;
use crate::cors;
use crate::dynamo::LocalDynamo;
use crate::error::{InvokeError, StartError, TableStreamError};
use crate::gateway::{Gateway, Routes};
use crate::http_server::Server;
use crate::lambda::{Functions, RuntimeApi, Tracing};
use crate::listener::{ClientEndpoints, bind_localhost};
use crate::options::Options;
use crate::output::FunctionOutput;
use crate::scheduler::Scheduler;
use crate::secrets::SecretStore;
use crate::streams::{
    FunctionInvoker, Invoke, Queue, RuleId, StreamFault, StreamPoller, StreamSource, Streams,
};
use crate::template::Template;
use crate::tls::{CA_PATH, LocalTls};
use crate::tokens;
use crate::trace::{Recorder, RequestKind};

/// The API with all its functions, DynamoDB and Stream.
///
/// [`Stack::stop`] waits until nothing is running. Dropping a stack also ends it, but does not
/// wait.
pub struct Stack {
    api_url: String,
    api_address: SocketAddr,
    has_tls: bool,
    clock: StackClock,
    scheduler: Option<Scheduler>,
    stream_poller: Option<StreamPoller>,
    streams: Arc<Streams>,
    api_server: Server,
    runtime_api: RuntimeApi,
    functions: Arc<Functions>,
    output: FunctionOutput,
    backends: Backends,
}

impl Stack {
    /// Builds the functions and starts the servers. A function's process starts with its first
    /// invocation.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let template = Template::load_for(&options)?;
        // An occupied port must be detected before a long build.
        let endpoints = ClientEndpoints::new(options.clients.as_ref())?;
        let (api_listeners, api_address) = endpoints.bind("the API", options.api_port).await?;
        let api_url = format!("http://{api_address}");
        let clock = StackClock::default();
        let recorder = options.console.is_some().then(|| Recorder::new(clock.clone()));
        let backends = Backends::start_for_api(
            &api_url,
            &options,
            &endpoints,
            &template,
            clock.clone(),
            recorder.as_ref(),
        )
        .await?;
        let output = match &options.functions_log {
            Some(path) => FunctionOutput::in_file(path)?,
            None => FunctionOutput::in_memory(),
        };
        let binaries = Binaries::prepare(options.build_mode, template.functions.len()).await?;
        let (listener, address) = bind_localhost("the Runtime API", 0).await?;
        let runtime_api = RuntimeApi::start(listener, address, output.clone());
        let tracing = recorder.clone().map(|recorder| Tracing {
            recorder,
            stream_url: backends.recording_stream_url().map(str::to_owned),
        });
        let functions = Arc::new(Functions::new(
            &template.functions,
            &binaries,
            backends.variables(),
            &clock,
            &runtime_api,
            &output,
            options.max_instances,
            tracing.as_ref(),
        )?);
        let invoker = FunctionInvoker::new(Arc::clone(&functions), options.schedules);
        let invoker: Arc<dyn Invoke> = Arc::new(invoker);
        let source = options.streams.then(|| StreamSource {
            endpoint: backends.dynamo().stream_endpoint(),
            table: backends.dynamo().table_name().to_owned(),
        });
        let streams = Arc::new(Streams::start(&template, source, &clock, &invoker).await?);
        let mut control = Control {
            streams: Arc::clone(&streams),
            functions: Arc::clone(&functions),
            clock: clock.clone(),
            stream: backends.stream().cloned(),
            ca_certificate: endpoints.tls().map(LocalTls::ca_certificate),
            console: None,
        };
        if let Some((options, recorder)) = options.console.clone().zip(recorder.clone()) {
            let addresses = Addresses {
                api: api_address,
                dynamo: backends.dynamo().address(),
                stream: backends.stream_address(),
            };
            let console = console(options, recorder, addresses, &control, &backends, &template);
            control.console = Some(console);
        }
        // The console needs the checks of the control paths.
        let is_open_to_browsers = options.clients.is_some() || control.console.is_some();
        let gateway = Arc::new(Gateway {
            routes: Routes::new(&template.functions),
            functions: Arc::clone(&functions),
            control,
            clock: clock.clone(),
            user_id_claim: tokens::user_id_claim(backends.variables()).to_owned(),
            terminal: output.terminal().cloned(),
            recorder,
        });
        let api_server = Server::start_for_clients(api_listeners, move |request, peer| {
            let gateway = Arc::clone(&gateway);
            async move {
                if is_open_to_browsers {
                    cors::allow_any_origin(request, peer, |request| gateway.handle(request, peer))
                        .await
                } else {
                    gateway.handle(request, peer).await
                }
            }
        });
        let scheduler =
            options.schedules.then(|| Scheduler::start(&template.functions, &functions, &clock));
        let stream_poller = options.schedules.then(|| StreamPoller::start(&streams));
        Ok(Self {
            api_url,
            api_address,
            has_tls: endpoints.tls().is_some(),
            clock,
            scheduler,
            stream_poller,
            streams,
            api_server,
            runtime_api,
            functions,
            output,
            backends,
        })
    }

    /// Starts DynamoDB and Stream only. Builds and runs no function.
    pub async fn start_backends(options: Options) -> Result<Backends, StartError> {
        Backends::start(&options).await
    }

    /// The base URL of the API, such as `http://127.0.0.1:9000`.
    #[must_use]
    pub fn api_url(&self) -> &str {
        &self.api_url
    }

    /// The address of the API for clients on this machine.
    #[must_use]
    pub fn api_address(&self) -> SocketAddr {
        self.api_address
    }

    /// The path of the certificate authority at the API, with TLS.
    #[must_use]
    pub fn ca_path(&self) -> Option<&'static str> {
        self.has_tls.then_some(CA_PATH)
    }

    /// The address of the Stream emulator for clients on this machine.
    #[must_use]
    pub fn stream_address(&self) -> Option<SocketAddr> {
        self.backends.stream_address()
    }

    /// DynamoDB.
    #[must_use]
    pub fn dynamo(&self) -> &LocalDynamo {
        self.backends.dynamo()
    }

    /// The Stream emulator. `None` with a real Stream app or without Stream.
    #[must_use]
    pub fn stream(&self) -> Option<&Emulator> {
        self.backends.stream()
    }

    /// Secrets Manager. `None` if the functions get their secrets as variables.
    #[must_use]
    pub fn secrets(&self) -> Option<&SecretStore> {
        self.backends.secrets()
    }

    /// Invokes a function, by the name of its binary, with this event.
    pub async fn invoke(&self, function: &str, event: Value) -> Result<Value, InvokeError> {
        let event = event.to_string().into();
        let payload = self.functions.run(RequestKind::Schedule, function, event).await?;
        serde_json::from_slice(&payload).map_err(|reason| InvokeError::InvalidResponse {
            function: function.to_owned(),
            reason,
        })
    }

    /// The time of the stack's clock.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// Advances the stack's clock by whole seconds: for the Stream emulator, API Gateway, and every
    /// process that starts from now on. Idle processes have ended when this returns. A busy process
    /// keeps its time, and ends after its invocation.
    pub async fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.functions.retire_idle_instances().await;
    }

    /// Deploys another value of a variable: idle processes end, and every process that starts from
    /// now on has the value.
    pub async fn deploy_variable(&self, name: &str, value: &str) {
        self.functions.set_variable(name, value).await;
    }

    /// Delivers all records of the table's stream to its consumers. Failed batches are retried at
    /// once. So every record is delivered or in a dead-letter queue when this returns.
    pub async fn drain_streams(&self) -> Result<(), TableStreamError> {
        self.streams.drain().await
    }

    /// The events on the bus in the order of arrival, including replayed ones.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        self.streams.events()
    }

    /// Puts the archived events of this time range on the bus again. Returns their number.
    #[allow(clippy::must_use_candidate, reason = "most callers do not need the number")]
    pub fn replay(&self, from: SystemTime, to: SystemTime) -> usize {
        self.streams.replay(from, to)
    }

    /// Adds a rule to the bus. It sends each new event that matches the pattern to its queue.
    pub fn add_rule(&self, pattern: &Value) -> Result<RuleId, TableStreamError> {
        self.streams.add_rule(pattern)
    }

    /// The events that a rule has sent to its queue.
    #[must_use]
    pub fn rule_queue(&self, rule: RuleId) -> Vec<Value> {
        self.streams.rule_queue(rule)
    }

    /// The messages in a dead-letter queue.
    #[must_use]
    pub fn dead_letters(&self, queue: Queue) -> Vec<Value> {
        self.streams.dead_letters(queue)
    }

    /// The metric `ApproximateNumberOfMessagesVisible` of a dead-letter queue.
    #[must_use]
    pub fn queue_depth(&self, queue: Queue) -> usize {
        self.streams.dead_letters(queue).len()
    }

    /// Makes some of the following deliveries of a consumer fail or repeat.
    pub fn inject_stream_fault(&self, fault: StreamFault) {
        self.streams.inject_fault(fault);
    }

    /// Whether an injected stream fault has not occurred yet.
    #[must_use]
    pub fn has_pending_stream_faults(&self) -> bool {
        self.streams.has_pending_faults()
    }

    /// Removes all faults of the consumers.
    pub fn clear_stream_faults(&self) {
        self.streams.clear_faults();
    }

    /// Deletes all items whose time to live has passed by the stack's clock. Returns their number.
    pub async fn expire_items(&self) -> Result<usize, TableStreamError> {
        self.backends.dynamo().expire_items().await
    }

    /// Everything that the functions have printed. Empty with
    /// [`functions_log`](Options::functions_log).
    #[must_use]
    pub fn output(&self) -> String {
        self.output.text()
    }

    /// The ids of the running processes.
    #[must_use]
    pub fn process_ids(&self) -> Vec<u32> {
        self.functions.pids()
    }

    /// A session token of a user with the role `user`, valid for 12 hours.
    #[must_use]
    pub fn token_for(&self, user: &str) -> String {
        self.backends.token_for(user)
    }

    /// A session token of a service, which may act for any user, valid for 12 hours.
    #[must_use]
    pub fn service_token(&self) -> String {
        self.backends.service_token()
    }

    /// A session token with exactly these claims.
    #[must_use]
    pub fn sign_token(&self, claims: Value) -> String {
        self.backends.sign_token(claims)
    }

    /// The `X-Signature` that Stream sends with this webhook body.
    #[must_use]
    pub fn sign_webhook(&self, body: &[u8]) -> String {
        self.backends.sign_webhook(body)
    }

    /// Ends every process and every server and waits for them. Returns [`Stack::output`].
    pub async fn stop(self) -> String {
        if let Some(scheduler) = self.scheduler {
            scheduler.stop().await;
        }
        if let Some(stream_poller) = self.stream_poller {
            stream_poller.stop().await;
        }
        // The functions stop first, which completes the gateway's open requests.
        self.functions.stop().await;
        self.api_server.stop().await;
        self.runtime_api.stop().await;
        self.backends.stop().await;
        self.output.text()
    }
}

/// The console of a stack, which shows what the control paths control.
fn console(
    options: ConsoleOptions,
    recorder: Recorder,
    addresses: Addresses,
    control: &Control,
    backends: &Backends,
    template: &Template,
) -> Console {
    Console {
        options,
        recorder,
        addresses,
        clock: control.clock.clone(),
        functions: Arc::clone(&control.functions),
        streams: Arc::clone(&control.streams),
        stream: control.stream.clone(),
        dynamo: backends.dynamo().controls(),
        variables: backends.variables().clone(),
        function_names: template.functions.iter().map(|it| it.name.clone()).collect(),
        sweep_event: sweep_event(&template.functions),
        started_at: control.clock.now(),
        tokens: Mutex::default(),
        client: ResendClient::default(),
    }
}
