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
pub use request::Request;

use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::Arc;

use futures_util::FutureExt as _;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::value::RawValue;

use crate::auth::Verifier;
use crate::clock::Clock;
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
    // Where, and not what: a panic's own words may hold anything.
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panicked");
    }));
    let app = match App::open(env, build) {
        Ok(app) => app,
        Err(error) => return fail(&error),
    };
    // The function's own parts live as long as its process, so that a handler may hold on to them.
    let app: &'static App<D> = Box::leak(Box::new(app));
    let handler: &'static H = Box::leak(Box::new(handler));
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let served = runtime.block_on(lambda_runtime::run(service_fn(
        move |event: LambdaEvent<Box<RawValue>>| async move {
            Ok::<_, lambda_runtime::Error>(app.answer(handler, event).await)
        },
    )));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&*error),
    }
}

fn fail(error: &(dyn std::error::Error + 'static)) -> ExitCode {
    let cause = error::chain(Some(error));
    tracing::error!(cause, "the function cannot go on");
    ExitCode::FAILURE
}

/// A function, ready to answer.
struct App<D> {
    verifier: Verifier,
    clock: Arc<dyn Clock>,
    deps: Option<D>,
}

impl<D: Send + Sync + 'static> App<D> {
    fn open(
        env: Env,
        build: impl FnOnce(&World) -> Result<Option<D>, ConfigError>,
    ) -> Result<Self, StartError> {
        let verifier = Verifier::from_env(&env)?;
        let world = World::open(env)?;
        Ok(Self { verifier, deps: build(&world)?, clock: world.clock })
    }

    /// Answers an event, whatever happens on the way.
    async fn answer<W, A, H: Handler<D, W, A>>(
        &'static self,
        handler: &'static H,
        event: LambdaEvent<Box<RawValue>>,
    ) -> Answer {
        let id = event.context.request_id.clone();
        AssertUnwindSafe(self.handle(handler, event)).catch_unwind().await.unwrap_or_else(|_| {
            let label = Label { id, route: String::new() };
            let error = ApiError::plain(Code::Internal).with_source("a panic was caught");
            let answer = Answer::failure(&error, &label.id);
            note(&label, answer.status(), Some(&error), 0);
            answer
        })
    }

    async fn handle<W, A, H: Handler<D, W, A>>(
        &'static self,
        handler: &'static H,
        event: LambdaEvent<Box<RawValue>>,
    ) -> Answer {
        let started = self.clock.now();
        let (label, request) = request::read(&event.payload, &event.context, started);
        let outcome = match request {
            Ok(request) => {
                handler.handle(self.deps.as_ref(), &self.verifier, request, started).await
            }
            Err(error) => Err(error),
        };
        let (answer, error) = match outcome {
            Ok(answer) => (answer, None),
            Err(error) => (Answer::failure(&error, &label.id), Some(error)),
        };
        let millis = self.clock.now().since(started).as_millis();
        note(&label, answer.status(), error.as_ref(), millis);
        answer
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

#[cfg(test)]
mod tests {
    use lambda_runtime::Context;

    use super::*;
    use crate::clock::{Deadline, SystemClock, Timestamp};

    struct Anybody;

    impl Identity for Anybody {
        fn of(_: &Request, _: &Verifier, _: Timestamp) -> Result<Self, ApiError> {
            Ok(Self)
        }
    }

    /// Panics when it is told to.
    async fn moody(
        (): &(),
        _: Anybody,
        _: Deadline,
        Json(ask): Json<Mood>,
    ) -> Result<Reply<()>, ApiError> {
        assert!(!ask.panic, "with secret words");
        Ok(Reply::ok("Fine", ()))
    }

    #[derive(serde::Deserialize)]
    struct Mood {
        panic: bool,
    }

    #[tokio::test]
    async fn a_panic_is_answered_and_the_next_request_too() {
        let env = Env::from([("JWT_SECRET", "a-test-secret-of-thirty-two-bytes!")]);
        let verifier = Verifier::from_env(&env).unwrap();
        let app: &'static App<()> =
            Box::leak(Box::new(App { verifier, clock: Arc::new(SystemClock), deps: Some(()) }));
        for (panics, status) in [(true, 500), (false, 200), (true, 500), (false, 200)] {
            let event = serde_json::json!({
                "rawPath": "/",
                "requestContext": {"requestId": "r1"},
                "body": format!("{{\"panic\":{panics}}}"),
            });
            let event = RawValue::from_string(event.to_string()).unwrap();
            let event = LambdaEvent::new(event, Context::default());
            let answer = app.answer(&moody, event).await;
            assert_eq!(answer.status(), status);
            let shown = serde_json::to_string(&answer).unwrap();
            assert!(!shown.contains("secret words"), "{shown}");
        }
    }
}
