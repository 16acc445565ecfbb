"""The rate of new calls at which each limit is reached: the model behind the tables of docs/SCALE.md.

    python tests/cost/scale.py            # prints the tables
    python tests/cost/scale.py --write    # writes them into docs/SCALE.md
    python tests/cost/scale.py --check    # fails if docs/SCALE.md is out of date

It needs Python only. The counts of a call are those of model.py, the parameters are the defaults of
template.yaml. No figure was measured on AWS; comments mark the assumptions.
"""

import math
import sys
from typing import NamedTuple

from model import (
    CONDITIONS_WITH_SECRET,
    PIPE_RECORDS,
    ROOT,
    Model,
    format_number,
    markdown_table,
    read,
    require_match,
    template_stack,
    yaml_members,
    yaml_sections,
)

SCALE_PAGE = ROOT / "docs" / "SCALE.md"
# New calls per second.
RATES = (10, 1_000, 100_000)

# Limits of AWS, as its pages state them.
API_GATEWAY_RPS, API_GATEWAY_SMALL_REGION_RPS = 10_000, 2_500
LAMBDA_CONCURRENCY, LAMBDA_RPS_PER_CONCURRENCY = 1_000, 10
LAMBDA_SCALING_PER_SECOND = 100  # 1,000 environments of a function in ten seconds
NEW_TABLE_WRITES, TABLE_WRITE_QUOTA, PARTITION_WRITES = 4_000, 40_000, 1_000
PUT_EVENTS_LARGE_REGION, PUT_EVENTS_OHIO = 10_000, 2_400
# Limits of Stream per minute and app. Stream publishes none for its video API, for GetChannel and for
# DeleteChannels: these are assumed, as in tests/stream-emulator.
SEND_MESSAGE, GET_OR_CREATE_CHANNEL, DELETE_CHANNELS, VIDEO = 1_000, 10_000, 60, 1_000
GET_CHANNEL, QUERY_CALLS = 1_000, 1_000
# Of this project: single deletions and profile pushes per minute (ADR 0011, ADR 0027), the shards of
# the due index, the calls of a batch, and the time in which a sweep begins batches.
DELETE_QUOTA, PUSH_QUOTA = 30, 240
SHARDS, BATCH_CALLS, SWEEP_SECONDS = 64, 100, 39

AWS_DOCS = "https://docs.aws.amazon.com"
STREAM_LIMITS = "[Stream](https://getstream.io/chat/docs/node/rate_limits_table/)"
SOURCES = {
    "gateway": f"[API Gateway]({AWS_DOCS}/apigateway/latest/developerguide/limits.html)",
    "lambda": f"[Lambda]({AWS_DOCS}/lambda/latest/dg/lambda-concurrency.html)",
    "scaling": f"[Lambda]({AWS_DOCS}/lambda/latest/dg/scaling-behavior.html)",
    "table": f"[DynamoDB]({AWS_DOCS}/amazondynamodb/latest/developerguide/warm-throughput-scenarios.html)",
    "quotas": f"[DynamoDB]({AWS_DOCS}/amazondynamodb/latest/developerguide/ServiceQuotas.html)",
    "events": f"[EventBridge]({AWS_DOCS}/eventbridge/latest/userguide/eb-quota.html)",
}


class Limit(NamedTuple):
    """A limit, and the calls per second at which it is reached."""

    name: str
    value: str
    per_call: str
    rate: float
    source: str
    lever: str


