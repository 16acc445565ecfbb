//! The handle that tests hold.
//!
//! Whatever is done or asked through it happens at the emulator's own time: first comes what has
//! fallen due by then.

mod media;
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
use crate::views::{CallView, ChannelView, MessageView, UserToken, UserView};
use crate::webhooks::run_sender;
use crate::world::Cid;

/// A running emulator. Clones are handles to the same one; it stops with [`Emulator::stop`] or when
/// the last handle is gone.
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
    /// Serves on the listener, on the current runtime.
    #[allow(clippy::unused_async, reason = "it spawns: being async says that a runtime is needed")]
    pub async fn serve(listener: TcpListener, settings: Settings) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let state = Arc::new(State::new(settings));
        let (stop, stop_receiver) = watch::channel(false);
        tokio::spawn(run_sender(Arc::clone(&state), stop_receiver.clone()));
        tokio::spawn(server::serve(listener, Arc::clone(&state), stop_receiver));
        Ok(Self { inner: Arc::new(Inner { address, state, stop }) })
    }

    /// Where it listens, as a client is told: `http://127.0.0.1:port`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.inner.address)
    }

    /// Stops listening, cuts open connections and forgets late effects that are still to come and
    /// webhooks that are still to be sent. What the world looks like can still be asked. Stopping
    /// twice is stopping once.
    pub async fn stop(&self) {
        self.inner.stop.send_replace(true);
        self.inner.stop.closed().await;
    }

    /// How many requests came in since the last reset, refused and faulted ones included.
    #[must_use]
    pub fn counts(&self) -> RequestCounts {
        self.state().with_inner(|inner, _| inner.request_counts.clone())
    }

    /// Starts counting from nought.
    pub fn reset_counts(&self) {
        self.state().with_inner(|inner, _| inner.request_counts = RequestCounts::default());
    }

    /// The most requests for an operation that ever came in one minute of the emulator's clock,
    /// refused and faulted ones included: what Stream's rate limits are about.
    #[must_use]
    pub fn peak_per_minute(&self, operation: Operation) -> u64 {
        self.state().with_inner(|inner, _| inner.rate_windows.peak(operation))
    }

    /// Adds a rule to the fault script.
    pub fn add_fault(&self, rule: FaultRule) {
        self.state().with_inner(|inner, _| inner.faults.add(rule));
    }

    /// Takes all rules back.
    pub fn clear_faults(&self) {
        self.state().with_inner(|inner, _| inner.faults.clear());
    }

    /// Lets what has fallen due happen. Everything else does so by itself, and so does time, a few
    /// times a second; this is for a test that has moved the clock and looks elsewhere.
    pub fn tick(&self) {
        self.state().tick();
    }

    /// A user, deleted and deactivated ones included.
    #[must_use]
    pub fn user(&self, id: &str) -> Option<UserView> {
        self.state().with_inner(|inner, _| inner.world.user_view(id))
    }

    /// A channel, if it exists now.
    #[must_use]
    pub fn channel(&self, cid: &str) -> Option<ChannelView> {
        self.state().with_inner(|inner, _| inner.world.channel_view(cid))
    }

    /// A call, if it exists now; it may have ended.
    #[must_use]
    pub fn call(&self, cid: &str) -> Option<CallView> {
        self.state().with_inner(|inner, _| inner.world.call_view(cid))
    }

    /// The cids of all channels that exist now, in order.
    #[must_use]
    pub fn live_channels(&self) -> Vec<String> {
        self.state().with_inner(|inner, _| inner.world.live_channels())
    }

    /// The cids of all calls that exist now and have not ended, in order.
    #[must_use]
    pub fn live_calls(&self) -> Vec<String> {
        self.state().with_inner(|inner, _| inner.world.live_calls())
    }

    /// How many times a channel was created, re-creation included.
    #[must_use]
    pub fn channels_created(&self) -> usize {
        self.state().with_inner(|inner, _| inner.world.channels_created())
    }

    /// How many times a call was created, re-creation included.
    #[must_use]
    pub fn calls_created(&self) -> usize {
        self.state().with_inner(|inner, _| inner.world.calls_created())
    }

    /// The messages of a channel that exists now, oldest first.
    #[must_use]
    pub fn messages(&self, cid: &str) -> Vec<MessageView> {
        self.state().with_inner(|inner, _| inner.world.message_views(cid))
    }

    /// The whole world, the same for the same history: to assert that nothing changed.
    #[must_use]
    pub fn snapshot(&self) -> Value {
        self.state().snapshot()
    }

    /// Checks a user's token as connecting with it would: signature, times, revocation, and whether
    /// the user was deactivated or deleted. A user that Stream has not seen yet may connect.
    pub fn check_user_token(&self, token: &str) -> Result<UserToken, StreamErrorView> {
        Ok(self.state().check_user_token(token)?)
    }

    /// Gives up the tasks that nobody has asked about yet. What they have done stays done.
    pub fn fail_tasks(&self) {
        self.state().with_inner(|inner, now| inner.world.fail_tasks(now));
    }

    /// Forgets all tasks, as Stream does after a while.
    pub fn clear_tasks(&self) {
        self.state().with_inner(|inner, _| inner.world.clear_tasks());
    }

    /// Deletes a user behind the client's back. A user that does not exist stays so.
    pub fn delete_user(&self, id: &str) {
        self.state().with_inner(|inner, now| inner.world.mark_deleted(id, now));
    }

    /// Deactivates a user behind the client's back. A user that does not exist stays so.
    pub fn deactivate_user(&self, id: &str) {
        self.state().with_inner(|inner, now| inner.world.mark_deactivated(id, now));
    }

    /// Lets a deactivated user in again, behind the client's back.
    pub fn reactivate_user(&self, id: &str) {
        self.state().with_inner(|inner, now| inner.world.mark_reactivated(id, None, now));
    }

    /// Deletes a channel behind the client's back. One that does not exist stays so.
    pub fn delete_channel(&self, cid: &str) {
        let Ok(cid) = cid.parse::<Cid>() else { return };
        self.state().with_inner(|inner, now| inner.world.remove_channel(&cid, now));
    }

    /// Deletes a call behind the client's back. One that does not exist stays so.
    pub fn delete_call(&self, cid: &str) {
        let Ok(cid) = cid.parse::<Cid>() else { return };
        self.state().with_inner(|inner, now| inner.world.remove_call(&cid, now));
    }

    /// Suspends the app: every request is answered 403 with code 99.
    pub fn set_app_suspended(&self, suspended: bool) {
        self.state().with_inner(|inner, _| inner.world.app_mut().suspended = suspended);
    }

    /// Changes the app's secret, as its operator does.
    pub fn set_api_secret(&self, secret: impl Into<String>) {
        self.state().settings().set_api_secret(secret.into());
    }

    /// Stops looking at signatures, as an app with this (dangerous) switch on does.
    pub fn set_disable_auth_checks(&self, disabled: bool) {
        self.state().with_inner(|inner, _| inner.world.app_mut().disable_auth_checks = disabled);
    }

    /// Revokes every token of the app that was issued before this instant, or undoes it.
    pub fn set_tokens_revoked_before(&self, instant: Option<SystemTime>) {
        let revoked = instant.map(Timestamp::from_system_time);
        self.state()
            .with_inner(|inner, _| inner.world.app_mut().revoke_tokens_issued_before = revoked);
    }

    /// Shifts the `Date` header, as if the two clocks disagreed.
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
