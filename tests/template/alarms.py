"""Evaluates alarms on made-up metrics: each outage fires its alarm, and normal traffic fires none.

CloudWatch evaluates the expression of an alarm once a period, and compares the value with the threshold. The alarm
fires if `DatapointsToAlarm` of the last `EvaluationPeriods` values breach. outages.py evaluates the same alarms on
the lines that the functions write."""

import json
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
    Case("ServerErrorsAlarm", "a faulty deployment", True, {"failed": [30], "requests": [1000]}),
    Case("ServerErrorsAlarm", "single failures", False, {"failed": [20], "requests": [1000]}),
    Case("ServerErrorsAlarm", "four failures at night", False, {"failed": [4], "requests": [10]}),
    Case("HighLatencyAlarm", "a slow Stream", True, {"Latency": [3500, 4000, 3100]}),
    Case("HighLatencyAlarm", "slow for ten minutes", False, {"Latency": [3500, 4000, 900]}),
    Case("UserFunctionErrorsAlarm", "functions that do not start", True, {"token": [2], "config": [1]}),
    Case("UserFunctionErrorsAlarm", "two crashes", False, {"token": [1], "health": [1]}),
    Case("CallFunctionErrorsAlarm", "timeouts of the webhook", True, {"webhook": [3]}),
    Case("CallFunctionErrorsAlarm", "two crashes", False, {"create": [1], "sweeper": [1]}),
    Case("UserFunctionThrottlesAlarm", "no free execution", True, {"token": [9], "send": [9]}),
    Case("UserFunctionThrottlesAlarm", "a short peak", False, {"token": [10]}),
    Case("CallFunctionThrottlesAlarm", "a small reservation of the webhook", True, {"webhook": [11]}),
    Case("CallFunctionThrottlesAlarm", "a short peak", False, {"create": [5], "webhook": [5]}),
    Case("HistoryFunctionErrorsAlarm", "a function that does not start", True, {"Errors": [3]}),
    Case("HistoryFunctionErrorsAlarm", "two crashes", False, {"Errors": [2]}),
    Case("HistoryFunctionThrottlesAlarm", "no free execution", True, {"Throttles": [11]}),
    Case("HistoryFunctionThrottlesAlarm", "a short peak", False, {"Throttles": [10]}),
    Case("EventsFunctionErrorsAlarm", "records that cannot be parsed", True, {"Errors": [3]}),
    Case("EventsFunctionErrorsAlarm", "two crashes", False, {"Errors": [2]}),
    Case("EventsFunctionThrottlesAlarm", "no free execution", True, {"Throttles": [11]}),
    Case("EventsFunctionThrottlesAlarm", "a short peak", False, {"Throttles": [10]}),
    Case("DeadLettersAlarm", "a run that did not start", True, {"ApproximateNumberOfMessagesVisible": [1]}),
    Case("DeadLettersAlarm", "an empty queue", False, {"ApproximateNumberOfMessagesVisible": [0]}),
    Case("HistoryDeadLettersAlarm", "discarded records", True, {"ApproximateNumberOfMessagesVisible": [1]}),
    Case("HistoryDeadLettersAlarm", "a queue without activity", False),
    Case("EventDeadLettersAlarm", "discarded records", True, {"ApproximateNumberOfMessagesVisible": [1]}),
    Case("EventDeadLettersAlarm", "a queue without activity", False),
    Case("EventPipeFailedAlarm", "a bus that was deleted", True, {"ExecutionFailed": [3]}),
    Case("EventPipeFailedAlarm", "two retries", False, {"ExecutionFailed": [2]}),
    Case("EventDelayAlarm", "a pipe that is behind", True, {"EventDelaySeconds": [960, 20, 1200]}),
    Case("EventDelayAlarm", "one late batch", False, {"EventDelaySeconds": [960, 20, 30]}),
    Case("EventPipeStoppedAlarm", "a stopped pipe", True, {"settled": [9] * 6}),
    Case("EventPipeStoppedAlarm", "a pipe that runs", False, {"settled": [9] * 6, "events": [40] * 6}),
    Case("HistoryLagAlarm", "a batch that fails for an hour", True, {"IteratorAge": [3.7e6, 4e6, 4.3e6]}),
    Case("HistoryLagAlarm", "a lag that ends", False, {"IteratorAge": [3.7e6, 4e6, 900]}),
    Case("MissingSweepsAlarm", "a schedule that was disabled", True),
    Case("MissingSweepsAlarm", "one sweep in five minutes", False, {"Sweeps": [0, 0, 1, 0, 0]}),
    Case("OverdueCallsAlarm", "a call that stays due", True, {"OldestDueSeconds": [310, 370, 430]}),
    Case("OverdueCallsAlarm", "a call that is closed", False, {"OldestDueSeconds": [310, 370, 0]}),
    Case("StalledErasuresAlarm", "an erasure without progress", True, {"ErasuresPending": [1] * 24}),
    Case("StalledErasuresAlarm", "an hour without erasures", False, {"ErasuresPending": [1] * 23 + [0]}),
    Case("ForgedWebhooksAlarm", "an attack", True, {"Responses": [11]}),
    Case("ForgedWebhooksAlarm", "single forged events", False, {"Responses": [10]}),
    Case("StreamCredentialsAlarm", "a changed secret", True, {"Responses": [1]}),
    Case("StreamCredentialsAlarm", "no rejection", False),
    Case("SecretsUnavailableAlarm", "a deleted secret", True, {"Responses": [1]}),
    Case("SecretsUnavailableAlarm", "no failure", False),
    Case("KeysUnavailableAlarm", "a key server that is down", True, {"Responses": [1]}),
    Case("KeysUnavailableAlarm", "no failure", False),
    Case("StreamUnavailableAlarm", "an outage of Stream", True, {"away": [6], "unread": [5]}),
    Case("StreamUnavailableAlarm", "single failures", False, {"away": [5], "unread": [5]}),
    Case("StreamLimitsAlarm", "an exhausted limit", True, {"Responses": [11]}),
    Case("StreamLimitsAlarm", "single rejections", False, {"Responses": [10]}),
    Case("InternalErrorsAlarm", "an invalid item", True, {"Responses": [1]}),
    Case("InternalErrorsAlarm", "no failure", False),
    Case("TableErrorsAlarm", "errors of DynamoDB", True, {"away": [1], "query": [3], "putItem": [2]}),
    Case("TableErrorsAlarm", "single errors", False, {"away": [2], "getItem": [3]}),
    Case("TableThrottlesAlarm", "a hot partition", True, {"tableWrites": [8], "indexWrites": [8]}),
    Case("TableThrottlesAlarm", "single throttles", False, {"tableReads": [10]}),
    Case("CostStopAlarm", "traffic over the maximum", True, {"tableWrites": [1]}),
    Case("CostStopAlarm", "no throttle", False),
]

