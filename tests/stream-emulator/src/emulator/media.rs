//! What Stream's media side does, which no request of a backend can: people join and leave calls,
//! reject and miss them, rate them, and something is measured meanwhile.

use super::Emulator;
use crate::views::CallReport;

impl Emulator {
    /// A user joins a call; the id of this join, to leave with. The first one starts a session.
    /// None is a refusal: the call does not exist or has ended, or the user was shut out.
    #[must_use]
    pub fn join(&self, call_cid: &str, user_id: &str) -> Option<String> {
        self.state().with_inner(|inner, now| inner.world.join(call_cid, user_id, now))
    }

    /// One of those who are in a call leaves it. A session that everybody left ends when the call's
    /// inactivity timeout has passed.
    pub fn leave(&self, call_cid: &str, user_session_id: &str) {
        self.state()
            .with_inner(|inner, now| inner.world.leave(call_cid, Some(user_session_id), now));
    }

    /// Everybody leaves a call, as when their apps are killed: their connections are gone, and that
    /// is noticed now.
    pub fn leave_all(&self, call_cid: &str) {
        self.state().with_inner(|inner, now| inner.world.leave(call_cid, None, now));
    }

    /// A user who was rung does not want the call.
    pub fn reject(&self, call_cid: &str, user_id: &str) {
        self.state().with_inner(|inner, now| inner.world.reject(call_cid, user_id, now));
    }

    /// A user who was rung did not answer in time.
    pub fn miss(&self, call_cid: &str, user_id: &str) {
        self.state().with_inner(|inner, now| inner.world.miss(call_cid, user_id, now));
    }

    /// A user rates the last session of a call. Nothing comes of it if there was none.
    pub fn rate(&self, call_cid: &str, user_id: &str, rating: u8, reason: Option<&str>) {
        self.state()
            .with_inner(|inner, now| inner.world.rate(call_cid, user_id, rating, reason, now));
    }

    /// Reports on a session of a call, which only Stream's media side would do: on the one that the
    /// report names, or else on the last one if there is no report on it yet. A session that nobody
    /// joined comes into being with its report, and another report on it replaces it; one that took
    /// place keeps its times. If the session is over, the report is told of as ready. A call that
    /// does not exist stays so.
    pub fn set_report(&self, call_cid: &str, report: CallReport) {
        self.state().with_inner(|inner, now| inner.world.set_report(call_cid, report, now));
    }

    /// Tells that the report on the last session of a call is ready. Without a report of the test's
    /// own it is one in which nothing was measured.
    pub fn publish_report(&self, call_cid: &str) {
        self.state().with_inner(|inner, now| inner.world.publish_report(call_cid, now));
    }
}
