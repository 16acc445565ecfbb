//! A call over time: so many spans of the same length that a picture can show them, and nothing
//! that was bad lost on the way, since each span shows its worst moment.

use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::quality::answer::{Cause, Freeze, Point, Stretch, Timeline};
use crate::quality::emodel::{Costs, Score};
use crate::quality::mean;
use crate::quality::track::{Moment, Person};
use crate::quality::unit::{Millis, Percent, rounded};

/// The most spans that there are.
const MOST: i64 = 240;
/// The shortest that they are, in milliseconds: the documented distance of samples.
const SHORTEST: i64 = 5_000;
/// How much lower than the rest of the time R must be for a stretch to be worth a word.
const WORTH_A_WORD: f64 = 5.0;

/// The spans of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spans {
    from: i64,
    step: i64,
    count: usize,
}

/// The worst moment of a person in a span.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Worst {
    r: f64,
    costs: Costs,
}

/// One person's spans.
#[derive(Clone, Debug)]
pub(super) struct Row {
    worst: Vec<Option<Worst>>,
    latency: Vec<Option<f64>>,
    jitter: Vec<Option<f64>>,
    loss: Vec<Option<f64>>,
    frozen: Vec<f64>,
}

impl Spans {
    /// Spans for everything that was measured; `None` where nothing was.
    pub(super) fn over(people: &BTreeMap<UserId, Person>) -> Option<Self> {
        let moments = || people.values().flat_map(Person::moments);
        let from = moments().map(|it| it.at.as_millis() - it.span).min()?;
        let to = moments().map(|it| it.at.as_millis()).max()?;
        let ceiling = |length: i64, part: i64| (length + part - 1) / part;
        // Whole seconds, so that a reader can count them.
        let step = (ceiling(to - from, MOST * 1000) * 1000).max(SHORTEST);
        let count = usize::try_from(ceiling(to - from, step)).unwrap_or(1).max(1);
        Some(Self { from, step, count })
    }

    /// One person's spans.
    pub(super) fn row(self, person: &Person) -> Row {
        let empty = || vec![None; self.count];
        let mut row = Row {
            worst: vec![None; self.count],
            latency: empty(),
            jitter: empty(),
            loss: empty(),
            frozen: vec![0.0; self.count],
        };
        for moment in person.moments() {
            row.take(moment, self);
        }
        row
    }

    /// When a span begins.
    fn start(self, place: usize) -> Timestamp {
        let place = i64::try_from(place).unwrap_or(i64::MAX);
        Timestamp::from_millis(self.from.saturating_add(self.step.saturating_mul(place)))
    }

    /// The spans that a moment speaks for.
    fn of(self, moment: &Moment) -> std::ops::RangeInclusive<usize> {
        let at = moment.at.as_millis();
        let place = |time: i64| {
            let place = (time - self.from).max(0) / self.step;
            usize::try_from(place).unwrap_or(0).min(self.count - 1)
        };
        place(at - moment.span)..=place(at - 1)
    }
}

impl Row {
    fn take(&mut self, moment: &Moment, spans: Spans) {
        let sample = &moment.sample;
        let worst = moment
            .impairment
            .map(|impairment| Worst { r: impairment.score().r, costs: impairment.costs() });
        let raise = |places: &mut [Option<f64>], at: usize, value: Option<f64>| {
            if let (Some(place), Some(value)) = (places.get_mut(at), value) {
                *place = Some(place.map_or(value, |found| found.max(value)));
            }
        };
        let of = spans.of(moment);
        if let (Some(place), Some(frozen)) = (self.frozen.get_mut(*of.end()), sample.frozen) {
            // A freeze is put where it ended; its duration says since when it lasted.
            *place += frozen.get();
        }
        for at in of {
            raise(&mut self.latency, at, sample.one_way().map(Millis::get));
            raise(&mut self.jitter, at, sample.jitter.map(Millis::get));
            raise(&mut self.loss, at, sample.loss.map(Percent::get));
            if let (Some(place), Some(worst)) = (self.worst.get_mut(at), worst)
                && place.is_none_or(|found| worst.r < found.r)
            {
                *place = Some(worst);
            }
        }
    }

    /// The lowest score in each span.
    pub(super) fn scores(&self) -> Vec<Option<f64>> {
        let mos = |worst: Worst| rounded(Score::of_r(worst.r).mos);
        self.worst.iter().map(|worst| worst.map(mos)).collect()
    }

