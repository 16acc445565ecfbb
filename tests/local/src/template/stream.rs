//! The consumers of the table's stream: `DynamoDB` events of a function, and pipes with their bus.
//!
//! An unsupported property is an error. Properties without an effect locally, such as roles and
//! tags, are listed here and ignored.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::reference::attribute_owner;
use crate::streams::{Filters, Pattern};

/// The default of Lambda and Pipes.
const DEFAULT_BATCH_SIZE: usize = 100;

/// The maximum of Lambda and Pipes.
const MAX_BATCH_SIZE: usize = 10_000;

/// The maximum number of events that a bus takes at once. The batch of a pipe must not be larger.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-batching-concurrency.html>
const MAX_BUS_BATCH_SIZE: usize = 10;

/// The quotas for the filters of a consumer.
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html>
const MAX_FILTERS: usize = 5;
const MAX_PATTERN_BYTES: usize = 4_096;

/// The attributes in `!GetAtt` references.
const ARN: &str = "Arn";
const STREAM_ARN: &str = "StreamArn";

/// How a consumer forms and retries batches.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BatchSettings {
    pub(crate) batch_size: usize,
    pub(crate) max_retries: u32,
    /// `None` is the retention of the stream.
    pub(crate) max_age: Option<Duration>,
    /// Whether a failed batch is split.
    pub(crate) bisects: bool,
    /// The logical id of the queue for discarded batches. Without it they are dropped.
    pub(crate) dead_letter_queue: Option<String>,
}

/// An event source mapping of a function.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StreamMapping {
    pub(crate) settings: BatchSettings,
    pub(crate) filters: Filters,
    /// Whether the function reports the records that failed.
    pub(crate) reports_item_failures: bool,
}

/// A pipe from the table's stream to the event bus.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PipeDefinition {
    /// The logical id. `CloudFormation` generates the name from it.
    pub(crate) name: String,
    pub(crate) settings: BatchSettings,
    pub(crate) filters: Filters,
    /// The name of the enrichment function.
    pub(crate) enrichment: String,
    pub(crate) target: PipeTarget,
}

/// The members of an entry for the bus.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PipeTarget {
    pub(crate) detail_type: TargetParameter,
    pub(crate) source: TargetParameter,
    pub(crate) time: Option<TargetParameter>,
}

/// A parameter of a pipe's target: a path into the enriched event, such as `$.type`, or a constant.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-event-target.html>
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TargetParameter {
    Path(Vec<String>),
    Constant(String),
}

/// The event bus.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct EventBusDefinition {
    pub(crate) has_archive: bool,
    /// How long the archive keeps an event. `None` is forever.
    pub(crate) archive_retention: Option<Duration>,
}

