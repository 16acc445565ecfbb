"""Checks what operators depend on: logs, dead letters, the table's protections, alarms, the dashboard."""

import json
import re
from collections.abc import Iterator
from typing import Any

from grants import DEAD_LETTERS
from project import ORIGINS, ROOT, Project, as_list, resources

NO_VALUE = {"Ref": "AWS::NoValue"}
NAMESPACE = {"Fn::Sub": "StreamFunctions/${AWS::StackName}"}

OTHER_TOPIC = {"Fn::If": ["OtherTopic", {"Ref": "AlarmTopicArn"}, NO_VALUE]}
TOPIC = {"Fn::If": ["OwnTopic", {"Ref": "AlarmTopic"}, OTHER_TOPIC]}

# An alarm has no more metrics than this.
MOST_METRICS = 10

# What QUALITY.md has beside the score, and the dashboard leaves to those who look for its causes.
NOT_SHOWN = {"FreezeSeconds", "JitterMs", "LossPercent", "RttMs"}

# What an access log may tell: nothing that a caller has sent, but for the route.
ACCESS_LOG = {
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
            yield f"{name}: Lambda makes its log group, which is kept for ever"
        elif owners.setdefault(group, name) != name:
            yield f"{name}: its log group is that of {owners[group]}"
        # Lambda would leave out lines by their level, which LOG_LEVEL has decided already.
        if (config.get("LogFormat"), config.get("ApplicationLogLevel")) != ("JSON", "TRACE"):
            yield f"{name}: LoggingConfig {config}"
    for name, group in resources(project.translated, "AWS::Logs::LogGroup"):
        if group["Properties"].get("RetentionInDays") != {"Ref": "LogRetentionDays"}:
            yield f"{name}: it is not kept for LogRetentionDays"
        if "AWS::StackName" not in json.dumps(group["Properties"].get("LogGroupName")):
            yield f"{name}: a second stack could not have it"


def access_log(project: Project) -> Iterator[str]:
    for name, stage in resources(project.translated, "AWS::ApiGatewayV2::Stage"):
        settings = stage["Properties"].get("AccessLogSettings", {})
        if settings.get("DestinationArn") != {"Fn::GetAtt": ["AccessLog", "Arn"]}:
            yield f"{name}: it has no access log"
            continue
        variables = set(re.findall(r"\$context(?:\.\w+)+", settings["Format"]))
        yield from (f"{name}: the access log tells {variable}" for variable in sorted(variables - ACCESS_LOG))
        try:
            json.loads(re.sub(r"\$context(?:\.\w+)+", "0", settings["Format"]))
        except ValueError as error:
            yield f"{name}: a line of the access log is no JSON: {error}"


def cors(project: Project) -> Iterator[str]:
    for name, api in resources(project.translated, "AWS::ApiGatewayV2::Api"):
        choice = api["Properties"]["Body"].get("x-amazon-apigateway-cors", {}).get("Fn::If", [])
        if len(choice) != 3 or choice[0] != "Cors" or choice[2] != NO_VALUE:
            yield f"{name}: there is CORS without anybody having asked for it"
        elif choice[1]["allowOrigins"] != {"Fn::Split": [",", ORIGINS]}:
            yield f"{name}: it is open to {json.dumps(choice[1]['allowOrigins'])}, and not to CorsOrigins"


def dead_letters(project: Project) -> Iterator[str]:
    translated = project.translated["Resources"]
    queue = translated.get("DeadLetters", {}).get("Properties", {})
    if not queue.get("SqsManagedSseEnabled") or queue.get("MessageRetentionPeriod") != 14 * 24 * 60 * 60:
        yield "DeadLetters is not encrypted, or not kept for 14 days"
    configs = {
        config["Properties"]["FunctionName"]["Ref"]: config["Properties"]
        for _, config in resources(project.translated, "AWS::Lambda::EventInvokeConfig")
    }
    for name, schedule_id, _ in project.schedules():
        target = translated[schedule_id]["Properties"]["Target"]
        if target.get("DeadLetterConfig") != {"Arn": DEAD_LETTERS}:
            yield f"{schedule_id}: what it cannot send is lost"
        on_failure = configs.get(name, {}).get("DestinationConfig", {}).get("OnFailure", {})
        if on_failure.get("Destination") != DEAD_LETTERS:
            yield f"{name}: a run that dies is lost"


def table(project: Project) -> Iterator[str]:
    for name, resource in resources(project.translated, "AWS::DynamoDB::Table"):
        properties = resource["Properties"]
        for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
            if resource.get(policy) != "Retain":
                yield f"{name}: {policy} is {resource.get(policy)}"
        for place, wanted in {
            "DeletionProtectionEnabled": {"Ref": "DeletionProtection"},
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            "SSESpecification": {"SSEEnabled": True},
            "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": True},
        }.items():
            if properties.get(place) != wanted:
                yield f"{name}: {place} is {properties.get(place)}"
        bound = {f"Max{it}RequestUnits": {"Ref": f"TableMax{it}Units"} for it in ("Read", "Write")}
        for part in [properties, *properties.get("GlobalSecondaryIndexes", [])]:
            if part.get("OnDemandThroughput") != {"Fn::If": ["CostStop", bound, NO_VALUE]}:
                yield f"{name}: {part.get('IndexName', 'the table')} has no cost stop"


