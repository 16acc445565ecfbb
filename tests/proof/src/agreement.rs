//! The model's table and the real one are one machine: whatever is asked of both, one thing after
//! the other, they answer the same, and leave the same behind.
//!
//! The real one is [`DynamoCalls`] on a DynamoDB of its own: the embedded one, or the one that
//! `STORE_TEST_ENDPOINT` names (CI names AWS's DynamoDB Local).

use std::collections::BTreeSet;
use std::hash::{Hash as _, Hasher as _};
use std::slice;

use aws_sdk_dynamodb::config::Credentials;
use local::{Backends, Options, Stack, StreamChoice};
use shared::calls::dynamo::DynamoCalls;
use shared::calls::sweep::{DueCall, DuePage, DuePlace, DueStore, Shard};
use shared::calls::{
    Activated, Begun, Call, CallState, CallStore, CallType, EndReason, EndRequest, Ending, Mark,
    Marked, MemberSet, NewCall, Seen, TakenOver, Withdrawn,
};
use shared::clock::Timestamp;
use shared::config::StoreConfig;
use shared::ids::{CallId, UserId};
use shared::store::StoreError;

use crate::explore::{self, Chooser as _, Dice};
use crate::hash::Fnv;
use crate::mutants::Mutant;
use crate::sim::Sim;
use crate::store::Table;
use crate::world::World;

/// How much is asked in one sequence, before what is left is compared.
const LENGTH: usize = 40;
/// The first instant.
const BEGINNING: Timestamp = Timestamp::from_secs(1_767_225_600);
/// The attempts.
const ATTEMPTS: [&str; 2] = ["a", "b"];
/// What can come of what is asked, as [`outcome`] names it.
const OUTCOMES: usize = 38;

/// What a sequence is about. It is the sequence's own, as all of them share the real table.
struct Cast {
    shard: Shard,
    /// Both in the shard, in which there are no other calls.
    ids: [CallId; 2],
    members: [Vec<UserId>; 2],
}

impl Cast {
    fn of(shard: Shard) -> Self {
        let id = |letter: char| {
            let mut ids = (0..).map(|n| CallId::try_from(format!("{letter}{n}")).unwrap());
            ids.find(|id| Shard::of(id) == shard).unwrap()
        };
        let user = |name: &str| UserId::try_from(format!("{name}-{}", shard.number())).unwrap();
        Self {
            shard,
            ids: [id('x'), id('y')],
            members: [vec![user("alice"), user("bob")], vec![user("alice"), user("carol")]],
        }
    }

    fn new_call(&self, id: CallId) -> NewCall {
        let members = self.members[0].clone();
        NewCall {
            id,
            owner: members[0].clone(),
            members,
            call_type: CallType::Video,
            fingerprint: "f".to_owned(),
            parallel: false,
            attempt: "somebody else's".to_owned(),
            at: BEGINNING,
        }
    }
}

