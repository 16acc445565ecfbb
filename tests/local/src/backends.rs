//! What the functions stand on: DynamoDB and Stream. Enough for `cargo lambda watch`.

use std::collections::BTreeMap;

use serde_json::Value;
use stream_emulator::{Emulator, Settings};

use crate::dynamo::DynamoFront;
use crate::environment;
use crate::error::StartError;
use crate::listen::listen;
use crate::options::{Options, STREAM_API_KEY, STREAM_API_SECRET, StreamChoice};
use crate::template::{Table, Template};
use crate::tokens;

/// A running DynamoDB and, unless Stream itself is used, a running Stream emulator.
pub struct Backends {
    dynamo: DynamoFront,
    stream: Option<Emulator>,
    variables: BTreeMap<String, String>,
}

impl Backends {
    pub(crate) async fn start(options: &Options) -> Result<Self, StartError> {
        Self::with_table(options, &Template::load()?.table).await
    }

    pub(crate) async fn with_table(options: &Options, table: &Table) -> Result<Self, StartError> {
        let dynamo =
            DynamoFront::start(table, options.dynamo_port, options.data_dir.as_deref()).await?;
        let stream = match options.stream {
            StreamChoice::Emulated => {
                let (listener, _) = listen("the Stream emulator", options.stream_port).await?;
                let settings = Settings::new(STREAM_API_KEY, STREAM_API_SECRET);
                Some(Emulator::serve(listener, settings).await.map_err(StartError::Stream)?)
            }
            StreamChoice::Real { .. } | StreamChoice::Unconfigured => None,
        };
        let stream_url = stream.as_ref().map(Emulator::base_url);
        let variables = environment::values(options, stream_url, dynamo.url(), dynamo.table());
        Ok(Self { dynamo, stream, variables })
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

    /// The variables that lead a function here, secrets included.
    #[must_use]
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// A bearer token of a user with the role `user`, good for twelve hours.
    #[must_use]
    pub fn token_for(&self, user: &str) -> String {
        tokens::session(&self.variables, user)
    }

    /// A bearer token with these claims and no others.
    #[must_use]
    #[allow(clippy::needless_pass_by_value, reason = "claims are written where they are signed")]
    pub fn sign(&self, claims: Value) -> String {
        tokens::sign(&self.variables, &claims)
    }

    /// Stops both.
    pub async fn stop(self) {
        if let Some(stream) = self.stream {
            stream.stop().await;
        }
        self.dynamo.stop().await;
    }
}
