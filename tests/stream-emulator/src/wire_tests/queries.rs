//! Channels and calls, asked for by what they are.

use super::*;

#[tokio::test]
async fn channels_are_queried() {
    let (emulator, clock) = emulator_and_clock().await;
    for id in ["a", "b", "c"] {
        create_channel(&emulator, id).await;
        pass(&clock, 1);
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
    let answer = post(&emulator, "chat/channels", &query).await;
    assert_eq!(status(&answer), 201);
    let answer = json_body(&answer);
    let ids: Vec<&Value> = answer["channels"]
        .as_array()
        .expect("channels")
        .iter()
        .map(|channel| &channel["channel"]["id"])
        .collect();
    assert_eq!(ids, [&json!("b"), &json!("c")]);
    assert_eq!(answer["channels"][0]["channel"]["custom"], json!({ "call_id": "b" }));
    assert_eq!(answer["channels"][0]["messages"], json!([]));
    let refused = post(&emulator, "chat/channels", &json!({ "limit": 31 })).await;
    assert_eq!((status(&refused), code(&refused)), (400, json!(4)));
}

#[tokio::test]
async fn calls_are_queried_page_by_page() {
    let (emulator, clock) = emulator_and_clock().await;
    for id in ["z", "y", "x", "w"] {
        create_call(&emulator, id).await;
        pass(&clock, 1);
    }
    post(&emulator, "video/call/default/y/mark_ended", &json!({})).await;
    let mut found = Vec::new();
    let mut next = Value::Null;
    loop {
        let query = json!({
            "filter_conditions": { "ended_at": { "$exists": false } },
            "sort": [{ "field": "created_at", "direction": 1 }],
            "limit": 2,
            "next": next,
        });
        let answer = json_body(&post(&emulator, "video/calls", &query).await);
        for call in answer["calls"].as_array().expect("calls") {
            assert_eq!(call["call"]["created_by"]["id"], json!("alice"));
            found.push(call["call"]["id"].clone());
        }
        next = answer["next"].clone();
        if next.is_null() {
            break;
        }
    }
    assert_eq!(found, ["z", "x", "w"]);
}
