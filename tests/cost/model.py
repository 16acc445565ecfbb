"""What a month costs on AWS: the model behind the tables of docs/COST.md.

    python tests/cost/model.py            # prints the tables
    python tests/cost/model.py --write    # puts them into docs/COST.md
    python tests/cost/model.py --check    # fails where docs/COST.md has others

Needs nothing but Python. Nothing here was measured on AWS: what is an assumption is called one.
"""

import json
import math
import re
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "COST.md"
CALLS = (1_000, 1_000_000, 100_000_000)
HOURS = 730
MINUTES, SECONDS = HOURS * 60, HOURS * 3600
GB = 1e9
REST = math.inf


class Price(NamedTuple):
    """US dollars in us-east-1: by steps, each up to so many in a month."""

    what: str
    size: float  # of what the price is of
    steps: list[tuple[float, float]]
    page: str  # at aws.amazon.com
    seen: str  # where else than in memory

    def of(self, quantity: float) -> float:
        total, below = 0.0, 0.0
        for up_to, each in self.steps:
            total += max(0.0, min(quantity, up_to) - below) / self.size * each
            below = up_to
        return total


def flat(price: float) -> list[tuple[float, float]]:
    return [(REST, price)]


PRICES = {
    "lambda request": Price("Lambda: a million requests", 1e6, flat(0.20), "lambda", "others"),
    "lambda GB-s": Price("a million GB-seconds, arm64", 1e6, flat(13.3334), "lambda",
                         "others, 2024"),
    "http request": Price("API Gateway, HTTP API: a million requests of up to 512 KB", 1e6,
                          [(300e6, 1.00), (REST, 0.90)], "api-gateway", "others, 2026"),
    "write unit": Price("DynamoDB on demand: a million write units", 1e6, flat(0.625),
                        "dynamodb", "others, 2025"),
    "read unit": Price("a million read units", 1e6, flat(0.125), "dynamodb", "others, 2025"),
    "table GB": Price("a GB kept", 1, flat(0.25), "dynamodb", "AWS's page, an old copy"),
    "recovery GB": Price("a GB of point-in-time recovery", 1, flat(0.20), "dynamodb", "others"),
    "log GB": Price("CloudWatch: a GB of Lambda's logs", 1,
                    [(10e3, 0.50), (30e3, 0.25), (50e3, 0.10), (REST, 0.05)],
                    "cloudwatch", "others, 2025 and 2026"),
    "stored log GB": Price("a GB of logs kept, compressed", 1, flat(0.03), "cloudwatch", "others"),
    "metric": Price("a custom metric, of the first 10,000", 1, flat(0.30), "cloudwatch",
                    "others, 2026"),
    "alarm": Price("an alarm, for each metric that it watches", 1, flat(0.10), "cloudwatch",
                   "others; by the metric: AWS's documentation"),
    "dashboard": Price("a dashboard", 1, flat(3.00), "cloudwatch", "others, 2026"),
    "secret": Price("Secrets Manager: a secret", 1, flat(0.40), "secrets-manager", "others"),
    "secret call": Price("ten thousand requests", 1e4, flat(0.05), "secrets-manager", "others"),
    "key": Price("KMS: a key of one's own", 1, flat(1.00), "kms", "others, 2026"),
    "kms call": Price("ten thousand requests", 1e4, flat(0.03), "kms", "others, 2026"),
    "schedule": Price("EventBridge Scheduler: a million invocations", 1e6, flat(1.00),
                      "eventbridge", "others, 2026"),
    "out GB": Price("a GB to the internet", 1,
                    [(10e3, 0.09), (50e3, 0.085), (150e3, 0.07), (REST, 0.05)],
                    "ec2/pricing/on-demand", "others, 2026"),
    "trace": Price("X-Ray: a million traces recorded", 1e6, flat(5.00), "xray",
                   "AWS's page, no date"),
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    """What a function does in a call: docs/DATA.md, "Requests per endpoint", "Access patterns"."""

    what: str
    function: str
    times: float  # in a call
    writes: float  # write units, each time
    reads: float  # read units, each time
    table_steps: int  # requests to the table that wait for one another
    stream_steps: int  # the same to Stream
    asks_stream: int  # requests to Stream, whether they wait or not
    answer: int  # bytes of the answer's body


@dataclass(frozen=True)
class Stack:
    """What template.yaml makes, with what its parameters are by default."""

    memory_mb: dict[str, int]  # of each function
    fetches: dict[str, int]  # secrets of each function
    alarms: dict[str, int]  # how many metrics each watches
    dashboards: int
    secrets: int
    retention_days: int
    access_line: int  # bytes of a line of the access log; 0 without one
    lambda_lines: bool  # its system log level writes a line for an invocation's start and its end
    tracing: bool
    keys: int = 0  # of KMS, of one's own; by default none
    secrets_key: bool = False  # one of them is the secrets'


@dataclass(frozen=True)
class Model:
    """A call, and the stack that serves it."""

    stack: Stack
    minutes: float = 10
    people: int = 2
    tokens: int = 2  # of each person: one for Stream's chat, one for its video
    messages: int = 5
    batch_seconds: int = 30
    sample_seconds: int = 5  # one of each direction
    sampled: bool = True  # the apps send samples
    batch_counted: bool = True  # LIMIT_QUALITY_REPORT_PER_MINUTE is not 0
    webhooks: bool = True
    other_events: int = 0  # webhooks that are sent and not needed
    # Assumptions: milliseconds that a function is billed for.
    own_ms: float = 5
    table_ms: float = 5
    stream_ms: float = 80
    cold_ms: float = 400  # start, secrets and first connections, beyond a warm request
    batch_ms: float = 333  # of the sweeper: docs/DATA.md, "What else a million needs"
    slower: float = 1
    colder: float = 1
    memory: float = 1  # of what the template gives

    def on(self, **changes: Any) -> "Model":
        """The same on another stack."""
        return replace(self, stack=replace(self.stack, **changes))

    def batches(self) -> float:
        return self.sampled * self.people * self.minutes * 60 / self.batch_seconds

    def batch_bytes(self) -> float:
        """docs/DATA.md, "What samples cost": 98 bytes a sample, and 170."""
        return 98 * 2 * self.batch_seconds / self.sample_seconds + 170

    def batch_units(self) -> int:
        return math.ceil(self.batch_bytes() / 1024)

    def quality_units(self) -> int:
        """Reading all that is kept of a call's quality."""
        return max(1, math.ceil(self.batches() * self.batch_bytes() / 4096))

    def looks(self) -> float:
        """docs/DATA.md, "Why 64 shards"."""
        return max(0, (self.minutes - 2) / 4 + 0.5)

    def steps(self) -> list[Step]:
        counted, persons, hooks = int(self.batch_counted), self.people, int(self.webhooks)
        return [
            Step("token", "token", persons, 1, 0, 1, 0, 0, 700),
            Step("token, again in its minute", "token", (self.tokens - 1) * persons, 2, 0, 2, 0, 0, 700),
            Step("call/create", "call-create", 1, 7, persons, 2, 2, 2, 700),
            Step("call/{callId}", "call-get", 1, 0, 1, 1, 0, 0, 700),
            Step("call/quality, POST", "quality-report", self.batches(),
                 self.batch_units() + counted, 1, 2, 0, 0, 60),
            Step("message/send", "message-send", self.messages, 1, 1, 1, 1, 1, 500),
            Step("message/{channelId}", "message-list", persons, 0, 1, 1, 1, 1, 2_000),
            Step("call/quality", "call-quality", 1, 0, 1 + self.quality_units(), 1, 2, 2, 20_000),
            Step("call/end", "call-end", 1, 8, 0, 3, 1, 2, 150),
            # session_started, each one's joined and left, session_ended, ended, channel.deleted
            Step("webhook", "webhook", hooks * (4 + 2 * persons), 1, 0, 1, 0, 0, 2),
            Step("webhook, the report", "webhook", hooks, 2, 1, 2, 0, 0, 2),
            Step("webhook, others", "webhook", self.other_events, 0, 0, 0, 0, 0, 2),
        ]  # fmt: skip

    def sweeper_units(self) -> tuple[float, float]:
        """Writes and reads of the sweeper for a call: its looks, and the second look at its end."""
        return 3 * self.looks() + 2, self.looks() + 1 + self.quality_units()


# Codes of answers that an ordinary month has; and how calls are told apart in it.
ORDINARY_CODES, ORDINARY_PLATFORMS = 8, 3
# Functions of the model; those of them that ask Stream.
ORDINARY_FUNCTIONS, ORDINARY_ASKING = 10, 7


def metrics_rows() -> list[tuple[str, int, int]]:
    """Custom metrics of docs/LOGGING.md: in an ordinary month, and at most."""
    functions = len(list((ROOT / "functions").iterdir()))
    quiet = 3  # call-get, quality-report and webhook never ask Stream
    codes = len(re.findall(r"^\| `\w+` \| \d{3} ", read("docs/ERRORS.md"), re.M)) + 1
    types, platforms, figures = 2, 6, 6
    whole = r"^\| `\w+` \| \w+ \| –( \(API Gateway\))? \|"
    rows = re.findall(whole, read("docs/LOGGING.md"), re.M)
    filtered = sum(map(bool, rows))  # counted in the access log, where there is something to count
    return [
        ("`Answers` and `ColdStarts` by function", 2 * ORDINARY_FUNCTIONS, 2 * functions),
        ("`StreamLatency` by function", ORDINARY_ASKING, functions - quiet),
        ("`StreamRateLimited`, `StreamFailures` by function", 0, 2 * (functions - quiet)),
        ("`Answers` by code", ORDINARY_CODES, codes),
        ("of the whole deployment", len(rows) - filtered, len(rows)),
        ("of closed calls, by type, and by type and platform",
         figures * types * (1 + ORDINARY_PLATFORMS), figures * types * (1 + platforms)),
    ]  # fmt: skip


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def line_bytes(function: str, asks_stream: int) -> int:
    """The line of a request, with the fields of docs/LOGGING.md, and 26 bytes of an event's own."""
    counts = [{"Name": "Answers", "Unit": "Count"}]
    latency = [{"Name": "StreamLatency", "Unit": "Milliseconds"}] if asks_stream else []
    namespace = "StreamFunctions/stream-functions"
    line = {
        "_aws": {
            "CloudWatchMetrics": [
                {"Namespace": namespace, "Dimensions": [["Function"]], "Metrics": counts + latency},
                {"Namespace": namespace, "Dimensions": [["Code"]], "Metrics": counts},
            ],
            "Timestamp": 1767225600123,
        },
        "timestamp": "2026-01-01T00:00:00.123Z", "level": "INFO", "message": "answered",
        "requestId": "JKJaXmPLvHcESHA=", "function": function,
        "route": "POST /api/stream/call/quality/{callId}", "status": 200, "code": "ok",
        "millis": 12, "user": "0123456789abcdef", "Function": function, "Code": "ok", "Answers": 1,
    }  # fmt: skip
    if asks_stream:
        line["StreamLatency"] = {"Values": [80.123] * asks_stream, "Counts": [1] * asks_stream}
    return len(json.dumps(line, separators=(",", ":"))) + 26


def lambda_bytes(function: str, memory: int) -> tuple[int, int]:
    """Lambda's lines at INFO, with 26 bytes each: of an invocation, and of a cold start."""
    words = "".join(word.capitalize() for word in function.split("-"))
    name = f"stream-functions-{words}Function-0123456789ab"
    request = "0f8fad5b-d9cb-469f-a165-70867728950e"
    arn = f"arn:aws:lambda:us-east-1:123456789012:function:{name}"
    metrics = {"durationMs": 12.345, "billedDurationMs": 13, "memorySizeMB": memory,
               "maxMemoryUsedMB": 35}  # fmt: skip
    start = {"requestId": request, "functionArn": arn, "version": "$LATEST"}
    report = {"requestId": request, "metrics": metrics, "status": "success"}
    began = {
        "initializationType": "on-demand", "phase": "init",
        "runtimeVersion": "provided:al2023.v100",
        "runtimeVersionArn": f"arn:aws:lambda:us-east-1::runtime:{'0' * 64}",
        "functionName": name, "functionVersion": "$LATEST",
        "instanceId": f"2026/01/01/{name}[$LATEST]{'0' * 32}",
        "instanceMaxMemory": memory * 1024 * 1024,
    }  # fmt: skip

    def line(kind: str, record: dict[str, Any]) -> int:
        whole = {"time": "2026-01-01T00:00:00.123Z", "type": f"platform.{kind}", "record": record}
        return len(json.dumps(whole, separators=(",", ":"))) + 26

    return line("start", start) + line("report", report), line("initStart", began)


# What API Gateway's variables are in a usual line; the others are a dash.
ACCESS = {
    "requestId": "JKJaXmPLvHcESHA=", "requestTime": "01/Jan/2026:00:00:00 +0000",
    "routeKey": "POST /api/stream/call/quality/{callId}", "protocol": "HTTP/1.1", "status": "200",
    "responseLength": "60", "responseLatency": "14", "integrationLatency": "13",
    "integrationStatus": "200", "integration.status": "200",
}  # fmt: skip


def access_bytes(form: str) -> int:
    """A line of the access log in that format, with 26 bytes of an event's own."""
    return len(re.sub(r"\$context\.([\w.]+)", lambda it: ACCESS.get(it[1], "-"), form)) + 26


# Assumptions, with 26 bytes for each: the lines of a closed call and of a run of the sweeper.
CALL_LINE, SWEEP_LINE = 700, 1_100
# Assumptions: headers of an answer, and a request to Stream with its share of a handshake.
HEADERS, TO_STREAM = 400, 2_000
# The table keeps a call's things for 30 days, and TTL takes some days more.
KEPT_MONTHS = 32 / 30
# A batch, and everything else, has 100 bytes of DynamoDB's own. Call, report and rests of counters.
ITEM_OWN, CALL_KEPT = 100, 4_000


def cold_share(calls: int, model: Model) -> float:
    """An assumption: where little goes on, most functions of a call start cold."""
    return (0.2 if calls < 100_000 else 0.01) * model.colder


def bill(calls: int, model: Model) -> dict[str, tuple[float, float]]:
    """Of a month: quantity and dollars of each line."""
    cold, steps = cold_share(calls, model), model.steps()
    requests = calls * sum(step.times for step in steps)
    sweeps, reconciliations = MINUTES, HOURS
    invocations = requests + sweeps + reconciliations

    seconds: dict[str, float] = {}  # of each function
    times: dict[str, float] = {}
    for step in steps:
        warm = model.own_ms + step.table_steps * model.table_ms
        warm += step.stream_steps * model.stream_ms
        each = math.ceil(warm * model.slower) + cold * model.cold_ms * model.slower
        seconds[step.function] = seconds.get(step.function, 0) + calls * step.times * each / 1e3
        times[step.function] = times.get(step.function, 0) + calls * step.times
    # 64 queries, eight at a time, and the list of erasures; then a hundred calls at a time. Of more
    # ends than 30 a minute the sweeper does the clearing.
    uncleared = max(0.0, 1 - 30 * MINUTES / calls)
    due = calls * (model.looks() + 1 + uncleared) / sweeps
    batches = (1 - math.exp(-due)) + due / 100
    sweep = model.own_ms + 9 * model.table_ms + batches * model.batch_ms
    seconds["sweeper"] = (sweeps + reconciliations) * sweep * model.slower / 1e3
    times["sweeper"] = sweeps + reconciliations
    stack = model.stack
    gb_seconds = sum(stack.memory_mb[function] / 1024 * took for function, took in seconds.items())

    swept = model.sweeper_units()
    writes = calls * (sum(step.times * step.writes for step in steps) + swept[0]) + reconciliations
    reads = calls * (sum(step.times * step.reads for step in steps) + swept[1])
    reads += 33 * sweeps + reconciliations
    kept = model.batches() * (model.batch_bytes() + ITEM_OWN) + CALL_KEPT
    table_gb = calls * kept * KEPT_MONTHS / GB

    log = sum(calls * step.times * line_bytes(step.function, step.asks_stream) for step in steps)
    log += calls * CALL_LINE + (sweeps + reconciliations) * SWEEP_LINE
    log += requests * stack.access_line
    colds = {function: times[function] * cold for function in times}
    colds["sweeper"] = 0.0  # it runs each minute
    for function, number in times.items():
        invocation, start = lambda_bytes(function, stack.memory_mb[function])
        log += (number * invocation + colds[function] * start) * stack.lambda_lines
    log_gb = log / GB

    # Metrics are paid by the hour in which something is sent: the sweeper's always.
    usual = sum(row[1] for row in metrics_rows())
    always = 8
    metrics = always + (usual - always) * (1 - math.exp(-calls / HOURS))

    # A process asks for its secrets and a connection for the table's key at first, and with the
    # first request after five minutes. Processes: an assumption, three times what is busy.
    fetches, connections = 0.0, 0.0
    for function, number in times.items():
        processes = max(1.0, 3 * seconds[function] / SECONDS)
        again = min(number - colds[function], processes * MINUTES / 5)
        fetches += (colds[function] + again) * stack.fetches[function]
        connections += colds[function] + again

    out = sum(calls * step.times * (step.answer + HEADERS) for step in steps)
    out += calls * TO_STREAM * sum(step.times * step.asks_stream for step in steps)
    traces = sum(traced(number) for number in times.values()) * stack.tracing

    lines = {
        "API Gateway, requests": ("http request", requests),
        "Lambda, requests": ("lambda request", invocations),
        "Lambda, GB-seconds": ("lambda GB-s", gb_seconds * model.memory),
        "DynamoDB, write units": ("write unit", writes),
        "DynamoDB, read units": ("read unit", reads),
        "DynamoDB, GB kept": ("table GB", table_gb),
        "DynamoDB, GB of point-in-time recovery": ("recovery GB", table_gb),
        "Logs, GB written": ("log GB", log_gb),
        "Logs, GB kept (compressed)": ("stored log GB", log_gb * 0.15 * stack.retention_days / 30),
        "Custom metrics": ("metric", metrics),
        "Alarms, metrics watched": ("alarm", sum(stack.alarms.values())),
        "Dashboards": ("dashboard", stack.dashboards),
        "Secrets": ("secret", stack.secrets),
        "Secrets Manager, requests": ("secret call", fetches),
        "KMS, keys": ("key", stack.keys),
        "KMS, requests": ("kms call", connections + fetches * stack.secrets_key),
        "Scheduler, invocations": ("schedule", sweeps + reconciliations),
        "Data transfer out, GB": ("out GB", out / GB),
        "X-Ray, traces": ("trace", traces),
    }
    return {line: (quantity, PRICES[name].of(quantity)) for line, (name, quantity) in lines.items()}


def traced(number: float) -> float:
    """One a second and 5 % of the rest, of each function."""
    rate = number / SECONDS
    return SECONDS * (1 - math.exp(-rate) + 0.05 * max(0.0, rate - 1))


def total(calls: int, model: Model) -> float:
    return sum(dollars for _, dollars in bill(calls, model).values())


# Tables.


def number(value: float) -> str:
    """Three digits, from a hundred thousand on with k, M or G."""
    for least, size, name in ((1e9, 1e9, " G"), (1e6, 1e6, " M"), (1e5, 1e3, " k")):
        if value >= least:
            return f"{float(f'{value / size:.3g}'):,g}{name}"
    return f"{float(f'{value:.3g}'):,g}"


def money(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 99.5 else f"{value:.2f}"


def change(value: float) -> str:
    return "0" if abs(value) < 0.005 else f"{'+' if value > 0 else '−'}{money(abs(value))}"


def table(head: list[str], rows: list[list[str]], texts: tuple[int, ...] = (0,)) -> str:
    """Of Markdown; what is no text stands at the right."""
    lines = [head, ["---" if at in texts else "--:" for at in range(len(head))], *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)


def call_table(model: Model) -> str:
    rows, sums = [], [0.0] * 4
    shown = [step for step in model.steps() if step.times]
    for step in shown:
        values = [step.times, step.times * step.writes, step.times * step.reads,
                  step.times * step.asks_stream]  # fmt: skip
        sums = [a + b for a, b in zip(sums, values)]
        rows.append([step.what, f"`{step.function}`", *(f"{value:g}" for value in values)])
    writes, reads = model.sweeper_units()
    rows.append(["looks, and the second look", "`sweeper`", "", f"{writes:g}", f"{reads:g}", ""])
    sums[1] += writes
    sums[2] += reads
    rows.append(["**together**", "", *(f"**{value:g}**" for value in sums)])
    head = ["what", "function", "requests", "write units", "read units", "to Stream"]
    return table(head, rows, texts=(0, 1))


def month_table(model: Model) -> str:
    bills = [bill(calls, model) for calls in CALLS]
    rows = []
    for line in bills[0]:
        if any(each[line][0] for each in bills):
            pairs = ((number(each[line][0]), money(each[line][1])) for each in bills)
            rows.append([line, *(cell for pair in pairs for cell in pair)])
    totals = [total(calls, model) for calls in CALLS]
    rows.append(["**together**", *(cell for each in totals for cell in ("", f"**{money(each)}**"))])
    rows.append(["a thousand calls", *(cell for calls, each in zip(CALLS, totals)
                                       for cell in ("", f"{each / calls * 1e3:.2f}"))])  # fmt: skip
    return table(["", "1 thousand", "$", "1 million", "$", "100 million", "$"], rows)


def share_table(model: Model) -> str:
    """What a part costs: what goes away without it."""
    parts = {
        "samples: their requests, writes, lines and storage": replace(model, sampled=False),
        "webhooks": replace(model, webhooks=False),
        "messages": replace(model, messages=0),
        "tokens": replace(model, tokens=0),
    }
    wholes = [total(calls, model) for calls in CALLS]
    shares = {
        what: [whole - total(calls, other) for calls, whole in zip(CALLS, wholes)]
        for what, other in parts.items()
    }
    shares["log lines of all kinds"] = [
        sum(dollars for line, (_, dollars) in bill(calls, model).items() if line.startswith("Logs"))
        for calls in CALLS
    ]
    rows = []
    for what, dollars in shares.items():
        pairs = ((money(each), f"{each / whole:.0%}") for each, whole in zip(dollars, wholes))
        rows.append([what, *(cell for pair in pairs for cell in pair)])
    head = ["of the month", "1 thousand, $", "", "1 million, $", "", "100 million, $", ""]
    return table(head, rows)


def turn_table(model: Model) -> str:
    turns = {
        "a batch each minute": replace(model, batch_seconds=60),
        "a batch each minute, a sample every ten seconds": replace(
            model, batch_seconds=60, sample_seconds=10),
        "no samples": replace(model, sampled=False),
        "`LimitQualityReportPerMinute` 0": replace(model, batch_counted=False),
        "without Lambda's own lines": model.on(lambda_lines=False),
        "without the access log": model.on(access_line=0),
        "`LogRetentionDays` 365": model.on(retention_days=365),
        "every one of Stream's events to the webhook: 15 more a call": replace(
            model, other_events=15),
        "`Tracing` `Active`: X-Ray on every function": model.on(tracing=True),
        "`JwtJwksUrl` in place of a JWT secret": replace(
            model, stack=template_stack(read("template.yaml"), WITH_KEYS)),
        "`SecretsKmsKeyArn`: a key of one's own for the secrets": model.on(
            keys=1, secrets_key=True),
        "`AlarmEmail`: a topic with a key": model.on(keys=1),
        "half the memory": replace(model, memory=0.5),
        "double the memory": replace(model, memory=2),
    }  # fmt: skip
    return change_table(model, turns)


def doubt_table(model: Model) -> str:
    doubts = {
        "functions take twice as long, cold and warm": replace(model, slower=2),
        "twice as many cold starts": replace(model, colder=2),
        "Stream answers in 200 ms in place of 80": replace(model, stream_ms=200),
        "calls of 3 minutes": replace(model, minutes=3),
        "calls of 30 minutes": replace(model, minutes=30),
        "calls of 60 minutes": replace(model, minutes=60),
        "50 messages in place of 5": replace(model, messages=50),
        "four people in place of two": replace(model, people=4),
    }
    return change_table(model, doubts)


def change_table(model: Model, others: dict[str, Model]) -> str:
    rows = []
    for what, other in others.items():
        changes = [total(calls, other) - total(calls, model) for calls in CALLS]
        share = f"{changes[1] / total(CALLS[1], model):+.0%}".replace("-", "−")
        share = "0%" if share[1:] == "0%" else share
        rows.append([what, *(change(each) for each in changes), share])
    return table(["", "1 thousand, $", "1 million, $", "100 million, $", "of a million"], rows)


def metrics_table(_: Model) -> str:
    rows = metrics_rows()
    usual, most = sum(row[1] for row in rows), sum(row[2] for row in rows)
    cells = [[what, str(low), str(high)] for what, low, high in rows]
    cells.append(["**together**", f"**{usual}**", f"**{most}**"])
    cells.append(["$ a month", *(money(PRICES["metric"].of(each)) for each in (usual, most))])
    return table(["custom metrics", "an ordinary month", "at most"], cells)


def stack_table(model: Model) -> str:
    stack = model.stack
    sizes: dict[int, list[str]] = {}
    for function, memory in sorted(stack.memory_mb.items()):
        sizes.setdefault(memory, []).append(f"`{function}`")
    usual = max(sizes, key=lambda memory: len(sizes[memory]))
    others = [f"{memory} of {', '.join(sizes[memory])}" for memory in sizes if memory != usual]
    watched = stack.alarms.values()
    several = sum(number > 1 for number in watched)
    fetching = Counter(stack.fetches.values()).items()
    of_lambda = lambda_bytes("quality-report", stack.memory_mb["quality-report"])
    invocation, start = of_lambda if stack.lambda_lines else (0, 0)
    rows = [
        ["alarms", f"{len(watched)}, {several} of them on several metrics: {sum(watched)} metrics"],
        ["dashboards", str(stack.dashboards)],
        ["secrets", f"{stack.secrets}; "
         + ", ".join(f"{many} functions fetch {number}" for number, many in fetching)],
        ["memory, MB", "; ".join([*others, f"{usual} of the others"])],
        ["`LogRetentionDays`", str(stack.retention_days)],
        ["Lambda's lines of an invocation, bytes", str(invocation)],
        ["Lambda's line of a cold start, bytes", str(start)],
        ["a line of the access log, bytes", str(stack.access_line)],
        ["X-Ray", "on" if stack.tracing else "off"],
    ]  # fmt: skip
    return table(["of `template.yaml`", "by default"], rows, texts=(0, 1))


def prices_table(_: Model) -> str:
    rows = []
    for what, _size, steps, page, seen in PRICES.values():
        said, below = [], 0.0
        for up_to, each in steps:
            dollars = f"{each:.2f}" if round(each, 2) == each else f"{each:g}"
            said.append(dollars + (f" from {number(below)} on" if below else ""))
            below = up_to
        url = f"https://aws.amazon.com/{page}/" + ("" if "/" in page else "pricing/")
        rows.append([what, "; ".join(said), f"[{page.split('/')[0]}]({url})", seen])
    return table(["price", "$", "AWS's page", "seen at"], rows, texts=(0, 1, 2, 3))


TABLES = {
    "call": call_table,
    "month": month_table,
    "shares": share_table,
    "turns": turn_table,
    "doubts": doubt_table,
    "metrics": metrics_table,
    "stack": stack_table,
    "prices": prices_table,
}

# The template, and what this model takes over from elsewhere.

# Conditions that hold in the deployment of the tables; those that hold with published keys.
WITH_SECRET = {"StreamConfigured", "SessionSecret", "CostStop"}
WITH_KEYS = {"StreamConfigured", "PublishedKeys", "CostStop"}
CONDITION_OF_SECRET = {"STREAM_SECRET_ARN": "StreamConfigured", "JWT_SECRET_ARN": "SessionSecret"}


def blocks(section: str) -> dict[str, str]:
    """Of a section of the template: its members."""
    parts = re.split(r"^  (\w+):\n", section, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def sections(text: str) -> dict[str, str]:
    """Of the template, without its comments."""
    parts = re.split(r"^(\w+):", re.sub(r"^ *#.*\n", "", text, flags=re.M), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def found(pattern: str, text: str) -> str:
    """What the group of the pattern is, in a text that has to have it."""
    match = re.search(pattern, text, re.M | re.S)
    if not match:
        raise SystemExit(f"template.yaml: nothing is like {pattern}")
    return match[1]


def template_stack(text: str, holds: set[str]) -> Stack:
    """What it makes where these conditions hold, and no others."""
    parts = sections(text)
    parameters, resources = blocks(parts["Parameters"]), blocks(parts["Resources"])

    def default(name: str) -> str:
        return found(r"^    Default: (\S+)", parameters[name])

    def is_made(block: str) -> bool:
        condition = re.search(r"^    Condition: (\w+)", block, re.M)
        return not condition or condition[1] in holds

    def made(kind: str) -> dict[str, str]:
        return {
            name: block
            for name, block in resources.items()
            if re.search(rf"^    Type: {kind}$", block, re.M) and is_made(block)
        }

    secrets = {name for name, condition in CONDITION_OF_SECRET.items() if condition in holds}

    def named(block: str) -> set[str]:
        return {name for name in secrets if re.search(rf"^ +{name}: ", block, re.M)}

    everywhere, memory, fetches = named(parts["Globals"]), {}, {}
    for block in made("AWS::Serverless::Function").values():
        folder = found(r"^      CodeUri: functions/([\w-]+)/$", block)
        own = re.search(r"^      MemorySize: (\d+)", block, re.M)
        memory[folder] = int(own[1] if own else found(r"^    MemorySize: (\d+)", parts["Globals"]))
        fetches[folder] = len(everywhere | named(block))
    access = r"AccessLogSettings:\n.*?Format: >-\n((?: {10}\S[^\n]*\n)+)"
    form = re.search(access, parts["Resources"], re.S)
    return Stack(
        memory_mb=memory,
        fetches=fetches,
        alarms={
            name: block.count("MetricStat: ") or 1
            for name, block in made("AWS::CloudWatch::Alarm").items()
        },
        dashboards=len(made("AWS::CloudWatch::Dashboard")),
        secrets=len(secrets),
        retention_days=int(default("LogRetentionDays")),
        access_line=access_bytes(" ".join(form[1].split("\n          ")).strip()) if form else 0,
        lambda_lines=found(r"^      SystemLogLevel: (\w+)", parts["Globals"]) != "WARN",
        tracing=default("Tracing") == "Active",
    )  # fmt: skip


# What the model takes for granted, as the template has to have it.
GRANTED = {
    "functions run on arm64": r"^    Architectures: \[arm64\]$",
    "Lambda's own lines are JSON": r"^      LogFormat: JSON$",
    "Lambda's own lines are those of INFO or WARN": r"^      SystemLogLevel: (?:INFO|WARN)$",
    "functions take the parameter for X-Ray": r"^    Tracing: !Ref Tracing$",
    "the table is paid for on demand": r"^      BillingMode: PAY_PER_REQUEST$",
    "the table has point-in-time recovery": r"PointInTimeRecoveryEnabled: true",
    "the table is encrypted with aws/dynamodb": r"^      SSESpecification: \{SSEEnabled: true\}$",
}
# What must not be in it, since the model has no price for it.
UNKNOWN = {
    "log groups that are kept for another time": r"RetentionInDays: (?!!Ref LogRetentionDays$)",
    "log groups of another class": r"LogGroupClass:",
    "functions with a log level of their own": r"^      LoggingConfig:(?! \{LogGroup: !Ref \w+\}$)",
    "alarms of high resolution": r"Period: [1-5]?\d\b",
    "composite alarms": r"AWS::CloudWatch::CompositeAlarm",
    "alarms of metrics by a query or a band": r"ANOMALY_DETECTION_BAND|Expression: .*SELECT ",
    "provisioned concurrency": r"ProvisionedConcurrencyConfig:",
}


def disagreements(model: Model, template: str) -> list[str]:
    """Where the model says something else than what it is made after."""
    wrong = []
    parts = sections(template)
    resources = blocks(parts["Resources"])
    for what, pattern in GRANTED.items():
        if not re.search(pattern, parts["Globals"] + parts["Resources"], re.M):
            wrong.append(f"the template has not: {what}")
    for what, pattern in UNKNOWN.items():
        if re.search(pattern, parts["Resources"], re.M):
            wrong.append(f"the model knows no {what}, the template does")
    alarms = [block for block in resources.values() if "Type: AWS::CloudWatch::Alarm\n" in block]
    conditions = set(re.findall(r"^    Condition: (\w+)", "".join(alarms), re.M))
    if strange := conditions - WITH_SECRET - WITH_KEYS:
        wrong.append(f"the model knows no condition {', '.join(sorted(strange))} of alarms")
    secrets = set(re.findall(r"^ +(\w+_SECRET_ARN): ", parts["Globals"] + parts["Resources"], re.M))
    if secrets != set(CONDITION_OF_SECRET):
        wrong.append(f"the template's functions fetch {', '.join(sorted(secrets))}")
    schedules = sorted(re.findall(r"ScheduleExpression: (.+)", parts["Resources"]))
    if schedules != ["rate(1 hour)", "rate(1 minute)"]:
        wrong.append(f"the template has other schedules: {', '.join(schedules)}")
    folders = {folder.name for folder in (ROOT / "functions").iterdir()}
    if folders != set(model.stack.memory_mb):
        wrong.append(f"not both in functions/ and the template: "
                     f"{', '.join(sorted(folders ^ set(model.stack.memory_mb)))}")  # fmt: skip
    if not model.stack.alarms or not model.stack.dashboards:
        wrong.append("no alarm or no dashboard was found in the template")
    for name in ("LimitQualityReportPerMinute", "TableMaxReadUnits", "TableMaxWriteUnits"):
        if found(r"Default: (\d+)", blocks(parts["Parameters"])[name]) == "0":
            wrong.append(f"{name} is 0 by default, and the model takes it to be more")
    return wrong + other_units(model)


def other_units(model: Model) -> list[str]:
    """Units of docs/DATA.md: of a call without looks and samples, and of the batches of a call."""
    bare = replace(model, sampled=False)
    life = [step for step in bare.steps() if step.function in ("call-create", "call-end")]
    writes, reads = bare.sweeper_units()
    writes += sum(step.writes for step in life) - 3 * bare.looks()
    reads += sum(step.reads for step in life) - bare.looks()
    report = next(step for step in model.steps() if step.function == "quality-report")
    batches = report.times * report.writes, report.times * report.reads
    text = " ".join(read("docs/DATA.md").split())
    sentences = (
        f"costs {writes:g} write units and {reads:g} read units",
        f"{report.times:g} batches: {batches[0]:g} write units and {batches[1]:g} read units, "
        f"and {model.quality_units()} read units for each reading",
    )
    return [f"docs/DATA.md does not say: {each}" for each in sentences if each not in text]


def main() -> int:
    template = read("template.yaml")
    model = Model(template_stack(template, WITH_SECRET))
    tables = {name: make(model) for name, make in TABLES.items()}
    if sys.argv[1:] not in (["--check"], ["--write"]):
        print("\n\n".join(f"{name}\n{text}" for name, text in tables.items()))
        return 0
    page = read("docs/COST.md")
    wrong = disagreements(model, template)
    for name, text in tables.items():
        begin, end = f"<!-- {name}: tests/cost/model.py -->\n", "<!-- end -->"
        if page.count(begin) != 1:
            wrong.append(f"docs/COST.md has no one place for the table {name}")
            continue
        before, rest = page.split(begin)
        old, after = rest.split(end, 1)
        text += "\n"
        if sys.argv[1] == "--check" and old != text:
            wrong.append(f"the table {name} of docs/COST.md is another; --write mends it")
        page = before + begin + text + end + after
    if sys.argv[1] == "--write":
        PAGE.write_text(page, encoding="utf-8")
    print("\n".join(wrong) or "docs/COST.md says what the model says")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
