//! The process of a Lambda function: initialization and the event loop.

use std::convert::Infallible;
use std::error::Error;
use std::fmt::Debug;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use futures_util::FutureExt as _;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::config::Env;
use crate::context::StartError;
use crate::error::{self, ApiError, Code};
use crate::log;
use crate::stream::RequestStats;

/// A Lambda function.
pub(crate) trait Function: Sized + Send + Sync + 'static {
    /// Initializes the function, once and before the first event.
    fn init(&'static self) -> impl Future<Output = Result<(), StartError>>;
}

/// The error of a function, as Lambda reports it to the invoking service.
#[derive(Debug)]
pub(crate) struct FunctionError(ApiError);

impl From<FunctionError> for Diagnostic {
    fn from(FunctionError(error): FunctionError) -> Self {
        Self {
            error_type: error.code().as_str().to_owned(),
            error_message: error.code().title().to_owned(),
        }
    }
}

impl From<ApiError> for FunctionError {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

/// Creates a function and runs it until Lambda ends the process, one event at a time.
pub(crate) fn run<A, T, E, Fut>(
    create: impl FnOnce(Env) -> Result<A, StartError>,
    handle: impl Fn(&'static A, LambdaEvent<Box<RawValue>>) -> Fut,
) -> ExitCode
where
    A: Function,
    T: Serialize,
    E: Into<Diagnostic> + Debug,
    Fut: Future<Output = Result<T, E>>,
{
    run_process(create, |function| {
        lambda_runtime::run(service_fn(move |event| handle(function, event)))
    })
}

/// As [`run`], with up to `AWS_LAMBDA_MAX_CONCURRENCY` events at a time. Lambda sets that variable
/// on Lambda Managed Instances.
pub(crate) fn run_concurrent<A, T, Fut>(
    create: impl FnOnce(Env) -> Result<A, StartError>,
    handle: impl Fn(&'static A, LambdaEvent<Box<RawValue>>) -> Fut + Clone + Send + 'static,
) -> ExitCode
where
    A: Function,
    T: Serialize + Send + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    run_process(create, async |function| {
        let handle = move |event| handle(function, event).map(Ok::<_, Infallible>);
        // In a task of its own, because tokio polls for I/O each time that it wakes the future of
        // `block_on`.
        let event_loop = tokio::spawn(lambda_runtime::run_concurrent(service_fn(handle)));
        // The error of a panic would contain its message, which may contain a secret.
        event_loop.await.map_err(|_| "the event loop panicked")?
    })
}

/// Runs the work of one invocation and returns its result with the statistics of its requests to
/// Stream. A panic becomes [`Code::Internal`].
pub(crate) async fn invoke<T>(
    work: impl Future<Output = Result<T, ApiError>>,
) -> (Result<T, ApiError>, RequestStats) {
    let (outcome, stats) = RequestStats::collect(AssertUnwindSafe(work).catch_unwind()).await;
    let outcome = outcome.unwrap_or_else(|_| {
        Err(ApiError::from_code(Code::Internal).with_source("the handler panicked"))
    });
    (outcome, stats)
}

fn run_process<A, Fut>(
    create: impl FnOnce(Env) -> Result<A, StartError>,
    serve: impl FnOnce(&'static A) -> Fut,
) -> ExitCode
where
    A: Function,
    Fut: Future<Output = Result<(), lambda_runtime::Error>>,
{
    let env = Env::from_process();
    log::init(&env);
    // Logs only the location: the message of a panic may contain a secret.
    panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        tracing::error!(location, "function panicked");
    }));
    let function = match create(env) {
        Ok(function) => function,
        Err(error) => return exit_with_error(&error),
    };
    // Leaked, so that a handler may hold references to it. The function lives as long as the
    // process.
    let function: &'static A = Box::leak(Box::new(function));
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit_with_error(&error),
    };
    runtime.block_on(async {
        if let Err(error) = function.init().await {
            return exit_with_error(&error);
        }
        match serve(function).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let cause = error::format_chain(Some(&*error));
                tracing::error!(cause, "runtime loop failed");
                ExitCode::FAILURE
            }
        }
    })
}

fn exit_with_error(error: &(dyn Error + 'static)) -> ExitCode {
    let cause = error::format_chain(Some(error));
    tracing::error!(cause, "initialization failed");
    ExitCode::FAILURE
}
