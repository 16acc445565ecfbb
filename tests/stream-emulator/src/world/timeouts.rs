//! Timeouts. A session without participants ends after the inactivity timeout, a call ends at its
//! maximum duration after the first join of its current session, a ring is missed after its
//! timeout, and a ban or a mute ends after its own. Each takes effect at its due time, even if it
//! runs later.

use std::time::Duration;

use serde_json::Value;

use super::World;
use super::call::Call;
use super::cid::Cid;
use super::session::Session;
use crate::timestamp::Timestamp;

/// A timeout of a call. `MaxDuration` sorts first: the end of a call also ends its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timeout {
    MaxDuration,
    Inactivity,
    /// Members who have not responded to their ring miss the call.
    Ring,
}

impl Call {
    /// When the call ends by its maximum duration, for a session that has started.
    pub(super) fn timer_ends_at(&self, session: &Session) -> Option<Timestamp> {
        if session.fixed_timer_ends_at.is_some() {
            return session.fixed_timer_ends_at;
        }
        let max_duration = seconds(&self.settings["limits"]["max_duration_seconds"])?;
        Some(session.started_at?.plus(max_duration))
    }

    /// Keeps the timers of the ended sessions, before the maximum duration changes.
    pub(super) fn fix_ended_timers(&mut self) {
        let timers: Vec<_> =
            self.sessions.iter().map(|session| self.timer_ends_at(session)).collect();
        for (session, timer) in self.sessions.iter_mut().zip(timers) {
            if session.ended_at.is_some() {
                session.fixed_timer_ends_at = timer;
            }
        }
    }

    fn next_timeout(&self) -> Option<(Timestamp, Timeout)> {
        if self.ended_at.is_some() {
            return None;
        }
        let timer_ends_at = self.current_session().and_then(|session| self.timer_ends_at(session));
        let max_duration_timeout = timer_ends_at.map(|at| (at, Timeout::MaxDuration));
        let empty_since = self.current_session().and_then(|session| session.empty_since);
        let inactivity_timeout_at = empty_since.and_then(|since| {
            let inactivity_timeout =
                seconds(&self.settings["session"]["inactivity_timeout_seconds"])?;
            Some((since.plus(inactivity_timeout), Timeout::Inactivity))
        });
        let ring_timeout = self.missed_at().map(|at| (at, Timeout::Ring));
        [max_duration_timeout, inactivity_timeout_at, ring_timeout].into_iter().flatten().min()
    }
}

