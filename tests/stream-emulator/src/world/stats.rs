//! Call quality reports. A report exists only after the media side has created it, and unknown
//! numbers are omitted.

use serde::Serialize;
use serde_json::{Value, json};

use super::call::Call;
use super::cid::Cid;
use super::pagination::{CursorQuery, paginate};
use super::session::Session;
use super::{ApiResult, World, merge, strip_nulls};
use crate::error::StreamError;
use crate::request::Query;
use crate::timestamp::Timestamp;
use crate::views::{CallReport, ParticipantStats, SessionStats};

/// A report on a session, and when it was received.
#[derive(Debug, Serialize)]
pub(super) struct StoredReport {
    pub(super) report: CallReport,
    pub(super) received_at: Timestamp,
}

/// A session with its report.
#[derive(Clone, Copy)]
struct MeasuredSession<'a> {
    session: &'a Session,
    report: &'a CallReport,
    received_at: Timestamp,
}

/// The requested page of the participants of a session, or of their joins.
#[derive(Debug, Default)]
pub(crate) struct StatsPage {
    pub(super) limit: Option<usize>,
    pub(super) next: Option<String>,
}

impl StatsPage {
    pub(crate) fn from_query(query: &Query) -> Result<Self, StreamError> {
        Ok(Self { limit: query.get_usize("limit")?, next: query.get_owned("next") })
    }
}

impl World {
    /// Stores a report on a session: that of its `session_id`, or else the last session if it has
    /// started and has no report yet, or else a new one. If the session has ended, emits
    /// `call.stats_report_ready`.
    pub(crate) fn set_report(&mut self, call_cid: &str, report: CallReport, now: Timestamp) {
        let Ok(cid) = call_cid.parse::<Cid>() else { return };
        let Some(id) = self.session_for_report(&cid, &report) else { return };
        let Some(call) = self.calls.get_mut(&cid) else { return };
        let has_ended = call.store_report(&id, report, now);
        if has_ended {
            self.emit_report(&cid, &id, now);
        }
    }

    /// Emits `call.stats_report_ready` for the last started session, even without measurements.
    pub(crate) fn publish_report(&mut self, call_cid: &str, now: Timestamp) {
        let Ok(cid) = call_cid.parse::<Cid>() else { return };
        let Some(call) = self.calls.get_mut(&cid) else { return };
        let Some(session) = call.last_started_session_mut() else { return };
        if session.stored_report.is_none() {
            session.store_report(session.attendance_report(now), now);
        }
        let id = session.id.clone();
        self.emit_report(&cid, &id, now);
    }

    pub(crate) fn get_call_report(&self, cid: &Cid, session_id: Option<&str>) -> ApiResult {
        let call = self.find_call(cid)?;
        let measured = match session_id.filter(|id| !id.is_empty()) {
            Some(id) => call.session(id).and_then(Session::measured),
            None => call.sessions.iter().rev().find_map(Session::measured),
        };
        let measured = measured.ok_or_else(|| report_not_found(cid))?;
        Ok(json!({
            "session_id": measured.session.id,
            "report": measured.report_response(),
            "session": measured.session.response(self),
            "video_reactions": [],
        }))
    }

    pub(crate) fn query_call_stats(&self, request: &CursorQuery) -> ApiResult {
        let reports = self.calls.values().flat_map(|call| {
            let measured = call.sessions.iter().filter_map(Session::measured);
            measured.map(move |measured| measured.summary(&call.cid))
        });
        let (reports, next) = request.page(reports.collect(), 1)?;
        Ok(strip_nulls(json!({ "reports": reports, "next": next })))
    }

    pub(crate) fn participant_stats(
        &self,
        cid: &Cid,
        session: &str,
        request: &StatsPage,
    ) -> ApiResult {
        let measured = self.find_call(cid)?.session(session).and_then(Session::measured);
        let measured = measured.ok_or_else(|| report_not_found(cid))?;
        let (participants, next) =
            paginate(measured.participants_response(), request.limit, request.next.as_deref())?;
        Ok(strip_nulls(json!({
            "call_type": cid.kind,
            "call_id": cid.id,
            "call_session_id": measured.session.id,
            "call_started_at": measured.session.started_at,
            "call_ended_at": measured.session.ended_at,
            "counts": counts(measured.report),
            "participants": participants,
            "next": next,
        })))
    }

