//! What Stream tells of calls and users by its webhooks.
//!
//! An event is a hint. It comes late, twice, in any order or not at all, so what it changes is
//! changed by one conditional write that says the same in any order: an earliest start, an earlier
//! look, an end that is final. Whether a session's end is a call's end is not for the event to
//! say, since a later session may have begun: the sweeper looks.

use std::sync::Arc;
use std::time::Duration;

use crate::calls::{CallStore, EndReason, EndRequest};
use crate::clock::{Clock, Timestamp};
use crate::ids::CallId;
use crate::quality::EvidenceStore;
use crate::store::StoreError;
use crate::stream::event::{CallNews, Event, News};
use crate::users::UserStore;

/// How long after its inactivity timeout Stream has certainly ended a session.
const SLACK: Duration = Duration::from_secs(10);

/// Whoever listens to Stream's events.
#[derive(Clone)]
pub struct Hearing {
    /// The mappings.
    pub calls: Arc<dyn CallStore>,
    /// The users.
    pub users: Arc<dyn UserStore>,
    /// What is known of calls' quality.
    pub evidence: Arc<dyn EvidenceStore>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// How long a session goes on with nobody in it.
    pub inactivity_timeout: Duration,
}

impl Hearing {
    /// Writes down what an event tells. Once this returns, the write is durable.
    ///
    /// # Errors
    ///
    /// The table's: then Stream has to send the event again.
    pub async fn hear(&self, event: Event) -> Result<(), StoreError> {
        match event.news {
            News::Call(id, news) => self.hear_of_call(&id, news, event.at).await,
            News::User(id, status) => self.users.set_status(&id, status, event.at).await,
            News::Other => Ok(()),
        }
    }

    async fn hear_of_call(
        &self,
        id: &CallId,
        news: CallNews,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        match news {
            CallNews::Started(at) => self.calls.started(id, at).await,
            CallNews::Left => {
                let silence = self.inactivity_timeout + SLACK;
                self.calls.look_by(id, at.min(now).plus(silence)).await
            }
            CallNews::SessionEnded | CallNews::Declined => self.calls.look_now(id, now).await,
            CallNews::Ended(since) => self.end(id, since, now).await,
            CallNews::Gone => self.end(id, at, now).await,
            CallNews::Report(report) => {
                if self.calls.get(id).await?.is_some() {
                    self.evidence.keep_report(id, &report, at).await?;
                }
                Ok(())
            }
            CallNews::Rating(rating) => {
                if self.calls.get(id).await?.is_some_and(|call| call.has(&rating.user)) {
                    self.evidence.keep_rating(id, &rating, at).await?;
                }
                Ok(())
            }
        }
    }

    /// Moves a call that is over at Stream to `ending`; the sweeper clears it away.
    async fn end(&self, id: &CallId, since: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        let reason = EndReason::AT_STREAM.into();
        let request =
            EndRequest { at: since.min(now), due: now, ..EndRequest::now(id, &reason, now) };
        self.calls.end(request).await.map(|_| ())
    }
}
