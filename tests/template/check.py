"""Checks what CloudFormation and API Gateway would make of template.yaml, without an account.

Linting the SAM file is not enough: errors under Globals pass it, and nothing in it says whether a
route reaches the right function. So the template is translated first, and the translation is
compared with everything else that names a function: functions/, events/ and the router table of
`cargo lambda watch`. What functions may do is checked in grants.py, what operators see in
operations.py.

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

import grants
import operations
from project import ROOT, Project, as_list, resources, statements

# The variables of every function, and of every function that verifies its callers.
EVERY = {"LOG_LEVEL", "METRICS_NAMESPACE", "STREAM_API_KEY", "STREAM_SECRET_ARN", "TABLE_NAME"}
CALLERS = {
    "JWT_AUDIENCE",
    "JWT_ISSUER",
    "JWT_JWKS_URL",
    "JWT_ROLE_CLAIM",
    "JWT_SECRET_ARN",
    "JWT_SERVICE_ROLE",
    "JWT_USER_ID_CLAIM",
}

# What each function is given beside EVERY: what it reads, and nothing that it does not.
VARIABLES = {
    "token": CALLERS | {"LIMIT_TOKEN_PER_MINUTE", "STREAM_ROLE_MAP", "UNKNOWN_USERS"},
    "user-upsert": CALLERS | {"STREAM_ROLE_MAP"},
    "call-create": CALLERS
    | {
        "CALL_INACTIVITY_TIMEOUT_SECONDS",
        "CALL_MAX_DURATION_SECONDS",
        "CALL_RING_TIMEOUT_SECONDS",
        "LIMIT_CALL_CREATE_PER_MINUTE",
    },
    "call-end": CALLERS,
    "call-get": CALLERS,
    "call-quality": CALLERS,
    "user-delete": CALLERS,
    "token-revoke": CALLERS,
    "quality-report": CALLERS | {"LIMIT_QUALITY_REPORT_PER_MINUTE"},
    "message-send": CALLERS | {"LIMIT_MESSAGE_SEND_PER_MINUTE"},
    "message-list": CALLERS,
    "config": CALLERS | {"WEBHOOK_URL"},
    "webhook": {"CALL_INACTIVITY_TIMEOUT_SECONDS"},
    "sweeper": {"CALL_MAX_DURATION_SECONDS", "CALL_RING_TIMEOUT_SECONDS"},
}

# Where `sam build` finds the Makefile, and where it runs it.
BUILD = {"BuildMethod": "makefile", "ContextPath": ".", "WorkingDirectory": "."}


def difference(found: set[tuple[str, str]], place: str, wanted: set[tuple[str, str]]) -> Iterator[str]:
    for route, target in sorted(wanted - found):
        yield f"{place} lacks {route} -> {target}"
    for route, target in sorted(found - wanted):
        yield f"{place} has {route} -> {target}, template.yaml has not"


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
                    yield f"{route}: the functions read payload format 2.0 only"
                target = re.search(r"functions/\$\{(\w+)\.Arn}/", json.dumps(integration["uri"]))
                found.add((route, target[1] if target else json.dumps(integration["uri"])))
    yield from difference(found, "the translated API", set(project.routes()))


def throttles(project: Project) -> Iterator[str]:
    limited = {
        route
        for route, binary in project.routes_to_binaries()
        if any(variable.startswith("LIMIT_") for variable in VARIABLES.get(binary, set()))
    }
    for name, stage in resources(project.translated, "AWS::ApiGatewayV2::Stage"):
        own = stage["Properties"].get("RouteSettings", {})
        yield from (f"{name}: {route} has no throttle of its own" for route in sorted(limited - own.keys()))
        yield from (f"{name}: {route} is no route whose users have a limit" for route in sorted(own.keys() - limited))
        others = stage["Properties"].get("DefaultRouteSettings", {})
        for route, settings in {**own, "every other route": others}.items():
            for limit in ("ThrottlingBurstLimit", "ThrottlingRateLimit"):
                if "Ref" not in settings.get(limit, {}):
                    yield f"{name}: {limit} of {route} is no parameter"


def api_permissions(project: Project) -> Iterator[str]:
    permissions = [p["Properties"] for _, p in resources(project.translated, "AWS::Lambda::Permission")]
    for route, name in project.routes():
        method, path = route.split(" ")
        # API Gateway writes path parameters as * in the ARN of the request.
        suffix = f"/{method}{re.sub(r'{[^}]*}', '*', path)}"
        if not any(
            permission["FunctionName"] == {"Ref": name}
            and permission["Principal"] == "apigateway.amazonaws.com"
            and suffix in json.dumps(permission.get("SourceArn"))
            for permission in permissions
        ):
            yield f"{name}: API Gateway may not invoke it for {route}"


def invocations(project: Project) -> Iterator[str]:
    invoked = {name for _, name in project.routes()} | {name for name, _, _ in project.schedules()}
    for name, properties, _ in project.functions():
        if name not in invoked:
            yield f"{name}: it has neither a route nor a schedule"
        for event_name, event in properties.get("Events", {}).items():
            if event["Type"] not in ("HttpApi", "ScheduleV2"):
                yield f"{name}: the local stack does not serve its event {event_name} ({event['Type']})"


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
            yield f"{schedule_id}: it invokes {target['Arn']}"
        if "Name" in schedule:
            yield f"{schedule_id}: a name of its own keeps a second stack from being made; write OmitName: true"
        if schedule_input(target) is None:
            yield f"{schedule_id}: its Input is not JSON"
        # Scheduler hands the event to Lambda's own queue, which repeats by itself too.
        for place, retries in (("its RetryPolicy", target.get("RetryPolicy")), (name, invoke_configs.get(name))):
            if retries is None or retries.get("MaximumRetryAttempts") != 0:
                yield f"{schedule_id}: {place} repeats what fails, and the next run does that anyway"
        role = translated[target["RoleArn"]["Fn::GetAtt"][0]]["Properties"]
        assumed = [
            (statement["Effect"], as_list(statement["Action"]), statement["Principal"])
            for statement in role["AssumeRolePolicyDocument"]["Statement"]
        ]
        if assumed != [("Allow", ["sts:AssumeRole"], {"Service": ["scheduler.amazonaws.com"]})]:
            yield f"{schedule_id}: its role is for {assumed}"
        invoke = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": arn}
        give_up = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": grants.DEAD_LETTERS}
        if list(statements(role)) != [invoke, give_up]:
            yield f"{schedule_id}: its role may do something else than invoke {name}, or say that it cannot"


def schedule_input(properties: dict[str, Any]) -> Any:
    """What a schedule gives its function; None where that is no JSON."""
    try:
        return json.loads(properties.get("Input", ""))
    except ValueError:
        return None


def variables(project: Project) -> Iterator[str]:
    binaries = {name: binary for name, _, binary in project.functions()}
    for name, function in resources(project.translated, "AWS::Lambda::Function"):
        binary = binaries[name]
        found = set(function["Properties"].get("Environment", {}).get("Variables", {}))
        if binary not in VARIABLES:
            yield f"{name}: {Path(__file__).name} does not say which variables {binary} is given"
            continue
        wanted = EVERY | VARIABLES[binary]
        yield from (f"{name}: it is not given {variable}" for variable in sorted(wanted - found))
        yield from (f"{name}: it has no use for {variable}" for variable in sorted(found - wanted))
    for binary in sorted(VARIABLES.keys() - set(binaries.values())):
        yield f"{Path(__file__).name} names {binary}, which is no function"


def function_packages(project: Project) -> Iterator[str]:
    for name, properties, binary in project.functions():
        if properties.get("CodeUri") != f"functions/{binary}/":
            yield f"{name}: CodeUri is {properties.get('CodeUri')}, and not functions/<binary>/"
        if binary_of(name) != binary:
            yield f"{name}: the Makefile would take the binary {binary_of(name)} for {binary}"
        manifest = ROOT / "functions" / binary / "Cargo.toml"
        if not manifest.is_file():
            yield f"{name}: functions/{binary}/Cargo.toml does not exist"
            continue
        cargo = tomllib.loads(manifest.read_text())
        built = {b.get("name") for b in cargo.get("bin", [])} or {cargo["package"]["name"]}
        if built != {binary}:
            yield f"{name}: functions/{binary} builds {', '.join(sorted(map(str, built)))}, not {binary}"


def binary_of(name: str) -> str:
    """What the Makefile makes of a function's logical id."""
    return re.sub(r"([a-z])([A-Z])", r"\1-\2", name.removesuffix("Function")).lower()


