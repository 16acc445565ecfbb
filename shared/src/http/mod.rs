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
pub use extract::{Accept, DomainName, FromRequest, IdempotencyKey, Identity, Json, Path, Query};
pub use handler::Handler;
pub use request::Request;
pub use signed::Signed;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;

use futures_util::FutureExt as _;
use lambda_runtime::LambdaEvent;
use serde_json::value::RawValue;

use crate::clock::{Clock, Deadline, SystemClock, Timestamp};
use crate::config::{ConfigError, Env};
use crate::error::{ApiError, Code};
use crate::lambda;
use crate::parts::Parts;
use crate::stream::Tally;
use crate::telemetry::{Line, Tagger, Telemetry};
use crate::world::{Configured, StartError, World};
use request::Label;

/// Runs a function that needs Stream, by its name. Without Stream's credentials it starts all the same, and
/// answers everybody who may call it with `stream_not_configured`.
pub fn serve<D, W, A, H>(
    function: &'static str,
    build: fn(&World, &Configured) -> Result<D, ConfigError>,
    handler: H,
) -> ExitCode
where
    D: Send + Sync + 'static,
    W: Identity,
    H: Handler<D, W, A>,
{
    let build = move |world: &World| world.stream.as_ref().map(|it| build(world, it)).transpose();
    start(function, build, handler)
}

/// Runs a function that works without Stream too.
pub fn serve_unconfigured<D, W, A, H>(
    function: &'static str,
    build: fn(&World) -> Result<D, ConfigError>,
    handler: H,
) -> ExitCode
where
    D: Send + Sync + 'static,
    W: Identity,
    H: Handler<D, W, A>,
{
    start(function, move |world| build(world).map(Some), handler)
}

fn start<D, W, A, H>(
    function: &'static str,
    build: impl Fn(&World) -> Result<Option<D>, ConfigError> + Send + Sync + 'static,
    handler: H,
) -> ExitCode
where
    D: Send + Sync + 'static,
    W: Identity,
    H: Handler<D, W, A>,
{
    lambda::run_concurrent(
        |env| App::<D, W, H>::open(function, env, build, handler),
        |app, event| async move { app.answer(event).await },
    )
}

/// A function, ready to answer.
struct App<D: 'static, W: Identity, H> {
    clock: Arc<dyn Clock>,
    handler: H,
    parts: Parts<Deps<D, W>>,
    telemetry: Telemetry,
}

/// What is built from the function's configuration.
struct Deps<D, W: Identity> {
    keys: W::Keys,
    /// The handler's own; none where Stream is not configured.
    own: Option<D>,
    tagger: Option<Tagger>,
}

impl<D, W, H> lambda::Function for App<D, W, H>
where
    D: Send + Sync + 'static,
    W: Identity,
    H: Send + Sync + 'static,
{
    async fn start(&'static self) -> Result<(), StartError> {
        self.parts.start().await
    }
}

impl<D: Send + Sync + 'static, W: Identity, H> App<D, W, H> {
    fn open(
        function: &'static str,
        env: Env,
        build: impl Fn(&World) -> Result<Option<D>, ConfigError> + Send + Sync + 'static,
        handler: H,
    ) -> Result<Self, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::from_env(&env)?);
        let telemetry = Telemetry::new(function, &env);
        let build = move |world: &World| {
            let (keys, own) = (W::keys(world)?, build(world)?);
            let tagger = world.stream.as_ref().map(|it| Tagger::new(&it.config.api_secret));
            Ok(Deps { keys, own, tagger })
        };
        let parts = Parts::open(env, clock.clone(), build)?;
        Ok(Self { clock, handler, parts, telemetry })
    }

    /// Answers an event, whatever happens on the way.
    async fn answer<A>(&'static self, event: LambdaEvent<Box<RawValue>>) -> Answer
    where
        H: Handler<D, W, A>,
    {
        let started = self.clock.now();
        let mut label = Label::of(&event.context);
        let handled = AssertUnwindSafe(self.handle(&event, started, &mut label)).catch_unwind();
        let (outcome, heard) = Tally::of(handled).await;
        let outcome = outcome.unwrap_or_else(|_| {
            Err(ApiError::plain(Code::Internal).with_source("a panic was caught"))
        });
        let (answer, error) = match outcome {
            Ok(answer) => (answer, None),
            Err(error) => (Answer::failure(&error, &label.id), Some(error)),
        };
        let now = self.clock.now();
        let cause = error.as_ref().and_then(ApiError::causes);
        let line = Line {
            at: now,
            message: "answered",
            request_id: &label.id,
            route: Some(&label.route),
            status: Some(answer.status()),
            code: error.as_ref().map_or("ok", |error| error.code().as_str()),
            failed: answer.status() >= 500,
            took: now.since(started),
            user: label.user.as_ref(),
            cause: cause.as_deref(),
            summary: None,
            gauges: &[],
        };
        self.telemetry.leave(&line, heard);
        answer
    }

    async fn handle<A>(
        &'static self,
        event: &LambdaEvent<Box<RawValue>>,
        now: Timestamp,
        label: &mut Label,
    ) -> Result<Answer, ApiError>
    where
        H: Handler<D, W, A>,
    {
        let deadline = Deadline::from_lambda(event.context.deadline, now);
        let request = request::read(&event.payload, deadline, W::LARGEST_BODY, label)?;
        let deps = self.parts.current(deadline).await?;
        let outcome = self.attempt(deps, &request, now, label).await;
        let refused = Tally::so_far(|heard| heard.unauthorized > 0)
            || outcome.as_ref().is_err_and(|error| error.code() == Code::BadSignature);
        if !refused {
            return outcome;
        }
        let others = self.parts.after_refusal(deps, deadline).await;
        match (outcome, others) {
            // Nothing was done with secrets that are none any more: it begins again, once.
            (Err(error), Some(others)) if is_refusal(error.code()) => {
                self.attempt(others, &request, now, label).await
            }
            (outcome, _) => outcome,
        }
    }

    async fn attempt<A>(
        &'static self,
        deps: &'static Deps<D, W>,
        request: &Request,
        now: Timestamp,
        label: &mut Label,
    ) -> Result<Answer, ApiError>
    where
        H: Handler<D, W, A>,
    {
        let who = W::of(request, &deps.keys, now).await?;
        label.user = who.user().and_then(|user| Some(deps.tagger.as_ref()?.tag(user)));
        self.handler.handle(deps.own.as_ref(), who, request).await
    }
}

/// Whether an error may come of a secret that has changed since it was fetched.
fn is_refusal(code: Code) -> bool {
    matches!(code, Code::StreamRejectedCredentials | Code::BadSignature)
}

#[cfg(test)]
mod tests {
    use lambda_runtime::Context;

    use super::*;

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
        let env = Env::from([("AWS_REGION", "us-east-1"), ("TABLE_NAME", "table")]);
        let app = App::<_, Anybody, _>::open("moody", env, |_| Ok(Some(())), moody).unwrap();
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
