//! The stores' contract, on a DynamoDB of its own: the embedded one, or the one that
//! `STORE_TEST_ENDPOINT` names (CI names AWS's DynamoDB Local).

use aws_sdk_dynamodb::config::Credentials;
use local::{Backends, Options, Stack, StreamChoice};
use serde_json::json;
use shared::calls::dynamo::DynamoCalls;
use shared::calls::{
    Activated, Begun, CallState, CallStore, CallType, EndReason, EndRequest, Ending, NewCall,
    TakenOver, Withdrawn,
};
use shared::clock::Timestamp;
use shared::config::StoreConfig;
use shared::dynamo::Table;
use shared::ids::{CallId, UserId};
use shared::users::dynamo::DynamoUsers;
use shared::users::{ProfileChange, Synced, UserStore};

/// A table, and what keeps it alive.
struct Tables {
    calls: DynamoCalls,
    users: DynamoUsers,
    config: StoreConfig,
    _backends: Option<Backends>,
}

async fn tables() -> Tables {
    let (endpoint, table, backends) = if let Ok(endpoint) = std::env::var("STORE_TEST_ENDPOINT") {
        let table = local::dynamo::create_table_at(&endpoint).await.unwrap();
        (endpoint, table, None)
    } else {
        let options = Options { stream: StreamChoice::Unconfigured, ..Options::default() };
        let backends = Stack::backends(options).await.unwrap();
        let front = backends.dynamo();
        (front.url().to_owned(), front.table().to_owned(), Some(backends))
    };
    let config = StoreConfig { table, region: local::REGION.to_owned(), endpoint: Some(endpoint) };
    let credentials = Credentials::new("local", "local", None, None, "test");
    let table = Table::with_credentials(&config, shared::net::client().unwrap(), credentials);
    Tables {
        calls: DynamoCalls::new(table.clone()),
        users: DynamoUsers::new(table),
        config,
        _backends: backends,
    }
}

fn user(name: &str) -> UserId {
    UserId::try_from(name.to_owned()).unwrap()
}

fn id() -> CallId {
    CallId::try_from("c1".to_owned()).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(1_767_225_600 + seconds)
}

fn new(attempt: &str) -> NewCall {
    NewCall {
        id: id(),
        owner: user("alice"),
        members: vec![user("alice"), user("bob")],
        call_type: CallType::Voice,
        fingerprint: "f".to_owned(),
        attempt: attempt.to_owned(),
        at: at(0),
    }
}

async fn end(calls: &DynamoCalls, who: Option<&str>) -> Ending {
    let reason = EndReason::default();
    let by = who.map(user);
    let request = EndRequest { id: &id(), by: by.as_ref(), reason: &reason, at: at(9) };
    calls.end(request).await.unwrap()
}

#[tokio::test]
async fn a_call_goes_through_its_states() {
    let Tables { calls, _backends, .. } = tables().await;
    assert_eq!(calls.get(&id()).await.unwrap(), None);
    assert_eq!(calls.begin(&new("a")).await.unwrap(), Begun::Started);
    let begun = calls.get(&id()).await.unwrap().unwrap();
    assert_eq!((begun.state, begun.created_at), (CallState::Creating, at(0)));
    let Activated::Now(active) = calls.activate(&new("a"), at(1)).await.unwrap() else { panic!() };
    assert_eq!((active.state, active.active_at), (CallState::Active, Some(at(1))));
    let Ending::Now(ending) = end(&calls, Some("bob")).await else { panic!() };
    assert_eq!((ending.state, ending.ending_at), (CallState::Ending, Some(at(9))));
    let ended = calls.finish(&id(), at(10)).await.unwrap().unwrap();
    assert_eq!((ended.state, ended.ended_at), (CallState::Ended, Some(at(10))));
    assert_eq!(ended.duration(), Some(std::time::Duration::from_secs(8)));
    // Doing it again changes nothing.
    assert_eq!(calls.finish(&id(), at(99)).await.unwrap(), Some(ended.clone()));
    assert_eq!(calls.get(&id()).await.unwrap(), Some(ended));
}

