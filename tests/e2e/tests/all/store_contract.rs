//! The contract of the stores, on a separate DynamoDB: the embedded one, or the one of
//! `STORE_TEST_ENDPOINT` (in CI, DynamoDB Local from AWS).

mod history;

use std::collections::BTreeSet;

use aws_sdk_dynamodb::config::Credentials;
use futures_util::future::join_all;
use local::{Backends, Options, Stack, StreamChoice};
use serde_json::{Value, json};
use shared::calls::dynamo::DynamoCallStore;
use shared::calls::outcome::EndedBy;
use shared::calls::presence::{Join, Leave};
use shared::calls::rejects::RejectReason;
use shared::calls::sweep::{DueCall, DueEntry, DueStore, Shard};
use shared::calls::{
    ActivateResult, Alias, BeginResult, Call, CallCleanupStore as _, CallEndStore as _,
    CallEventStore as _, CallExtendStore as _, CallMemberStore as _, CallReader as _, CallState,
    CallStore as _, CallType, ConfirmLimitResult, EndReason, EndRequest, EndResult, ExtendRequest,
    ExtendResult, MemberSet, NewCall, OpenCallPointer, Precondition, PresenceUpdate,
    ReplaceMembersResult, SetOpenCallResult, TakeOverResult, UpdatePresenceResult, WithdrawResult,
};
use shared::clock::Timestamp;
use shared::config::StoreConfig;
use shared::dynamo::Table;
use shared::erasure::ErasureStore;
use shared::erasure::dynamo::DynamoErasureStore;
use shared::ids::{BatchId, CallCid, CallId, CallTypeName, DeviceId, SessionId, UserId};
use shared::quality::dynamo::DynamoQualityStore;
use shared::quality::{
    Batch, BatchStore as _, Platform, QualityDataReader as _, ReportStore as _, Samples, Slot,
    StoreBatchResult, StoredQualityData, StoredRating, SummaryInvalidator as _, SummaryStore as _,
    UserQualityEraser as _,
};
use shared::rate_limiter::dynamo::DynamoRateLimitStore;
use shared::rate_limiter::{Quota, RateLimitStore, Route, Window};
use shared::stream::event::{Rating, StatsReport};
use shared::users::dynamo::DynamoUserStore;
use shared::users::{
    Account, AccountReader as _, AccountWriter as _, Ban, FieldPatch, GetAndCountResult,
    JoinedCall, JoinedCallWriter as _, MemberReader as _, MergeResult, ProfileChange,
    ProfileWriter, PushPurpose, QueuedPush, QueuedPushStore as _, Revocation, RevokeResult,
    SyncResult, User, UserStatus, UserStore as _,
};

/// A table with its stores, and the backends that it runs on.
struct StoreFixture {
    calls: DynamoCallStore,
    users: DynamoUserStore,
    evidence: DynamoQualityStore,
    table: Table,
    config: StoreConfig,
    _backends: Option<Backends>,
}

impl StoreFixture {
    /// A raw item, or `null`.
    async fn get_item(&self, partition: &str, sort: &str) -> Value {
        let key = json!({"pk": {"S": partition}, "sk": {"S": sort}});
        let get = json!({"TableName": self.config.table, "Key": key, "ConsistentRead": true});
        let endpoint = self.config.endpoint.as_deref().unwrap();
        let response = local::dynamo::call(endpoint, "GetItem", &get).await.unwrap();
        response["Item"].clone()
    }

    /// Puts a raw item.
    async fn put_item(&self, item: Value) {
        let put = json!({"TableName": self.config.table, "Item": item});
        let endpoint = self.config.endpoint.as_deref().unwrap();
        local::dynamo::call(endpoint, "PutItem", &put).await.unwrap();
    }
}

async fn start_fixture() -> StoreFixture {
    let (endpoint, table, backends) = if let Ok(endpoint) = std::env::var("STORE_TEST_ENDPOINT") {
        let table = local::dynamo::create_table_at(&endpoint).await.unwrap();
        (endpoint, table, None)
    } else {
        let options = Options { stream: StreamChoice::Unconfigured, ..Options::default() };
        let backends = Stack::start_backends(options).await.unwrap();
        let dynamo = backends.dynamo();
        (dynamo.url().to_owned(), dynamo.table_name().to_owned(), Some(backends))
    };
    let config = StoreConfig { table, region: local::REGION.to_owned(), endpoint: Some(endpoint) };
    let credentials = Credentials::new("local", "local", None, None, "test");
    let table = Table::with_credentials(&config, shared::net::client().unwrap(), credentials);
    StoreFixture {
        calls: DynamoCallStore::new(table.clone()),
        users: DynamoUserStore::new(table.clone()),
        evidence: DynamoQualityStore::new(table.clone()),
        table,
        config,
        _backends: backends,
    }
}

fn user_id(name: &str) -> UserId {
    UserId::try_from(name.to_owned()).unwrap()
}

fn call_id(name: &str) -> CallId {
    CallId::try_from(name.to_owned()).unwrap()
}

fn default_call_id() -> CallId {
    call_id("c1")
}

fn default_cid() -> CallCid {
    default_call_id().with_type(&CallTypeName::default())
}

fn at_second(seconds: i64) -> Timestamp {
    Timestamp::from_secs(1_767_225_600 + seconds)
}

fn new_call(attempt: &str) -> NewCall {
    NewCall {
        stream_call_type: CallTypeName::default(),
        id: default_call_id(),
        owner: user_id("alice"),
        members: vec![user_id("alice"), user_id("bob")],
        call_type: CallType::Voice,
        fingerprint: "f".to_owned(),
        parallel: false,
        ring: false,
        attempt: attempt.to_owned(),
        at: at_second(0),
        max_duration_seconds: None,
    }
}

fn member_set() -> MemberSet {
    MemberSet::new(&new_call("a").members)
}

/// Activates the call at second 1, with a check at second 121.
async fn activate_call(calls: &DynamoCallStore, attempt: &str) -> ActivateResult {
    calls.activate(&new_call(attempt), at_second(1), at_second(121)).await.unwrap()
}

/// Ends the call at second 9.
async fn end_call(calls: &DynamoCallStore, user: Option<&str>) -> EndResult {
    let (id, by, reason) = (default_call_id(), user.map(user_id), EndReason::default());
    let ended_by = by.clone().map_or(EndedBy::Service, |user_id| EndedBy::User { user_id });
    let request = EndRequest {
        member: by.as_ref(),
        ..EndRequest::new(&id, &reason, &ended_by, at_second(9))
    };
    calls.end(request).await.unwrap()
}

/// Ends the call at second 9 with a precondition.
async fn end_with_precondition(
    calls: &DynamoCallStore,
    precondition: Precondition<'_>,
) -> EndResult {
    let (id, reason) = (default_call_id(), EndReason::default());
    let request = EndRequest {
        precondition: Some(precondition),
        ..EndRequest::new(&id, &reason, &EndedBy::System, at_second(9))
    };
    calls.end(request).await.unwrap()
}

/// The call with its place in the due index.
async fn load_due_call(calls: &DynamoCallStore) -> Option<DueCall> {
    calls.load(&[default_call_id()]).await.unwrap().pop()
}

/// The due time of the call, and the number of failed tries.
async fn due_at_and_tries(calls: &DynamoCallStore) -> Option<(Option<Timestamp>, u32)> {
    load_due_call(calls).await.map(|due_call| (due_call.due_at, due_call.tries))
}

#[tokio::test]
async fn call_goes_through_all_states() {
    let StoreFixture { calls, _backends, .. } = start_fixture().await;
    assert_eq!(calls.get(&default_call_id()).await.unwrap(), None);
    let parallel = NewCall { parallel: true, ..new_call("a") };
    assert_eq!(calls.begin(&parallel).await.unwrap(), BeginResult::Inserted);
    let stored_call = calls.get(&default_call_id()).await.unwrap().unwrap();
    assert_eq!((stored_call.state, stored_call.created_at), (CallState::Creating, at_second(0)));
    assert_eq!((stored_call.lease_until, stored_call.parallel), (Some(at_second(30)), true));
    let ActivateResult::Activated(active) = activate_call(&calls, "a").await else { panic!() };
    assert_eq!((active.state, active.active_at), (CallState::Active, Some(at_second(1))));
    assert_eq!((active.lease_until, active.parallel), (None, true));
    let EndResult::Ending(ending) = end_call(&calls, Some("bob")).await else { panic!() };
    assert_eq!((ending.state, ending.ending_at), (CallState::Ending, Some(at_second(9))));
    assert_eq!(ending.end_reason, Some(EndReason::default()));
    assert_eq!(ending.ended_by, Some(EndedBy::User { user_id: user_id("bob") }));
    let ended = calls.finish(&default_call_id(), at_second(10)).await.unwrap().unwrap();
    assert_eq!((ended.state, ended.ended_at), (CallState::Ended, Some(at_second(10))));
    // A repeat changes nothing.
    assert_eq!(calls.finish(&default_call_id(), at_second(99)).await.unwrap(), Some(ended.clone()));
    assert_eq!(calls.get(&default_call_id()).await.unwrap(), Some(ended));
}

#[tokio::test]
async fn writes_are_conditional_on_the_stored_state() {
    let StoreFixture { calls, _backends, .. } = start_fixture().await;
    assert_eq!(calls.begin(&new_call("a")).await.unwrap(), BeginResult::Inserted);
    let first = calls.get(&default_call_id()).await.unwrap().unwrap();
    // A repeat of the same attempt succeeds, since its first response may be lost.
    assert_eq!(calls.begin(&new_call("a")).await.unwrap(), BeginResult::Inserted);
    assert_eq!(calls.begin(&new_call("b")).await.unwrap(), BeginResult::Exists(first));
    let ActivateResult::Activated(active) = activate_call(&calls, "a").await else { panic!() };
    assert_eq!(activate_call(&calls, "b").await, ActivateResult::Unchanged(active.clone()));
    assert_eq!(
        calls.take_over(&new_call("b")).await.unwrap(),
        TakeOverResult::Changed(active.clone())
    );
    assert_eq!(calls.withdraw(&default_call_id(), "a").await.unwrap(), WithdrawResult::NotOwned);
    assert_eq!(calls.finish(&default_call_id(), at_second(2)).await.unwrap(), None);
    assert_eq!(calls.get(&default_call_id()).await.unwrap(), Some(active));
}

