//! The schedules of a function: `ScheduleV2` events.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

/// A schedule of a function.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// The time between two invocations.
    pub interval: Duration,
    /// The event of an invocation.
    pub input: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    schedule_expression: String,
    input: String,
}

impl Schedule {
    pub(super) fn parse(properties: Value) -> Result<Self, String> {
        let Properties { schedule_expression, input } =
            Properties::deserialize(properties).map_err(|error| error.to_string())?;
        let interval = parse_rate(&schedule_expression).ok_or_else(|| {
            format!("`{schedule_expression}` is not supported; use a rate such as `rate(1 minute)`")
        })?;
        let input =
            serde_json::from_str(&input).map_err(|error| format!("Input must be JSON: {error}"))?;
        Ok(Self { interval, input })
    }
}

/// The interval of an expression such as `rate(5 minutes)`.
/// <https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#rate-based>
fn parse_rate(expression: &str) -> Option<Duration> {
    let (number, unit) = expression.strip_prefix("rate(")?.strip_suffix(')')?.split_once(' ')?;
    let seconds: u64 = match unit {
        "minute" | "minutes" => 60,
        "hour" | "hours" => 60 * 60,
        "day" | "days" => 24 * 60 * 60,
        _ => return None,
    };
    let number: u64 = number.parse().ok().filter(|&number| number > 0)?;
    number.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rate_expression_is_parsed() {
        let cases = [
            ("rate(1 minute)", Some(Duration::from_mins(1))),
            ("rate(5 minutes)", Some(Duration::from_mins(5))),
            ("rate(1 hour)", Some(Duration::from_hours(1))),
            ("rate(2 days)", Some(Duration::from_hours(48))),
            ("rate(0 minutes)", None),
            ("rate(1 second)", None),
            ("rate(minute)", None),
            ("rate(1 minute", None),
            ("cron(7 * * * ? *)", None),
        ];
        for (expression, every) in cases {
            assert_eq!(parse_rate(expression), every, "{expression}");
        }
    }

    #[test]
    fn schedule_requires_a_rate_and_json_input() {
        let parse = |expression: &str, input: &str| {
            Schedule::parse(json!({"ScheduleExpression": expression, "Input": input}))
        };
        let expected =
            Schedule { interval: Duration::from_mins(1), input: json!({"task": "sweep"}) };
        assert_eq!(parse("rate(1 minute)", r#"{"task": "sweep"}"#), Ok(expected));
        for (schedule, problem) in [
            (parse("cron(* * * * ? *)", "{}"), "`cron(* * * * ? *)` is not supported"),
            (parse("rate(1 minute)", "sweep"), "Input must be JSON"),
            (
                Schedule::parse(json!({"ScheduleExpression": "rate(1 minute)"})),
                "missing field `Input`",
            ),
        ] {
            let error = schedule.unwrap_err();
            assert!(error.starts_with(problem), "{error}");
        }
    }
}