/// The logical ids of the resources that a consumer may refer to.
#[derive(Default)]
pub(super) struct References {
    pub(super) tables: Vec<String>,
    pub(super) buses: Vec<String>,
    pub(super) queues: Vec<String>,
    /// The binary of each function.
    pub(super) functions: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct MappingProperties {
    stream: Value,
    starting_position: String,
    batch_size: Option<usize>,
    parallelization_factor: Option<u32>,
    bisect_batch_on_function_error: Option<bool>,
    #[serde(default)]
    function_response_types: Vec<String>,
    maximum_retry_attempts: Option<i64>,
    maximum_record_age_in_seconds: Option<i64>,
    destination_config: Option<DestinationConfig>,
    filter_criteria: Option<FilterCriteria>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct DestinationConfig {
    on_failure: OnFailure,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct OnFailure {
    #[serde(rename = "Type")]
    kind: String,
    destination: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct FilterCriteria {
    filters: Vec<Filter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Filter {
    pattern: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct PipeProperties {
    source: Value,
    source_parameters: SourceParameters,
    enrichment: Value,
    target: Value,
    target_parameters: TargetParameters,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct SourceParameters {
    filter_criteria: Option<FilterCriteria>,
    #[serde(rename = "DynamoDBStreamParameters")]
    stream: StreamParameters,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct StreamParameters {
    starting_position: String,
    batch_size: Option<usize>,
    parallelization_factor: Option<u32>,
    on_partial_batch_item_failure: Option<String>,
    maximum_retry_attempts: Option<i64>,
    maximum_record_age_in_seconds: Option<i64>,
    dead_letter_config: Option<DeadLetterConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct DeadLetterConfig {
    arn: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct TargetParameters {
    event_bridge_event_bus_parameters: EventBusParameters,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct EventBusParameters {
    detail_type: String,
    source: String,
    time: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ArchiveProperties {
    source_arn: Value,
    #[serde(default)]
    retention_days: u64,
}

impl StreamMapping {
    /// Parses a `DynamoDB` event of a function.
    /// <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-property-function-dynamodb.html>
    pub(super) fn parse(properties: Value, references: &References) -> Result<Self, String> {
        // Records are delivered at once, so the batching window has no effect.
        let properties: MappingProperties =
            deserialize(properties, &["MaximumBatchingWindowInSeconds"])?;
        references.check_stream("Stream", &properties.stream)?;
        check_position(&properties.starting_position)?;
        check_parallelization(properties.parallelization_factor)?;
        let reports_item_failures = match properties.function_response_types.as_slice() {
            [] => false,
            [kind] if kind == "ReportBatchItemFailures" => true,
            other => return Err(format!("FunctionResponseTypes {other:?} is not supported")),
        };
        let dead_letter_queue = match properties.destination_config {
            None => None,
            Some(DestinationConfig { on_failure: OnFailure { kind, destination } }) => {
                if kind != "SQS" {
                    return Err(format!("a destination of the type {kind} is not supported"));
                }
                Some(references.queue("Destination", &destination)?)
            }
        };
        Ok(Self {
            settings: BatchSettings {
                batch_size: batch_size(properties.batch_size, MAX_BATCH_SIZE)?,
                max_retries: max_retries(properties.maximum_retry_attempts)?,
                max_age: max_age(properties.maximum_record_age_in_seconds)?,
                bisects: properties.bisect_batch_on_function_error.unwrap_or_default(),
                dead_letter_queue,
            },
            filters: parse_filters(properties.filter_criteria)?,
            reports_item_failures,
        })
    }
}

impl PipeDefinition {
    /// Parses an `AWS::Pipes::Pipe`.
    /// <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-pipes-pipe.html>
    pub(super) fn parse(
        id: &str,
        mut properties: Value,
        references: &References,
    ) -> Result<Self, String> {
        const WITHOUT_EFFECT: [&str; 5] =
            ["Description", "LogConfiguration", "Name", "RoleArn", "Tags"];
        // Records are delivered at once, so the batching window has no effect.
        if let Some(stream) = properties
            .pointer_mut("/SourceParameters/DynamoDBStreamParameters")
            .and_then(Value::as_object_mut)
        {
            stream.remove("MaximumBatchingWindowInSeconds");
        }
        let PipeProperties { source, source_parameters, enrichment, target, target_parameters } =
            deserialize(properties, &WITHOUT_EFFECT)?;
        let SourceParameters { filter_criteria, stream } = source_parameters;
        references.check_stream("Source", &source)?;
        check_position(&stream.starting_position)?;
        check_parallelization(stream.parallelization_factor)?;
        let bisects = match stream.on_partial_batch_item_failure.as_deref() {
            None => false,
            Some("AUTOMATIC_BISECT") => true,
            Some(other) => return Err(format!("{other} is not supported")),
        };
        let dead_letter_queue = stream
            .dead_letter_config
            .map(|config| references.queue("DeadLetterConfig", &config.arn))
            .transpose()?;
        let filters = parse_filters(filter_criteria)?;
        check_pipe_filters(&filters)?;
        let enrichment = attribute_owner(&enrichment, ARN)
            .and_then(|id| references.functions.get(id).cloned())
            .ok_or_else(|| "Enrichment must be the Arn of a function".to_owned())?;
        if !references.buses.iter().any(|bus| attribute_owner(&target, ARN) == Some(bus.as_str())) {
            return Err("Target must be the Arn of the event bus".to_owned());
        }
        let parameters = target_parameters.event_bridge_event_bus_parameters;
        Ok(Self {
            name: id.to_owned(),
            settings: BatchSettings {
                batch_size: batch_size(stream.batch_size, MAX_BUS_BATCH_SIZE)?,
                max_retries: max_retries(stream.maximum_retry_attempts)?,
                max_age: max_age(stream.maximum_record_age_in_seconds)?,
                bisects,
                dead_letter_queue,
            },
            filters,
            enrichment,
            target: PipeTarget {
                detail_type: TargetParameter::parse(&parameters.detail_type)?,
                source: TargetParameter::parse(&parameters.source)?,
                time: parameters.time.as_deref().map(TargetParameter::parse).transpose()?,
            },
        })
    }
}

impl TargetParameter {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let Some(path) = text.strip_prefix('$') else {
            return Ok(Self::Constant(text.to_owned()));
        };
        let is_name = |segment: &str| {
            !segment.is_empty()
                && segment.chars().all(|char| char.is_ascii_alphanumeric() || "_-".contains(char))
        };
        let segments = path.strip_prefix('.').map(|path| path.split('.').map(str::to_owned));
        let segments: Vec<String> = segments.into_iter().flatten().collect();
        if segments.is_empty() || !segments.iter().all(|segment| is_name(segment)) {
            return Err(format!("the path `{text}` is not supported"));
        }
        Ok(Self::Path(segments))
    }

    /// The value for an event. `None` if the path does not lead to a text.
    pub(crate) fn resolve(&self, event: &Value) -> Option<String> {
        match self {
            Self::Constant(text) => Some(text.clone()),
            Self::Path(segments) => {
                let end = segments.iter().try_fold(event, |node, segment| node.get(segment))?;
                end.as_str().map(str::to_owned)
            }
        }
    }
}

impl EventBusDefinition {
    /// Checks the properties of an `AWS::Events::EventBus`.
    /// <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-events-eventbus.html>
    pub(super) fn parse(properties: &Value) -> Result<Self, String> {
        const WITHOUT_EFFECT: [&str; 4] = ["Description", "KmsKeyIdentifier", "Name", "Tags"];
        let mut names = properties.as_object().into_iter().flat_map(serde_json::Map::keys);
        match names.find(|name| !WITHOUT_EFFECT.contains(&name.as_str())) {
            Some(name) => Err(format!("the property {name} is not supported")),
            None => Ok(Self::default()),
        }
    }

    /// Adds an `AWS::Events::Archive`.
    /// <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-events-archive.html>
    pub(super) fn add_archive(
        &mut self,
        properties: Value,
        references: &References,
    ) -> Result<(), String> {
        let ArchiveProperties { source_arn, retention_days } =
            deserialize(properties, &["ArchiveName", "Description", "KmsKeyIdentifier"])?;
        if !references
            .buses
            .iter()
            .any(|bus| attribute_owner(&source_arn, ARN) == Some(bus.as_str()))
        {
            return Err("SourceArn must be the Arn of the event bus".to_owned());
        }
        self.has_archive = true;
        // Without a number of days the archive keeps events forever.
        self.archive_retention = (retention_days > 0)
            .then(|| Duration::from_secs(retention_days.saturating_mul(86_400)));
        Ok(())
    }
}

impl References {
    fn check_stream(&self, property: &str, value: &Value) -> Result<(), String> {
        let table = attribute_owner(value, STREAM_ARN);
        if self.tables.iter().any(|id| table == Some(id.as_str())) {
            Ok(())
        } else {
            Err(format!("{property} must be the StreamArn of the table"))
        }
    }

    fn queue(&self, property: &str, value: &Value) -> Result<String, String> {
        attribute_owner(value, ARN)
            .filter(|id| self.queues.iter().any(|queue| queue == id))
            .map(str::to_owned)
            .ok_or_else(|| format!("{property} must be the Arn of a queue of the template"))
    }
}

/// Deserializes properties after the removal of those that have no effect.
fn deserialize<T: DeserializeOwned>(
    mut properties: Value,
    without_effect: &[&str],
) -> Result<T, String> {
    if let Some(members) = properties.as_object_mut() {
        for name in without_effect {
            members.remove(*name);
        }
    }
    T::deserialize(properties).map_err(|error| error.to_string())
}

fn check_position(position: &str) -> Result<(), String> {
    match position {
        "TRIM_HORIZON" => Ok(()),
        other => Err(format!("the starting position {other} is not supported")),
    }
}

fn check_parallelization(factor: Option<u32>) -> Result<(), String> {
    match factor {
        // The changes of one item stay in order, and the stack keeps the order of all.
        None | Some(1..=10) => Ok(()),
        Some(other) => Err(format!("the parallelization factor {other} is not 1 to 10")),
    }
}

fn batch_size(size: Option<usize>, maximum: usize) -> Result<usize, String> {
    let size = size.unwrap_or(DEFAULT_BATCH_SIZE);
    if (1..=maximum).contains(&size) {
        Ok(size)
    } else {
        Err(format!("the batch size {size} is not between 1 and {maximum}"))
    }
}

/// The default is an infinite number of retries, which would never drain the stream.
fn max_retries(retries: Option<i64>) -> Result<u32, String> {
    retries
        .and_then(|retries| u32::try_from(retries).ok())
        .filter(|&retries| retries <= 10_000)
        .ok_or_else(|| "MaximumRetryAttempts must be between 0 and 10000".to_owned())
}

fn max_age(seconds: Option<i64>) -> Result<Option<Duration>, String> {
    match seconds {
        None | Some(-1) => Ok(None),
        Some(seconds) => match u64::try_from(seconds) {
            Ok(seconds) if (60..=604_800).contains(&seconds) => {
                Ok(Some(Duration::from_secs(seconds)))
            }
            _ => Err("MaximumRecordAgeInSeconds must be -1 or between 60 and 604800".to_owned()),
        },
    }
}

fn parse_filters(criteria: Option<FilterCriteria>) -> Result<Filters, String> {
    let Some(FilterCriteria { filters }) = criteria else { return Ok(Filters::default()) };
    if !(1..=MAX_FILTERS).contains(&filters.len()) {
        return Err(format!("FilterCriteria must have 1 to {MAX_FILTERS} filters"));
    }
    let parse = |Filter { pattern }: Filter| {
        if pattern.len() > MAX_PATTERN_BYTES {
            return Err(format!("a pattern must not exceed {MAX_PATTERN_BYTES} bytes"));
        }
        let json = serde_json::from_str(&pattern)
            .map_err(|error| format!("the pattern {pattern} is not JSON: {error}"))?;
        Pattern::parse(&json).map_err(|error| format!("the pattern {pattern}: {error}"))
    };
    filters.into_iter().map(parse).collect::<Result<_, _>>().map(Filters::new)
}

/// A pipe can only filter on fields from the source. Lambda and Pipes add the other fields of a
/// record.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-event-filtering.html>
fn check_pipe_filters(filters: &Filters) -> Result<(), String> {
    match filters.patterns().iter().flat_map(Pattern::field_names).find(|name| *name != "dynamodb")
    {
        Some(name) => Err(format!("a pipe cannot filter on `{name}`")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn references() -> References {
        References {
            tables: vec!["Table".to_owned()],
            buses: vec!["EventBus".to_owned()],
            queues: vec!["Letters".to_owned()],
            functions: BTreeMap::from([("EventsFunction".to_owned(), "call-events".to_owned())]),
        }
    }

    fn mapping_properties() -> Value {
        json!({
            "Stream": {"Fn::GetAtt": "Table.StreamArn"},
            "StartingPosition": "TRIM_HORIZON",
            "BatchSize": 50,
            "MaximumBatchingWindowInSeconds": 1,
            "ParallelizationFactor": 1,
            "BisectBatchOnFunctionError": true,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "MaximumRetryAttempts": 10,
            "MaximumRecordAgeInSeconds": 43_200,
            "DestinationConfig": {
                "OnFailure": {"Type": "SQS", "Destination": {"Fn::GetAtt": "Letters.Arn"}},
            },
            "FilterCriteria": {
                "Filters": [{"Pattern": r#"{"dynamodb":{"Keys":{"sk":{"S":["CALL"]}}}}"#}],
            },
        })
    }

    fn pipe_properties() -> Value {
        json!({
            "RoleArn": {"Fn::GetAtt": "PipeRole.Arn"},
            "Source": {"Fn::GetAtt": "Table.StreamArn"},
            "SourceParameters": {
                "FilterCriteria": {
                    "Filters": [{"Pattern": r#"{"dynamodb":{"Keys":{"sk":{"S":["CALL"]}}}}"#}],
                },
                "DynamoDBStreamParameters": {
                    "StartingPosition": "TRIM_HORIZON",
                    "BatchSize": 2,
                    "MaximumBatchingWindowInSeconds": 0,
                    "ParallelizationFactor": 1,
                    "OnPartialBatchItemFailure": "AUTOMATIC_BISECT",
                    "MaximumRetryAttempts": 5,
                    "MaximumRecordAgeInSeconds": 43_200,
                    "DeadLetterConfig": {"Arn": {"Fn::GetAtt": "Letters.Arn"}},
                },
            },
            "Enrichment": {"Fn::GetAtt": "EventsFunction.Arn"},
            "Target": {"Fn::GetAtt": "EventBus.Arn"},
            "TargetParameters": {
                "EventBridgeEventBusParameters": {
                    "DetailType": "$.type", "Source": "$.source", "Time": "$.time",
                },
            },
        })
    }

    fn parse_mapping(properties: Value) -> Result<StreamMapping, String> {
        StreamMapping::parse(properties, &references())
    }

    fn parse_pipe(properties: Value) -> Result<PipeDefinition, String> {
        PipeDefinition::parse("EventPipe", properties, &references())
    }

    /// Properties with another value at a JSON pointer. `null` removes the member.
    fn with(mut properties: Value, pointer: &str, value: Value) -> Value {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = properties.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        if value.is_null() {
            parent.remove(name);
        } else {
            parent.insert(name.to_owned(), value);
        }
        properties
    }

    #[test]
    fn mapping_is_parsed() {
        let mapping = parse_mapping(mapping_properties()).unwrap();
        assert_eq!(
            mapping.settings,
            BatchSettings {
                batch_size: 50,
                max_retries: 10,
                max_age: Some(Duration::from_hours(12)),
                bisects: true,
                dead_letter_queue: Some("Letters".to_owned()),
            }
        );
        assert!(mapping.reports_item_failures);
        let record = |key: &str| json!({"dynamodb": {"Keys": {"sk": {"S": key}}}});
        assert!(mapping.filters.matches(&record("CALL")));
        assert!(!mapping.filters.matches(&record("PROFILE")));
    }

    #[test]
    fn omitted_properties_have_lambdas_defaults() {
        let mapping = parse_mapping(json!({
            "Stream": {"Fn::Sub": "${Table.StreamArn}"},
            "StartingPosition": "TRIM_HORIZON",
            "MaximumRetryAttempts": 0,
        }))
        .unwrap();
        assert_eq!(
            mapping.settings,
            BatchSettings {
                batch_size: 100,
                max_retries: 0,
                max_age: None,
                bisects: false,
                dead_letter_queue: None,
            }
        );
        assert!(!mapping.reports_item_failures);
        assert!(mapping.filters.matches(&json!({})));
    }

    #[test]
    fn invalid_mapping_names_the_problem() {
        let filters = |pattern: &str| json!({"Filters": [{"Pattern": pattern}]});
        let cases = [
            ("/Unknown", json!(1), "unknown field `Unknown`"),
            ("/Stream", json!({"Fn::GetAtt": "Table.Arn"}), "Stream must be the StreamArn"),
            ("/Stream", json!({"Fn::GetAtt": "Other.StreamArn"}), "Stream must be the StreamArn"),
            ("/StartingPosition", json!("LATEST"), "the starting position LATEST"),
            ("/BatchSize", json!(0), "the batch size 0 is not between 1 and 10000"),
            ("/ParallelizationFactor", json!(11), "the parallelization factor 11 is not 1 to 10"),
            ("/FunctionResponseTypes", json!(["Other"]), "FunctionResponseTypes"),
            ("/MaximumRetryAttempts", json!(-1), "MaximumRetryAttempts must be"),
            ("/MaximumRetryAttempts", Value::Null, "MaximumRetryAttempts must be"),
            ("/MaximumRecordAgeInSeconds", json!(59), "MaximumRecordAgeInSeconds must be"),
            ("/DestinationConfig/OnFailure/Type", json!("SNS"), "a destination of the type SNS"),
            (
                "/DestinationConfig/OnFailure/Destination",
                json!({"Fn::GetAtt": "Other.Arn"}),
                "Destination must be the Arn of a queue",
            ),
            ("/FilterCriteria/Filters", json!([]), "FilterCriteria must have 1 to 5 filters"),
            ("/FilterCriteria", filters("{"), "the pattern { is not JSON"),
            ("/FilterCriteria", filters(r#"{"a":[{"suffix":"x"}]}"#), "the pattern {\"a\""),
            ("/FilterCriteria", filters(&" ".repeat(4_097)), "a pattern must not exceed 4096"),
        ];
        for (pointer, value, problem) in cases {
            let error = parse_mapping(with(mapping_properties(), pointer, value)).unwrap_err();
            assert!(error.starts_with(problem), "{pointer}: {error}");
        }
    }

    #[test]
    fn pipe_is_parsed() {
        let pipe = parse_pipe(pipe_properties()).unwrap();
        assert_eq!(pipe.name, "EventPipe");
        assert_eq!(pipe.enrichment, "call-events");
        assert_eq!(
            pipe.settings,
            BatchSettings {
                batch_size: 2,
                max_retries: 5,
                max_age: Some(Duration::from_hours(12)),
                bisects: true,
                dead_letter_queue: Some("Letters".to_owned()),
            }
        );
        let path = |name: &str| TargetParameter::Path(vec![name.to_owned()]);
        assert_eq!(
            pipe.target,
            PipeTarget {
                detail_type: path("type"),
                source: path("source"),
                time: Some(path("time")),
            }
        );
    }

    #[test]
    fn invalid_pipe_names_the_problem() {
        const STREAM: &str = "/SourceParameters/DynamoDBStreamParameters";
        let stream = |name: &str| format!("{STREAM}/{name}");
        let event_name = json!({"Filters": [{"Pattern": r#"{"eventName":["MODIFY"]}"#}]});
        let cases = [
            ("/InputTemplate".to_owned(), json!("x"), "unknown field `InputTemplate`"),
            ("/Enrichment".to_owned(), Value::Null, "missing field `Enrichment`"),
            (
                "/Enrichment".to_owned(),
                json!({"Fn::GetAtt": "Other.Arn"}),
                "Enrichment must be the Arn of a function",
            ),
            (
                "/Target".to_owned(),
                json!({"Ref": "EventBus"}),
                "Target must be the Arn of the event bus",
            ),
            ("/Source".to_owned(), json!("arn"), "Source must be the StreamArn"),
            ("/SourceParameters/FilterCriteria".to_owned(), event_name, "a pipe cannot filter on"),
            (stream("BatchSize"), json!(11), "the batch size 11 is not between 1 and 10"),
            (stream("BatchSize"), Value::Null, "the batch size 100 is not between 1 and 10"),
            (stream("OnPartialBatchItemFailure"), json!("OTHER"), "OTHER is not supported"),
            (stream("Unknown"), json!(1), "unknown field `Unknown`"),
            (
                "/TargetParameters/EventBridgeEventBusParameters/Time".to_owned(),
                json!("$.times[0]"),
                "the path `$.times[0]` is not supported",
            ),
        ];
        for (pointer, value, problem) in cases {
            let error = parse_pipe(with(pipe_properties(), &pointer, value)).unwrap_err();
            assert!(error.starts_with(problem), "{pointer}: {error}");
        }
    }

    #[test]
    fn target_parameter_is_a_path_or_a_constant() {
        let event = json!({"type": "call.created", "data": {"callId": "c1", "size": 1}});
        for (text, expected) in [
            ("$.type", Some("call.created")),
            ("$.data.callId", Some("c1")),
            ("$.data.size", None),
            ("$.missing.callId", None),
            ("constant", Some("constant")),
        ] {
            let resolved = TargetParameter::parse(text).unwrap().resolve(&event);
            assert_eq!(resolved.as_deref(), expected, "{text}");
        }
        for text in ["$", "$.", "$.a..b", "$type", "$.a[0]"] {
            assert!(TargetParameter::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn archive_belongs_to_the_bus() {
        let mut bus =
            EventBusDefinition::parse(&json!({"Name": {"Ref": "AWS::StackName"}})).unwrap();
        assert!(!bus.has_archive);
        let arn = json!({"Fn::GetAtt": "EventBus.Arn"});
        let archive = json!({"SourceArn": arn, "RetentionDays": 30});
        bus.add_archive(archive, &references()).unwrap();
        let retention = Some(Duration::from_hours(30 * 24));
        assert_eq!(bus, EventBusDefinition { has_archive: true, archive_retention: retention });
        bus.add_archive(json!({"SourceArn": arn}), &references()).unwrap();
        assert_eq!(bus.archive_retention, None);

        let other = json!({"SourceArn": {"Fn::GetAtt": "Other.Arn"}});
        assert!(bus.add_archive(other, &references()).is_err());
        let unknown = json!({"SourceArn": arn, "EventPattern": {}});
        assert!(bus.add_archive(unknown, &references()).is_err());
        assert!(EventBusDefinition::parse(&json!({"EventSourceName": "x"})).is_err());
    }
}
