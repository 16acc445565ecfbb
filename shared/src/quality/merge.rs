//! The sources put together. A source that is silent is not spoken for: a score is only made where
//! latency, jitter and lost packets are all known, and Stream never tells of the last. With it
//! alone there is none: a call that lost every third word would pass for an excellent one.

use std::collections::{BTreeMap, BTreeSet};

use crate::calls::Call;
use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::quality::answer::{
    Metrics, Missing, Participant, Quality, Rated, Ratings, SampleWord, Verdict, Way,
};
use crate::quality::batch::Batch;
use crate::quality::emodel::Impairment;
use crate::quality::evidence::{Evidence, KeptRating};
use crate::quality::sample::Direction;
use crate::quality::stream::{Live, Source};
use crate::quality::timeline::{Row, Spans, timeline, worst_stretch};
use crate::quality::track::{Moment, Person, frozen_percent, metrics, people};
use crate::quality::unit::rounded;
use crate::quality::{mean, stream};
use crate::stream::ops::ParticipantStats;

/// Puts the sources together. `sees` says whose own words about a rating may be shown.
#[must_use]
pub fn merge(
    call: &Call,
    evidence: Evidence,
    live: Live,
    sees: impl Fn(&UserId) -> bool,
    now: Timestamp,
) -> Quality {
    let Evidence { batches, reports, ratings, cut } = evidence;
    let stream = Source::of(live, &reports);
    let count = batches.iter().map(|Batch { samples, .. }| samples.len()).sum();
    let people = people(batches, call);
    let spans = Spans::over(&people);
    let rows: BTreeMap<UserId, Row> = spans.map_or_else(BTreeMap::new, |spans| {
        people.iter().map(|(user, person)| (user.clone(), spans.row(person))).collect()
    });
    let mut judged = judge(&people, &stream.participants);
    // The worst first; the unknown, whom nobody can call better, last.
    judged.sort_by(|a, b| {
        let by = |it: &Judged| (it.participant.verdict.r.unwrap_or(f64::MAX), it.stream_score());
        let (a, b) = (by(a), by(b));
        a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    let impairments: Vec<Impairment> = judged.iter().filter_map(|it| it.impairment).collect();
    let mut participants: Vec<Participant> = judged.into_iter().map(|it| it.participant).collect();
    for participant in &mut participants {
        let row = UserId::try_from(participant.user_id.clone()).ok();
        if let (Some(row), Some(spans)) = (row.and_then(|user| rows.get(&user)), spans) {
            participant.timeline = row.scores();
            participant.freezes = row.freezes(spans);
        }
    }
    let metrics = together(&participants);
    let known = !participants.is_empty() || stream.is_known();
    let sources =
        [("samples", count > 0), ("stream", stream.is_known()), ("ratings", !ratings.is_empty())];
    Quality {
        call_id: call.call_id.clone(),
        verdict: overall(&impairments, &metrics, known),
        metrics,
        worst_participant: worst(&participants),
        participants,
        worst_stretch: spans.and_then(|spans| worst_stretch(&rows, spans)),
        stream: stream.word,
        ratings: rated(ratings, sees),
        samples: SampleWord { count, complete: !cut },
        sources: sources.into_iter().filter_map(|(name, used)| used.then_some(name)).collect(),
        timeline: spans.map(|spans| timeline(&rows, spans)),
        timestamp: now,
    }
}

/// A participant with what the score is made of.
struct Judged {
    participant: Participant,
    impairment: Option<Impairment>,
}

impl Judged {
    fn stream_score(&self) -> f64 {
        self.participant.stream_score.unwrap_or(f64::MAX)
    }
}

/// Everybody whom any source knows.
fn judge(people: &BTreeMap<UserId, Person>, told: &[ParticipantStats]) -> Vec<Judged> {
    let told: BTreeMap<&str, &ParticipantStats> =
        told.iter().map(|one| (one.user_id.as_str(), one)).collect();
    let people: BTreeMap<&str, &Person> =
        people.iter().map(|(user, person)| (user.as_str(), person)).collect();
    let users: BTreeSet<&str> = people.keys().chain(told.keys()).copied().collect();
    let of = |user: &str| judge_one(user, people.get(user).copied(), told.get(user).copied());
    users.into_iter().map(of).collect()
}

fn judge_one(user: &str, person: Option<&Person>, told: Option<&ParticipantStats>) -> Judged {
    let sessions = told.map(|one| one.sessions.as_slice()).unwrap_or_default();
    let streams = stream::metrics(sessions);
    let way = |track: fn(&Person) -> &Vec<Moment>| {
        let moments = person.map(track).filter(|moments| !moments.is_empty())?;
        Some(one_way(moments, &streams))
    };
    let inbound = way(|person| &person.inbound);
    let outbound = way(|person| &person.outbound);
    // The worse of the two; what is known before what is not; what is heard before what is said.
    let r = |way: &(Way, Option<Impairment>)| way.0.verdict.r.unwrap_or(f64::MAX);
    let ways = [(Direction::Inbound, &inbound), (Direction::Outbound, &outbound)];
    let ways = ways.into_iter().filter_map(|(direction, way)| Some((direction, way.as_ref()?)));
    let worse = ways.min_by(|a, b| r(a.1).total_cmp(&r(b.1)));
    let (direction, verdict, metrics, impairment) = match worse {
        Some((direction, (way, impairment))) => {
            (Some(direction), way.verdict.clone(), way.metrics, *impairment)
        }
        None => (None, Verdict::unknown(missing(&streams)), streams, None),
    };
    // What stood still is what was seen, whichever way is the worse.
    let seen = inbound.as_ref().map_or(metrics, |(way, _)| way.metrics);
    let metrics = Metrics { freezes: seen.freezes, freeze_count: seen.freeze_count, ..metrics };
    let participant = Participant {
        user_id: user.to_owned(),
        name: told.and_then(|one| one.name.clone()),
        platform: person.and_then(|person| person.platform),
        direction,
        verdict,
        metrics,
        inbound: inbound.map(|(way, _)| way),
        outbound: outbound.map(|(way, _)| way),
        stream_score: stream::score(sessions),
        stays: stream::stays(sessions),
        freezes: Vec::new(),
        timeline: Vec::new(),
    };
    Judged { participant, impairment }
}

/// One way by its samples; Stream's figures stand in for what the samples do not say.
fn one_way(moments: &[Moment], streams: &Metrics) -> (Way, Option<Impairment>) {
    let own = metrics(moments);
    let metrics = Metrics {
        latency: own.latency.or(streams.latency),
        round_trip_time: own.round_trip_time.or(streams.round_trip_time),
        jitter: own.jitter.or(streams.jitter),
        freezes: own.freezes.or(streams.freezes),
        ..own
    };
    let impairment = impairment(&metrics, frozen_percent(moments).unwrap_or_default());
    let verdict = match impairment {
        Some(impairment) => Verdict::known(impairment.score(), impairment.costs()),
        None => Verdict::unknown(missing(&metrics)),
    };
    (Way { verdict, metrics }, impairment)
}

/// What goes into a score, where all of it is known.
fn impairment(metrics: &Metrics, frozen_percent: f64) -> Option<Impairment> {
    Some(Impairment {
        latency_ms: metrics.latency?,
        jitter_ms: metrics.jitter?,
        loss_percent: metrics.packet_loss?,
        frozen_percent,
    })
}

/// Why these figures make no score.
fn missing(metrics: &Metrics) -> Missing {
    match (metrics.packet_loss, metrics.latency, metrics.jitter) {
        (None, None, None) => Missing::Data,
        (None, _, _) => Missing::PacketLoss,
        (Some(_), None, _) => Missing::Latency,
        (Some(_), Some(_), _) => Missing::Jitter,
    }
}

/// The score of the mean impairment of everybody who has one.
fn overall(impairments: &[Impairment], metrics: &Metrics, known: bool) -> Verdict {
    let mean_of =
        |figure: fn(&Impairment) -> f64| mean(&impairments.iter().map(figure).collect::<Vec<_>>());
    let together = || {
        Some(Impairment {
            latency_ms: mean_of(|it| it.latency_ms)?,
            jitter_ms: mean_of(|it| it.jitter_ms)?,
            loss_percent: mean_of(|it| it.loss_percent)?,
            frozen_percent: mean_of(|it| it.frozen_percent)?,
        })
    };
    match together() {
        Some(impairment) => Verdict::known(impairment.score(), impairment.costs()),
        None if !known => Verdict::unknown(Missing::Data),
        None => Verdict::unknown(match missing(metrics) {
            // Something is known of the call, if only Stream's own score.
            Missing::Data => Missing::PacketLoss,
            other => other,
        }),
    }
}

/// Means over the participants; sums of what is counted.
fn together(participants: &[Participant]) -> Metrics {
    let values = |figure: fn(&Metrics) -> Option<f64>| {
        participants.iter().filter_map(|one| figure(&one.metrics)).collect::<Vec<f64>>()
    };
    let mean = |figure| mean(&values(figure)).map(rounded);
    let sum = |figure| {
        let values = values(figure);
        (!values.is_empty()).then(|| rounded(values.iter().sum()))
    };
    Metrics {
        latency: mean(|it| it.latency),
        round_trip_time: mean(|it| it.round_trip_time),
        jitter: mean(|it| it.jitter),
        packet_loss: mean(|it| it.packet_loss),
        freezes: sum(|it| it.freezes),
        freeze_count: sum(|it| it.freeze_count),
        connection_stability: mean(|it| it.connection_stability),
        video_quality: mean(|it| it.video_quality),
        frame_rate: mean(|it| it.frame_rate),
        bitrate: mean(|it| it.bitrate),
        audio_level: mean(|it| it.audio_level),
        concealment: mean(|it| it.concealment),
        limited_by_cpu: mean(|it| it.limited_by_cpu),
        limited_by_bandwidth: mean(|it| it.limited_by_bandwidth),
    }
}

/// Whoever has the lowest score of ours; where nobody has one, of Stream's.
fn worst(participants: &[Participant]) -> Option<String> {
    let lowest = |score: fn(&Participant) -> Option<f64>| {
        let scored = participants.iter().filter_map(|one| Some((score(one)?, &one.user_id)));
        scored.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, user)| user.clone())
    };
    lowest(|one| one.verdict.r).or_else(|| lowest(|one| one.stream_score))
}

