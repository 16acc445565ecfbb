//! The recording of calls: only whether a call is recorded.

use serde_json::json;

use super::cid::Cid;
use super::validation::require;
use super::{ApiResult, World};
use crate::timestamp::Timestamp;

impl World {
    pub(crate) fn start_recording(&mut self, cid: &Cid, now: Timestamp) -> ApiResult {
        let call = self.find_call_mut(cid)?;
        require(!call.is_recording, "the call is already recorded")?;
        call.is_recording = true;
        self.emit_call("call.recording_started", cid, now, json!({}));
        Ok(json!({}))
    }

    pub(crate) fn stop_recording(&mut self, cid: &Cid, now: Timestamp) -> ApiResult {
        let call = self.find_call_mut(cid)?;
        require(call.is_recording, "the call is not recorded")?;
        call.is_recording = false;
        self.emit_call("call.recording_stopped", cid, now, json!({}));
        Ok(json!({}))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        at, default_call_cid, event_types, expect_error, from_json, world_with_users,
    };
    use super::*;

    #[test]
    fn recording_starts_and_stops_once() {
        let mut world = world_with_users(&["alice"]);
        let cid = default_call_cid("c");
        assert_eq!(expect_error(world.start_recording(&cid, at(1))).1, 16);
        let create = from_json(json!({ "data": { "created_by_id": "alice" } }));
        world.get_or_create_call(&cid, create, at(1)).expect("a call");
        world.take_events();
        world.start_recording(&cid, at(2)).expect("started");
        assert_eq!(expect_error(world.start_recording(&cid, at(3))).1, 4);
        let call = world.get_call(&cid, None).expect("the call");
        assert_eq!(call["call"]["recording"], json!(true));
        world.stop_recording(&cid, at(4)).expect("stopped");
        assert_eq!(expect_error(world.stop_recording(&cid, at(5))).1, 4);
        let types = event_types(&world.take_events());
        assert_eq!(types, ["call.recording_started", "call.recording_stopped"]);
    }
}
