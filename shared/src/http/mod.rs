//! The edge: from an event of API Gateway's to a handler, and from what it returns to an answer.
//!
//! A function is a handler and what it needs of the world. Its arguments say what it asks of a
//! request, who sent it first; whatever fails on the way is an answer, never an error of the
//! function.

mod answer;
mod extract;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod handler;
mod path;
mod request;
mod signed;

pub use answer::{Answer, Reply, Respond, Svg};
pub use extract::{Accept, FromRequest, IdempotencyKey, Identity, Json, Path, Query};
pub use handler::Handler;
pub use request::Request;
pub use signed::Signed;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;

use futures_util::FutureExt as _;
use lambda_runtime::LambdaEvent;
use serde_json::value::RawValue;

use crate::clock::Clock;
use crate::config::{ConfigError, Env};
use crate::error::{ApiError, Code};
use crate::lambda;
use crate::world::{Configured, StartError, World};
use request::Label;

/// Runs a function that needs Stream. Without Stream's credentials it starts all the same, and
/// answers everybody who may call it with `stream_not_configured`.
pub fn serve<D, W, A, H>(
    build: fn(&World, &Configured) -> Result<D, ConfigError>,
    handler: H,
) -> ExitCode
where
    D: Send + Sync + 'static,
    W: Identity,
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
    W: Identity,
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
    W: Identity,
    H: Handler<D, W, A>,
{
    lambda::run(
        |env| App::<D, W, H>::open(env, build, handler),
        |app, event| async move { app.answer(event).await },
    )
}

/// A function, ready to answer.
struct App<D, W: Identity, H> {
    keys: W::Keys,
    clock: Arc<dyn Clock>,
    deps: Option<D>,
    handler: H,
}

impl<D: Send + Sync + 'static, W: Identity, H> App<D, W, H> {
    fn open(
        env: Env,
        build: impl FnOnce(&World) -> Result<Option<D>, ConfigError>,
        handler: H,
    ) -> Result<Self, StartError> {
        let world = World::open(env)?;
        let keys = W::keys(&world)?;
        Ok(Self { keys, deps: build(&world)?, clock: world.clock, handler })
    }

    /// Answers an event, whatever happens on the way.
    async fn answer<A>(&'static self, event: LambdaEvent<Box<RawValue>>) -> Answer
    where
        H: Handler<D, W, A>,
    {
        let id = event.context.request_id.clone();
        AssertUnwindSafe(self.handle(event)).catch_unwind().await.unwrap_or_else(|_| {
            let label = Label { id, route: String::new() };
            let error = ApiError::plain(Code::Internal).with_source("a panic was caught");
            let answer = Answer::failure(&error, &label.id);
            note(&label, answer.status(), Some(&error), 0);
            answer
        })
    }

    async fn handle<A>(&'static self, event: LambdaEvent<Box<RawValue>>) -> Answer
    where
        H: Handler<D, W, A>,
    {
        let started = self.clock.now();
        let (label, request) =
            request::read(&event.payload, &event.context, started, W::LARGEST_BODY);
        let outcome = match request {
            Ok(request) => {
                self.handler.handle(self.deps.as_ref(), &self.keys, request, started).await
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
        type Keys = ();

        fn keys(_: &World) -> Result<(), ConfigError> {
            Ok(())
        }

        async fn of(_: &Request, (): &(), _: Timestamp) -> Result<Self, ApiError> {
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
        let app = App::<_, Anybody, _> {
            keys: (),
            clock: Arc::new(SystemClock::default()),
            deps: Some(()),
            handler: moody,
        };
        let app: &'static App<_, _, _> = Box::leak(Box::new(app));
        for (panics, status) in [(true, 500), (false, 200), (true, 500), (false, 200)] {
            let event = serde_json::json!({
                "rawPath": "/",
                "requestContext": {"requestId": "r1"},
                "body": format!("{{\"panic\":{panics}}}"),
            });
            let event = RawValue::from_string(event.to_string()).unwrap();
            let event = LambdaEvent::new(event, Context::default());
            let answer = app.answer(event).await;
            assert_eq!(answer.status(), status);
            let shown = serde_json::to_string(&answer).unwrap();
            assert!(!shown.contains("secret words"), "{shown}");
        }
    }
}