class Counts(NamedTuple):
    """What a call costs."""

    requests: float  # of the API
    invocations: float
    busy_seconds: float  # of execution environments
    index_units: float  # write units of the index
    table_units: float  # write units of the table without the index
    read_units: float
    due: float  # times that a sweep processes the call
    history_records: float
    events: float

    @classmethod
    def of(cls, model: Model) -> "Counts":
        profiles = model.requests()
        requests = sum(it.requests_per_call for it in profiles)
        sweeper_writes, sweeper_reads = model.sweeper_units()
        history_writes, history_reads = model.history_units()
        writes = sum(it.requests_per_call * it.write_units for it in profiles)
        reads = sum(it.requests_per_call * it.read_units for it in profiles)
        # docs/DATA.md, "Number of shards", and the earlier check of the end of the session.
        index_units = 10 + model.minutes / 2 + 2
        return cls(
            requests=requests,
            invocations=requests + model.history_records + model.pipe_records,
            busy_seconds=sum(it.requests_per_call * busy_ms(model, it) for it in profiles) / 1e3,
            index_units=index_units,
            table_units=writes + sweeper_writes + history_writes - index_units,
            read_units=reads + sweeper_reads + history_reads,
            # The checks, the recheck, the settlement, and the cleanup beyond the deletion quota.
            due=model.sweeper_checks() + 3,
            history_records=model.history_records,
            events=model.events(),
        )


def busy_ms(model: Model, profile) -> float:
    """The duration of a warm request, by the assumptions of docs/COST.md."""
    table = profile.sequential_table_requests * model.table_ms
    return model.handler_ms + table + profile.sequential_stream_requests * model.stream_ms


def parameter(name: str) -> int:
    parameters = yaml_members(yaml_sections(read("template.yaml"))["Parameters"])
    return int(require_match(r"^    Default: (\d+)", parameters[name]))


def per_function(model: Model, function: str, value) -> float:
    return sum(it.requests_per_call * value(it) for it in model.requests() if it.function == function)


def template_limits(model: Model, counts: Counts) -> list[Limit]:
    def throttle(name: str, route: str, function: str) -> Limit:
        value, requests = parameter(name), per_function(model, function, lambda _: 1)
        return Limit(f"throttle of `{route}`", f"{value:,} a second", f"{requests:g}",
                     value / requests, "`template.yaml`", f"`{name}`")  # fmt: skip

    writes, reads = parameter("TableMaxWriteUnits"), parameter("TableMaxReadUnits")
    return [
        throttle("QualityReportRequestsPerSecond", "POST /call/quality/{callId}", "quality-report"),
        throttle("MessageSendRequestsPerSecond", "POST /message/send", "message-send"),
        throttle("RequestsPerSecond", "POST /webhook", "webhook"),
        throttle("TokenRequestsPerSecond", "POST /token", "token"),
        throttle("CallCreateRequestsPerSecond", "POST /call/create", "call-create"),
        throttle("CallQualityRequestsPerSecond", "GET /call/quality/{callId}", "call-quality"),
        Limit("cost stop, writes of the table", f"{writes:,} units a second",
              f"{counts.table_units:g} units", writes / counts.table_units, "`template.yaml`",
              "`TableMaxWriteUnits`"),
        Limit("cost stop, reads of the table", f"{reads:,} units a second",
              f"{counts.read_units:g} units", reads / counts.read_units, "`template.yaml`",
              "`TableMaxReadUnits`"),
    ]  # fmt: skip


def project_limits(model: Model, counts: Counts) -> list[Limit]:
    batches = SWEEP_SECONDS * 1e3 / model.batch_ms
    end_seconds = per_function(model, "call-end", lambda it: busy_ms(model, it) / 1e3)
    return [
        Limit("the sweeper: one process, its batches in sequence",
              f"{batches:.0f} batches of {BATCH_CALLS} calls a minute", f"due {counts.due:g} times",
              batches * BATCH_CALLS / 60 / counts.due, "[DATA.md](DATA.md#scaling-limits), assumed",
              "several sweeps that share the shards: not implemented"),
        Limit("shards of the due index", f"{SHARDS} × {PARTITION_WRITES:,} units a second",
              f"{counts.index_units:g} units", SHARDS * PARTITION_WRITES / counts.index_units,
              SOURCES["table"], "more shards, which is a change of the code"),
        Limit("the counter of the deletion quota, one key", f"{PARTITION_WRITES:,} writes a second",
              f"each process of `call-end` once a minute, {end_seconds:g} s",
              PARTITION_WRITES / end_seconds, SOURCES["table"],
              "nothing: the ends return 202, and the sweeper deletes the channels"),
    ]  # fmt: skip