def packages_deployed(project: Project) -> Iterator[str]:
    times = Counter(binary for _, _, binary in project.functions())
    for manifest in sorted(ROOT.glob("functions/*/Cargo.toml")):
        package = manifest.parent.name
        if times[package] != 1:
            yield f"functions/{package} is in template.yaml {times[package]} times"


def built_once(project: Project) -> Iterator[str]:
    for name, resource in resources(project.sam, "AWS::Serverless::Function"):
        if resource.get("Metadata") != BUILD:
            yield f"{name}: with Metadata {resource.get('Metadata')} `sam build` does not use the Makefile"
    for name, resource in resources(project.translated, "AWS::Lambda::Function"):
        properties = resource["Properties"]
        found = [properties.get(key) for key in ("Runtime", "Architectures", "Handler")]
        if found != ["provided.al2023", ["arm64"], "bootstrap"]:
            yield f"{name}: {found} does not run what the Makefile builds"


def sample_parameters(project: Project) -> Iterator[str]:
    place = "samconfig.toml.example"
    environments = tomllib.loads((ROOT / place).read_text())
    parameters = project.sam["Parameters"]
    for environment in ("dev", "prod"):
        given = environments[environment]["deploy"]["parameters"]["parameter_overrides"]
        for name, _, value in (override.partition("=") for override in given):
            parameter = parameters.get(name)
            if parameter is None:
                yield f"{place}, {environment}: there is no parameter {name}"
            elif not allowed(parameter, value):
                yield f"{place}, {environment}: {name} may not be {value}"
    for name, parameter in parameters.items():
        if parameter.get("NoEcho"):
            yield f"{name} is a secret, and the stack is to know the ARN of it alone"
        # What cannot be left out keeps a stack from being made without questions.
        if not allowed(parameter, str(parameter.get("Default"))):
            yield f"{name}: its default is none of its values"