#[tokio::test]
async fn only_the_current_attempt_can_withdraw() {
    let StoreFixture { calls, _backends, .. } = start_fixture().await;
    assert_eq!(calls.take_over(&new_call("b")).await.unwrap(), TakeOverResult::Missing);
    calls.begin(&new_call("a")).await.unwrap();
    let other = NewCall { fingerprint: "g".to_owned(), ..new_call("b") };
    assert!(matches!(calls.take_over(&other).await.unwrap(), TakeOverResult::Changed(_)));
    assert_eq!(calls.take_over(&new_call("b")).await.unwrap(), TakeOverResult::Acquired);
    assert_eq!(calls.get(&default_call_id()).await.unwrap().unwrap().attempt, "b");
    assert_eq!(calls.withdraw(&default_call_id(), "a").await.unwrap(), WithdrawResult::NotOwned);
    assert_eq!(calls.withdraw(&default_call_id(), "b").await.unwrap(), WithdrawResult::Removed);
    assert_eq!(calls.withdraw(&default_call_id(), "b").await.unwrap(), WithdrawResult::Removed);
    assert_eq!(activate_call(&calls, "b").await, ActivateResult::Missing);
    assert_eq!(calls.begin(&new_call("c")).await.unwrap(), BeginResult::Inserted);
}

/// Changes the maximum duration at second 60, if the first join was after `joined_after`. The call
/// is due at second 61.
async fn extend_call(
    calls: &DynamoCallStore,
    max_duration_seconds: u64,
    joined_after: i64,
) -> ExtendResult {
    let id = default_call_id();
    let (joined_after, due_at) = (at_second(joined_after), at_second(61));
    let request = ExtendRequest { id: &id, max_duration_seconds, joined_after, due_at };
    calls.extend(request).await.unwrap()
}

fn limit_of(call: &Call) -> (Option<u64>, u64, u64) {
    (call.max_duration_seconds, call.limit_version, call.limit_synced)
}

#[tokio::test]
async fn only_an_active_call_can_be_extended() {
    let StoreFixture { calls, _backends, .. } = start_fixture().await;
    assert_eq!(extend_call(&calls, 600, 0).await, ExtendResult::Missing);
    calls.begin(&new_call("a")).await.unwrap();
    let ExtendResult::Unchanged(creating) = extend_call(&calls, 600, 0).await else { panic!() };
    assert_eq!(limit_of(&creating), (None, 0, 0));
    activate_call(&calls, "a").await;
    let ExtendResult::Extended(extended) = extend_call(&calls, 600, 0).await else { panic!() };
    assert_eq!(limit_of(&extended), (Some(600), 1, 0));
    assert_eq!(due_at_and_tries(&calls).await, Some((Some(at_second(61)), 0)));
    // The same value is no change.
    assert_eq!(extend_call(&calls, 600, 0).await, ExtendResult::Unchanged(extended));
    let ExtendResult::Extended(extended) = extend_call(&calls, 700, 0).await else { panic!() };
    assert_eq!(limit_of(&extended), (Some(700), 2, 0));
    end_call(&calls, None).await;
    let ExtendResult::Unchanged(ending) = extend_call(&calls, 800, 0).await else { panic!() };
    assert_eq!((ending.state, limit_of(&ending)), (CallState::Ending, (Some(700), 2, 0)));
}

#[tokio::test]
async fn call_that_would_be_over_cannot_be_extended() {
    let StoreFixture { calls, _backends, .. } = start_fixture().await;
    let limited = NewCall { max_duration_seconds: Some(60), ..new_call("a") };
    calls.begin(&limited).await.unwrap();
    activate_call(&calls, "a").await;
    calls.record_start(&default_cid(), at_second(20)).await.unwrap();
    for joined_after in [20, 21] {
        let ExtendResult::Unchanged(call) = extend_call(&calls, 600, joined_after).await else {
            panic!()
        };
        assert_eq!(limit_of(&call), (Some(60), 0, 0));
    }
    assert!(matches!(extend_call(&calls, 600, 19).await, ExtendResult::Extended(_)));
    // Stream's clock may be behind: no participant joins before the call's creation.
    calls.record_start(&default_cid(), at_second(-4)).await.unwrap();
    assert!(matches!(extend_call(&calls, 700, -1).await, ExtendResult::Extended(_)));
    assert!(matches!(extend_call(&calls, 800, 0).await, ExtendResult::Unchanged(_)));
}

#[tokio::test]
async fn only_the_newest_limit_version_is_confirmed() {
    let StoreFixture { calls, _backends, .. } = start_fixture().await;
    let id = default_call_id();
    assert_eq!(calls.confirm_limit(&id, 1).await.unwrap(), ConfirmLimitResult::Missing);
    calls.begin(&new_call("a")).await.unwrap();
    activate_call(&calls, "a").await;
    for version in [0, 1] {
        let result = calls.confirm_limit(&id, version).await.unwrap();
        assert!(matches!(result, ConfirmLimitResult::Superseded(_)), "{version}");
    }
    extend_call(&calls, 600, 0).await;
    extend_call(&calls, 700, 0).await;
    let ConfirmLimitResult::Superseded(newest) = calls.confirm_limit(&id, 1).await.unwrap() else {
        panic!()
    };
    assert_eq!(limit_of(&newest), (Some(700), 2, 0));
    assert!(!newest.is_limit_synced());
    for _ in 0..2 {
        let ConfirmLimitResult::Confirmed(call) = calls.confirm_limit(&id, 2).await.unwrap() else {
            panic!()
        };
        assert_eq!(limit_of(&call), (Some(700), 2, 2));
        assert!(call.is_limit_synced());
    }
}

#[tokio::test]
async fn alias_takes_the_place_of_a_withdrawn_call_until_it_expires() {
    let fixture = start_fixture().await;
    let calls = &fixture.calls;
    let (id, other) = (default_call_id(), call_id("c2"));
    let replace = async |attempt: &str| {
        calls.replace_by_alias(&new_call(attempt), &other, at_second(60)).await.unwrap()
    };
    // Without an item no alias is written.
    assert_eq!(replace("a").await, WithdrawResult::Removed);
    assert!(fixture.get_item("CALL#c1", "CALL").await.is_null());
    calls.begin(&new_call("a")).await.unwrap();
    assert_eq!(replace("b").await, WithdrawResult::NotOwned);
    assert_eq!(replace("a").await, WithdrawResult::Removed);
    // A repeat succeeds, since its first response may be lost.
    assert_eq!(replace("a").await, WithdrawResult::Removed);
    let item = fixture.get_item("CALL#c1", "CALL").await;
    assert_eq!(
        item,
        json!({
            "pk": {"S": "CALL#c1"},
            "sk": {"S": "CALL"},
            "fingerprint": {"S": "f"},
            "answeredWith": {"S": "c2"},
            "expires": {"N": at_second(60).as_millis().to_string()},
            "ttl": {"N": at_second(60).as_secs().to_string()},
        })
    );
    // An alias is not a call.
    assert_eq!(calls.get(&id).await.unwrap(), None);
    assert_eq!(load_due_call(calls).await, None);
    assert_eq!(calls.take_over(&new_call("b")).await.unwrap(), TakeOverResult::Missing);
    assert_eq!(calls.withdraw(&id, "a").await.unwrap(), WithdrawResult::Removed);
    assert_eq!(activate_call(calls, "a").await, ActivateResult::Missing);
    assert_eq!(end_call(calls, None).await, EndResult::Missing);
    assert_eq!(calls.finish(&id, at_second(2)).await.unwrap(), None);
    calls.record_start(&default_cid(), at_second(2)).await.unwrap();
    calls.set_next_check(&default_cid(), at_second(2)).await.unwrap();
    assert!(!calls.record_ring(&id, at_second(2), at_second(2)).await.unwrap());
    assert_eq!(fixture.get_item("CALL#c1", "CALL").await, item);
    // The alias is returned until it expires, whatever the request is.
    let alias = Alias { fingerprint: "f".to_owned(), answered_with: other.clone() };
    for fingerprint in ["f", "g"] {
        let repeat = NewCall {
            fingerprint: fingerprint.to_owned(),
            at: Timestamp::from_millis(at_second(60).as_millis() - 1),
            ..new_call("b")
        };
        assert_eq!(calls.begin(&repeat).await.unwrap(), BeginResult::Aliased(alias.clone()));
    }
    let repeat = NewCall { at: at_second(60), ..new_call("c") };
    assert_eq!(calls.begin(&repeat).await.unwrap(), BeginResult::Inserted);
    let call = calls.get(&id).await.unwrap().unwrap();
    assert_eq!((call.attempt.as_str(), call.state), ("c", CallState::Creating));
    assert!(fixture.get_item("CALL#c1", "CALL").await["answeredWith"].is_null());
}

#[tokio::test]
async fn ring_of_an_active_call_is_recorded_if_the_last_one_is_old() {
    let StoreFixture { calls, _backends, .. } = start_fixture().await;
    let id = default_call_id();
    let record = async |second: i64, last_before: i64| {
        calls.record_ring(&id, at_second(second), at_second(last_before)).await.unwrap()
    };
    let last_rung_at = async || calls.get(&id).await.unwrap().unwrap().last_rung_at;
    assert!(!record(1, 1).await);
    calls.begin(&new_call("a")).await.unwrap();
    assert!(!record(1, 1).await);
    activate_call(&calls, "a").await;
    // The creation did not ring.
    assert_eq!(last_rung_at().await, None);
    assert!(record(10, 0).await);
    assert!(!record(25, 10).await);
    assert_eq!(last_rung_at().await, Some(at_second(10)));
    assert!(record(26, 11).await);
    assert_eq!(last_rung_at().await, Some(at_second(26)));
    end_call(&calls, None).await;
    assert!(!record(90, 75).await);
}

#[tokio::test]
async fn activation_of_a_ringing_call_is_its_first_ring() {
    let StoreFixture { calls, _backends, .. } = start_fixture().await;
    let ringing = NewCall { ring: true, ..new_call("a") };
    calls.begin(&ringing).await.unwrap();
    let activated = calls.activate(&ringing, at_second(1), at_second(121)).await.unwrap();
    let ActivateResult::Activated(call) = activated else { panic!() };
    assert_eq!(call.last_rung_at, Some(at_second(1)));
}

#[tokio::test]
async fn only_members_can_end_a_call() {
    let StoreFixture { calls, _backends, .. } = start_fixture().await;
    assert_eq!(end_call(&calls, Some("alice")).await, EndResult::Missing);
    calls.begin(&new_call("a")).await.unwrap();
    let EndResult::Unchanged(current) = end_call(&calls, Some("mallory")).await else { panic!() };
    assert_eq!(current.state, CallState::Creating);
    let EndResult::Ending(ending) = end_call(&calls, None).await else { panic!() };
    assert_eq!(end_call(&calls, Some("alice")).await, EndResult::Unchanged(ending));
    assert!(matches!(activate_call(&calls, "a").await, ActivateResult::Unchanged(_)));
}

