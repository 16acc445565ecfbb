//! A function's process: what is built once at its start, and the events that it then takes.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::panic;
use std::process::ExitCode;

use futures_util::FutureExt as _;
use lambda_runtime::{LambdaEvent, service_fn};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::config::Env;
use crate::error;
use crate::log;
use crate::world::StartError;

/// A function, as its process sees it.
pub(crate) trait Function: Sized + Send + Sync + 'static {
    /// What is done before anything is asked of it.
    fn start(&'static self) -> impl Future<Output = Result<(), StartError>>;
}

/// Opens a function and runs it until Lambda ends it: one event after the other.
pub(crate) fn run<A, T, Fut>(
    open: impl FnOnce(Env) -> Result<A, StartError>,
    answer: impl Fn(&'static A, LambdaEvent<Box<RawValue>>) -> Fut,
) -> ExitCode
where
    A: Function,
    T: Serialize,
    Fut: Future<Output = T>,
{
    start(open, |app| {
        lambda_runtime::run(service_fn(move |event| answer(app, event).map(Ok::<_, Infallible>)))
    })
}

/// The same with several events at once, where Lambda says that it sends them so
/// (`AWS_LAMBDA_MAX_CONCURRENCY`, on Lambda Managed Instances).
pub(crate) fn run_concurrent<A, T, Fut>(
    open: impl FnOnce(Env) -> Result<A, StartError>,
    answer: impl Fn(&'static A, LambdaEvent<Box<RawValue>>) -> Fut + Clone + Send + 'static,
) -> ExitCode
where
    A: Function,
    T: Serialize + Send + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    start(open, |app| {
        let answer = move |event| answer(app, event).map(Ok::<_, Infallible>);
        lambda_runtime::run_concurrent(service_fn(answer))
    })
}

fn start<A, Fut>(
    open: impl FnOnce(Env) -> Result<A, StartError>,
    serve: impl FnOnce(&'static A) -> Fut,
) -> ExitCode
where
    A: Function,
    Fut: Future<Output = Result<(), lambda_runtime::Error>>,
{
    let env = Env::of_process();
    log::init(&env);
    // Where, and not what: a panic's own words may hold anything.
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panicked");
    }));
    let app = match open(env) {
        Ok(app) => app,
        Err(error) => return fail(&error),
    };
    // The function's own parts live as long as its process, so that a handler may hold on to them.
    let app: &'static A = Box::leak(Box::new(app));
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let life = async {
        app.start().await?;
        serve(app).await
    };
    match runtime.block_on(life) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&*error),
    }
}

fn fail(error: &(dyn Error + 'static)) -> ExitCode {
    let cause = error::chain(Some(error));
    tracing::error!(cause, "the function cannot go on");
    ExitCode::FAILURE
}
