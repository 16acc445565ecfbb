//! What the functions stand on: DynamoDB and Stream. Enough for `cargo lambda watch`.

use std::collections::BTreeMap;

use serde_json::Value;
use stream_emulator::{Emulator, Settings};

use crate::clock::StackClock;
use crate::dynamo::DynamoFront;
use crate::environment;
use crate::error::StartError;
use crate::listen::listen;
use crate::options::{
    Options, STREAM_API_KEY, STREAM_API_SECRET, Secrets, StreamChoice, StreamLimits,
};
use crate::secrets::SecretStore;
use crate::template::Template;
use crate::tokens;
use crate::webhooks;

/// A running DynamoDB and, unless Stream itself is used, a running Stream emulator.
pub struct Backends {
    dynamo: DynamoFront,
    stream: Option<Emulator>,
    secrets: Option<SecretStore>,
    variables: BTreeMap<String, String>,
    clock: StackClock,
}

impl Backends {
    /// For an API that somebody else serves, on the port that the options name.
    pub(crate) async fn start(options: &Options) -> Result<Self, StartError> {
        let api_url = format!("http://localhost:{}", options.api_port);
        let template = Template::load()?;
        Self::behind(&api_url, options, &template, StackClock::default()).await
    }

    pub(crate) async fn behind(
        api_url: &str,
        options: &Options,
        template: &Template,
        clock: StackClock,
    ) -> Result<Self, StartError> {
        let dynamo =
            DynamoFront::start(template, options.dynamo_port, options.data_dir.as_deref()).await?;
        let stream = match options.stream {
            StreamChoice::Emulated => {
                let (listener, _) = listen("the Stream emulator", options.stream_port).await?;
                let its_clock = clock.clone();
                let settings = Settings::new(STREAM_API_KEY, STREAM_API_SECRET)
                    .clock(move || its_clock.now())
                    .rate_limits(options.stream_limits == StreamLimits::Enforced);
                let emulator =
                    Emulator::serve(listener, settings).await.map_err(StartError::Stream)?;
                if options.webhooks {
                    emulator.set_event_hooks(vec![webhooks::hook(api_url)]);
                }
                Some(emulator)
            }
            StreamChoice::Real { .. } | StreamChoice::Unconfigured => None,
        };
        let stream_url = stream.as_ref().map(Emulator::base_url);
        let mut variables = environment::values(options, stream_url, dynamo.url(), dynamo.table());
        if options.webhooks && stream.is_some() {
            // Not the address that API Gateway's events have, which are played.
            let url = || webhooks::url(api_url);
            variables.entry("WEBHOOK_URL".to_owned()).or_insert_with(url);
        }
        let secrets = match options.secrets {
            Secrets::Given => None,
            Secrets::Kept => {
                let store = SecretStore::start().await?;
                environment::keep(&mut variables, &store);
                Some(store)
            }
        };
        Ok(Self { dynamo, stream, secrets, variables, clock })
    }

    /// DynamoDB.
    #[must_use]
    pub fn dynamo(&self) -> &DynamoFront {
        &self.dynamo
    }

    /// The Stream emulator; none where Stream itself is used, or nothing.
    #[must_use]
    pub fn stream(&self) -> Option<&Emulator> {
        self.stream.as_ref()
    }

    /// Secrets Manager; none where the functions are given their secrets.
    #[must_use]
    pub fn secrets(&self) -> Option<&SecretStore> {
        self.secrets.as_ref()
    }

    /// The variables that lead a function here, secrets included.
    #[must_use]
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// A bearer token of a user with the role `user`, good for twelve hours.
    #[must_use]
    pub fn token_for(&self, user: &str) -> String {
        tokens::session(&self.variables, user, self.clock.now())
    }

    /// A bearer token with these claims and no others.
    #[must_use]
    #[allow(clippy::needless_pass_by_value, reason = "claims are written where they are signed")]
    pub fn sign(&self, claims: Value) -> String {
        tokens::sign(&self.variables, &claims)
    }

    /// What Stream would say of a webhook's body in `X-Signature`.
    #[must_use]
    pub fn sign_webhook(&self, body: &[u8]) -> String {
        webhooks::signature(&self.variables, body)
    }

    /// Stops all of them.
    pub async fn stop(self) {
        if let Some(secrets) = self.secrets {
            secrets.stop().await;
        }
        if let Some(stream) = self.stream {
            stream.stop().await;
        }
        self.dynamo.stop().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use http_body_util::Empty;
    use hyper::Request;
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;
    use jiff::Timestamp;
    use jiff::fmt::rfc2822::DateTimeParser;

    use super::*;

    async fn backends(options: &Options, clock: &StackClock) -> Backends {
        let template = Template::load().unwrap();
        Backends::behind("http://api", options, &template, clock.clone()).await.unwrap()
    }

    /// The time at Stream, as its answers are dated.
    async fn time_at_stream(backends: &Backends) -> Timestamp {
        let url = format!("{}/_emulator/counts", backends.stream().unwrap().base_url());
        let request = Request::get(url).body(Empty::<Bytes>::new());
        let client = Client::builder(TokioExecutor::new()).build_http();
        let answer = client.request(request.unwrap()).await.unwrap();
        DateTimeParser::new().parse_timestamp(answer.headers()["date"].as_bytes()).unwrap()
    }

    #[tokio::test]
    async fn stream_lives_by_the_clock_that_is_moved() {
        let clock = StackClock::default();
        let backends = backends(&Options::default(), &clock).await;
        let before = time_at_stream(&backends).await;
        clock.advance(Duration::from_hours(3));
        let moved = time_at_stream(&backends).await.as_second() - before.as_second();
        assert!((3 * 3_600..4 * 3_600).contains(&moved), "{moved} s");
        backends.stop().await;
    }

    #[tokio::test]
    async fn events_go_to_the_api_where_that_is_asked_for() {
        for webhooks in [false, true] {
            let options = Options { webhooks, ..Options::default() };
            let backends = backends(&options, &StackClock::default()).await;
            let world = backends.stream().unwrap().snapshot().to_string();
            assert_eq!(world.contains("http://api/api/stream/webhook"), webhooks, "{world}");
            let url = backends.variables().get("WEBHOOK_URL").map(String::as_str);
            assert_eq!(url, webhooks.then_some("http://api/api/stream/webhook"));
            backends.stop().await;
        }
    }
}