#[tokio::test]
async fn only_expected_members_of_an_active_call_are_replaced() {
    let StoreFixture { calls, _backends, .. } = start_fixture().await;
    let ids = |names: &[&str]| names.iter().map(|name| user_id(name)).collect::<Vec<_>>();
    let (all, rest) = (ids(&["alice", "bob", "carol"]), ids(&["bob", "carol"]));
    let id = default_call_id();
    let replace =
        async |expected: &Vec<UserId>| calls.replace_members(&id, expected, &rest).await.unwrap();
    assert_eq!(replace(&all).await, ReplaceMembersResult::Missing);
    calls.begin(&NewCall { members: all.clone(), ..new_call("a") }).await.unwrap();
    let ReplaceMembersResult::Unchanged(creating) = replace(&all).await else { panic!() };
    assert_eq!((creating.state, &creating.members), (CallState::Creating, &all));
    activate_call(&calls, "a").await;
    // The order counts.
    for other in [&rest, &ids(&["alice", "carol", "bob"]), &ids(&["alice", "bob"])] {
        let ReplaceMembersResult::Unchanged(call) = replace(other).await else { panic!() };
        assert_eq!(call.members, all);
    }
    let due_before = due_at_and_tries(&calls).await;
    let ReplaceMembersResult::Replaced(replaced) = replace(&all).await else { panic!() };
    assert_eq!((&replaced.members, &replaced.owner), (&rest, &user_id("alice")));
    assert_eq!((replaced.state, replaced.active_at), (CallState::Active, Some(at_second(1))));
    assert_eq!(due_at_and_tries(&calls).await, due_before);
    // A repeat of the same write, whose first response may be lost, finds the new members.
    assert_eq!(replace(&all).await, ReplaceMembersResult::Unchanged(replaced));
    let EndResult::Unchanged(active) = end_call(&calls, Some("alice")).await else { panic!() };
    assert_eq!(active.state, CallState::Active);
    let EndResult::Ending(ending) = end_call(&calls, Some("carol")).await else { panic!() };
    assert_eq!(replace(&rest).await, ReplaceMembersResult::Unchanged(ending));
}

#[tokio::test]
async fn end_can_require_an_unchanged_due_time() {
    let StoreFixture { calls, _backends, .. } = start_fixture().await;
    assert_eq!(
        end_with_precondition(&calls, Precondition::DueAt(at_second(30))).await,
        EndResult::Missing
    );
    calls.begin(&new_call("a")).await.unwrap();
    activate_call(&calls, "a").await;
    // Second 30 was the due time before the activation.
    let EndResult::Unchanged(active) =
        end_with_precondition(&calls, Precondition::DueAt(at_second(30))).await
    else {
        panic!()
    };
    assert_eq!((active.state, active.ending_at), (CallState::Active, None));
    let EndResult::Ending(ending) =
        end_with_precondition(&calls, Precondition::DueAt(at_second(121))).await
    else {
        panic!()
    };
    assert_eq!((ending.state, ending.ending_at), (CallState::Ending, Some(at_second(9))));
    // An ended call is returned, whatever the precondition.
    assert_eq!(
        end_with_precondition(&calls, Precondition::DueAt(at_second(39))).await,
        EndResult::Unchanged(ending)
    );
}

#[tokio::test]
async fn end_can_require_the_current_attempt() {
    let StoreFixture { calls, _backends, .. } = start_fixture().await;
    assert_eq!(end_with_precondition(&calls, Precondition::Attempt("a")).await, EndResult::Missing);
    calls.begin(&new_call("a")).await.unwrap();
    calls.take_over(&new_call("b")).await.unwrap();
    let EndResult::Unchanged(current) =
        end_with_precondition(&calls, Precondition::Attempt("a")).await
    else {
        panic!()
    };
    assert_eq!((current.state, current.attempt.as_str()), (CallState::Creating, "b"));
    let EndResult::Ending(ending) = end_with_precondition(&calls, Precondition::Attempt("b")).await
    else {
        panic!()
    };
    assert_eq!(ending.state, CallState::Ending);
}

#[tokio::test]
async fn end_sets_the_requested_due_time() {
    let StoreFixture { calls, _backends, .. } = start_fixture().await;
    calls.begin(&new_call("a")).await.unwrap();
    let (id, reason) = (default_call_id(), EndReason::from(EndReason::ENDED_AT_STREAM));
    let request = EndRequest {
        at: at_second(3),
        due_at: at_second(20),
        ..EndRequest::new(&id, &reason, &EndedBy::Stream, at_second(9))
    };
    let EndResult::Ending(ending) = calls.end(request).await.unwrap() else { panic!() };
    assert_eq!((ending.ending_at, ending.end_reason), (Some(at_second(3)), Some(reason)));
    assert_eq!(due_at_and_tries(&calls).await, Some((Some(at_second(20)), 0)));
}

fn join(user: &str, second: i64) -> Join {
    let session = SessionId::try_from(format!("session-of-{user}")).unwrap();
    Join { user: user_id(user), session, joined_at: at_second(second) }
}

/// Stores the presence and the rejects of the call as an event at this second.
async fn store_presence(calls: &DynamoCallStore, call: &Call, second: i64) -> UpdatePresenceResult {
    let update = PresenceUpdate {
        expected_version: call.presence.version() - 1,
        presence: &call.presence,
        rejects: &call.rejects,
        started_at: call.presence.started_at(),
        first_answered_at: call.answered_at(),
        at: at_second(second),
    };
    calls.update_presence(&default_cid(), update).await.unwrap()
}

#[tokio::test]
async fn presence_is_stored_in_every_state_under_its_version() {
    let StoreFixture { calls, _backends, .. } = start_fixture().await;
    calls.begin(&new_call("a")).await.unwrap();
    let mut call = calls.get(&default_call_id()).await.unwrap().unwrap();
    assert!(call.presence.record_join(&join("bob", 2)));
    // Another event is stored between the read and the write.
    let mut other = call.clone();
    let UpdatePresenceResult::Updated(stored) = store_presence(&calls, &call, 2).await else {
        panic!()
    };
    assert_eq!((stored.presence.clone(), stored.answered_at()), (call.presence, None));
    assert_eq!((stored.state, stored.started_at), (CallState::Creating, Some(at_second(2))));
    other.rejects.record(&user_id("bob"), RejectReason::Busy, at_second(3));
    let UpdatePresenceResult::Conflict(current) = store_presence(&calls, &other, 3).await else {
        panic!()
    };
    assert_eq!(current, stored);

    activate_call(&calls, "a").await;
    call = current;
    assert!(call.presence.record_join(&join("alice", 4)));
    let UpdatePresenceResult::Updated(stored) = store_presence(&calls, &call, 4).await else {
        panic!()
    };
    assert_eq!((stored.state, stored.answered_at()), (CallState::Active, Some(at_second(4))));
    call = stored;
    call.rejects.record(&user_id("bob"), RejectReason::Busy, at_second(5));
    call.presence.increment_version();
    let UpdatePresenceResult::Updated(stored) = store_presence(&calls, &call, 5).await else {
        panic!()
    };
    assert_eq!((&stored.rejects, &stored.presence), (&call.rejects, &call.presence));

    // The first answer is not changed by a later one.
    assert_eq!(stored.first_answered_at, Some(at_second(4)));

    // A late leave of an ended call.
    end_call(&calls, None).await;
    calls.finish(&default_call_id(), at_second(10)).await.unwrap();
    call = stored;
    let Join { user, session, joined_at } = join("alice", 4);
    let joined_at = Some(joined_at);
    let leave = Leave { user, session, joined_at, at: at_second(8), duration: None };
    assert!(call.presence.record_leave(&leave));
    let before = due_at_and_tries(&calls).await;
    let UpdatePresenceResult::Updated(stored) = store_presence(&calls, &call, 8).await else {
        panic!()
    };
    assert_eq!((stored.state, &stored.presence), (CallState::Ended, &call.presence));
    assert_eq!(stored.first_answered_at, Some(at_second(4)));
    assert_eq!(due_at_and_tries(&calls).await, before);
    assert_eq!(calls.get(&default_call_id()).await.unwrap(), Some(stored));
}

#[tokio::test]
async fn presence_of_another_call_is_not_stored() {
    let StoreFixture { calls, _backends, .. } = start_fixture().await;
    let mut call = Call::new(&new_call("a"));
    call.presence.record_join(&join("bob", 2));
    assert_eq!(store_presence(&calls, &call, 2).await, UpdatePresenceResult::Missing);
    calls.begin(&new_call("a")).await.unwrap();
    let before = calls.get(&default_call_id()).await.unwrap().unwrap();
    // The event is older than the call by more than the clocks may differ.
    assert_eq!(
        store_presence(&calls, &call, -6).await,
        UpdatePresenceResult::Conflict(before.clone())
    );
    let other_type = CallTypeName::try_from("private".to_owned()).unwrap();
    let update = PresenceUpdate {
        expected_version: 0,
        presence: &call.presence,
        rejects: &call.rejects,
        started_at: None,
        first_answered_at: None,
        at: at_second(2),
    };
    let result = calls.update_presence(&default_call_id().with_type(&other_type), update).await;
    assert_eq!(result.unwrap(), UpdatePresenceResult::Conflict(before));
}

#[tokio::test]
async fn earliest_start_is_kept() {
    let StoreFixture { calls, _backends, .. } = start_fixture().await;
    calls.begin(&new_call("a")).await.unwrap();
    calls.record_start(&default_cid(), at_second(3)).await.unwrap();
    let mut call = calls.get(&default_call_id()).await.unwrap().unwrap();
    for (n, (started, is_stored)) in
        [(4, false), (3, true), (2, true), (2, true), (3, false)].into_iter().enumerate()
    {
        let second = i64::try_from(n).unwrap() + 2;
        let mut changed = call.clone();
        changed.presence.record_join(&join("bob", second));
        let update = PresenceUpdate {
            expected_version: call.presence.version(),
            presence: &changed.presence,
            rejects: &changed.rejects,
            started_at: Some(at_second(started)),
            first_answered_at: None,
            at: at_second(second),
        };
        let result = calls.update_presence(&default_cid(), update).await.unwrap();
        match result {
            UpdatePresenceResult::Updated(stored) if is_stored => call = stored,
            UpdatePresenceResult::Conflict(current) if !is_stored => assert_eq!(current, call),
            other => panic!("{n}: {other:?}"),
        }
    }
    assert_eq!(call.started_at, Some(at_second(2)));
}

