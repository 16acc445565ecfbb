"""Checks what CloudFormation and API Gateway would make of template.yaml, without an account.

Linting the SAM file is not enough: errors under Globals pass it, and nothing in it says whether a
route reaches the right function. So the template is translated first, and the translation is
compared with everything else that names a function: functions/, events/ and the router table of
`cargo lambda watch`.

    pip install -r tests/template/requirements.txt
    python tests/template/check.py
"""

import copy
import json
import os
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cfnlint.api
from samtranslator.public.exceptions import InvalidDocumentException
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]

# What SAM attaches to every role so that the function can write its log.
LOG_POLICY = "service-role/AWSLambdaBasicExecutionRole"


class NoManagedPolicies:
    """Stands in for a call to IAM: the template names no managed policy."""

    def load(self) -> dict[str, str]:
        return {}


@dataclass
class Project:
    """The template before and after its translation, and what it says about functions."""

    sam: dict[str, Any]
    translated: dict[str, Any]

    @classmethod
    def load(cls) -> "Project":
        sam = yaml_parse((ROOT / "template.yaml").read_text())
        packaged = copy.deepcopy(sam)
        for _, function in resources(packaged, "AWS::Serverless::Function"):
            # The translator takes packaged code only, as `sam deploy` hands it over.
            properties = function["Properties"]
            properties["CodeUri"] = f"s3://bucket/{properties.get('CodeUri', 'missing')}"
        # The translator only tells partitions apart by it; nothing is sent anywhere.
        os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
        return cls(sam, transform(packaged, {}, NoManagedPolicies()))

    def functions(self) -> Iterator[tuple[str, dict[str, Any], str]]:
        """Logical id, properties and binary of each function."""
        for name, resource in resources(self.sam, "AWS::Serverless::Function"):
            properties = resource["Properties"]
            yield name, properties, Path(properties.get("CodeUri", "")).name

    def routes(self) -> list[tuple[str, str]]:
        """Each route, such as `POST /api/stream/token`, with the logical id of its function."""
        return [
            (f"{event['Properties'].get('Method', 'ANY').upper()} {event['Properties'].get('Path')}", name)
            for name, properties, _ in self.functions()
            for event in properties.get("Events", {}).values()
            if event["Type"] == "HttpApi"
        ]

    def routes_to_binaries(self) -> set[tuple[str, str]]:
        binaries = {name: binary for name, _, binary in self.functions()}
        return {(route, binaries[name]) for route, name in self.routes()}


def resources(template: dict[str, Any], kind: str) -> list[tuple[str, dict[str, Any]]]:
    return [(n, r) for n, r in template["Resources"].items() if r["Type"] == kind]


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


def function_packages(project: Project) -> Iterator[str]:
    for name, properties, binary in project.functions():
        if properties.get("CodeUri") != f"target/lambda/{binary}/":
            yield f"{name}: CodeUri is {properties.get('CodeUri')}, cargo-lambda builds target/lambda/<binary>/"
        manifest = ROOT / "functions" / binary / "Cargo.toml"
        if not manifest.is_file():
            yield f"{name}: functions/{binary}/Cargo.toml does not exist"
            continue
        cargo = tomllib.loads(manifest.read_text())
        built = {b.get("name") for b in cargo.get("bin", [])} or {cargo["package"]["name"]}
        if built != {binary}:
            yield f"{name}: functions/{binary} builds {', '.join(sorted(map(str, built)))}, not {binary}"


def packages_deployed(project: Project) -> Iterator[str]:
    times = Counter(binary for _, _, binary in project.functions())
    for manifest in sorted(ROOT.glob("functions/*/Cargo.toml")):
        package = manifest.parent.name
        if times[package] != 1:
            yield f"functions/{package} is in template.yaml {times[package]} times"


def built_once(project: Project) -> Iterator[str]:
    for name, resource in resources(project.sam, "AWS::Serverless::Function"):
        if resource.get("Metadata", {}).get("SkipBuild") is not True:
            yield f"{name}: without Metadata SkipBuild, `sam build` tries to build it"
    for name, resource in resources(project.translated, "AWS::Lambda::Function"):
        properties = resource["Properties"]
        found = [properties.get(key) for key in ("Runtime", "Architectures", "Handler")]
        if found != ["provided.al2023", ["arm64"], "bootstrap"]:
            yield f"{name}: {found} does not run what `cargo lambda build --arm64` leaves"


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


def policies(project: Project) -> Iterator[str]:
    for name, resource in project.translated["Resources"].items():
        properties = resource.get("Properties", {})
        for arn in properties.get("ManagedPolicyArns", []):
            if not json.dumps(arn).strip('"').endswith(LOG_POLICY):
                yield f"{name}: managed policy {arn}"
        documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        documents += [properties["PolicyDocument"]] if "PolicyDocument" in properties else []
        for statement in (s for document in documents for s in as_list(document["Statement"])):
            for key in ("NotAction", "NotResource"):
                if key in statement:
                    yield f"{name}: {key} grants everything else"
            for key in ("Action", "Resource"):
                # Written out, so that a wildcard inside Fn::Sub or Fn::Join is seen too.
                for value in map(json.dumps, as_list(statement.get(key, []))):
                    if "*" in value:
                        yield f"{name}: {key} {value}"


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


CHECKS = {
    "cfn-lint accepts the translation": lint,
    "every route of the API reaches its function": api_routes,
    "API Gateway may invoke every function for its route": api_permissions,
    "every CodeUri is a binary of functions/": function_packages,
    "every package of functions/ is deployed exactly once": packages_deployed,
    "every function runs what the one workspace build leaves": built_once,
    "the router table of cargo lambda watch has the same routes": router_table,
    "every function has a sample event of its own route": events,
    "no policy has a wildcard": policies,
}


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
