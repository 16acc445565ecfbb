//! The participant sessions of a call session: one row for each join, with its times.
//!
//! Stream documents that the rows can be late or incomplete while the session is live, and that
//! they are final after its end and `call.stats_report_ready`. Here a join or a leave is published
//! after a delay. All are published once the session has ended and has a report, or once the delay
//! after its end has passed.

use std::time::Duration;

use serde_json::{Value, json};

use super::cid::Cid;
use super::pagination::{page_limit, paginate};
use super::session::{Join, Session};
use super::stats::StatsPage;
use super::{ApiResult, World, strip_nulls};
use crate::error::StreamError;
use crate::timestamp::Timestamp;
use crate::views::ParticipantSessionFaults;

const DEFAULT_DELAY: Duration = Duration::from_mins(1);
/// The type of a participant who joins with a client library.
const PUBLISHER_TYPE: &str = "webrtc";

/// The rules that tests can change.
#[derive(Clone, Copy, Debug)]
pub(super) struct ParticipantSessionRules {
    faults: ParticipantSessionFaults,
    /// The time from a join or a leave until it is published.
    delay: Duration,
}

impl Default for ParticipantSessionRules {
    fn default() -> Self {
        Self { faults: ParticipantSessionFaults::default(), delay: DEFAULT_DELAY }
    }
}

/// A join that is published.
struct PublishedJoin<'a> {
    join: &'a Join,
    /// `None` until the leave is published.
    left_at: Option<Timestamp>,
}

impl World {
    pub(crate) fn set_participant_session_faults(&mut self, faults: ParticipantSessionFaults) {
        self.participant_session_rules.faults = faults;
    }

    pub(crate) fn set_participant_sessions_delay(&mut self, delay: Duration) {
        self.participant_session_rules.delay = delay;
    }

    pub(crate) fn participant_sessions(
        &self,
        cid: &Cid,
        session_id: &str,
        request: &StatsPage,
        now: Timestamp,
    ) -> ApiResult {
        let session = self.find_call(cid)?.session(session_id);
        let session = session.ok_or_else(|| session_not_found(cid, session_id))?;
        let ParticipantSessionRules { faults, delay } = self.participant_session_rules;
        let joins = session.published_joins(delay, now);
        let durations = joins.iter().filter_map(PublishedJoin::duration);
        let total_duration: u64 = durations.map(round_to_seconds).sum();
        let rows: Vec<Value> = if faults.omit_rows {
            Vec::new()
        } else {
            joins.iter().map(|join| join.response(faults)).collect()
        };
        let limit = page_limit(request.limit)?;
        let limit = faults.page_size.map_or(limit, |size| size.clamp(1, limit));
        let (rows, next) = paginate(rows, Some(limit), request.next.as_deref())?;
        Ok(strip_nulls(json!({
            "call_type": cid.kind,
            "call_id": cid.id,
            "call_session_id": session.id,
            "participants_sessions": rows,
            "total_participant_sessions": joins.len(),
            "total_participant_duration": total_duration,
            "next": next,
        })))
    }
}

impl Session {
    /// The published joins, ordered by the time of the join.
    fn published_joins(&self, delay: Duration, now: Timestamp) -> Vec<PublishedJoin<'_>> {
        let has_passed = |at: Timestamp| at.plus(delay) <= now;
        let is_final = self
            .ended_at
            .is_some_and(|ended_at| self.stored_report.is_some() || has_passed(ended_at));
        let is_published = |at: Timestamp| is_final || has_passed(at);
        let joins = self.joins.iter().filter(|join| is_published(join.joined_at));
        let mut joins: Vec<PublishedJoin<'_>> = joins
            .map(|join| PublishedJoin {
                join,
                left_at: join.left_at.filter(|left_at| is_published(*left_at)),
            })
            .collect();
        joins.sort_by_key(|published| published.join.joined_at);
        joins
    }
}

impl PublishedJoin<'_> {
    fn duration(&self) -> Option<Duration> {
        Some(self.left_at?.duration_since(self.join.joined_at))
    }

    fn response(&self, faults: ParticipantSessionFaults) -> Value {
        let duration = self.duration().map(|duration| {
            if faults.fractional_duration {
                json!(duration.as_secs_f64())
            } else {
                json!(round_to_seconds(duration))
            }
        });
        strip_nulls(json!({
            "user_id": self.join.user_id,
            "user_session_id": self.join.user_session_id,
            "publisher_type": PUBLISHER_TYPE,
            "roles": [self.join.role],
            "joined_at": Some(self.join.joined_at).filter(|_| !faults.omit_joined_at),
            "left_at": self.left_at.filter(|_| !faults.omit_left_at),
            "duration_in_seconds": duration.filter(|_| !faults.omit_duration),
        }))
    }
}

fn round_to_seconds(duration: Duration) -> u64 {
    duration.saturating_add(Duration::from_millis(500)).as_secs()
}

