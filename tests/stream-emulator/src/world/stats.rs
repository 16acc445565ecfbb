//! Call quality: reports exist only once the media side made them, and a
//! number that is not known is not there.

use serde::Serialize;
use serde_json::{Value, json};

use super::cid::Cid;
use super::listing::{CursorQuery, page};
use super::{Reply, World, compact, joined};
use crate::error::StreamFailure;
use crate::moment::Moment;
use crate::request::Query;
use crate::views::{CallReport, ParticipantStats, SessionStats};

/// A session of a call, with what the media side knows about it.
#[derive(Debug, Serialize)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) started_at: Moment,
    pub(super) ended_at: Option<Moment>,
    pub(super) report: CallReport,
    reported_at: Moment,
}

/// Which participants are asked for.
#[derive(Debug, Default)]
pub(crate) struct StatsPage {
    limit: Option<usize>,
    next: Option<String>,
}

impl StatsPage {
    pub(crate) fn of(query: &Query) -> Result<Self, StreamFailure> {
        Ok(Self { limit: query.number("limit")?, next: query.owned("next") })
    }
}

impl World {
    pub(crate) fn set_report(&mut self, call_cid: &str, report: CallReport, now: Moment) {
        let Ok(cid) = call_cid.parse::<Cid>() else { return };
        if !self.calls.contains_key(&cid) {
            return;
        }
        let id = Some(report.session_id.clone()).filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| self.make_id("session"));
        let session = Session {
            started_at: now.seconds_earlier(report.duration_seconds),
            ended_at: (!report.live).then_some(now),
            reported_at: now,
            report,
            id,
        };
        if let Some(call) = self.calls.get_mut(&cid) {
            call.sessions.retain(|known| known.id != session.id);
            call.sessions.push(session);
        }
    }

    pub(crate) fn get_call_report(&self, cid: &Cid, session_id: Option<&str>) -> Reply {
        let call = self.known_call(cid)?;
        let session = match session_id.filter(|id| !id.is_empty()) {
            Some(id) => call.session(id),
            None => call.sessions.last(),
        };
        let session = session.ok_or_else(|| no_report(cid))?;
        Ok(json!({
            "session_id": session.id,
            "report": session.report_response(),
            "session": session.response(self),
            "video_reactions": [],
        }))
    }

    pub(crate) fn query_call_stats(&self, ask: &CursorQuery) -> Reply {
        let reports = self
            .calls
            .values()
            .flat_map(|call| call.sessions.iter().map(move |session| session.summary(&call.cid)))
            .collect();
        let (reports, next) = ask.page(reports, 1)?;
        Ok(compact(json!({ "reports": reports, "next": next })))
    }

    pub(crate) fn participant_stats(&self, cid: &Cid, session: &str, ask: &StatsPage) -> Reply {
        let session = self.known_call(cid)?.session(session).ok_or_else(|| no_report(cid))?;
        let report = &session.report;
        let participants =
            report.participants.iter().map(|who| participant(who, session)).collect();
        let (participants, next) = page(participants, ask.limit, ask.next.as_deref())?;
        Ok(compact(json!({
            "call_type": cid.kind,
            "call_id": cid.id,
            "call_session_id": session.id,
            "call_started_at": session.started_at,
            "call_ended_at": session.ended_at,
            "counts": counts(report),
            "participants": participants,
            "next": next,
        })))
    }
}

