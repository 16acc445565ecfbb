"""Checks the consumers of the table's stream: the mapping of call-history, and the pipe of the events."""

import json
from collections.abc import Iterator
from typing import Any

from grants import EVERY_STREAM_ARN, STREAM_ARN, TABLE_ARN
from operations import alarm_metrics
from project import Project, as_list, filter_patterns, references, resources, statements

# The condition of everything that CallEvents=false removes.
CONDITION = "CallEventsEnabled"
EVENT_RESOURCES = {
    "CallEventsFunction",
    "CallEventsLog",
    "CallEventsRole",
    "EventArchive",
    "EventBus",
    "EventBusArn",
    "EventDeadLetters",
    "EventDeadLettersAlarm",
    "EventPipe",
    "EventDelayAlarm",
    "EventPipeFailedAlarm",
    "EventPipeRole",
    "EventPipeStoppedAlarm",
    "EventsFunctionErrorsAlarm",
    "EventsFunctionThrottlesAlarm",
}

# The records of a call, by the states before and after.
CREATED = '{"OldImage":{"state":{"S":["creating"]}},"NewImage":{"state":{"S":["active"]}}}'
ANSWERED = (
    '{"OldImage":{"firstAnsweredAt":{"N":[{"exists":false}]}},"NewImage":{"firstAnsweredAt":{"N":[{"exists":true}]}}}'
)
ENDED = '{"OldImage":{"state":{"S":["active"]}},"NewImage":{"state":{"S":["ending"]}}}'
ENDING_OR_ENDED = '{"OldImage":{"state":{"S":["active","ending"]}},"NewImage":{"state":{"S":["ending","ended"]}}}'
SETTLED = '{"NewImage":{"settlement":{"M":{"settledAt":{"N":[{"exists":true}]}}}}}'
EXTENDED = '{"NewImage":{"limitVersion":{"N":[{"exists":true}]}}}'
USER_DELETED = '{"NewImage":{"status":{"S":["deleted"]}}}'

# The sort key and the images of each filter.
HISTORY_FILTERS = [("CALL", images) for images in (CREATED, ANSWERED, ENDING_OR_ENDED, SETTLED, EXTENDED)]
EVENT_FILTERS = [("CALL", images) for images in (CREATED, ANSWERED, ENDED, SETTLED)] + [("PROFILE", USER_DELETED)]

# AWS's limits.
MAX_FILTERS, MAX_PATTERN_LENGTH = 5, 4096
MAX_EVENTS_PER_PUT = 10
# The most events that call-events derives from one record.
MAX_EVENTS_PER_RECORD = 5

READ_STREAM = {
    "Effect": "Allow",
    "Action": ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
    "Resource": STREAM_ARN,
}
LIST_STREAMS = {"Effect": "Allow", "Action": "dynamodb:ListStreams", "Resource": EVERY_STREAM_ARN}


def arn(name: str) -> dict[str, Any]:
    return {"Fn::GetAtt": [name, "Arn"]}


def differences(name: str, found: dict[str, Any], expected: dict[str, Any]) -> Iterator[str]:
    for key in sorted(found.keys() | expected.keys()):
        if found.get(key) != expected.get(key):
            yield f"{name}: {key} is {json.dumps(found.get(key))}, must be {json.dumps(expected.get(key))}"


def history_mapping(project: Project) -> Iterator[str]:
    mappings = project.mappings()
    if [name for name, _, _ in mappings] != ["CallHistoryFunction"]:
        yield f"one event source mapping must invoke CallHistoryFunction, found {[name for _, name, _ in mappings]}"
    for _, name, found in mappings:
        expected = {
            "FunctionName": {"Ref": "CallHistoryFunction"},
            "EventSourceArn": STREAM_ARN,
            "StartingPosition": "TRIM_HORIZON",
            "BatchSize": 100,
            "MaximumBatchingWindowInSeconds": 1,
            # One batch of a shard at a time, so its records are processed in order.
            "ParallelizationFactor": 1,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "BisectBatchOnFunctionError": True,
            "MaximumRetryAttempts": 10,
            # Records remain in the stream for 24 hours: half of them to process a record, half of them to repair.
            "MaximumRecordAgeInSeconds": 12 * 60 * 60,
            "DestinationConfig": {"OnFailure": {"Destination": arn("HistoryDeadLetters")}},
            "FilterCriteria": found.get("FilterCriteria"),
        }
        yield from differences(name, found, expected)