def stream_limits(model: Model, counts: Counts) -> list[Limit]:
    def per_minute(name: str, value: int, calls: float, lever: str, source: str = STREAM_LIMITS) -> Limit:
        return Limit(name, f"{value:,} a minute", f"{calls:g}", value / 60 / calls, source, lever)

    assumed = "assumed"
    messages = per_function(model, "message-send", lambda _: 1)
    reads = per_function(model, "message-list", lambda _: 1)
    more = "a higher limit from Stream"
    return [
        per_minute("own quota of single `DeleteChannel`", DELETE_QUOTA, 1,
                   "nothing: the ends return 202, and the sweeper deletes the channels",
                   "[ADR 0011](adr/0011-channel-deletion-quota.md)"),
        per_minute("`SendMessage`", SEND_MESSAGE, messages,
                   "a higher limit from Stream, or sending by Stream's SDK in the app"),
        per_minute("`GetChannel`", GET_CHANNEL, reads, "the same, for reading", assumed),
        per_minute("`GetOrCreateCall`, `EndCall`, each list of the settlement", VIDEO, 1, more, assumed),
        per_minute("`GetOrCreateChannel`", GET_OR_CREATE_CHANNEL, 1, more),
        per_minute("`DeleteChannels`, of 100 channels", DELETE_CHANNELS, 1 / BATCH_CALLS, more, assumed),
        per_minute("`QueryCalls`, of 100 calls", QUERY_CALLS, counts.due / BATCH_CALLS, more, assumed),
    ]  # fmt: skip


def aws_limits(model: Model, counts: Counts) -> list[Limit]:
    invocation_quota = LAMBDA_CONCURRENCY * LAMBDA_RPS_PER_CONCURRENCY
    longest = max(
        per_function(model, name, lambda it: busy_ms(model, it) / 1e3)
        for name in {it.function for it in model.requests()}
    )
    quota = "Service Quotas"
    return [
        Limit("API Gateway, account and region", f"{API_GATEWAY_RPS:,} requests a second",
              f"{counts.requests:g}", API_GATEWAY_RPS / counts.requests, SOURCES["gateway"],
              quota),
        Limit("API Gateway, newer regions", f"{API_GATEWAY_SMALL_REGION_RPS:,} requests a second",
              f"{counts.requests:g}", API_GATEWAY_SMALL_REGION_RPS / counts.requests,
              SOURCES["gateway"], quota),
        Limit("Lambda, requests of the account", f"10 × concurrency = {invocation_quota:,} a second",
              f"{counts.invocations:g} invocations", invocation_quota / counts.invocations,
              SOURCES["lambda"], f"{quota}: the concurrency"),
        Limit("Lambda, concurrency of the account", f"{LAMBDA_CONCURRENCY:,} environments",
              f"{counts.busy_seconds:g} s busy", LAMBDA_CONCURRENCY / counts.busy_seconds,
              SOURCES["lambda"], f"{quota}, then `AccountConcurrency`"),
        Limit("Lambda, growth within a second", f"{LAMBDA_SCALING_PER_SECOND} environments of a function",
              f"{longest:g} s of `message-send`", LAMBDA_SCALING_PER_SECOND / longest,
              SOURCES["scaling"], "a slower ramp, or provisioned concurrency"),
        Limit("a new table", f"{NEW_TABLE_WRITES:,} units a second", f"{counts.table_units:g} units",
              NEW_TABLE_WRITES / counts.table_units, SOURCES["table"], "warm throughput"),
        Limit("a table, by quota", f"{TABLE_WRITE_QUOTA:,} units a second",
              f"{counts.table_units:g} units", TABLE_WRITE_QUOTA / counts.table_units,
              SOURCES["quotas"], quota),
        Limit("event bus, us-east-2", f"{PUT_EVENTS_OHIO:,} events a second", f"{counts.events:g} events",
              PUT_EVENTS_OHIO / counts.events, SOURCES["events"], quota),
        Limit("event bus, us-east-1", f"{PUT_EVENTS_LARGE_REGION:,} events a second",
              f"{counts.events:g} events", PUT_EVENTS_LARGE_REGION / counts.events, SOURCES["events"],
              quota),
    ]  # fmt: skip