fn session_not_found(cid: &Cid, session_id: &str) -> StreamError {
    StreamError::not_found(format!("Can't find session {session_id} of call {cid}"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, default_call_cid, expect_error, from_json, world_with_users};
    use super::*;
    use crate::views::CallReport;

    const CALL: &str = "default:c";

    /// A live session: alice joins after 10 s and leaves after 100 s, bob joins after 20 s.
    fn world_with_joins() -> World {
        let mut world = world_with_users(&["alice", "bob"]);
        let members = json!([{ "user_id": "alice", "role": "admin" }, { "user_id": "bob" }]);
        let request = json!({ "data": { "created_by_id": "alice", "members": members } });
        world
            .get_or_create_call(&default_call_cid("c"), from_json(request), at(0))
            .expect("a call");
        world.join_as(CALL, "alice", "a1", at(10)).expect("a join");
        world.join_as(CALL, "bob", "b1", at(20)).expect("a join");
        world.leave(CALL, Some("a1"), at(100));
        world
    }

    fn session_id(world: &World) -> String {
        world.call_view(CALL).and_then(|call| call.session_id).expect("a session")
    }

    fn query(world: &World, page: &StatsPage, now: Timestamp) -> ApiResult {
        world.participant_sessions(&default_call_cid("c"), &session_id(world), page, now)
    }

    fn response(world: &World, now: Timestamp) -> Value {
        query(world, &StatsPage::default(), now).expect("a page")
    }

    /// The `user_session_id` and the `left_at` of each row.
    fn rows(response: &Value) -> Vec<(&str, &Value)> {
        let rows = response["participants_sessions"].as_array().expect("rows");
        rows.iter()
            .map(|row| (row["user_session_id"].as_str().unwrap_or_default(), &row["left_at"]))
            .collect()
    }

    #[test]
    fn unknown_call_or_session_is_not_found() {
        let world = world_with_joins();
        for (call, session) in [("x", session_id(&world)), ("c", "s9".to_owned())] {
            let page = StatsPage::default();
            let outcome =
                world.participant_sessions(&default_call_cid(call), &session, &page, at(200));
            let (status, code, _) = expect_error(outcome);
            assert_eq!((status, code), (404, 16), "{call}");
        }
    }

    #[test]
    fn joins_and_leaves_of_a_live_session_appear_after_the_delay() {
        let world = world_with_joins();
        let empty = response(&world, at(69));
        assert_eq!(
            empty,
            json!({
                "call_type": "default",
                "call_id": "c",
                "call_session_id": session_id(&world),
                "participants_sessions": [],
                "total_participant_sessions": 0,
                "total_participant_duration": 0,
            })
        );
        let unset = json!(null);
        assert_eq!(rows(&response(&world, at(70))), [("a1", &unset)]);
        assert_eq!(rows(&response(&world, at(79))), [("a1", &unset)]);
        assert_eq!(rows(&response(&world, at(159))), [("a1", &unset), ("b1", &unset)]);
        let complete = response(&world, at(160));
        assert_eq!(
            complete["participants_sessions"],
            json!([
                {
                    "user_id": "alice",
                    "user_session_id": "a1",
                    "publisher_type": "webrtc",
                    "roles": ["admin"],
                    "joined_at": at(10),
                    "left_at": at(100),
                    "duration_in_seconds": 90,
                },
                {
                    "user_id": "bob",
                    "user_session_id": "b1",
                    "publisher_type": "webrtc",
                    "roles": ["user"],
                    "joined_at": at(20),
                },
            ])
        );
        assert_eq!(complete["total_participant_sessions"], json!(2));
        assert_eq!(complete["total_participant_duration"], json!(90));
    }

    #[test]
    fn delay_can_be_changed() {
        let mut world = world_with_joins();
        world.set_participant_sessions_delay(Duration::ZERO);
        let live = response(&world, at(100));
        assert_eq!(rows(&live), [("a1", &json!(at(100))), ("b1", &json!(null))]);
        world.set_participant_sessions_delay(Duration::from_mins(5));
        assert!(rows(&response(&world, at(309))).is_empty());
        assert_eq!(rows(&response(&world, at(310))).len(), 1);
    }

    #[test]
    fn rows_are_final_when_the_delay_after_the_end_has_passed() {
        let mut world = world_with_joins();
        world.end_session_at(&default_call_cid("c"), at(110));
        let early = response(&world, at(169));
        assert_eq!(rows(&early), [("a1", &json!(at(100))), ("b1", &json!(null))]);
        let last = response(&world, at(170));
        assert_eq!(rows(&last), [("a1", &json!(at(100))), ("b1", &json!(at(110)))]);
        assert_eq!(last["total_participant_duration"], json!(180));
    }

    #[test]
    fn rows_of_an_ended_session_are_final_with_its_report() {
        let mut world = world_with_joins();
        world.end_call(&default_call_cid("c"), at(110)).expect("ended");
        let unset = json!(null);
        assert_eq!(rows(&response(&world, at(111))), [("a1", &unset), ("b1", &unset)]);
        world.publish_report(CALL, at(111));
        let last = response(&world, at(111));
        assert_eq!(rows(&last), [("a1", &json!(at(100))), ("b1", &json!(at(110)))]);
    }

    #[test]
    fn report_on_a_live_session_takes_effect_at_its_end() {
        let mut world = world_with_joins();
        world.set_report(CALL, CallReport::default(), at(101));
        let unset = json!(null);
        assert_eq!(rows(&response(&world, at(101))), [("a1", &unset), ("b1", &unset)]);
        world.end_call(&default_call_cid("c"), at(110)).expect("ended");
        let last = response(&world, at(110));
        assert_eq!(rows(&last), [("a1", &json!(at(100))), ("b1", &json!(at(110)))]);
    }

    #[test]
    fn every_join_has_a_row_in_the_order_of_the_joins() {
        let mut world = world_with_joins();
        world.join_as(CALL, "alice", "a1", at(120)).expect("a join");
        world.join_as(CALL, "carol", "c1", at(5)).expect("a join");
        let response = response(&world, at(200));
        let unset = json!(null);
        assert_eq!(
            rows(&response),
            [("c1", &unset), ("a1", &json!(at(100))), ("b1", &unset), ("a1", &unset)]
        );
        assert_eq!(response["participants_sessions"][0]["roles"], json!(["user"]));
        assert_eq!(response["total_participant_sessions"], json!(4));
    }

    #[test]
    fn duration_is_rounded_unless_it_is_fractional() {
        let mut world = world_with_joins();
        world.leave(CALL, Some("b1"), at(110).plus(Duration::from_millis(500)));
        let durations = |world: &World| {
            let response = response(world, at(200));
            let rows = &response["participants_sessions"];
            let durations = [&rows[0], &rows[1]].map(|row| row["duration_in_seconds"].clone());
            (durations, response["total_participant_duration"].clone())
        };
        assert_eq!(durations(&world), ([json!(90), json!(91)], json!(181)));
        world.set_participant_session_faults(ParticipantSessionFaults {
            fractional_duration: true,
            ..ParticipantSessionFaults::default()
        });
        assert_eq!(durations(&world), ([json!(90.0), json!(90.5)], json!(181)));
    }

    #[test]
    fn fields_and_rows_can_be_omitted() {
        let mut world = world_with_joins();
        let none = ParticipantSessionFaults::default();
        for (faults, field) in [
            (ParticipantSessionFaults { omit_joined_at: true, ..none }, "joined_at"),
            (ParticipantSessionFaults { omit_left_at: true, ..none }, "left_at"),
            (ParticipantSessionFaults { omit_duration: true, ..none }, "duration_in_seconds"),
        ] {
            world.set_participant_session_faults(faults);
            let row = response(&world, at(200))["participants_sessions"][0].clone();
            for name in ["joined_at", "left_at", "duration_in_seconds"] {
                assert_eq!(row.get(name).is_none(), name == field, "{field}: {row}");
            }
        }
        world.set_participant_session_faults(ParticipantSessionFaults { omit_rows: true, ..none });
        let response = response(&world, at(200));
        assert!(rows(&response).is_empty());
        assert_eq!(response["total_participant_sessions"], json!(2));
        assert_eq!(response["total_participant_duration"], json!(90));
    }

    #[test]
    fn rows_are_paginated() {
        let mut world = world_with_joins();
        let page = |limit, next: &Value| StatsPage {
            limit: Some(limit),
            next: next.as_str().map(str::to_owned),
        };
        let ids = |response: &Value| -> Vec<String> {
            rows(response).into_iter().map(|(id, _)| id.to_owned()).collect()
        };
        for (limit, page_size) in [(1, None), (100, Some(1)), (1, Some(0)), (1, Some(50))] {
            world.set_participant_session_faults(ParticipantSessionFaults {
                page_size,
                ..ParticipantSessionFaults::default()
            });
            let first = query(&world, &page(limit, &json!(null)), at(200)).expect("a page");
            assert_eq!(ids(&first), ["a1"]);
            assert_eq!(first["total_participant_sessions"], json!(2));
            let second = query(&world, &page(limit, &first["next"]), at(200)).expect("a page");
            assert_eq!(ids(&second), ["b1"]);
            assert_eq!(second.get("next"), None);
            for invalid in [0, 101] {
                let outcome = query(&world, &page(invalid, &json!(null)), at(200));
                let (status, code, _) = expect_error(outcome);
                assert_eq!((status, code), (400, 4), "{invalid}");
            }
        }
        let invalid_cursor = query(&world, &page(1, &json!("x")), at(200));
        assert_eq!(expect_error(invalid_cursor).0, 400);
    }
}
