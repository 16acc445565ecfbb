"""The monthly cost on AWS: the model behind the tables of docs/COST.md.

    python tests/cost/model.py            # prints the tables
    python tests/cost/model.py --write    # writes them into docs/COST.md
    python tests/cost/model.py --check    # fails if docs/COST.md is out of date

It needs Python only. No figure was measured on AWS; comments mark the assumptions.
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
COST_PAGE = ROOT / "docs" / "COST.md"
CALL_VOLUMES = (1_000, 1_000_000, 100_000_000)
HOURS_PER_MONTH = 730
MINUTES_PER_MONTH, SECONDS_PER_MONTH = HOURS_PER_MONTH * 60, HOURS_PER_MONTH * 3600
BYTES_PER_GB = 1e9
UNLIMITED = math.inf


class Price(NamedTuple):
    """US dollars in us-east-1, in tiers: the upper limit per month, and the price of a unit."""

    description: str
    unit_size: float
    tiers: list[tuple[float, float]]
    aws_page: str  # path at aws.amazon.com
    source: str  # what confirms the figure

    def cost(self, quantity: float) -> float:
        cost, tier_start = 0.0, 0.0
        for tier_end, unit_price in self.tiers:
            cost += max(0.0, min(quantity, tier_end) - tier_start) / self.unit_size * unit_price
            tier_start = tier_end
        return cost


def flat(price: float) -> list[tuple[float, float]]:
    return [(UNLIMITED, price)]


PRICES = {
    "lambda request": Price("Lambda: a million requests", 1e6, flat(0.20), "lambda",
                            "third parties"),
    "lambda GB-s": Price("a million GB-seconds, arm64", 1e6, flat(13.3334), "lambda",
                         "third parties, 2024"),
    "http request": Price("API Gateway, HTTP API: a million requests of up to 512 KB", 1e6,
                          [(300e6, 1.00), (UNLIMITED, 0.90)], "api-gateway",
                          "third parties, 2026"),
    "write unit": Price("DynamoDB on demand: a million write units", 1e6, flat(0.625),
                        "dynamodb", "third parties, 2025"),
    "read unit": Price("a million read units", 1e6, flat(0.125), "dynamodb",
                       "third parties, 2025"),
    "table GB": Price("a GB stored", 1, flat(0.25), "dynamodb", "AWS's page, archived copy"),
    "recovery GB": Price("a GB of point-in-time recovery", 1, flat(0.20), "dynamodb",
                         "third parties"),
    "log GB": Price("CloudWatch: a GB of Lambda's logs", 1,
                    [(10e3, 0.50), (30e3, 0.25), (50e3, 0.10), (UNLIMITED, 0.05)],
                    "cloudwatch", "third parties, 2025 and 2026"),
    "stored log GB": Price("a GB of logs stored, compressed", 1, flat(0.03), "cloudwatch",
                           "third parties"),
    "metric": Price("a custom metric, of the first 10,000", 1, flat(0.30), "cloudwatch",
                    "third parties, 2026"),
    "alarm": Price("an alarm, per metric", 1, flat(0.10), "cloudwatch",
                   "third parties; per metric: AWS's documentation"),
    "dashboard": Price("a dashboard", 1, flat(3.00), "cloudwatch", "third parties, 2026"),
    "secret": Price("Secrets Manager: a secret", 1, flat(0.40), "secrets-manager",
                    "third parties"),
    "secret call": Price("ten thousand requests", 1e4, flat(0.05), "secrets-manager",
                         "third parties"),
    "key": Price("KMS: a customer managed key", 1, flat(1.00), "kms", "third parties, 2026"),
    "kms call": Price("ten thousand requests", 1e4, flat(0.03), "kms", "third parties, 2026"),
    "schedule": Price("EventBridge Scheduler: a million invocations", 1e6, flat(1.00),
                      "eventbridge", "third parties, 2026"),
    "pipe request": Price("EventBridge Pipes: a million requests of up to 64 KB, after the filters",
                          1e6, flat(0.40), "eventbridge", "third parties, 2026"),
    "bus event": Price("EventBridge: a million custom events of up to 64 KB", 1e6, flat(1.00),
                       "eventbridge", "third parties, 2026; 64 KB: AWS's page"),
    "archived GB": Price("a GB sent to an archive", 1, flat(0.10), "eventbridge",
                         "third parties, 2026"),
    "archive GB": Price("a GB stored in an archive", 1, flat(0.023), "eventbridge",
                        "third parties, 2026"),
    "stream read": Price("DynamoDB Streams: a hundred thousand reads, except by Lambda", 1e5,
                         flat(0.02), "dynamodb",
                         "not confirmed; that Lambda's are free: AWS's documentation"),
    "out GB": Price("a GB to the internet", 1,
                    [(10e3, 0.09), (50e3, 0.085), (150e3, 0.07), (UNLIMITED, 0.05)],
                    "ec2/pricing/on-demand", "third parties, 2026"),
    "trace": Price("X-Ray: a million traces recorded", 1e6, flat(5.00), "xray",
                   "AWS's page, undated copy"),
}  # fmt: skip


# The caller's account: an eventually consistent read of up to 4 KB.
ACCOUNT_READ_UNITS = 0.5

# The counts of a call per part. The filters of template.yaml select the records.
#
# Settlement. The report of a call stores that its session is ready, 1 unit, and makes the
# settlement due, 1 unit and 2 of the index.
SETTLEMENT_REPORT_WRITES, SETTLEMENT_REPORT_REQUESTS = 4, 2
# The recheck before the settlement moves the call in the index, 1 unit and 2 of the index. The
# settlement itself replaces the removal from the index.
SETTLEMENT_SWEEPER_WRITES = 3
# The call is due once more.
SETTLEMENT_READS = 1
# The sessions of the call, and one page of participants.
SETTLEMENT_STREAM_REQUESTS = 2
# SettledCalls, SettledFromWebhooks and PresenceDifferences.
SETTLEMENT_METRICS = 3
# EventDelaySeconds.
EVENT_METRICS = 1

# History. The rows of a call change at five stages: created, answered, ending, ended, settled. Each
# is one record, and its own invocation: the batching window merges ending and ended at most.
HISTORY_RECORDS = 5
# Each stage writes a row of up to 1 KB per member.
HISTORY_STAGES = 5
# The open row of each member is deleted twice: by the end, and by the settlement, which repairs a
# deletion that failed. DynamoDB bills the second one as well.
HISTORY_DELETES_PER_MEMBER = 2
# In order: the rows, the open rows, and the read that detects newer changes.
HISTORY_SEQUENTIAL_REQUESTS = 3
# That read: the call, of up to 4 KB, and the account of each member on top.
HISTORY_READS_PER_RECORD = 1
# The alarms on the functions of the API have one metric more, for call-list.
HISTORY_SHARED_ALARMS = ("CallFunctionErrorsAlarm", "CallFunctionThrottlesAlarm")

# Events. Four records of a call pass the filters of the pipe: created, answered, ended, settled.
# Each is a request of one chunk (two images of 2 to 4 KB), an invocation of call-events, an event.
PIPE_RECORDS = 4
# call.quality, in the record of the settlement, if the call has samples.
QUALITY_EVENTS = 1

# The cost of samples, relative to that of JSON batches every 30 seconds. With fewer calls cold starts
# dominate it.
MAX_SHARE_OF_SAMPLES, MIN_CALLS_OF_SAMPLES = 0.50, 1_000_000

# The sum of the three parts, relative to a call without them and without samples.
MAX_SHARE_OF_PARTS = 0.40


@dataclass(frozen=True)
class RequestProfile:
    """A request of a call: docs/DATA.md, "Requests per endpoint", "Access patterns"."""

    name: str
    function: str
    requests_per_call: float
    write_units: float  # per request
    read_units: float  # per request
    sequential_table_requests: int  # parallel requests count as one
    sequential_stream_requests: int  # the same for Stream
    stream_requests: int  # parallel requests count separately
    response_bytes: int  # of the body


@dataclass(frozen=True)
class Stack:
    """The resources of template.yaml with its default parameters."""

    memory_mb: dict[str, int]  # by function
    fetched_secrets: dict[str, int]  # number of secrets, by function
    table_functions: set[str]  # functions with access to the table
    alarms: dict[str, int]  # number of metrics, by alarm
    dashboards: int
    secrets: int
    retention_days: int
    access_log_line_bytes: int  # 0 without an access log
    has_platform_logs: bool  # SystemLogLevel INFO: Lambda logs the start and end of invocations
    has_tracing: bool
    kms_keys: int = 0  # customer managed keys
    has_secrets_kms_key: bool = False  # one of them encrypts the secrets


@dataclass(frozen=True)
class Model:
    """A call, and the stack that serves it."""

    stack: Stack
    minutes: float = 10
    participants: int = 2
    tokens_per_participant: int = 2  # one for Stream's chat, one for its video
    messages: int = 5
    batch_seconds: int = 60
    sample_seconds: int = 5  # interval of the samples of each direction
    sample_bytes: float = 23  # docs/DATA.md, "Sample size and cost"
    batch_bytes_besides_samples: float = 250  # the same
    has_samples: bool = True  # the apps report quality samples
    is_batch_rate_limited: bool = True  # LIMIT_QUALITY_REPORT_PER_MINUTE is not 0
    has_webhooks: bool = True
    has_settlement: bool = True
    has_history: bool = True  # call-history and its rows
    has_events: bool = True  # CallEvents
    lists_per_participant: int = 0  # reads of a page of call-list
    history_records: float = HISTORY_RECORDS  # that invoke call-history
    history_stages: int = HISTORY_STAGES  # that write a row
    pipe_records: float = PIPE_RECORDS  # that invoke call-events
    charged_stream_shards: int = 0  # of which the reads of the pipe are charged
    unneeded_events: int = 0  # webhooks per call that the project does not use
    # Assumptions: billed milliseconds.
    handler_ms: float = 5
    table_ms: float = 5
    stream_ms: float = 80
    cold_ms: float = 400  # init, secrets and first connections, beyond a warm request
    batch_ms: float = 333  # of the sweeper: docs/DATA.md, "What else a million needs"
    duration_factor: float = 1
    cold_start_factor: float = 1
    memory_factor: float = 1

    def with_stack(self, **changes: Any) -> "Model":
        """The same model with changes to its stack."""
        return replace(self, stack=replace(self.stack, **changes))

    def batches(self) -> float:
        return self.has_samples * self.participants * self.minutes * 60 / self.batch_seconds

    def batch_bytes(self) -> float:
        samples = 2 * self.batch_seconds / self.sample_seconds
        return self.sample_bytes * samples + self.batch_bytes_besides_samples

    def batch_units(self) -> int:
        return math.ceil(self.batch_bytes() / 1024)

    def quality_bytes(self) -> float:
        """The quality data of a call; at most 16 MB and 150,000 samples are read."""
        batches = min(self.batches(), 150_000 * self.sample_seconds / (2 * self.batch_seconds))
        return min(16 * 1024**2, batches * self.batch_bytes())

    def quality_units(self) -> int:
        """Read units for all quality data of a call."""
        return max(1, math.ceil(self.quality_bytes() / 4096))

    def summary_bytes(self) -> float:
        """A compressed summary. Assumption: responses with random values, compressed by zlib."""
        steps = min(240, self.minutes * 12) * self.has_samples
        return 500 + 400 * self.participants + steps * (17 + 1.65 * self.participants)

    def first_read_units(self) -> tuple[float, int]:
        """Read and write units of call-quality for an ended call: the call, no summary, the account,
        all data; the counter, the summary."""
        return 2 + ACCOUNT_READ_UNITS + self.quality_units(), 1 + math.ceil(self.summary_bytes() / 1024)

    def repeated_read_units(self) -> tuple[float, int]:
        """The same for a repeated read: the account, the summary; the counter."""
        return ACCOUNT_READ_UNITS + math.ceil(self.summary_bytes() / 4096), 1

    def history_units(self) -> tuple[float, float]:
        """Write and read units of the rows of a call."""
        writes = self.participants * (self.history_stages + HISTORY_DELETES_PER_MEMBER)
        reads = self.history_records * (HISTORY_READS_PER_RECORD + self.participants)
        return self.has_history * writes, self.has_history * reads

    def events(self) -> int:
        """Events of a call on the bus."""
        return self.has_events * (PIPE_RECORDS + QUALITY_EVENTS * self.has_samples)

    def call_records(self) -> float:
        """Changes of a call item: reserve, activate, the joins and leaves, the checks, ending,
        ended, the report (ready, settlement due), the recheck, the settlement."""
        return 8 + 2 * self.participants + self.sweeper_checks()

    def sweeper_checks(self) -> float:
        """docs/DATA.md, "Why 64 shards"."""
        return max(0, (self.minutes - 2) / 4 + 0.5)

    def requests(self) -> list[RequestProfile]:
        participants, webhooks = self.participants, int(self.has_webhooks)
        report_units = self.batch_units() + int(self.is_batch_rate_limited)
        quality_reads, quality_writes = self.first_read_units()
        call_and_account = 1 + ACCOUNT_READ_UNITS
        return [
            RequestProfile("token", "token", participants, 1, 0, 1, 0, 0, 700),
            RequestProfile("token, repeated in the same minute", "token",
                           (self.tokens_per_participant - 1) * participants, 2, 0, 2, 0, 0, 700),
            RequestProfile("call/create", "call-create", 1, 7, participants + int(participants == 2),
                           2, 2, 2, 700),
            RequestProfile("call/{callId}", "call-get", 1, 0, call_and_account, 1, 0, 0, 700),
            # A page of 20 rows: 16 KB, eventually consistent.
            RequestProfile("call", "call-list", self.lists_per_participant * participants,
                           0, 2 + ACCOUNT_READ_UNITS, 1, 0, 0, 10_000),
            RequestProfile("call/quality, POST", "quality-report", self.batches(),
                           report_units, call_and_account, 2, 0, 0, 60),
            RequestProfile("message/send", "message-send", self.messages,
                           1, call_and_account, 1, 1, 1, 500),
            RequestProfile("message/{channelId}", "message-list", participants,
                           0, call_and_account, 1, 1, 1, 2_000),
            RequestProfile("call/quality", "call-quality", 1, quality_writes, quality_reads,
                           3, 2, 2, 20_000),
            RequestProfile("call/end", "call-end", 1, 8, 0, 3, 1, 2, 150),
            # session_started, session_ended, ended, channel.deleted
            RequestProfile("webhook", "webhook", webhooks * 4, 1, 0, 1, 0, 0, 2),
            # The leaves follow the end of the call.
            RequestProfile("webhook, join", "webhook", webhooks * participants, 2, 1, 3, 0, 0, 2),
            RequestProfile("webhook, leave", "webhook", webhooks * participants, 1, 1, 2, 0, 0, 2),
            # It arrives after the end of the call, so it also invalidates the summary and makes
            # the settlement due.
            RequestProfile("webhook, call report", "webhook", webhooks,
                           3 + SETTLEMENT_REPORT_WRITES * self.has_settlement, 1,
                           2 + SETTLEMENT_REPORT_REQUESTS * self.has_settlement, 0, 0, 2),
            RequestProfile("webhook, other events", "webhook", self.unneeded_events,
                           0, 0, 0, 0, 0, 2),
        ]  # fmt: skip

    def sweeper_units(self) -> tuple[float, float]:
        """Write and read units of the sweeper per call: checks, cleanup recheck, settlement."""
        writes = 3 * self.sweeper_checks() + 2 + SETTLEMENT_SWEEPER_WRITES * self.has_settlement
        reads = self.sweeper_checks() + 1 + SETTLEMENT_READS * self.has_settlement
        return writes, reads + self.quality_units()


# Response codes of a typical month, and the platforms of its calls.
TYPICAL_CODES, TYPICAL_PLATFORMS = 8, 3
# Functions of the model without call-history and call-events, and those of them that call Stream.
TYPICAL_FUNCTIONS, TYPICAL_STREAM_FUNCTIONS = 10, 8
FUNCTIONS_WITHOUT_STREAM = {
    "call-events", "call-get", "call-history", "call-list", "quality-report"
}  # fmt: skip
# Metrics that the sweeper writes with each sweep.
SWEEPER_METRICS = 11


def metrics_rows(model: Model) -> list[tuple[str, int, int]]:
    """Custom metrics of docs/LOGGING.md: in a typical month, and the maximum."""
    functions = len(model.stack.memory_mb)
    typical_functions = TYPICAL_FUNCTIONS + model.has_history + model.has_events
    stream_functions = len(model.stack.memory_mb.keys() - FUNCTIONS_WITHOUT_STREAM)
    codes = len(re.findall(r"^\| `\w+` \| \d{3} ", read("docs/ERRORS.md"), re.M)) + 1
    call_types, platforms, call_metrics = 2, 6, 7
    without_dimensions = r"^\| `\w+` \| \w+ \| –( \(API Gateway\))? \|"
    rows = re.findall(without_dimensions, read("docs/LOGGING.md"), re.M)
    # A metric filter of the access log emits a value only if a line matches.
    access_log_metrics = sum(map(bool, rows))
    absent = 0 if model.has_settlement else SETTLEMENT_METRICS
    absent += 0 if model.has_events else EVENT_METRICS
    return [
        ("`Responses` and `ColdStarts` by function", 2 * typical_functions, 2 * functions),
        ("`StreamLatency` by function", TYPICAL_STREAM_FUNCTIONS, stream_functions),
        ("`StreamRateLimited`, `StreamFailures` by function", 0, 2 * stream_functions),
        ("`Responses` by code", TYPICAL_CODES, codes),
        ("of the deployment", len(rows) - access_log_metrics - absent, len(rows) - absent),
        ("of closed calls, by type, and by type and platform",
         call_metrics * call_types * (1 + TYPICAL_PLATFORMS),
         call_metrics * call_types * (1 + platforms)),
    ]  # fmt: skip


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


# CloudWatch bills each log event with this overhead.
LOG_EVENT_OVERHEAD_BYTES = 26


def request_log_bytes(function: str, stream_requests: int) -> int:
    """The log line of a request, with the fields of docs/LOGGING.md."""
    counts = [{"Name": "Responses", "Unit": "Count"}]
    latency = [{"Name": "StreamLatency", "Unit": "Milliseconds"}] if stream_requests else []
    namespace = "StreamFunctions/stream-functions"
    line = {
        "_aws": {
            "CloudWatchMetrics": [
                {"Namespace": namespace, "Dimensions": [["Function"]], "Metrics": counts + latency},
                {"Namespace": namespace, "Dimensions": [["Code"]], "Metrics": counts},
            ],
            "Timestamp": 1767225600123,
        },
        "timestamp": "2026-01-01T00:00:00.123Z", "level": "INFO", "message": "request completed",
        "requestId": "JKJaXmPLvHcESHA=", "function": function,
        "route": "POST /api/stream/call/quality/{callId}", "status": 200, "code": "ok",
        "durationMs": 12, "user": "0123456789abcdef", "Function": function, "Code": "ok",
        "Responses": 1,
    }  # fmt: skip
    if stream_requests:
        values, counts_of_values = [80.123] * stream_requests, [1] * stream_requests
        line["StreamLatency"] = {"Values": values, "Counts": counts_of_values}
    return len(json.dumps(line, separators=(",", ":"))) + LOG_EVENT_OVERHEAD_BYTES


def run_log_bytes(function: str) -> int:
    """The log line of an invocation by the change stream, with the fields of docs/LOGGING.md."""
    counts = [{"Name": "Responses", "Unit": "Count"}]
    namespace = "StreamFunctions/stream-functions"
    line = {
        "_aws": {
            "CloudWatchMetrics": [
                {"Namespace": namespace, "Dimensions": [["Function"]], "Metrics": counts},
                {"Namespace": namespace, "Dimensions": [["Code"]], "Metrics": counts},
            ],
            "Timestamp": 1767225600123,
        },
        "timestamp": "2026-01-01T00:00:00.123Z", "level": "INFO", "message": "run completed",
        "requestId": "0f8fad5b-d9cb-469f-a165-70867728950e", "function": function, "code": "ok",
        "durationMs": 12, "summary": '{"failed":0,"records":1}', "Function": function,
        "Code": "ok", "Responses": 1,
    }  # fmt: skip
    return len(json.dumps(line, separators=(",", ":"))) + LOG_EVENT_OVERHEAD_BYTES


def platform_log_bytes(function: str, memory: int) -> tuple[int, int]:
    """Lambda's log lines at INFO: those of an invocation, and that of a cold start."""
    words = "".join(word.capitalize() for word in function.split("-"))
    name = f"stream-functions-{words}Function-0123456789ab"
    request = "0f8fad5b-d9cb-469f-a165-70867728950e"
    arn = f"arn:aws:lambda:us-east-1:123456789012:function:{name}"
    metrics = {"durationMs": 12.345, "billedDurationMs": 13, "memorySizeMB": memory,
               "maxMemoryUsedMB": 35}  # fmt: skip
    start = {"requestId": request, "functionArn": arn, "version": "$LATEST"}
    report = {"requestId": request, "metrics": metrics, "status": "success"}
    init_start = {
        "initializationType": "on-demand", "phase": "init",
        "runtimeVersion": "provided:al2023.v100",
        "runtimeVersionArn": f"arn:aws:lambda:us-east-1::runtime:{'0' * 64}",
        "functionName": name, "functionVersion": "$LATEST",
        "instanceId": f"2026/01/01/{name}[$LATEST]{'0' * 32}",
        "instanceMaxMemory": memory * 1024 * 1024,
    }  # fmt: skip

    def line_bytes(kind: str, record: dict[str, Any]) -> int:
        line = {"time": "2026-01-01T00:00:00.123Z", "type": f"platform.{kind}", "record": record}
        return len(json.dumps(line, separators=(",", ":"))) + LOG_EVENT_OVERHEAD_BYTES

    invocation_bytes = line_bytes("start", start) + line_bytes("report", report)
    return invocation_bytes, line_bytes("initStart", init_start)


