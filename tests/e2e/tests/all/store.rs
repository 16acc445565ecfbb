//! The stores' contract, on a DynamoDB of its own: the embedded one, or the one that
//! `STORE_TEST_ENDPOINT` names (CI names AWS's DynamoDB Local).

use std::collections::BTreeSet;

use aws_sdk_dynamodb::config::Credentials;
use futures_util::future::join_all;
use local::{Backends, Options, Stack, StreamChoice};
use serde_json::{Value, json};
use shared::calls::dynamo::DynamoCalls;
use shared::calls::sweep::{DueCall, DuePlace, DueStore, Shard};
use shared::calls::{
    Activated, Begun, CallState, CallStore, CallType, EndReason, EndRequest, Ending, Mark, Marked,
    MemberSet, NewCall, Seen, TakenOver, Withdrawn,
};
use shared::clock::Timestamp;
use shared::config::StoreConfig;
use shared::dynamo::Table;
use shared::ids::{BatchId, CallId, SessionId, UserId};
use shared::limits::dynamo::DynamoLimits;
use shared::limits::{LimitStore, Quota, Route, Window};
use shared::quality::dynamo::DynamoEvidence;
use shared::quality::{Batch, Evidence, EvidenceStore, Kept, KeptRating, Platform, Samples, Slot};
use shared::stream::event::{Rating, Report};
use shared::users::dynamo::DynamoUsers;
use shared::users::{Counted, ProfileChange, Synced, UserStatus, UserStore};

/// A table, and what keeps it alive.
struct Tables {
    calls: DynamoCalls,
    users: DynamoUsers,
    evidence: DynamoEvidence,
    table: Table,
    config: StoreConfig,
    _backends: Option<Backends>,
}

impl Tables {
    /// An item as it is stored; `null` where there is none.
    async fn item(&self, partition: &str, sort: &str) -> Value {
        let key = json!({"pk": {"S": partition}, "sk": {"S": sort}});
        let get = json!({"TableName": self.config.table, "Key": key, "ConsistentRead": true});
        let endpoint = self.config.endpoint.as_deref().unwrap();
        let found = local::dynamo::call(endpoint, "GetItem", &get).await.unwrap();
        found["Item"].clone()
    }
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
        users: DynamoUsers::new(table.clone()),
        evidence: DynamoEvidence::new(table.clone()),
        table,
        config,
        _backends: backends,
    }
}

fn user(name: &str) -> UserId {
    UserId::try_from(name.to_owned()).unwrap()
}

fn call(name: &str) -> CallId {
    CallId::try_from(name.to_owned()).unwrap()
}

fn id() -> CallId {
    call("c1")
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
        parallel: false,
        attempt: attempt.to_owned(),
        at: at(0),
    }
}

fn members() -> MemberSet {
    MemberSet::of(&new("a").members)
}

/// Activates the call at second 1, to be looked at by second 121.
async fn activate(calls: &DynamoCalls, attempt: &str) -> Activated {
    calls.activate(&new(attempt), at(1), at(121)).await.unwrap()
}

/// Ends the call at second 9.
async fn end(calls: &DynamoCalls, who: Option<&str>) -> Ending {
    let (id, by, reason) = (id(), who.map(user), EndReason::default());
    let request = EndRequest { by: by.as_ref(), ..EndRequest::now(&id, &reason, at(9)) };
    calls.end(request).await.unwrap()
}

/// Ends the call at second 9, if it is as it was seen.
async fn end_as_seen(calls: &DynamoCalls, seen: Seen<'_>) -> Ending {
    let (id, reason) = (id(), EndReason::default());
    let request = EndRequest { unless_moved: Some(seen), ..EndRequest::now(&id, &reason, at(9)) };
    calls.end(request).await.unwrap()
}

/// The call as a sweeper sees it.
async fn load(calls: &DynamoCalls) -> Option<DueCall> {
    calls.load(&[id()]).await.unwrap().pop()
}

/// When the call is due, and how often something was tried in vain.
async fn due(calls: &DynamoCalls) -> Option<(Option<Timestamp>, u32)> {
    load(calls).await.map(|found| (found.due_at, found.tries))
}

#[tokio::test]
async fn a_call_goes_through_its_states() {
    let Tables { calls, _backends, .. } = tables().await;
    assert_eq!(calls.get(&id()).await.unwrap(), None);
    let parallel = NewCall { parallel: true, ..new("a") };
    assert_eq!(calls.begin(&parallel).await.unwrap(), Begun::Started);
    let begun = calls.get(&id()).await.unwrap().unwrap();
    assert_eq!((begun.state, begun.created_at), (CallState::Creating, at(0)));
    assert_eq!((begun.lease_until, begun.parallel), (Some(at(30)), true));
    let Activated::Now(active) = activate(&calls, "a").await else { panic!() };
    assert_eq!((active.state, active.active_at), (CallState::Active, Some(at(1))));
    assert_eq!((active.lease_until, active.parallel), (None, true));
    let Ending::Now(ending) = end(&calls, Some("bob")).await else { panic!() };
    assert_eq!((ending.state, ending.ending_at), (CallState::Ending, Some(at(9))));
    assert_eq!(ending.end_reason, Some(EndReason::default()));
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
    let Activated::Now(active) = activate(&calls, "a").await else { panic!() };
    assert_eq!(activate(&calls, "b").await, Activated::Was(active.clone()));
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
    assert_eq!(activate(&calls, "b").await, Activated::Missing);
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
    assert!(matches!(activate(&calls, "a").await, Activated::Was(_)));
}

