//! The routes, schedules, functions and table of `template.yaml`. A stack is created from them, so
//! its tests cover the deployed configuration.
//!
//! A function's own properties override `Globals.Function`, and its variables are added to the
//! global ones, as in SAM.
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

/// Lambda's defaults for settings that the template omits.
const DEFAULT_TIMEOUT_SECONDS: u64 = 3;
const DEFAULT_MEMORY_MB: u64 = 128;

/// The parts of the template that the stack uses.
pub(crate) struct Template {
    pub(crate) functions: Vec<Function>,
    pub(crate) table: TableDefinition,
}

/// A function of the template.
#[derive(Debug)]
pub(crate) struct Function {
    /// The name of the binary, which is the last segment of `CodeUri`.
    pub(crate) name: String,
    /// The routes, such as `POST /api/stream/token`.
    pub(crate) routes: Vec<String>,
    /// The schedules that invoke the function.
    pub(crate) schedules: Vec<Schedule>,
    pub(crate) timeout: Duration,
    pub(crate) memory_mb: u64,
    /// The names of the function's variables.
    pub(crate) variables: BTreeSet<String>,
    /// The actions on the table that the function's policies allow.
    pub(crate) actions: BTreeSet<TableAction>,
}

/// The route keys of `template.yaml`, such as `POST /api/stream/token`.
pub fn route_keys() -> Result<Vec<String>, TemplateError> {
    let routes = Template::load()?.functions.into_iter().flat_map(|function| function.routes);
    Ok(routes.collect())
}

/// The actions on the table that each function's policies in `template.yaml` allow.
pub fn policies() -> Result<BTreeMap<String, BTreeSet<TableAction>>, TemplateError> {
    Ok(Template::load()?.policies())
}

/// The schedules of `template.yaml`, each with the name of its function.
pub fn schedules() -> Result<Vec<(String, Schedule)>, TemplateError> {
    let function_schedules = |Function { name, schedules, .. }: Function| {
        schedules.into_iter().map(move |schedule| (name.clone(), schedule))
    };
    Ok(Template::load()?.functions.into_iter().flat_map(function_schedules).collect())
}

impl Template {
    /// Reads the workspace's `template.yaml`.
    pub(crate) fn load() -> Result<Self, TemplateError> {
        Self::parse(&fs::read_to_string(workspace_root().join("template.yaml"))?)
    }

    /// The actions on the table that each function may use.
    pub(crate) fn policies(&self) -> BTreeMap<String, BTreeSet<TableAction>> {
        self.functions
            .iter()
            .map(|function| (function.name.clone(), function.actions.clone()))
            .collect()
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
    /// The policies of each role, by the role's logical id.
    fn roles(&self) -> BTreeMap<String, Value> {
        let roles = self.resources.iter().filter(|(_, resource)| resource.kind == "AWS::IAM::Role");
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

/// The settings that `Globals.Function` and a function's properties share.
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
        return Err("CodeUri must end with the name of a binary".to_owned());
    }
    let mut routes = Vec::new();
    let mut schedules = Vec::new();
    for (event, Event { kind, properties }) in events {
        let invalid_event = |problem: String| format!("event {event}: {problem}");
        match kind.as_str() {
            "HttpApi" => routes.push(parse_route(properties).map_err(invalid_event)?),
            "ScheduleV2" => schedules.push(Schedule::parse(properties).map_err(invalid_event)?),
            other => return Err(invalid_event(format!("{other} is not supported"))),
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

/// The policies of the function's role, or the function's own policies, from which SAM creates a
/// role.
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
        .ok_or_else(|| "Role must be a role of the template".to_owned())
}

fn parse_route(properties: Value) -> Result<String, String> {
    let HttpApi { method, path } =
        HttpApi::deserialize(properties).map_err(|error| error.to_string())?;
    if path.contains("+}") {
        return Err("greedy paths are not supported".to_owned());
    }
    Ok(format!("{} {path}", method.to_ascii_uppercase()))
}

#[cfg(test)]
mod tests;
