"""Checks the operational resources: logs, CORS, dead letters, the table's protection, alarms, the dashboard."""

import json
import re
from collections.abc import Iterator
from typing import Any

from grants import DEAD_LETTER_QUEUE_ARN
from project import CORS_ORIGINS, ROOT, Project, as_list, resources

NO_VALUE = {"Ref": "AWS::NoValue"}
NAMESPACE = {"Fn::Sub": "StreamFunctions/${AWS::StackName}"}

EXISTING_TOPIC = {"Fn::If": ["OtherTopic", {"Ref": "AlarmTopicArn"}, NO_VALUE]}
TOPIC = {"Fn::If": ["OwnTopic", {"Ref": "AlarmTopic"}, EXISTING_TOPIC]}

# The metrics of runs on a schedule: if they are missing, the runs are.
ON_SILENCE = {"Sweeps", "Reconciliations"}

# CloudWatch's limit on the metrics of one alarm.
MAX_ALARM_METRICS = 10

# The inputs of the quality score: the dashboard shows the score only, docs/QUALITY.md describes the inputs.
NOT_ON_DASHBOARD = {"FreezeSeconds", "JitterMs", "LossPercent", "RttMs"}

# The fields that the access log may contain: of the data of a caller, the route only.
ALLOWED_ACCESS_LOG_FIELDS = {
    "$context.error.message",
    "$context.error.responseType",
    "$context.integration.status",
    "$context.integrationErrorMessage",
    "$context.integrationLatency",
    "$context.integrationStatus",
    "$context.protocol",
    "$context.requestId",
    "$context.requestTime",
    "$context.responseLatency",
    "$context.responseLength",
    "$context.routeKey",
    "$context.status",
}


def logs(project: Project) -> Iterator[str]:
    owners: dict[str, str] = {}
    for name, function in resources(project.translated, "AWS::Lambda::Function"):
        config = function["Properties"].get("LoggingConfig", {})
        group = config.get("LogGroup", {}).get("Ref")
        if group is None:
            yield f"{name}: LogGroup is missing, and the one that Lambda creates never expires"
        elif owners.setdefault(group, name) != name:
            yield f"{name}: it shares its log group with {owners[group]}"
        # LOG_LEVEL filters the lines. A second filter in Lambda would drop lines with metrics.
        if (config.get("LogFormat"), config.get("ApplicationLogLevel")) != ("JSON", "TRACE"):
            yield f"{name}: LoggingConfig must have LogFormat JSON and ApplicationLogLevel TRACE, found {config}"
    for name, group in resources(project.translated, "AWS::Logs::LogGroup"):
        if group["Properties"].get("RetentionInDays") != {"Ref": "LogRetentionDays"}:
            yield f"{name}: RetentionInDays must be LogRetentionDays"
        if "AWS::StackName" not in json.dumps(group["Properties"].get("LogGroupName")):
            yield f"{name}: LogGroupName must contain the name of the stack"


def access_log(project: Project) -> Iterator[str]:
    for name, stage in resources(project.translated, "AWS::ApiGatewayV2::Stage"):
        settings = stage["Properties"].get("AccessLogSettings", {})
        if settings.get("DestinationArn") != {"Fn::GetAtt": ["AccessLog", "Arn"]}:
            yield f"{name}: DestinationArn of AccessLogSettings must be AccessLog"
            continue
        variables = set(re.findall(r"\$context(?:\.\w+)+", settings["Format"]))
        yield from (
            f"{name}: the access log must not contain {variable}"
            for variable in sorted(variables - ALLOWED_ACCESS_LOG_FIELDS)
        )
        try:
            json.loads(re.sub(r"\$context(?:\.\w+)+", "0", settings["Format"]))
        except ValueError as error:
            yield f"{name}: the format of the access log is not JSON: {error}"


def boundary(project: Project) -> Iterator[str]:
    expected = {"Fn::If": ["Boundary", {"Ref": "PermissionsBoundary"}, NO_VALUE]}
    for name, role in resources(project.translated, "AWS::IAM::Role"):
        if role["Properties"].get("PermissionsBoundary") != expected:
            yield f"{name}: PermissionsBoundary must be that of the parameter"


