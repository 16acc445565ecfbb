//! One session of a call: its joins, and the users who accepted, rejected or missed the ring.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::stats::StoredReport;
use super::{World, strip_nulls};
use crate::timestamp::Timestamp;
use crate::views::{CallReport, JoinView, ParticipantStats, SessionStats};

/// The role of a participant who is not a member of the call.
pub(super) const NON_MEMBER_ROLE: &str = "user";

#[derive(Debug, Default, Serialize)]
pub(super) struct Session {
    pub(super) id: String,
    /// `None` until the first join.
    pub(super) started_at: Option<Timestamp>,
    pub(super) ended_at: Option<Timestamp>,
    /// The end of the timer of an ended session, once the maximum duration has changed.
    pub(super) fixed_timer_ends_at: Option<Timestamp>,
    /// When the last participant left, if the session has none now.
    pub(super) empty_since: Option<Timestamp>,
    /// All joins, in order.
    pub(super) joins: Vec<Join>,
    pub(super) accepted_by: BTreeMap<String, Timestamp>,
    pub(super) rejected_by: BTreeMap<String, Timestamp>,
    pub(super) missed_by: BTreeMap<String, Timestamp>,
    /// The users who have not responded to their ring, and when it began.
    pub(super) ringing: BTreeMap<String, Timestamp>,
    ratings: Vec<u8>,
    pub(super) stored_report: Option<StoredReport>,
    /// Whether the session has no joins through [`World::join`], only those of its report.
    pub(super) is_report_only: bool,
}

/// One join and its leave.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Join {
    pub(super) user_session_id: String,
    pub(super) user_id: String,
    pub(super) role: String,
    pub(super) joined_at: Timestamp,
    pub(super) left_at: Option<Timestamp>,
}

impl Join {
    pub(super) fn response(&self, world: &World) -> Value {
        json!({
            "user": world.user_response(&self.user_id),
            "user_session_id": self.user_session_id,
            "role": self.role,
            "joined_at": self.joined_at,
        })
    }

    fn view(&self, session_id: &str) -> JoinView {
        JoinView {
            session_id: session_id.to_owned(),
            user_session_id: self.user_session_id.clone(),
            user_id: self.user_id.clone(),
            joined_at: self.joined_at.as_nanos(),
            left_at: self.left_at.map(Timestamp::as_nanos),
        }
    }
}

impl Session {
    pub(super) fn new(id: String) -> Self {
        Self { id, ..Self::default() }
    }

    /// A session that exists only through its report.
    pub(super) fn from_report(id: &str, report: &CallReport, now: Timestamp) -> Self {
        let started_at = now.minus_seconds(report.duration_seconds);
        let joins = report.participants.iter().flat_map(|participant| {
            participant.sessions.iter().map(move |session| Join {
                user_session_id: session.user_session_id.clone(),
                user_id: participant.user_id.clone(),
                role: NON_MEMBER_ROLE.to_owned(),
                joined_at: started_at,
                left_at: None,
            })
        });
        Self {
            started_at: Some(started_at),
            ended_at: (!report.live).then_some(now),
            joins: joins.filter(|_| report.live).collect(),
            is_report_only: true,
            ..Self::new(id.to_owned())
        }
    }

    /// The session in the response of its call. It lists only current participants.
    pub(super) fn response(&self, world: &World) -> Value {
        let participants: Vec<Value> =
            self.present_joins().map(|join| join.response(world)).collect();
        strip_nulls(json!({
            "id": self.id,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "anonymous_participant_count": 0,
            "participants_count_by_role": self.count_by_role(),
            "participants": participants,
            "accepted_by": self.accepted_by,
            "missed_by": self.missed_by,
            "rejected_by": self.rejected_by,
        }))
    }

    /// The current participants, in the order in which they joined.
    pub(super) fn present_users(&self) -> Vec<String> {
        self.present_joins().map(|join| join.user_id.clone()).collect()
    }

    pub(super) fn is_present(&self, user_id: &str) -> bool {
        self.present_joins().any(|join| join.user_id == user_id)
    }

    /// Whether a user is present under this `user_session_id`.
    pub(super) fn has_join(&self, user_id: &str, user_session_id: &str) -> bool {
        let mut joins = self.present_joins();
        joins.any(|it| it.user_id == user_id && it.user_session_id == user_session_id)
    }

    pub(super) fn join_views(&self) -> impl Iterator<Item = JoinView> {
        self.joins.iter().map(move |join| join.view(&self.id))
    }

    /// A report with times and participants but without measurements.
    pub(super) fn attendance_report(&self, now: Timestamp) -> CallReport {
        let mut participants: Vec<ParticipantStats> = Vec::new();
        for join in &self.joins {
            let user_session_id = join.user_session_id.clone();
            let stats = SessionStats { user_session_id, ..SessionStats::default() };
            match participants.iter_mut().find(|participant| participant.user_id == join.user_id) {
                Some(participant) => participant.sessions.push(stats),
                None => participants.push(ParticipantStats {
                    user_id: join.user_id.clone(),
                    sessions: vec![stats],
                    ..ParticipantStats::default()
                }),
            }
        }
        let end = self.ended_at.unwrap_or(now);
        CallReport {
            session_id: self.id.clone(),
            duration_seconds: self.started_at.map_or(0, |start| end.seconds_since(start)),
            participants,
            ..CallReport::default()
        }
    }

    /// Stores a report. For a joined session, `live` is taken from the session. Without ratings in
    /// the report, those of the session are used.
    pub(super) fn store_report(&mut self, mut report: CallReport, now: Timestamp) {
        if !self.is_report_only {
            report.live = self.ended_at.is_none();
        }
        if report.ratings.is_empty() {
            report.ratings.clone_from(&self.ratings);
        }
        self.stored_report = Some(StoredReport { report, received_at: now });
    }

    fn present_joins(&self) -> impl Iterator<Item = &Join> {
        self.joins.iter().filter(|join| join.left_at.is_none())
    }

    fn count_by_role(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for join in self.present_joins() {
            *counts.entry(join.role.as_str()).or_default() += 1;
        }
        counts
    }

    /// Ends the current joins that match. Returns the ended joins.
    pub(super) fn leave(
        &mut self,
        is_leaving: impl Fn(&Join) -> bool,
        now: Timestamp,
    ) -> Vec<Join> {
        let mut left = Vec::new();
        for join in self.joins.iter_mut().filter(|join| join.left_at.is_none()) {
            if is_leaving(join) {
                join.left_at = Some(now);
                left.push(join.clone());
            }
        }
        if !left.is_empty() && self.present_joins().next().is_none() {
            self.empty_since = Some(now);
        }
        left
    }

    pub(super) fn add_rating(&mut self, rating: u8) {
        self.ratings.push(rating);
        if let Some(stored) = &mut self.stored_report {
            stored.report.ratings.push(rating);
        }
    }

    pub(super) fn end(&mut self, at: Timestamp) {
        self.ended_at.get_or_insert(at);
        self.empty_since = None;
        self.ringing.clear();
        for join in self.joins.iter_mut().filter(|join| join.left_at.is_none()) {
            join.left_at = Some(at);
        }
        if let Some(stored) = &mut self.stored_report {
            stored.report.live = false;
        }
    }
}
