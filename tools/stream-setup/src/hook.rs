//! A hook of the app's list, kept as Stream wrote it: its members in their order, each value as the
//! text that it came as. Most of them are nobody's business here, and some are secrets.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use shared::stream::hooks::EventHook;

/// The times that Stream keeps of a hook by itself.
const TIMES: [&str; 2] = ["created_at", "updated_at"];

/// A hook, member by member.
#[derive(Clone)]
pub(crate) struct Hook(Vec<(String, Box<RawValue>)>);

/// The list of hooks in the app's settings, as they came.
pub(crate) fn list(settings: &RawValue) -> Result<Vec<Hook>, serde_json::Error> {
    #[derive(serde::Deserialize)]
    struct Settings {
        app: App,
    }

    #[derive(serde::Deserialize)]
    struct App {
        event_hooks: Option<Vec<Hook>>,
    }

    let Settings { app } = serde_json::from_str(settings.get())?;
    Ok(app.event_hooks.unwrap_or_default())
}

/// Whether two lists are the same to the byte.
pub(crate) fn is_same(one: &[Hook], other: &[Hook]) -> Result<bool, serde_json::Error> {
    Ok(serde_json::to_string(one)? == serde_json::to_string(other)?)
}

impl Hook {
    /// The hook as it is understood here.
    pub(crate) fn typed(&self) -> Result<EventHook, serde_json::Error> {
        serde_json::from_str(&serde_json::to_string(self)?)
    }

    /// What a person may see of it: which kind of hook it is.
    pub(crate) fn kind(&self) -> &'static str {
        const KINDS: [&str; 5] = ["webhook", "sqs", "sns", "pending_message", "push"];
        let kind: Option<String> = self.read("hook_type");
        let known = KINDS.into_iter().find(|known| kind.as_deref() == Some(*known));
        known.unwrap_or("of another kind")
    }

    /// A member's value, where it has this type.
    pub(crate) fn read<T: serde::de::DeserializeOwned>(&self, name: &str) -> Option<T> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        serde_json::from_str(value.get()).ok()
    }

    /// Sets a member; one that is there keeps its place.
    pub(crate) fn set(
        &mut self,
        name: &str,
        value: &impl Serialize,
    ) -> Result<(), serde_json::Error> {
        let value = to_raw_value(value)?;
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, kept)) => *kept = value,
            None => self.0.push((name.to_owned(), value)),
        }
        Ok(())
    }

    /// A member that Stream shows without its value, so that it cannot be written back: asterisks
    /// or dots where a secret should be.
    pub(crate) fn masked(&self) -> Option<&str> {
        let is_masked = |text: &str| text.contains("***") || text.contains('\u{2022}');
        let found = self.0.iter().find(|(_, value)| is_masked(value.get()));
        found.map(|(name, _)| name.as_str())
    }

    /// The hook as a request has it. Answers tell times in nanoseconds, requests in RFC 3339; no
    /// other member changes.
    pub(crate) fn request(&self) -> Result<Box<RawValue>, serde_json::Error> {
        let mut hook = self.clone();
        for name in TIMES {
            let nanos = hook.read::<i64>(name).map(i128::from);
            let time = nanos.and_then(|nanos| jiff::Timestamp::from_nanosecond(nanos).ok());
            if let Some(time) = time {
                hook.set(name, &format!("{time:.9}"))?;
            }
        }
        to_raw_value(&hook)
    }

    /// What must be the same after a change of the list: everything but the times, and but the id
    /// where it had none.
    pub(crate) fn lasting(&self, with_id: bool) -> Result<Map<String, Value>, serde_json::Error> {
        let mut members: Map<String, Value> = serde_json::from_str(&serde_json::to_string(self)?)?;
        members.retain(|name, value| {
            !value.is_null() && !TIMES.contains(&name.as_str()) && (with_id || name != "id")
        });
        Ok(members)
    }
}

impl<'de> Deserialize<'de> for Hook {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Hook;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a hook")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Hook, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry::<String, Box<RawValue>>()? {
            members.push(member);
        }
        Ok(Hook(members))
    }
}

impl Serialize for Hook {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hooks(list_of_hooks: &str) -> Vec<Hook> {
        let text =
            format!(r#"{{"app":{{"name":"a","event_hooks":{list_of_hooks}}},"duration":""}}"#);
        list(&RawValue::from_string(text).unwrap()).unwrap()
    }

    #[test]
    fn what_is_not_known_stays_as_it_came() {
        let text = r#"{"z":1.50,"hook_type":"sqs","a":{"y":[1e3,"\u00e9"], "x":null},"id":"h"}"#;
        let hooks = hooks(&format!("[{text}]"));
        assert_eq!(hooks[0].request().unwrap().get(), text);
        assert_eq!(hooks[0].kind(), "sqs");
    }

    #[test]
    fn times_are_written_as_requests_have_them() {
        let hooks = hooks(
            r#"[{"created_at":1767225600123456789,"id":"h","updated_at":null},{"created_at":"2026"}]"#,
        );
        assert_eq!(
            hooks[0].request().unwrap().get(),
            r#"{"created_at":"2026-01-01T00:00:00.123456789Z","id":"h","updated_at":null}"#
        );
        assert_eq!(hooks[1].request().unwrap().get(), r#"{"created_at":"2026"}"#);
    }

    #[test]
    fn no_list_is_an_empty_one() {
        for text in ["[]", "null"] {
            assert!(hooks(text).is_empty(), "{text}");
        }
        let settings = RawValue::from_string(r#"{"app":{}}"#.to_owned()).unwrap();
        assert!(list(&settings).unwrap().is_empty());
        for text in ["{}", r#"{"app":{"event_hooks":{}}}"#, r#"{"app":{"event_hooks":[1]}}"#] {
            assert!(list(&RawValue::from_string(text.to_owned()).unwrap()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_member_keeps_its_place() {
        let mut hook = hooks(r#"[{"a":1,"enabled":false,"b":2}]"#).remove(0);
        hook.set("enabled", &true).unwrap();
        hook.set("product", &"all").unwrap();
        let text = r#"{"a":1,"enabled":true,"b":2,"product":"all"}"#;
        assert_eq!(hook.request().unwrap().get(), text);
    }

    #[test]
    fn a_masked_secret_is_noticed() {
        for (member, masked) in [
            (r#""sqs_secret":"********""#, Some("sqs_secret")),
            (r#""failover_config":{"gcs_credentials":"***"}"#, Some("failover_config")),
            ("\"sns_key\":\"\u{2022}\u{2022}\"", Some("sns_key")),
            (r#""sqs_secret":"a*b""#, None),
        ] {
            let hooks = hooks(&format!("[{{{member}}}]"));
            assert_eq!(hooks[0].masked(), masked, "{member}");
        }
    }

    #[test]
    fn a_kind_that_is_not_known_is_not_shown() {
        let hooks = hooks("[{\"hook_type\":\"\\u001b[31m\"},{\"hook_type\":7},{}]");
        assert!(hooks.iter().all(|hook| hook.kind() == "of another kind"));
    }
}
