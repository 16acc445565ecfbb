//! The routes, schedules, functions, table and stream consumers of `template.yaml`. A stack is
//! created from them, so its tests cover the deployed configuration.
//!
//! A function's own properties override `Globals.Function`, and its variables are added to the
//! global ones, as in SAM.
//! <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification-template-anatomy-globals.html>

mod policy;
mod reference;
mod schedule;
mod stream;
mod table;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::cargo_build::workspace_root;
use crate::error::TemplateError;
use crate::options::Options;
use crate::streams::{Filters, StreamConsumer};
pub use policy::TableAction;
pub use schedule::Schedule;
use stream::References;
#[cfg(test)]
pub(crate) use stream::TargetParameter;
pub(crate) use stream::{
    BatchSettings, EventBusDefinition, PipeDefinition, PipeTarget, StreamMapping,
};
pub(crate) use table::TableDefinition;
pub use yaml::parse as parse_yaml;

/// Lambda's defaults for settings that the template omits.
const DEFAULT_TIMEOUT_SECONDS: u64 = 3;
const DEFAULT_MEMORY_MB: u64 = 128;

/// The condition of the resources that [`Options::call_events`] controls.
const CALL_EVENTS_CONDITION: &str = "CallEventsEnabled";

/// The parts of the template that the stack uses.
pub(crate) struct Template {
    pub(crate) functions: Vec<Function>,
    pub(crate) table: TableDefinition,
    pub(crate) pipes: Vec<PipeDefinition>,
    pub(crate) event_bus: Option<EventBusDefinition>,
    /// The logical ids of the queues.
    pub(crate) queues: Vec<String>,
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
    /// The event source mappings that deliver records of the table's stream to the function.
    pub(crate) stream_mappings: Vec<StreamMapping>,
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

/// The filters of a consumer in `template.yaml`. `None` if the template has no such consumer.
pub fn stream_filters(consumer: StreamConsumer) -> Result<Option<Filters>, TemplateError> {
    let Template { functions, pipes, .. } = Template::load()?;
    Ok(match consumer {
        StreamConsumer::Mapping => functions
            .into_iter()
            .flat_map(|function| function.stream_mappings)
            .map(|mapping| mapping.filters)
            .next(),
        StreamConsumer::Pipe => pipes.into_iter().map(|pipe| pipe.filters).next(),
    })
}

impl Template {
    /// Reads the workspace's `template.yaml` with all conditional resources.
    pub(crate) fn load() -> Result<Self, TemplateError> {
        Self::parse(&Self::read()?)
    }

    /// Reads the workspace's `template.yaml` for a stack with these options.
    pub(crate) fn load_for(options: &Options) -> Result<Self, TemplateError> {
        Self::parse_with(&Self::read()?, options.call_events)
    }

    fn read() -> Result<String, TemplateError> {
        Ok(fs::read_to_string(workspace_root().join("template.yaml"))?)
    }

    /// The actions on the table that each function may use.
    pub(crate) fn policies(&self) -> BTreeMap<String, BTreeSet<TableAction>> {
        self.functions
            .iter()
            .map(|function| (function.name.clone(), function.actions.clone()))
            .collect()
    }

    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        Self::parse_with(text, true)
    }