# API Gateway's variables in a typical line of the access log. Every other variable is a dash.
ACCESS_LOG_VALUES = {
    "requestId": "JKJaXmPLvHcESHA=", "requestTime": "01/Jan/2026:00:00:00 +0000",
    "routeKey": "POST /api/stream/call/quality/{callId}", "protocol": "HTTP/1.1", "status": "200",
    "responseLength": "60", "responseLatency": "14", "integrationLatency": "13",
    "integrationStatus": "200", "integration.status": "200",
}  # fmt: skip


def access_log_bytes(log_format: str) -> int:
    """A line of the access log in this format."""

    def value(variable: re.Match[str]) -> str:
        return ACCESS_LOG_VALUES.get(variable[1], "-")

    return len(re.sub(r"\$context\.([\w.]+)", value, log_format)) + LOG_EVENT_OVERHEAD_BYTES


# Assumptions, with the overhead: the log line of a closed call, and of a run of the sweeper.
CALL_LOG_BYTES, SWEEP_LOG_BYTES = 700, 1_100
# Assumptions: headers of a response, and a request to Stream with its share of a TLS handshake.
RESPONSE_HEADER_BYTES, STREAM_REQUEST_BYTES = 400, 2_000
# Items of a call expire after 30 days. Assumption: TTL deletes them two days later.
RETENTION_MONTHS = 32 / 30
# DynamoDB's overhead per item. Assumption: call, report and counters of a call, with overhead.
ITEM_OVERHEAD_BYTES, STORED_CALL_BYTES = 100, 4_000
# Assumptions: a row of a list of calls, and an event on the bus with EventBridge's envelope.
ROW_BYTES, EVENT_BYTES = 800, 1_200
# The archive retains events for 30 days.
ARCHIVE_MONTHS = 30 / 30
# Lambda and Pipes poll each shard of a stream with this frequency.
STREAM_POLLS_PER_SECOND = 4


