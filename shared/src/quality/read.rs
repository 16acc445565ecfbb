//! Telling how good a call was.

use std::sync::Arc;

use crate::auth::Caller;
use crate::calls::{self, CallStore};
use crate::clock::{Clock, Deadline};
use crate::error::ApiError;
use crate::ids::CallId;
use crate::quality::evidence::EvidenceStore;
use crate::quality::stream::Live;
use crate::quality::{Quality, merge};
use crate::stream::ops::{GetCallReport, ListParticipantStats};
use crate::stream::{Stream, StreamError};

/// Whoever tells of a call's quality.
#[derive(Clone)]
pub struct Readings {
    /// The calls.
    pub calls: Arc<dyn CallStore>,
    /// What is kept with them.
    pub evidence: Arc<dyn EvidenceStore>,
    /// Stream.
    pub stream: Stream,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl Readings {
    /// How good a call is or was, for a member or a service. Where Stream cannot be asked, what is
    /// kept is told, and that Stream could not.
    ///
    /// # Errors
    ///
    /// `call_not_found`, `store_unavailable`.
    pub async fn of(
        &self,
        caller: &Caller,
        id: &CallId,
        deadline: Deadline,
    ) -> Result<Quality, ApiError> {
        let call = calls::find(&*self.calls, id, |call| call.may_be_ended_by(caller)).await?;
        let asked = self.ask(&call.call_id, deadline);
        let (kept, live) = futures_util::join!(self.evidence.evidence(&call.call_id), asked);
        let sees = |user: &_| caller.service || *user == caller.user;
        Ok(merge(&call, kept?, live, sees, self.clock.now()))
    }

    async fn ask(&self, call: &CallId, deadline: Deadline) -> Live {
        match self.said(call, deadline).await {
            Ok(live) => live,
            Err(error) => {
                ApiError::from(error).note("Stream does not tell of a call's quality", call);
                Live::Away
            }
        }
    }

    /// What Stream knows: nothing, before it has made its report.
    async fn said(&self, call: &CallId, deadline: Deadline) -> Result<Live, StreamError> {
        let report = known(self.stream.send(&GetCallReport { id: call }, deadline).await)?;
        let session = report.as_ref().map_or("", |report| report.session_id.as_str());
        let stats = match session {
            "" => None,
            session => {
                let stats = ListParticipantStats { call, session };
                match known(self.stream.send(&stats, deadline).await) {
                    Ok(stats) => stats,
                    Err(error) => {
                        // The report stands without them.
                        ApiError::from(error).note("Stream does not tell of participants", call);
                        None
                    }
                }
            }
        };
        let participants = stats.map(|answer| answer.participants).unwrap_or_default();
        Ok(Live::Said { report, participants })
    }
}

fn known<T>(answer: Result<T, StreamError>) -> Result<Option<T>, StreamError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(StreamError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
