//! The process of a Lambda function: its initialization and its events.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use futures_util::FutureExt as _;
use lambda_runtime::{LambdaEvent, service_fn};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::config::Env;
use crate::context::StartError;
use crate::error::{self, ApiError, Code};
use crate::log;
use crate::stream::RequestStats;

/// A function that a process runs.
pub(crate) trait Function: Sized + Send + Sync + 'static {
    /// Runs once, before the first event.
    fn init(&'static self) -> impl Future<Output = Result<(), StartError>>;
}

/// Creates a function and runs it until Lambda ends the process, one event at a time.
pub(crate) fn run<A, T, Fut>(
    create: impl FnOnce(Env) -> Result<A, StartError>,
    handle: impl Fn(&'static A, LambdaEvent<Box<RawValue>>) -> Fut,
) -> ExitCode
where
    A: Function,
    T: Serialize,
    Fut: Future<Output = T>,
{
    run_process(create, |function| {
        lambda_runtime::run(service_fn(move |event| {
            handle(function, event).map(Ok::<_, Infallible>)
        }))
    })
}

/// As [`run`], with several events at a time if Lambda sends them so
/// (`AWS_LAMBDA_MAX_CONCURRENCY`, on Lambda Managed Instances).
pub(crate) fn run_concurrent<A, T, Fut>(
    create: impl FnOnce(Env) -> Result<A, StartError>,
    handle: impl Fn(&'static A, LambdaEvent<Box<RawValue>>) -> Fut + Clone + Send + 'static,
) -> ExitCode
where
    A: Function,
    T: Serialize + Send + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    run_process(create, |function| {
        let handle = move |event| handle(function, event).map(Ok::<_, Infallible>);
        lambda_runtime::run_concurrent(service_fn(handle))
    })
}

/// Runs the work of one invocation. A panic becomes an error. The statistics are those of its
/// requests to Stream.
pub(crate) async fn invoke<T>(
    work: impl Future<Output = Result<T, ApiError>>,
) -> (Result<T, ApiError>, RequestStats) {
    let (outcome, stats) = RequestStats::collect(AssertUnwindSafe(work).catch_unwind()).await;
    let outcome = outcome.unwrap_or_else(|_| {
        Err(ApiError::from_code(Code::Internal).with_source("a panic was caught"))
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
    // The location only: the panic's message may hold a secret.
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panicked");
    }));
    let function = match create(env) {
        Ok(function) => function,
        Err(error) => return exit_with_error(&error),
    };
    // Lives as long as the process, so that a handler may hold references to it.
    let function: &'static A = Box::leak(Box::new(function));
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit_with_error(&error),
    };
    let lifecycle = async {
        function.init().await?;
        serve(function).await
    };
    match runtime.block_on(lifecycle) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit_with_error(&*error),
    }
}

fn exit_with_error(error: &(dyn Error + 'static)) -> ExitCode {
    let cause = error::format_chain(Some(error));
    tracing::error!(cause, "initialization failed");
    ExitCode::FAILURE
}