def format_rate(rate: float) -> str:
    return f"{rate:.1f}" if rate < 10 else format_number(round(rate))


def limits_table(model: Model) -> str:
    counts = Counts.of(model)
    limits = [
        *template_limits(model, counts),
        *project_limits(model, counts),
        *stream_limits(model, counts),
        *aws_limits(model, counts),
    ]
    limits.sort(key=lambda it: it.rate)
    rows = [[it.name, it.value, it.per_call, format_rate(it.rate), it.lever, it.source] for it in limits]
    head = ["limit", "default", "a call uses", "reached at calls/s", "what to turn", "source"]
    return markdown_table(head, rows, text_columns=(0, 1, 2, 4, 5))


def load_table(model: Model) -> str:
    counts = Counts.of(model)
    messages = per_function(model, "message-send", lambda _: 1)
    by_requests = counts.invocations / LAMBDA_RPS_PER_CONCURRENCY
    lines = [
        ("open calls", model.minutes * 60),
        ("requests of the API a second", counts.requests),
        ("invocations a second", counts.invocations),
        ("busy environments", counts.busy_seconds),
        ("concurrency that the quota of requests needs", by_requests),
        ("write units a second, table", counts.table_units),
        ("write units a second, index", counts.index_units),
        ("read units a second", counts.read_units),
        ("partitions of the table, at least", counts.table_units / PARTITION_WRITES),
        ("records for `call-history` a second", counts.history_records),
        ("records for the pipe a second", PIPE_RECORDS),
        ("`SendMessage` a minute", 60 * messages),
        ("`GetOrCreateCall` a minute", 60),
        ("calls that are due in a minute", 60 * counts.due),
    ]
    rows = [
        [name, f"{value:.3g}", *(format_number(math.ceil(rate * value)) for rate in RATES)]
        for name, value in lines
    ]
    return markdown_table(["", "of a call a second", *(f"{rate:,} calls/s" for rate in RATES)], rows)


TABLES = {"load": load_table, "limits": limits_table}


def main() -> int:
    model = Model(template_stack(read("template.yaml"), CONDITIONS_WITH_SECRET))
    tables = {name: make_table(model) for name, make_table in TABLES.items()}
    if sys.argv[1:] not in (["--check"], ["--write"]):
        print("\n\n".join(f"{name}\n{text}" for name, text in tables.items()))
        return 0
    page, mismatches = read("docs/SCALE.md"), []
    for name, text in tables.items():
        begin, end = f"<!-- {name}: tests/cost/scale.py -->\n", "<!-- end -->"
        if page.count(begin) != 1:
            mismatches.append(f"docs/SCALE.md must contain {begin.strip()} exactly once")
            continue
        before, rest = page.split(begin)
        old, after = rest.split(end, 1)
        if sys.argv[1] == "--check" and old != text + "\n":
            mismatches.append(f"the table {name} of docs/SCALE.md is out of date, run --write")
        page = f"{before}{begin}{text}\n{end}{after}"
    if sys.argv[1] == "--write":
        SCALE_PAGE.write_text(page, encoding="utf-8")
    print("\n".join(mismatches) or "docs/SCALE.md is up to date")
    return 1 if mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
