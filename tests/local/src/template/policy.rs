//! What a function may do with the table: the statements of its policies.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

/// One of DynamoDB's operations on the table, or on an index of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableAction {
    operation: String,
    on_index: bool,
}

impl TableAction {
    /// An operation such as `GetItem`; `index` where it names an index.
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

/// The actions on the table that these policies allow. Policies of other services are passed over.
pub(super) fn allowed_actions(policies: &Value) -> Result<BTreeSet<TableAction>, String> {
    let mut allowed = BTreeSet::new();
    // A role wraps each document up with a name, a function does not.
    let documents =
        policies.as_array().into_iter().flatten().map(|it| it.get("PolicyDocument").unwrap_or(it));
    let statements = documents.filter_map(|it| it.get("Statement"));
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
                return Err(format!("its policy says {effect} {action}"));
            }
            allowed.insert(TableAction::new(action, resource.to_string().contains("/index/")));
        }
    }
    Ok(allowed)
}