def cold_start_share(calls: int, model: Model) -> float:
    """Assumption: with few calls, a large share of the requests starts cold."""
    return (0.2 if calls < 100_000 else 0.01) * model.cold_start_factor


def monthly_bill(calls: int, model: Model) -> dict[str, tuple[float, float]]:
    """Quantity and dollars of each line of the bill."""
    stack, profiles = model.stack, model.requests()
    cold_share = cold_start_share(calls, model)
    requests = calls * sum(it.requests_per_call for it in profiles)
    sweeps, reconciliations = MINUTES_PER_MONTH, HOURS_PER_MONTH
    # Invocations by the stream: the requests to the table in order, and the records of a call.
    stream_invocations = {
        "call-history": (HISTORY_SEQUENTIAL_REQUESTS, model.has_history * model.history_records),
        "call-events": (0, model.has_events * model.pipe_records),
    }
    invocations = requests + sweeps + reconciliations
    invocations += calls * sum(records for _, records in stream_invocations.values())

    function_seconds: dict[str, float] = {}
    function_invocations: dict[str, float] = {}
    for it in profiles:
        warm_ms = model.handler_ms + it.sequential_table_requests * model.table_ms
        warm_ms += it.sequential_stream_requests * model.stream_ms
        billed_ms = math.ceil(warm_ms * model.duration_factor)
        billed_ms += cold_share * model.cold_ms * model.duration_factor
        count = calls * it.requests_per_call
        function_seconds.setdefault(it.function, 0)
        function_seconds[it.function] += count * billed_ms / 1e3
        function_invocations.setdefault(it.function, 0)
        function_invocations[it.function] += count
    for function, (table_requests, records) in stream_invocations.items():
        if records:
            warm_ms = model.handler_ms + table_requests * model.table_ms
            billed_ms = math.ceil(warm_ms * model.duration_factor)
            billed_ms += cold_share * model.cold_ms * model.duration_factor
            function_seconds[function] = calls * records * billed_ms / 1e3
            function_invocations[function] = calls * records
    # A sweep makes 64 queries, eight at a time, and lists the erasures. Then it processes batches
    # of 100 calls. It also cleans up the calls beyond the quota of 30 deletions per minute.
    deferred_cleanups = max(0.0, 1 - 30 * MINUTES_PER_MONTH / calls)
    due_per_call = model.sweeper_checks() + 1 + model.has_settlement + deferred_cleanups
    due_per_sweep = calls * due_per_call / sweeps
    batches_per_sweep = (1 - math.exp(-due_per_sweep)) + due_per_sweep / 100
    sweep_ms = model.handler_ms + 9 * model.table_ms + batches_per_sweep * model.batch_ms
    sweeper_runs = sweeps + reconciliations
    function_seconds["sweeper"] = sweeper_runs * sweep_ms * model.duration_factor / 1e3
    function_invocations["sweeper"] = sweeper_runs
    gb_seconds = sum(
        stack.memory_mb[function] / 1024 * seconds
        for function, seconds in function_seconds.items()
    )

    sweeper_writes, sweeper_reads = model.sweeper_units()
    history_writes, history_reads = model.history_units()
    call_writes = sum(it.requests_per_call * it.write_units for it in profiles)
    call_writes += sweeper_writes + history_writes
    call_reads = sum(it.requests_per_call * it.read_units for it in profiles)
    call_reads += sweeper_reads + history_reads
    writes = calls * call_writes + reconciliations
    reads = calls * call_reads + 34 * sweeps + reconciliations
    stored_bytes = model.batches() * (model.batch_bytes() + ITEM_OVERHEAD_BYTES) + STORED_CALL_BYTES
    stored_bytes += model.has_history * model.participants * (ROW_BYTES + ITEM_OVERHEAD_BYTES)
    table_gb = calls * stored_bytes * RETENTION_MONTHS / BYTES_PER_GB

    log_bytes = sum(
        calls * it.requests_per_call * request_log_bytes(it.function, it.stream_requests)
        for it in profiles
    )
    log_bytes += calls * CALL_LOG_BYTES + sweeper_runs * SWEEP_LOG_BYTES
    log_bytes += sum(
        calls * records * run_log_bytes(function)
        for function, (_, records) in stream_invocations.items()
    )
    log_bytes += requests * stack.access_log_line_bytes
    cold_starts = {function: count * cold_share for function, count in function_invocations.items()}
    cold_starts["sweeper"] = 0.0  # it runs each minute
    for function, count in function_invocations.items():
        invocation, start = platform_log_bytes(function, stack.memory_mb[function])
        log_bytes += (
            count * invocation + cold_starts[function] * start
        ) * stack.has_platform_logs
    log_gb = log_bytes / BYTES_PER_GB

    # A metric is billed for the hours in which it gets a value. Those of the sweeper always do.
    typical_metrics = sum(row[1] for row in metrics_rows(model))
    sweeper_metrics = SWEEPER_METRICS - (0 if model.has_settlement else SETTLEMENT_METRICS)
    busy_hours = 1 - math.exp(-calls / HOURS_PER_MONTH)
    metrics = sweeper_metrics + (typical_metrics - sweeper_metrics) * busy_hours

    # When a process starts, and with the first request after five minutes, it fetches its secrets,
    # and DynamoDB requests the table's key from KMS. Assumption: one process in three is busy.
    secret_requests, key_requests = 0.0, 0.0
    for function, count in function_invocations.items():
        processes = max(1.0, 3 * function_seconds[function] / SECONDS_PER_MONTH)
        refreshes = min(count - cold_starts[function], processes * MINUTES_PER_MONTH / 5)
        secret_requests += (cold_starts[function] + refreshes) * stack.fetched_secrets[function]
        if function in stack.table_functions:
            key_requests += cold_starts[function] + refreshes

    outbound_bytes = sum(
        calls * it.requests_per_call * (it.response_bytes + RESPONSE_HEADER_BYTES)
        for it in profiles
    )
    stream_requests = sum(it.requests_per_call * it.stream_requests for it in profiles)
    stream_requests += SETTLEMENT_STREAM_REQUESTS * model.has_settlement
    outbound_bytes += calls * STREAM_REQUEST_BYTES * stream_requests
    event_gb = calls * model.events() * EVENT_BYTES / BYTES_PER_GB
    stream_reads = model.has_events * model.charged_stream_shards
    stream_reads *= STREAM_POLLS_PER_SECOND * SECONDS_PER_MONTH
    traces = sum(sampled_traces(count) for count in function_invocations.values())

    lines = {
        "API Gateway, requests": ("http request", requests),
        "Lambda, requests": ("lambda request", invocations),
        "Lambda, GB-seconds": ("lambda GB-s", gb_seconds * model.memory_factor),
        "DynamoDB, write units": ("write unit", writes),
        "DynamoDB, read units": ("read unit", reads),
        "DynamoDB, GB stored": ("table GB", table_gb),
        "DynamoDB, GB of point-in-time recovery": ("recovery GB", table_gb),
        "Logs, GB written": ("log GB", log_gb),
        "Logs, GB stored (compressed)": (
            "stored log GB", log_gb * 0.15 * stack.retention_days / 30),
        "Custom metrics": ("metric", metrics),
        "Alarms, metrics": ("alarm", sum(stack.alarms.values())),
        "Dashboards": ("dashboard", stack.dashboards),
        "Secrets": ("secret", stack.secrets),
        "Secrets Manager, requests": ("secret call", secret_requests),
        "KMS, keys": ("key", stack.kms_keys),
        "KMS, requests": ("kms call", key_requests + secret_requests * stack.has_secrets_kms_key),
        "Scheduler, invocations": ("schedule", sweeper_runs),
        "Pipe, requests": ("pipe request", calls * model.has_events * model.pipe_records),
        "Event bus, events": ("bus event", calls * model.events()),
        "Event archive, GB written": ("archived GB", event_gb),
        "Event archive, GB stored": ("archive GB", event_gb * ARCHIVE_MONTHS),
        "DynamoDB Streams, reads of the pipe": ("stream read", stream_reads),
        "Data transfer out, GB": ("out GB", outbound_bytes / BYTES_PER_GB),
        "X-Ray, traces": ("trace", traces * stack.has_tracing),
    }  # fmt: skip
    return {
        line: (quantity, PRICES[price].cost(quantity)) for line, (price, quantity) in lines.items()
    }


