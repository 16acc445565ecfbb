//! The times in which users were in a call.

/// An interval in which a user was in the call. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interval {
    pub(super) user: String,
    pub(super) session: String,
    pub(super) from: i64,
    /// `None` while the user is in.
    pub(super) to: Option<i64>,
}

/// The times with at least two different users in, up to an instant.
pub(super) fn talk_times(intervals: &[Interval], until: i64) -> Vec<(i64, i64)> {
    let mut bounds: Vec<i64> = intervals
        .iter()
        .flat_map(|interval| [interval.from, interval.to.unwrap_or(until)])
        .map(|at| at.min(until))
        .collect();
    bounds.sort_unstable();
    bounds.dedup();
    let has_talk = |from: i64, to: i64| {
        let is_in = |interval: &&Interval| {
            interval.from <= from && interval.to.unwrap_or(until).min(until) >= to
        };
        let mut users: Vec<&str> =
            intervals.iter().filter(is_in).map(|interval| interval.user.as_str()).collect();
        users.sort_unstable();
        users.dedup();
        users.len() > 1
    };
    let spans = bounds.windows(2).map(|bound| (bound[0], bound[1]));
    spans.filter(|(from, to)| has_talk(*from, *to)).collect()
}

/// The sum of the talk times.
pub(super) fn talk_millis(times: &[(i64, i64)]) -> i64 {
    times.iter().map(|(from, to)| to - from).sum()
}

/// The time from the first to the last instant of the talk times.
pub(super) fn duration_millis(times: &[(i64, i64)]) -> i64 {
    match (times.first(), times.last()) {
        (Some((from, _)), Some((_, to))) => to - from,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(user: &str, from: i64, to: Option<i64>) -> Interval {
        Interval { user: user.to_owned(), session: String::new(), from, to }
    }

    #[test]
    fn talk_time_needs_two_users() {
        let cases: [(&[Interval], i64, i64); 6] = [
            (&[], 0, 0),
            (&[interval("alice", 0, None), interval("alice", 10, None)], 0, 0),
            (&[interval("alice", 0, Some(50)), interval("bob", 20, None)], 30, 30),
            (&[interval("alice", 0, None), interval("bob", 40, None)], 60, 60),
            (
                &[
                    interval("alice", 0, None),
                    interval("bob", 10, Some(20)),
                    interval("bob", 50, Some(80)),
                ],
                40,
                70,
            ),
            // After the end of the call no time counts.
            (&[interval("alice", 90, None), interval("bob", 90, Some(500))], 10, 10),
        ];
        for (intervals, talk, duration) in cases {
            let times = talk_times(intervals, 100);
            assert_eq!((talk_millis(&times), duration_millis(&times)), (talk, duration));
        }
    }
}