def address(project: Project) -> Iterator[str]:
    default = {"Fn::Sub": "https://${HttpApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}"}
    certificate = "arn:aws:acm:eu-central-1:111122223333:certificate/1"
    domain = {"DomainName": "api.example.com", "DomainCertificateArn": certificate}
    root = {"Fn::Sub": "https://${DomainName}"}
    cases = [
        ({}, default, {"Fn::Sub": default["Fn::Sub"] + "/api/stream/webhook"}, "", False),
        (domain, root, {"Fn::Sub": "https://${DomainName}/api/stream/webhook"}, None, True),
        (
            domain | {"DomainBasePath": "v1"},
            {"Fn::Sub": "https://${DomainName}/${DomainBasePath}"},
            {"Fn::Sub": "https://${DomainName}/${DomainBasePath}/api/stream/webhook"},
            None,
            True,
        ),
        (domain | {"WebhookUrl": "https://other.example.com"}, root, {"Ref": "WebhookUrl"}, None, True),
    ]
    for parameters, url, webhook, variable, has_domain in cases:
        created = project.created(**parameters)
        if created["ApiUrl"]["Value"] != url:
            yield f"ApiUrl with {parameters} must be {url}"
        if created["WebhookUrl"]["Value"] != webhook:
            yield f"WebhookUrl with {parameters} must be {webhook}"
        # Without a domain the function derives the URL from the request.
        found = created["ConfigFunction"]["Properties"]["Environment"]["Variables"]["WEBHOOK_URL"]
        if found != (webhook if variable is None else variable):
            yield f"WEBHOOK_URL with {parameters} must be the output WebhookUrl"
        if any((name in created) != has_domain for name in ("ApiDomain", "ApiMapping", "DomainTarget")):
            yield f"the custom domain must exist with DomainName only: {parameters}"
    for endpoint, disabled in [("enabled", False), ("disabled", True)]:
        body = project.created(DefaultEndpoint=endpoint)["HttpApi"]["Properties"]["Body"]
        endpoint_settings = body["servers"][0]["x-amazon-apigateway-endpoint-configuration"]
        if endpoint_settings["disableExecuteApiEndpoint"] is not disabled:
            yield f"DefaultEndpoint {endpoint} must set disableExecuteApiEndpoint to {disabled}"


def cors(project: Project) -> Iterator[str]:
    for name, api in resources(project.translated, "AWS::ApiGatewayV2::Api"):
        choice = api["Properties"]["Body"].get("x-amazon-apigateway-cors", {}).get("Fn::If", [])
        if len(choice) != 3 or choice[0] != "Cors" or choice[2] != NO_VALUE:
            yield f"{name}: CORS must depend on the condition Cors"
        elif choice[1]["allowOrigins"] != {"Fn::Split": [",", CORS_ORIGINS]}:
            yield f"{name}: allowOrigins is {json.dumps(choice[1]['allowOrigins'])}, must be CorsOrigins"


def dead_letters(project: Project) -> Iterator[str]:
    translated = project.translated["Resources"]
    alarmed = {
        dimensions["QueueName"]["Fn::GetAtt"][0]: alarm["Properties"]
        for _, alarm in resources(project.translated, "AWS::CloudWatch::Alarm")
        for namespace, metric, dimensions in alarm_metrics(alarm["Properties"])
        if (namespace, metric) == ("AWS/SQS", "ApproximateNumberOfMessagesVisible")
    }
    for name, queue in resources(project.translated, "AWS::SQS::Queue"):
        properties = queue["Properties"]
        if not properties.get("SqsManagedSseEnabled") or properties.get("MessageRetentionPeriod") != 14 * 24 * 60 * 60:
            yield f"{name} must be encrypted and must retain messages for 14 days"
        alarm = alarmed.get(name, {})
        if (alarm.get("ComparisonOperator"), alarm.get("Threshold")) != ("GreaterThanThreshold", 0):
            yield f"{name}: no alarm for a visible message"
    configs = {
        config["Properties"]["FunctionName"]["Ref"]: config["Properties"]
        for _, config in resources(project.translated, "AWS::Lambda::EventInvokeConfig")
    }
    for name, schedule_id, _ in project.schedules():
        target = translated[schedule_id]["Properties"]["Target"]
        if target.get("DeadLetterConfig") != {"Arn": DEAD_LETTER_QUEUE_ARN}:
            yield f"{schedule_id}: DeadLetterConfig must be DeadLetters"
        on_failure = configs.get(name, {}).get("DestinationConfig", {}).get("OnFailure", {})
        if on_failure.get("Destination") != DEAD_LETTER_QUEUE_ARN:
            yield f"{name}: the failure destination of its EventInvokeConfig must be DeadLetters"