#[tokio::test]
async fn end_can_require_the_version_of_the_presence() {
    let StoreFixture { calls, _backends, .. } = start_fixture().await;
    calls.begin(&new_call("a")).await.unwrap();
    activate_call(&calls, "a").await;
    let (id, reason) = (default_call_id(), EndReason::from(EndReason::NOT_ANSWERED));
    let end_with_version = async |version: u64| {
        let request = EndRequest {
            presence_version: Some(version),
            ..EndRequest::new(&id, &reason, &EndedBy::System, at_second(9))
        };
        calls.end(request).await.unwrap()
    };
    let mut call = calls.get(&id).await.unwrap().unwrap();
    call.presence.record_join(&join("bob", 2));
    // A join is told after the decision.
    let UpdatePresenceResult::Updated(joined) = store_presence(&calls, &call, 2).await else {
        panic!()
    };
    for version in [0, 2] {
        assert_eq!(end_with_version(version).await, EndResult::Unchanged(joined.clone()));
    }
    let EndResult::Ending(ending) = end_with_version(1).await else { panic!() };
    assert_eq!(
        (ending.end_reason.as_ref(), ending.ended_by),
        (Some(&reason), Some(EndedBy::System))
    );
    assert_eq!(ending.presence, call.presence);
}

/// An item has a place in the due index while the sweeper has work, and a time to live afterwards.
#[tokio::test]
async fn every_state_sets_lease_due_time_and_ttl() {
    let fixture = start_fixture().await;
    let calls = &fixture.calls;
    let attributes_of = async |attributes: [&str; 3]| {
        let item = fixture.get_item("CALL#c1", "CALL").await;
        attributes.map(|name| {
            let value = &item[name];
            value["N"].as_str().or(value["S"].as_str()).map(str::to_owned)
        })
    };
    let number = |at: Timestamp| Some(at.as_millis().to_string());
    calls.begin(&new_call("a")).await.unwrap();
    let [lease, due, shard] = attributes_of(["leaseUntil", "dueAt", "dueShard"]).await;
    assert_eq!((lease, due), (number(at_second(30)), number(at_second(30))));
    assert_eq!(shard, Some(format!("DUE#{}", Shard::from_call_id(&default_call_id()).number())));
    // A take-over starts a full lease.
    let later = NewCall { at: at_second(20), ..new_call("b") };
    assert_eq!(calls.take_over(&later).await.unwrap(), TakeOverResult::Acquired);
    assert_eq!(
        attributes_of(["leaseUntil", "dueAt", "ttl"]).await,
        [number(at_second(50)), number(at_second(50)), None]
    );
    activate_call(calls, "b").await;
    assert_eq!(
        attributes_of(["leaseUntil", "dueAt", "ttl"]).await,
        [None, number(at_second(121)), None]
    );
    end_call(calls, Some("alice")).await;
    assert_eq!(
        attributes_of(["leaseUntil", "dueAt", "ttl"]).await,
        [None, number(at_second(39)), None]
    );
    calls.finish(&default_call_id(), at_second(10)).await.unwrap();
    let expires_at = Some(at_second(10 + 30 * 24 * 60 * 60).as_secs().to_string());
    assert_eq!(
        attributes_of(["leaseUntil", "dueAt", "ttl"]).await,
        [None, number(at_second(190)), expires_at]
    );
}

#[tokio::test]
async fn earliest_start_time_is_kept() {
    let StoreFixture { calls, _backends, .. } = start_fixture().await;
    calls.record_start(&default_cid(), at_second(5)).await.unwrap();
    assert_eq!(calls.get(&default_call_id()).await.unwrap(), None);
    calls.begin(&new_call("a")).await.unwrap();
    for (reported, stored) in [(5, 5), (7, 5), (5, 5), (3, 3), (4, 3)] {
        calls.record_start(&default_cid(), at_second(reported)).await.unwrap();
        let call = calls.get(&default_call_id()).await.unwrap().unwrap();
        assert_eq!((call.started_at, call.state), (Some(at_second(stored)), CallState::Creating));
    }
    assert_eq!(due_at_and_tries(&calls).await, Some((Some(at_second(30)), 0)));
}

#[tokio::test]
async fn schedule_check_only_moves_active_calls_earlier() {
    let StoreFixture { calls, _backends, .. } = start_fixture().await;
    calls.schedule_check(&default_cid(), at_second(20)).await.unwrap();
    assert_eq!(load_due_call(&calls).await, None);
    calls.begin(&new_call("a")).await.unwrap();
    calls.schedule_check(&default_cid(), at_second(20)).await.unwrap();
    assert_eq!(due_at_and_tries(&calls).await, Some((Some(at_second(30)), 0)));
    activate_call(&calls, "a").await;
    for (requested, expected) in [(200, 121), (60, 60), (121, 60), (60, 60)] {
        calls.schedule_check(&default_cid(), at_second(requested)).await.unwrap();
        assert_eq!(due_at_and_tries(&calls).await, Some((Some(at_second(expected)), 0)));
    }
    end_call(&calls, None).await;
    calls.schedule_check(&default_cid(), at_second(20)).await.unwrap();
    assert_eq!(due_at_and_tries(&calls).await, Some((Some(at_second(39)), 0)));
    calls.finish(&default_call_id(), at_second(10)).await.unwrap();
    calls.schedule_check(&default_cid(), at_second(20)).await.unwrap();
    assert_eq!(due_at_and_tries(&calls).await, Some((Some(at_second(190)), 0)));
}

#[tokio::test]
async fn one_call_per_member_set_holds_the_open_call_pointer() {
    let fixture = start_fixture().await;
    let calls = &fixture.calls;
    let set_pointer = async |new: &NewCall, at: Timestamp| {
        calls.set_open_call(&member_set(), new, at, None).await.unwrap()
    };
    let other = NewCall { id: call_id("c2"), ..new_call("c") };
    assert_eq!(
        set_pointer(&new_call("a"), at_second(0)).await,
        SetOpenCallResult::Set { is_exclusive: true }
    );
    assert_eq!(
        set_pointer(&other, at_second(1)).await,
        SetOpenCallResult::Occupied(OpenCallPointer {
            call_id: default_call_id(),
            at: at_second(0)
        })
    );
    // Another attempt at the same call, or a retry of the first one.
    assert_eq!(
        set_pointer(&new_call("b"), at_second(2)).await,
        SetOpenCallResult::Set { is_exclusive: false }
    );
    assert_eq!(
        set_pointer(&other, at_second(3)).await,
        SetOpenCallResult::Occupied(OpenCallPointer {
            call_id: default_call_id(),
            at: at_second(2)
        })
    );
    // Another member set has its own pointer.
    let others = MemberSet::new(&[user_id("alice"), user_id("carol")]);
    let result = calls.set_open_call(&others, &other, at_second(4), None).await.unwrap();
    assert_eq!(result, SetOpenCallResult::Set { is_exclusive: true });
    let item = fixture.get_item(&format!("MEMBERS#{}", member_set().as_str()), "OPEN").await;
    let three_days = at_second(2 + 3 * 24 * 60 * 60).as_secs().to_string();
    assert_eq!((&item["attempt"]["S"], &item["ttl"]["N"]), (&json!("b"), &json!(three_days)));
}

#[tokio::test]
async fn stale_pointer_is_replaced_only_if_unchanged() {
    let StoreFixture { calls, _backends, .. } = start_fixture().await;
    let members = member_set();
    calls.set_open_call(&members, &new_call("a"), at_second(0), None).await.unwrap();
    let older = OpenCallPointer { call_id: default_call_id(), at: at_second(0) };
    let other = NewCall { id: call_id("c2"), ..new_call("b") };
    // The pointer is set again after it was read.
    calls.set_open_call(&members, &new_call("a"), at_second(1), None).await.unwrap();
    let newer = OpenCallPointer { call_id: default_call_id(), at: at_second(1) };
    let result = calls.set_open_call(&members, &other, at_second(2), Some(&older)).await.unwrap();
    assert_eq!(result, SetOpenCallResult::Occupied(newer.clone()));
    let result = calls.set_open_call(&members, &other, at_second(2), Some(&newer)).await.unwrap();
    assert_eq!(result, SetOpenCallResult::Set { is_exclusive: true });
    // A second writer with the same expectation fails.
    let third = NewCall { id: call_id("c3"), ..new_call("c") };
    let result = calls.set_open_call(&members, &third, at_second(2), Some(&newer)).await.unwrap();
    assert_eq!(
        result,
        SetOpenCallResult::Occupied(OpenCallPointer { call_id: call_id("c2"), at: at_second(2) })
    );
    // Without a pointer, the expectation does not matter.
    calls.clear_open_call(&members, &call_id("c2"), None).await.unwrap();
    let result = calls.set_open_call(&members, &third, at_second(3), Some(&newer)).await.unwrap();
    assert_eq!(result, SetOpenCallResult::Set { is_exclusive: true });
}

#[tokio::test]
async fn pointer_is_removed_only_by_its_own_call() {
    let StoreFixture { calls, _backends, .. } = start_fixture().await;
    let members = member_set();
    let other = NewCall { id: call_id("c2"), ..new_call("c") };
    // Clearing a missing pointer succeeds.
    calls.clear_open_call(&members, &default_call_id(), None).await.unwrap();
    calls.set_open_call(&members, &new_call("a"), at_second(0), None).await.unwrap();
    calls.set_open_call(&members, &new_call("b"), at_second(1), None).await.unwrap();
    // Neither another call nor an earlier attempt can clear the pointer.
    calls.clear_open_call(&members, &call_id("c2"), None).await.unwrap();
    calls.clear_open_call(&members, &call_id("c2"), Some("b")).await.unwrap();
    calls.clear_open_call(&members, &default_call_id(), Some("a")).await.unwrap();
    let result = calls.set_open_call(&members, &other, at_second(2), None).await.unwrap();
    assert_eq!(
        result,
        SetOpenCallResult::Occupied(OpenCallPointer {
            call_id: default_call_id(),
            at: at_second(1)
        })
    );
    calls.clear_open_call(&members, &default_call_id(), Some("b")).await.unwrap();
    let result = calls.set_open_call(&members, &other, at_second(2), None).await.unwrap();
    assert_eq!(result, SetOpenCallResult::Set { is_exclusive: true });
    // The end of a call clears the pointer of any attempt.
    calls.clear_open_call(&members, &call_id("c2"), None).await.unwrap();
    let result = calls.set_open_call(&members, &new_call("a"), at_second(3), None).await.unwrap();
    assert_eq!(result, SetOpenCallResult::Set { is_exclusive: true });
}

