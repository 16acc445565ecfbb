//! Settles calls that have ended, from Stream's lists of their participants.

use std::collections::BTreeSet;

use crate::calls::settle::{self, ParticipantRow, SettledCall};
use crate::calls::sweep::{SettleRequest, Sweeper};
use crate::calls::{Call, SettledFrom};
use crate::clock::{Deadline, Timestamp};
use crate::error::ApiError;
use crate::ids::SessionId;
use crate::stream::StreamError;
use crate::stream::ops::{QueryCallParticipantSessions, QueryCallSessionStats};

/// The most pages of one list that are read.
const MAX_PAGES: usize = 100;

/// Stream's lists of the participants of a call.
struct Rows {
    rows: Vec<ParticipantRow>,
    source: SettledFrom,
}

impl Sweeper {
    /// Settles a call that has ended. `next_check` is when the call is due again; without one, it
    /// leaves the due index. Returns the settled call, or `None` if it has changed meanwhile, and
    /// the next sweep settles it.
    ///
    /// # Errors
    ///
    /// The errors of Stream and of the table. The call stays due.
    pub(super) async fn settle(
        &self,
        call: &Call,
        due_at: Timestamp,
        next_check: Option<Timestamp>,
        deadline: Deadline,
    ) -> Result<Option<SettledCall>, ApiError> {
        let now = self.calls.clock.now();
        let Rows { rows, source } = match self.fetch_rows(call, deadline).await {
            Ok(rows) => rows,
            Err(error) if settle::gives_up(call, now) => {
                ApiError::from(error).log("settling a call by its webhooks", &call.call_id);
                Rows { rows: Vec::new(), source: SettledFrom::Webhooks }
            }
            Err(error) => return Err(error.into()),
        };
        let Some(settled) = settle::settle(call, &rows, source, now) else { return Ok(None) };
        let request = SettleRequest {
            call: &settled.call,
            expected_version: call.presence.version(),
            expected_due_at: due_at,
            next_check,
        };
        let is_stored = self.due_store.settle(request).await?;
        Ok(is_stored.then_some(settled))
    }

    /// Reads the lists of all sessions: those in the item, and those that Stream lists.
    async fn fetch_rows(&self, call: &Call, deadline: Deadline) -> Result<Rows, StreamError> {
        let mut sessions: BTreeSet<SessionId> = call.presence.sessions().cloned().collect();
        sessions.extend(self.query_sessions(call, deadline).await?);
        let mut all = Rows { rows: Vec::new(), source: SettledFrom::Stream };
        for session in &sessions {
            match self.query_rows(call, session, deadline).await {
                Ok(rows) => all.rows.extend(rows),
                Err(StreamError::NotFound(_)) => all.source = SettledFrom::Webhooks,
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    /// The sessions of a call that Stream lists.
    async fn query_sessions(
        &self,
        call: &Call,
        deadline: Deadline,
    ) -> Result<Vec<SessionId>, StreamError> {
        let cid = call.cid();
        let (mut sessions, mut cursor) = (Vec::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let query = QueryCallSessionStats { cid: &cid, next: cursor.as_deref() };
            let page = self.calls.stream.send(&query, deadline).await?;
            sessions.extend(page.session_ids(&cid));
            if page.next.is_none() || page.next == cursor {
                return Ok(sessions);
            }
            cursor = page.next;
        }
        Err(too_many_pages())
    }

    /// The participants of a session.
    async fn query_rows(
        &self,
        call: &Call,
        session: &SessionId,
        deadline: Deadline,
    ) -> Result<Vec<ParticipantRow>, StreamError> {
        let cid = call.cid();
        let (mut rows, mut cursor) = (Vec::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let query =
                QueryCallParticipantSessions { cid: &cid, session, next: cursor.as_deref() };
            let page = self.calls.stream.send(&query, deadline).await?;
            rows.extend(page.sessions.iter().flatten().filter_map(ParticipantRow::new));
            if page.next.is_none() || page.next == cursor {
                return Ok(rows);
            }
            cursor = page.next;
        }
        Err(too_many_pages())
    }
}

/// The error of a list without an end.
fn too_many_pages() -> StreamError {
    StreamError::InvalidResponse("the list has too many pages".into())
}
