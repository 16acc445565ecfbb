//! Rate limits, and requests that are delayed by the emulator's clock.

use super::*;
use crate::{Fault, FaultRule, Operation};

#[tokio::test]
async fn deletion_61_in_a_minute_is_rate_limited() {
    let (emulator, clock) = emulator_and_clock().await;
    create_channel(&emulator, "c").await;
    let delete = async |id: &str| {
        let path = format!("/api/v2/chat/channels/messaging/{id}?api_key=testkey123");
        send_request(&emulator, &format!("DELETE {path}"), &json!({})).await
    };
    for remaining in (0..60).rev() {
        let response = delete("missing").await;
        assert_eq!((status(&response), error_code(&response)), (404, json!(16)));
        assert_eq!(
            header(&response, "x-ratelimit-remaining"),
            Some(remaining.to_string().as_str())
        );
    }
    let response = delete("c").await;
    assert_eq!((status(&response), error_code(&response)), (429, json!(9)));
    assert_eq!(header(&response, "x-ratelimit-limit"), Some("60"));
    assert_eq!(header(&response, "x-ratelimit-remaining"), Some("0"));
    assert_eq!(header(&response, "x-ratelimit-reset"), Some("1767225660"));
    assert_eq!(header(&response, "retry-after"), None);
    assert_eq!(emulator.live_channels(), ["messaging:c"]);
    assert_eq!(emulator.counts().get(Operation::DeleteChannel), 61);
    assert_eq!(emulator.peak_per_minute(Operation::DeleteChannel), 61);
    advance(&clock, 60);
    assert_eq!(status(&delete("c").await), 200);
    assert!(emulator.live_channels().is_empty());
    assert_eq!(emulator.peak_per_minute(Operation::DeleteChannel), 61);
}

#[tokio::test]
async fn batch_deletion_has_its_own_rate_limit() {
    let emulator = emulator().await;
    for id in ["a", "b"] {
        create_channel(&emulator, id).await;
    }
    let delete =
        async |cids: Value| post(&emulator, "chat/channels/delete", &json!({ "cids": cids })).await;
    let unknown = delete(json!(["messaging:a", "messaging:x"])).await;
    assert_eq!((status(&unknown), error_code(&unknown)), (404, json!(16)));
    assert_eq!(emulator.live_channels().len(), 2);
    assert_eq!(status(&delete(json!(["messaging:a", "messaging:b"])).await), 201);
    assert!(emulator.live_channels().is_empty());
    assert_eq!(emulator.peak_per_minute(Operation::DeleteChannels), 2);
    assert_eq!(emulator.peak_per_minute(Operation::DeleteChannel), 0);
}

#[tokio::test]
async fn delayed_request_takes_effect_at_its_clock_time() {
    let (emulator, clock) = emulator_and_clock().await;
    create_call(&emulator, "c").await;
    let delayed = Fault::AppliedLateByClock(Duration::from_mins(1));
    emulator.add_fault(FaultRule::for_operation(Operation::EndCall, delayed).once());
    let end = post(&emulator, "video/call/default/c/mark_ended", &json!({})).await;
    assert_eq!(end, "");
    advance(&clock, 59);
    assert_eq!(emulator.live_calls(), ["default:c"]);
    advance(&clock, 41);
    assert!(emulator.live_calls().is_empty());
    let call = emulator.call("default:c").expect("the call");
    assert_eq!(call.ended_at, Some(nanos_after_start(60)));
    assert_eq!(emulator.counts().get(Operation::EndCall), 1);
}

#[tokio::test]
async fn stop_discards_delayed_requests() {
    let (emulator, clock) = emulator_and_clock().await;
    create_call(&emulator, "c").await;
    let delayed = Fault::AppliedLateByClock(Duration::from_mins(1));
    emulator.add_fault(FaultRule::for_operation(Operation::EndCall, delayed).once());
    post(&emulator, "video/call/default/c/mark_ended", &json!({})).await;
    emulator.stop().await;
    advance(&clock, 61);
    assert_eq!(emulator.live_calls(), ["default:c"]);
}