#[tokio::test]
async fn delete_quota_is_thirty_per_minute() {
    let fixture = start_fixture().await;
    for n in 0..30 {
        assert!(fixture.calls.acquire_delete_quota(at_second(n)).await.unwrap(), "deletion {n}");
    }
    assert!(!fixture.calls.acquire_delete_quota(at_second(30)).await.unwrap());
    // The table holds the count, so another instance has no quota either.
    let another = DynamoCallStore::new(fixture.table.clone());
    assert!(!another.acquire_delete_quota(at_second(59)).await.unwrap());
    for calls in [&another, &fixture.calls] {
        assert!(calls.acquire_delete_quota(at_second(60)).await.unwrap());
        assert!(!calls.acquire_delete_quota(at_second(31)).await.unwrap());
    }
    let minute = at_second(0).as_secs() / 60;
    let item = fixture.get_item("LIMIT#delete-channel", &minute.to_string()).await;
    let expires_at = at_second(600).as_secs().to_string();
    assert_eq!((&item["used"]["N"], &item["ttl"]["N"]), (&json!("30"), &json!(expires_at)));
    let next = fixture.get_item("LIMIT#delete-channel", &(minute + 1).to_string()).await;
    assert_eq!(next["used"]["N"], "2");
}

#[tokio::test]
async fn user_requests_are_limited_per_minute() {
    let fixture = start_fixture().await;
    let limits = DynamoRateLimitStore::new(fixture.table.clone());
    let count = async |name: &str, route: Route, second: i64, limit: u32| {
        limits
            .increment(route, &user_id(name), Window::from_timestamp(at_second(second)), limit)
            .await
            .unwrap()
    };
    for n in 1..=3 {
        assert_eq!(count("a@b", Route::Token, i64::from(n), 3).await, Some(n));
    }
    let stored = async |partition: &str, minute: i64| {
        let item =
            fixture.get_item(partition, &(at_second(0).as_secs() / 60 + minute).to_string()).await;
        ["count", "ttl"].map(|name| item[name]["N"].as_str().map(str::to_owned))
    };
    let item = |count: &str, ttl: i64| {
        [Some(count.to_owned()), Some(at_second(ttl).as_secs().to_string())]
    };
    assert_eq!(stored("LIMIT#token#a@b", 0).await, item("3", 180));
    // The next request exceeds the limit, from any process, and changes nothing.
    for second in [4, 59] {
        assert_eq!(count("a@b", Route::Token, second, 3).await, None);
    }
    assert_eq!(stored("LIMIT#token#a@b", 0).await, item("3", 180));
    // Other users and other routes have their own counts.
    assert_eq!(count("bob", Route::Token, 59, 3).await, Some(1));
    assert_eq!(count("a@b", Route::MessageSend, 59, 3).await, Some(1));
    assert_eq!(stored("LIMIT#message-send#a@b", 0).await, item("1", 180));
    // The next minute has a new count, and the previous count is kept.
    assert_eq!(count("a@b", Route::Token, 60, 3).await, Some(1));
    assert_eq!(stored("LIMIT#token#a@b", 1).await, item("1", 240));
    assert_eq!(count("a@b", Route::Token, 59, 3).await, None);
    // A changed limit applies immediately.
    assert_eq!(count("a@b", Route::Token, 59, 4).await, Some(4));
    assert_eq!(count("a@b", Route::Token, 59, 2).await, None);
}

#[tokio::test]
async fn concurrent_requests_do_not_exceed_the_limit() {
    let fixture = start_fixture().await;
    let limits = DynamoRateLimitStore::new(fixture.table.clone());
    let (alice, window) = (user_id("alice"), Window::from_timestamp(at_second(0)));
    let counts = (0..20).map(|_| limits.increment(Route::CallCreate, &alice, window, 5));
    let counted = join_all(counts).await.into_iter().filter_map(Result::unwrap);
    assert_eq!(counted.collect::<BTreeSet<_>>(), BTreeSet::from([1, 2, 3, 4, 5]));
}

/// Ids of different calls in one shard of the due index.
fn call_ids_in_one_shard(count: usize) -> (Shard, Vec<CallId>) {
    let shard = Shard::from_call_id(&default_call_id());
    let ids = (0..).map(|n| call_id(&format!("d{n}")));
    (shard, ids.filter(|id| Shard::from_call_id(id) == shard).take(count).collect())
}

/// All entries that are due at second 33, and the number of entries of each page.
async fn list_due_pages(
    calls: &DynamoCallStore,
    shard: Shard,
    page_size: u16,
) -> (Vec<DueEntry>, Vec<usize>) {
    let (mut entries, mut sizes) = (Vec::<DueEntry>::new(), Vec::new());
    loop {
        let page = calls.list_due(shard, at_second(33), entries.last(), page_size).await.unwrap();
        sizes.push(page.entries.len());
        entries.extend(page.entries);
        if !page.has_more {
            return (entries, sizes);
        }
    }
}

#[tokio::test]
async fn due_calls_are_paged_oldest_first() {
    let StoreFixture { calls, _backends, .. } = start_fixture().await;
    let (shard, ids) = call_ids_in_one_shard(6);
    // The leases expire at seconds 30 to 35. The calls are begun in reverse order.
    let mut calls_by_second: Vec<(&CallId, i64)> = ids.iter().zip(0..).collect();
    let entry = |(id, second): &(&CallId, i64)| {
        let id = CallId::clone(id);
        DueEntry { due_at: at_second(30 + second), id }
    };
    let entries: Vec<_> = calls_by_second.iter().map(entry).collect();
    calls_by_second.reverse();
    for (id, second) in calls_by_second {
        let new = NewCall { id: id.clone(), at: at_second(second), ..new_call("a") };
        calls.begin(&new).await.unwrap();
    }
    assert!(calls.list_due(shard, at_second(29), None, 100).await.unwrap().entries.is_empty());
    let all = calls.list_due(shard, at_second(33), None, 100).await.unwrap();
    assert_eq!((all.entries, all.has_more), (entries[..4].to_vec(), false));
    let first = calls.list_due(shard, at_second(33), None, 3).await.unwrap();
    assert_eq!((first.entries, first.has_more), (entries[..3].to_vec(), true));
    let (listed, sizes) = list_due_pages(&calls, shard, 3).await;
    assert_eq!((listed.as_slice(), sizes), (&entries[..4], vec![3, 1]));
    let next_page = calls.list_due(shard, at_second(33), Some(&entries[1]), 100).await.unwrap();
    assert_eq!(next_page.entries, entries[2..4]);
    // An entry is a valid start even if its call is no longer in the index.
    calls.withdraw(&ids[1], "a").await.unwrap();
    let next_page = calls.list_due(shard, at_second(33), Some(&entries[1]), 1).await.unwrap();
    assert_eq!((next_page.entries, next_page.has_more), (vec![entries[2].clone()], true));
}

#[tokio::test]
async fn calls_with_equal_due_time_are_all_returned() {
    let StoreFixture { calls, _backends, .. } = start_fixture().await;
    let (shard, ids) = call_ids_in_one_shard(5);
    for id in &ids {
        calls.begin(&NewCall { id: id.clone(), ..new_call("a") }).await.unwrap();
    }
    let (entries, sizes) = list_due_pages(&calls, shard, 2).await;
    assert!(entries.iter().all(|entry| entry.due_at == at_second(30)), "{entries:?}");
    assert_eq!((entries.len(), sizes), (5, vec![2, 2, 1]));
    let listed: BTreeSet<_> = entries.into_iter().map(|entry| entry.id).collect();
    assert_eq!(listed, ids.into_iter().collect::<BTreeSet<_>>());
}

#[tokio::test]
async fn shard_contains_only_its_own_calls() {
    let StoreFixture { calls, _backends, .. } = start_fixture().await;
    let ids: Vec<_> = (0..9).map(|n| call_id(&format!("d{n}"))).collect();
    for id in &ids {
        calls.begin(&NewCall { id: id.clone(), ..new_call("a") }).await.unwrap();
    }
    // Other items are in no shard.
    calls.set_open_call(&member_set(), &new_call("a"), at_second(0), None).await.unwrap();
    let mut listed = BTreeSet::new();
    for shard in Shard::all() {
        for entry in calls.list_due(shard, at_second(99), None, 100).await.unwrap().entries {
            assert_eq!(Shard::from_call_id(&entry.id), shard);
            assert!(listed.insert(entry.id));
        }
    }
    assert_eq!(listed, ids.into_iter().collect::<BTreeSet<_>>());
}

#[tokio::test]
async fn missing_calls_are_omitted() {
    let StoreFixture { calls, _backends, .. } = start_fixture().await;
    let ids: Vec<_> = (0..100).map(|n| call_id(&format!("c{n}"))).collect();
    assert!(calls.load(&ids).await.unwrap().is_empty());
    calls.begin(&new_call("a")).await.unwrap();
    let stored_call = calls.get(&default_call_id()).await.unwrap().unwrap();
    let due_call = DueCall { call: stored_call, due_at: Some(at_second(30)), tries: 0 };
    assert_eq!(calls.load(&ids).await.unwrap(), [due_call]);
}

#[tokio::test]
async fn reschedule_requires_the_expected_due_time() {
    let StoreFixture { calls, _backends, .. } = start_fixture().await;
    calls.reschedule(&default_call_id(), at_second(30), at_second(60), 1).await.unwrap();
    assert_eq!(load_due_call(&calls).await, None);
    calls.begin(&new_call("a")).await.unwrap();
    calls.reschedule(&default_call_id(), at_second(29), at_second(60), 1).await.unwrap();
    assert_eq!(due_at_and_tries(&calls).await, Some((Some(at_second(30)), 0)));
    calls.reschedule(&default_call_id(), at_second(30), at_second(60), 1).await.unwrap();
    assert_eq!(due_at_and_tries(&calls).await, Some((Some(at_second(60)), 1)));
    // Another sweep has read the same due time.
    calls.reschedule(&default_call_id(), at_second(30), at_second(90), 1).await.unwrap();
    assert_eq!(due_at_and_tries(&calls).await, Some((Some(at_second(60)), 1)));
    // Each state starts with zero tries.
    activate_call(&calls, "a").await;
    assert_eq!(due_at_and_tries(&calls).await, Some((Some(at_second(121)), 0)));
    calls.reschedule(&default_call_id(), at_second(121), at_second(150), 2).await.unwrap();
    end_call(&calls, None).await;
    assert_eq!(due_at_and_tries(&calls).await, Some((Some(at_second(39)), 0)));
    calls.reschedule(&default_call_id(), at_second(39), at_second(70), 3).await.unwrap();
    assert_eq!(due_at_and_tries(&calls).await, Some((Some(at_second(70)), 3)));
    calls.finish(&default_call_id(), at_second(10)).await.unwrap();
    assert_eq!(due_at_and_tries(&calls).await, Some((Some(at_second(190)), 0)));
}