def sampled_traces(invocations: float) -> float:
    """Assumption: of each function one request per second, and 5 % of the others."""
    rate = invocations / SECONDS_PER_MONTH
    return SECONDS_PER_MONTH * (1 - math.exp(-rate) + 0.05 * max(0.0, rate - 1))


def total_cost(calls: int, model: Model) -> float:
    return sum(dollars for _, dollars in monthly_bill(calls, model).values())


# Tables of docs/COST.md.


def format_number(value: float) -> str:
    """Three significant digits, with the suffix k, M or G from 100,000."""
    for minimum, divisor, suffix in ((1e9, 1e9, " G"), (1e6, 1e6, " M"), (1e5, 1e3, " k")):
        if value >= minimum:
            return f"{float(f'{value / divisor:.3g}'):,g}{suffix}"
    return f"{float(f'{value:.3g}'):,g}"


def format_money(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 99.5 else f"{value:.2f}"


def format_change(value: float) -> str:
    return "0" if abs(value) < 0.005 else f"{'+' if value > 0 else '−'}{format_money(abs(value))}"


def markdown_table(
    head: list[str], rows: list[list[str]], text_columns: tuple[int, ...] = (0,)
) -> str:
    """A Markdown table; columns that are not text are right-aligned."""
    alignment = ["---" if column in text_columns else "--:" for column in range(len(head))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, alignment, *rows])


