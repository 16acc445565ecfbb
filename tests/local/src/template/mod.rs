//! What `template.yaml` says about routes, schedules, functions and the table: the stack is made
//! from it, so that a test of the stack is a test of what is deployed.
//!
//! Read as SAM reads it: `Globals.Function` first, a function's own properties over it, variables
//! of both together.
//! <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification-template-anatomy-globals.html>

mod policy;
mod schedule;
mod table;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::cargo_build::workspace_root;
use crate::error::TemplateError;
pub use policy::TableAction;
pub use schedule::Schedule;
pub(crate) use table::TableDefinition;
pub use yaml::parse as parse_yaml;

/// Lambda's own defaults, where the template is silent.
const DEFAULT_TIMEOUT_SECONDS: u64 = 3;
const DEFAULT_MEMORY_MB: u64 = 128;

/// The template, as far as it matters here.
pub(crate) struct Template {
    pub(crate) functions: Vec<Function>,
    pub(crate) table: TableDefinition,
}

/// A function of the template.
#[derive(Debug)]
pub(crate) struct Function {
    /// The name of its binary, which its `CodeUri` ends with.
    pub(crate) name: String,
    /// Its routes, such as `POST /api/stream/token`.
    pub(crate) routes: Vec<String>,
    /// What it is invoked with by itself.
    pub(crate) schedules: Vec<Schedule>,
    pub(crate) timeout: Duration,
    pub(crate) memory_mb: u64,
    /// The names of the variables that it is given.
    pub(crate) variables: BTreeSet<String>,
    /// What it may do with the table.
    pub(crate) actions: BTreeSet<TableAction>,
}

/// The API's routes, such as `POST /api/stream/token`, as `template.yaml` has them.
pub fn route_keys() -> Result<Vec<String>, TemplateError> {
    let routes = Template::load()?.functions.into_iter().flat_map(|function| function.routes);
    Ok(routes.collect())
}

/// What each function may do with the table, by its policies in `template.yaml`.
pub fn policies() -> Result<BTreeMap<String, BTreeSet<TableAction>>, TemplateError> {
    Ok(Template::load()?.policies())
}

/// The schedules that `template.yaml` has, each with the name of its function.
pub fn schedules() -> Result<Vec<(String, Schedule)>, TemplateError> {
    let function_schedules = |Function { name, schedules, .. }: Function| {
        schedules.into_iter().map(move |schedule| (name.clone(), schedule))
    };
    Ok(Template::load()?.functions.into_iter().flat_map(function_schedules).collect())
}

impl Template {
    /// The workspace's `template.yaml`.
    pub(crate) fn load() -> Result<Self, TemplateError> {
        Self::parse(&fs::read_to_string(workspace_root().join("template.yaml"))?)
    }

    /// What each function may do with the table.
    pub(crate) fn policies(&self) -> BTreeMap<String, BTreeSet<TableAction>> {
        self.functions.iter().map(|it| (it.name.clone(), it.actions.clone())).collect()
    }

    fn parse(text: &str) -> Result<Self, TemplateError> {
        let document = Document::deserialize(yaml::parse(text)?)?;
        let roles = document.roles();
        let globals = document.globals.function;
        let mut functions = Vec::new();
        let mut tables = Vec::new();
        for (id, resource) in document.resources {
            match resource.kind.as_str() {
                "AWS::Serverless::Function" => {
                    let invalid_resource =
                        |problem| TemplateError::InvalidResource { id: id.clone(), problem };
                    functions.push(
                        parse_function(resource.properties, &globals, &roles)
                            .map_err(invalid_resource)?,
                    );
                }
                "AWS::DynamoDB::Table" => tables.push(TableDefinition::new(resource.properties)),
                _ => {}
            }
        }
        let count = tables.len();
        match tables.pop() {
            Some(table) if count == 1 => Ok(Self { functions, table }),
            _ => Err(TemplateError::TableCount(count)),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    #[serde(default)]
    globals: Globals,
    resources: BTreeMap<String, Resource>,
}

impl Document {
    /// The policies of each role, by its id.
    fn roles(&self) -> BTreeMap<String, Value> {
        let roles = self.resources.iter().filter(|(_, it)| it.kind == "AWS::IAM::Role");
        roles.map(|(id, role)| (id.clone(), role.properties["Policies"].clone())).collect()
    }
}

#[derive(Default, Deserialize)]
struct Globals {
    #[serde(rename = "Function", default)]
    function: FunctionSettings,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Resource {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(default)]
    properties: Value,
}

/// What `Globals.Function` and a function's own properties may both say.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct FunctionSettings {
    timeout: Option<u64>,
    memory_size: Option<u64>,
    environment: Environment,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Environment {
    variables: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    code_uri: String,
    #[serde(default)]
    events: BTreeMap<String, Event>,
    #[serde(default)]
    role: Value,
    #[serde(default)]
    policies: Value,
    #[serde(flatten)]
    overrides: FunctionSettings,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(default)]
    properties: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HttpApi {
    method: String,
    path: String,
}

fn parse_function(
    properties: Value,
    globals: &FunctionSettings,
    roles: &BTreeMap<String, Value>,
) -> Result<Function, String> {
    let Properties { code_uri, events, role, policies, overrides: own } =
        Properties::deserialize(properties).map_err(|error| error.to_string())?;
    let name = code_uri.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if name.is_empty() {
        return Err("its CodeUri does not end with the name of a binary".to_owned());
    }
    let mut routes = Vec::new();
    let mut schedules = Vec::new();
    for (event, Event { kind, properties }) in events {
        let invalid_event = |problem: String| format!("its event {event}: {problem}");
        match kind.as_str() {
            "HttpApi" => routes.push(parse_route(properties).map_err(invalid_event)?),
            "ScheduleV2" => schedules.push(Schedule::parse(properties).map_err(invalid_event)?),
            other => return Err(invalid_event(format!("{other} is not served here"))),
        }
    }
    let timeout = own.timeout.or(globals.timeout).unwrap_or(DEFAULT_TIMEOUT_SECONDS);
    let variables = globals.environment.variables.keys().chain(own.environment.variables.keys());
    Ok(Function {
        name: name.to_owned(),
        routes,
        schedules,
        timeout: Duration::from_secs(timeout),
        memory_mb: own.memory_size.or(globals.memory_size).unwrap_or(DEFAULT_MEMORY_MB),
        variables: variables.cloned().collect(),
        actions: policy::allowed_actions(resolve_policies(&role, &policies, roles)?)?,
    })
}

/// The policies of the role that a function names, or its own, of which SAM makes a role.
fn resolve_policies<'a>(
    role: &Value,
    function_policies: &'a Value,
    roles: &'a BTreeMap<String, Value>,
) -> Result<&'a Value, String> {
    if role.is_null() {
        return Ok(function_policies);
    }
    role["Fn::GetAtt"]
        .as_str()
        .and_then(|attribute| roles.get(attribute.strip_suffix(".Arn")?))
        .ok_or_else(|| "its Role is not one of the template's".to_owned())
}

fn parse_route(properties: Value) -> Result<String, String> {
    let HttpApi { method, path } =
        HttpApi::deserialize(properties).map_err(|error| error.to_string())?;
    if path.contains("+}") {
        return Err("greedy paths are not served here".to_owned());
    }
    Ok(format!("{} {path}", method.to_ascii_uppercase()))
}

#[cfg(test)]
mod tests;