#[tokio::test]
async fn an_end_can_hang_on_when_the_call_was_due() {
    let Tables { calls, _backends, .. } = tables().await;
    assert_eq!(end_as_seen(&calls, Seen::Due(at(30))).await, Ending::Missing);
    calls.begin(&new("a")).await.unwrap();
    activate(&calls, "a").await;
    // It was seen before it became active.
    let Ending::Was(active) = end_as_seen(&calls, Seen::Due(at(30))).await else { panic!() };
    assert_eq!((active.state, active.ending_at), (CallState::Active, None));
    let Ending::Now(ending) = end_as_seen(&calls, Seen::Due(at(121))).await else { panic!() };
    assert_eq!((ending.state, ending.ending_at), (CallState::Ending, Some(at(9))));
    // What is over is not ended again, wherever it stands.
    assert_eq!(end_as_seen(&calls, Seen::Due(at(39))).await, Ending::Was(ending));
}

#[tokio::test]
async fn an_end_can_hang_on_the_attempt_in_hand() {
    let Tables { calls, _backends, .. } = tables().await;
    assert_eq!(end_as_seen(&calls, Seen::Attempt("a")).await, Ending::Missing);
    calls.begin(&new("a")).await.unwrap();
    calls.take_over(&new("b")).await.unwrap();
    let Ending::Was(seen) = end_as_seen(&calls, Seen::Attempt("a")).await else { panic!() };
    assert_eq!((seen.state, seen.attempt.as_str()), (CallState::Creating, "b"));
    let Ending::Now(ending) = end_as_seen(&calls, Seen::Attempt("b")).await else { panic!() };
    assert_eq!(ending.state, CallState::Ending);
}

#[tokio::test]
async fn an_end_is_due_when_it_is_told_to_be() {
    let Tables { calls, _backends, .. } = tables().await;
    calls.begin(&new("a")).await.unwrap();
    let (id, reason) = (id(), EndReason::from(EndReason::AT_STREAM));
    let request = EndRequest { at: at(3), due: at(20), ..EndRequest::now(&id, &reason, at(9)) };
    let Ending::Now(ending) = calls.end(request).await.unwrap() else { panic!() };
    assert_eq!((ending.ending_at, ending.end_reason), (Some(at(3)), Some(reason)));
    assert_eq!(due(&calls).await, Some((Some(at(20)), 0)));
}

/// What the sweeper needs: a place in the index `due` for as long as there is something left to
/// do, and a time to be forgotten.
#[tokio::test]
async fn an_item_says_when_to_look_at_it() {
    let tables = tables().await;
    let calls = &tables.calls;
    let seen = async |attributes: [&str; 3]| {
        let item = tables.item("CALL#c1", "CALL").await;
        attributes.map(|name| {
            let value = &item[name];
            value["N"].as_str().or(value["S"].as_str()).map(str::to_owned)
        })
    };
    let number = |at: Timestamp| Some(at.as_millis().to_string());
    calls.begin(&new("a")).await.unwrap();
    let [lease, due, shard] = seen(["leaseUntil", "dueAt", "dueShard"]).await;
    assert_eq!((lease, due), (number(at(30)), number(at(30))));
    assert_eq!(shard, Some(format!("DUE#{}", Shard::of(&id()).number())));
    // Whoever takes a call over has a full lease of its own.
    let later = NewCall { at: at(20), ..new("b") };
    assert_eq!(calls.take_over(&later).await.unwrap(), TakenOver::Taken);
    assert_eq!(seen(["leaseUntil", "dueAt", "ttl"]).await, [number(at(50)), number(at(50)), None]);
    activate(calls, "b").await;
    assert_eq!(seen(["leaseUntil", "dueAt", "ttl"]).await, [None, number(at(121)), None]);
    end(calls, Some("alice")).await;
    assert_eq!(seen(["leaseUntil", "dueAt", "ttl"]).await, [None, number(at(39)), None]);
    calls.finish(&id(), at(10)).await.unwrap();
    let month = Some(at(10 + 30 * 24 * 60 * 60).as_secs().to_string());
    assert_eq!(seen(["leaseUntil", "dueAt", "ttl"]).await, [None, number(at(190)), month]);
}

