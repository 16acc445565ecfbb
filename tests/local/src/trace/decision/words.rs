//! The names of ends, lists and numbers.

/// Why a call ended. `docs/CALLS.md` has the reasons.
pub(super) fn end_of_call(reason: &str, actor: Option<&str>) -> String {
    let Some(actor) = actor else { return end_without_an_actor(reason) };
    match reason {
        "not_created" => "its creation did not finish".to_owned(),
        "not_joined" => "no member joined in time".to_owned(),
        "not_answered" => "no called member answered in time".to_owned(),
        "cancelled" => format!("{actor} cancelled it before the answer"),
        "declined" => format!("{actor} declined it"),
        "left" => "the members left it".to_owned(),
        "too_long" => "it reached its maximum duration".to_owned(),
        "user_deleted" => "a member was deleted".to_owned(),
        "ended_at_stream" if actor == "stream" => "it ended at Stream".to_owned(),
        "ended_at_stream" => format!("{actor} ended it at Stream"),
        "ended" => format!("{actor} ended it"),
        other => format!("{actor} ended it with the reason {other}"),
    }
}

/// The same where the actor is unknown.
fn end_without_an_actor(reason: &str) -> String {
    match reason {
        "cancelled" => "it was cancelled before the answer".to_owned(),
        "declined" => "it was declined".to_owned(),
        "ended_at_stream" => "it ended at Stream".to_owned(),
        "not_created" | "not_joined" | "not_answered" | "left" | "too_long" | "user_deleted" => {
            end_of_call(reason, Some("system"))
        }
        other => format!("the reason is {other}"),
    }
}

/// A list such as `alice, bob and carol`.
pub(super) fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [name] => (*name).to_owned(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

/// A number with its noun, such as `1 call` or `2 calls`.
pub(super) fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_of_a_call_is_named() {
        for (reason, actor, expected) in [
            ("declined", Some("bob"), "bob declined it"),
            ("cancelled", Some("alice"), "alice cancelled it before the answer"),
            ("not_answered", Some("system"), "no called member answered in time"),
            ("ended_at_stream", Some("stream"), "it ended at Stream"),
            ("ended_at_stream", Some("bob"), "bob ended it at Stream"),
            ("ended_at_stream", None, "it ended at Stream"),
            ("left", None, "the members left it"),
            ("ended", None, "the reason is ended"),
            ("broke", Some("service"), "service ended it with the reason broke"),
        ] {
            assert_eq!(end_of_call(reason, actor), expected);
        }
    }

    #[test]
    fn lists_and_numbers_read_well() {
        assert_eq!(list(&[]), "");
        assert_eq!(list(&["alice"]), "alice");
        assert_eq!(list(&["alice", "bob", "carol"]), "alice, bob and carol");
        assert_eq!(
            (count(1, "call"), count(0, "call")),
            ("1 call".to_owned(), "0 calls".to_owned())
        );
    }
}