impl Session {
    fn report_response(&self) -> Value {
        let joins = joins(&self.report).count();
        let publishers = joins_that_publish(&self.report);
        let users = self.report.participants.len();
        json!({
            "call": compact(json!({
                "score": self.report.score.map(f64::from),
                "started_at": self.started_at,
                "ended_at": self.ended_at,
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
                "average": average_rating(&self.report).unwrap_or_default(),
                "count": self.report.ratings.len(),
            },
        })
    }

    fn summary(&self, cid: &Cid) -> Value {
        compact(json!({
            "call_cid": cid,
            "call_session_id": self.id,
            "call_status": if self.ended_at.is_some() { "ended" } else { "active" },
            "call_duration_seconds": self.report.duration_seconds,
            "first_stats_time": self.started_at,
            // The name that it is sorted by.
            "first_stats": self.started_at,
            "created_at": self.reported_at,
            "quality_score": self.report.score,
            "min_user_rating": self.report.ratings.iter().min(),
        }))
    }
}

fn counts(report: &CallReport) -> Value {
    let users = report.participants.len();
    let sessions = joins(report).count();
    let live = if report.live { sessions } else { 0 };
    compact(json!({
        "participants": users,
        "sessions": sessions,
        "live_sessions": live,
        "publishers": joins_that_publish(report),
        "peak_concurrent_users": users,
        "peak_concurrent_sessions": sessions,
        "sfus_used": usize::from(sessions > 0),
        "cq_score": report.score,
        "average_jitter_ms": average(joins(report).filter_map(|it| it.jitter_ms)),
        "average_latency_ms": average(joins(report).filter_map(|it| it.latency_ms)),
        "max_freezes_duration_ms": joins(report).filter_map(|it| it.freezes_duration_ms).max(),
        "avg_user_rating": average_rating(report),
        "min_user_rating": report.ratings.iter().min(),
        "total_participant_duration": report.duration_seconds,
    }))
}

fn participant(who: &ParticipantStats, session: &Session) -> Value {
    let sessions: Vec<Value> = who.sessions.iter().map(|it| join(it, session)).collect();
    compact(json!({
        "user_id": who.user_id,
        "name": who.name,
        "roles": ["user"],
        "latest_activity_at": session.reported_at,
        "sessions": sessions,
    }))
}

fn join(stats: &SessionStats, session: &Session) -> Value {
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
    let when = json!({
        "user_session_id": stats.user_session_id,
        "is_live": session.ended_at.is_none(),
        "started_at": session.started_at,
        "ended_at": session.ended_at,
        "published_tracks": {
            "audio": stats.audio,
            "video": stats.video,
            "screenshare": false,
            "screenshare_audio": false,
        },
    });
    compact(joined(joined(when, measured), client))
}

fn joins(report: &CallReport) -> impl Iterator<Item = &SessionStats> {
    report.participants.iter().flat_map(|who| &who.sessions)
}

fn joins_that_publish(report: &CallReport) -> usize {
    joins(report).filter(|join| join.audio || join.video).count()
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

fn no_report(cid: &Cid) -> StreamFailure {
    StreamFailure::missing(format!("Can't find a report for call {cid}"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, default_call, read, refusal, world};
    use super::*;

    fn world_with_a_report() -> World {
        let mut world = world(&["alice", "bob"]);
        let ask = json!({ "data": { "created_by_id": "alice" } });
        world.get_or_create_call(&default_call("c"), read(ask), at(0)).expect("a call");
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
    fn there_is_no_report_before_there_is_one() {
        let mut world = world(&["alice"]);
        let ask = json!({ "data": { "created_by_id": "alice" } });
        world.get_or_create_call(&default_call("c"), read(ask), at(0)).expect("a call");
        assert_eq!(refusal(world.get_call_report(&default_call("c"), None)).1, 16);
        let page = StatsPage::default();
        assert_eq!(refusal(world.participant_stats(&default_call("c"), "s1", &page)).1, 16);
        let summary = world.query_call_stats(&CursorQuery::default()).expect("reports");
        assert_eq!(summary, json!({ "reports": [] }));
    }

    #[test]
    fn a_report_has_what_is_known_and_nothing_else() {
        let world = world_with_a_report();
        let answer = world.get_call_report(&default_call("c"), Some("s1")).expect("a report");
        assert_eq!(answer["report"]["call"]["score"], json!(87.0));
        assert_eq!(answer["report"]["participants"]["sum"], json!(3));
        assert_eq!(answer["report"]["user_ratings"], json!({ "average": 4.5, "count": 2 }));
        assert_eq!(answer["session"]["started_at"], json!(at(40)));
        assert_eq!(answer["session"]["ended_at"], json!(at(100)));
        assert_eq!(refusal(world.get_call_report(&default_call("c"), Some("s2"))).1, 16);
        let filter = read(json!({ "filter_conditions": { "call_cid": "default:c" } }));
        let summary = world.query_call_stats(&filter).expect("reports");
        assert_eq!(summary["reports"][0]["quality_score"], json!(87));
        assert_eq!(summary["reports"][0]["min_user_rating"], json!(4));
    }

    #[test]
    fn participants_come_in_pages() {
        let world = world_with_a_report();
        let first = StatsPage { limit: Some(1), next: None };
        let answer = world.participant_stats(&default_call("c"), "s1", &first).expect("a page");
        assert_eq!(answer["participants"][0]["user_id"], json!("alice"));
        assert_eq!(answer["participants"][0]["sessions"][1]["jitter_ms"], json!(21));
        assert_eq!(answer["counts"]["average_jitter_ms"], json!(15));
        assert_eq!(answer["counts"].get("average_latency_ms"), None);
        let second = StatsPage { limit: Some(1), next: answer["next"].as_str().map(str::to_owned) };
        let answer = world.participant_stats(&default_call("c"), "s1", &second).expect("a page");
        assert_eq!(answer["participants"][0]["user_id"], json!("bob"));
        assert_eq!(answer["participants"][0]["sessions"][0].get("jitter_ms"), None);
        assert_eq!(answer.get("next"), None);
    }

    #[test]
    fn a_live_session_ends_with_its_call() {
        let mut world = world_with_a_report();
        let live = CallReport { session_id: "s2".to_owned(), live: true, ..CallReport::default() };
        world.set_report("default:c", live, at(200));
        let call = world.get_call(&default_call("c"), None).expect("the call");
        assert_eq!(call["call"]["current_session_id"], json!("s2"));
        world.end_call(&default_call("c"), at(300)).expect("ended");
        let call = world.get_call(&default_call("c"), None).expect("the call");
        assert_eq!(call["call"]["current_session_id"], json!(""));
        assert_eq!(call["call"]["session"]["ended_at"], json!(at(300)));
    }
}