#[tokio::test]
async fn what_stands_there_decides() {
    let Tables { calls, _backends, .. } = tables().await;
    assert_eq!(calls.begin(&new("a")).await.unwrap(), Begun::Started);
    let first = calls.get(&id()).await.unwrap().unwrap();
    // The same attempt again is the first one's answer, lost on the way.
    assert_eq!(calls.begin(&new("a")).await.unwrap(), Begun::Started);
    assert_eq!(calls.begin(&new("b")).await.unwrap(), Begun::Exists(first));
    let Activated::Now(active) = calls.activate(&new("a"), at(1)).await.unwrap() else { panic!() };
    assert_eq!(calls.activate(&new("b"), at(2)).await.unwrap(), Activated::Was(active.clone()));
    assert_eq!(calls.take_over(&new("b")).await.unwrap(), TakenOver::Moved(active.clone()));
    assert_eq!(calls.withdraw(&id(), "a").await.unwrap(), Withdrawn::Kept);
    assert_eq!(calls.finish(&id(), at(2)).await.unwrap(), None);
    assert_eq!(calls.get(&id()).await.unwrap(), Some(active));
}

#[tokio::test]
async fn only_the_attempt_in_hand_withdraws() {
    let Tables { calls, _backends, .. } = tables().await;
    assert_eq!(calls.take_over(&new("b")).await.unwrap(), TakenOver::Gone);
    calls.begin(&new("a")).await.unwrap();
    let other = NewCall { fingerprint: "g".to_owned(), ..new("b") };
    assert!(matches!(calls.take_over(&other).await.unwrap(), TakenOver::Moved(_)));
    assert_eq!(calls.take_over(&new("b")).await.unwrap(), TakenOver::Taken);
    assert_eq!(calls.get(&id()).await.unwrap().unwrap().attempt, "b");
    assert_eq!(calls.withdraw(&id(), "a").await.unwrap(), Withdrawn::Kept);
    assert_eq!(calls.withdraw(&id(), "b").await.unwrap(), Withdrawn::Removed);
    assert_eq!(calls.withdraw(&id(), "b").await.unwrap(), Withdrawn::Removed);
    assert_eq!(calls.activate(&new("b"), at(1)).await.unwrap(), Activated::Missing);
    assert_eq!(calls.begin(&new("c")).await.unwrap(), Begun::Started);
}

#[tokio::test]
async fn a_call_is_its_members_to_end() {
    let Tables { calls, _backends, .. } = tables().await;
    assert_eq!(end(&calls, Some("alice")).await, Ending::Missing);
    calls.begin(&new("a")).await.unwrap();
    let Ending::Was(seen) = end(&calls, Some("mallory")).await else { panic!() };
    assert_eq!(seen.state, CallState::Creating);
    let Ending::Now(ending) = end(&calls, None).await else { panic!() };
    assert_eq!(end(&calls, Some("alice")).await, Ending::Was(ending));
    assert!(matches!(calls.activate(&new("a"), at(1)).await.unwrap(), Activated::Was(_)));
}

