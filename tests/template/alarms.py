"""Evaluates alarms on made-up metrics: each outage fires its alarm, and normal traffic fires none.

CloudWatch evaluates the expression of an alarm once a period, and compares the value with the threshold. The alarm
fires if `DatapointsToAlarm` of the last `EvaluationPeriods` values breach. The end-to-end tests show that the
functions write the metrics."""

import operator
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from project import Project

# A value per period, of each metric; a metric that is absent has no data.
Series = dict[str, list[float]]

COMPARISONS = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
}


@dataclass
class Case:
    """What happens, its metrics by id or name, and whether the alarm must fire."""

    alarm: str
    situation: str
    fires: bool
    series: Series = field(default_factory=dict)


CASES = [
    Case("RefusedCallersAlarm", "a wrong audience", True, {"refused": [400, 400], "requests": [420, 410]}),
    Case("RefusedCallersAlarm", "a wrong audience at night", True, {"refused": [20, 25], "requests": [24, 30]}),
    Case("RefusedCallersAlarm", "expired tokens", False, {"refused": [50, 50], "requests": [1000, 1000]}),
    Case("RefusedCallersAlarm", "a scanner", False, {"refused": [19, 19], "requests": [20, 20]}),
    Case("RefusedCallersAlarm", "one bad period", False, {"refused": [400, 5], "requests": [420, 410]}),
    Case(
        "RefusedCallersAlarm",
        "a wrong audience beside webhooks and probes",
        True,
        {"refused": [100, 100], "requests": [250, 260], "webhooks": [60, 60], "probes": [90, 90]},
    ),
    Case("RefusedCallersAlarm", "no requests", False),
    Case("SilentWebhookAlarm", "a deleted hook", True, {"settled": [9, 9, 9, 9, 9, 9]}),
    Case("SilentWebhookAlarm", "a deleted hook, few calls", True, {"settled": [1, 0, 0, 0, 0, 1], "events": [0] * 6}),
    Case("SilentWebhookAlarm", "normal traffic", False, {"settled": [9] * 6, "events": [60] * 6}),
    Case(
        "SilentWebhookAlarm",
        "a call settled in the next hour",
        False,
        {"settled": [0, 1, 0, 0, 0, 0], "events": [8, 0, 0, 0, 0, 0]},
    ),
    Case("SilentWebhookAlarm", "no calls", False, {"settled": [0] * 6}),
    Case("MissingReconciliationsAlarm", "failed runs", True, {"Reconciliations": [0, 0, 0, 0]}),
    Case("MissingReconciliationsAlarm", "no runs", True),
    Case("MissingReconciliationsAlarm", "one success", False, {"Reconciliations": [0, 0, 1, 0]}),
    Case("OrphansAlarm", "two deployments with one Stream app", True, {"OrphansRemoved": [40]}),
    Case("OrphansAlarm", "nothing found", False, {"OrphansRemoved": [0]}),
    Case("AccountConcurrencyAlarm", "a peak of three minutes", True, {"running": [810, 900, 1000]}),
    Case("AccountConcurrencyAlarm", "a peak of two minutes", False, {"running": [810, 900, 700]}),
    Case(
        "ThrottledRequestsAlarm",
        "logged throttles",
        True,
        {"throttled": [51, 60], "errors": [70, 70], "logged": [70, 70]},
    ),
    Case("ThrottledRequestsAlarm", "unlogged throttles", True, {"errors": [500, 500], "logged": [30, 30]}),
    Case("ThrottledRequestsAlarm", "callers with errors", False, {"errors": [500, 500], "logged": [500, 500]}),
    Case("ThrottledRequestsAlarm", "logs that are late", False, {"errors": [400, 400], "logged": [400, 300]}),
    Case("ThrottledRequestsAlarm", "logs that are ahead", False, {"errors": [400, 400], "logged": [500, 500]}),
]


def evaluate(expression: str, values: dict[str, float | None]) -> float | None:
    """The value of a metric math expression; `None` without data."""

    def fill(value: float | None, default: float) -> float:
        return default if value is None else value

    python = re.sub(r"\bIF\(", "choose(", expression)
    names = {"choose": lambda test, yes, no: yes if test else no, "FILL": fill, "MAX": max, "SUM": sum}
    try:
        return eval(python, {"__builtins__": {}}, names | values)  # noqa: S307 -- the expression is in template.yaml
    except (TypeError, ZeroDivisionError):
        return None


def fires(alarm: dict[str, Any], parameters: dict[str, str], series: Series) -> bool:
    periods = alarm["EvaluationPeriods"]
    queries = alarm.get("Metrics", [])
    expression = next((query["Expression"] for query in queries if "Expression" in query), alarm.get("MetricName"))
    if isinstance(expression, dict):
        expression = re.sub(r"\$\{(\w+)}", lambda match: parameters[match[1]], expression["Fn::Sub"])
    ids = [query["Id"] for query in queries if "MetricStat" in query] or [alarm["MetricName"]]
    breaches = COMPARISONS[alarm["ComparisonOperator"]]
    breaching = 0
    for period in range(periods):
        value = evaluate(expression, {id_: series[id_][period] if id_ in series else None for id_ in ids})
        is_missing = value is None
        breaching += alarm["TreatMissingData"] == "breaching" if is_missing else breaches(value, alarm["Threshold"])
    return breaching >= alarm.get("DatapointsToAlarm", periods)


def situations(project: Project) -> Iterator[str]:
    secret = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:stream-AbCdEf"
    created = project.created(StreamSecretArn=secret)
    defaults = {name: str(item.get("Default")) for name, item in project.translated["Parameters"].items()}
    for case in CASES:
        if fires(created[case.alarm]["Properties"], defaults, case.series) is not case.fires:
            yield f"{case.alarm} must {'fire' if case.fires else 'not fire'}: {case.situation}"
    without = project.created(StreamSecretArn=secret, WebhookAlarm="false")
    if "SilentWebhookAlarm" in without:
        yield "WebhookAlarm=false must remove SilentWebhookAlarm"


CHECKS = {"alarms fire in the outages that they are for, and not otherwise": situations}