    /// The id of the session to which a report belongs.
    fn session_for_report(&mut self, cid: &Cid, report: &CallReport) -> Option<String> {
        let call = self.calls.get(cid)?;
        if !report.session_id.is_empty() {
            return Some(report.session_id.clone());
        }
        let last = call.sessions.last();
        let unreported =
            last.filter(|session| session.started_at.is_some() && session.stored_report.is_none());
        let unreported = unreported.map(|session| session.id.clone());
        Some(unreported.unwrap_or_else(|| self.next_id("session")))
    }

    fn emit_report(&mut self, cid: &Cid, id: &str, now: Timestamp) {
        let session = self.calls.get(cid).and_then(|call| call.session(id));
        let Some(measured) = session.and_then(Session::measured) else { return };
        let fields = json!({
            "counts": counts(measured.report),
            "participants_overview": measured.participants_response(),
            "is_trimmed": false,
        });
        self.emit_session("call.stats_report_ready", cid, id, now, fields);
    }
}

impl Call {
    /// Stores a report on a session. Returns whether the session has ended.
    fn store_report(&mut self, id: &str, report: CallReport, now: Timestamp) -> bool {
        let was_joined =
            |session: &Session| session.started_at.is_some() && !session.is_report_only;
        if !self.session(id).is_some_and(was_joined) {
            self.sessions.retain(|session| session.id != id);
            self.sessions.push(Session::from_report(id, &report, now));
        }
        let Some(session) = self.sessions.iter_mut().find(|session| session.id == id) else {
            return false;
        };
        session.store_report(report, now);
        session.ended_at.is_some()
    }
}

impl Session {
    fn measured(&self) -> Option<MeasuredSession<'_>> {
        let stored = self.stored_report.as_ref()?;
        Some(MeasuredSession {
            session: self,
            report: &stored.report,
            received_at: stored.received_at,
        })
    }
}

impl MeasuredSession<'_> {
    fn report_response(&self) -> Value {
        let joins = session_stats(self.report).count();
        let publishers = publisher_count(self.report);
        let users = self.report.participants.len();
        json!({
            "call": strip_nulls(json!({
                "score": self.report.score.map(f64::from),
                "started_at": self.session.started_at,
                "ended_at": self.session.ended_at,
            })),
            "participants": {
                "sum": joins,
                "unique": users,
                "max_concurrent": users,
                "publishers": { "total": publishers, "unique": publishers, "by_track": [] },
                "subscribers": {
                    "total": joins,
                    "unique": users,
                    "total_subscribed_duration_seconds": self.report.duration_seconds,
                },
            },
            "user_ratings": {
                "average": average_rating(self.report).unwrap_or_default(),
                "count": self.report.ratings.len(),
            },
        })
    }

    fn summary(&self, cid: &Cid) -> Value {
        let status = if self.session.ended_at.is_some() { "ended" } else { "active" };
        strip_nulls(json!({
            "call_cid": cid,
            "call_session_id": self.session.id,
            "call_status": status,
            "call_duration_seconds": self.report.duration_seconds,
            "first_stats_time": self.session.started_at,
            // The name of the same field in `sort`.
            "first_stats": self.session.started_at,
            "created_at": self.received_at,
            "quality_score": self.report.score,
            "min_user_rating": self.report.ratings.iter().min(),
        }))
    }

    fn participants_response(&self) -> Vec<Value> {
        self.report
            .participants
            .iter()
            .map(|participant| self.participant_response(participant))
            .collect()
    }

    fn participant_response(&self, participant: &ParticipantStats) -> Value {
        let sessions: Vec<Value> =
            participant.sessions.iter().map(|stats| self.join_response(stats)).collect();
        strip_nulls(json!({
            "user_id": participant.user_id,
            "name": participant.name,
            "roles": ["user"],
            "latest_activity_at": self.received_at,
            "sessions": sessions,
        }))
    }

    fn join_response(&self, stats: &SessionStats) -> Value {
        let measured = json!({
            "cq_score": stats.cq_score,
            "jitter_ms": stats.jitter_ms,
            "latency_ms": stats.latency_ms,
            "freezes_duration_ms": stats.freezes_duration_ms,
        });
        let client = json!({
            "sdk": stats.sdk,
            "sdk_version": stats.sdk_version,
            "os": stats.os,
            "browser": stats.browser,
        });
        let (started_at, ended_at) = self.join_interval(&stats.user_session_id);
        let presence = json!({
            "user_session_id": stats.user_session_id,
            "is_live": ended_at.is_none(),
            "started_at": started_at,
            "ended_at": ended_at,
            "published_tracks": {
                "audio": stats.audio,
                "video": stats.video,
                "screenshare": false,
                "screenshare_audio": false,
            },
        });
        strip_nulls(merge(merge(presence, measured), client))
    }

    /// The start and the end of a join. Without a record of the join, those of the session.
    fn join_interval(&self, user_session_id: &str) -> (Option<Timestamp>, Option<Timestamp>) {
        let joins = &self.session.joins;
        match joins.iter().find(|join| join.user_session_id == user_session_id) {
            Some(join) => (Some(join.joined_at), join.left_at),
            None => (self.session.started_at, self.session.ended_at),
        }
    }
}