# A response in the access log, and the metric filters that count it.
LOGGED_RESPONSES = [
    ({"status": "429", "integrationStatus": "-"}, {"ThrottledRequests", "LoggedClientErrors"}),
    ({"status": "429", "integrationStatus": "200"}, {"LoggedClientErrors"}),
    ({"status": "401", "integrationStatus": "200"}, {"LoggedClientErrors"}),
    ({"status": "200", "integrationStatus": "200"}, set()),
    ({"status": "503", "integrationStatus": "-"}, set()),
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
    threshold = alarm["Threshold"]
    threshold = float(parameters[threshold["Ref"]] if isinstance(threshold, dict) else threshold)
    breaching = 0
    for period in range(periods):
        value = evaluate(expression, {id_: series[id_][period] if id_ in series else None for id_ in ids})
        is_missing = value is None
        breaching += alarm["TreatMissingData"] == "breaching" if is_missing else breaches(value, threshold)
    return breaching >= alarm.get("DatapointsToAlarm", periods)


def situations(project: Project) -> Iterator[str]:
    secret = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:stream-AbCdEf"
    created = project.created(StreamSecretArn=secret, JwtJwksUrl="https://issuer.example.com/jwks.json")
    defaults = {name: str(item.get("Default")) for name, item in project.translated["Parameters"].items()}
    for case in CASES:
        if fires(created[case.alarm]["Properties"], defaults, case.series) is not case.fires:
            yield f"{case.alarm} must {'fire' if case.fires else 'not fire'}: {case.situation}"
    for name in sorted(name for name, it in created.items() if it.get("Type") == "AWS::CloudWatch::Alarm"):
        for state in {True, False} - {case.fires for case in CASES if case.alarm == name}:
            yield f"{name}: no case in which it {'fires' if state else 'does not fire'}"
    without = project.created(StreamSecretArn=secret, WebhookAlarm="false")
    if "SilentWebhookAlarm" in without:
        yield "WebhookAlarm=false must remove SilentWebhookAlarm"


def matches(pattern: str, line: dict[str, Any]) -> bool:
    """Whether a metric filter of comparisons and `&&` counts a line."""
    compare = {"=": operator.eq, ">=": operator.ge, "<": operator.lt}
    terms = re.findall(r'\(\$\.(\w+) (=|>=|<) ("[^"]*"|\d+)\)', pattern)
    if "{ " + " && ".join(f"($.{field} {sign} {value})" for field, sign, value in terms) + " }" != pattern:
        raise ValueError(f"unsupported pattern {pattern}")
    return all(compare[sign](line[field], json.loads(value)) for field, sign, value in terms)


def metric_filters(project: Project) -> Iterator[str]:
    created = project.created()
    (stage,) = (it for it in created.values() if it.get("Type") == "AWS::ApiGatewayV2::Stage")
    log_format = stage["Properties"]["AccessLogSettings"]["Format"]
    filters = {name: it["Properties"] for name, it in created.items() if it.get("Type") == "AWS::Logs::MetricFilter"}
    for values, counted in LOGGED_RESPONSES:
        text = re.sub(r"\$context\.([\w.]+)", lambda match: values.get(match[1], "0"), log_format)
        found = {name for name, it in filters.items() if matches(it["FilterPattern"], json.loads(text))}
        if found != counted:
            yield f"a response with {values} is counted by {sorted(found)}, must be by {sorted(counted)}"


CHECKS = {"alarms fire in the outages that they are for, and not otherwise": situations, "metric filters count the throttled requests and the client errors": metric_filters}
