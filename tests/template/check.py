"""Checks the CloudFormation translation of template.yaml, without an AWS account.

Linting the SAM file does not suffice: it misses errors under Globals, and it does not check that a
route reaches the right function. So the template is translated first, and the translation is
compared with everything else that names a function: functions/, events/ and the router table of
`cargo lambda watch`. grants.py checks the permissions of the functions; operations.py checks logs,
alarms, the dashboard and the protection of the table; streams.py checks the consumers of the
table's stream; alarms.py evaluates
alarms; deployer.py checks the policy of the deployer.

    pip install -r tests/template/requirements.txt
    python tests/template/check.py
"""

import json
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cfnlint.api
from samtranslator.public.exceptions import InvalidDocumentException

import alarms
import deployer
import grants
import operations
import streams
from project import ROOT, Project, as_list, filter_patterns, pattern_matches, resources, statements

# The variables of every function.
COMMON_VARIABLES = {"LOG_LEVEL", "METRICS_NAMESPACE"}
# The variables of every function that has access to Stream and to the table.
STREAM_VARIABLES = {
    "STREAM_API_KEY",
    "STREAM_CALL_TYPE",
    "STREAM_SECRET_ARN",
    "STREAM_SERVICE_USER",
    "TABLE_NAME",
}
# The variables of every function that authenticates its callers.
AUTH_VARIABLES = STREAM_VARIABLES | {
    "JWT_AUDIENCE",
    "JWT_AUDIENCE_CLAIM",
    "JWT_AUTH_TIME_CLAIM",
    "JWT_ISSUER",
    "JWT_JWKS_URL",
    "JWT_REQUIRED_CLAIM",
    "JWT_ROLE_CLAIM",
    "JWT_SECRET_ARN",
    "JWT_SERVICE_ROLE",
    "JWT_USER_ID_CLAIM",
    "JWT_USER_ID_ENCODING",
}

# The timeouts of calls.
CALL_VARIABLES = {
    "CALL_ALONE_TIMEOUT_SECONDS",
    "CALL_INACTIVITY_TIMEOUT_SECONDS",
    "CALL_MAX_DURATION_SECONDS",
    "CALL_RING_TIMEOUT_SECONDS",
}

# The variables of each function beside COMMON_VARIABLES: exactly those that it reads.
FUNCTION_VARIABLES = {
    "token": AUTH_VARIABLES | {"LIMIT_TOKEN_PER_MINUTE", "STREAM_ROLE_MAP", "UNKNOWN_USERS"},
    "user-upsert": AUTH_VARIABLES | {"LIMIT_USER_UPSERT_PER_MINUTE", "STREAM_ROLE_MAP"},
    "call-create": AUTH_VARIABLES
    | CALL_VARIABLES
    | {"CALL_CREATORS", "LIMIT_CALL_CREATE_PER_MINUTE"},
    "call-end": AUTH_VARIABLES,
    "call-extend": AUTH_VARIABLES | {"CALL_INACTIVITY_TIMEOUT_SECONDS", "CALL_MAX_DURATION_SECONDS"},
    "call-get": AUTH_VARIABLES | {"CALL_MAX_DURATION_SECONDS"},
    "call-list": AUTH_VARIABLES | {"CALL_MAX_DURATION_SECONDS"},
    "call-quality": AUTH_VARIABLES | {"LIMIT_CALL_QUALITY_PER_MINUTE"},
    "user-delete": AUTH_VARIABLES,
    "token-revoke": AUTH_VARIABLES | {"LIMIT_TOKEN_REVOKE_PER_MINUTE"},
    "quality-report": AUTH_VARIABLES | {"LIMIT_QUALITY_REPORT_PER_MINUTE"},
    "message-send": AUTH_VARIABLES | {"LIMIT_MESSAGE_SEND_PER_MINUTE"},
    "message-list": AUTH_VARIABLES,
    "config": AUTH_VARIABLES | {"CALL_RING_TIMEOUT_SECONDS", "STREAM_ROLE_MAP", "WEBHOOK_URL"},
    "health": AUTH_VARIABLES,
    "webhook": STREAM_VARIABLES | CALL_VARIABLES,
    "sweeper": STREAM_VARIABLES | CALL_VARIABLES,
    "call-history": {"TABLE_NAME"},
    "call-events": {"EVENT_SOURCE"},
}