pub(super) fn counts(report: &CallReport) -> Value {
    let users = report.participants.len();
    let sessions = session_stats(report).count();
    let live = if report.live { sessions } else { 0 };
    strip_nulls(json!({
        "participants": users,
        "sessions": sessions,
        "live_sessions": live,
        "publishers": publisher_count(report),
        "peak_concurrent_users": users,
        "peak_concurrent_sessions": sessions,
        "sfus_used": usize::from(sessions > 0),
        "cq_score": report.score,
        "average_jitter_ms": average(session_stats(report).filter_map(|stats| stats.jitter_ms)),
        "average_latency_ms": average(session_stats(report).filter_map(|stats| stats.latency_ms)),
        "max_freezes_duration_ms": session_stats(report).filter_map(|stats| stats.freezes_duration_ms).max(),
        "avg_user_rating": average_rating(report),
        "min_user_rating": report.ratings.iter().min(),
        "total_participant_duration": report.duration_seconds,
    }))
}

fn session_stats(report: &CallReport) -> impl Iterator<Item = &SessionStats> {
    report.participants.iter().flat_map(|participant| &participant.sessions)
}

fn publisher_count(report: &CallReport) -> usize {
    session_stats(report).filter(|join| join.audio || join.video).count()
}

fn average(values: impl Iterator<Item = i64>) -> Option<i64> {
    let (sum, count) = values.fold((0_i64, 0_i64), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count)
}

fn average_rating(report: &CallReport) -> Option<f64> {
    let count = u32::try_from(report.ratings.len()).ok().filter(|count| *count > 0)?;
    let sum: u32 = report.ratings.iter().copied().map(u32::from).sum();
    Some(f64::from(sum) / f64::from(count))
}