#[tokio::test]
async fn only_ended_calls_are_removed_from_the_index() {
    let StoreFixture { calls, _backends, .. } = start_fixture().await;
    let shard = Shard::from_call_id(&default_call_id());
    calls.remove_from_index(&default_call_id(), at_second(30), None).await.unwrap();
    assert_eq!(load_due_call(&calls).await, None);
    calls.begin(&new_call("a")).await.unwrap();
    calls.remove_from_index(&default_call_id(), at_second(30), None).await.unwrap();
    activate_call(&calls, "a").await;
    calls.remove_from_index(&default_call_id(), at_second(121), None).await.unwrap();
    end_call(&calls, None).await;
    calls.remove_from_index(&default_call_id(), at_second(39), None).await.unwrap();
    assert_eq!(due_at_and_tries(&calls).await, Some((Some(at_second(39)), 0)));
    let ended = calls.finish(&default_call_id(), at_second(10)).await.unwrap();
    // A rescheduled call is not removed either.
    calls.reschedule(&default_call_id(), at_second(190), at_second(370), 1).await.unwrap();
    calls.remove_from_index(&default_call_id(), at_second(190), None).await.unwrap();
    assert_eq!(due_at_and_tries(&calls).await, Some((Some(at_second(370)), 1)));
    assert!(calls.remove_from_index(&default_call_id(), at_second(370), None).await.unwrap());
    assert_eq!(due_at_and_tries(&calls).await, Some((None, 0)));
    assert!(calls.list_due(shard, at_second(999), None, 100).await.unwrap().entries.is_empty());
    // The item is kept, and cannot return to the index.
    assert!(!calls.remove_from_index(&default_call_id(), at_second(370), None).await.unwrap());
    calls.reschedule(&default_call_id(), at_second(370), at_second(400), 1).await.unwrap();
    calls.schedule_check(&default_cid(), at_second(20)).await.unwrap();
    calls.set_next_check(&default_cid(), at_second(20)).await.unwrap();
    assert_eq!(due_at_and_tries(&calls).await, Some((None, 0)));
    assert_eq!(calls.get(&default_call_id()).await.unwrap(), ended);
}

#[tokio::test]
async fn event_during_a_check_is_not_lost() {
    let StoreFixture { calls, _backends, .. } = start_fixture().await;
    calls.begin(&new_call("a")).await.unwrap();
    activate_call(&calls, "a").await;
    // A sweep has read the due time 121. Then an event schedules a check.
    calls.set_next_check(&default_cid(), at_second(130)).await.unwrap();
    calls.reschedule(&default_call_id(), at_second(121), at_second(361), 0).await.unwrap();
    assert_eq!(due_at_and_tries(&calls).await, Some((Some(at_second(130)), 0)));
}

#[tokio::test]
async fn last_checkpoint_is_returned() {
    let StoreFixture { calls, _backends, .. } = start_fixture().await;
    assert_eq!(calls.load_checkpoint().await.unwrap(), None);
    for checkpoint in ["{}", "{\"next\":\"abc\"}"] {
        calls.store_checkpoint(checkpoint).await.unwrap();
        assert_eq!(calls.load_checkpoint().await.unwrap().as_deref(), Some(checkpoint));
    }
}

fn named(name: &str) -> ProfileChange {
    ProfileChange { name: FieldPatch::Set(name.to_owned()), ..ProfileChange::default() }
}

fn custom(patch: Value) -> ProfileChange {
    let custom = serde_json::from_value(patch).unwrap();
    ProfileChange { custom, ..ProfileChange::default() }
}

fn merged(result: MergeResult) -> User {
    match result {
        MergeResult::Merged(user) => Some(user),
        _ => None,
    }
    .unwrap()
}

impl StoreFixture {
    async fn merge(&self, id: &UserId, change: &ProfileChange, second: i64) -> MergeResult {
        self.users.merge(id, change, ProfileWriter::User, at_second(second)).await.unwrap()
    }
}

#[tokio::test]
async fn partial_profile_change_keeps_other_fields() {
    let fixture = start_fixture().await;
    let (users, alice) = (&fixture.users, user_id("alice"));
    assert_eq!(users.get(&alice).await.unwrap(), None);
    let first = merged(fixture.merge(&alice, &named("Alice"), 0).await);
    assert_eq!((first.version, first.synced_version, first.is_synced()), (1, 0, false));
    let object = json!({"n": 1.5, "list": [1, null]});
    let second = merged(fixture.merge(&alice, &custom(object.clone()), 1).await);
    assert_eq!((second.version, second.profile.name.as_deref()), (2, Some("Alice")));
    assert_eq!(second.profile.custom.as_ref(), object.as_object());
    // A superseded writer gets the newest profile.
    assert_eq!(users.confirm_version(&alice, 1).await.unwrap(), SyncResult::Superseded(second));
    assert_eq!(users.confirm_version(&alice, 2).await.unwrap(), SyncResult::Confirmed);
    assert!(users.get(&alice).await.unwrap().unwrap().is_synced());
    // An older push may have reached Stream last.
    for _ in 0..2 {
        users.retract_confirmation(&alice).await.unwrap();
        let retracted = users.get(&alice).await.unwrap().unwrap();
        assert_eq!((retracted.version, retracted.synced_version), (2, 1));
    }
}

#[tokio::test]
async fn first_version_is_not_retracted() {
    let fixture = start_fixture().await;
    let (users, alice) = (&fixture.users, user_id("alice"));
    users.retract_confirmation(&alice).await.unwrap();
    assert_eq!(users.get(&alice).await.unwrap(), None);
    merged(fixture.merge(&alice, &named("Alice"), 0).await);
    users.confirm_version(&alice, 1).await.unwrap();
    users.retract_confirmation(&alice).await.unwrap();
    assert!(users.get(&alice).await.unwrap().unwrap().is_synced());
}

#[tokio::test]
async fn custom_data_is_merged_by_key_and_removed() {
    let fixture = start_fixture().await;
    let alice = user_id("alice");
    for (patch, expected) in [
        (json!({"a": 1, "b": {"c": 1, "d": 2}}), json!({"a": 1, "b": {"c": 1, "d": 2}})),
        (json!({"a": null, "b": {"d": null}, "e": []}), json!({"b": {"c": 1}, "e": []})),
        (json!({"b": null, "e": null}), Value::Null),
        (json!({"x": null}), Value::Null),
        (json!({"f": 1}), json!({"f": 1})),
        (json!(null), Value::Null),
    ] {
        let user = merged(fixture.merge(&alice, &custom(patch.clone()), 0).await);
        assert_eq!(user.profile.custom.as_ref(), expected.as_object(), "{patch}");
        let stored = fixture.users.get(&alice).await.unwrap().unwrap();
        assert_eq!(stored.profile.custom, user.profile.custom, "{patch}");
    }
    let image = ProfileChange {
        image: FieldPatch::Set("https://example.com/a.png".to_owned()),
        ..ProfileChange::default()
    };
    let user = merged(fixture.merge(&alice, &image, 1).await);
    assert!(user.profile.image.is_some());
    let removal = ProfileChange { image: FieldPatch::Remove, ..ProfileChange::default() };
    assert_eq!(merged(fixture.merge(&alice, &removal, 2).await).profile.image, None);
}

#[tokio::test]
async fn merged_custom_data_is_bounded() {
    let fixture = start_fixture().await;
    let alice = user_id("alice");
    let text = |length: usize| "x".repeat(length);
    let half = custom(json!({"a": text(1_500)}));
    merged(fixture.merge(&alice, &half, 0).await);
    let other_half = custom(json!({"b": text(1_500)}));
    assert_eq!(fixture.merge(&alice, &other_half, 1).await, MergeResult::CustomTooLarge);
    let user = fixture.users.get(&alice).await.unwrap().unwrap();
    assert_eq!((user.version, user.profile.custom.unwrap().len()), (1, 1));
    // Data from Stream may be larger, and may shrink.
    let bob = user_id("bob");
    let imported = custom(json!({"a": text(3_000), "b": 1}));
    merged(fixture.users.fill_missing(&bob, &imported, at_second(0)).await.unwrap());
    assert_eq!(fixture.merge(&bob, &custom(json!({"c": 1})), 1).await, MergeResult::CustomTooLarge);
    merged(fixture.merge(&bob, &custom(json!({"b": null})), 1).await);
}

#[tokio::test]
async fn accounts_of_a_batch_are_read() {
    let fixture = start_fixture().await;
    let users = &fixture.users;
    let user_ids: Vec<_> = (0..100).map(|n| user_id(&format!("u{n:02}"))).collect();
    for id in &user_ids[..98] {
        merged(fixture.merge(id, &ProfileChange::default(), 0).await);
    }
    for id in &user_ids[..97] {
        users.confirm_version(id, 1).await.unwrap();
    }
    users.set_status(&user_ids[0], UserStatus::Deactivated, at_second(1)).await.unwrap();
    users.set_status(&user_ids[1], UserStatus::Deleted, at_second(1)).await.unwrap();
    // A deletion is final.
    users.set_status(&user_ids[1], UserStatus::Active, at_second(9)).await.unwrap();
    let ban = Ban { until: at_second(60) };
    users.set_ban(&user_ids[2], Some(ban), at_second(1)).await.unwrap();
    let accounts = users.get_members(&user_ids, None).await.unwrap().accounts;
    let active = Account { exists_at_stream: true, ..Account::default() };
    for (n, expected) in [
        (0, Some(Account { status: UserStatus::Deactivated, ..active })),
        (1, Some(Account { status: UserStatus::Deleted, ..active })),
        (2, Some(Account { ban: Some(ban), ..active })),
        (3, Some(active)),
        (97, Some(Account::default())),
        (98, None),
    ] {
        assert_eq!(accounts.get(&user_ids[n]).copied(), expected, "{n}");
        assert_eq!(users.get_account(&user_ids[n]).await.unwrap(), expected, "{n}");
    }
    let mut loaded = users.load_users(&user_ids).await.unwrap();
    loaded.sort_by(|user, other| user.id.cmp(&other.id));
    assert!(loaded.iter().map(|user| &user.id).eq(&user_ids[..98]));
}

