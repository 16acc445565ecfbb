//! Settles calls that have ended, from Stream's lists of their participants.

use std::collections::BTreeSet;

use crate::calls::settle::{self, ParticipantRow, SettledCall};
use crate::calls::sweep::{CloseReport, SettleRequest, Sweeper};
use crate::calls::{Call, SettledFrom};
use crate::clock::{Deadline, Timestamp};
use crate::error::ApiError;
use crate::ids::SessionId;
use crate::stream::StreamError;
use crate::stream::ops::{QueryCallParticipantSessions, QueryCallSessionStats};

/// The most pages of one list that are read.
const MAX_PAGES: usize = 100;

/// Stream's lists of the participants of a call.
struct Lists {
    rows: Vec<ParticipantRow>,
    source: SettledFrom,
    /// Whether the reports of all sessions are ready.
    is_final: bool,
}

/// The result of settling a call.
pub(super) enum SettleResult {
    /// The call is settled.
    Settled {
        settled: Box<SettledCall>,
        /// Whether the call has left the due index.
        is_closed: bool,
    },
    /// Stream lists a session whose report is not ready.
    TooEarly,
    /// The call has changed meanwhile, and the next sweep settles it.
    Changed,
}

impl Sweeper {
    /// Settles a call that is over. `next_check` is when the call is due again; without one, it
    /// leaves the due index.
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
    ) -> Result<SettleResult, ApiError> {
        let now = self.clock.now();
        let Lists { rows, source, is_final } = match self.fetch_rows(call, deadline).await {
            Ok(rows) => rows,
            Err(error) if settle::gives_up(call, now) => {
                ApiError::from(error).log("settling a call by its webhooks", &call.call_id);
                Lists { rows: Vec::new(), source: SettledFrom::Webhooks, is_final: true }
            }
            Err(error) => return Err(error.into()),
        };
        if !is_final && now < settle::settle_by(call) {
            return Ok(SettleResult::TooEarly);
        }
        let mut settled = settle::settle(call, &rows, source, now);
        // A call without a report is settled now, and closed by the next sweep.
        let (report, next_check) = match next_check {
            Some(_) => (CloseReport::default(), next_check),
            None => match self.observer.prepare(&settled.call, deadline).await {
                Some(report) => (report, None),
                None => (CloseReport::default(), Some(now)),
            },
        };
        settled.call.quality.clone_from(&report.quality);
        let request = SettleRequest {
            call: &settled.call,
            expected_version: call.presence.version(),
            expected_due_at: due_at,
            next_check,
        };
        if !self.due_store.settle(request).await? {
            return Ok(SettleResult::Changed);
        }
        report.complete();
        let is_closed = next_check.is_none();
        Ok(SettleResult::Settled { settled: Box::new(settled), is_closed })
    }

    /// Reads the lists of all sessions: those in the item, and those that Stream lists.
    async fn fetch_rows(&self, call: &Call, deadline: Deadline) -> Result<Lists, StreamError> {
        let mut all = Lists { rows: Vec::new(), source: SettledFrom::Stream, is_final: true };
        let mut sessions: BTreeSet<SessionId> = call.presence.sessions().cloned().collect();
        match self.query_sessions(call, deadline).await {
            Ok(listed) => sessions.extend(listed),
            // Stream has deleted the call.
            Err(StreamError::NotFound(_)) => all.source = SettledFrom::Webhooks,
            Err(error) => return Err(error),
        }
        if sessions.is_empty() && !call.presence.intervals().is_empty() {
            all.source = SettledFrom::Webhooks;
        }
        all.is_final = sessions.iter().all(|session| call.presence.has_report(session));
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
            let page = self.stream.send(&query, deadline).await?;
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
            let page = self.stream.send(&query, deadline).await?;
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
