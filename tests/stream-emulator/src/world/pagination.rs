//! Filtering, sorting and paging of lists.

use std::cmp::Ordering;

use serde::Deserialize;
use serde_json::Value;

use super::filter;
use super::validation::{check_max, require};
use crate::error::StreamError;

const MAX_PAGE_SIZE: usize = 100;
const DEFAULT_PAGE_SIZE: usize = 25;
const CURSOR_PREFIX: &str = "cursor-";

/// A sort key.
#[derive(Debug, Deserialize)]
pub(super) struct Sort {
    field: Option<String>,
    direction: Option<i64>,
}

impl Sort {
    pub(super) fn descending(field: &str) -> Self {
        Self { field: Some(field.to_owned()), direction: Some(-1) }
    }
}

/// A query with cursor-based paging.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct CursorQuery {
    #[serde(default)]
    filter_conditions: Value,
    sort: Option<Vec<Sort>>,
    limit: Option<usize>,
    next: Option<String>,
}

impl CursorQuery {
    /// The requested page of these objects, and the cursor of the next page.
    pub(super) fn page(
        &self,
        objects: Vec<Value>,
        max_sorts: usize,
    ) -> Result<(Vec<Value>, Option<String>), StreamError> {
        let sort = self.sort.as_deref().unwrap_or_default();
        check_max("sort", sort.len(), max_sorts)?;
        let objects = apply_sort(apply_filter(objects, &self.filter_conditions)?, sort);
        paginate(objects, self.limit, self.next.as_deref())
    }
}

pub(super) fn apply_filter(
    objects: Vec<Value>,
    conditions: &Value,
) -> Result<Vec<Value>, StreamError> {
    let mut matching = Vec::new();
    for object in objects {
        if filter::matches(conditions, &object)? {
            matching.push(object);
        }
    }
    Ok(matching)
}

pub(super) fn apply_sort(mut objects: Vec<Value>, sort: &[Sort]) -> Vec<Value> {
    objects.sort_by(|left, right| {
        sort.iter()
            .map(|sort| {
                let field = sort.field.as_deref().unwrap_or("created_at");
                let (left, right) =
                    (filter::field_value(left, field), filter::field_value(right, field));
                let order = filter::compare(left, right).unwrap_or(Ordering::Equal);
                if sort.direction == Some(-1) { order.reverse() } else { order }
            })
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    });
    objects
}

/// The requested size of a page, or the default.
pub(super) fn page_limit(limit: Option<usize>) -> Result<usize, StreamError> {
    let limit = limit.unwrap_or(DEFAULT_PAGE_SIZE);
    require((1..=MAX_PAGE_SIZE).contains(&limit), "limit must be from 1 to 100")?;
    Ok(limit)
}

/// A page of a list and the cursor of the next one. The cursor, opaque to clients, holds the index
/// at which the page starts.
pub(super) fn paginate(
    objects: Vec<Value>,
    limit: Option<usize>,
    next: Option<&str>,
) -> Result<(Vec<Value>, Option<String>), StreamError> {
    let limit = page_limit(limit)?;
    let start = next.filter(|next| !next.is_empty()).map_or(Ok(0), |next| {
        next.strip_prefix(CURSOR_PREFIX)
            .and_then(|start| start.parse().ok())
            .ok_or_else(|| StreamError::invalid_input("next is not a valid cursor"))
    })?;
    let end = limit.saturating_add(start);
    let next_cursor = (end < objects.len()).then(|| format!("{CURSOR_PREFIX}{end}"));
    Ok((objects.into_iter().skip(start).take(limit).collect(), next_cursor))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ids(query: Value) -> (Vec<String>, Option<String>) {
        let query: CursorQuery = serde_json::from_value(query).expect("a query");
        let objects = ["b", "c", "a"].map(|id| json!({ "id": id })).to_vec();
        let (page, next) = query.page(objects, 2).expect("a page");
        (page.iter().map(|object| object["id"].as_str().unwrap_or("").to_owned()).collect(), next)
    }

    #[test]
    fn cursor_continues_to_the_last_page() {
        let (page, next) = ids(json!({ "limit": 2 }));
        assert_eq!(page, ["b", "c"]);
        let (page, next) = ids(json!({ "limit": 2, "next": next.expect("a cursor") }));
        assert_eq!(page, ["a"]);
        assert_eq!(next, None);
    }

    #[test]
    fn sort_direction_is_respected() {
        let by =
            |direction: i64| ids(json!({ "sort": [{ "field": "id", "direction": direction }] }));
        assert_eq!(by(1).0, ["a", "b", "c"]);
        assert_eq!(by(-1).0, ["c", "b", "a"]);
    }

    #[test]
    fn invalid_cursor_or_limit_is_rejected() {
        assert!(paginate(Vec::new(), None, Some("x")).is_err());
        assert!(paginate(Vec::new(), Some(101), None).is_err());
    }
}