#[tokio::test]
async fn call_of_the_latest_join_is_stored() {
    let fixture = start_fixture().await;
    let (users, bob) = (&fixture.users, user_id("bob"));
    merged(fixture.merge(&bob, &ProfileChange::default(), 0).await);
    let joined =
        |id: &str, second: i64| JoinedCall { call_id: call_id(id), joined_at: at_second(second) };
    let stored = async || {
        let members =
            users.get_members(&[user_id("alice"), bob.clone()], Some(&bob)).await.unwrap();
        assert_eq!(members.accounts.keys().collect::<Vec<_>>(), [&bob]);
        members.joined_call
    };
    assert_eq!(stored().await, None);
    // The events of the joins may arrive in any order, and twice.
    for (id, second, expected) in [
        ("c1", 10, joined("c1", 10)),
        ("c2", 20, joined("c2", 20)),
        ("c1", 10, joined("c2", 20)),
        ("c3", 20, joined("c2", 20)),
        ("c3", 30, joined("c3", 30)),
    ] {
        users.set_joined_call(&bob, &joined(id, second)).await.unwrap();
        assert_eq!(stored().await, Some(expected), "{id} {second}");
    }
    // Without a callee it is not read.
    let members = users.get_members(std::slice::from_ref(&bob), None).await.unwrap();
    assert_eq!((members.accounts.len(), members.joined_call), (1, None));
    let item = fixture.get_item("USER#bob", "IN_CALL").await;
    let three_days = at_second(30 + 3 * 24 * 60 * 60).as_secs().to_string();
    assert_eq!(item["ttl"]["N"], json!(three_days));
    // The erasure of the user deletes it, whether or not there is a profile.
    let erasures = DynamoErasureStore::new(fixture.table.clone());
    erasures.finish(&bob, at_second(40)).await.unwrap();
    assert_eq!(stored().await, None);
}

#[tokio::test]
async fn fill_does_not_overwrite_existing_fields() {
    let fixture = start_fixture().await;
    let alice = user_id("alice");
    let change = ProfileChange { name: named("Alice").name, ..custom(json!({"a": 1, "b": 2})) };
    merged(fixture.merge(&alice, &change, 0).await);
    let role = serde_json::from_value(json!("admin")).unwrap();
    let known = ProfileChange {
        language: FieldPatch::Set("en".to_owned()),
        name: named("Old").name,
        role,
        ..custom(json!({"a": 0, "c": 3}))
    };
    let filled = fixture.users.fill_missing(&alice, &known, at_second(1)).await.unwrap();
    let User { profile, version, .. } = merged(filled);
    assert_eq!((profile.name.as_deref(), profile.language.as_deref()), (Some("Alice"), Some("en")));
    assert_eq!((profile.role.as_str(), version), ("admin", 2));
    assert_eq!(profile.custom.as_ref(), json!({"a": 1, "b": 2, "c": 3}).as_object());
}

#[tokio::test]
async fn newest_user_status_is_stored() {
    let fixture = start_fixture().await;
    let (users, alice) = (&fixture.users, user_id("alice"));
    users.set_status(&alice, UserStatus::Deactivated, at_second(0)).await.unwrap();
    assert_eq!(users.get(&alice).await.unwrap(), None);
    let first = merged(fixture.merge(&alice, &ProfileChange::default(), 0).await);
    assert_eq!(first.status, UserStatus::Active);
    for (status, reported, expected) in [
        // From before the item, even by more than the clocks may differ.
        (UserStatus::Deleted, -6, UserStatus::Active),
        (UserStatus::Deactivated, -6, UserStatus::Active),
        (UserStatus::Deactivated, 5, UserStatus::Deactivated),
        (UserStatus::Active, 4, UserStatus::Deactivated),
        (UserStatus::Active, 5, UserStatus::Deactivated),
        (UserStatus::Active, 6, UserStatus::Active),
        (UserStatus::Deleted, 7, UserStatus::Deleted),
        (UserStatus::Deactivated, 6, UserStatus::Deleted),
    ] {
        users.set_status(&alice, status, at_second(reported)).await.unwrap();
        let user = users.get(&alice).await.unwrap().unwrap();
        assert_eq!((user.status, user.version), (expected, 1), "{status:?} at {reported}");
    }
    // A merge does not change a deleted user.
    for writer in [ProfileWriter::User, ProfileWriter::Service] {
        let result = users.merge(&alice, &named("Al"), writer, at_second(8)).await.unwrap();
        let MergeResult::Inactive(user) = result else { panic!("{result:?}") };
        assert_eq!((user.status, user.version), (UserStatus::Deleted, 1));
    }
}

#[tokio::test]
async fn newest_ban_is_stored_and_stops_the_users_own_changes() {
    let fixture = start_fixture().await;
    let (users, alice) = (&fixture.users, user_id("alice"));
    merged(fixture.merge(&alice, &ProfileChange::default(), 0).await);
    let until = |second| Some(Ban { until: at_second(second) });
    for (ban, reported, expected) in [
        (until(90), -6, None),
        (until(60), 5, until(60)),
        (None, 4, until(60)),
        (None, 5, until(60)),
        (None, 6, None),
        (until(70), 5, None),
        (until(80), 7, until(80)),
    ] {
        users.set_ban(&alice, ban, at_second(reported)).await.unwrap();
        let user = users.get(&alice).await.unwrap().unwrap();
        assert_eq!(user.ban, expected, "{ban:?} at {reported}");
    }
    let result = fixture.merge(&alice, &named("Al"), 79).await;
    assert!(matches!(result, MergeResult::Inactive(_)), "{result:?}");
    merged(users.merge(&alice, &named("Al"), ProfileWriter::Service, at_second(79)).await.unwrap());
    merged(fixture.merge(&alice, &named("Ali"), 80).await);
}

#[tokio::test]
async fn later_concurrent_revocation_is_returned() {
    let fixture = start_fixture().await;
    let (users, alice) = (&fixture.users, user_id("alice"));
    let revocation = |session: i64, token: i64| Revocation {
        sessions_before: at_second(session),
        tokens_before: at_second(token),
    };
    let revoke = async |revocation| users.revoke(&alice, revocation).await.unwrap();
    assert_eq!(revoke(revocation(10, 6)).await, RevokeResult::UserNotFound);
    merged(fixture.merge(&alice, &ProfileChange::default(), 0).await);
    assert_eq!(revoke(revocation(10, 6)).await, RevokeResult::Recorded);
    assert_eq!(revoke(revocation(9, 6)).await, RevokeResult::AlreadyRevoked(revocation(10, 6)));
    assert_eq!(revoke(revocation(11, 7)).await, RevokeResult::Recorded);
}

#[tokio::test]
async fn queued_push_is_removed_unless_queued_again() {
    let fixture = start_fixture().await;
    let users = &fixture.users;
    let push = |name: &str, second| QueuedPush { user: user_id(name), at: at_second(second) };
    for (name, second) in [("bob", 0), ("alice", 1), ("bob", 2)] {
        users.queue_push(&user_id(name), at_second(second)).await.unwrap();
    }
    assert_eq!(users.list_queued(1).await.unwrap(), [push("alice", 1)]);
    users.remove_queued(&push("bob", 0)).await.unwrap();
    assert_eq!(users.list_queued(9).await.unwrap(), [push("alice", 1), push("bob", 2)]);
    users.remove_queued(&push("bob", 2)).await.unwrap();
    users.remove_queued(&push("alice", 1)).await.unwrap();
    assert_eq!(users.list_queued(9).await.unwrap(), []);
}

#[tokio::test]
async fn push_quota_is_240_per_minute_and_half_for_changes() {
    let fixture = start_fixture().await;
    for second in [0, 61] {
        let acquire = async |purpose| {
            fixture.users.acquire_push_quota(purpose, at_second(second)).await.unwrap()
        };
        for _ in 0..120 {
            assert!(acquire(PushPurpose::Change).await);
        }
        assert!(!acquire(PushPurpose::Change).await);
        for _ in 0..120 {
            assert!(acquire(PushPurpose::Provision).await);
        }
        assert!(!acquire(PushPurpose::Provision).await);
    }
}

#[tokio::test]
async fn user_read_and_request_count_are_one_write() {
    let fixture = start_fixture().await;
    let alice = user_id("alice");
    let quota = |minute: i64| {
        let window = Window::from_timestamp(Timestamp::from_secs(minute * 60));
        Quota { window, max_requests: 2 }
    };
    let count = async |minute| fixture.users.get_and_count(&alice, quota(minute)).await.unwrap();
    assert_eq!(count(100).await, GetAndCountResult::UserNotFound);
    assert_eq!(fixture.get_item("USER#alice", "PROFILE").await, Value::Null);

    let change = named("Alice");
    let merge = async |second| {
        let (writer, at) = (ProfileWriter::User, Timestamp::from_secs(second));
        merged(fixture.users.merge(&alice, &change, writer, at).await.unwrap())
    };
    let known = merge(1).await;
    let within_limit = |count| GetAndCountResult::Counted(known.clone(), count);
    for (minute, expected) in [
        (100, within_limit(1)),
        (100, within_limit(2)),
        (100, GetAndCountResult::LimitExceeded),
        (100, GetAndCountResult::LimitExceeded),
        // A slow clock counts in the current minute.
        (99, GetAndCountResult::LimitExceeded),
        (101, within_limit(1)),
        (100, within_limit(2)),
        (101, GetAndCountResult::LimitExceeded),
        (102, within_limit(1)),
    ] {
        assert_eq!(count(minute).await, expected, "{minute}");
    }
    // A concurrent merge and the count are both kept.
    let changed = merge(2).await;
    assert_eq!(count(102).await, GetAndCountResult::Counted(changed, 2));

    fixture.users.set_status(&alice, UserStatus::Deleted, Timestamp::from_secs(3)).await.unwrap();
    let before = fixture.get_item("USER#alice", "PROFILE").await;
    let GetAndCountResult::UserDeleted(user) = count(103).await else { panic!("counted") };
    assert_eq!(user.status, UserStatus::Deleted);
    assert_eq!(fixture.get_item("USER#alice", "PROFILE").await, before);
}

#[tokio::test]
async fn newest_report_is_stored() {
    let fixture = start_fixture().await;
    let session = SessionId::try_from("s1".to_owned()).unwrap();
    let texts = async |names: [&str; 2]| {
        let item = fixture.get_item("CALL#c1", "REPORT#s1").await;
        names.map(|name| item[name]["S"].as_str().map(str::to_owned))
    };
    let text = |text: &str| Some(text.to_owned());
    for (figures, reported, expected) in [
        (Some("{}"), 5, Some("{}")),
        (Some("[1]"), 4, Some("{}")),
        (None, 4, Some("{}")),
        (Some("[2]"), 5, Some("[2]")),
        (Some("[3]"), 6, Some("[3]")),
        (None, 7, Some("[3]")),
    ] {
        let report =
            StatsReport { session: session.clone(), stats_json: figures.map(str::to_owned) };
        fixture
            .evidence
            .store_report(&default_call_id(), &report, at_second(reported))
            .await
            .unwrap();
        assert_eq!(texts(["session", "figures"]).await, [text("s1"), expected.and_then(text)]);
    }
    let item = fixture.get_item("CALL#c1", "REPORT#s1").await;
    let expires_at = at_second(6 + 30 * 24 * 60 * 60).as_secs().to_string();
    assert_eq!(
        (&item["at"]["N"], &item["ttl"]["N"]),
        (&json!(millis_text(at_second(6))), &json!(expires_at))
    );
    // The report has its own item, and is not a call.
    assert_eq!(fixture.calls.get(&default_call_id()).await.unwrap(), None);
}

