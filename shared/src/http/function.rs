//! Functions behind API Gateway.

use std::process::ExitCode;
use std::sync::Arc;

use lambda_http::{Context, LambdaEvent, Request};
use serde_json::value::RawValue;

use crate::clock::{Clock, Deadline, SystemClock, Timestamp};
use crate::config::Env;
use crate::context::{AppContext, StartError};
use crate::error::{ApiError, Code};
use crate::http::request::RequestMeta;
use crate::http::{Authenticate, Handler, Response, request, response};
use crate::lambda;
use crate::net::Connections;
use crate::reloadable::{LoadedState, Reloadable};
use crate::telemetry::{RequestLog, Telemetry, UserHasher};

/// Runs a function until Lambda ends its process.
pub fn serve<S, P, A, H>(
    function_name: &'static str,
    build: fn(&AppContext) -> Result<S, StartError>,
    handler: H,
) -> ExitCode
where
    S: Send + Sync + 'static,
    P: Authenticate,
    H: Handler<S, P, A>,
{
    serve_connected(function_name, Connections::default(), build, handler)
}

/// As [`serve`], with connections that are opened at init.
///
/// A function whose state needs Stream also starts without Stream's credentials. It then responds
/// to authenticated callers with `stream_not_configured`.
pub fn serve_connected<S, P, A, H>(
    function_name: &'static str,
    connections: Connections,
    build: fn(&AppContext) -> Result<S, StartError>,
    handler: H,
) -> ExitCode
where
    S: Send + Sync + 'static,
    P: Authenticate,
    H: Handler<S, P, A>,
{
    lambda::run_concurrent(
        |env| HttpFunction::<S, P, H>::new(function_name, env, connections, build, handler),
        |function, event| async move { response::to_gateway(function.handle_event(event).await) },
    )
}

struct HttpFunction<S: Send + Sync + 'static, P: Authenticate, H> {
    clock: Arc<dyn Clock>,
    handler: H,
    reloadable: Reloadable<HttpState<S, P>>,
    telemetry: Telemetry,
}

/// The state of the handler and the credentials for authentication.
struct HttpState<S, P: Authenticate> {
    credentials: P::Credentials,
    /// `None` if the handler needs Stream and Stream is not configured.
    handler_state: Option<S>,
    user_hasher: Option<UserHasher>,
}

impl<S, P, H> lambda::Function for HttpFunction<S, P, H>
where
    S: Send + Sync + 'static,
    P: Authenticate,
    H: Send + Sync + 'static,
{
    async fn init(&'static self) -> Result<(), StartError> {
        self.reloadable.init().await
    }
}