    fn parse_with(text: &str, call_events: bool) -> Result<Self, TemplateError> {
        let mut document = Document::deserialize(yaml::parse(text)?)?;
        document.resources.retain(|_, resource| {
            call_events || resource.condition.as_deref() != Some(CALL_EVENTS_CONDITION)
        });
        let roles = document.roles();
        let mut references = document.references();
        let globals = document.globals.function;
        let mut functions = Vec::new();
        let mut tables = Vec::new();
        let mut buses = Vec::new();
        // The pipes and the archive refer to the other resources.
        let mut pipes = Vec::new();
        let mut archives = Vec::new();
        for (id, resource) in document.resources {
            let Resource { kind, properties, .. } = resource;
            match kind.as_str() {
                "AWS::Serverless::Function" => {
                    let function = parse_function(properties, &globals, &roles, &references)
                        .map_err(invalid_resource(&id))?;
                    references.functions.insert(id, function.name.clone());
                    functions.push(function);
                }
                "AWS::DynamoDB::Table" => tables.push(TableDefinition::new(properties)),
                "AWS::Events::EventBus" => {
                    let bus =
                        EventBusDefinition::parse(&properties).map_err(invalid_resource(&id))?;
                    buses.push((id, bus));
                }
                "AWS::Events::Archive" => archives.push((id, properties)),
                "AWS::Pipes::Pipe" => pipes.push((id, properties)),
                _ => {}
            }
        }
        let event_bus = parse_event_bus(buses, archives, &references)?;
        let parse_pipe = |(id, properties): (String, Value)| {
            PipeDefinition::parse(&id, properties, &references).map_err(invalid_resource(&id))
        };
        let pipes = pipes.into_iter().map(parse_pipe).collect::<Result<_, _>>()?;
        let count = tables.len();
        match tables.pop() {
            Some(table) if count == 1 => {
                Ok(Self { functions, table, pipes, event_bus, queues: references.queues })
            }
            _ => Err(TemplateError::TableCount(count)),
        }
    }
}

fn invalid_resource(id: &str) -> impl FnOnce(String) -> TemplateError {
    let id = id.to_owned();
    move |problem| TemplateError::InvalidResource { id, problem }
}

/// The event bus with its archive. A stack has at most one of each.
fn parse_event_bus(
    buses: Vec<(String, EventBusDefinition)>,
    archives: Vec<(String, Value)>,
    references: &References,
) -> Result<Option<EventBusDefinition>, TemplateError> {
    let mut event_bus = None;
    for (id, bus) in buses {
        if event_bus.replace(bus).is_some() {
            return Err(invalid_resource(&id)("a second event bus is not supported".to_owned()));
        }
    }
    for (id, properties) in archives {
        // Without a bus, the archive has no valid source either.
        let mut bus = event_bus.take().unwrap_or_default();
        if bus.has_archive {
            return Err(invalid_resource(&id)("a second archive is not supported".to_owned()));
        }
        bus.add_archive(properties, references).map_err(invalid_resource(&id))?;
        event_bus = Some(bus);
    }
    Ok(event_bus)
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

    /// The resources that stream consumers may refer to. The functions follow when they are parsed.
    fn references(&self) -> References {
        let ids = |kind: &str| {
            let resources = self.resources.iter().filter(|(_, resource)| resource.kind == kind);
            resources.map(|(id, _)| id.clone()).collect()
        };
        References {
            tables: ids("AWS::DynamoDB::Table"),
            buses: ids("AWS::Events::EventBus"),
            queues: ids("AWS::SQS::Queue"),
            functions: BTreeMap::new(),
        }
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
    condition: Option<String>,
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
    references: &References,
) -> Result<Function, String> {
    let Properties { code_uri, events, role, policies, overrides: own } =
        Properties::deserialize(properties).map_err(|error| error.to_string())?;
    let name = code_uri.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if name.is_empty() {
        return Err("CodeUri must end with the name of a binary".to_owned());
    }
    let mut routes = Vec::new();
    let mut schedules = Vec::new();
    let mut stream_mappings = Vec::new();
    for (event, Event { kind, properties }) in events {
        let invalid_event = |problem: String| format!("event {event}: {problem}");
        match kind.as_str() {
            "HttpApi" => routes.push(parse_route(properties).map_err(invalid_event)?),
            "ScheduleV2" => schedules.push(Schedule::parse(properties).map_err(invalid_event)?),
            "DynamoDB" => {
                let mapping =
                    StreamMapping::parse(properties, references).map_err(invalid_event)?;
                stream_mappings.push(mapping);
            }
            other => return Err(invalid_event(format!("{other} is not supported"))),
        }
    }
    let timeout = own.timeout.or(globals.timeout).unwrap_or(DEFAULT_TIMEOUT_SECONDS);
    let variables = globals.environment.variables.keys().chain(own.environment.variables.keys());
    Ok(Function {
        name: name.to_owned(),
        routes,
        schedules,
        stream_mappings,
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