/// What is asked of a store.
#[derive(Debug)]
enum Op {
    Begin(NewCall),
    TakeOver(NewCall),
    Withdraw(CallId, &'static str),
    Activate(NewCall, Timestamp, Timestamp),
    End {
        id: CallId,
        by: Option<UserId>,
        reason: EndReason,
        at: Timestamp,
        due: Timestamp,
        unless_moved: Option<Seen<'static>>,
    },
    Finish(CallId, Timestamp),
    Get(CallId),
    Started(CallId, Timestamp),
    LookBy(CallId, Timestamp),
    LookNow(CallId, Timestamp),
    Mark {
        members: MemberSet,
        call: NewCall,
        at: Timestamp,
        over: Option<Mark>,
    },
    Unmark(MemberSet, CallId, Option<&'static str>),
    Load(Vec<CallId>),
    PutOff {
        id: CallId,
        seen: Timestamp,
        until: Timestamp,
        tries: u32,
    },
    Rest(CallId, Timestamp),
    Due {
        shard: Shard,
        now: Timestamp,
        after: Option<DuePlace>,
        most: u16,
    },
}

/// What a store answers; where it does not, the call as it is then.
#[derive(Debug, PartialEq)]
enum Answer {
    Begun(Begun),
    TakenOver(TakenOver),
    Withdrawn(Withdrawn),
    Activated(Activated),
    Ending(Ending),
    Call(Option<Call>),
    Marked(Marked),
    Unmarked,
    Loaded(Vec<DueCall>),
    Due(DuePage),
}

async fn carry_out<S: CallStore + DueStore>(store: &S, op: &Op) -> Result<Answer, StoreError> {
    Ok(match op {
        Op::Begin(new) => Answer::Begun(store.begin(new).await?),
        Op::TakeOver(new) => Answer::TakenOver(store.take_over(new).await?),
        Op::Withdraw(id, attempt) => Answer::Withdrawn(store.withdraw(id, attempt).await?),
        Op::Activate(new, at, due) => Answer::Activated(store.activate(new, *at, *due).await?),
        Op::End { id, by, reason, at, due, unless_moved } => {
            let (by, unless_moved) = (by.as_ref(), *unless_moved);
            let request = EndRequest { id, by, reason, at: *at, due: *due, unless_moved };
            Answer::Ending(store.end(request).await?)
        }
        Op::Finish(id, at) => Answer::Call(store.finish(id, *at).await?),
        Op::Get(id) => Answer::Call(store.get(id).await?),
        Op::Started(id, at) => {
            store.started(id, *at).await?;
            loaded(store, slice::from_ref(id)).await?
        }
        Op::LookBy(id, due) => {
            store.look_by(id, *due).await?;
            loaded(store, slice::from_ref(id)).await?
        }
        Op::LookNow(id, now) => {
            store.look_now(id, *now).await?;
            loaded(store, slice::from_ref(id)).await?
        }
        Op::Mark { members, call, at, over } => {
            Answer::Marked(store.mark(members, call, *at, over.as_ref()).await?)
        }
        Op::Unmark(members, id, attempt) => {
            store.unmark(members, id, *attempt).await?;
            Answer::Unmarked
        }
        Op::Load(ids) => loaded(store, ids).await?,
        Op::PutOff { id, seen, until, tries } => {
            store.put_off(id, *seen, *until, *tries).await?;
            loaded(store, slice::from_ref(id)).await?
        }
        Op::Rest(id, seen) => {
            store.rest(id, *seen).await?;
            loaded(store, slice::from_ref(id)).await?
        }
        Op::Due { shard, now, after, most } => {
            Answer::Due(store.due(*shard, *now, after.as_ref(), *most).await?)
        }
    })
}

/// The calls in the order of their ids: DynamoDB has none.
async fn loaded<S: DueStore>(store: &S, ids: &[CallId]) -> Result<Answer, StoreError> {
    let mut found = store.load(ids).await?;
    found.sort_by(|one, other| one.call.call_id.cmp(&other.call.call_id));
    Ok(Answer::Loaded(found))
}

/// Whether two answers say the same. DynamoDB does not look behind a page that is full, and says
/// that there is more.
fn agree(op: &Op, model: &Answer, real: &Answer) -> bool {
    match (op, model, real) {
        (Op::Due { most, .. }, Answer::Due(model), Answer::Due(real)) => {
            let full = real.places.len() == usize::from(*most);
            real.places == model.places && (real.more == model.more || (real.more && full))
        }
        _ => model == real,
    }
}

/// What came of something.
fn outcome(op: &Op, answer: &Answer, changed: bool) -> &'static str {
    match (op, answer) {
        (_, Answer::Begun(Begun::Started)) if changed => "begun",
        (_, Answer::Begun(Begun::Started)) => "begun, again",
        (_, Answer::Begun(Begun::Exists(_))) => "not begun: exists",
        (_, Answer::TakenOver(TakenOver::Taken)) => "taken over",
        (_, Answer::TakenOver(TakenOver::Moved(_))) => "not taken over: moved",
        (_, Answer::TakenOver(TakenOver::Gone)) => "not taken over: gone",
        (_, Answer::Withdrawn(Withdrawn::Removed)) if changed => "withdrawn",
        (_, Answer::Withdrawn(Withdrawn::Removed)) => "withdrawn, again",
        (_, Answer::Withdrawn(Withdrawn::Kept)) => "not withdrawn",
        (_, Answer::Activated(Activated::Now(_))) => "activated",
        (_, Answer::Activated(Activated::Was(_))) => "not activated",
        (_, Answer::Activated(Activated::Missing)) => "not activated: missing",
        (_, Answer::Ending(Ending::Now(_))) => "ending",
        (_, Answer::Ending(Ending::Was(_))) => "not ending",
        (_, Answer::Ending(Ending::Missing)) => "not ending: missing",
        (Op::Finish(..), Answer::Call(Some(_))) if changed => "finished",
        (Op::Finish(..), Answer::Call(Some(_))) => "finished, again",
        (Op::Finish(..), Answer::Call(None)) => "not finished",
        (_, Answer::Call(Some(_))) => "got",
        (_, Answer::Call(None)) => "not got",
        (_, Answer::Marked(Marked::Ours { alone: true })) => "marked, alone",
        (_, Answer::Marked(Marked::Ours { alone: false })) => "marked",
        (_, Answer::Marked(Marked::Theirs(_))) => "not marked",
        (_, Answer::Unmarked) if changed => "unmarked",
        (_, Answer::Unmarked) => "not unmarked",
        (_, Answer::Due(page)) if page.more => "a page of what is due",
        (_, Answer::Due(_)) => "the last of what is due",
        (Op::Started(..), _) if changed => "started",
        (Op::Started(..), _) => "not started",
        (Op::LookBy(..), _) if changed => "brought forward",
        (Op::LookBy(..), _) => "not brought forward",
        (Op::LookNow(..), _) if changed => "looked at now",
        (Op::LookNow(..), _) => "not looked at now",
        (Op::PutOff { .. }, _) if changed => "put off",
        (Op::PutOff { .. }, _) => "not put off",
        (Op::Rest(..), _) if changed => "at rest",
        (Op::Rest(..), _) => "not at rest",
        _ => "loaded",
    }
}

/// Makes up what is asked, with an eye on the model: by mere chance little would ever fit.
struct Play<'a> {
    dice: Dice<'a>,
    cast: &'a Cast,
    sim: &'a Sim,
}