def event_pipe(project: Project) -> Iterator[str]:
    pipes = project.pipes()
    if [name for name, _, _ in pipes] != ["CallEventsFunction"]:
        yield f"one pipe must be enriched by CallEventsFunction, found {[name for _, name, _ in pipes]}"
    for _, name, found in pipes:
        source = found.get("SourceParameters", {})
        parameters = source.get("DynamoDBStreamParameters", {})
        expected = {
            # CloudFormation cannot replace a pipe with a name, and a new stream requires a new pipe.
            "Name": None,
            "Description": found.get("Description"),
            "RoleArn": arn("EventPipeRole"),
            "Source": STREAM_ARN,
            "SourceParameters": source,
            "Enrichment": arn("CallEventsFunction"),
            "Target": arn("EventBus"),
            "TargetParameters": {
                "EventBridgeEventBusParameters": {"DetailType": "$.type", "Source": "$.source", "Time": "$.time"}
            },
        }
        yield from differences(name, found, expected)
        expected = {
            "StartingPosition": "TRIM_HORIZON",
            "BatchSize": 1,
            "ParallelizationFactor": 10,
            "OnPartialBatchItemFailure": "AUTOMATIC_BISECT",
            "MaximumRetryAttempts": 5,
            "MaximumRecordAgeInSeconds": 12 * 60 * 60,
            "DeadLetterConfig": {"Arn": arn("EventDeadLetters")},
        }
        yield from differences(name, parameters, expected)
        if parameters.get("BatchSize", 0) * MAX_EVENTS_PER_RECORD > MAX_EVENTS_PER_PUT:
            yield f"{name}: a batch has more than {MAX_EVENTS_PER_PUT} events, and the pipe does not send it"


def filters(project: Project) -> Iterator[str]:
    criteria = [(name, HISTORY_FILTERS, mapping.get("FilterCriteria", {})) for _, name, mapping in project.mappings()]
    criteria += [
        (name, EVENT_FILTERS, pipe.get("SourceParameters", {}).get("FilterCriteria", {}))
        for _, name, pipe in project.pipes()
    ]
    for name, expected_filters, found_criteria in criteria:
        found = filter_patterns(found_criteria)
        expected = [
            {"dynamodb": {"Keys": {"sk": {"S": [sort_key]}}, **json.loads(images)}}
            for sort_key, images in expected_filters
        ]
        for pattern in found:
            # Without the sort key, the rows that call-history writes would invoke it again.
            if len(pattern.get("dynamodb", {}).get("Keys", {}).get("sk", {}).get("S", [])) != 1:
                yield f"{name}: a filter does not name one sort key: {json.dumps(pattern)}"
            # A pipe supports no other member of a record.
            if pattern.keys() != {"dynamodb"}:
                yield f"{name}: a filter names {sorted(pattern)}, must name dynamodb only"
        for pattern in expected:
            if pattern not in found:
                yield f"{name}: no filter is {json.dumps(pattern)}"
        for pattern in found:
            if pattern not in expected:
                yield f"{name}: unexpected filter {json.dumps(pattern)}"
        lengths = [len(item["Pattern"]) for item in found_criteria.get("Filters", [])]
        if len(lengths) > MAX_FILTERS or max(lengths, default=0) > MAX_PATTERN_LENGTH:
            yield f"{name}: at most {MAX_FILTERS} filters of {MAX_PATTERN_LENGTH} characters are allowed"


