//! The handle that tests hold.
//!
//! A method that reads or changes the state runs at the time of the emulator's clock. It first runs
//! the timeouts and delayed requests that are due.

mod media;
mod moderation;
mod sockets;
mod webhooks;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::error::StreamErrorView;
use crate::faults::FaultRule;
use crate::operation::{Operation, RequestCounts};
use crate::server;
use crate::settings::Settings;
use crate::state::State;
use crate::timestamp::Timestamp;
use crate::views::{CallTypeView, CallView, ChannelView, MessageView, UserToken, UserView};
use crate::webhooks::run_sender;
use crate::world::Cid;

/// A running emulator. Clones are handles to the same emulator, which stops with
/// [`Emulator::stop`] or when the last handle is dropped.
#[derive(Clone)]
pub struct Emulator {
    inner: Arc<Inner>,
}

struct Inner {
    address: SocketAddr,
    state: Arc<State>,
    stop: watch::Sender<bool>,
}

impl Emulator {
    /// Serves on the listener, in tasks of the current runtime.
    #[allow(clippy::unused_async, reason = "spawns tasks: async marks the need for a runtime")]
    pub async fn serve(listener: TcpListener, settings: Settings) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let state = Arc::new(State::new(settings));
        let (stop, stop_receiver) = watch::channel(false);
        tokio::spawn(run_sender(Arc::clone(&state), stop_receiver.clone()));
        tokio::spawn(server::serve(listener, Arc::clone(&state), stop_receiver));
        Ok(Self { inner: Arc::new(Inner { address, state, stop }) })
    }

    /// The base URL for clients: `http://127.0.0.1:port`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.inner.address)
    }

    /// Stops listening, closes open connections, and discards delayed requests and pending
    /// webhooks. The state can still be read. Stopping is idempotent.
    pub async fn stop(&self) {
        self.inner.stop.send_replace(true);
        self.inner.stop.closed().await;
    }

    /// The number of requests since the last reset, including rejected and faulted ones.
    #[must_use]
    pub fn counts(&self) -> RequestCounts {
        self.state().with_inner(|inner, _| inner.request_counts.clone())
    }

    /// Resets the request counts to zero.
    pub fn reset_counts(&self) {
        self.state().with_inner(|inner, _| inner.request_counts = RequestCounts::default());
    }

    /// The maximum number of requests for an operation in one minute of the emulator's clock,
    /// including rejected and faulted ones. Stream's rate limits apply to this number.
    #[must_use]
    pub fn peak_per_minute(&self, operation: Operation) -> u64 {
        self.state().with_inner(|inner, _| inner.rate_windows.peak(operation))
    }

    /// Adds a fault rule.
    pub fn add_fault(&self, rule: FaultRule) {
        self.state().with_inner(|inner, _| inner.faults.add(rule));
    }

    /// The fault rules that still apply to a request, with the remaining number of requests.
    #[must_use]
    pub fn faults(&self) -> Vec<FaultRule> {
        self.state().with_inner(|inner, _| inner.faults.remaining())
    }

    /// Removes all fault rules.
    pub fn clear_faults(&self) {
        self.state().with_inner(|inner, _| inner.faults.clear());
    }

    /// Runs the timeouts and delayed requests that are due. Methods that read or change the state
    /// do so too, and the server does it four times a second. Call this method if a test has moved
    /// the clock and then observes something other than the emulator.
    pub fn tick(&self) {
        self.state().tick();
    }

    /// A user, including a deleted or deactivated one.
    #[must_use]
    pub fn user(&self, id: &str) -> Option<UserView> {
        self.state().with_inner(|inner, _| inner.world.user_view(id))
    }

    /// The ids of a user's push devices, oldest first.
    #[must_use]
    pub fn devices(&self, user: &str) -> Vec<String> {
        self.state().with_inner(|inner, _| inner.world.device_ids(user))
    }

    /// A channel, if it exists.
    #[must_use]
    pub fn channel(&self, cid: &str) -> Option<ChannelView> {
        self.state().with_inner(|inner, _| inner.world.channel_view(cid))
    }

    /// A call, if it exists. It may have ended.
    #[must_use]
    pub fn call(&self, cid: &str) -> Option<CallView> {
        self.state().with_inner(|inner, _| inner.world.call_view(cid))
    }

    /// A call type, if it exists.
    #[must_use]
    pub fn call_type(&self, name: &str) -> Option<CallTypeView> {
        self.state().with_inner(|inner, _| inner.world.call_type_view(name))
    }

    /// The sorted cids of all channels that exist.
    #[must_use]
    pub fn live_channels(&self) -> Vec<String> {
        self.state().with_inner(|inner, _| inner.world.live_channels())
    }

    /// The sorted cids of all calls that exist and have not ended.
    #[must_use]
    pub fn live_calls(&self) -> Vec<String> {
        self.state().with_inner(|inner, _| inner.world.live_calls())
    }

    /// The number of channel creations, including re-creations.
    #[must_use]
    pub fn channels_created(&self) -> usize {
        self.state().with_inner(|inner, _| inner.world.channels_created())
    }

    /// The number of call creations, including re-creations.
    #[must_use]
    pub fn calls_created(&self) -> usize {
        self.state().with_inner(|inner, _| inner.world.calls_created())
    }

    /// The messages of a channel, oldest first. Empty if the channel does not exist.
    #[must_use]
    pub fn messages(&self, cid: &str) -> Vec<MessageView> {
        self.state().with_inner(|inner, _| inner.world.message_views(cid))
    }

    /// The whole state as JSON. The same history gives the same value, so that a test can assert
    /// that nothing changed.
    #[must_use]
    pub fn snapshot(&self) -> Value {
        self.state().snapshot()
    }

    /// Checks a user's token as a connection to Stream does: signature, times, revocation, and
    /// whether the user is deactivated or deleted. A user that does not exist yet can connect.
    pub fn check_user_token(&self, token: &str) -> Result<UserToken, StreamErrorView> {
        Ok(self.state().check_user_token(token)?)
    }

    /// Fails the tasks that no request has polled yet. Their effects remain.
    pub fn fail_tasks(&self) {
        self.state().with_inner(|inner, now| inner.world.fail_tasks(now));
    }

    /// Deletes all tasks, as Stream does after some time.
    pub fn clear_tasks(&self) {
        self.state().with_inner(|inner, _| inner.world.clear_tasks());
    }

    /// Creates a user with default values without a request, unless the user exists.
    pub fn create_user(&self, id: &str) {
        self.state().with_inner(|inner, now| inner.world.create_user(id, now));
    }

    /// Deletes a user without a request. If the user does not exist, nothing happens.
    pub fn delete_user(&self, id: &str) {
        self.state().with_inner(|inner, now| inner.world.mark_deleted(id, now));
    }

    /// Deactivates a user without a request. If the user does not exist, nothing happens.
    pub fn deactivate_user(&self, id: &str) {
        self.state().with_inner(|inner, now| inner.world.mark_deactivated(id, now));
    }

    /// Reactivates a user without a request.
    pub fn reactivate_user(&self, id: &str) {
        self.state().with_inner(|inner, now| inner.world.mark_reactivated(id, None, now));
    }

    /// Deletes a channel without a request. If the channel does not exist, nothing happens.
    pub fn delete_channel(&self, cid: &str) {
        let Ok(cid) = cid.parse::<Cid>() else { return };
        self.state().with_inner(|inner, now| inner.world.remove_channel(&cid, now));
    }

    /// Deletes a call without a request. If the call does not exist, nothing happens.
    pub fn delete_call(&self, cid: &str) {
        let Ok(cid) = cid.parse::<Cid>() else { return };
        self.state().with_inner(|inner, now| inner.world.remove_call(&cid, now));
    }

    /// Suspends or resumes the app. A suspended app answers every authenticated request with 403
    /// and code 99.
    pub fn set_app_suspended(&self, suspended: bool) {
        self.state().with_inner(|inner, _| inner.world.app_mut().suspended = suspended);
    }

    /// Replaces the app's secret.
    pub fn set_api_secret(&self, secret: impl Into<String>) {
        self.state().settings().set_api_secret(secret.into());
    }

    /// Sets whether an update of a call replaces all settings of the call, which Stream does not
    /// document. By default the given settings are merged into those of the call.
    pub fn set_update_call_replaces_settings(&self, replaces: bool) {
        let state = self.state();
        state.with_inner(|inner, _| inner.world.set_replaces_settings_on_update(replaces));
    }

    /// Turns the app's `disable_auth_checks` on or off. While it is on, token signatures are not
    /// verified.
    pub fn set_disable_auth_checks(&self, disabled: bool) {
        self.state().with_inner(|inner, _| inner.world.app_mut().disable_auth_checks = disabled);
    }

    /// Turns the app's `disable_permissions_checks` on or off. While it is on, a user token permits
    /// every operation of a client.
    pub fn set_disable_permissions_checks(&self, disabled: bool) {
        self.state()
            .with_inner(|inner, _| inner.world.app_mut().disable_permissions_checks = disabled);
    }

    /// Revokes every user token of the app that was issued before this instant. `None` undoes it.
    pub fn set_tokens_revoked_before(&self, instant: Option<SystemTime>) {
        let revoked = instant.map(Timestamp::from_system_time);
        self.state()
            .with_inner(|inner, _| inner.world.app_mut().revoke_tokens_issued_before = revoked);
    }

    /// Shifts the `Date` header, to emulate clock skew between client and server.
    pub fn set_date_skew(&self, seconds: i64) {
        self.state().with_inner(|inner, _| inner.date_skew = seconds);
    }

    fn state(&self) -> &State {
        &self.inner.state
    }
}

impl fmt::Debug for Emulator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Emulator")
            .field("base_url", &self.base_url())
            .finish_non_exhaustive()
    }
}