#[tokio::test]
async fn the_earliest_start_stands() {
    let Tables { calls, _backends, .. } = tables().await;
    calls.started(&id(), at(5)).await.unwrap();
    assert_eq!(calls.get(&id()).await.unwrap(), None);
    calls.begin(&new("a")).await.unwrap();
    for (told, stands) in [(5, 5), (7, 5), (5, 5), (3, 3), (4, 3)] {
        calls.started(&id(), at(told)).await.unwrap();
        let found = calls.get(&id()).await.unwrap().unwrap();
        assert_eq!((found.started_at, found.state), (Some(at(stands)), CallState::Creating));
    }
    assert_eq!(due(&calls).await, Some((Some(at(30)), 0)));
}

#[tokio::test]
async fn only_an_active_calls_look_is_brought_forward() {
    let Tables { calls, _backends, .. } = tables().await;
    calls.look_by(&id(), at(20)).await.unwrap();
    assert_eq!(load(&calls).await, None);
    calls.begin(&new("a")).await.unwrap();
    calls.look_by(&id(), at(20)).await.unwrap();
    assert_eq!(due(&calls).await, Some((Some(at(30)), 0)));
    activate(&calls, "a").await;
    for (by, stands) in [(200, 121), (60, 60), (121, 60), (60, 60)] {
        calls.look_by(&id(), at(by)).await.unwrap();
        assert_eq!(due(&calls).await, Some((Some(at(stands)), 0)));
    }
    end(&calls, None).await;
    calls.look_by(&id(), at(20)).await.unwrap();
    assert_eq!(due(&calls).await, Some((Some(at(39)), 0)));
    calls.finish(&id(), at(10)).await.unwrap();
    calls.look_by(&id(), at(20)).await.unwrap();
    assert_eq!(due(&calls).await, Some((Some(at(190)), 0)));
}

#[tokio::test]
async fn one_call_of_the_same_members_is_marked() {
    let tables = tables().await;
    let calls = &tables.calls;
    let mark =
        async |new: &NewCall, at: Timestamp| calls.mark(&members(), new, at, None).await.unwrap();
    let other = NewCall { id: call("c2"), ..new("c") };
    assert_eq!(mark(&new("a"), at(0)).await, Marked::Ours { alone: true });
    assert_eq!(mark(&other, at(1)).await, Marked::Theirs(Mark { call: id(), at: at(0) }));
    // Another attempt at the same call, or its own first one, whose answer was lost.
    assert_eq!(mark(&new("b"), at(2)).await, Marked::Ours { alone: false });
    assert_eq!(mark(&other, at(3)).await, Marked::Theirs(Mark { call: id(), at: at(2) }));
    // Other members have a mark of their own.
    let others = MemberSet::of(&[user("alice"), user("carol")]);
    let marked = calls.mark(&others, &other, at(4), None).await.unwrap();
    assert_eq!(marked, Marked::Ours { alone: true });
    let item = tables.item(&format!("MEMBERS#{}", members().as_str()), "OPEN").await;
    let three_days = at(2 + 3 * 24 * 60 * 60).as_secs().to_string();
    assert_eq!((&item["attempt"]["S"], &item["ttl"]["N"]), (&json!("b"), &json!(three_days)));
}

#[tokio::test]
async fn the_mark_of_a_call_that_is_over_is_taken_as_it_was_found() {
    let Tables { calls, _backends, .. } = tables().await;
    let members = members();
    calls.mark(&members, &new("a"), at(0), None).await.unwrap();
    let found = Mark { call: id(), at: at(0) };
    let other = NewCall { id: call("c2"), ..new("b") };
    // It has been set again meanwhile.
    calls.mark(&members, &new("a"), at(1), None).await.unwrap();
    let newer = Mark { call: id(), at: at(1) };
    let marked = calls.mark(&members, &other, at(2), Some(&found)).await.unwrap();
    assert_eq!(marked, Marked::Theirs(newer.clone()));
    let marked = calls.mark(&members, &other, at(2), Some(&newer)).await.unwrap();
    assert_eq!(marked, Marked::Ours { alone: true });
    // Whoever comes second with the same finding finds another mark.
    let third = NewCall { id: call("c3"), ..new("c") };
    let marked = calls.mark(&members, &third, at(2), Some(&newer)).await.unwrap();
    assert_eq!(marked, Marked::Theirs(Mark { call: call("c2"), at: at(2) }));
    // Where there is none any more, nothing is in the way.
    calls.unmark(&members, &call("c2"), None).await.unwrap();
    let marked = calls.mark(&members, &third, at(3), Some(&newer)).await.unwrap();
    assert_eq!(marked, Marked::Ours { alone: true });
}