impl Play<'_> {
    /// Anything, of either call.
    fn any(&mut self) -> Op {
        let call = self.dice.choose(2);
        let id = self.cast.ids[call].clone();
        match self.dice.choose(20) {
            0..=2 => self.next(call),
            3 => Op::Begin(self.new_call(call)),
            4 => Op::TakeOver(self.new_call(call)),
            5 => Op::Withdraw(id, self.attempt()),
            6 => Op::Activate(self.new_call(call), self.time(call), self.time(call)),
            7 => self.end(call),
            8 => Op::Finish(id, self.time(call)),
            9 => Op::Get(id),
            10 => Op::Started(id, self.time(call)),
            11 if self.coin() => Op::LookNow(id, self.time(call)),
            11 => Op::LookBy(id, self.time(call)),
            12 | 13 => self.mark(call),
            14 => {
                let attempt = self.attempt();
                let attempt = self.coin().then_some(attempt);
                Op::Unmark(self.members(), id, attempt)
            }
            15 => Op::Load(self.cast.ids.to_vec()),
            16 => {
                let tries = u32::try_from(self.dice.choose(3)).unwrap();
                Op::PutOff { id, seen: self.seen(call), until: self.time(call), tries }
            }
            17 => Op::Rest(id, self.seen(call)),
            _ => self.due(call),
        }
    }

    /// What comes next in the life of a call.
    fn next(&mut self, call: usize) -> Op {
        let id = self.cast.ids[call].clone();
        let found = self.sim.lock().world.items.get(&id).cloned();
        let (new, at, due) = (self.new_call(call), self.time(call), self.time(call));
        let Some(found) = found else { return Op::Begin(new) };
        match found.call.state {
            CallState::Creating => {
                Op::Activate(NewCall { fingerprint: found.call.fingerprint, ..new }, at, due)
            }
            CallState::Active => {
                let reason = EndReason::default();
                Op::End { id, by: None, reason, at, due, unless_moved: None }
            }
            CallState::Ending => Op::Finish(id, at),
            CallState::Ended => Op::Rest(id, found.due_at.unwrap_or(at)),
        }
    }

    fn end(&mut self, call: usize) -> Op {
        let by = match self.dice.choose(3) {
            0 => None,
            n => self.cast.members[n - 1].last().cloned(),
        };
        let unless_moved = match self.dice.choose(3) {
            0 => None,
            1 => Some(Seen::Due(self.seen(call))),
            _ => Some(Seen::Attempt(self.attempt())),
        };
        Op::End {
            id: self.cast.ids[call].clone(),
            by,
            reason: EndReason::LEFT.into(),
            at: self.time(call),
            due: self.time(call),
            unless_moved,
        }
    }

    fn mark(&mut self, call: usize) -> Op {
        let members = self.members();
        let found = self.sim.lock().world.marks.get(&members).map(|found| found.mark.clone());
        let other = Mark { call: self.cast.ids[1 - call].clone(), at: self.time(call) };
        let over = match self.dice.choose(3) {
            0 => None,
            1 => found,
            _ => Some(other),
        };
        Op::Mark { members, call: self.new_call(call), at: self.time(call), over }
    }

    fn due(&mut self, call: usize) -> Op {
        let now = self.within(call, 25);
        let id = self.cast.ids[call].clone();
        let due_at = match self.dice.choose(3) {
            0 => None,
            1 => self.due_at(call),
            _ => Some(self.time(call)),
        };
        // Nothing is asked for behind a place that is not due itself; DynamoDB would refuse to.
        let after = due_at.filter(|due_at| *due_at <= now).map(|due_at| DuePlace { due_at, id });
        let most = [1, 2, 100][self.dice.choose(3)];
        Op::Due { shard: self.cast.shard, now, after, most }
    }

    fn new_call(&mut self, call: usize) -> NewCall {
        NewCall {
            members: self.cast.members[self.dice.choose(2)].clone(),
            call_type: if self.coin() { CallType::Video } else { CallType::Voice },
            fingerprint: ["f", "g"][self.dice.choose(2)].to_owned(),
            parallel: self.coin(),
            attempt: self.attempt().to_owned(),
            at: self.time(call),
            ..self.cast.new_call(self.cast.ids[call].clone())
        }
    }

    fn coin(&mut self) -> bool {
        self.dice.choose(2) == 0
    }

    fn attempt(&mut self) -> &'static str {
        ATTEMPTS[self.dice.choose(2)]
    }

    fn members(&mut self) -> MemberSet {
        MemberSet::of(&self.cast.members[self.dice.choose(2)])
    }

    /// One of few instants, so that many fall together.
    fn time(&mut self, call: usize) -> Timestamp {
        self.within(call, 6)
    }

    /// One of so many instants, which are not the other call's: what is due at the same time has
    /// no order at DynamoDB.
    fn within(&mut self, call: usize, instants: usize) -> Timestamp {
        let millis = i64::try_from(self.dice.choose(instants) * 10_000 + call).unwrap();
        Timestamp::from_millis(BEGINNING.as_millis() + millis)
    }

    /// When the call is due, or was perhaps.
    fn seen(&mut self, call: usize) -> Timestamp {
        let perhaps = self.time(call);
        if self.coin() { self.due_at(call).unwrap_or(perhaps) } else { perhaps }
    }

    fn due_at(&self, call: usize) -> Option<Timestamp> {
        self.sim.lock().world.items.get(&self.cast.ids[call]).and_then(|item| item.due_at)
    }
}