#[tokio::test]
async fn newest_rating_per_member_is_stored() {
    let fixture = start_fixture().await;
    let session = SessionId::try_from("s1".to_owned()).unwrap();
    let rating = |user: UserId, rating: u8, reason: Option<&str>| Rating {
        session: session.clone(),
        user,
        rating,
        reason: reason.map(str::to_owned),
    };
    for (user, stars, reason, at) in [
        ("alice", 2, Some("echo"), 5),
        ("bob", 5, None, 5),
        ("alice", 3, None, 4),
        ("bob", 4, Some("fine"), 6),
    ] {
        let rating = rating(user_id(user), stars, reason);
        fixture.evidence.store_rating(&default_call_id(), &rating, at_second(at)).await.unwrap();
    }
    for (user, stars, reason, at) in [("alice", "2", "echo", 5), ("bob", "4", "fine", 6)] {
        let item = fixture.get_item("CALL#c1", &format!("RATING#s1#{user}")).await;
        assert_eq!((&item["rating"]["N"], &item["reason"]["S"]), (&json!(stars), &json!(reason)));
        assert_eq!((&item["userId"]["S"], &item["session"]["S"]), (&json!(user), &json!("s1")));
        assert_eq!(item["at"]["N"], millis_text(at_second(at)));
    }
}

/// A batch with one sample.
fn single_sample_batch(member: &str, name: &str, jitter: f64) -> Batch {
    let samples = json!([{"timestamp": at_second(0).as_millis(), "jitter": jitter}]);
    Batch {
        id: BatchId::try_from(name.to_owned()).unwrap(),
        user: user_id(member),
        platform: Some(Platform::Ios),
        device_id: Some(DeviceId::try_from("phone-1".to_owned()).unwrap()),
        received_at: at_second(5),
        samples: serde_json::from_value::<Samples>(samples).unwrap().into_vec(),
    }
}

#[tokio::test]
async fn batch_is_stored_once_in_its_slot() {
    let StoreFixture { evidence, _backends, .. } = start_fixture().await;
    let first = single_sample_batch("alice", "b1", 0.01);
    let slots: Vec<Slot> = Slot::probe_sequence(&first.id).collect();
    let store_batch = async |batch: &Batch, slot| {
        evidence.store_batch(&default_call_id(), batch, slot).await.unwrap()
    };
    assert_eq!(store_batch(&first, slots[0]).await, StoreBatchResult::Stored);
    assert_eq!(store_batch(&first, slots[0]).await, StoreBatchResult::Duplicate);
    // The first batch with an id is kept, and no other batch takes its slot.
    assert_eq!(
        store_batch(&single_sample_batch("alice", "b1", 0.05), slots[0]).await,
        StoreBatchResult::Duplicate
    );
    assert_eq!(
        store_batch(&single_sample_batch("alice", "b2", 0.05), slots[0]).await,
        StoreBatchResult::SlotTaken
    );
    assert_eq!(
        store_batch(&single_sample_batch("bob", "b2", 0.05), slots[0]).await,
        StoreBatchResult::Stored
    );
    assert_eq!(
        store_batch(&single_sample_batch("alice", "b2", 0.02), slots[1]).await,
        StoreBatchResult::Stored
    );
    let mut loaded = evidence.load_data(&default_call_id()).await.unwrap();
    loaded.batches.sort_by_key(|batch| (batch.user.clone(), batch.id.as_str().to_owned()));
    let expected = vec![
        first,
        single_sample_batch("alice", "b2", 0.02),
        single_sample_batch("bob", "b2", 0.05),
    ];
    assert_eq!(loaded, StoredQualityData { batches: expected, ..StoredQualityData::default() });
}

#[tokio::test]
async fn quality_data_of_the_call_is_read_completely() {
    let StoreFixture { evidence, calls, _backends, .. } = start_fixture().await;
    calls.begin(&new_call("a")).await.unwrap();
    let session = |name: &str| SessionId::try_from(name.to_owned()).unwrap();
    for (name, figures, reported) in [("s1", None, 9), ("s2", Some("{}".to_owned()), 5)] {
        let report = StatsReport { session: session(name), stats_json: figures };
        evidence.store_report(&default_call_id(), &report, at_second(reported)).await.unwrap();
    }
    let rating = Rating { session: session("s1"), user: user_id("bob"), rating: 4, reason: None };
    evidence.store_rating(&default_call_id(), &rating, at_second(6)).await.unwrap();
    let other = CallId::try_from("c10".to_owned()).unwrap();
    evidence.store_rating(&other, &rating, at_second(6)).await.unwrap();
    let loaded = evidence.load_data(&default_call_id()).await.unwrap();
    // The newest report is last.
    let reports = loaded.reports.iter();
    let sessions: Vec<_> = reports.map(|report| (report.session.as_str(), report.at)).collect();
    assert_eq!(sessions, [("s2", at_second(5)), ("s1", at_second(9))]);
    let ratings = vec![StoredRating { user: user_id("bob"), rating: 4, reason: None }];
    assert_eq!((loaded.ratings, loaded.batches.len(), loaded.truncated), (ratings, 0, false));
}

#[tokio::test]
async fn newest_summary_is_stored_until_it_is_invalidated() {
    let fixture = start_fixture().await;
    let (id, store) = (default_call_id(), &fixture.evidence);
    assert_eq!(store.load_summary(&id).await.unwrap(), None);
    let store_at = async |content: &str, second| {
        store.store_summary(&id, content.as_bytes().to_vec(), at_second(second)).await.unwrap();
        store.load_summary(&id).await.unwrap().map(|bytes| String::from_utf8(bytes).unwrap())
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(store_at("first", 10).await, text("first"));
    assert_eq!(store_at("older", 9).await, text("first"));
    assert_eq!(store_at("second", 10).await, text("second"));
    // The summary is no quality data.
    assert_eq!(store.load_data(&id).await.unwrap(), StoredQualityData::default());
    store.invalidate_summary(&id, at_second(20)).await.unwrap();
    assert_eq!(store.load_summary(&id).await.unwrap(), None);
    // A request that read the data before the invalidation, or within 15 seconds of it.
    for second in [15, 20, 34] {
        assert_eq!(store_at("stale", second).await, None, "{second}");
    }
    // The older one of two invalidations arrives last.
    store.invalidate_summary(&id, at_second(22)).await.unwrap();
    store.invalidate_summary(&id, at_second(21)).await.unwrap();
    assert_eq!(store_at("stale", 36).await, None);
    assert_eq!(store_at("third", 37).await, text("third"));
    let item = fixture.get_item("CALL#c1", "QUALITY#SUMMARY").await;
    let expires_at = at_second(37 + 30 * 24 * 60 * 60).as_secs().to_string();
    assert_eq!(item["ttl"]["N"], expires_at);
}

/// The item of a batch of an earlier version, whose samples are JSON text.
fn json_batch_item(number: u32, samples: &str) -> Value {
    let received_at = at_second(5);
    json!({
        "pk": {"S": "CALL#c1"}, "sk": {"S": format!("SAMPLES#alice#{number:03}")},
        "batch": {"S": format!("old-{number}")}, "userId": {"S": "alice"},
        "platform": {"S": "ios"}, "deviceId": {"S": "phone-1"}, "samples": {"S": samples},
        "at": {"N": millis_text(received_at)}, "ttl": {"N": "1769817605"},
    })
}

#[tokio::test]
async fn batches_of_both_encodings_are_read() {
    let fixture = start_fixture().await;
    let (id, store) = (default_call_id(), &fixture.evidence);
    let old = single_sample_batch("alice", "old-7", 0.01);
    let slot = Slot::probe_sequence(&old.id).next().unwrap();
    let row = json!([[
        at_second(0).as_millis(),
        "inbound",
        null,
        null,
        10.0,
        null,
        null,
        null,
        null,
        null,
        null,
        null,
        null,
        null,
        null,
    ]]);
    let mut item = json_batch_item(7, &row.to_string());
    item["sk"]["S"] = json!(format!("SAMPLES#alice#{:03}", slot.number()));
    fixture.put_item(item).await;
    // A repeat of the old batch, and another batch in its slot.
    assert_eq!(store.store_batch(&id, &old, slot).await.unwrap(), StoreBatchResult::Duplicate);
    let other = single_sample_batch("alice", "b1", 0.02);
    assert_eq!(store.store_batch(&id, &other, slot).await.unwrap(), StoreBatchResult::SlotTaken);
    let new = single_sample_batch("bob", "b2", 0.03);
    let slot = Slot::probe_sequence(&new.id).next().unwrap();
    assert_eq!(store.store_batch(&id, &new, slot).await.unwrap(), StoreBatchResult::Stored);
    let stored = fixture.get_item("CALL#c1", &format!("SAMPLES#bob#{:03}", slot.number())).await;
    assert!(stored["samples"]["B"].is_string(), "{stored}");
    let mut loaded = store.load_data(&id).await.unwrap();
    loaded.batches.sort_by_key(|batch| batch.user.clone());
    assert_eq!(loaded.batches, [old, new]);
    // Only the batch of this user is deleted.
    store.delete_user_data(&id, &user_id("alice")).await.unwrap();
    let loaded = store.load_data(&id).await.unwrap();
    assert_eq!(loaded.batches.len(), 1);
    assert_eq!(loaded.batches[0].user, user_id("bob"));
}

/// The samples of a call exceed one page of DynamoDB.
#[tokio::test]
async fn samples_beyond_one_page_are_read() {
    let fixture = start_fixture().await;
    let row = json!([
        at_second(0).as_millis(),
        "inbound",
        123.456,
        61.234,
        12.345,
        0.268,
        12.0,
        1_234.0,
        1_280.0,
        720.0,
        24.5,
        1_234.567,
        0.123,
        0.514,
        "bandwidth",
    ]);
    let samples = json!(vec![row; 60]).to_string();
    for number in 0..160 {
        fixture.put_item(json_batch_item(number, &samples)).await;
    }
    assert!(samples.len() * 160 > 1024 * 1024, "{}", samples.len());
    let loaded = fixture.evidence.load_data(&default_call_id()).await.unwrap();
    assert_eq!((loaded.batches.len(), loaded.truncated), (160, false));
}

fn millis_text(at: Timestamp) -> String {
    at.as_millis().to_string()
}