#[tokio::test]
async fn a_mark_is_only_taken_off_its_own_call() {
    let Tables { calls, _backends, .. } = tables().await;
    let members = members();
    let other = NewCall { id: call("c2"), ..new("c") };
    // There is none to take off yet.
    calls.unmark(&members, &id(), None).await.unwrap();
    calls.mark(&members, &new("a"), at(0), None).await.unwrap();
    calls.mark(&members, &new("b"), at(1), None).await.unwrap();
    // Neither another call's end, nor an attempt that another has marked after.
    calls.unmark(&members, &call("c2"), None).await.unwrap();
    calls.unmark(&members, &call("c2"), Some("b")).await.unwrap();
    calls.unmark(&members, &id(), Some("a")).await.unwrap();
    let marked = calls.mark(&members, &other, at(2), None).await.unwrap();
    assert_eq!(marked, Marked::Theirs(Mark { call: id(), at: at(1) }));
    calls.unmark(&members, &id(), Some("b")).await.unwrap();
    let marked = calls.mark(&members, &other, at(2), None).await.unwrap();
    assert_eq!(marked, Marked::Ours { alone: true });
    // A call that is over takes it off whoever has set it.
    calls.unmark(&members, &call("c2"), None).await.unwrap();
    let marked = calls.mark(&members, &new("a"), at(3), None).await.unwrap();
    assert_eq!(marked, Marked::Ours { alone: true });
}

#[tokio::test]
async fn a_minute_has_thirty_single_deletions() {
    let tables = tables().await;
    for n in 0..30 {
        assert!(tables.calls.take_deletion(at(n)).await.unwrap(), "deletion {n}");
    }
    assert!(!tables.calls.take_deletion(at(30)).await.unwrap());
    // It is the table that counts: an instance that has heard of none finds none left either.
    let another = DynamoCalls::new(tables.table.clone());
    assert!(!another.take_deletion(at(59)).await.unwrap());
    for calls in [&another, &tables.calls] {
        assert!(calls.take_deletion(at(60)).await.unwrap());
        assert!(!calls.take_deletion(at(31)).await.unwrap());
    }
    let minute = at(0).as_secs() / 60;
    let item = tables.item("LIMIT#delete-channel", &minute.to_string()).await;
    let forgotten = at(600).as_secs().to_string();
    assert_eq!((&item["used"]["N"], &item["ttl"]["N"]), (&json!("30"), &json!(forgotten)));
    let next = tables.item("LIMIT#delete-channel", &(minute + 1).to_string()).await;
    assert_eq!(next["used"]["N"], "2");
}

#[tokio::test]
async fn a_user_has_so_many_requests_a_minute() {
    let tables = tables().await;
    let limits = DynamoLimits::new(tables.table.clone());
    let count = async |name: &str, route: Route, second: i64, most: u32| {
        limits.count(route, &user(name), Window::of(at(second)), most).await.unwrap()
    };
    for n in 1..=3 {
        assert_eq!(count("a@b", Route::Token, i64::from(n), 3).await, Some(n));
    }
    let stored = async |partition: &str, minute: i64| {
        let item = tables.item(partition, &(at(0).as_secs() / 60 + minute).to_string()).await;
        ["count", "ttl"].map(|name| item[name]["N"].as_str().map(str::to_owned))
    };
    let item =
        |count: &str, ttl: i64| [Some(count.to_owned()), Some(at(ttl).as_secs().to_string())];
    assert_eq!(stored("LIMIT#token#a@b", 0).await, item("3", 180));
    // One more is refused, by whomever it is counted, and changes nothing.
    for second in [4, 59] {
        assert_eq!(count("a@b", Route::Token, second, 3).await, None);
    }
    assert_eq!(stored("LIMIT#token#a@b", 0).await, item("3", 180));
    // Neither another user nor another route has anything to do with it.
    assert_eq!(count("bob", Route::Token, 59, 3).await, Some(1));
    assert_eq!(count("a@b", Route::MessageSend, 59, 3).await, Some(1));
    assert_eq!(stored("LIMIT#message-send#a@b", 0).await, item("1", 180));
    // The next minute begins anew; and the one before is not forgotten by that.
    assert_eq!(count("a@b", Route::Token, 60, 3).await, Some(1));
    assert_eq!(stored("LIMIT#token#a@b", 1).await, item("1", 240));
    assert_eq!(count("a@b", Route::Token, 59, 3).await, None);
    // A higher limit holds at once, and so does a lower one.
    assert_eq!(count("a@b", Route::Token, 59, 4).await, Some(4));
    assert_eq!(count("a@b", Route::Token, 59, 2).await, None);
}

#[tokio::test]
async fn of_many_at_once_no_more_are_counted_than_there_may_be() {
    let tables = tables().await;
    let limits = DynamoLimits::new(tables.table.clone());
    let (alice, window) = (user("alice"), Window::of(at(0)));
    let counts = (0..20).map(|_| limits.count(Route::CallCreate, &alice, window, 5));
    let counted = join_all(counts).await.into_iter().filter_map(Result::unwrap);
    assert_eq!(counted.collect::<BTreeSet<_>>(), BTreeSet::from([1, 2, 3, 4, 5]));
}

/// Different calls that are in one shard of the index.
fn of_one_shard(count: usize) -> (Shard, Vec<CallId>) {
    let shard = Shard::of(&id());
    let ids = (0..).map(|n| call(&format!("d{n}")));
    (shard, ids.filter(|id| Shard::of(id) == shard).take(count).collect())
}

