//! What happens to calls by themselves: a session that everybody left ends after the inactivity
//! timeout, and a call that goes on for longer than it may ends altogether. Both happen at their
//! own instant, however late it is noticed.

use std::time::Duration;

use serde_json::Value;

use super::World;
use super::call::Call;
use super::cid::Cid;
use crate::moment::Moment;

/// What is due. A call that ends takes its session along, so it goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    CallEnds,
    SessionEnds,
}

impl Call {
    fn due(&self) -> Option<(Moment, Due)> {
        if self.ended_at.is_some() {
            return None;
        }
        let started_at = self.sessions.iter().find_map(|session| session.started_at);
        let call_ends = started_at.and_then(|start| {
            let most = seconds(&self.settings["limits"]["max_duration_seconds"])?;
            Some((start.later(most), Due::CallEnds))
        });
        let empty_since = self.current_session().and_then(|session| session.empty_since);
        let session_ends = empty_since.and_then(|since| {
            let patience = seconds(&self.settings["session"]["inactivity_timeout_seconds"])?;
            Some((since.later(patience), Due::SessionEnds))
        });
        call_ends.into_iter().chain(session_ends).min()
    }
}

/// A setting in seconds; none at all is no limit.
fn seconds(setting: &Value) -> Option<Duration> {
    setting.as_u64().filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

impl World {
    /// When something happens by itself next.
    pub(crate) fn due(&self) -> Option<Moment> {
        self.first_due().map(|(at, ..)| at)
    }

    /// Lets that happen.
    pub(crate) fn come_due(&mut self) {
        let Some((at, what, cid)) = self.first_due() else { return };
        let cid = cid.clone();
        match what {
            Due::CallEnds => self.finish_call(&cid, at),
            Due::SessionEnds => self.finish_session(&cid, at),
        }
    }

    fn first_due(&self) -> Option<(Moment, Due, &Cid)> {
        let due = self.calls.values().filter_map(|call| {
            let (at, what) = call.due()?;
            Some((at, what, &call.cid))
        });
        due.min()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{at, default_call, read, told, world};
    use super::*;

    /// A call that may last a minute, and whose sessions wait ten seconds for somebody.
    fn called(ids: &[&str]) -> World {
        let mut world = world(&["alice", "bob"]);
        for id in ids {
            let settings = json!({
                "limits": { "max_duration_seconds": 60 },
                "session": { "inactivity_timeout_seconds": 10 },
            });
            let data = json!({ "created_by_id": "alice", "settings_override": settings });
            let ask = read(json!({ "data": data }));
            world.get_or_create_call(&default_call(id), ask, at(0)).expect("a call");
        }
        world.take_events();
        world
    }

    fn pass(world: &mut World, now: Moment) -> Vec<String> {
        while world.due().is_some_and(|due| due <= now) {
            world.come_due();
        }
        told(&world.take_events())
    }

    #[test]
    fn nothing_happens_to_a_call_that_nobody_joined() {
        let mut world = called(&["c"]);
        assert_eq!(world.due(), None);
        world.reject("default:c", "bob", at(1));
        assert_eq!(world.due(), None);
    }

    #[test]
    fn a_session_ends_a_while_after_the_last_one_left_it() {
        let mut world = called(&["c"]);
        world.join("default:c", "alice", at(1)).expect("a join");
        world.join("default:c", "bob", at(2)).expect("a join");
        world.leave("default:c", None, at(5));
        world.take_events();
        assert!(pass(&mut world, at(14)).is_empty());
        assert_eq!(pass(&mut world, at(40)), ["call.session_ended"]);
        let call = world.get_call(&default_call("c"), None).expect("the call")["call"].clone();
        assert_eq!(call["session"]["ended_at"], json!(at(15)));
        assert_eq!(call.get("ended_at"), None);
        let first = call["session"]["id"].clone();
        world.join("default:c", "bob", at(41)).expect("a join");
        let call = world.get_call(&default_call("c"), None).expect("the call")["call"].clone();
        assert_ne!(call["session"]["id"], first);
    }

    #[test]
    fn who_comes_back_in_time_keeps_the_session() {
        let mut world = called(&["c"]);
        let alice = world.join("default:c", "alice", at(1)).expect("a join");
        world.leave("default:c", Some(&alice), at(2));
        world.join("default:c", "alice", at(11)).expect("a join");
        world.take_events();
        assert!(pass(&mut world, at(59)).is_empty());
    }

    #[test]
    fn a_call_ends_when_it_has_lasted_too_long_also_over_several_sessions() {
        let mut world = called(&["c"]);
        world.join("default:c", "alice", at(1)).expect("a join");
        world.leave("default:c", None, at(2));
        pass(&mut world, at(30));
        world.join("default:c", "alice", at(50)).expect("a join");
        world.take_events();
        assert!(pass(&mut world, at(60)).is_empty());
        assert_eq!(pass(&mut world, at(99)), ["call.ended", "call.session_ended"]);
        let call = world.call_view("default:c").expect("the call");
        assert_eq!(call.ended_at, Some(at(61).nanos()));
        assert_eq!(call.session_ended_at, Some(at(61).nanos()));
        assert_eq!(world.due(), None);
    }

    #[test]
    fn what_is_due_first_happens_first() {
        let mut world = called(&["a", "b"]);
        world.join("default:a", "alice", at(1)).expect("a join");
        world.join("default:b", "alice", at(1)).expect("a join");
        world.leave("default:a", None, at(20));
        world.leave("default:b", None, at(10));
        world.take_events();
        while world.due().is_some_and(|due| due <= at(40)) {
            world.come_due();
        }
        let events = world.take_events();
        let cids: Vec<&Value> = events.iter().map(|event| &event["call_cid"]).collect();
        assert_eq!(cids, [&json!("default:b"), &json!("default:a")]);
        assert_eq!(world.due(), Some(at(61)));
    }

    #[test]
    fn a_limit_of_nothing_is_none() {
        let mut world = called(&["c"]);
        let settings = json!({ "limits": { "max_duration_seconds": 0 } });
        let ask = read(json!({ "settings_override": settings }));
        world.update_call(&default_call("c"), ask, at(0)).expect("updated");
        world.join("default:c", "alice", at(1)).expect("a join");
        assert_eq!(world.due(), None);
    }
}
