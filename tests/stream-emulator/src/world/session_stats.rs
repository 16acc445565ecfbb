//! The statistics of call sessions: one entry for each session that has started, with or without a
//! report.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::cid::Cid;
use super::pagination::CursorQuery;
use super::session::{Join, Session};
use super::{ApiResult, World, stats, strip_nulls};
use crate::timestamp::Timestamp;

/// The members of an entry that only filters use.
const FILTER_ONLY: [&str; 2] = ["call_cid", "is_active"];

impl World {
    pub(crate) fn query_call_session_stats(
        &self,
        request: &CursorQuery,
        now: Timestamp,
    ) -> ApiResult {
        let entries = self.calls.values().flat_map(|call| {
            let started = call.sessions.iter().filter(|session| session.started_at.is_some());
            started.map(move |session| session.stats_entry(&call.cid, now))
        });
        let (mut entries, next) = request.page(entries.collect(), 1)?;
        for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
            entry.retain(|name, _| !FILTER_ONLY.contains(&name.as_str()));
        }
        Ok(strip_nulls(json!({ "call_stats": entries, "next": next })))
    }
}

impl Session {
    fn stats_entry(&self, cid: &Cid, now: Timestamp) -> Value {
        let (counts, generated_at) = match &self.stored_report {
            Some(stored) => (stats::counts(&stored.report), stored.received_at),
            None => (self.attendance_counts(), now),
        };
        strip_nulls(json!({
            "call_cid": cid,
            "call_type": cid.kind,
            "call_id": cid.id,
            "call_session_id": self.id,
            "is_active": self.ended_at.is_none(),
            "generated_at": generated_at,
            "call_started_at": self.started_at,
            "call_ended_at": self.ended_at,
            "counts": counts,
        }))
    }

    /// The counts of a session without a report. Joins have no tracks, so every participant counts
    /// as a publisher.
    fn attendance_counts(&self) -> Value {
        let users: BTreeSet<&str> = self.joins.iter().map(|join| join.user_id.as_str()).collect();
        let peak_users = peak_concurrent(&self.joins, |join| join.user_id.as_str());
        let peak_sessions = peak_concurrent(&self.joins, |join| {
            (join.user_id.as_str(), join.user_session_id.as_str())
        });
        json!({
            "participants": users.len(),
            "sessions": self.joins.len(),
            "live_sessions": self.present_users().len(),
            "publishers": users.len(),
            "peak_concurrent_users": peak_users,
            "peak_concurrent_sessions": peak_sessions,
            "sfus_used": usize::from(!self.joins.is_empty()),
        })
    }
}

impl Join {
    fn is_present_at(&self, at: Timestamp) -> bool {
        self.joined_at <= at && self.left_at.is_none_or(|left_at| at <= left_at)
    }
}