def call_table(model: Model) -> str:
    rows, totals = [], [0.0] * 4
    for it in model.requests():
        if not it.requests_per_call:
            continue
        per_request = (1, it.write_units, it.read_units, it.stream_requests)
        values = [it.requests_per_call * value for value in per_request]
        totals = [a + b for a, b in zip(totals, values)]
        rows.append([it.name, f"`{it.function}`", *(f"{value:g}" for value in values)])
    stream_requests = SETTLEMENT_STREAM_REQUESTS * model.has_settlement
    others = {
        ("checks, cleanup recheck and settlement", "sweeper"): (
            *model.sweeper_units(), stream_requests),
        ("rows of the lists of calls", "call-history"): (*model.history_units(), 0),
    }  # fmt: skip
    for (name, function), units in others.items():
        rows.append([name, f"`{function}`", "", *(f"{value:g}" for value in units)])
        totals[1:] = [a + b for a, b in zip(totals[1:], units)]
    rows.append(["**total**", "", *(f"**{value:g}**" for value in totals)])
    head = ["request", "function", "requests", "write units", "read units", "requests to Stream"]
    return markdown_table(head, rows, text_columns=(0, 1))


def reads_table(model: Model) -> str:
    calls = {
        "10 minutes, two people": model,
        "30 minutes, two people": replace(model, minutes=30),
        "4 hours, two people": replace(model, minutes=240),
        "4 hours, ten people": replace(model, minutes=240, participants=10),
        "997 full batches of each of two people": replace(
            model, minutes=997 * model.batch_seconds / 60, sample_seconds=model.batch_seconds / 30),
    }  # fmt: skip
    rows = []
    for name, call in calls.items():
        units = [1 + call.quality_units(), *call.first_read_units(), *call.repeated_read_units()]
        rows.append([name, f"{call.quality_bytes() / 1024:,.0f}", *(f"{it:,}" for it in units)])
    head = ["call", "data, KB", "read units without a summary", "first: read units",
            "first: write units", "repeated: read units", "repeated: write units"]  # fmt: skip
    return markdown_table(head, rows)


def month_table(model: Model) -> str:
    bills = [monthly_bill(calls, model) for calls in CALL_VOLUMES]
    rows = []
    for line in bills[0]:
        if any(bill[line][0] for bill in bills):
            pairs = ((format_number(bill[line][0]), format_money(bill[line][1])) for bill in bills)
            rows.append([line, *(cell for pair in pairs for cell in pair)])
    totals = [total_cost(calls, model) for calls in CALL_VOLUMES]
    pairs = (("", f"**{format_money(total)}**") for total in totals)
    rows.append(["**total**", *(cell for pair in pairs for cell in pair)])
    pairs = (("", f"{total / calls * 1e3:.2f}") for calls, total in zip(CALL_VOLUMES, totals))
    rows.append(["per thousand calls", *(cell for pair in pairs for cell in pair)])
    return markdown_table(["", "1 thousand", "$", "1 million", "$", "100 million", "$"], rows)


def without_settlement(model: Model) -> Model:
    return replace(model, has_settlement=False)


def without_history(model: Model) -> Model:
    alarms = {
        name: metrics - (name in HISTORY_SHARED_ALARMS)
        for name, metrics in model.stack.alarms.items()
        if not name.startswith("History")
    }
    return replace(model, has_history=False).with_stack(alarms=alarms)


def without_events(model: Model) -> Model:
    """The stack of CallEvents=false. Only its alarms matter for the cost."""
    conditions = CONDITIONS_WITH_SECRET - {EVENTS_CONDITION}
    names = template_stack(read("template.yaml"), conditions).alarms.keys()
    alarms = {name: metrics for name, metrics in model.stack.alarms.items() if name in names}
    return replace(model, has_events=False).with_stack(alarms=alarms)


@dataclass(frozen=True)
class Parts:
    """The monthly cost of settlement, history and events for calls without samples."""

    costs: dict[str, list[float]]  # by part, for each of CALL_VOLUMES
    base: list[float]  # of the calls without the three parts

    @classmethod
    def of(cls, model: Model) -> "Parts":
        """Each part is the difference between a model with it and one without it."""
        complete = replace(model, has_samples=False)
        steps = {
            "events": without_events,
            "history": without_history,
            "settlement": without_settlement,
        }
        costs = {}
        for name, without in steps.items():
            reduced = without(complete)
            costs[name] = [
                total_cost(calls, complete) - total_cost(calls, reduced) for calls in CALL_VOLUMES
            ]
            complete = reduced
        return cls(costs, [total_cost(calls, complete) for calls in CALL_VOLUMES])

    def sums(self) -> list[float]:
        return [sum(costs) for costs in zip(*self.costs.values())]

    def shares(self) -> list[float]:
        """The sum of the parts, relative to the cost without them."""
        return [cost / base for cost, base in zip(self.sums(), self.base)]