# Where `sam build` finds the Makefile, and the directory in which it runs make.
BUILD_METADATA = {"BuildMethod": "makefile", "ContextPath": ".", "WorkingDirectory": "."}


def route_differences(found: set[tuple[str, str]], source: str, expected: set[tuple[str, str]]) -> Iterator[str]:
    for route, target in sorted(expected - found):
        yield f"{source} lacks {route} -> {target}"
    for route, target in sorted(found - expected):
        yield f"{source} has {route} -> {target}, which is not in template.yaml"


def lint(project: Project) -> Iterator[str]:
    for match in cfnlint.api.lint(json.dumps(project.translated)):
        path = "/".join(str(part) for part in getattr(match, "path", None) or [])
        yield f"{match.rule.id} {match.message} ({path})"


def api_routes(project: Project) -> Iterator[str]:
    found = set()
    for _, api in resources(project.translated, "AWS::ApiGatewayV2::Api"):
        for path, methods in api["Properties"]["Body"]["paths"].items():
            for method, operation in methods.items():
                route = f"{method.upper()} {path}"
                integration = operation["x-amazon-apigateway-integration"]
                if integration["payloadFormatVersion"] != "2.0":
                    yield f"{route}: the functions accept payload format 2.0 only"
                target = re.search(r"functions/\$\{(\w+)\.Arn}/", json.dumps(integration["uri"]))
                found.add((route, target[1] if target else json.dumps(integration["uri"])))
    yield from route_differences(found, "the translated API", set(project.routes()))


def throttles(project: Project) -> Iterator[str]:
    limited = {
        route
        for route, binary in project.routes_to_binaries()
        if any(variable.startswith("LIMIT_") for variable in FUNCTION_VARIABLES.get(binary, set()))
    }
    for name, stage in resources(project.translated, "AWS::ApiGatewayV2::Stage"):
        route_settings = stage["Properties"].get("RouteSettings", {})
        for route in sorted(limited - route_settings.keys()):
            yield f"{name}: {route} has a rate limit, but no RouteSettings"
        for route in sorted(route_settings.keys() - limited):
            yield f"{name}: {route} has RouteSettings, but no rate limit"
        default_settings = stage["Properties"].get("DefaultRouteSettings", {})
        for route, settings in {**route_settings, "every other route": default_settings}.items():
            for limit in ("ThrottlingBurstLimit", "ThrottlingRateLimit"):
                if "Ref" not in settings.get(limit, {}):
                    yield f"{name}: {limit} of {route} must be a parameter"


def api_permissions(project: Project) -> Iterator[str]:
    permissions = [p["Properties"] for _, p in resources(project.translated, "AWS::Lambda::Permission")]
    for route, name in project.routes():
        method, path = route.split(" ")
        # In the ARN of a request, API Gateway replaces a path parameter with *.
        suffix = f"/{method}{re.sub(r'{[^}]*}', '*', path)}"
        if not any(
            permission["FunctionName"] == {"Ref": name}
            and permission["Principal"] == "apigateway.amazonaws.com"
            and suffix in json.dumps(permission.get("SourceArn"))
            for permission in permissions
        ):
            yield f"{name}: API Gateway has no permission to invoke it for {route}"


def invocations(project: Project) -> Iterator[str]:
    triggers = [*project.schedules(), *project.mappings(), *project.pipes()]
    invoked = {name for _, name in project.routes()} | {name for name, _, _ in triggers}
    for name, properties, _ in project.functions():
        if name not in invoked:
            yield f"{name}: no route, schedule, event source mapping or pipe invokes the function"
        for event_name, event in properties.get("Events", {}).items():
            if event["Type"] not in ("HttpApi", "ScheduleV2", "DynamoDB"):
                yield f"{name}: the local stack does not support its event {event_name} ({event['Type']})"