fn rated(ratings: Vec<KeptRating>, sees: impl Fn(&UserId) -> bool) -> Ratings {
    let average = mean(&ratings.iter().map(|it| f64::from(it.rating)).collect::<Vec<_>>());
    let count = ratings.len();
    let each = ratings.into_iter().filter(|it| sees(&it.user));
    let each =
        each.map(|KeptRating { user, rating, reason }| Rated { user_id: user, rating, reason });
    Ratings { average: average.map(rounded), count, each: each.collect() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::calls::{CallState, CallType, NewCall};
    use crate::ids::{BatchId, CallId};
    use crate::quality::Platform;
    use crate::quality::emodel::Score;
    use crate::quality::evidence::KeptReport;
    use crate::quality::sample::{Reported, Sample};

    const START: i64 = 1_767_225_600;

    fn user(name: &str) -> UserId {
        UserId::try_from(name.to_owned()).unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(START + seconds)
    }

    fn call() -> Call {
        let new = NewCall {
            id: CallId::try_from("c1".to_owned()).unwrap(),
            owner: user("alice"),
            members: vec![user("alice"), user("bob")],
            call_type: CallType::Video,
            fingerprint: "f".to_owned(),
            parallel: false,
            attempt: "a".to_owned(),
            at: at(0),
        };
        Call { state: CallState::Active, active_at: Some(at(0)), ..Call::begun(&new) }
    }

    fn sample(said: Value) -> Sample {
        serde_json::from_value::<Reported>(said).unwrap().into()
    }

    /// Samples every five seconds, sent every thirty; `says` is each one's figures.
    fn batches(name: &str, seconds: i64, says: impl Fn(i64) -> Value) -> Vec<Batch> {
        let batch = |end: i64| {
            let times = (0..6).map(|n| end - 25 + 5 * n);
            let samples = times.map(|time| {
                let mut said = says(time);
                said["timestamp"] = json!(at(time).as_millis());
                sample(said)
            });
            Batch {
                id: BatchId::try_from(format!("{name}-{end}")).unwrap(),
                user: user(name),
                platform: Some(Platform::Ios),
                received_at: at(end),
                samples: samples.collect(),
            }
        };
        (1..=seconds / 30).map(|n| batch(n * 30)).collect()
    }

    fn good(_: i64) -> Value {
        json!({"roundTripTime": 0.1, "jitter": 0.005, "packetsLost": 0, "packetsReceived": 250})
    }

    /// Five per cent lost from the sixth to the sixteenth minute.
    fn lossy(time: i64) -> Value {
        let mut said = good(time);
        if (360..960).contains(&(time - 1)) {
            said["packetsLost"] = json!(25);
            said["packetsReceived"] = json!(475);
        }
        said
    }

    fn evidence(batches: Vec<Batch>) -> Evidence {
        Evidence { batches, ..Evidence::default() }
    }

    fn answer(evidence: Evidence, live: Live) -> Value {
        let sees = |who: &UserId| *who == user("alice");
        serde_json::to_value(merge(&call(), evidence, live, sees, at(1_200))).unwrap()
    }

    fn stats(name: &str, latency: f64, jitter: f64, score: f64) -> Value {
        json!({
            "user_id": name,
            "name": name.to_uppercase(),
            "sessions": [{
                "latency_ms": latency, "jitter_ms": jitter, "cq_score": score,
                "freezes_duration_ms": 250,
                "started_at": at(5).to_string(), "ended_at": at(1_190).to_string(),
            }],
        })
    }

    fn live(participants: &[Value]) -> Live {
        let report = json!({
            "session_id": "s1",
            "report": {"call": {"score": 87}, "user_ratings": {"average": 4.5, "count": 2}},
        });
        Live::Said {
            report: Some(serde_json::from_value(report).unwrap()),
            participants: serde_json::from_value(json!(participants)).unwrap(),
        }
    }

    #[test]
    fn no_data_is_unknown_and_nothing_is_made_up() {
        let nothing = Live::Said { report: None, participants: Vec::new() };
        for (live, reachable) in [(nothing, true), (Live::Away, false)] {
            let found = answer(Evidence::default(), live);
            assert_eq!(found["quality"], "unknown");
            assert_eq!(found["reason"], "no_data");
            for key in ["score", "r", "model", "worstParticipant", "worstStretch", "timeline"] {
                assert!(found[key].is_null(), "{key}");
            }
            for (key, value) in found["metrics"].as_object().unwrap() {
                assert!(value.is_null(), "{key}");
            }
            assert_eq!(found["stream"]["reachable"], reachable);
            assert_eq!(found["stream"]["from"], json!(null));
            for key in ["participants", "reasons", "sources"] {
                assert_eq!(found[key], json!([]), "{key}");
            }
            assert_eq!(found["ratings"], json!({"average": null, "count": 0, "each": []}));
        }
    }

    #[test]
    fn stream_alone_makes_no_score() {
        let people = [stats("alice", 100.0, 5.0, 93.0), stats("bob", 600.0, 50.0, 41.0)];
        let found = answer(Evidence::default(), live(&people));
        assert_eq!(found["metrics"]["roundTripTime"], 350.0);
        assert_eq!(found["metrics"]["latency"], 175.0);
        assert_eq!(found["metrics"]["jitter"], 27.5);
        assert_eq!(found["metrics"]["freezes"], 500.0);
        assert!(found["metrics"]["packetLoss"].is_null());
        let said = (&found["quality"], &found["reason"], &found["score"]);
        assert_eq!(said, (&json!("unknown"), &json!("no_packet_loss"), &json!(null)));
        assert_eq!(found["worstParticipant"], "bob");
        assert_eq!(found["participants"][0]["userId"], "bob");
        assert_eq!(found["participants"][0]["streamScore"], 41.0);
        assert_eq!(found["participants"][0]["reason"], "no_packet_loss");
        assert_eq!(found["participants"][0]["stays"][0]["joinedAt"], at(5).to_string());
        assert_eq!(found["stream"]["score"], 87.0);
        assert_eq!(found["stream"]["from"], "live");
        assert_eq!(found["sources"], json!(["stream"]));
    }

    #[test]
    fn samples_alone_name_the_person_the_reason_and_the_time() {
        let mut all = batches("alice", 1_200, good);
        all.extend(batches("bob", 1_200, lossy));
        let found = answer(evidence(all), Live::Away);
        let bob = &found["participants"][0];
        // 93.2 - (50 + 2 * 5 + 10) / 40 - 2.5 * 2.5
        assert_eq!((&bob["userId"], &bob["r"]), (&json!("bob"), &json!(85.2)));
        assert_eq!(bob["reasons"][0], json!({"cause": "loss", "cost": 6.25}));
        assert_eq!((&bob["direction"], &bob["outbound"]), (&json!("inbound"), &json!(null)));
        assert_eq!(bob["platform"], "ios");
        assert_eq!(found["participants"][1]["r"], 91.45);
        assert_eq!(found["participants"][1]["quality"], "excellent");
        // The mean of both: 1.25 % lost.
        assert_eq!((&found["r"], &found["quality"]), (&json!(88.325), &json!("good")));
        assert_eq!(found["model"], "g107-field-1");
        assert_eq!(found["worstParticipant"], "bob");
        let stretch = &found["worstStretch"];
        assert_eq!((&stretch["userId"], &stretch["cause"]), (&json!("bob"), &json!("loss")));
        assert_eq!(stretch["from"], at(360).to_string());
        assert_eq!(stretch["to"], at(960).to_string());
        assert_eq!(found["timeline"]["stepSeconds"], 5);
        let points = found["timeline"]["points"].as_array().unwrap();
        assert_eq!(points.len(), 240);
        assert_eq!(
            (&points[71]["packetLoss"], &points[72]["packetLoss"]),
            (&json!(0.0), &json!(5.0))
        );
        assert_eq!(points[191]["userId"], "bob");
        assert_eq!(bob["timeline"].as_array().unwrap().len(), 240);
        assert_eq!(found["samples"], json!({"count": 480, "complete": true}));
        assert_eq!(found["sources"], json!(["samples"]));
    }

    #[test]
    fn streams_figures_stand_in_for_what_samples_do_not_say() {
        let lost = |_| json!({"packetsLost": 2, "packetsReceived": 98});
        let people = [stats("alice", 100.0, 5.0, 93.0)];
        let found = answer(evidence(batches("alice", 60, lost)), live(&people));
        let alice = &found["participants"][0];
        assert_eq!(alice["metrics"]["packetLoss"], 2.0);
        assert_eq!(alice["r"], 86.45);
        assert_eq!(alice["name"], "ALICE");
        assert_eq!(found["sources"], json!(["samples", "stream"]));
        // Of when it was, Stream's figures say nothing.
        assert!(found["timeline"]["points"][0]["score"].is_null());
        let alone = answer(evidence(batches("alice", 60, lost)), Live::Away);
        assert_eq!((&alone["reason"], &alone["score"]), (&json!("no_latency"), &json!(null)));
        let no_jitter = |_| json!({"latency": 0.05, "packetsLost": 2, "packetsReceived": 98});
        let found = answer(evidence(batches("alice", 60, no_jitter)), Live::Away);
        assert_eq!(found["reason"], "no_jitter");
    }

    #[test]
    fn without_stream_its_stored_word_is_told() {
        let figures = json!({
            "counts": {"cq_score": 71, "avg_user_rating": 3.5},
            "participants": [stats("alice", 100.0, 5.0, 93.0)],
        });
        let kept = |at, figures: Option<String>| KeptReport { at, session: "s1".into(), figures };
        let reports = vec![kept(at(1_000), Some(figures.to_string())), kept(at(1_100), None)];
        let stored = Evidence { reports, ..Evidence::default() };
        let found = answer(stored.clone(), Live::Away);
        assert_eq!(found["stream"]["score"], 71.0);
        assert_eq!(found["stream"]["userRating"], 3.5);
        assert_eq!(found["stream"]["from"], "stored");
        assert_eq!(found["stream"]["reachable"], false);
        assert_eq!(found["participants"][0]["metrics"]["latency"], 50.0);
        // What Stream says now goes first, and what it leaves out is taken from then.
        let found = answer(stored.clone(), live(&[]));
        assert_eq!(
            (&found["stream"]["score"], &found["stream"]["from"]),
            (&json!(87.0), &json!("live"))
        );
        assert_eq!(found["participants"][0]["userId"], "alice");
        // A report that says nothing yet takes nothing away.
        let empty = json!({"session_id": "", "report": {"call": {}, "user_ratings": {"count": 0}}});
        let empty = Live::Said {
            report: Some(serde_json::from_value(empty).unwrap()),
            participants: Vec::new(),
        };
        let found = answer(stored, empty.clone());
        assert_eq!(found["stream"]["score"], 71.0);
        let nothing = answer(Evidence::default(), empty);
        assert_eq!((&nothing["reason"], &nothing["sources"]), (&json!("no_data"), &json!([])));
        let broken =
            Evidence { reports: vec![kept(at(0), Some("[]".into()))], ..Evidence::default() };
        assert_eq!(answer(broken, Live::Away)["reason"], "no_data");
    }

    #[test]
    fn everybody_sees_the_ratings_and_only_their_own_words() {
        let rating = |name: &str, rating| KeptRating {
            user: user(name),
            rating,
            reason: Some(format!("by {name}")),
        };
        let ratings = vec![rating("alice", 5), rating("bob", 2)];
        let found = answer(Evidence { ratings, ..Evidence::default() }, Live::Away);
        let own = json!([{"userId": "alice", "rating": 5, "reason": "by alice"}]);
        assert_eq!(found["ratings"], json!({"average": 3.5, "count": 2, "each": own}));
        assert_eq!(found["sources"], json!(["ratings"]));
    }

    #[test]
    fn a_frozen_picture_is_a_reason_and_is_shown_in_its_place() {
        let frozen = |time: i64| {
            let mut said = good(time);
            said["totalFreezesDuration"] = json!(if time == 600 { 4.0 } else { 0.0 });
            said
        };
        let found = answer(evidence(batches("bob", 1_200, frozen)), Live::Away);
        let bob = &found["participants"][0];
        let freezes = json!([{"at": at(595).to_string(), "duration": 4_000.0}]);
        assert_eq!(bob["freezes"], freezes);
        assert_eq!(bob["metrics"]["freezes"], 4_000.0);
        // A third of a per cent of the time.
        assert!(
            bob["reasons"]
                .as_array()
                .unwrap()
                .contains(&json!({"cause": "freezes", "cost": 0.833}))
        );
        assert_eq!(found["worstStretch"]["cause"], "freezes");
    }

    #[test]
    fn an_even_call_has_no_worst_stretch() {
        let bad = |_| json!({"roundTripTime": 0.3, "jitter": 0.05, "fractionLost": 0.1});
        let found = answer(evidence(batches("bob", 600, bad)), Live::Away);
        assert_eq!(
            (&found["worstStretch"], &found["worstParticipant"]),
            (&json!(null), &json!("bob"))
        );
    }

    #[test]
    fn the_worse_way_speaks_for_a_person() {
        let mut all = batches("bob", 60, good);
        let out = |time| {
            let mut said = good(time);
            said["direction"] = json!("outbound");
            said["packetsLost"] = json!(50);
            said
        };
        all.extend(batches("bob", 60, out).into_iter().map(|batch| {
            let id = format!("out-{}", batch.id.as_str());
            Batch { id: BatchId::try_from(id).unwrap(), ..batch }
        }));
        let found = answer(evidence(all), Live::Away);
        let bob = &found["participants"][0];
        assert_eq!(bob["direction"], "outbound");
        assert_eq!(
            (&bob["inbound"]["r"], &bob["score"]),
            (&json!(91.45), &bob["outbound"]["score"])
        );
    }

    proptest! {
        /// However long a call is and whenever its one bad moment was, the time line shows it.
        #[test]
        fn the_worst_is_never_hidden(minutes in 1_i64..600, bad in 0_i64..1_000) {
            let seconds = minutes * 60;
            let bad = (bad * seconds / 5_000) * 5 + 5;
            let spiky = move |time: i64| {
                let mut said = good(time);
                if time == bad {
                    said["fractionLost"] = json!(0.2);
                    said["packetsLost"] = json!(50);
                    said["packetsReceived"] = json!(200);
                }
                said
            };
            let found = answer(evidence(batches("bob", seconds, spiky)), Live::Away);
            let points = found["timeline"]["points"].as_array().unwrap();
            prop_assert!(points.len() <= 240);
            let worst = points.iter().filter_map(|point| point["packetLoss"].as_f64());
            prop_assert!((worst.fold(0.0, f64::max) - 20.0).abs() < 1e-9);
            // 20 % lost for five seconds: R is 41.45.
            let lowest = |scores: &[Value], key: Option<&str>| {
                let score = |it: &Value| key.map_or(it, |key| &it[key]).as_f64();
                scores.iter().filter_map(score).fold(f64::MAX, f64::min)
            };
            let row = found["participants"][0]["timeline"].as_array().unwrap();
            for score in [lowest(points, Some("score")), lowest(row, None)] {
                prop_assert!((score - Score::of_r(41.45).mos).abs() < 0.001, "{score}");
            }
        }

        /// Whatever an app may send, no number comes out that is none.
        #[test]
        fn every_figure_is_a_number(samples in proptest::collection::vec(any_sample(), 1..20)) {
            let batch = Batch {
                id: BatchId::try_from("b".to_owned()).unwrap(),
                user: user("bob"),
                platform: None,
                received_at: at(100),
                samples,
            };
            let sees = |_: &UserId| true;
            let found = merge(&call(), evidence(vec![batch]), Live::Away, sees, at(100));
            let score = found.verdict.score;
            prop_assert!(score.is_none_or(|mos| (1.0..=4.5).contains(&mos)), "{score:?}");
            let metrics = serde_json::to_value(found.metrics).unwrap();
            for (name, value) in metrics.as_object().unwrap() {
                let good = value.as_f64().is_none_or(|value| value.is_finite() && value >= 0.0);
                prop_assert!(good, "{name} {value}");
            }
            prop_assert!(found.timeline.is_none_or(|line| line.points.len() <= 240));
        }
    }

    prop_compose! {
        fn any_sample()(
            time in 0_i64..3_600_000,
            outbound in any::<bool>(),
            trip in proptest::option::of(0.0..60.0_f64),
            jitter in proptest::option::of(0.0..60.0_f64),
            lost in proptest::option::of(0.0..1e7_f64),
            received in proptest::option::of(0.0..1e7_f64),
            frozen in proptest::option::of(0.0..60.0_f64),
        ) -> Sample {
            sample(json!({
                "timestamp": START * 1000 + time,
                "direction": if outbound { "outbound" } else { "inbound" },
                "roundTripTime": trip,
                "jitter": jitter,
                "packetsLost": lost,
                "packetsReceived": received,
                "totalFreezesDuration": frozen,
            }))
        }
    }
}