def parts_table(model: Model) -> str:
    parts = Parts.of(model)
    model = replace(model, has_samples=False)
    history_writes, history_reads = model.history_units()
    settlement_writes = SETTLEMENT_REPORT_WRITES + SETTLEMENT_SWEEPER_WRITES
    # Invocations, write units, read units, requests of the pipe, events.
    counts = {
        "settlement": (0, settlement_writes, SETTLEMENT_READS, 0, 0),
        "history": (model.history_records, history_writes, history_reads, 0, 0),
        "events": (model.pipe_records, 0, 0, model.pipe_records, model.events()),
    }
    names = {
        "settlement": "settlement: `webhook`, `sweeper`",
        "history": "history: `call-history`, rows",
        "events": "events: pipe, `call-events`, bus, archive",
    }

    def cells(counts: tuple[float, ...] | None, costs: list[float], mark: str = "") -> list[str]:
        per_call = f"{mark}{costs[-1] / CALL_VOLUMES[-1]:.7f}{mark}"
        money = [f"{mark}{format_money(cost)}{mark}" for cost in costs]
        shown = [f"{mark}{value:g}{mark}" for value in counts] if counts else [""] * 5
        return [*shown, *money, per_call]

    rows = [[names[it], *cells(counts[it], parts.costs[it])] for it in names]
    totals = tuple(map(sum, zip(*counts.values())))
    rows.append(["**sum**", *cells(totals, parts.sums(), "**")])
    rows.append(["a call without the three, and without samples", *cells(None, parts.base)])
    shares = [f"{share:.0%}" for share in parts.shares()]
    rows.append(["the sum, relative to that", *[""] * 5, *shares, ""])
    head = ["part", "invocations", "write units", "read units", "pipe requests", "events",
            "1 thousand, $", "1 million, $", "100 million, $",
            "a call of 100 million, $"]  # fmt: skip
    return markdown_table(head, rows)


def choices_table(model: Model) -> str:
    """Other choices for history and events, for calls without samples."""
    model = replace(model, has_samples=False)
    token_records = model.tokens_per_participant * model.participants
    variations = {
        "filters on the sort key alone: each change of a call or a user": replace(
            model, history_records=model.call_records(),
            pipe_records=model.call_records() + token_records),
        "rows at two stages: created and settled": replace(
            model, history_records=2, history_stages=2),
        "no history": without_history(model),
        "no events (`CallEvents` `false`)": without_events(model),
    }  # fmt: skip
    return change_table(model, variations)


def share_table(model: Model) -> str:
    """The cost of a part is the difference to a model without it."""
    parts = {
        "samples: requests, writes, log lines and storage": replace(model, has_samples=False),
        "webhooks": replace(model, has_webhooks=False),
        "messages": replace(model, messages=0),
        "tokens": replace(model, tokens_per_participant=0),
        "history": without_history(model),
        "events": without_events(model),
        "settlement": without_settlement(model),
    }
    totals = [total_cost(calls, model) for calls in CALL_VOLUMES]
    shares = {
        part: [total - total_cost(calls, without) for calls, total in zip(CALL_VOLUMES, totals)]
        for part, without in parts.items()
    }
    shares["all log lines"] = [
        sum(
            dollars
            for line, (_, dollars) in monthly_bill(calls, model).items()
            if line.startswith("Logs")
        )
        for calls in CALL_VOLUMES
    ]
    rows = []
    for part, costs in shares.items():
        pairs = (
            (format_money(cost), f"{cost / total:.0%}") for cost, total in zip(costs, totals)
        )
        rows.append([part, *(cell for pair in pairs for cell in pair)])
    head = ["part", "1 thousand, $", "", "1 million, $", "", "100 million, $", ""]
    return markdown_table(head, rows)


def with_json_batches(model: Model) -> Model:
    """Samples before docs/adr/0036-binary-sample-batches.md."""
    return replace(model, batch_seconds=30, sample_bytes=98, batch_bytes_besides_samples=170)


def sample_costs(model: Model) -> list[float]:
    """The cost of the samples, for each of CALL_VOLUMES."""
    without = replace(model, has_samples=False)
    return [total_cost(calls, model) - total_cost(calls, without) for calls in CALL_VOLUMES]


def samples_table(model: Model) -> str:
    """The cost of samples before and after the binary batches."""
    before = with_json_batches(model)
    costs = {
        "samples": (sample_costs(before), sample_costs(model)),
        "a call with samples": tuple(
            [total_cost(calls, it) for calls in CALL_VOLUMES] for it in (before, model)),
    }  # fmt: skip
    rows = []
    for name, (old, new) in costs.items():
        rows.append([f"{name}, JSON, a batch per 30 seconds", *(format_money(it) for it in old)])
        rows.append([f"{name}, binary, a batch per minute", *(format_money(it) for it in new)])
        rows.append(["relative", *(f"{after / it:.0%}" for it, after in zip(old, new))])
    return markdown_table(["", "1 thousand, $", "1 million, $", "100 million, $"], rows)


def options_table(model: Model) -> str:
    jwks_stack = template_stack(read("template.yaml"), CONDITIONS_WITH_JWKS)
    options = {
        "one batch per 30 seconds": replace(model, batch_seconds=30),
        "one sample per ten seconds": replace(model, sample_seconds=10),
        "one batch per two minutes, one sample per ten seconds": replace(
            model, batch_seconds=120, sample_seconds=10),
        "no samples": replace(model, has_samples=False),
        "`CallEvents` `false`": without_events(model),
        "`LimitQualityReportPerMinute` 0": replace(model, is_batch_rate_limited=False),
        "without Lambda's platform logs": model.with_stack(has_platform_logs=False),
        "without the access log": model.with_stack(access_log_line_bytes=0),
        "`LogRetentionDays` 365": model.with_stack(retention_days=365),
        "all of Stream's events to the webhook: 15 more per call": replace(
            model, unneeded_events=15),
        "`Tracing` `Active`: X-Ray on every function": model.with_stack(has_tracing=True),
        "`JwtJwksUrl` instead of a JWT secret": replace(model, stack=jwks_stack),
        "`SecretsKmsKeyArn`: a customer managed key for the secrets": model.with_stack(
            kms_keys=1, has_secrets_kms_key=True),
        "`AlarmEmail`: a topic with a customer managed key": model.with_stack(kms_keys=1),
        "half the memory": replace(model, memory_factor=0.5),
        "double the memory": replace(model, memory_factor=2),
    }  # fmt: skip
    return change_table(model, options)


def sensitivity_table(model: Model) -> str:
    variations = {
        "functions take twice as long, cold and warm": replace(model, duration_factor=2),
        "twice as many cold starts": replace(model, cold_start_factor=2),
        "Stream responds in 200 ms instead of 80": replace(model, stream_ms=200),
        "calls of 3 minutes": replace(model, minutes=3),
        "calls of 30 minutes": replace(model, minutes=30),
        "calls of 60 minutes": replace(model, minutes=60),
        "50 messages instead of 5": replace(model, messages=50),
        "four participants instead of two": replace(model, participants=4),
        "each participant reads a page of the list of calls": replace(
            model, lists_per_participant=1),
        "the reads of the pipe are charged, for four shards": replace(
            model, charged_stream_shards=4),
    }
    return change_table(model, variations)


