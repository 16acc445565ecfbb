"""Evaluates the template's alarms on the lines that the functions wrote in outages.

    OUTAGES=$PWD/outages.jsonl cargo test -p e2e --test all
    python tests/template/outages.py outages.jsonl

The end-to-end tests cause each outage (tests/e2e/tests/all/outages.rs). CloudWatch makes metrics from the lines in
the embedded metric format. Every request of these tests reaches a function, so the lines also have what API Gateway
and Lambda count. Exit code 1: an alarm is in another state than expected, or has no outage.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import alarms
from project import Project

# That of the local stack, instead of StreamFunctions/<stack>.
NAMESPACE = "StreamFunctions"

# The alarms that only AWS's own metrics raise, without a line of a function. alarms.py evaluates them.
WITHOUT_LINES = {
    "AccountConcurrencyAlarm",
    "CallFunctionErrorsAlarm",
    "CallFunctionThrottlesAlarm",
    "CostStopAlarm",
    "DeadLettersAlarm",
    "EventPipeFailedAlarm",
    "EventsFunctionErrorsAlarm",
    "EventsFunctionThrottlesAlarm",
    "HighLatencyAlarm",
    "HistoryFunctionErrorsAlarm",
    "HistoryFunctionThrottlesAlarm",
    "HistoryLagAlarm",
    "TableThrottlesAlarm",
    "ThrottledRequestsAlarm",
    "UserFunctionThrottlesAlarm",
}


@dataclass(frozen=True)
class Datum:
    """A value of a metric at a time, in milliseconds."""

    at: int
    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    value: float


def embedded_metrics(line: dict[str, Any]) -> Iterator[Datum]:
    """What CloudWatch extracts from a line in the embedded metric format."""
    for directive in line["_aws"]["CloudWatchMetrics"]:
        for names in directive["Dimensions"]:
            dimensions = tuple(sorted((name, line[name]) for name in names))
            for metric in directive["Metrics"]:
                value = line.get(metric["Name"])
                for number in value["Values"] if isinstance(value, dict) else [] if value is None else [value]:
                    yield Datum(line["_aws"]["Timestamp"], directive["Namespace"], metric["Name"], dimensions, number)


def metrics_of_aws(line: dict[str, Any], functions: dict[str, str]) -> Iterator[Datum]:
    """What API Gateway and Lambda count for an invocation that completed."""
    if "function" not in line:
        return  # the metrics of a closed call
    at, status = line["_aws"]["Timestamp"], line.get("status", 0)
    yield Datum(at, "AWS/Lambda", "Invocations", (("FunctionName", functions[line["function"]]),), 1)
    if "route" in line:
        for name, value in [("Count", 1), ("4xx", 400 <= status < 500), ("5xx", status >= 500)]:
            yield Datum(at, "AWS/ApiGateway", name, (("ApiId", "HttpApi"),), int(value))


def data_of(record: dict[str, Any], functions: dict[str, str]) -> list[Datum]:
    data = [datum for line in record["lines"] for datum in embedded_metrics(line)]
    data += [datum for line in record["lines"] for datum in metrics_of_aws(line, functions)]
    for it in record["awsMetrics"]:
        data.append(Datum(it["at"], it["namespace"], it["name"], tuple(it["dimensions"].items()), it["value"]))
    return data


def logical_id(value: Any) -> str:
    """The value of a dimension: a text, or the resource to which it refers."""
    match value:
        case {"Ref": name} | {"Fn::GetAtt": [name, *_]}:
            return name
    return value


def metrics_of(alarm: dict[str, Any]) -> Iterator[tuple[str, str, int, str, str, tuple[tuple[str, str], ...]]]:
    """Id, statistic, period, namespace, name and dimensions of each metric of an alarm."""
    for query in alarm.get("Metrics", [{"Id": alarm.get("MetricName"), "MetricStat": {"Metric": alarm} | alarm}]):
        if "MetricStat" not in query:
            continue
        stat, metric = query["MetricStat"], query["MetricStat"]["Metric"]
        namespace = metric["Namespace"]
        dimensions = tuple(sorted((it["Name"], logical_id(it["Value"])) for it in metric.get("Dimensions", [])))
        yield (
            query["Id"],
            stat.get("Stat") or stat.get("Statistic") or stat["ExtendedStatistic"],
            stat["Period"],
            NAMESPACE if isinstance(namespace, dict) else namespace,
            metric["MetricName"],
            dimensions,
        )


def series_of(alarm: dict[str, Any], start: int, data: list[Datum]) -> dict[str, list[float | None]]:
    """The value of each metric in each period from the start."""
    combine = {"Sum": sum, "Maximum": max, "Minimum": min}
    series = {}
    for id_, statistic, period, *metric in metrics_of(alarm):
        values: list[list[float]] = [[] for _ in range(alarm["EvaluationPeriods"])]
        for datum in data:
            index = (datum.at - start) // (period * 1000)
            if [datum.namespace, datum.name, datum.dimensions] == metric and index < len(values):
                values[index].append(datum.value)
        series[id_] = [combine[statistic](found) if found else None for found in values]
    return series


def errors(project: Project, records: list[dict[str, Any]]) -> Iterator[str]:
    arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:stream-AbCdEf"
    created = project.created(StreamSecretArn=arn, JwtJwksUrl="https://issuer.example.com/jwks.json")
    defaults = {name: str(item.get("Default")) for name, item in project.translated["Parameters"].items()}
    functions = {binary: name for name, _, binary in project.functions()}
    states: dict[str, set[bool]] = {}
    for record in records:
        alarm, expected = record["alarm"], record["fires"]
        properties = created[alarm]["Properties"]
        series = series_of(properties, record["start"], data_of(record, functions))
        if alarms.fires(properties, defaults, series) is not expected:
            yield f"{alarm} must {'fire' if expected else 'not fire'}: {record['situation']}; its metrics are {series}"
        states.setdefault(alarm, set()).add(expected)
    for name in sorted(name for name in created if re.fullmatch(r"\w+Alarm", name)):
        if True not in states.get(name, set()) and name not in WITHOUT_LINES:
            yield f"{name}: no end-to-end test causes it"
        if False not in states.get(name, set()) and name not in WITHOUT_LINES | ALWAYS_QUIET:
            yield f"{name}: no end-to-end test has a situation in which it is quiet"


# One event suffices, so any test of another alarm is the quiet situation.
ALWAYS_QUIET = {"EventDeadLettersAlarm", "HistoryDeadLettersAlarm", "UserFunctionErrorsAlarm"}


def main(path: str) -> int:
    records = [json.loads(line) for line in Path(path).read_text().splitlines()]
    found = list(errors(Project.load(), records))
    for error in found:
        print(f"FAIL {error}")
    fired = {record["alarm"] for record in records if record["fires"]}
    print(f"{len(records)} situations, {len(fired)} alarms fired by their causes, {len(found)} errors")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