def schedules(project: Project) -> Iterator[str]:
    translated = project.translated["Resources"]
    invoke_configs = {
        config["Properties"]["FunctionName"]["Ref"]: config["Properties"]
        for _, config in resources(project.translated, "AWS::Lambda::EventInvokeConfig")
    }
    for name, schedule_id, _ in project.schedules():
        schedule = translated[schedule_id]["Properties"]
        target = schedule["Target"]
        arn = {"Fn::GetAtt": [name, "Arn"]}
        if target["Arn"] != arn:
            yield f"{schedule_id}: Target.Arn is {target['Arn']}, must be {arn}"
        if "Name" in schedule:
            yield f"{schedule_id}: a fixed name prevents a second stack; write OmitName: true"
        if schedule_input(target) is None:
            yield f"{schedule_id}: Input is not JSON"
        # Scheduler invokes asynchronously, so both Scheduler and Lambda retry by default.
        retry_settings = (
            ("RetryPolicy", target.get("RetryPolicy")),
            (f"the EventInvokeConfig of {name}", invoke_configs.get(name)),
        )
        for setting, retries in retry_settings:
            if retries is None or retries.get("MaximumRetryAttempts") != 0:
                yield f"{schedule_id}: MaximumRetryAttempts of {setting} must be 0, since the next run retries"
        role = translated[target["RoleArn"]["Fn::GetAtt"][0]]["Properties"]
        trust = [
            (statement["Effect"], as_list(statement["Action"]), statement["Principal"])
            for statement in role["AssumeRolePolicyDocument"]["Statement"]
        ]
        if trust != [("Allow", ["sts:AssumeRole"], {"Service": ["scheduler.amazonaws.com"]})]:
            yield f"{schedule_id}: its role trusts {trust}"
        invoke = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": arn}
        send_dead_letter = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": grants.DEAD_LETTER_QUEUE_ARN}
        if list(statements(role)) != [invoke, send_dead_letter]:
            yield f"{schedule_id}: its role must allow to invoke {name} and to send to DeadLetters, and nothing else"


def schedule_input(properties: dict[str, Any]) -> Any:
    """The payload with which a schedule invokes its function; None if it is not JSON."""
    try:
        return json.loads(properties.get("Input", ""))
    except ValueError:
        return None


def variables(project: Project) -> Iterator[str]:
    binaries = {name: binary for name, _, binary in project.functions()}
    for name, function in resources(project.translated, "AWS::Lambda::Function"):
        binary = binaries[name]
        found = set(function["Properties"].get("Environment", {}).get("Variables", {}))
        if binary not in FUNCTION_VARIABLES:
            yield f"{name}: FUNCTION_VARIABLES of {Path(__file__).name} has no entry for {binary}"
            continue
        expected = COMMON_VARIABLES | FUNCTION_VARIABLES[binary]
        yield from (f"{name}: missing variable {variable}" for variable in sorted(expected - found))
        yield from (f"{name}: unused variable {variable}" for variable in sorted(found - expected))
    for binary in sorted(FUNCTION_VARIABLES.keys() - set(binaries.values())):
        yield f"FUNCTION_VARIABLES of {Path(__file__).name} has {binary}, which is not a function"


def function_packages(project: Project) -> Iterator[str]:
    for name, properties, binary in project.functions():
        if properties.get("CodeUri") != f"functions/{binary}/":
            yield f"{name}: CodeUri is {properties.get('CodeUri')}, must be functions/<binary>/"
        if binary_name(name) != binary:
            yield f"{name}: the Makefile packages the binary {binary_name(name)}, not {binary}"
        manifest = ROOT / "functions" / binary / "Cargo.toml"
        if not manifest.is_file():
            yield f"{name}: functions/{binary}/Cargo.toml does not exist"
            continue
        cargo = tomllib.loads(manifest.read_text())
        built = {b.get("name") for b in cargo.get("bin", [])} or {cargo["package"]["name"]}
        if built != {binary}:
            yield f"{name}: functions/{binary} builds {', '.join(sorted(map(str, built)))}, not {binary}"


def binary_name(name: str) -> str:
    """The binary that the Makefile derives from a function's logical id."""
    return re.sub(r"([a-z])([A-Z])", r"\1-\2", name.removesuffix("Function")).lower()