def consumer_roles(project: Project) -> Iterator[str]:
    table = {
        "Effect": "Allow",
        "Action": ["dynamodb:BatchGetItem", "dynamodb:DeleteItem", "dynamodb:PutItem"],
        "Resource": TABLE_ARN,
    }

    def log(name: str) -> dict[str, Any]:
        return {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": arn(name)}

    def dead_letter(name: str) -> dict[str, Any]:
        return {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn(name)}

    expected = {
        "CallHistoryRole": [table, READ_STREAM, LIST_STREAMS, log("CallHistoryLog"), dead_letter("HistoryDeadLetters")],
        "CallEventsRole": [log("CallEventsLog")],
        "EventPipeRole": [
            READ_STREAM,
            LIST_STREAMS,
            {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": arn("CallEventsFunction")},
            {"Effect": "Allow", "Action": "events:PutEvents", "Resource": arn("EventBus")},
            dead_letter("EventDeadLetters"),
        ],
    }
    for name, expected_statements in expected.items():
        role = project.translated["Resources"].get(name, {}).get("Properties", {})
        found = list(statements(role))
        for statement in expected_statements:
            if statement not in found:
                yield f"{name} must allow {json.dumps(statement['Action'])} on {json.dumps(statement['Resource'])}"
        for statement in found:
            if statement not in expected_statements:
                yield f"{name} must not have the statement {json.dumps(statement)}"
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": "pipes.amazonaws.com"},
        # Otherwise a pipe of another account could use the role.
        "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
    }
    pipe_role = project.translated["Resources"].get("EventPipeRole", {}).get("Properties", {})
    found_trust = as_list(pipe_role.get("AssumeRolePolicyDocument", {}).get("Statement", []))
    if found_trust != [trust]:
        yield f"EventPipeRole trusts {json.dumps(found_trust)}, must trust the pipes of this account only"


def bus_and_archive(project: Project) -> Iterator[str]:
    buses = [(name, bus["Properties"]) for name, bus in resources(project.translated, "AWS::Events::EventBus")]
    if buses != [("EventBus", {"Name": {"Ref": "AWS::StackName"}})]:
        yield f"the one bus must be EventBus with the name of the stack, found {json.dumps(buses)}"
    archives = [(name, it["Properties"]) for name, it in resources(project.translated, "AWS::Events::Archive")]
    if archives != [("EventArchive", {"SourceArn": arn("EventBus"), "RetentionDays": 30})]:
        yield f"the one archive must retain all events of EventBus for 30 days, found {json.dumps(archives)}"
    source = {"Fn::Sub": "stream-functions/${AWS::StackName}"}
    function = project.translated["Resources"].get("CallEventsFunction", {}).get("Properties", {})
    found_source = function.get("Environment", {}).get("Variables", {}).get("EVENT_SOURCE")
    if found_source != source:
        yield f"CallEventsFunction: EVENT_SOURCE is {json.dumps(found_source)}, must be {json.dumps(source)}"
    output = project.translated["Outputs"].get("EventBusArn", {}).get("Value")
    if output != arn("EventBus"):
        yield f"the output EventBusArn is {json.dumps(output)}, must be the ARN of EventBus"


def consumer_alarms(project: Project) -> Iterator[str]:
    """The alarms on lost and late records; operations.py checks those of queues and of function errors."""
    expected = {
        ("AWS/Lambda", "IteratorAge", "FunctionName", "CallHistoryFunction"): ("GreaterThanThreshold", 3_600_000),
        ("AWS/EventBridge/Pipes", "ExecutionFailed", "PipeName", "EventPipe"): ("GreaterThanThreshold", 2),
    }
    found = {
        (namespace, metric, key, value.get("Ref")): (
            alarm["Properties"].get("ComparisonOperator"),
            alarm["Properties"].get("Threshold"),
        )
        for _, alarm in resources(project.translated, "AWS::CloudWatch::Alarm")
        for namespace, metric, dimensions in alarm_metrics(alarm["Properties"])
        for key, value in dimensions.items()
        if isinstance(namespace, str) and isinstance(value, dict)
    }
    for metric, threshold in expected.items():
        if found.get(metric) != threshold:
            yield f"the alarm on {' '.join(metric)} has {found.get(metric)}, must have {threshold}"
    delay = project.translated["Resources"].get("EventDelayAlarm", {}).get("Properties", {})
    if (delay.get("MetricName"), delay.get("Threshold")) != ("EventDelaySeconds", 900):
        yield "EventDelayAlarm does not fire after 15 minutes of EventDelaySeconds"
    stopped = project.translated["Resources"].get("EventPipeStoppedAlarm", {}).get("Properties", {})
    names = {metric for _, metric, _ in alarm_metrics(stopped)}
    if names != {"SettledCalls", "Invocations"}:
        yield f"EventPipeStoppedAlarm compares {sorted(names)}, must compare SettledCalls and Invocations"


def without_events(project: Project) -> Iterator[str]:
    """A deployment with CallEvents=false."""
    for name, item in {**project.translated["Resources"], **project.translated["Outputs"]}.items():
        condition = item.get("Condition")
        if name in EVENT_RESOURCES and condition != CONDITION:
            yield f"{name} has the condition {condition}, must have {CONDITION}"
        if name not in EVENT_RESOURCES and condition == CONDITION:
            yield f"{name} must not depend on {CONDITION}"
    parameters = project.translated["Parameters"].keys()
    always = {"AWS::AccountId", "AWS::NoValue", "AWS::Partition", "AWS::Region", "AWS::StackName", "AWS::URLSuffix"}
    for value in ("true", "false"):
        created = project.created(CallEvents=value)
        for name in sorted(EVENT_RESOURCES & created.keys() if value == "false" else EVENT_RESOURCES - created.keys()):
            yield f"CallEvents={value}: {name} is {'created' if value == 'false' else 'missing'}"
        for name, item in created.items():
            kind = item.get("Type", "")
            if value == "false" and kind.startswith(("AWS::Pipes::", "AWS::Events::")):
                yield f"CallEvents={value}: {name} ({kind}) is created"
            for reference in sorted(set(references(item)) - parameters - always - created.keys()):
                yield f"CallEvents={value}: {name} refers to {reference}, which is not created"


CHECKS = {
    "call-history reads the stream in order, with retries, bisection, an age limit and dead letters": history_mapping,
    "the pipe reads the stream in order, with retries, bisection, an age limit and dead letters": event_pipe,
    "the filters are those of the design, and each names one sort key": filters,
    "the roles of call-history, call-events and the pipe have exactly the statements that they need": consumer_roles,
    "the event bus has the name of the stack, and its archive retains events for 30 days": bus_and_archive,
    "late records, late events, a failing pipe and a stopped pipe raise an alarm": consumer_alarms,
    "CallEvents=false removes pipe, bus, archive and call-events, and nothing refers to them": without_events,
}