def allowed(parameter: dict[str, Any], value: str) -> bool:
    """Whether CloudFormation takes a value for a parameter."""
    values = [str(it) for it in parameter.get("AllowedValues", [value])]
    fits = value in values and re.search(parameter.get("AllowedPattern", ""), value) is not None
    if parameter["Type"] == "Number":
        number = float(value)
        fits = fits and parameter.get("MinValue", number) <= number <= parameter.get("MaxValue", number)
    return fits


def router_table(project: Project) -> Iterator[str]:
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]
    router = workspace.get("metadata", {}).get("lambda", {}).get("watch", {}).get("router", {})
    found = set()
    for path, targets in router.items():
        if isinstance(targets, str):
            yield f"{path} answers every method; write [{{ method = ..., function = ... }}]"
            continue
        found.update((f"{target['method']} {path}", target["function"]) for target in targets)
    yield from difference(found, "Cargo.toml's router table", project.routes_to_binaries())


def events(project: Project) -> Iterator[str]:
    binaries = {binary for _, _, binary in project.functions()}
    inputs = {
        binary: [schedule_input(schedule) for owner, _, schedule in project.schedules() if owner == name]
        for name, _, binary in project.functions()
    }
    for path in sorted(ROOT.glob("events/*.json")):
        if path.stem not in binaries:
            yield f"events/{path.name} belongs to no function"
    for binary in sorted(binaries):
        path = ROOT / "events" / f"{binary}.json"
        routes = {route for route, target in project.routes_to_binaries() if target == binary}
        if not path.is_file():
            yield f"events/{binary}.json does not exist"
        elif routes:
            yield from (f"{path.name}: {error}" for error in event_errors(json.loads(path.read_text()), routes))
        elif json.loads(path.read_text()) not in inputs[binary]:
            yield f"{path.name}: no schedule of {binary} has this input"


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
        yield "requestContext disagrees with routeKey or rawPath"
    length = event.get("headers", {}).get("content-length", "0")
    if length != str(len(event.get("body", "").encode())):
        yield f"content-length is {length}, the body has {len(event.get('body', '').encode())} bytes"


CHECKS = {
    "cfn-lint accepts the translation": lint,
    "every route of the API reaches its function": api_routes,
    "every route whose users have a limit has a throttle of its own": throttles,
    "API Gateway may invoke every function for its route": api_permissions,
    "every function has a route or a schedule": invocations,
    "every schedule may invoke its function, does so under no name, and repeats nothing": schedules,
    "every function is given the variables that it uses, and no others": variables,
    "every CodeUri is a binary of functions/": function_packages,
    "every package of functions/ is deployed exactly once": packages_deployed,
    "every function runs what the one workspace build leaves": built_once,
    "the sample parameters and the defaults are allowed, and no parameter is a secret": sample_parameters,
    "the router table of cargo lambda watch has the same routes": router_table,
    "every function has a sample event of its own route or schedule": events,
} | grants.CHECKS | operations.CHECKS


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