/// What shows everything that a sequence has left behind: the calls, the index, and whose the marks
/// are, by which attempt.
fn last(cast: &Cast) -> Vec<Op> {
    let now = Timestamp::from_secs(BEGINNING.as_secs() + 600);
    let mut ops = vec![
        Op::Load(cast.ids.to_vec()),
        Op::Due { shard: cast.shard, now, after: None, most: 100 },
    ];
    for members in &cast.members {
        let members = MemberSet::of(members);
        let mark = |name: &str| {
            let id = CallId::try_from(format!("{name}-{}", cast.shard.number())).unwrap();
            let (members, call) = (members.clone(), cast.new_call(id));
            Op::Mark { members, call, at: BEGINNING, over: None }
        };
        let unmark = |id: &CallId| Op::Unmark(members.clone(), id.clone(), Some(ATTEMPTS[0]));
        ops.push(mark("another"));
        ops.extend(cast.ids.iter().map(unmark));
        ops.push(mark("yet-another"));
    }
    ops
}

/// The two, side by side.
struct Pair<'a> {
    model: Table,
    real: &'a DynamoCalls,
    /// What they agreed on.
    asked: Vec<Op>,
}

impl Pair<'_> {
    /// Asks both the same: what came of it, if they agree.
    async fn ask(&mut self, op: Op) -> Result<&'static str, String> {
        let before = self.digest();
        let model = carry_out(&self.model, &op).await.unwrap();
        let changed = self.digest() != before;
        let real = carry_out(self.real, &op).await.unwrap();
        if !agree(&op, &model, &real) {
            let asked = &self.asked;
            return Err(format!("{op:?}\nmodel: {model:#?}\nreal: {real:#?}\nbefore: {asked:#?}"));
        }
        let outcome = outcome(&op, &model, changed);
        self.asked.push(op);
        Ok(outcome)
    }

    /// What is in the model's table, as a number.
    fn digest(&self) -> u64 {
        let core = self.model.sim.lock();
        let mut hash = Fnv::default();
        (&core.world.items, &core.world.marks).hash(&mut hash);
        hash.finish()
    }
}