def change_table(model: Model, variations: dict[str, Model]) -> str:
    rows = []
    for name, variation in variations.items():
        costs = [total_cost(calls, model) for calls in CALL_VOLUMES]
        changes = [total_cost(calls, variation) - cost for calls, cost in zip(CALL_VOLUMES, costs)]
        share = f"{changes[1] / costs[1]:+.0%}".replace("-", "−")
        share = "0%" if share[1:] == "0%" else share
        rows.append([name, *(format_change(change) for change in changes), share])
    head = ["change", "1 thousand, $", "1 million, $", "100 million, $", "relative, at 1 million"]
    return markdown_table(head, rows)


def metrics_table(model: Model) -> str:
    rows = metrics_rows(model)
    typical, maximum = sum(row[1] for row in rows), sum(row[2] for row in rows)
    cells = [[name, str(low), str(high)] for name, low, high in rows]
    cells.append(["**total**", f"**{typical}**", f"**{maximum}**"])
    costs = (format_money(PRICES["metric"].cost(count)) for count in (typical, maximum))
    cells.append(["$ per month", *costs])
    return markdown_table(["custom metrics", "typical month", "maximum"], cells)


def stack_table(model: Model) -> str:
    stack = model.stack
    sizes: dict[int, list[str]] = {}
    for function, memory in sorted(stack.memory_mb.items()):
        sizes.setdefault(memory, []).append(f"`{function}`")
    default_size = max(sizes, key=lambda memory: len(sizes[memory]))
    others = [f"{size} for {', '.join(sizes[size])}" for size in sizes if size != default_size]
    alarm_metrics = stack.alarms.values()
    multi_metric_alarms = sum(count > 1 for count in alarm_metrics)
    functions_by_secrets = Counter(stack.fetched_secrets.values()).items()
    platform_bytes = platform_log_bytes("quality-report", stack.memory_mb["quality-report"])
    invocation, start = platform_bytes if stack.has_platform_logs else (0, 0)
    rows = [
        ["alarms", f"{len(alarm_metrics)}, {multi_metric_alarms} of them on several metrics: "
         f"{sum(alarm_metrics)} metrics"],
        ["dashboards", str(stack.dashboards)],
        ["secrets", f"{stack.secrets}; "
         + ", ".join(f"{functions} functions fetch {secrets}"
                     for secrets, functions in functions_by_secrets)],
        ["memory, MB", "; ".join([*others, f"{default_size} for the others"])],
        ["`LogRetentionDays`", str(stack.retention_days)],
        ["Lambda's log lines per invocation, bytes", str(invocation)],
        ["Lambda's log line per cold start, bytes", str(start)],
        ["access log line, bytes", str(stack.access_log_line_bytes)],
        ["X-Ray", "on" if stack.has_tracing else "off"],
    ]  # fmt: skip
    return markdown_table(["`template.yaml`", "default"], rows, text_columns=(0, 1))


def prices_table(_: Model) -> str:
    rows = []
    for description, _unit_size, tiers, aws_page, source in PRICES.values():
        tier_prices, tier_start = [], 0.0
        for tier_end, price in tiers:
            dollars = f"{price:.2f}" if round(price, 2) == price else f"{price:g}"
            above = f" above {format_number(tier_start)}" if tier_start else ""
            tier_prices.append(dollars + above)
            tier_start = tier_end
        url = f"https://aws.amazon.com/{aws_page}/" + ("" if "/" in aws_page else "pricing/")
        link = f"[{aws_page.split('/')[0]}]({url})"
        rows.append([description, "; ".join(tier_prices), link, source])
    head = ["price", "$", "AWS's page", "source"]
    return markdown_table(head, rows, text_columns=(0, 1, 2, 3))


# By the name in the marker in docs/COST.md.
TABLES = {
    "call": call_table,
    "reads": reads_table,
    "month": month_table,
    "parts": parts_table,
    "choices": choices_table,
    "shares": share_table,
    "samples": samples_table,
    "options": options_table,
    "sensitivity": sensitivity_table,
    "metrics": metrics_table,
    "stack": stack_table,
    "prices": prices_table,
}

# The template, and the figures that the model takes from other documents.

# True conditions of the deployment in the tables, and of one with JWKS instead of a JWT secret.
EVENTS_CONDITION = "CallEventsEnabled"
CONDITIONS_WITH_SECRET = {"StreamConfigured", "SessionSecret", "CostStop", "WebhookExpected", EVENTS_CONDITION}
CONDITIONS_WITH_JWKS = {"StreamConfigured", "PublishedKeys", "CostStop", EVENTS_CONDITION}
SECRET_CONDITIONS = {"STREAM_SECRET_ARN": "StreamConfigured", "JWT_SECRET_ARN": "SessionSecret"}