/// What the sweeper will need: a place in the index `due` for as long as there is something left
/// to do, and a time to be forgotten.
#[tokio::test]
async fn an_item_says_when_to_look_at_it() {
    let Tables { calls, config, _backends, .. } = tables().await;
    let seen = async |attributes: [&str; 3]| {
        let key = json!({"pk": {"S": "CALL#c1"}, "sk": {"S": "CALL"}});
        let get = json!({"TableName": config.table, "Key": key, "ConsistentRead": true});
        let endpoint = config.endpoint.as_deref().unwrap();
        let item = local::dynamo::call(endpoint, "GetItem", &get).await.unwrap();
        attributes.map(|name| {
            let value = &item["Item"][name];
            value["N"].as_str().or(value["S"].as_str()).map(str::to_owned)
        })
    };
    let number = |at: Timestamp| Some(at.as_millis().to_string());
    calls.begin(&new("a")).await.unwrap();
    let [lease, due, shard] = seen(["leaseUntil", "dueAt", "dueShard"]).await;
    assert_eq!((lease, due), (number(at(60)), number(at(60))));
    assert!(shard.unwrap().starts_with("DUE#"));
    // Whoever takes a call over has a full lease of its own.
    let later = NewCall { at: at(20), ..new("b") };
    assert_eq!(calls.take_over(&later).await.unwrap(), TakenOver::Taken);
    assert_eq!(seen(["leaseUntil", "dueAt", "ttl"]).await, [number(at(80)), number(at(80)), None]);
    calls.activate(&new("b"), at(1)).await.unwrap();
    assert_eq!(seen(["leaseUntil", "dueAt", "ttl"]).await, [None, number(at(301)), None]);
    end(&calls, Some("alice")).await;
    assert_eq!(seen(["leaseUntil", "dueAt", "ttl"]).await, [None, number(at(39)), None]);
    calls.finish(&id(), at(10)).await.unwrap();
    let month = Some(at(10 + 30 * 24 * 60 * 60).as_secs().to_string());
    assert_eq!(seen(["leaseUntil", "dueAt", "ttl"]).await, [None, number(at(190)), month]);
}

#[tokio::test]
async fn a_profile_keeps_what_a_change_leaves_out() {
    let Tables { users, _backends, .. } = tables().await;
    let alice = user("alice");
    assert_eq!(users.get(&alice).await.unwrap(), None);
    let name = ProfileChange { name: Some("Alice".to_owned()), ..ProfileChange::default() };
    let first = users.merge(&alice, &name, at(0)).await.unwrap();
    assert_eq!((first.version, first.synced, first.is_known()), (1, 0, false));
    let custom = serde_json::json!({"n": 1.5, "list": [1, null]}).as_object().cloned();
    let custom = ProfileChange { custom, ..ProfileChange::default() };
    let second = users.merge(&alice, &custom, at(1)).await.unwrap();
    assert_eq!((second.version, second.profile.name.as_deref()), (2, Some("Alice")));
    assert_eq!(second.profile.custom, custom.custom);
    // Who was overtaken learns of the newest.
    assert_eq!(users.confirm(&alice, 1).await.unwrap(), Synced::Overtaken(second));
    assert_eq!(users.confirm(&alice, 2).await.unwrap(), Synced::Confirmed);
    assert!(users.get(&alice).await.unwrap().unwrap().is_known());
}

#[tokio::test]
async fn who_was_never_confirmed_is_unknown() {
    let Tables { users, _backends, .. } = tables().await;
    let change = ProfileChange::default();
    let mut crowd: Vec<_> = (0..100).map(|n| user(&format!("u{n:02}"))).collect();
    for id in &crowd[..98] {
        users.merge(id, &change, at(0)).await.unwrap();
    }
    for id in &crowd[..97] {
        users.confirm(id, 1).await.unwrap();
    }
    assert_eq!(users.unknown(&crowd).await.unwrap(), crowd.split_off(97));
}

#[tokio::test]
async fn what_is_filled_in_replaces_nothing() {
    let Tables { users, _backends, .. } = tables().await;
    let alice = user("alice");
    let named = |name: &str| ProfileChange { name: Some(name.to_owned()), ..Default::default() };
    users.merge(&alice, &named("Alice"), at(0)).await.unwrap();
    let role = serde_json::from_value(json!("admin")).unwrap();
    let known = ProfileChange { language: Some("en".to_owned()), role, ..named("Old") };
    let filled = users.fill(&alice, &known, at(1)).await.unwrap();
    let profile = filled.profile;
    assert_eq!((profile.name.as_deref(), profile.language.as_deref()), (Some("Alice"), Some("en")));
    assert_eq!((profile.role.as_str(), filled.version), ("admin", 2));
}