/// Everything that is due at second 33, page by page, and how much each page had.
async fn pages(calls: &DynamoCalls, shard: Shard, most: u16) -> (Vec<DuePlace>, Vec<usize>) {
    let (mut places, mut sizes) = (Vec::<DuePlace>::new(), Vec::new());
    loop {
        let page = calls.due(shard, at(33), places.last(), most).await.unwrap();
        sizes.push(page.places.len());
        places.extend(page.places);
        if !page.more {
            return (places, sizes);
        }
    }
}

#[tokio::test]
async fn what_is_due_comes_in_pages_the_oldest_first() {
    let Tables { calls, _backends, .. } = tables().await;
    let (shard, ids) = of_one_shard(6);
    // Their leases run out in the seconds 30 to 35; the last one is begun first.
    let mut begun: Vec<(&CallId, i64)> = ids.iter().zip(0..).collect();
    let place = |(id, second): &(&CallId, i64)| {
        let id = CallId::clone(id);
        DuePlace { due_at: at(30 + second), id }
    };
    let places: Vec<_> = begun.iter().map(place).collect();
    begun.reverse();
    for (id, second) in begun {
        let new = NewCall { id: id.clone(), at: at(second), ..new("a") };
        calls.begin(&new).await.unwrap();
    }
    assert!(calls.due(shard, at(29), None, 100).await.unwrap().places.is_empty());
    let all = calls.due(shard, at(33), None, 100).await.unwrap();
    assert_eq!((all.places, all.more), (places[..4].to_vec(), false));
    let first = calls.due(shard, at(33), None, 3).await.unwrap();
    assert_eq!((first.places, first.more), (places[..3].to_vec(), true));
    let (found, sizes) = pages(&calls, shard, 3).await;
    assert_eq!((found.as_slice(), sizes), (&places[..4], vec![3, 1]));
    let behind = calls.due(shard, at(33), Some(&places[1]), 100).await.unwrap();
    assert_eq!(behind.places, places[2..4]);
    // A place that nothing is at any more still says where to go on.
    calls.withdraw(&ids[1], "a").await.unwrap();
    let behind = calls.due(shard, at(33), Some(&places[1]), 1).await.unwrap();
    assert_eq!((behind.places, behind.more), (vec![places[2].clone()], true));
}

#[tokio::test]
async fn what_is_due_at_the_same_time_is_all_on_some_page() {
    let Tables { calls, _backends, .. } = tables().await;
    let (shard, ids) = of_one_shard(5);
    for id in &ids {
        calls.begin(&NewCall { id: id.clone(), ..new("a") }).await.unwrap();
    }
    let (found, sizes) = pages(&calls, shard, 2).await;
    assert!(found.iter().all(|place| place.due_at == at(30)), "{found:?}");
    assert_eq!((found.len(), sizes), (5, vec![2, 2, 1]));
    let found: BTreeSet<_> = found.into_iter().map(|place| place.id).collect();
    assert_eq!(found, ids.into_iter().collect::<BTreeSet<_>>());
}

#[tokio::test]
async fn a_shard_has_its_own_calls_alone() {
    let Tables { calls, _backends, .. } = tables().await;
    let ids: Vec<_> = (0..9).map(|n| call(&format!("d{n}"))).collect();
    for id in &ids {
        calls.begin(&NewCall { id: id.clone(), ..new("a") }).await.unwrap();
    }
    // Marks, users and the like are in no shard.
    calls.mark(&members(), &new("a"), at(0), None).await.unwrap();
    let mut found = BTreeSet::new();
    for shard in Shard::all() {
        for place in calls.due(shard, at(99), None, 100).await.unwrap().places {
            assert_eq!(Shard::of(&place.id), shard);
            assert!(found.insert(place.id));
        }
    }
    assert_eq!(found, ids.into_iter().collect::<BTreeSet<_>>());
}

#[tokio::test]
async fn what_does_not_exist_is_left_out() {
    let Tables { calls, _backends, .. } = tables().await;
    let ids: Vec<_> = (0..100).map(|n| call(&format!("c{n}"))).collect();
    assert!(calls.load(&ids).await.unwrap().is_empty());
    calls.begin(&new("a")).await.unwrap();
    let begun = calls.get(&id()).await.unwrap().unwrap();
    let begun = DueCall { call: begun, due_at: Some(at(30)), tries: 0 };
    assert_eq!(calls.load(&ids).await.unwrap(), [begun]);
}

#[tokio::test]
async fn a_call_is_put_off_from_where_it_was_seen() {
    let Tables { calls, _backends, .. } = tables().await;
    calls.put_off(&id(), at(30), at(60), 1).await.unwrap();
    assert_eq!(load(&calls).await, None);
    calls.begin(&new("a")).await.unwrap();
    calls.put_off(&id(), at(29), at(60), 1).await.unwrap();
    assert_eq!(due(&calls).await, Some((Some(at(30)), 0)));
    calls.put_off(&id(), at(30), at(60), 1).await.unwrap();
    assert_eq!(due(&calls).await, Some((Some(at(60)), 1)));
    // Another sweep has seen the same.
    calls.put_off(&id(), at(30), at(90), 1).await.unwrap();
    assert_eq!(due(&calls).await, Some((Some(at(60)), 1)));
    // Each step begins to count anew.
    activate(&calls, "a").await;
    assert_eq!(due(&calls).await, Some((Some(at(121)), 0)));
    calls.put_off(&id(), at(121), at(150), 2).await.unwrap();
    end(&calls, None).await;
    assert_eq!(due(&calls).await, Some((Some(at(39)), 0)));
    calls.put_off(&id(), at(39), at(70), 3).await.unwrap();
    assert_eq!(due(&calls).await, Some((Some(at(70)), 3)));
    calls.finish(&id(), at(10)).await.unwrap();
    assert_eq!(due(&calls).await, Some((Some(at(190)), 0)));
}