def deployed_packages(project: Project) -> Iterator[str]:
    deployments = Counter(binary for _, _, binary in project.functions())
    for manifest in sorted(ROOT.glob("functions/*/Cargo.toml")):
        package = manifest.parent.name
        if deployments[package] != 1:
            yield f"functions/{package} is in template.yaml {deployments[package]} times, must be once"


def makefile_build(project: Project) -> Iterator[str]:
    for name, resource in resources(project.sam, "AWS::Serverless::Function"):
        if resource.get("Metadata") != BUILD_METADATA:
            yield f"{name}: Metadata is {resource.get('Metadata')}, with which `sam build` does not use the Makefile"
    for name, resource in resources(project.translated, "AWS::Lambda::Function"):
        properties = resource["Properties"]
        found = [properties.get(key) for key in ("Runtime", "Architectures", "Handler")]
        if found != ["provided.al2023", ["arm64"], "bootstrap"]:
            yield f"{name}: Runtime, Architectures, Handler are {found}, which cannot run the Makefile's binary"


def sample_parameters(project: Project) -> Iterator[str]:
    file_name = "samconfig.toml.example"
    environments = tomllib.loads((ROOT / file_name).read_text())
    parameters = project.sam["Parameters"]
    for environment in ("dev", "prod"):
        overrides = environments[environment]["deploy"]["parameters"]["parameter_overrides"]
        for name, _, value in (override.partition("=") for override in overrides):
            parameter = parameters.get(name)
            if parameter is None:
                yield f"{file_name}, {environment}: unknown parameter {name}"
            elif not is_allowed(parameter, value):
                yield f"{file_name}, {environment}: {name} does not allow the value {value}"
    for name, parameter in parameters.items():
        if parameter.get("NoEcho"):
            yield f"{name} is a secret value; the parameter must be the ARN of a secret"
        # Without a valid default, `sam deploy` cannot run unattended.
        if not is_allowed(parameter, str(parameter.get("Default"))):
            yield f"{name}: the default is not an allowed value"


def is_allowed(parameter: dict[str, Any], value: str) -> bool:
    """Whether CloudFormation accepts a value for a parameter."""
    values = [str(item) for item in parameter.get("AllowedValues", [value])]
    is_valid = value in values and re.search(parameter.get("AllowedPattern", ""), value) is not None
    if parameter["Type"] == "Number":
        number = float(value)
        is_valid = is_valid and parameter.get("MinValue", number) <= number <= parameter.get("MaxValue", number)
    return is_valid


def router_table(project: Project) -> Iterator[str]:
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]
    router = workspace.get("metadata", {}).get("lambda", {}).get("watch", {}).get("router", {})
    found = set()
    for path, targets in router.items():
        if isinstance(targets, str):
            yield f"{path} matches every method; write [{{ method = ..., function = ... }}]"
            continue
        found.update((f"{target['method']} {path}", target["function"]) for target in targets)
    yield from route_differences(found, "Cargo.toml's router table", project.routes_to_binaries())


def sample_events(project: Project) -> Iterator[str]:
    binaries = {binary for _, _, binary in project.functions()}
    inputs = {
        binary: [schedule_input(schedule) for owner, _, schedule in project.schedules() if owner == name]
        for name, _, binary in project.functions()
    }
    consumers = stream_consumers(project)
    for path in sorted(ROOT.glob("events/*.json")):
        if path.stem not in binaries:
            yield f"events/{path.name}: there is no such function"
    for binary in sorted(binaries):
        path = ROOT / "events" / f"{binary}.json"
        routes = {route for route, target in project.routes_to_binaries() if target == binary}
        if not path.is_file():
            yield f"events/{binary}.json does not exist"
        elif routes:
            yield from (f"{path.name}: {error}" for error in event_errors(json.loads(path.read_text()), routes))
        elif binary in consumers:
            errors = record_errors(json.loads(path.read_text()), *consumers[binary])
            yield from (f"{path.name}: {error}" for error in errors)
        elif json.loads(path.read_text()) not in inputs[binary]:
            yield f"{path.name}: no schedule of {binary} has this input"


