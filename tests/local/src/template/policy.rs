//! The actions on the table that a function's policies allow.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

/// An operation of DynamoDB on the table or on one of its indexes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableAction {
    operation: String,
    on_index: bool,
}

impl TableAction {
    /// An operation such as `GetItem`. `on_index` is true if the request names an index.
    #[must_use]
    pub fn new(operation: &str, on_index: bool) -> Self {
        Self { operation: operation.to_owned(), on_index }
    }
}

impl fmt::Display for TableAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.on_index { " on an index" } else { "" };
        write!(f, "{}{place}", self.operation)
    }
}

/// The actions on the table's stream. The consumers use them on behalf of the function, which reads
/// no stream itself.
const STREAM_ACTIONS: [&str; 4] =
    ["DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    effect: String,
    action: OneOrMany,
    #[serde(default)]
    resource: Value,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// The actions on the table that these policies allow. Policies for other services and for the
/// table's stream are skipped.
pub(super) fn allowed_actions(policies: &Value) -> Result<BTreeSet<TableAction>, String> {
    let mut allowed = BTreeSet::new();
    // A role wraps each policy document, and a function's own policies are not wrapped.
    let documents = policies
        .as_array()
        .into_iter()
        .flatten()
        .map(|policy| policy.get("PolicyDocument").unwrap_or(policy));
    let statements = documents.filter_map(|document| document.get("Statement"));
    for statement in statements.filter_map(Value::as_array).flatten() {
        let Ok(Statement { effect, action, resource }) = Statement::deserialize(statement) else {
            continue;
        };
        let actions = match action {
            OneOrMany::One(action) => vec![action],
            OneOrMany::Many(actions) => actions,
        };
        for action in actions.iter().filter_map(|action| action.strip_prefix("dynamodb:")) {
            if effect != "Allow" || action.contains('*') {
                return Err(format!("unsupported policy statement: {effect} {action}"));
            }
            if STREAM_ACTIONS.contains(&action) {
                continue;
            }
            allowed.insert(TableAction::new(action, resource.to_string().contains("/index/")));
        }
    }
    Ok(allowed)
}