def alarm_metrics(alarm: dict[str, Any]) -> list[tuple[Any, str, dict[str, Any]]]:
    """Namespace, name and dimensions of each metric of an alarm."""
    found = [alarm] if "MetricName" in alarm else []
    found += [query["MetricStat"]["Metric"] for query in alarm.get("Metrics", []) if "MetricStat" in query]
    return [
        (metric["Namespace"], metric["MetricName"], {it["Name"]: it["Value"] for it in metric.get("Dimensions", [])})
        for metric in found
    ]


def paragraphs() -> set[str]:
    """The headings under `Alarms` of docs/OPERATIONS.md, as links name them."""
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
            yield f"{name}: its description does not end with a link to docs/OPERATIONS.md"
        elif link[1] not in paragraphs():
            yield f"{name}: docs/OPERATIONS.md has no paragraph #{link[1]}"
        else:
            linked.add(link[1])
        for actions in ("AlarmActions", "OKActions"):
            if alarm.get(actions) != [TOPIC]:
                yield f"{name}: {actions} tell nobody"
        silent = [("Sweeps" in metric) for _, metric, _ in alarm_metrics(alarm)]
        wanted = "breaching" if any(silent) else "notBreaching"
        if alarm.get("TreatMissingData") != wanted:
            yield f"{name}: no figures are {alarm.get('TreatMissingData')}, and not {wanted}"
        if not 1 <= len(alarm_metrics(alarm)) <= MOST_METRICS:
            yield f"{name}: it has {len(alarm_metrics(alarm))} metrics, and an alarm has 1 to {MOST_METRICS}"
    for paragraph in sorted(paragraphs() - linked):
        yield f"docs/OPERATIONS.md: no alarm leads to #{paragraph}"


def watched(project: Project) -> Iterator[str]:
    """Every function is watched for errors and throttles."""
    functions = {name for name, _, _ in project.functions()}
    for metric in ("Errors", "Throttles"):
        found = {
            dimensions.get("FunctionName", {}).get("Ref")
            for _, alarm in resources(project.translated, "AWS::CloudWatch::Alarm")
            for namespace, name, dimensions in alarm_metrics(alarm["Properties"])
            if (namespace, name) == ("AWS/Lambda", metric)
        }
        yield from (f"{name}: no alarm watches its {metric}" for name in sorted(functions - found))
        yield from (f"an alarm watches {metric} of {name}, which is no function" for name in sorted(found - functions))