def table(project: Project) -> Iterator[str]:
    for name, resource in resources(project.translated, "AWS::DynamoDB::Table"):
        properties = resource["Properties"]
        for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
            if resource.get(policy) != "Retain":
                yield f"{name}: {policy} is {resource.get(policy)}, must be Retain"
        for key, expected in {
            "DeletionProtectionEnabled": {"Ref": "DeletionProtection"},
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            "SSESpecification": {"SSEEnabled": True},
            # The events are derived from the difference of the two images.
            "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
            "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": True},
        }.items():
            if properties.get(key) != expected:
                yield f"{name}: {key} is {properties.get(key)}, must be {expected}"
        throughput_limit = {f"Max{kind}RequestUnits": {"Ref": f"TableMax{kind}Units"} for kind in ("Read", "Write")}
        for table_or_index in [properties, *properties.get("GlobalSecondaryIndexes", [])]:
            if table_or_index.get("OnDemandThroughput") != {"Fn::If": ["CostStop", throughput_limit, NO_VALUE]}:
                index = table_or_index.get("IndexName", "the table")
                yield f"{name}: OnDemandThroughput of {index} must be limited under the condition CostStop"


def alarm_metrics(alarm: dict[str, Any]) -> list[tuple[Any, str, dict[str, Any]]]:
    """Namespace, name and dimensions of each metric of an alarm."""
    found = [alarm] if "MetricName" in alarm else []
    found += [query["MetricStat"]["Metric"] for query in alarm.get("Metrics", []) if "MetricStat" in query]
    return [
        (
            metric["Namespace"],
            metric["MetricName"],
            {dimension["Name"]: dimension["Value"] for dimension in metric.get("Dimensions", [])},
        )
        for metric in found
    ]


def runbook_anchors() -> set[str]:
    """The anchors of the headings under `Alarms` of docs/OPERATIONS.md."""
    text = (ROOT / "docs/OPERATIONS.md").read_text()
    section = re.split(r"^## ", text.split("\n## Alarms\n")[1], flags=re.M)[0]
    headings = re.findall(r"^### (.*)$", section, re.M)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def alarms(project: Project) -> Iterator[str]:
    linked = set()
    for name, resource in resources(project.translated, "AWS::CloudWatch::Alarm"):
        alarm = resource["Properties"]
        description = alarm.get("AlarmDescription", {}).get("Fn::Sub", "")
        link = re.search(r" \$\{OperationsUrl}#([\w-]+)$", description)
        if link is None:
            yield f"{name}: AlarmDescription must end with a link to docs/OPERATIONS.md"
        elif link[1] not in runbook_anchors():
            yield f"{name}: docs/OPERATIONS.md has no anchor #{link[1]}"
        else:
            linked.add(link[1])
        for actions in ("AlarmActions", "OKActions"):
            if alarm.get(actions) != [TOPIC]:
                yield f"{name}: {actions} must be the alarm topic"
        alarms_on_silence = [(metric in ON_SILENCE) for _, metric, _ in alarm_metrics(alarm)]
        expected = "breaching" if any(alarms_on_silence) else "notBreaching"
        if alarm.get("TreatMissingData") != expected:
            yield f"{name}: TreatMissingData is {alarm.get('TreatMissingData')}, must be {expected}"
        if not 1 <= len(alarm_metrics(alarm)) <= MAX_ALARM_METRICS:
            yield f"{name}: it has {len(alarm_metrics(alarm))} metrics, must have 1 to {MAX_ALARM_METRICS}"
    for anchor in sorted(runbook_anchors() - linked):
        yield f"docs/OPERATIONS.md: no alarm links to #{anchor}"


def function_alarms(project: Project) -> Iterator[str]:
    """Every function is function_alarms for errors and throttles."""
    functions = {name for name, _, _ in project.functions()}
    for metric in ("Errors", "Throttles"):
        found = {
            dimensions.get("FunctionName", {}).get("Ref")
            for _, alarm in resources(project.translated, "AWS::CloudWatch::Alarm")
            for namespace, name, dimensions in alarm_metrics(alarm["Properties"])
            if (namespace, name) == ("AWS/Lambda", metric)
        }
        yield from (f"{name}: no alarm on its {metric}" for name in sorted(functions - found))
        yield from (f"an alarm is on {metric} of {name}, which is not a function" for name in sorted(found - functions))


def documented_metrics() -> dict[str, set[frozenset[str]]]:
    """The sets of dimensions of each metric, from the table in docs/LOGGING.md."""
    text = (ROOT / "docs/LOGGING.md").read_text()
    table = text.split("\n## Metrics\n")[1].split("\n## ")[0]
    dimension_sets: dict[str, set[frozenset[str]]] = {}
    last_dimensions: set[frozenset[str]] = set()
    for name, grouping in re.findall(r"^\| `(\w+)` \| [^|]* \| ([^|]*) \|", table, re.M):
        if grouping.strip() != "the same":
            last_dimensions = {frozenset(re.findall(r"`(\w+)`", part)) for part in grouping.split(";")}
        dimension_sets.setdefault(name, set()).update(last_dimensions)
    return dimension_sets


