"""Checks docs/openapi.yaml against the rest of the project, without running the API.

The description is compared with template.yaml (routes and functions), docs/ERRORS.md (error codes) and README.md (table
of endpoints). Its examples must match its schemas. The end-to-end tests and fuzz.sh compare it with the responses of
the functions.

    pip install -r tests/template/requirements.txt -r tests/openapi/requirements.txt
    python tests/openapi/check.py
"""

import importlib.util
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

ROOT = Path(__file__).resolve().parents[2]
ROUTE_PREFIX = "/api/stream"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
PROBLEM_MEDIA_TYPE = "application/problem+json"


@dataclass
class Operation:
    """One method of one path."""

    route: str
    spec: dict[str, Any]
    parameters: list[dict[str, Any]]

    @property
    def name(self) -> str:
        return self.spec.get("operationId", self.route)


@dataclass
class ApiDescription:
    """The OpenAPI description, with its references resolved."""

    contents: dict[str, Any]

    @classmethod
    def load(cls) -> "ApiDescription":
        return cls(yaml.safe_load((ROOT / "docs/openapi.yaml").read_text()))

    def resolve(self, value: Any) -> Any:
        """The target of a reference; any other value is returned unchanged."""
        while isinstance(value, dict) and "$ref" in value:
            target: Any = self.contents
            for name in value["$ref"].removeprefix("#/").split("/"):
                target = target[name]
            value = target
        return value

    @cached_property
    def operations(self) -> list[Operation]:
        return [
            Operation(
                f"{method.upper()} {path}",
                item[method],
                [self.resolve(it) for it in item.get("parameters", []) + item[method].get("parameters", [])],
            )
            for path, item in self.contents["paths"].items()
            for method in METHODS
            if method in item
        ]

    def bodies(self, operation: Operation) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Each body: `request` or the status of the response, the media type, and the media type object."""
        containers = {"request": operation.spec.get("requestBody", {}), **operation.spec["responses"]}
        for location, container in containers.items():
            for media_type, media in self.resolve(container).get("content", {}).items():
                yield location, media_type, media

    def error_table(self) -> dict[str, tuple[int, str]]:
        """Status and title of each error code."""
        problem = self.contents["components"]["schemas"]["Problem"]
        rows = [row["properties"] for row in problem["dependentSchemas"]["code"]["oneOf"]]
        return {row["code"]["const"]: (row["status"]["const"], row["title"]["const"]) for row in rows}

    def examples(self, container: dict[str, Any]) -> list[Any]:
        """The examples of a parameter or a body."""
        named_examples = [self.resolve(example)["value"] for example in container.get("examples", {}).values()]
        return named_examples + ([container["example"]] if "example" in container else [])

    def schema_errors(self, schema: dict[str, Any], value: Any) -> Iterator[str]:
        """The validation errors of a value under a schema of the description."""
        # References are relative to the root of the schema, so it needs the components.
        root = {**schema, "components": self.contents["components"]}
        for error in Draft202012Validator(root).iter_errors(value):
            yield f"{error.json_path}: {error.message:.200}"


def allowed_codes(schema: dict[str, Any]) -> list[str]:
    """The error codes that the schema of a problem allows."""
    parts = [part.get("properties", {}).get("code", {}).get("enum", []) for part in schema.get("allOf", [])]
    return [code for part in parts for code in part]


def load_template_check() -> ModuleType:
    """Imports tests/template/check.py, which reads template.yaml."""
    folder = ROOT / "tests/template"
    # check.py imports its neighbours by their names.
    sys.path.append(str(folder))
    spec = importlib.util.spec_from_file_location("template_check", folder / "check.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def spec_is_valid(document: ApiDescription) -> Iterator[str]:
    for error in OpenAPIV31SpecValidator(document.contents).iter_errors():
        location = "/".join(str(part) for part in getattr(error, "absolute_path", []))
        yield f"{location}: {str(getattr(error, 'message', error)):.200}"


def version(document: ApiDescription) -> Iterator[str]:
    expected = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    found = document.contents["info"]["version"]
    if found != expected:
        yield f"info.version is {found}, Cargo.toml has {expected}"


def routes(document: ApiDescription) -> Iterator[str]:
    check = load_template_check()
    found = {(operation.route, operation.name) for operation in document.operations}
    yield from check.route_differences(found, "docs/openapi.yaml", check.Project.load().routes_to_binaries())
    for name in sorted(name for _, name in found):
        if not (ROOT / "functions" / name / "Cargo.toml").is_file():
            yield f"functions/{name} does not exist"


def error_table(document: ApiDescription) -> Iterator[str]:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (.*?) \|", (ROOT / "docs/ERRORS.md").read_text(), re.MULTILINE)
    expected = {code: (int(status), title) for code, status, title in rows}
    found = document.error_table()
    for code in sorted(expected.keys() | found.keys()):
        if expected.get(code) != found.get(code):
            yield f"{code}: {found.get(code, 'missing')} here, {expected.get(code, 'missing')} in ERRORS.md"
    schemas = document.contents["components"]["schemas"]
    # The problem of this code has a field of its own.
    other_codes = [code for code in found if code != "invalid_body"]
    for name, listed in (("ErrorCode", list(found)), ("OtherErrorCode", other_codes)):
        if schemas[name]["enum"] != listed:
            yield f"{name} does not list the codes of the table, in its order"


def codes(document: ApiDescription) -> Iterator[str]:
    table = document.error_table()
    unused = set(table)
    for operation in document.operations:
        for status, media_type, media in document.bodies(operation):
            if media_type != PROBLEM_MEDIA_TYPE:
                continue
            found = allowed_codes(media["schema"])
            unused -= set(found)
            if not found:
                yield f"{operation.name} {status}: the schema allows any code"
            for code in found:
                if str(table.get(code, ("none",))[0]) != status:
                    yield f"{operation.name} {status}: {code} has another status"
    yield from (f"{code}: no operation returns it" for code in sorted(unused))


def examples(document: ApiDescription) -> Iterator[str]:
    for operation in document.operations:
        containers = [(f"{location} {media_type}", media) for location, media_type, media in document.bodies(operation)]
        containers += [(parameter["name"], parameter) for parameter in operation.parameters]
        for location, container in containers:
            values = document.examples(container)
            if not values:
                yield f"{operation.name} {location}: no example"
            for value in values:
                for error in document.schema_errors(container["schema"], value):
                    yield f"{operation.name} {location}: {error}"
    for name, schema in document.contents["components"]["schemas"].items():
        for value in schema.get("examples", []):
            yield from (f"{name}: {error}" for error in document.schema_errors(schema, value))


def objects_are_closed(document: ApiDescription) -> Iterator[str]:
    visited: set[tuple[int, bool]] = set()

    def has_closing_keyword(schema: Any) -> bool:
        schema = document.resolve(schema)
        is_closed = schema.get("additionalProperties") is False or schema.get("unevaluatedProperties") is False
        return is_closed or any(has_closing_keyword(part) for part in schema.get("allOf", []))

    def walk(location: str, schema: Any, is_closed: bool) -> Iterator[str]:
        if not isinstance(schema, dict):
            return
        if "$ref" in schema:
            yield from walk(schema["$ref"].rpartition("/")[2], document.resolve(schema), is_closed)
        if (id(schema), is_closed) in visited:
            return
        visited.add((id(schema), is_closed))
        is_closed = is_closed or has_closing_keyword(schema)
        is_object = "properties" in schema or "object" in str(schema.get("type"))
        additional = schema.get("additionalProperties")
        if is_object and not is_closed and additional is not True and not isinstance(additional, dict):
            yield f"{location}: additionalProperties is neither forbidden nor allowed"
        # Fields of any name whose values have a schema.
        yield from walk(f"{location}.*", additional, False)
        for keyword in ("allOf", "anyOf", "oneOf"):
            for part in schema.get(keyword, []):
                yield from walk(location, part, is_closed)
        for keyword in ("if", "then", "else"):
            yield from walk(location, schema.get(keyword), is_closed)
        for name, part in schema.get("properties", {}).items():
            yield from walk(f"{location}.{name}", part, False)
        yield from walk(f"{location}[]", schema.get("items"), False)

    for operation in document.operations:
        for location, _, media in document.bodies(operation):
            yield from walk(f"{operation.name} {location}", media["schema"], False)


def components(document: ApiDescription) -> Iterator[str]:
    text = json.dumps(document.contents)
    used = set(re.findall(r'"\$ref": "#/components/(\w+/\w+)"', text))
    for kind, members in document.contents["components"].items():
        for name in members:
            if kind != "securitySchemes" and f"{kind}/{name}" not in used:
                yield f"components/{kind}/{name} is not referenced"


def readme_table(document: ApiDescription) -> Iterator[str]:
    rows = re.findall(r"^\| `([A-Z]+ /\S+)` \| (.*?) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    documented_routes = dict(rows)
    found = {operation.route.replace(ROUTE_PREFIX, "", 1): operation for operation in document.operations}
    for route in sorted(found.keys() - documented_routes.keys()):
        yield f"README.md does not list {route}"
    for route in sorted(documented_routes.keys() - found.keys()):
        yield f"README.md lists {route}, which is not an operation"
    for route in sorted(found.keys() & documented_routes.keys()):
        operation = found[route]
        names = [parameter["name"] for parameter in operation.parameters if parameter["in"] != "path"]
        for location, _, media in document.bodies(operation):
            schema = document.resolve(media["schema"])
            # The fields of Stream's webhook events are not listed.
            if location == "request" and schema.get("additionalProperties") is not True:
                names += schema["properties"]
        for name in names:
            if name not in re.findall(r"[\w-]+", documented_routes[route]):
                yield f"README.md does not list {name} of {route}"


CHECKS = {
    "docs/openapi.yaml is valid OpenAPI 3.1": spec_is_valid,
    "its version is that of the workspace": version,
    "its operations are the routes of template.yaml, with the function as operationId": routes,
    "its error table and its enumerations of codes match docs/ERRORS.md": error_table,
    "every error code is returned by an operation, under its own status": codes,
    "every parameter, request and response has an example, and every example is valid": examples,
    "every object forbids additional properties, or allows them explicitly": objects_are_closed,
    "every component is referenced": components,
    "the table of README.md lists every operation with its fields": readme_table,
}


def main() -> int:
    try:
        document = ApiDescription.load()
    except yaml.YAMLError as error:
        print(f"FAIL docs/openapi.yaml is YAML\n     {error}")
        return 1
    failed = False
    for title, check in CHECKS.items():
        errors = list(check(document))
        failed = failed or bool(errors)
        print("FAIL" if errors else "ok  ", title)
        for error in errors:
            print(f"     {error}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