/// Runs the sequence of a shard, whose number is its seed: everything that came of it, or where
/// the two do not agree.
async fn sequence(
    shard: Shard,
    mutant: Option<Mutant>,
    real: &DynamoCalls,
) -> Result<BTreeSet<&'static str>, String> {
    let cast = Cast::of(shard);
    let sim = Sim::new(World::new(BEGINNING), false);
    {
        let mut core = sim.lock();
        core.set_free(Some(u32::MAX));
        core.set_current(0);
    }
    let model = Table { sim: sim.clone(), mutant, shard };
    let mut pair = Pair { model, real, asked: Vec::new() };
    let seed = u64::from(shard.number());
    let mut unused = explore::Seen::default();
    let dice = Dice { state: seed, seen: &mut unused };
    let mut play = Play { dice, cast: &cast, sim: &sim };
    let mut outcomes = BTreeSet::new();
    let told = |what: String| format!("seed {seed}: {what}");
    for _ in 0..LENGTH {
        outcomes.insert(pair.ask(play.any()).await.map_err(told)?);
    }
    for op in last(&cast) {
        pair.ask(op).await.map_err(told)?;
    }
    Ok(outcomes)
}

/// The real table, empty, and what keeps it alive.
async fn dynamo() -> (DynamoCalls, Option<Backends>) {
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
    let http = shared::net::client().unwrap();
    let table = shared::dynamo::Table::with_credentials(&config, http, credentials);
    (DynamoCalls::new(table), backends)
}

#[tokio::test]
async fn the_model_and_dynamodb_are_one_machine() {
    let (real, _backends) = dynamo().await;
    let mut outcomes = BTreeSet::new();
    for shard in Shard::all() {
        match sequence(shard, None, &real).await {
            Ok(more) => outcomes.extend(more),
            Err(what) => panic!("{what}"),
        }
    }
    // Nothing that can come of anything was left out.
    assert_eq!(outcomes.len(), OUTCOMES, "{outcomes:#?}");
}

#[tokio::test]
async fn a_model_that_is_wrong_is_found_out() {
    /// Those that are wrong about the table, and not about Stream.
    const WRONG: [Mutant; 10] = [
        Mutant::MappingWrittenLast,
        Mutant::SweeperSkipsCreating,
        Mutant::UnconditionalActivate,
        Mutant::NoSecondLook,
        Mutant::IdsReusable,
        Mutant::SecondLookTooEarly,
        Mutant::WithdrawsAnything,
        Mutant::MarkTakenFromAnybody,
        Mutant::UnmarksAnybody,
        Mutant::SessionEndEndsTheCall,
    ];
    for mutant in WRONG {
        let (real, _backends) = dynamo().await;
        let mut found = false;
        for shard in Shard::all() {
            found = sequence(shard, Some(mutant), &real).await.is_err();
            if found {
                break;
            }
        }
        assert!(found, "{mutant} agrees with DynamoDB");
    }
}
