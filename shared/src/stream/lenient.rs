//! Deserialization of the lists and maps in Stream's answers.
//!
//! One unreadable entry must not hide the others: it is logged and skipped. Stream's server, which
//! is written in Go, writes an empty list or map as `null`, too.

use std::any;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Reads the readable entries of a list; none if it is `null`.
pub(crate) fn entries<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: DeserializeOwned,
    D: Deserializer<'de>,
{
    Ok(page_entries(deserializer)?.into_iter().flatten().collect())
}

/// Reads a list, in which `None` is an unreadable entry; an empty one if it is `null`. The length
/// is that of Stream's list, by which its pages are counted.
pub(crate) fn page_entries<'de, T, D>(deserializer: D) -> Result<Vec<Option<T>>, D::Error>
where
    T: DeserializeOwned,
    D: Deserializer<'de>,
{
    deserializer.deserialize_any(EntriesVisitor(PhantomData))
}

/// Reads the readable entries of a map; none if it is `null`.
pub(crate) fn map_entries<'de, T, D>(deserializer: D) -> Result<BTreeMap<String, T>, D::Error>
where
    T: DeserializeOwned,
    D: Deserializer<'de>,
{
    deserializer.deserialize_any(MapEntriesVisitor(PhantomData))
}

/// Reads a value; the default if it is `null`.
pub(crate) fn or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Reads an optional value; `None` if it is unreadable.
pub(crate) fn readable<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: DeserializeOwned,
    D: Deserializer<'de>,
{
    let value = Option::<Box<RawValue>>::deserialize(deserializer)?;
    Ok(value.and_then(|value| read_entry(&value)))
}

/// Reads the cursor of the next page; `None` if it is `null` or empty. An unreadable cursor is an
/// error, because the page would otherwise look like the last one.
pub(crate) fn cursor<'de, D>(deserializer: D) -> Result<Option<String>, D::Error>
where
    D: Deserializer<'de>,
{
    let cursor = Option::<String>::deserialize(deserializer)?;
    Ok(cursor.filter(|cursor| !cursor.is_empty()))
}

/// The entry, or `None` if it cannot be read.
fn read_entry<T: DeserializeOwned>(entry: &RawValue) -> Option<T> {
    let entry = serde_json::from_str(entry.get());
    entry.inspect_err(|error| log_unreadable(any::type_name::<T>(), error)).ok()
}

/// Logs the position of the error only: the entry may contain personal data.
fn log_unreadable(entry: &'static str, error: &serde_json::Error) {
    tracing::warn!(entry, column = error.column(), "skipping unreadable part of Stream's data");
}

struct EntriesVisitor<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for EntriesVisitor<T> {
    type Value = Vec<Option<T>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = list.next_element::<Box<RawValue>>()? {
            entries.push(read_entry(&entry));
        }
        Ok(entries)
    }
}

struct MapEntriesVisitor<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for MapEntriesVisitor<T> {
    type Value = BTreeMap<String, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(BTreeMap::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((name, entry)) = map.next_entry::<String, Box<RawValue>>()? {
            entries.extend(read_entry(&entry).map(|entry| (name, entry)));
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    struct Answer {
        #[serde(default, deserialize_with = "entries")]
        list: Vec<Entry>,
        #[serde(default, deserialize_with = "map_entries")]
        map: BTreeMap<String, Entry>,
        #[serde(default, deserialize_with = "or_default")]
        text: String,
        #[serde(default, deserialize_with = "page_entries")]
        page: Vec<Option<Entry>>,
        #[serde(default, deserialize_with = "readable")]
        value: Option<Entry>,
        #[serde(default, deserialize_with = "cursor")]
        next: Option<String>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Entry {
        id: u8,
    }

    fn parse(json: &str) -> Option<Answer> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn unreadable_entries_are_skipped() {
        let deep = "[".repeat(200) + &"]".repeat(200);
        let list = format!(r#"[{{"id":1}},{{}},{{"id":"2"}},null,7,{deep},{{"id":3}}]"#);
        let map = r#"{"a":{"id":1},"b":{},"c":null,"d":{"id":4}}"#;
        let answer = parse(&format!(r#"{{"list":{list},"map":{map}}}"#)).unwrap();
        assert_eq!(answer.list, [Entry { id: 1 }, Entry { id: 3 }]);
        let map = [("a", 1), ("d", 4)].map(|(name, id)| (name.to_owned(), Entry { id }));
        assert_eq!(answer.map, BTreeMap::from(map));
    }

    #[test]
    fn page_keeps_the_number_of_its_entries() {
        let answer: Answer = serde_json::from_str(r#"{"page":[{"id":1},7,{"id":3}]}"#).unwrap();
        let ids: Vec<_> = answer.page.iter().map(|entry| Some(entry.as_ref()?.id)).collect();
        assert_eq!(ids, [Some(1), None, Some(3)]);
    }

    #[test]
    fn unreadable_value_is_none() {
        for (json, expected) in
            [("{}", None), (r#"{"value":7}"#, None), (r#"{"value":null}"#, None)]
        {
            let answer: Answer = serde_json::from_str(json).unwrap();
            assert_eq!(answer.value, expected, "{json}");
        }
        let answer: Answer = serde_json::from_str(r#"{"value":{"id":1}}"#).unwrap();
        assert_eq!(answer.value, Some(Entry { id: 1 }));
    }

    #[test]
    fn empty_cursor_is_none_and_an_unreadable_one_is_an_error() {
        for (json, expected) in [
            (r#"{"next":"n1"}"#, Some(Some("n1"))),
            (r#"{"next":""}"#, Some(None)),
            (r#"{"next":null}"#, Some(None)),
            ("{}", Some(None)),
            (r#"{"next":7}"#, None),
        ] {
            let next = parse(json).map(|answer| answer.next);
            assert_eq!(next.as_ref().map(Option::as_deref), expected, "{json}");
        }
    }

    #[test]
    fn null_and_absent_are_empty_and_another_type_is_an_error() {
        let empty = Some(Answer::default());
        assert_eq!(parse("{}"), empty);
        assert_eq!(parse(r#"{"list":null,"map":null,"text":null}"#), empty);
        for other in [r#"{"list":{}}"#, r#"{"list":"a"}"#, r#"{"map":[]}"#, r#"{"map":1}"#] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