fn report_not_found(cid: &Cid) -> StreamError {
    StreamError::not_found(format!("Can't find a report for call {cid}"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        at, default_call_cid, event_types, expect_error, from_json, world_with_users,
    };
    use super::*;

    fn world_with_a_report() -> World {
        let mut world = world_with_users(&["alice", "bob"]);
        let request = json!({ "data": { "created_by_id": "alice" } });
        world
            .get_or_create_call(&default_call_cid("c"), from_json(request), at(0))
            .expect("a call");
        let join = |id: &str, jitter_ms| SessionStats {
            user_session_id: id.to_owned(),
            jitter_ms,
            audio: true,
            ..SessionStats::default()
        };
        let report = CallReport {
            session_id: "s1".to_owned(),
            score: Some(87),
            duration_seconds: 60,
            ratings: vec![5, 4],
            participants: vec![
                ParticipantStats {
                    user_id: "alice".to_owned(),
                    sessions: vec![join("a1", Some(10)), join("a2", Some(21))],
                    ..ParticipantStats::default()
                },
                ParticipantStats {
                    user_id: "bob".to_owned(),
                    sessions: vec![join("b1", None)],
                    ..ParticipantStats::default()
                },
            ],
            ..CallReport::default()
        };
        world.set_report("default:c", report, at(100));
        world
    }

    #[test]
    fn missing_report_is_not_found() {
        let mut world = world_with_users(&["alice"]);
        let request = json!({ "data": { "created_by_id": "alice" } });
        world
            .get_or_create_call(&default_call_cid("c"), from_json(request), at(0))
            .expect("a call");
        assert_eq!(expect_error(world.get_call_report(&default_call_cid("c"), None)).1, 16);
        let page = StatsPage::default();
        assert_eq!(
            expect_error(world.participant_stats(&default_call_cid("c"), "s1", &page)).1,
            16
        );
        let summary = world.query_call_stats(&CursorQuery::default()).expect("reports");
        assert_eq!(summary, json!({ "reports": [] }));
    }

    #[test]
    fn report_omits_unknown_values() {
        let world = world_with_a_report();
        let response = world.get_call_report(&default_call_cid("c"), Some("s1")).expect("a report");
        assert_eq!(response["report"]["call"]["score"], json!(87.0));
        assert_eq!(response["report"]["participants"]["sum"], json!(3));
        assert_eq!(response["report"]["user_ratings"], json!({ "average": 4.5, "count": 2 }));
        assert_eq!(response["session"]["started_at"], json!(at(40)));
        assert_eq!(response["session"]["ended_at"], json!(at(100)));
        assert_eq!(expect_error(world.get_call_report(&default_call_cid("c"), Some("s2"))).1, 16);
        let filter = from_json(json!({ "filter_conditions": { "call_cid": "default:c" } }));
        let summary = world.query_call_stats(&filter).expect("reports");
        assert_eq!(summary["reports"][0]["quality_score"], json!(87));
        assert_eq!(summary["reports"][0]["min_user_rating"], json!(4));
    }

    #[test]
    fn participants_are_paginated() {
        let world = world_with_a_report();
        let first = StatsPage { limit: Some(1), next: None };
        let response =
            world.participant_stats(&default_call_cid("c"), "s1", &first).expect("a page");
        assert_eq!(response["participants"][0]["user_id"], json!("alice"));
        assert_eq!(response["participants"][0]["sessions"][1]["jitter_ms"], json!(21));
        assert_eq!(response["counts"]["average_jitter_ms"], json!(15));
        assert_eq!(response["counts"].get("average_latency_ms"), None);
        let second =
            StatsPage { limit: Some(1), next: response["next"].as_str().map(str::to_owned) };
        let response =
            world.participant_stats(&default_call_cid("c"), "s1", &second).expect("a page");
        assert_eq!(response["participants"][0]["user_id"], json!("bob"));
        assert_eq!(response["participants"][0]["sessions"][0].get("jitter_ms"), None);
        assert_eq!(response.get("next"), None);
    }

    #[test]
    fn live_session_ends_with_its_call() {
        let mut world = world_with_a_report();
        let alice = ParticipantStats {
            user_id: "alice".to_owned(),
            sessions: vec![SessionStats::default()],
            ..ParticipantStats::default()
        };
        let live = CallReport {
            session_id: "s2".to_owned(),
            live: true,
            participants: vec![alice],
            ..CallReport::default()
        };
        world.set_report("default:c", live, at(200));
        let call = world.get_call(&default_call_cid("c"), None).expect("the call");
        assert_eq!(call["call"]["current_session_id"], json!("s2"));
        let participants = &call["call"]["session"]["participants"];
        assert_eq!(participants[0]["user"]["id"], json!("alice"));
        world.end_call(&default_call_cid("c"), at(300)).expect("ended");
        let call = world.get_call(&default_call_cid("c"), None).expect("the call");
        assert_eq!(call["call"]["current_session_id"], json!(""));
        assert_eq!(call["call"]["session"]["ended_at"], json!(at(300)));
        assert_eq!(call["call"]["session"]["participants"], json!([]));
    }

    fn world_with_a_session() -> World {
        let mut world = world_with_users(&["alice", "bob"]);
        let request = json!({ "data": { "created_by_id": "alice" } });
        world
            .get_or_create_call(&default_call_cid("c"), from_json(request), at(0))
            .expect("a call");
        world.join("default:c", "alice", at(10)).expect("a join");
        world.join("default:c", "bob", at(20)).expect("a join");
        world
    }

    #[test]
    fn report_preserves_the_times_of_a_joined_session() {
        let mut world = world_with_a_session();
        world.leave("default:c", None, at(40));
        world.end_session_at(&default_call_cid("c"), at(70));
        assert_eq!(expect_error(world.get_call_report(&default_call_cid("c"), None)).1, 16);
        world.take_events();
        let alice = ParticipantStats {
            user_id: "alice".to_owned(),
            sessions: vec![SessionStats::default()],
            ..ParticipantStats::default()
        };
        let report = CallReport {
            score: Some(71),
            live: true,
            participants: vec![alice],
            ..CallReport::default()
        };
        world.set_report("default:c", report, at(90));
        let response = world.get_call_report(&default_call_cid("c"), None).expect("a report");
        assert_eq!(response["report"]["call"]["score"], json!(71.0));
        assert_eq!(response["session"]["started_at"], json!(at(10)));
        assert_eq!(response["session"]["ended_at"], json!(at(70)));
        let events = world.take_events();
        assert_eq!(event_types(&events), ["call.stats_report_ready"]);
        assert_eq!(events[0]["session_id"], response["session_id"]);
        assert_eq!(events[0]["counts"]["cq_score"], json!(71));
        assert_eq!(events[0]["counts"]["live_sessions"], json!(0));
    }

    #[test]
    fn report_on_a_live_session_is_emitted_only_when_published() {
        let mut world = world_with_a_session();
        world.take_events();
        world.set_report("default:c", CallReport::default(), at(30));
        assert!(world.take_events().is_empty());
        world.rate("default:c", "bob", 3, None, at(31));
        world.end_call_at(&default_call_cid("c"), at(40), None);
        world.take_events();
        world.publish_report("default:c", at(50));
        let events = world.take_events();
        assert_eq!(event_types(&events), ["call.stats_report_ready"]);
        assert_eq!(events[0]["counts"]["min_user_rating"], json!(3));
    }

    #[test]
    fn report_without_measurements_lists_participants() {
        let mut world = world_with_a_session();
        world.end_call_at(&default_call_cid("c"), at(70), None);
        world.rate("default:c", "bob", 5, None, at(71));
        world.take_events();
        world.publish_report("default:c", at(80));
        world.publish_report("default:x", at(80));
        let events = world.take_events();
        assert_eq!(event_types(&events), ["call.stats_report_ready"]);
        let overview = &events[0]["participants_overview"];
        assert_eq!(overview[1]["user_id"], json!("bob"));
        let join = &overview[1]["sessions"][0];
        assert_eq!(join["started_at"], json!("2026-01-01T00:00:20.000000000Z"));
        assert_eq!(join["ended_at"], json!("2026-01-01T00:01:10.000000000Z"));
        assert_eq!(join.get("jitter_ms"), None);
        assert_eq!(events[0]["counts"].get("cq_score"), None);
        assert_eq!(events[0]["counts"]["total_participant_duration"], json!(60));
        let response = world.get_call_report(&default_call_cid("c"), None).expect("a report");
        assert_eq!(response["report"]["user_ratings"], json!({ "average": 5.0, "count": 1 }));
    }

    #[test]
    fn publish_report_without_a_started_session_does_nothing() {
        let mut world = world_with_users(&["alice", "bob"]);
        let request = json!({ "data": { "created_by_id": "alice" } });
        world
            .get_or_create_call(&default_call_cid("c"), from_json(request), at(0))
            .expect("a call");
        world.reject("default:c", "bob", at(1));
        world.take_events();
        world.publish_report("default:c", at(2));
        assert!(world.take_events().is_empty());
    }
}
