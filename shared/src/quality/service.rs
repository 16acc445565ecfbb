//! Loads and merges the quality of a call.

use std::sync::Arc;

use crate::auth::Caller;
use crate::calls::{self, CallStore};
use crate::clock::{Clock, Deadline};
use crate::error::ApiError;
use crate::ids::CallId;
use crate::quality::store::QualityStore;
use crate::quality::stream_stats::StreamStats;
use crate::quality::{Quality, merge};
use crate::rate_limiter::Permit;
use crate::stream::ops::{GetCallReport, ListParticipantStats};
use crate::stream::{StreamClient, StreamError};
use crate::users::{self, AccountStore};

/// Returns the quality of calls.
#[derive(Clone)]
pub struct QualityService {
    /// The calls.
    pub calls: Arc<dyn CallStore>,
    /// The accounts of users.
    pub accounts: Arc<dyn AccountStore>,
    /// The store of quality data.
    pub quality_store: Arc<dyn QualityStore>,
    /// The Stream client.
    pub stream: StreamClient,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl QualityService {
    /// The quality of a call, for a member or a service. If Stream fails, the response uses stored
    /// data and has `stream.reachable: false`.
    ///
    /// # Errors
    ///
    /// `too_many_requests`, `user_deactivated`, `user_banned`, `user_deleted`, `call_not_found`,
    /// `store_unavailable`.
    pub async fn get(
        &self,
        caller: &Caller,
        id: &CallId,
        permit: Permit<'_>,
        deadline: Deadline,
    ) -> Result<Quality, ApiError> {
        let call = calls::get_authorized(&*self.calls, id, |call| call.is_accessible_to(caller));
        let now = self.clock.now();
        let call = users::require_active_alongside(&*self.accounts, caller, now, call);
        let call = permit.consume_alongside(call).await?;
        let stream_stats = self.stream_stats(&call.call_id, deadline);
        let now = self.clock.now();
        let (stored, stream_stats) =
            futures_util::join!(self.quality_store.load(&call.call_id), stream_stats);
        let quality = merge(&call, stored?, stream_stats, now);
        Ok(quality.visible_to(|user| caller.is_service || *user == caller.user))
    }

    async fn stream_stats(&self, call: &CallId, deadline: Deadline) -> StreamStats {
        match self.fetch_stream_stats(call, deadline).await {
            Ok(stats) => stats,
            Err(error) => {
                ApiError::from(error)
                    .log("GetCallReport failed, falling back to stored reports", call);
                StreamStats::Unavailable
            }
        }
    }

    /// Stream's report and statistics. Both are empty until Stream has made a report.
    async fn fetch_stream_stats(
        &self,
        call: &CallId,
        deadline: Deadline,
    ) -> Result<StreamStats, StreamError> {
        let report = optional(self.stream.send(&GetCallReport { id: call }, deadline).await)?;
        let session = report.as_ref().map_or("", |report| report.session_id.as_str());
        let stats = match session {
            "" => None,
            session => {
                let stats = ListParticipantStats { call, session };
                match optional(self.stream.send(&stats, deadline).await) {
                    Ok(stats) => stats,
                    Err(error) => {
                        // The report is valid without statistics.
                        ApiError::from(error).log(
                            "ListParticipantStats failed, falling back to stored statistics",
                            call,
                        );
                        None
                    }
                }
            }
        };
        let participants = stats.map(|response| response.participants).unwrap_or_default();
        Ok(StreamStats::Available { report, participants })
    }
}

fn optional<T>(result: Result<T, StreamError>) -> Result<Option<T>, StreamError> {
    match result {
        Ok(response) => Ok(Some(response)),
        Err(StreamError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
