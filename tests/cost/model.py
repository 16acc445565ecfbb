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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

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
    "alarm": Price("an alarm on a metric", 1, flat(0.10), "cloudwatch", "others"),
    "dashboard": Price("a dashboard", 1, flat(3.00), "cloudwatch", "others, 2026"),
    "secret": Price("Secrets Manager: a secret", 1, flat(0.40), "secrets-manager", "others"),
    "secret call": Price("ten thousand requests", 1e4, flat(0.05), "secrets-manager", "others"),
    "kms call": Price("KMS: ten thousand requests", 1e4, flat(0.03), "kms", "others, 2026"),
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
class Model:
    """A call, and the stack that serves it."""

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
    # The stack. Compared with the template where that has such a thing.
    alarms: int = 12
    dashboards: int = 1
    secrets: int = 2
    retention_days: int = 30
    access_log: bool = True
    lambda_lines: bool = True  # START, END and REPORT
    tracing: bool = False
    memory_mb: dict[str, int] = field(default_factory=dict)

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
            Step("token", "token", self.tokens * persons, 1, 1, 1, 0, 0, 700),
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
    return [
        ("`Answers` and `ColdStarts` by function", 2 * ORDINARY_FUNCTIONS, 2 * functions),
        ("`StreamLatency` by function", ORDINARY_ASKING, functions - quiet),
        ("`StreamRateLimited`, `StreamFailures` by function", 0, 2 * (functions - quiet)),
        ("`Answers` by code", ORDINARY_CODES, codes),
        ("of the whole deployment", 5, 5),
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


# Assumptions, with 26 bytes for each event: Lambda's three lines of an invocation, API Gateway's
# line of a request, and the line of a closed call.
LAMBDA_LINES, ACCESS_LINE, CALL_LINE = 370, 350, 700
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
    gb_seconds = sum(model.memory_mb[function] / 1024 * took for function, took in seconds.items())

    swept = model.sweeper_units()
    writes = calls * (sum(step.times * step.writes for step in steps) + swept[0]) + reconciliations
    reads = calls * (sum(step.times * step.reads for step in steps) + swept[1])
    reads += 33 * sweeps + reconciliations
    kept = model.batches() * (model.batch_bytes() + ITEM_OWN) + CALL_KEPT
    table_gb = calls * kept * KEPT_MONTHS / GB

    log = sum(calls * step.times * line_bytes(step.function, step.asks_stream) for step in steps)
    log += calls * CALL_LINE + (sweeps + reconciliations) * 1_100
    log += invocations * LAMBDA_LINES * model.lambda_lines
    log += requests * ACCESS_LINE * model.access_log
    log_gb = log / GB

    # Metrics are paid by the hour in which something is sent: the sweeper's always.
    usual = sum(row[1] for row in metrics_rows())
    always = 8
    metrics = always + (usual - always) * (1 - math.exp(-calls / HOURS))

    # A process asks for its secrets and a connection for the table's key at first and every five
    # minutes, as long as requests come. Processes: an assumption, three times what is busy.
    refreshed = 0.0
    for function, number in times.items():
        processes = max(1.0, 3 * seconds[function] / SECONDS)
        refreshed += min(number, processes * MINUTES / 5) + number * cold * (function != "sweeper")

    out = sum(calls * step.times * (step.answer + HEADERS) for step in steps)
    out += calls * TO_STREAM * sum(step.times * step.asks_stream for step in steps)
    traces = sum(traced(number) for number in times.values()) * model.tracing

    lines = {
        "API Gateway, requests": ("http request", requests),
        "Lambda, requests": ("lambda request", invocations),
        "Lambda, GB-seconds": ("lambda GB-s", gb_seconds * model.memory),
        "DynamoDB, write units": ("write unit", writes),
        "DynamoDB, read units": ("read unit", reads),
        "DynamoDB, GB kept": ("table GB", table_gb),
        "DynamoDB, GB of point-in-time recovery": ("recovery GB", table_gb),
        "Logs, GB written": ("log GB", log_gb),
        "Logs, GB kept (compressed)": ("stored log GB", log_gb * 0.15 * model.retention_days / 30),
        "Custom metrics": ("metric", metrics),
        "Alarms": ("alarm", model.alarms),
        "Dashboards": ("dashboard", model.dashboards),
        "Secrets": ("secret", model.secrets),
        "Secrets Manager, requests": ("secret call", refreshed * model.secrets),
        "KMS, requests of the table": ("kms call", refreshed),
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
        "without Lambda's own lines": replace(model, lambda_lines=False),
        "without the access log": replace(model, access_log=False),
        "every one of Stream's events to the webhook: 15 more a call": replace(
            model, other_events=15),
        "X-Ray on every function": replace(model, tracing=True),
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
        rows.append([what, *(change(each) for each in changes), share])
    return table(["", "1 thousand, $", "1 million, $", "100 million, $", "of a million"], rows)


def metrics_table(_: Model) -> str:
    rows = metrics_rows()
    usual, most = sum(row[1] for row in rows), sum(row[2] for row in rows)
    cells = [[what, str(low), str(high)] for what, low, high in rows]
    cells.append(["**together**", f"**{usual}**", f"**{most}**"])
    cells.append(["$ a month", *(money(PRICES["metric"].of(each)) for each in (usual, most))])
    return table(["custom metrics", "an ordinary month", "at most"], cells)


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
    "prices": prices_table,
}

# The template, and what this model takes over from elsewhere.


def template_memory(text: str) -> dict[str, int]:
    """MemorySize of each function, by the name of its folder."""
    ours = int(re.search(r"^Globals:.*?MemorySize: (\d+)", text, re.M | re.S)[1])
    found = {}
    for block in re.split(r"^  (?=\w+:$)", text.split("\nResources:", 1)[1], flags=re.M):
        if folder := re.search(r"CodeUri: target/lambda/([\w-]+)/", block):
            own = re.search(r"^      MemorySize: (\d+)", block, re.M)
            found[folder[1]] = int(own[1]) if own else ours
    return found


def disagreements(model: Model, template: str) -> list[str]:
    """Where the model says something else than what it is made after."""
    found = []
    alarms = len(re.findall(r"Type: AWS::CloudWatch::(?:Composite)?Alarm$", template, re.M))
    dashboards = template.count("Type: AWS::CloudWatch::Dashboard")
    retention = {int(days) for days in re.findall(r"RetentionInDays: (\d+)", template)}
    for what, ours, theirs in (
        ("alarms", model.alarms, alarms),
        ("dashboards", model.dashboards, dashboards),
        ("retention_days", model.retention_days, retention and max(retention)),
    ):
        if theirs and ours != theirs:
            found.append(f"the template has {what} {theirs}, the model {ours}")
    return found + other_units(model)


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
    model = Model(memory_mb=template_memory(template))
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