#[tokio::test]
async fn only_an_ended_call_comes_to_rest() {
    let Tables { calls, _backends, .. } = tables().await;
    let shard = Shard::of(&id());
    calls.rest(&id(), at(30)).await.unwrap();
    assert_eq!(load(&calls).await, None);
    calls.begin(&new("a")).await.unwrap();
    calls.rest(&id(), at(30)).await.unwrap();
    activate(&calls, "a").await;
    calls.rest(&id(), at(121)).await.unwrap();
    end(&calls, None).await;
    calls.rest(&id(), at(39)).await.unwrap();
    assert_eq!(due(&calls).await, Some((Some(at(39)), 0)));
    let ended = calls.finish(&id(), at(10)).await.unwrap();
    // Nor one that was put off meanwhile.
    calls.put_off(&id(), at(190), at(370), 1).await.unwrap();
    calls.rest(&id(), at(190)).await.unwrap();
    assert_eq!(due(&calls).await, Some((Some(at(370)), 1)));
    assert!(calls.rest(&id(), at(370)).await.unwrap());
    assert_eq!(due(&calls).await, Some((None, 0)));
    assert!(calls.due(shard, at(999), None, 100).await.unwrap().places.is_empty());
    // It stays there, and out of the index.
    assert!(!calls.rest(&id(), at(370)).await.unwrap());
    calls.put_off(&id(), at(370), at(400), 1).await.unwrap();
    calls.look_by(&id(), at(20)).await.unwrap();
    calls.look_now(&id(), at(20)).await.unwrap();
    assert_eq!(due(&calls).await, Some((None, 0)));
    assert_eq!(calls.get(&id()).await.unwrap(), ended);
}

#[tokio::test]
async fn news_of_a_call_that_is_being_looked_at_is_not_lost() {
    let Tables { calls, _backends, .. } = tables().await;
    calls.begin(&new("a")).await.unwrap();
    activate(&calls, "a").await;
    // It has been due since 121; a sweep has it in hand, and then it is news.
    calls.look_now(&id(), at(130)).await.unwrap();
    calls.put_off(&id(), at(121), at(361), 0).await.unwrap();
    assert_eq!(due(&calls).await, Some((Some(at(130)), 0)));
}

#[tokio::test]
async fn the_last_bookmark_stands() {
    let Tables { calls, _backends, .. } = tables().await;
    assert_eq!(calls.bookmark().await.unwrap(), None);
    for place in ["{}", "{\"next\":\"abc\"}"] {
        calls.set_bookmark(place).await.unwrap();
        assert_eq!(calls.bookmark().await.unwrap().as_deref(), Some(place));
    }
}