impl<S: Send + Sync + 'static, P: Authenticate, H> HttpFunction<S, P, H> {
    fn new(
        function_name: &'static str,
        env: Env,
        connections: Connections,
        build: impl Fn(&AppContext) -> Result<S, StartError> + Send + Sync + 'static,
        handler: H,
    ) -> Result<Self, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::from_env(&env)?);
        let telemetry = Telemetry::new(function_name, &env);
        let build = move |context: &AppContext| {
            let stream = context.stream.as_ref();
            Ok(HttpState {
                credentials: P::load_credentials(context)?,
                handler_state: StartError::allow_missing_stream(build(context))?,
                user_hasher: stream.map(|stream| UserHasher::new(&stream.config.api_secret)),
            })
        };
        let reloadable = Reloadable::new(env, clock.clone(), connections, build)?;
        Ok(Self { clock, handler, reloadable, telemetry })
    }

    /// Handles an event. Every outcome is one response and one log line.
    async fn handle_event<A>(&'static self, event: LambdaEvent<Box<RawValue>>) -> Response
    where
        H: Handler<S, P, A>,
    {
        let LambdaEvent { payload, context } = event;
        let started_at = self.clock.now();
        let mut meta = RequestMeta::from_context(&context);
        let work = self.handle_request(&payload, context, started_at, &mut meta);
        let (outcome, stream_stats) = lambda::invoke(work).await;
        let (response, error) = match outcome {
            Ok(response) => (response, None),
            Err(error) => (response::from_error(&error, &meta.request_id), Some(error)),
        };
        let now = self.clock.now();
        let cause = error.as_ref().and_then(ApiError::source_chain);
        let log = RequestLog {
            at: now,
            message: "request completed",
            request_id: &meta.request_id,
            route: Some(&meta.route),
            status: Some(response.status().as_u16()),
            code: error.as_ref().map_or("ok", |error| error.code().as_str()),
            is_fault: response.status().is_server_error(),
            duration: now.since(started_at),
            user: meta.user_hash.as_ref(),
            cause: cause.as_deref(),
            summary: None,
            gauges: &[],
        };
        self.telemetry.emit(&log, stream_stats);
        response
    }

    async fn handle_request<A>(
        &'static self,
        payload: &RawValue,
        context: Context,
        now: Timestamp,
        meta: &mut RequestMeta,
    ) -> Result<Response, ApiError>
    where
        H: Handler<S, P, A>,
    {
        let deadline = Deadline::from_lambda(context.deadline, now);
        let request = request::parse(payload, context, deadline, P::MAX_BODY_BYTES, meta)?;
        let loaded = self.reloadable.current(deadline).await?;
        let outcome = self.dispatch(loaded, &request, now, meta).await;
        let is_rejected = outcome.as_ref().is_err_and(|error| may_be_stale_secret(error.code()));
        // Stream may also have rejected the credentials in a request that succeeds all the same.
        if !loaded.take_auth_failure() && !is_rejected {
            return outcome;
        }
        match self.reloadable.reload_after_auth_failure(loaded, deadline).await {
            // Nothing was done with the old secrets, so the request is dispatched once more.
            Some(reloaded) if is_rejected => {
                let outcome = self.dispatch(reloaded, &request, now, meta).await;
                // New secrets that Stream rejects, too, are not fetched again at once.
                reloaded.take_auth_failure();
                outcome
            }
            _ => outcome,
        }
    }

    async fn dispatch<A>(
        &'static self,
        loaded: &'static LoadedState<HttpState<S, P>>,
        request: &Request,
        now: Timestamp,
        meta: &mut RequestMeta,
    ) -> Result<Response, ApiError>
    where
        H: Handler<S, P, A>,
    {
        let HttpState { credentials, handler_state, user_hasher } = &loaded.state;
        let principal = P::authenticate(request, credentials, now).await?;
        meta.user_hash = principal.user().and_then(|user| Some(user_hasher.as_ref()?.hash(user)));
        self.handler.handle(handler_state.as_ref(), principal, request).await
    }
}

/// Whether an error may be caused by a secret that has changed since it was fetched.
fn may_be_stale_secret(code: Code) -> bool {
    matches!(code, Code::StreamRejectedCredentials | Code::BadSignature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigError;
    use crate::http::{ApiResponse, Json};

    struct Anonymous;

    impl Authenticate for Anonymous {
        type Credentials = ();

        fn load_credentials(_: &AppContext) -> Result<(), ConfigError> {
            Ok(())
        }

        async fn authenticate(_: &Request, (): &(), _: Timestamp) -> Result<Self, ApiError> {
            Ok(Self)
        }
    }

    /// Panics if the request has `"panic": true`.
    async fn panic_on_request(
        (): &(),
        _: Anonymous,
        _: Deadline,
        Json(params): Json<Params>,
    ) -> Result<ApiResponse<()>, ApiError> {
        assert!(!params.panic, "with secret words");
        Ok(ApiResponse::ok("Fine", ()))
    }

    #[derive(serde::Deserialize)]
    struct Params {
        panic: bool,
    }

    #[tokio::test]
    async fn panic_returns_500_and_next_request_succeeds() {
        let env = Env::from([("AWS_REGION", "us-east-1"), ("TABLE_NAME", "table")]);
        let function = HttpFunction::<_, Anonymous, _>::new(
            "panicking",
            env,
            Connections::default(),
            |_| Ok(()),
            panic_on_request,
        )
        .unwrap();
        let function: &'static HttpFunction<_, _, _> = Box::leak(Box::new(function));
        for (panics, status) in [(true, 500), (false, 200), (true, 500), (false, 200)] {
            let event = serde_json::json!({
                "rawPath": "/",
                "requestContext": {"requestId": "r1"},
                "body": format!("{{\"panic\":{panics}}}"),
            });
            let event = RawValue::from_string(event.to_string()).unwrap();
            let event = LambdaEvent::new(event, Context::default());
            let response = function.handle_event(event).await;
            assert_eq!(response.status(), status);
            let body = serde_json::to_string(&response::to_gateway(response)).unwrap();
            assert!(!body.contains("secret words"), "{body}");
        }
    }
}