/// The maximum number of different keys of the joins that are present at one instant.
fn peak_concurrent<'a, K: Ord>(joins: &'a [Join], key: impl Fn(&'a Join) -> K) -> usize {
    let counts = joins.iter().map(|join| {
        let present = joins.iter().filter(|other| other.is_present_at(join.joined_at));
        present.map(&key).collect::<BTreeSet<K>>().len()
    });
    counts.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, default_call_cid, expect_error, from_json, world_with_users};
    use super::*;
    use crate::views::CallReport;

    /// The calls `c` and `d`. The first session of `c` lasts from 10 s to 40 s, its second one is
    /// live since 50 s. The session of `d` has not started.
    fn world_with_sessions() -> World {
        let mut world = world_with_users(&["alice", "bob"]);
        for id in ["c", "d"] {
            let request = json!({ "data": { "created_by_id": "alice" } });
            world
                .get_or_create_call(&default_call_cid(id), from_json(request), at(0))
                .expect("a call");
        }
        world.join_as("default:c", "alice", "phone", at(10)).expect("a join");
        world.join_as("default:c", "alice", "tablet", at(20)).expect("a join");
        world.leave("default:c", None, at(30));
        world.join_as("default:c", "bob", "b1", at(31)).expect("a join");
        world.end_session_at(&default_call_cid("c"), at(40));
        world.join_as("default:c", "bob", "b2", at(50)).expect("a join");
        world.reject("default:d", "bob", at(50));
        world
    }

    fn query(world: &World, request: Value) -> Value {
        world.query_call_session_stats(&from_json(request), at(60)).expect("a page")
    }

    #[test]
    fn every_started_session_has_an_entry() {
        let world = world_with_sessions();
        let response = query(&world, json!({}));
        let entries = response["call_stats"].as_array().expect("entries");
        assert_eq!(entries.len(), 2);
        let first_id = entries[0]["call_session_id"].clone();
        assert_eq!(
            entries[0],
            json!({
                "call_type": "default",
                "call_id": "c",
                "call_session_id": first_id,
                "generated_at": at(60),
                "call_started_at": at(10),
                "call_ended_at": at(40),
                "counts": {
                    "participants": 2,
                    "sessions": 3,
                    "live_sessions": 0,
                    "publishers": 2,
                    "peak_concurrent_users": 1,
                    "peak_concurrent_sessions": 2,
                    "sfus_used": 1,
                },
            })
        );
        let view = world.call_view("default:c").expect("the call");
        assert_eq!(entries[1]["call_session_id"], json!(view.session_id));
        assert_eq!(entries[1]["call_started_at"], json!(at(50)));
        assert_eq!(entries[1].get("call_ended_at"), None);
        assert_eq!(entries[1]["counts"]["live_sessions"], json!(1));
        assert_eq!(response.get("next"), None);
    }

    #[test]
    fn entries_are_filtered_by_call() {
        let mut world = world_with_sessions();
        world.join("default:d", "alice", at(55)).expect("a join");
        for (filter, count) in [
            (json!("default:c"), 2),
            (json!({ "$eq": "default:c" }), 2),
            (json!({ "$in": ["default:d", "default:x"] }), 1),
            (json!({ "$in": ["default:c", "default:d"] }), 3),
            (json!("default:x"), 0),
        ] {
            let response = query(&world, json!({ "filter_conditions": { "call_cid": filter } }));
            let entries = response["call_stats"].as_array().map(Vec::len);
            assert_eq!(entries, Some(count), "{filter}");
        }
        let active = json!({ "filter_conditions": { "call_cid": "default:c", "is_active": true } });
        assert_eq!(query(&world, active)["call_stats"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn entries_are_paginated() {
        let world = world_with_sessions();
        let first = query(&world, json!({ "limit": 1 }));
        assert_eq!(first["call_stats"][0]["call_started_at"], json!(at(10)));
        let second = query(&world, json!({ "limit": 1, "next": first["next"] }));
        assert_eq!(second["call_stats"][0]["call_started_at"], json!(at(50)));
        assert_eq!(second.get("next"), None);
        let invalid = from_json(json!({ "limit": 101 }));
        assert_eq!(expect_error(world.query_call_session_stats(&invalid, at(60))).0, 400);
    }

    #[test]
    fn entry_has_the_counts_of_the_report() {
        let mut world = world_with_sessions();
        world.end_session_at(&default_call_cid("c"), at(56));
        let report = CallReport { score: Some(80), ..CallReport::default() };
        world.set_report("default:c", report, at(57));
        let response = query(&world, json!({}));
        let entry = &response["call_stats"][1];
        assert_eq!(entry["generated_at"], json!(at(57)));
        assert_eq!(entry["counts"]["cq_score"], json!(80));
    }

    #[test]
    fn rejoin_at_the_same_instant_is_one_concurrent_session() {
        let mut world = world_with_sessions();
        world.join_as("default:c", "bob", "b2", at(52)).expect("a join");
        let counts = query(&world, json!({}))["call_stats"][1]["counts"].clone();
        assert_eq!(counts["sessions"], json!(2));
        assert_eq!(counts["live_sessions"], json!(1));
        assert_eq!(counts["peak_concurrent_sessions"], json!(1));
        world.join_as("default:c", "alice", "phone", at(53)).expect("a join");
        let counts = query(&world, json!({}))["call_stats"][1]["counts"].clone();
        assert_eq!(counts["peak_concurrent_users"], json!(2));
        assert_eq!(counts["peak_concurrent_sessions"], json!(2));
    }
}
