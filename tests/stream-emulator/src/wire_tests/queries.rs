//! `QueryChannels` and `QueryCalls`.

use super::*;

#[tokio::test]
async fn query_channels_filters_sorts_and_limits() {
    let (emulator, clock) = emulator_and_clock().await;
    for id in ["a", "b", "c"] {
        create_channel(&emulator, id).await;
        advance(&clock, 1);
    }
    let query = json!({
        "filter_conditions": {
            "type": "messaging",
            "call_id": { "$exists": true },
            "created_at": { "$gte": "2026-01-01T00:00:01Z" },
        },
        "sort": [{ "field": "created_at", "direction": 1 }],
        "limit": 30,
        "state": false,
    });
    let response = post(&emulator, "chat/channels", &query).await;
    assert_eq!(status(&response), 201);
    let response = json_body(&response);
    let ids: Vec<&Value> = response["channels"]
        .as_array()
        .expect("channels")
        .iter()
        .map(|channel| &channel["channel"]["id"])
        .collect();
    assert_eq!(ids, [&json!("b"), &json!("c")]);
    assert_eq!(response["channels"][0]["channel"]["custom"], json!({ "call_id": "b" }));
    assert_eq!(response["channels"][0]["messages"], json!([]));
    let rejected = post(&emulator, "chat/channels", &json!({ "limit": 31 })).await;
    assert_eq!((status(&rejected), error_code(&rejected)), (400, json!(4)));
}

#[tokio::test]
async fn query_calls_continues_with_a_cursor() {
    let (emulator, clock) = emulator_and_clock().await;
    for id in ["z", "y", "x", "w"] {
        create_call(&emulator, id).await;
        advance(&clock, 1);
    }
    post(&emulator, "video/call/default/y/mark_ended", &json!({})).await;
    let mut ids = Vec::new();
    let mut next = Value::Null;
    loop {
        let query = json!({
            "filter_conditions": { "ended_at": { "$exists": false } },
            "sort": [{ "field": "created_at", "direction": 1 }],
            "limit": 2,
            "next": next,
        });
        let response = json_body(&post(&emulator, "video/calls", &query).await);
        for call in response["calls"].as_array().expect("calls") {
            assert_eq!(call["call"]["created_by"]["id"], json!("alice"));
            ids.push(call["call"]["id"].clone());
        }
        next = response["next"].clone();
        if next.is_null() {
            break;
        }
    }
    assert_eq!(ids, ["z", "x", "w"]);
}
