//! Rate limits, and requests that the clock delays.

use super::*;
use crate::{Fault, Operation, Rule};

#[tokio::test]
async fn the_61st_deletion_in_a_minute_is_refused() {
    let (emulator, clock) = emulator_and_clock().await;
    create_channel(&emulator, "c").await;
    let delete = async |id: &str| {
        let path = format!("/api/v2/chat/channels/messaging/{id}?api_key=testkey123");
        ask(&emulator, &format!("DELETE {path}"), &json!({})).await
    };
    for left in (0..60).rev() {
        let answer = delete("unheard-of").await;
        assert_eq!((status(&answer), code(&answer)), (404, json!(16)));
        assert_eq!(header(&answer, "x-ratelimit-remaining"), Some(left.to_string().as_str()));
    }
    let answer = delete("c").await;
    assert_eq!((status(&answer), code(&answer)), (429, json!(9)));
    assert_eq!(header(&answer, "x-ratelimit-limit"), Some("60"));
    assert_eq!(header(&answer, "x-ratelimit-remaining"), Some("0"));
    assert_eq!(header(&answer, "x-ratelimit-reset"), Some("1767225660"));
    assert_eq!(header(&answer, "retry-after"), None);
    assert_eq!(emulator.live_channels(), ["messaging:c"]);
    assert_eq!(emulator.counts().get(Operation::DeleteChannel), 61);
    assert_eq!(emulator.most_in_a_minute(Operation::DeleteChannel), 61);
    pass(&clock, 60);
    assert_eq!(status(&delete("c").await), 200);
    assert!(emulator.live_channels().is_empty());
    assert_eq!(emulator.most_in_a_minute(Operation::DeleteChannel), 61);
}

#[tokio::test]
async fn a_batch_has_a_limit_of_its_own() {
    let emulator = emulator().await;
    for id in ["a", "b"] {
        create_channel(&emulator, id).await;
    }
    let delete =
        async |cids: Value| post(&emulator, "chat/channels/delete", &json!({ "cids": cids })).await;
    let unknown = delete(json!(["messaging:a", "messaging:x"])).await;
    assert_eq!((status(&unknown), code(&unknown)), (404, json!(16)));
    assert_eq!(emulator.live_channels().len(), 2);
    assert_eq!(status(&delete(json!(["messaging:a", "messaging:b"])).await), 201);
    assert!(emulator.live_channels().is_empty());
    assert_eq!(emulator.most_in_a_minute(Operation::DeleteChannels), 2);
    assert_eq!(emulator.most_in_a_minute(Operation::DeleteChannel), 0);
}

#[tokio::test]
async fn a_request_takes_effect_when_the_clock_says_so() {
    let (emulator, clock) = emulator_and_clock().await;
    create_call(&emulator, "c").await;
    let late = Fault::AppliedLateByClock(Duration::from_mins(1));
    emulator.script(Rule::on(Operation::EndCall, late).once());
    let end = post(&emulator, "video/call/default/c/mark_ended", &json!({})).await;
    assert_eq!(end, "");
    pass(&clock, 59);
    assert_eq!(emulator.live_calls(), ["default:c"]);
    pass(&clock, 41);
    assert!(emulator.live_calls().is_empty());
    let call = emulator.call("default:c").expect("the call");
    assert_eq!(call.ended_at, Some(nanos(60)));
    assert_eq!(emulator.counts().get(Operation::EndCall), 1);
}

#[tokio::test]
async fn what_the_clock_delays_is_forgotten_with_the_emulator() {
    let (emulator, clock) = emulator_and_clock().await;
    create_call(&emulator, "c").await;
    let late = Fault::AppliedLateByClock(Duration::from_mins(1));
    emulator.script(Rule::on(Operation::EndCall, late).once());
    post(&emulator, "video/call/default/c/mark_ended", &json!({})).await;
    emulator.stop().await;
    pass(&clock, 61);
    assert_eq!(emulator.live_calls(), ["default:c"]);
}
