//! The edge: from an event of API Gateway's to a handler, and from what it returns to an answer.
//!
//! A function is a handler and what it needs of the world. Its arguments say what it asks of a
//! request, who sent it first; whatever fails on the way is an answer, never an error of the
//! function.

mod answer;
mod extract;
mod handler;
mod path;
mod request;

pub use answer::{Answer, Reply};
pub use extract::{FromRequest, IdempotencyKey, Identity, Json, Path, Query};
pub use handler::Handler;
pub use request::{LARGEST_BODY, Request};

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use futures_util::FutureExt as _;
use lambda_http::lambda_runtime::{self, LambdaEvent};
use lambda_http::service_fn;
use serde_json::value::RawValue;

use crate::auth::Verifier;
use crate::clock::{Clock, SystemClock};
use crate::config::{ConfigError, Env};
use crate::error::{self, ApiError, Code};
use crate::log;
use crate::world::{Configured, StartError, World};
use request::Label;

/// Runs a function that needs Stream. Without Stream's credentials it starts all the same, and
/// answers every signed-in caller with `stream_not_configured`.
pub fn serve<D, W, A, H>(
    build: fn(&World, &Configured) -> Result<D, ConfigError>,
    handler: H,
) -> ExitCode
where
    D: Send + Sync + 'static,
    H: Handler<D, W, A>,
{
    start(|world| world.stream.as_ref().map(|stream| build(world, stream)).transpose(), handler)
}

/// Runs a function that works without Stream too.
pub fn serve_unconfigured<D, W, A, H>(
    build: fn(&World) -> Result<D, ConfigError>,
    handler: H,
) -> ExitCode
where
    D: Send + Sync + 'static,
    H: Handler<D, W, A>,
{
    start(|world| build(world).map(Some), handler)
}

fn start<D, W, A, H>(
    build: impl FnOnce(&World) -> Result<Option<D>, ConfigError>,
    handler: H,
) -> ExitCode
where
    D: Send + Sync + 'static,
    H: Handler<D, W, A>,
{
    let env = Env::of_process();
    log::init(&env);
    let app = match App::open(env, build) {
        Ok(app) => app,
        Err(error) => return refuse(&error),
    };
    // The function's own parts live as long as its process, so that a handler may hold on to them.
    let app: &'static App<D> = Box::leak(Box::new(app));
    let handler: &'static H = Box::leak(Box::new(handler));
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&error),
    };
    let served = runtime.block_on(lambda_runtime::run(service_fn(
        move |event: LambdaEvent<Box<RawValue>>| async move {
            Ok::<_, lambda_http::Error>(app.answer(handler, event).await)
        },
    )));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&*error),
    }
}

fn refuse(error: &(dyn std::error::Error + 'static)) -> ExitCode {
    let cause = error::chain(Some(error));
    tracing::error!(cause, "the function does not start");
    ExitCode::FAILURE
}

/// A function, ready to answer.
struct App<D> {
    verifier: Verifier,
    deps: Option<D>,
}

impl<D: Send + Sync + 'static> App<D> {
    fn open(
        env: Env,
        build: impl FnOnce(&World) -> Result<Option<D>, ConfigError>,
    ) -> Result<Self, StartError> {
        let verifier = Verifier::from_env(&env)?;
        let deps = build(&World::open(env)?)?;
        Ok(Self { verifier, deps })
    }

    async fn answer<W, A, H: Handler<D, W, A>>(
        &'static self,
        handler: &'static H,
        event: LambdaEvent<Box<RawValue>>,
    ) -> Answer {
        let clock = SystemClock;
        let started = clock.now();
        let (label, request) = request::read(&event.payload, &event.context, started);
        let outcome = match request {
            Ok(request) => {
                let pending = handler.handle(self.deps.as_ref(), &self.verifier, request, started);
                AssertUnwindSafe(pending).catch_unwind().await.unwrap_or_else(|_| {
                    Err(ApiError::plain(Code::Internal).with_source("a handler panicked"))
                })
            }
            Err(error) => Err(error),
        };
        let answer = match &outcome {
            Ok(answer) => answer,
            Err(error) => &Answer::failure(error, &label.id),
        };
        let millis = clock.now().since(started).as_millis();
        note(&label, answer.status(), outcome.as_ref().err(), millis);
        outcome.unwrap_or_else(|error| Answer::failure(&error, &label.id))
    }
}

/// The one line that every request leaves.
fn note(label: &Label, status: u16, error: Option<&ApiError>, millis: u128) {
    let Label { id, route } = label;
    let code = error.map_or("ok", |error| error.code().as_str());
    let cause = error.and_then(ApiError::causes);
    if status >= 500 {
        tracing::error!(request_id = id, route, status, code, millis, cause, "answered");
    } else {
        tracing::info!(request_id = id, route, status, code, millis, cause, "answered");
    }
}