/// A setting in seconds; `None` for zero or a missing setting, which mean no limit.
fn seconds(setting: &Value) -> Option<Duration> {
    setting.as_u64().filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

impl World {
    /// The due time of the next timeout.
    pub(crate) fn next_timeout_at(&self) -> Option<Timestamp> {
        let call_timeout_at = self.earliest_call_timeout().map(|(at, ..)| at);
        let moderation =
            self.next_ban_expiry().into_iter().chain(self.moderation.next_mute_expiry());
        call_timeout_at.into_iter().chain(moderation).min()
    }

    /// Runs the next timeout at its due time.
    pub(crate) fn run_next_timeout(&mut self) {
        let next_timeout_at = self.next_timeout_at();
        if let Some(expiry) = self.next_ban_expiry().filter(|at| Some(*at) == next_timeout_at) {
            self.remove_expired_bans(expiry);
            return;
        }
        if let Some(expiry) =
            self.moderation.next_mute_expiry().filter(|at| Some(*at) == next_timeout_at)
        {
            self.moderation.remove_expired_mutes(expiry);
            return;
        }
        let Some((at, timeout, cid)) = self.earliest_call_timeout() else { return };
        let cid = cid.clone();
        match timeout {
            Timeout::MaxDuration => self.end_call_at(&cid, at, None),
            Timeout::Inactivity => self.end_session_at(&cid, at),
            Timeout::Ring => self.miss_unanswered(&cid, at),
        }
    }

    fn earliest_call_timeout(&self) -> Option<(Timestamp, Timeout, &Cid)> {
        let timeouts = self.calls.values().filter_map(|call| {
            let (at, timeout) = call.next_timeout()?;
            Some((at, timeout, &call.cid))
        });
        timeouts.min()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{at, default_call_cid, event_types, from_json, world_with_users};
    use super::*;

    /// Calls with a maximum duration of 60 s and an inactivity timeout of 10 s.
    fn world_with_calls(ids: &[&str]) -> World {
        let mut world = world_with_users(&["alice", "bob"]);
        for id in ids {
            let settings = json!({
                "limits": { "max_duration_seconds": 60 },
                "session": { "inactivity_timeout_seconds": 10 },
            });
            let data = json!({ "created_by_id": "alice", "settings_override": settings });
            let request = from_json(json!({ "data": data }));
            world.get_or_create_call(&default_call_cid(id), request, at(0)).expect("a call");
        }
        world.take_events();
        world
    }

    fn advance(world: &mut World, now: Timestamp) -> Vec<String> {
        while world.next_timeout_at().is_some_and(|due| due <= now) {
            world.run_next_timeout();
        }
        event_types(&world.take_events())
    }

    #[test]
    fn call_without_joins_has_no_timeout() {
        let mut world = world_with_calls(&["c"]);
        assert_eq!(world.next_timeout_at(), None);
        world.reject("default:c", "bob", at(1));
        assert_eq!(world.next_timeout_at(), None);
    }

    #[test]
    fn empty_session_ends_after_the_inactivity_timeout() {
        let mut world = world_with_calls(&["c"]);
        world.join("default:c", "alice", at(1)).expect("a join");
        world.join("default:c", "bob", at(2)).expect("a join");
        world.leave("default:c", None, at(5));
        world.take_events();
        assert!(advance(&mut world, at(14)).is_empty());
        assert_eq!(advance(&mut world, at(40)), ["call.session_ended"]);
        let call = world.get_call(&default_call_cid("c"), None).expect("the call")["call"].clone();
        assert_eq!(call["session"]["ended_at"], json!(at(15)));
        assert_eq!(call.get("ended_at"), None);
        let first = call["session"]["id"].clone();
        world.join("default:c", "bob", at(41)).expect("a join");
        let call = world.get_call(&default_call_cid("c"), None).expect("the call")["call"].clone();
        assert_ne!(call["session"]["id"], first);
    }

    #[test]
    fn rejoin_before_the_inactivity_timeout_resumes_the_session() {
        let mut world = world_with_calls(&["c"]);
        let alice = world.join("default:c", "alice", at(1)).expect("a join");
        world.leave("default:c", Some(&alice), at(2));
        world.join("default:c", "alice", at(11)).expect("a join");
        world.take_events();
        assert!(advance(&mut world, at(59)).is_empty());
    }

    #[test]
    fn max_duration_runs_from_the_first_join_of_each_session() {
        let mut world = world_with_calls(&["c"]);
        world.join("default:c", "alice", at(1)).expect("a join");
        assert_eq!(timer_ends_at(&world), json!(at(61)));
        world.leave("default:c", None, at(2));
        advance(&mut world, at(30));
        world.join("default:c", "alice", at(50)).expect("a join");
        world.join("default:c", "bob", at(55)).expect("a join");
        assert_eq!(timer_ends_at(&world), json!(at(110)));
        world.take_events();
        assert!(advance(&mut world, at(109)).is_empty());
        assert_eq!(advance(&mut world, at(200)), ["call.ended", "call.session_ended"]);
        let call = world.call_view("default:c").expect("the call");
        assert_eq!(call.ended_at, Some(at(110).as_nanos()));
        assert_eq!(call.session_ended_at, Some(at(110).as_nanos()));
        assert_eq!(world.next_timeout_at(), None);
    }

    #[test]
    fn changed_max_duration_applies_to_the_current_session() {
        let mut world = world_with_calls(&["c"]);
        world.join("default:c", "alice", at(1)).expect("a join");
        let settings = json!({ "limits": { "max_duration_seconds": 90 } });
        let request = from_json(json!({ "settings_override": settings }));
        world.update_call(&default_call_cid("c"), request, at(30)).expect("updated");
        assert_eq!(world.next_timeout_at(), Some(at(91)));
        assert_eq!(timer_ends_at(&world), json!(at(91)));
    }

    fn timer_ends_at(world: &World) -> Value {
        let response = world.get_call(&default_call_cid("c"), None).expect("the call");
        response["call"]["session"]["timer_ends_at"].clone()
    }

    #[test]
    fn timeouts_run_in_order() {
        let mut world = world_with_calls(&["a", "b"]);
        world.join("default:a", "alice", at(1)).expect("a join");
        world.join("default:b", "alice", at(1)).expect("a join");
        world.leave("default:a", None, at(20));
        world.leave("default:b", None, at(10));
        world.take_events();
        while world.next_timeout_at().is_some_and(|due| due <= at(40)) {
            world.run_next_timeout();
        }
        let events = world.take_events();
        let cids: Vec<&Value> = events.iter().map(|event| &event["call_cid"]).collect();
        assert_eq!(cids, [&json!("default:b"), &json!("default:a")]);
        assert_eq!(world.next_timeout_at(), None);
    }

    #[test]
    fn max_duration_of_zero_means_no_limit() {
        let mut world = world_with_calls(&["c"]);
        let settings = json!({ "limits": { "max_duration_seconds": 0 } });
        let request = from_json(json!({ "settings_override": settings }));
        world.update_call(&default_call_cid("c"), request, at(0)).expect("updated");
        world.join("default:c", "alice", at(1)).expect("a join");
        assert_eq!(world.next_timeout_at(), None);
    }
}
