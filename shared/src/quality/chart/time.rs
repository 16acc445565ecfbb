//! Times as text.

use crate::clock::Timestamp;

const HOUR_SECONDS: u64 = 3_600;

/// A time into the call as `M:SS`, or as `H:MM:SS` from one hour on.
pub(super) fn format_elapsed(seconds: u64) -> String {
    let (minutes, rest) = (seconds / 60, seconds % 60);
    if seconds < HOUR_SECONDS {
        format!("{minutes}:{rest:02}")
    } else {
        format!("{}:{:02}:{rest:02}", minutes / 60, minutes % 60)
    }
}

/// A duration with its unit.
pub(super) fn format_duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..HOUR_SECONDS => format!("{} min", format_elapsed(seconds)),
        _ => format!("{} h", format_elapsed(seconds)),
    }
}

/// A date and time to the minute, in UTC.
pub(super) fn format_date(at: Timestamp) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = at.to_string();
    let parts = || {
        let (date, time) = text.split_once('T')?;
        let (year, month_and_day) = date.rsplit_once('-').and_then(|(rest, day)| {
            let (year, month) = rest.rsplit_once('-')?;
            Some((year, (month.parse::<usize>().ok()?, day.parse::<u8>().ok()?)))
        })?;
        let (month, day) = month_and_day;
        let month = MONTHS.get(month.checked_sub(1)?)?;
        Some(format!("{day} {month} {year}, {} UTC", time.get(..5)?))
    };
    parts().unwrap_or_else(|| text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_formatted() {
        for (seconds, elapsed, duration) in [
            (45, "0:45", "45 s"),
            (110, "1:50", "1:50 min"),
            (3_599, "59:59", "59:59 min"),
            (3_600, "1:00:00", "1:00:00 h"),
        ] {
            assert_eq!(
                (&*format_elapsed(seconds), &*format_duration(seconds)),
                (elapsed, duration)
            );
        }
        let at = Timestamp::from_secs(1_767_225_600 + 59);
        assert_eq!(format_date(at), "1 Jan 2026, 00:00 UTC");
    }
}