def documented_metrics() -> dict[str, set[frozenset[str]]]:
    """The sets of dimensions of each metric, from the table in docs/LOGGING.md."""
    text = (ROOT / "docs/LOGGING.md").read_text()
    table = text.split("\n## Metrics\n")[1].split("\n## ")[0]
    found: dict[str, set[frozenset[str]]] = {}
    last: set[frozenset[str]] = set()
    for name, by in re.findall(r"^\| `(\w+)` \| [^|]* \| ([^|]*) \|", table, re.M):
        if by.strip() != "the same":
            last = {frozenset(re.findall(r"`(\w+)`", part)) for part in by.split(";")}
        found.setdefault(name, set()).update(last)
    return found


def widget_metrics(widget: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Namespace, name and dimensions of each line of a widget; a search has no values of them."""
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
        own = [part for part in metric if isinstance(part, str)]
        if own[0] == "...":
            # As much of the line before as is not said anew.
            own = line[: len(line) - len(own) + 1] + own[1:]
        line = own
        yield line[0], line[1], dict(zip(line[2::2], line[3::2]))


def dashboard(project: Project) -> Iterator[str]:
    ours = NAMESPACE["Fn::Sub"]
    known = documented_metrics()
    functions = {f"${{{name}}}" for name, _, _ in project.functions()}
    for name, resource in resources(project.translated, "AWS::CloudWatch::Dashboard"):
        try:
            body = json.loads(resource["Properties"]["DashboardBody"]["Fn::Sub"])
        except ValueError as error:
            yield f"{name}: it is no JSON: {error}"
            continue
        shown = set()
        for widget in body["widgets"]:
            place = f"{name}, {widget['properties']['title']}"
            lines = list(widget_metrics(widget))
            for namespace, metric, dimensions in lines:
                if namespace == ours:
                    shown.add(metric)
                    if frozenset(dimensions) not in known.get(metric, set()):
                        yield f"{place}: docs/LOGGING.md has no {metric} by {sorted(dimensions)}"
                elif not namespace.startswith("AWS/"):
                    yield f"{place}: {namespace} cannot be read here"
            drawn = {dimensions["FunctionName"] for namespace, _, dimensions in lines if namespace == "AWS/Lambda"}
            if drawn:
                yield from (f"{place}: {it} is missing" for it in sorted(functions - drawn))
                yield from (f"{place}: {it} is no function" for it in sorted(drawn - functions))
        yield from (f"{name}: it does not show {metric}" for metric in sorted(known.keys() - shown - NOT_SHOWN))


def metrics_of_ours(project: Project) -> Iterator[str]:
    known = documented_metrics()
    codes = set(re.findall(r"^\| `(\w+)` \| \d{3} \|", (ROOT / "docs/ERRORS.md").read_text(), re.M))
    for name, resource in resources(project.translated, "AWS::CloudWatch::Alarm"):
        for namespace, metric, dimensions in alarm_metrics(resource["Properties"]):
            if dimensions.get("Code", "internal") not in codes:
                yield f"{name}: docs/ERRORS.md has no code {dimensions['Code']}"
            if namespace == NAMESPACE and frozenset(dimensions) not in known.get(metric, set()):
                yield f"{name}: docs/LOGGING.md has no {metric} by {sorted(dimensions)}"
            elif not isinstance(namespace, str) and namespace != NAMESPACE:
                yield f"{name}: nothing is in {json.dumps(namespace)}"
    for name, resource in resources(project.translated, "AWS::Logs::MetricFilter"):
        for made in as_list(resource["Properties"]["MetricTransformations"]):
            if made["MetricNamespace"] != NAMESPACE or frozenset() not in known.get(made["MetricName"], set()):
                yield f"{name}: docs/LOGGING.md has no {made['MetricName']}"


CHECKS = {
    "every function has a log of its own, in JSON, which is not kept for ever": logs,
    "the access log tells nothing that a caller has sent": access_log,
    "no other origin may call, unless one is named": cors,
    "what a schedule sends in vain is kept": dead_letters,
    "the table is protected, and so is the bill": table,
    "every alarm leads to a paragraph of docs/OPERATIONS.md, and tells somebody": alarms,
    "every function is watched": watched,
    "every metric and code of ours that is watched is documented": metrics_of_ours,
    "the dashboard is JSON, and shows what docs/LOGGING.md and the template have": dashboard,
}