def yaml_members(section: str) -> dict[str, str]:
    """The members of a section of the template, by name."""
    parts = re.split(r"^  (\w+):\n", section, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def yaml_sections(text: str) -> dict[str, str]:
    """The sections of the template, without comments."""
    parts = re.split(r"^(\w+):", re.sub(r"^ *#.*\n", "", text, flags=re.M), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def require_match(pattern: str, text: str) -> str:
    """The first group of the pattern; exits if it does not match."""
    match = re.search(pattern, text, re.M | re.S)
    if not match:
        raise SystemExit(f"template.yaml: no match for {pattern}")
    return match[1]


def template_stack(text: str, conditions: set[str]) -> Stack:
    """The stack of the template if exactly these conditions are true."""
    sections = yaml_sections(text)
    global_settings = sections["Globals"]
    parameters = yaml_members(sections["Parameters"])
    resources = yaml_members(sections["Resources"])

    def default(name: str) -> str:
        return require_match(r"^    Default: (\S+)", parameters[name])

    def is_created(block: str) -> bool:
        condition = re.search(r"^    Condition: (\w+)", block, re.M)
        return not condition or condition[1] in conditions

    def resources_of_type(kind: str) -> dict[str, str]:
        return {
            name: block
            for name, block in resources.items()
            if re.search(rf"^    Type: {kind}$", block, re.M) and is_created(block)
        }

    secrets = {name for name, condition in SECRET_CONDITIONS.items() if condition in conditions}

    def secret_variables(block: str) -> set[str]:
        return {name for name in secrets if re.search(rf"^ +{name}: ", block, re.M)}

    global_secrets, memory, fetched_secrets = secret_variables(global_settings), {}, {}
    table_functions = set()
    for block in resources_of_type("AWS::Serverless::Function").values():
        function = require_match(r"^      CodeUri: functions/([\w-]+)/$", block)
        own_size = re.search(r"^      MemorySize: (\d+)", block, re.M)
        default_size = require_match(r"^    MemorySize: (\d+)", global_settings)
        memory[function] = int(own_size[1] if own_size else default_size)
        fetched_secrets[function] = len(global_secrets | secret_variables(block))
        if re.search(r"^ +TABLE_NAME: ", block, re.M):
            table_functions.add(function)
    format_pattern = r"AccessLogSettings:\n.*?Format: >-\n((?: {10}\S[^\n]*\n)+)"
    access_log = re.search(format_pattern, sections["Resources"], re.S)
    log_format = " ".join(access_log[1].split("\n          ")).strip() if access_log else ""
    return Stack(
        memory_mb=memory,
        fetched_secrets=fetched_secrets,
        table_functions=table_functions,
        alarms={
            name: block.count("MetricStat: ") or 1
            for name, block in resources_of_type("AWS::CloudWatch::Alarm").items()
        },
        dashboards=len(resources_of_type("AWS::CloudWatch::Dashboard")),
        secrets=len(secrets),
        retention_days=int(default("LogRetentionDays")),
        access_log_line_bytes=access_log_bytes(log_format) if access_log else 0,
        has_platform_logs=require_match(r"^      SystemLogLevel: (\w+)", global_settings) != "WARN",
        has_tracing=default("Tracing") == "Active",
    )


# Assumptions of the model that the template must meet.
TEMPLATE_ASSUMPTIONS = {
    "functions run on arm64": r"^    Architectures: \[arm64\]$",
    "Lambda's platform logs are JSON": r"^      LogFormat: JSON$",
    "SystemLogLevel is INFO or WARN": r"^      SystemLogLevel: (?:INFO|WARN)$",
    "functions use the parameter Tracing": r"^    Tracing: !Ref Tracing$",
    "the table is billed on demand": r"^      BillingMode: PAY_PER_REQUEST$",
    "the table has point-in-time recovery": r"PointInTimeRecoveryEnabled: true",
    "the table is encrypted with aws/dynamodb": r"^      SSESpecification: \{SSEEnabled: true\}$",
    "the archive retains events for 30 days": r"^      RetentionDays: 30$",
}
# Features for which the model has no price. The template must not use them.
UNPRICED_FEATURES = {
    "log groups with another retention": r"RetentionInDays: (?!!Ref LogRetentionDays$)",
    "log groups of another class": r"LogGroupClass:",
    "functions with their own log level": r"^      LoggingConfig:(?! \{LogGroup: !Ref \w+\}$)",
    "high-resolution alarms": r"Period: [1-5]?\d\b",
    "composite alarms": r"AWS::CloudWatch::CompositeAlarm",
    "alarms on queries or anomalies": r"ANOMALY_DETECTION_BAND|Expression: .*SELECT ",
    "provisioned concurrency": r"ProvisionedConcurrencyConfig:",
    "schema discovery": r"AWS::EventSchemas::",
    "pipes with logs": r"^      LogConfiguration:",
    "customer managed keys of the events": r"KmsKeyIdentifier:",
}
SCHEDULES = ["rate(1 hour)", "rate(1 minute)"]


def template_mismatches(model: Model, template: str) -> list[str]:
    """Differences between the model and the sources of its figures."""
    mismatches = []
    sections = yaml_sections(template)
    resources = yaml_members(sections["Resources"])
    settings = sections["Globals"] + sections["Resources"]
    for assumption, pattern in TEMPLATE_ASSUMPTIONS.items():
        if not re.search(pattern, settings, re.M):
            mismatches.append(f"template.yaml contradicts the assumption: {assumption}")
    for feature, pattern in UNPRICED_FEATURES.items():
        if re.search(pattern, sections["Resources"], re.M):
            mismatches.append(f"the model has no price for a feature of template.yaml: {feature}")
    alarms = [block for block in resources.values() if "Type: AWS::CloudWatch::Alarm\n" in block]
    conditions = set(re.findall(r"^    Condition: (\w+)", "".join(alarms), re.M))
    if unknown_conditions := conditions - CONDITIONS_WITH_SECRET - CONDITIONS_WITH_JWKS:
        names = ", ".join(sorted(unknown_conditions))
        mismatches.append(f"the model does not support alarms with the condition {names}")
    secrets = set(re.findall(r"^ +(\w+_SECRET_ARN): ", settings, re.M))
    if secrets != set(SECRET_CONDITIONS):
        mismatches.append(f"the functions of template.yaml fetch {', '.join(sorted(secrets))}, "
                          f"the model expects {', '.join(SECRET_CONDITIONS)}")  # fmt: skip
    schedules = sorted(re.findall(r"ScheduleExpression: (.+)", sections["Resources"]))
    if schedules != SCHEDULES:
        mismatches.append(f"the schedules of template.yaml are {', '.join(schedules)}, "
                          f"the model expects {', '.join(SCHEDULES)}")  # fmt: skip
    functions = {folder.name for folder in (ROOT / "functions").iterdir()}
    if functions != set(model.stack.memory_mb):
        names = ", ".join(sorted(functions ^ set(model.stack.memory_mb)))
        mismatches.append(f"only in functions/ or only in template.yaml: {names}")
    if not model.stack.alarms or not model.stack.dashboards:
        mismatches.append("template.yaml: no alarm or no dashboard found")
    for name in ("LimitCallQualityPerMinute", "LimitQualityReportPerMinute", "TableMaxReadUnits",
                 "TableMaxWriteUnits"):  # fmt: skip
        if require_match(r"Default: (\d+)", yaml_members(sections["Parameters"])[name]) == "0":
            mismatches.append(f"{name} is 0 by default, the model expects a positive number")
    for calls, share in zip(CALL_VOLUMES, Parts.of(model).shares()):
        if share > MAX_SHARE_OF_PARTS:
            mismatches.append(f"settlement, history and events cost {share:.0%} of the other cost "
                              f"of {calls:,} calls without samples, must be at most "
                              f"{MAX_SHARE_OF_PARTS:.0%}")  # fmt: skip
    shares = zip(CALL_VOLUMES, sample_costs(model), sample_costs(with_json_batches(model)))
    for calls, cost, before in shares:
        if calls >= MIN_CALLS_OF_SAMPLES and cost > MAX_SHARE_OF_SAMPLES * before:
            mismatches.append(f"samples cost {cost / before:.0%} of JSON batches for {calls:,} "
                              f"calls, must be at most {MAX_SHARE_OF_SAMPLES:.0%}")  # fmt: skip
    return mismatches + data_doc_mismatches(model)


def data_doc_mismatches(model: Model) -> list[str]:
    """Units of docs/DATA.md: of a call without sweeper checks and samples, and of its batches."""
    without_samples = replace(model, has_samples=False)
    lifecycle = [
        it for it in without_samples.requests() if it.function in ("call-create", "call-end")
    ]
    writes, reads = without_samples.sweeper_units()
    checks = without_samples.sweeper_checks()
    writes += sum(it.write_units for it in lifecycle) - 3 * checks
    reads += sum(it.read_units for it in lifecycle) - checks
    report = next(it for it in model.requests() if it.function == "quality-report")
    batches = report.requests_per_call
    batch_writes, batch_reads = batches * report.write_units, batches * report.read_units
    history_writes, history_reads = model.history_units()
    text = " ".join(read("docs/DATA.md").split())
    sentences = (
        f"The rows cost {history_writes:g} write units and {history_reads:g} read units",
        f"costs {writes:g} write units and {reads:g} read units",
        f"{batches:g} batches: {batch_writes:g} write units and {batch_reads:g} read units, "
        f"and {model.quality_units()} read units for each reading",
    )
    return [f"docs/DATA.md does not contain: {it}" for it in sentences if it not in text]


def main() -> int:
    template = read("template.yaml")
    model = Model(template_stack(template, CONDITIONS_WITH_SECRET))
    tables = {name: make_table(model) for name, make_table in TABLES.items()}
    if sys.argv[1:] not in (["--check"], ["--write"]):
        print("\n\n".join(f"{name}\n{text}" for name, text in tables.items()))
        return 0
    page = read("docs/COST.md")
    mismatches = template_mismatches(model, template)
    for name, text in tables.items():
        begin, end = f"<!-- {name}: tests/cost/model.py -->\n", "<!-- end -->"
        if page.count(begin) != 1:
            mismatches.append(f"docs/COST.md must contain {begin.strip()} exactly once")
            continue
        before, rest = page.split(begin)
        old, after = rest.split(end, 1)
        text += "\n"
        if sys.argv[1] == "--check" and old != text:
            mismatches.append(f"the table {name} of docs/COST.md is out of date, run --write")
        page = before + begin + text + end + after
    if sys.argv[1] == "--write":
        COST_PAGE.write_text(page, encoding="utf-8")
    print("\n".join(mismatches) or "docs/COST.md is up to date")
    return 1 if mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