    /// When the picture stood still.
    pub(super) fn freezes(&self, spans: Spans) -> Vec<Freeze> {
        let frozen = self.frozen.iter().enumerate().filter(|(_, duration)| **duration > 0.0);
        frozen
            .map(|(place, duration)| Freeze {
                at: spans.start(place),
                duration: rounded(*duration),
            })
            .collect()
    }

    /// The stretch of time in which R is furthest below its mean in all, and by how much it is:
    /// the run of spans whose differences add up to the most (Kadane's algorithm).
    fn worst_run(&self) -> Option<(std::ops::Range<usize>, f64)> {
        let known: Vec<f64> = self.worst.iter().flatten().map(|worst| worst.r).collect();
        let mean = mean(&known)?;
        let mut best: Option<(std::ops::Range<usize>, f64)> = None;
        let (mut start, mut sum) = (0, 0.0);
        for (place, worst) in self.worst.iter().enumerate() {
            // What is not known breaks a stretch.
            let Some(worst) = worst else {
                (start, sum) = (place + 1, 0.0);
                continue;
            };
            if sum <= 0.0 {
                (start, sum) = (place, 0.0);
            }
            sum += mean - worst.r;
            if best.as_ref().is_none_or(|(_, most)| sum > *most) {
                best = Some((start..place + 1, sum));
            }
        }
        best.filter(|(_, sum)| *sum > 0.0)
    }

    /// The stretch of time that was much worse than the rest, and how much of that there was.
    fn stretch(&self, user: &UserId, spans: Spans) -> Option<(Stretch, f64)> {
        let (run, sum) = self.worst_run()?;
        let part = |inside: bool| {
            let places = self.worst.iter().enumerate();
            let places = places.filter(|(place, _)| run.contains(place) == inside);
            places.filter_map(|(_, worst)| *worst).collect::<Vec<_>>()
        };
        let (inside, outside) = (part(true), part(false));
        let mean_of = |worst: &[Worst], figure: fn(&Worst) -> f64| {
            mean(&worst.iter().map(figure).collect::<Vec<_>>())
        };
        let (r, rest) = (mean_of(&inside, |it| it.r)?, mean_of(&outside, |it| it.r)?);
        if rest - r < WORTH_A_WORD {
            return None;
        }
        let more = |cost| Some(mean_of(&inside, cost)? - mean_of(&outside, cost)?);
        let causes = [
            (Cause::Latency, more(|it| it.costs.latency)?),
            (Cause::Jitter, more(|it| it.costs.jitter)?),
            (Cause::Loss, more(|it| it.costs.loss)?),
            (Cause::Freezes, more(|it| it.costs.freezes)?),
        ];
        let (cause, _) = causes.into_iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
        let stretch = Stretch {
            user_id: user.to_string(),
            cause,
            score: rounded(Score::of_r(r).mos),
            from: spans.start(run.start),
            to: spans.start(run.end),
        };
        Some((stretch, sum))
    }
}

/// When, and for whom, the call was much worse than the rest of the time.
pub(super) fn worst_stretch(rows: &BTreeMap<UserId, Row>, spans: Spans) -> Option<Stretch> {
    let stretches = rows.iter().filter_map(|(user, row)| row.stretch(user, spans));
    stretches.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(stretch, _)| stretch)
}

/// The time line of everybody together.
pub(super) fn timeline(rows: &BTreeMap<UserId, Row>, spans: Spans) -> Timeline {
    let point = |place: usize| {
        let most = |figure: fn(&Row) -> &Vec<Option<f64>>| {
            let values = rows.values().filter_map(|row| *figure(row).get(place)?);
            values.max_by(f64::total_cmp)
        };
        let worst = rows.iter().filter_map(|(user, row)| Some((user, (*row.worst.get(place)?)?.r)));
        let worst = worst.min_by(|a, b| a.1.total_cmp(&b.1));
        Point {
            score: worst.map(|(_, r)| rounded(Score::of_r(r).mos)),
            user_id: worst.map(|(user, _)| user.to_string()),
            latency: most(|row| &row.latency),
            jitter: most(|row| &row.jitter),
            packet_loss: most(|row| &row.loss),
        }
    };
    Timeline {
        from: spans.start(0),
        step_seconds: u32::try_from(spans.step / 1000).unwrap_or(u32::MAX),
        points: (0..spans.count).map(point).collect(),
    }
}