def stream_consumers(project: Project) -> dict[str, tuple[bool, int, list[Any]]]:
    """Of each function that reads the stream: whether `Records` contains its input, its batch size, its filters."""
    binaries = {name: binary for name, _, binary in project.functions()}
    consumers = {
        binaries[name]: (True, mapping.get("BatchSize", 0), filter_patterns(mapping.get("FilterCriteria", {})))
        for name, _, mapping in project.mappings()
    }
    for name, _, pipe in project.pipes():
        if name not in binaries:
            continue
        source = pipe.get("SourceParameters", {})
        batch_size = source.get("DynamoDBStreamParameters", {}).get("BatchSize", 0)
        consumers[binaries[name]] = (False, batch_size, filter_patterns(source.get("FilterCriteria", {})))
    return consumers


def record_errors(event: Any, is_wrapped: bool, batch_size: int, patterns: list[Any]) -> Iterator[str]:
    records = event.get("Records") if is_wrapped and isinstance(event, dict) else event
    if not isinstance(records, list) or not 1 <= len(records) <= batch_size:
        form = "an object with `Records`" if is_wrapped else "a list"
        yield f"the event must be {form}, of 1 to {batch_size} records"
        return
    for index, record in enumerate(records):
        change = record.get("dynamodb", {})
        if (record.get("eventSource"), change.get("StreamViewType")) != ("aws:dynamodb", "NEW_AND_OLD_IMAGES"):
            yield f"record {index} is not one of the table's stream"
        if not any(pattern_matches(pattern, record) for pattern in patterns):
            yield f"record {index} passes no filter of the template"
        for image in (change.get("OldImage", {}), change.get("NewImage", {})):
            if image and {key: image.get(key) for key in ("pk", "sk")} != change.get("Keys"):
                yield f"record {index}: an image has other keys than the record"


def event_errors(event: dict[str, Any], routes: set[str]) -> Iterator[str]:
    route, context = event.get("routeKey"), event.get("requestContext", {})
    if route not in routes:
        yield f"routeKey is {route}, template.yaml has {' and '.join(sorted(routes))}"
        return
    request = f"{context.get('http', {}).get('method')} {event.get('rawPath')}"
    pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(route))
    match = re.fullmatch(pattern, request)
    if not match:
        yield f"the request {request} does not match the routeKey {route}"
    elif match.groupdict() != event.get("pathParameters", {}):
        yield f"pathParameters are {event.get('pathParameters')}, the path has {match.groupdict()}"
    if event.get("version") != "2.0":
        yield "version is not 2.0"
    if (context.get("routeKey"), context.get("http", {}).get("path")) != (route, event.get("rawPath")):
        yield "requestContext differs from routeKey or rawPath"
    length = event.get("headers", {}).get("content-length", "0")
    if length != str(len(event.get("body", "").encode())):
        yield f"content-length is {length}, the body has {len(event.get('body', '').encode())} bytes"


CHECKS = {
    "cfn-lint accepts the translation": lint,
    "every route of the API reaches its function": api_routes,
    "every rate-limited route has its own API Gateway throttle": throttles,
    "API Gateway may invoke every function for its routes": api_permissions,
    "every function has a route, a schedule, an event source mapping or a pipe": invocations,
    "every schedule may invoke its function, has no fixed name, and does not retry": schedules,
    "every function has exactly the variables that it reads": variables,
    "every CodeUri is the package of its function's binary": function_packages,
    "every package of functions/ is deployed exactly once": deployed_packages,
    "every function runs the binary of the workspace build": makefile_build,
    "sample parameters and defaults are allowed values, and no parameter is a secret": sample_parameters,
    "the router table of cargo lambda watch matches the routes": router_table,
    "every function has a sample event for its route, schedule or records": sample_events,
} | grants.CHECKS | operations.CHECKS | alarms.CHECKS | deployer.CHECKS | streams.CHECKS


def main() -> int:
    try:
        project = Project.load()
    except InvalidDocumentException as error:
        print("FAIL template.yaml translates")
        for cause in error.causes:
            print(f"     {cause.message}")
        return 1
    print("ok   template.yaml translates")
    failed = False
    for title, check in CHECKS.items():
        errors = list(check(project))
        failed = failed or bool(errors)
        print("FAIL" if errors else "ok  ", title)
        for error in errors:
            print(f"     {error}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