def widget_metrics(widget: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Namespace, name and dimensions of each line of a widget; those of a search have empty values."""
    line: list[str] = []
    for metric in widget["properties"].get("metrics", []):
        expression = metric[-1].get("expression") if isinstance(metric[-1], dict) else None
        if expression is not None:
            search = re.match(r"SEARCH\('\{\"([^\"]+)\",?([\w,]*)} MetricName=\"(\w+)\"'", expression)
            if search is None:
                yield expression, "", {}
            else:
                yield search[1], search[3], dict.fromkeys(filter(None, search[2].split(",")), "")
            continue
        metric_parts = [part for part in metric if isinstance(part, str)]
        if metric_parts[0] == "...":
            # `...` repeats the start of the line before.
            metric_parts = line[: len(line) - len(metric_parts) + 1] + metric_parts[1:]
        line = metric_parts
        yield line[0], line[1], dict(zip(line[2::2], line[3::2]))


def dashboard(project: Project) -> Iterator[str]:
    project_namespace = NAMESPACE["Fn::Sub"]
    documented = documented_metrics()
    functions = {f"${{{name}}}" for name, _, _ in project.functions()}
    for name, resource in resources(project.translated, "AWS::CloudWatch::Dashboard"):
        try:
            body = json.loads(as_list(resource["Properties"]["DashboardBody"]["Fn::Sub"])[0])
        except ValueError as error:
            yield f"{name}: DashboardBody is not JSON: {error}"
            continue
        shown = set()
        for widget in body["widgets"]:
            location = f"{name}, {widget['properties']['title']}"
            lines = list(widget_metrics(widget))
            for namespace, metric, dimensions in lines:
                if namespace == project_namespace:
                    shown.add(metric)
                    if frozenset(dimensions) not in documented.get(metric, set()):
                        yield f"{location}: docs/LOGGING.md has no {metric} by {sorted(dimensions)}"
                elif not namespace.startswith("AWS/"):
                    yield f"{location}: unsupported metric {namespace}"
            charted_functions = {
                dimensions["FunctionName"]
                for namespace, metric, dimensions in lines
                # Only functions that read a stream have an IteratorAge.
                if namespace == "AWS/Lambda" and metric != "IteratorAge"
            }
            if charted_functions:
                yield from (f"{location}: {it} is missing" for it in sorted(functions - charted_functions))
                yield from (f"{location}: {it} is not a function" for it in sorted(charted_functions - functions))
        missing = documented.keys() - shown - NOT_ON_DASHBOARD
        yield from (f"{name}: no widget shows {metric}" for metric in sorted(missing))


def project_metrics(project: Project) -> Iterator[str]:
    documented = documented_metrics()
    codes = set(re.findall(r"^\| `(\w+)` \| \d{3} \|", (ROOT / "docs/ERRORS.md").read_text(), re.M))
    for name, resource in resources(project.translated, "AWS::CloudWatch::Alarm"):
        for namespace, metric, dimensions in alarm_metrics(resource["Properties"]):
            if dimensions.get("Code", "internal") not in codes:
                yield f"{name}: docs/ERRORS.md has no code {dimensions['Code']}"
            if namespace == NAMESPACE and frozenset(dimensions) not in documented.get(metric, set()):
                yield f"{name}: docs/LOGGING.md has no {metric} by {sorted(dimensions)}"
            elif not isinstance(namespace, str) and namespace != NAMESPACE:
                yield f"{name}: unknown namespace {json.dumps(namespace)}"
    for name, resource in resources(project.translated, "AWS::Logs::MetricFilter"):
        for transformation in as_list(resource["Properties"]["MetricTransformations"]):
            metric = transformation["MetricName"]
            if transformation["MetricNamespace"] != NAMESPACE or frozenset() not in documented.get(metric, set()):
                yield f"{name}: docs/LOGGING.md has no {metric}"


CHECKS = {
    "every function has its own log group, in JSON, with a retention": logs,
    "the access log contains no data of a caller but the route": access_log,
    "CORS is off, unless origins are configured": cors,
    "every role has the permissions boundary of the parameter": boundary,
    "the outputs and the webhook have the custom domain and its base path": address,
    "failed runs of a schedule go to a queue; every queue is encrypted and has an alarm": dead_letters,
    "the table is protected against deletion, loss and unlimited cost, and has a stream of both images": table,
    "every alarm notifies a topic, and links to its heading in docs/OPERATIONS.md": alarms,
    "every function has alarms on errors and throttles": function_alarms,
    "every metric and error code in an alarm is documented": project_metrics,
    "the dashboard is JSON, and shows every documented metric and every function": dashboard,
}
