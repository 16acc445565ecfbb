//! Loads and merges the quality of a call, or returns its stored summary.

use std::sync::Arc;

use futures_util::future::join;

use crate::auth::Caller;
use crate::calls::{self, Call, CallReader};
use crate::clock::{Clock, Deadline, Timestamp};
use crate::error::{ApiError, Code};
use crate::ids::{CallCid, CallId};
use crate::quality::response::Quality;
use crate::quality::store::SummaryStore;
use crate::quality::stream_stats::StreamStats;
use crate::quality::{merge, summary};
use crate::rate_limiter::Permit;
use crate::store::StoreError;
use crate::stream::ops::{GetCallReport, ListParticipantStats};
use crate::stream::{StreamClient, StreamError};
use crate::users::{self, AccountReader, NameReader};

/// The maximum number of names in a request to the table.
const MAX_NAMES: usize = 100;

/// Returns the quality of calls.
#[derive(Clone)]
pub struct QualityService {
    /// The calls.
    pub calls: Arc<dyn CallReader>,
    /// The accounts of users.
    pub accounts: Arc<dyn AccountReader>,
    /// The names of users.
    pub names: Arc<dyn NameReader>,
    /// The summaries and the data.
    pub summaries: Arc<dyn SummaryStore>,
    /// The Stream client.
    pub stream: StreamClient,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

/// The source of a response.
enum FindResult {
    /// A stored quality that may be reused.
    Summary(Quality),
    /// The call, whose quality must be computed.
    Call(Call),
}

impl QualityService {
    /// The quality of a call, for a member or a service: the stored summary if it may be reused, or
    /// else computed. If Stream fails, the response uses stored data and has
    /// `stream.reachable: false`.
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
        // Before the reads, so that every write that they miss is newer.
        let now = self.clock.now();
        let find = self.find(caller, id, now);
        let find = users::require_active_alongside(&*self.accounts, caller, now, find);
        let quality = match permit.consume_alongside(find).await? {
            FindResult::Summary(quality) => quality,
            FindResult::Call(call) => self.compute(&call, now, deadline).await?,
        };
        // The summary has the ratings of all members.
        Ok(quality.visible_to(|user| caller.is_service || *user == caller.user))
    }

    /// Finds a reusable summary, or else the call. The final summary of an ended call is read alone,
    /// which is the usual case. Any other summary requires the state of the call.
    async fn find(
        &self,
        caller: &Caller,
        id: &CallId,
        now: Timestamp,
    ) -> Result<FindResult, ApiError> {
        let content = self.summaries.load_summary(id).await?;
        let summary = content.and_then(|content| summary::decode(&content));
        let summary = match summary {
            Some(summary) if summary.is_reusable_for(caller, now) => {
                return Ok(FindResult::Summary(summary.quality));
            }
            other => other,
        };
        let is_accessible = |call: &Call| call.is_accessible_to(caller);
        let call = calls::get_authorized(&*self.calls, id, is_accessible).await?;
        let quality = summary.map(|summary| summary.quality);
        Ok(match quality.filter(|quality| summary::is_reusable(quality, &call, now)) {
            Some(quality) => FindResult::Summary(quality),
            None => FindResult::Call(call),
        })
    }

    /// Computes the quality, and stores its summary if that makes a repeated read cheaper.
    async fn compute(
        &self,
        call: &Call,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Quality, ApiError> {
        let id = &call.call_id;
        let (data, stream_stats) =
            join(self.summaries.load_data(id), self.stream_stats(&call.cid(), deadline)).await;
        let data = data?;
        let data_bytes = summary::data_bytes(&data);
        let mut quality = merge(call, data, stream_stats, now);
        if let Err(error) = self.add_names(&mut quality).await {
            ApiError::from(error).log("reading names failed, returning user ids", id);
            // A stored summary would lack the names for an hour.
            return Ok(quality);
        }
        let content = summary::encode(&quality, call)
            .map_err(|error| ApiError::from_code(Code::Internal).with_source(error))?;
        if summary::is_worth_storing(&quality, &content, data_bytes, call)
            && let Err(error) = self.summaries.store_summary(id, content, now).await
        {
            ApiError::from(error).log("storing the quality summary failed", id);
        }
        Ok(quality)
    }

    /// Adds the names in the table of participants whose name Stream does not have.
    async fn add_names(&self, quality: &mut Quality) -> Result<(), StoreError> {
        let mut unnamed = quality.unnamed_users();
        unnamed.truncate(MAX_NAMES);
        if !unnamed.is_empty() {
            quality.add_names(&self.names.get_names(&unnamed).await?);
        }
        Ok(())
    }

    async fn stream_stats(&self, call: &CallCid, deadline: Deadline) -> StreamStats {
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
        call: &CallCid,
        deadline: Deadline,
    ) -> Result<StreamStats, StreamError> {
        let report = optional(self.stream.send(&GetCallReport { call }, deadline).await)?;
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
