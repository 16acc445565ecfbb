//! A hook of the app's list, with its members in Stream's order and each value as Stream's text.
//!
//! The command writes the whole list back, so the members that it does not interpret must stay
//! unchanged. Some of them are secrets.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use shared::stream::hooks::EventHook;

/// The timestamps that Stream maintains.
const TIMESTAMP_FIELDS: [&str; 2] = ["created_at", "updated_at"];

/// A hook as an ordered list of members.
#[derive(Clone)]
pub(crate) struct RawHook(Vec<(String, Box<RawValue>)>);

/// Parses the list of hooks in the app's settings.
pub(crate) fn parse_hooks(settings: &RawValue) -> Result<Vec<RawHook>, serde_json::Error> {
    #[derive(serde::Deserialize)]
    struct Settings {
        app: App,
    }

    #[derive(serde::Deserialize)]
    struct App {
        event_hooks: Option<Vec<RawHook>>,
    }

    let Settings { app } = serde_json::from_str(settings.get())?;
    Ok(app.event_hooks.unwrap_or_default())
}

/// Whether two lists are byte-identical.
pub(crate) fn is_identical(a: &[RawHook], b: &[RawHook]) -> Result<bool, serde_json::Error> {
    Ok(serde_json::to_string(a)? == serde_json::to_string(b)?)
}

impl RawHook {
    /// The members that the functions interpret.
    pub(crate) fn to_event_hook(&self) -> Result<EventHook, serde_json::Error> {
        serde_json::from_str(&serde_json::to_string(self)?)
    }

    /// The hook type. An unknown type is not returned, because its text may be unsafe to print.
    pub(crate) fn kind(&self) -> &'static str {
        const KINDS: [&str; 5] = ["webhook", "sqs", "sns", "pending_message", "push"];
        let kind: Option<String> = self.get("hook_type");
        let known = KINDS.into_iter().find(|known| kind.as_deref() == Some(*known));
        known.unwrap_or("of another kind")
    }

    /// A member's value; `None` if it is missing or has another type.
    pub(crate) fn get<T: serde::de::DeserializeOwned>(&self, name: &str) -> Option<T> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        serde_json::from_str(value.get()).ok()
    }

    /// Sets a member. An existing member keeps its position.
    pub(crate) fn set(
        &mut self,
        name: &str,
        value: &impl Serialize,
    ) -> Result<(), serde_json::Error> {
        let value = to_raw_value(value)?;
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, existing)) => *existing = value,
            None => self.0.push((name.to_owned(), value)),
        }
        Ok(())
    }

    /// The first member whose value Stream masks with asterisks or bullets. A masked value cannot
    /// be written back.
    pub(crate) fn masked_member(&self) -> Option<&str> {
        let is_masked = |text: &str| text.contains("***") || text.contains('\u{2022}');
        let masked = self.0.iter().find(|(_, value)| is_masked(value.get()));
        masked.map(|(name, _)| name.as_str())
    }

    /// The hook for a request. Stream returns timestamps in nanoseconds and accepts RFC 3339. Other
    /// members are unchanged.
    pub(crate) fn to_request(&self) -> Result<Box<RawValue>, serde_json::Error> {
        let mut hook = self.clone();
        for name in TIMESTAMP_FIELDS {
            let nanos = hook.get::<i64>(name).map(i128::from);
            let time = nanos.and_then(|nanos| jiff::Timestamp::from_nanosecond(nanos).ok());
            if let Some(time) = time {
                hook.set(name, &format!("{time:.9}"))?;
            }
        }
        to_raw_value(&hook)
    }

    /// The members that an update of the list must preserve: all except nulls, timestamps and,
    /// without `with_id`, the id.
    pub(crate) fn comparable_members(
        &self,
        with_id: bool,
    ) -> Result<Map<String, Value>, serde_json::Error> {
        let mut members: Map<String, Value> = serde_json::from_str(&serde_json::to_string(self)?)?;
        members.retain(|name, value| {
            !value.is_null()
                && !TIMESTAMP_FIELDS.contains(&name.as_str())
                && (with_id || name != "id")
        });
        Ok(members)
    }
}

impl<'de> Deserialize<'de> for RawHook {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HookVisitor)
    }
}

struct HookVisitor;

impl<'de> Visitor<'de> for HookVisitor {
    type Value = RawHook;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a hook")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawHook, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry::<String, Box<RawValue>>()? {
            members.push(member);
        }
        Ok(RawHook(members))
    }
}

impl Serialize for RawHook {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hooks(list_of_hooks: &str) -> Vec<RawHook> {
        let text =
            format!(r#"{{"app":{{"name":"a","event_hooks":{list_of_hooks}}},"duration":""}}"#);
        parse_hooks(&RawValue::from_string(text).unwrap()).unwrap()
    }

    #[test]
    fn unknown_members_are_preserved_verbatim() {
        let text = r#"{"z":1.50,"hook_type":"sqs","a":{"y":[1e3,"\u00e9"], "x":null},"id":"h"}"#;
        let hooks = hooks(&format!("[{text}]"));
        assert_eq!(hooks[0].to_request().unwrap().get(), text);
        assert_eq!(hooks[0].kind(), "sqs");
    }

    #[test]
    fn timestamps_are_written_as_rfc3339() {
        let hooks = hooks(
            r#"[{"created_at":1767225600123456789,"id":"h","updated_at":null},{"created_at":"2026"}]"#,
        );
        assert_eq!(
            hooks[0].to_request().unwrap().get(),
            r#"{"created_at":"2026-01-01T00:00:00.123456789Z","id":"h","updated_at":null}"#
        );
        assert_eq!(hooks[1].to_request().unwrap().get(), r#"{"created_at":"2026"}"#);
    }

    #[test]
    fn missing_hook_list_is_parsed_as_empty() {
        for text in ["[]", "null"] {
            assert!(hooks(text).is_empty(), "{text}");
        }
        let settings = RawValue::from_string(r#"{"app":{}}"#.to_owned()).unwrap();
        assert!(parse_hooks(&settings).unwrap().is_empty());
        for text in ["{}", r#"{"app":{"event_hooks":{}}}"#, r#"{"app":{"event_hooks":[1]}}"#] {
            assert!(
                parse_hooks(&RawValue::from_string(text.to_owned()).unwrap()).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn set_preserves_member_order() {
        let mut hook = hooks(r#"[{"a":1,"enabled":false,"b":2}]"#).remove(0);
        hook.set("enabled", &true).unwrap();
        hook.set("product", &"all").unwrap();
        let text = r#"{"a":1,"enabled":true,"b":2,"product":"all"}"#;
        assert_eq!(hook.to_request().unwrap().get(), text);
    }

    #[test]
    fn masked_secret_is_detected() {
        for (member, masked) in [
            (r#""sqs_secret":"********""#, Some("sqs_secret")),
            (r#""failover_config":{"gcs_credentials":"***"}"#, Some("failover_config")),
            ("\"sns_key\":\"\u{2022}\u{2022}\"", Some("sns_key")),
            (r#""sqs_secret":"a*b""#, None),
        ] {
            let hooks = hooks(&format!("[{{{member}}}]"));
            assert_eq!(hooks[0].masked_member(), masked, "{member}");
        }
    }

    #[test]
    fn unknown_hook_type_is_not_printed() {
        let hooks = hooks("[{\"hook_type\":\"\\u001b[31m\"},{\"hook_type\":7},{}]");
        assert!(hooks.iter().all(|hook| hook.kind() == "of another kind"));
    }
}
