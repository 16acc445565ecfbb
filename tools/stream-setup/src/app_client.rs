//! Access to the app at Stream, through the functions' own client.

use std::collections::BTreeSet;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use shared::clock::{Clock, Deadline, SystemClock};
use shared::config::{Env, StreamConfig};
use shared::error::BoxError;
use shared::ids::{CallTypeName, UserId};
use shared::net;
use shared::random::SystemRandom;
use shared::stream::call_type::{Grants, RingSettings};
use shared::stream::ops::{
    CallTypeResponse, CreateCallType, GetAppSettings, GetCallType, ListRoles, QueryUsers,
    UpdateCallType, UpdateEventHooks, UpsertUsers, UserData,
};
use shared::stream::{HttpTransport, StreamClient, StreamError, Transport};

#[derive(Debug, thiserror::Error)]
#[error("set both STREAM_API_KEY and STREAM_API_SECRET")]
struct MissingCredentials;

/// The service user at Stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServiceUser {
    Missing,
    Active,
    /// Deactivated at Stream.
    Inactive,
}

pub(crate) struct AppClient {
    stream: StreamClient,
    clock: Arc<dyn Clock>,
}

impl AppClient {
    /// Reads the app's key and secret from the environment.
    pub(crate) fn from_env(env: &Env) -> Result<Self, BoxError> {
        let config = StreamConfig::from_env(env)?.ok_or(MissingCredentials)?;
        let transport = HttpTransport::new(net::client()?, &config)?;
        Ok(Self::new(Arc::new(transport), Arc::new(SystemClock::default())))
    }

    pub(crate) fn new(transport: Arc<dyn Transport>, clock: Arc<dyn Clock>) -> Self {
        let stream = StreamClient::new(transport, clock.clone(), Arc::new(SystemRandom));
        Self { stream, clock }
    }

    pub(crate) async fn get_settings(&self) -> Result<Box<RawValue>, StreamError> {
        self.stream.send(&GetAppSettings, self.deadline()).await
    }

    pub(crate) async fn list_roles(&self) -> Result<BTreeSet<String>, StreamError> {
        let response = self.stream.send(&ListRoles, self.deadline()).await?;
        Ok(response.roles.into_iter().map(|role| role.name).collect())
    }

    /// Replaces the app's whole list of hooks.
    pub(crate) async fn replace_hooks(&self, hooks: &[Box<RawValue>]) -> Result<(), StreamError> {
        self.stream.send(&UpdateEventHooks { hooks }, self.deadline()).await?;
        Ok(())
    }

    /// The call type, or `None` if it does not exist.
    pub(crate) async fn get_call_type(
        &self,
        name: &CallTypeName,
    ) -> Result<Option<CallTypeResponse>, StreamError> {
        match self.stream.send(&GetCallType { name }, self.deadline()).await {
            Ok(call_type) => Ok(Some(call_type)),
            Err(error) if GetCallType::is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn create_call_type(
        &self,
        name: &CallTypeName,
        grants: &Grants,
        ring: RingSettings,
    ) -> Result<(), StreamError> {
        self.stream.send(&CreateCallType { name, grants, ring }, self.deadline()).await?;
        Ok(())
    }

    /// Changes the call type, unless Stream does not find it: a new type is found after some
    /// seconds.
    pub(crate) async fn update_call_type(
        &self,
        name: &CallTypeName,
        grants: &Grants,
        ring: RingSettings,
    ) -> Result<(), StreamError> {
        match self.stream.send(&UpdateCallType { name, grants, ring }, self.deadline()).await {
            Ok(_) => Ok(()),
            Err(error) if GetCallType::is_missing(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn get_service_user(&self, id: &UserId) -> Result<ServiceUser, StreamError> {
        let query = QueryUsers { ids: slice::from_ref(id) };
        let response = self.stream.send(&query, self.deadline()).await?;
        Ok(match response.users.first() {
            None => ServiceUser::Missing,
            Some(Some(user)) if !user.is_active() => ServiceUser::Inactive,
            // A user who cannot be read exists.
            Some(_) => ServiceUser::Active,
        })
    }

    /// Creates the service user, or replaces all data of an existing user.
    pub(crate) async fn create_service_user(&self, id: &UserId) -> Result<(), StreamError> {
        let users = [(id, UserData::without_profile())];
        self.stream.send(&UpsertUsers { users: &users }, self.deadline()).await?;
        Ok(())
    }

    /// Waits before the next request.
    pub(crate) async fn pause(&self, span: Duration) {
        self.clock.sleep(span).await;
    }

    fn deadline(&self) -> Deadline {
        Deadline::after(self.clock.now(), Duration::from_secs(15))
    }
}