#[tokio::test]
async fn a_profile_keeps_what_a_change_leaves_out() {
    let Tables { users, _backends, .. } = tables().await;
    let alice = user("alice");
    assert_eq!(users.get(&alice).await.unwrap(), None);
    let name = ProfileChange { name: Some("Alice".to_owned()), ..ProfileChange::default() };
    let first = users.merge(&alice, &name, at(0)).await.unwrap();
    assert_eq!((first.version, first.synced, first.is_known()), (1, 0, false));
    let custom = json!({"n": 1.5, "list": [1, null]}).as_object().cloned();
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

#[tokio::test]
async fn the_newest_status_of_a_known_user_stands() {
    let Tables { users, _backends, .. } = tables().await;
    let alice = user("alice");
    users.set_status(&alice, UserStatus::Deactivated, at(0)).await.unwrap();
    assert_eq!(users.get(&alice).await.unwrap(), None);
    let first = users.merge(&alice, &ProfileChange::default(), at(0)).await.unwrap();
    assert_eq!(first.status, UserStatus::Active);
    for (status, told, stands) in [
        (UserStatus::Deactivated, 5, UserStatus::Deactivated),
        (UserStatus::Active, 4, UserStatus::Deactivated),
        (UserStatus::Active, 5, UserStatus::Deactivated),
        (UserStatus::Active, 6, UserStatus::Active),
        (UserStatus::Deleted, 7, UserStatus::Deleted),
        (UserStatus::Deactivated, 6, UserStatus::Deleted),
    ] {
        users.set_status(&alice, status, at(told)).await.unwrap();
        let found = users.get(&alice).await.unwrap().unwrap();
        assert_eq!((found.status, found.version), (stands, 1), "{status:?} at {told}");
    }
    let second = users.merge(&alice, &ProfileChange::default(), at(8)).await.unwrap();
    // Of a deleted user nothing is remembered anew.
    assert_eq!((second.status, second.version), (UserStatus::Deleted, 1));
}

#[tokio::test]
async fn a_user_is_read_and_counted_at_once() {
    let tables = tables().await;
    let alice = user("alice");
    let quota = |minute: i64| {
        let window = Window::of(Timestamp::from_secs(minute * 60));
        Quota { window, most: 2 }
    };
    let count = async |minute| tables.users.get_counted(&alice, quota(minute)).await.unwrap();
    assert_eq!(count(100).await, Counted::Missing);
    assert_eq!(tables.item("USER#alice", "PROFILE").await, Value::Null);

    let change = ProfileChange { name: Some("Alice".to_owned()), ..ProfileChange::default() };
    let known = tables.users.merge(&alice, &change, Timestamp::from_secs(1)).await.unwrap();
    let within = |count| Counted::Within(known.clone(), count);
    for (minute, expected) in [
        (100, within(1)),
        (100, within(2)),
        (100, Counted::Over),
        (100, Counted::Over),
        // A clock that is behind counts in the minute that has begun.
        (99, Counted::Over),
        (101, within(1)),
        (100, within(2)),
        (101, Counted::Over),
        (102, within(1)),
    ] {
        assert_eq!(count(minute).await, expected, "{minute}");
    }
    // Whoever merges a change meanwhile keeps both.
    let changed = tables.users.merge(&alice, &change, Timestamp::from_secs(2)).await.unwrap();
    assert_eq!(count(102).await, Counted::Within(changed, 2));

    tables.users.set_status(&alice, UserStatus::Deleted, Timestamp::from_secs(3)).await.unwrap();
    let before = tables.item("USER#alice", "PROFILE").await;
    let Counted::Deleted(found) = count(103).await else { panic!("counted") };
    assert_eq!(found.status, UserStatus::Deleted);
    assert_eq!(tables.item("USER#alice", "PROFILE").await, before);
}

#[tokio::test]
async fn who_was_deleted_is_unknown() {
    let Tables { users, _backends, .. } = tables().await;
    let crowd = ["alice", "bob", "carol"].map(user);
    for id in &crowd {
        users.merge(id, &ProfileChange::default(), at(0)).await.unwrap();
        users.confirm(id, 1).await.unwrap();
    }
    users.set_status(&crowd[0], UserStatus::Deactivated, at(1)).await.unwrap();
    users.set_status(&crowd[1], UserStatus::Deleted, at(1)).await.unwrap();
    // Nothing brings a deleted user back.
    users.set_status(&crowd[1], UserStatus::Active, at(9)).await.unwrap();
    assert_eq!(users.unknown(&crowd).await.unwrap(), [user("bob")]);
}

#[tokio::test]
async fn the_newest_report_stands() {
    let tables = tables().await;
    let session = SessionId::try_from("s1".to_owned()).unwrap();
    let texts = async |names: [&str; 2]| {
        let item = tables.item("CALL#c1", "REPORT#s1").await;
        names.map(|name| item[name]["S"].as_str().map(str::to_owned))
    };
    let text = |text: &str| Some(text.to_owned());
    for (figures, told, stands) in [
        (Some("{}"), 5, Some("{}")),
        (Some("[1]"), 4, Some("{}")),
        (None, 4, Some("{}")),
        (Some("[2]"), 5, Some("[2]")),
        (Some("[3]"), 6, Some("[3]")),
        (None, 7, Some("[3]")),
    ] {
        let report = Report { session: session.clone(), figures: figures.map(str::to_owned) };
        tables.evidence.keep_report(&id(), &report, at(told)).await.unwrap();
        assert_eq!(texts(["session", "figures"]).await, [text("s1"), stands.and_then(text)]);
    }
    let item = tables.item("CALL#c1", "REPORT#s1").await;
    let month = at(6 + 30 * 24 * 60 * 60).as_secs().to_string();
    assert_eq!((&item["at"]["N"], &item["ttl"]["N"]), (&json!(millis(at(6))), &json!(month)));
    // It lies beside its call, and is none.
    assert_eq!(tables.calls.get(&id()).await.unwrap(), None);
}

#[tokio::test]
async fn the_newest_rating_of_each_member_stands() {
    let tables = tables().await;
    let session = SessionId::try_from("s1".to_owned()).unwrap();
    let rating = |user: UserId, rating: u8, reason: Option<&str>| Rating {
        session: session.clone(),
        user,
        rating,
        reason: reason.map(str::to_owned),
    };
    for (who, stars, reason, told) in [
        ("alice", 2, Some("echo"), 5),
        ("bob", 5, None, 5),
        ("alice", 3, None, 4),
        ("bob", 4, Some("fine"), 6),
    ] {
        let rating = rating(user(who), stars, reason);
        tables.evidence.keep_rating(&id(), &rating, at(told)).await.unwrap();
    }
    for (who, stars, reason, told) in [("alice", "2", "echo", 5), ("bob", "4", "fine", 6)] {
        let item = tables.item("CALL#c1", &format!("RATING#s1#{who}")).await;
        assert_eq!((&item["rating"]["N"], &item["reason"]["S"]), (&json!(stars), &json!(reason)));
        assert_eq!((&item["userId"]["S"], &item["session"]["S"]), (&json!(who), &json!("s1")));
        assert_eq!(item["at"]["N"], millis(at(told)));
    }
}

/// A batch of one sample.
fn batch(user_id: &str, name: &str, jitter: f64) -> Batch {
    let samples = json!([{"timestamp": at(0).as_millis(), "jitter": jitter}]);
    Batch {
        id: BatchId::try_from(name.to_owned()).unwrap(),
        user: user(user_id),
        platform: Some(Platform::Ios),
        received_at: at(5),
        samples: serde_json::from_value::<Samples>(samples).unwrap().into_vec(),
    }
}

#[tokio::test]
async fn a_batch_has_its_place() {
    let Tables { evidence, _backends, .. } = tables().await;
    let first = batch("alice", "b1", 0.01);
    let slots: Vec<Slot> = Slot::of(&first.id).collect();
    let keep = async |batch: &Batch, slot| evidence.keep_batch(&id(), batch, slot).await.unwrap();
    assert_eq!(keep(&first, slots[0]).await, Kept::New);
    assert_eq!(keep(&first, slots[0]).await, Kept::Before);
    // What was first under an id stands, and nobody else comes into its place.
    assert_eq!(keep(&batch("alice", "b1", 0.05), slots[0]).await, Kept::Before);
    assert_eq!(keep(&batch("alice", "b2", 0.05), slots[0]).await, Kept::Taken);
    assert_eq!(keep(&batch("bob", "b2", 0.05), slots[0]).await, Kept::New);
    assert_eq!(keep(&batch("alice", "b2", 0.02), slots[1]).await, Kept::New);
    let mut found = evidence.evidence(&id()).await.unwrap();
    found.batches.sort_by_key(|batch| (batch.user.clone(), batch.id.as_str().to_owned()));
    let expected = vec![first, batch("alice", "b2", 0.02), batch("bob", "b2", 0.05)];
    assert_eq!(found, Evidence { batches: expected, ..Evidence::default() });
}

#[tokio::test]
async fn all_that_is_kept_with_a_call_is_read_and_nothing_else() {
    let Tables { evidence, calls, _backends, .. } = tables().await;
    calls.begin(&new("a")).await.unwrap();
    let session = |name: &str| SessionId::try_from(name.to_owned()).unwrap();
    for (name, figures, told) in [("s1", None, 9), ("s2", Some("{}".to_owned()), 5)] {
        let report = Report { session: session(name), figures };
        evidence.keep_report(&id(), &report, at(told)).await.unwrap();
    }
    let rating = Rating { session: session("s1"), user: user("bob"), rating: 4, reason: None };
    evidence.keep_rating(&id(), &rating, at(6)).await.unwrap();
    let other = CallId::try_from("c10".to_owned()).unwrap();
    evidence.keep_rating(&other, &rating, at(6)).await.unwrap();
    let found = evidence.evidence(&id()).await.unwrap();
    // The newest last.
    let told: Vec<_> = found.reports.iter().map(|it| (it.session.as_str(), it.at)).collect();
    assert_eq!(told, [("s2", at(5)), ("s1", at(9))]);
    let ratings = vec![KeptRating { user: user("bob"), rating: 4, reason: None }];
    assert_eq!((found.ratings, found.batches.len(), found.cut), (ratings, 0, false));
}

/// A call of a megabyte of samples, of which a page of DynamoDB's holds less.
#[tokio::test]
async fn samples_are_read_to_the_end() {
    let Tables { evidence, _backends, .. } = tables().await;
    let one = json!({
        "timestamp": at(0).as_millis(), "roundTripTime": 0.123_456, "latency": 0.061_234,
        "jitter": 0.012_345, "packetsLost": 123, "packetsReceived": 45_678, "freezeCount": 12,
        "totalFreezesDuration": 1.234, "frameWidth": 1280, "frameHeight": 720,
        "framesPerSecond": 24.5, "bitrate": 1_234_567, "audioLevel": 0.123,
        "concealedSamples": 1_234, "totalSamplesReceived": 240_000,
        "qualityLimitationReason": "bandwidth",
    });
    let samples: Samples = serde_json::from_value(json!(vec![one; 60])).unwrap();
    for number in 0..160 {
        let batch = Batch {
            samples: samples.clone().into_vec(),
            ..batch("alice", &format!("b{number}"), 0.0)
        };
        let mut slots = Slot::of(&batch.id);
        while evidence.keep_batch(&id(), &batch, slots.next().unwrap()).await.unwrap() != Kept::New
        {
        }
    }
    let found = evidence.evidence(&id()).await.unwrap();
    assert_eq!((found.batches.len(), found.cut), (160, false));
}

fn millis(at: Timestamp) -> String {
    at.as_millis().to_string()
}
