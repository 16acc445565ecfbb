"""Checks docs/openapi.yaml against everything else that says what the API is, without running it.

Whether the functions answer as it says is for the end-to-end tests and for fuzz.sh. Here it is compared with
template.yaml (its routes and their functions), docs/ERRORS.md (its codes) and README.md (its table of endpoints), and
with itself: its examples have to fit.

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
PREFIX = "/api/stream"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
PROBLEM = "application/problem+json"


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
class Document:
    """The description, and how its references are followed."""

    contents: dict[str, Any]

    @classmethod
    def load(cls) -> "Document":
        return cls(yaml.safe_load((ROOT / "docs/openapi.yaml").read_text()))

    def follow(self, value: Any) -> Any:
        """What a reference stands for; anything else is itself."""
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
                [self.follow(it) for it in item.get("parameters", []) + item[method].get("parameters", [])],
            )
            for path, item in self.contents["paths"].items()
            for method in METHODS
            if method in item
        ]

    def bodies(self, operation: Operation) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Each body of a request or an answer: where it stands, its media type, and what is said of it."""
        holders = {"request": operation.spec.get("requestBody", {}), **operation.spec["responses"]}
        for place, holder in holders.items():
            for media_type, media in self.follow(holder).get("content", {}).items():
                yield place, media_type, media

    def error_table(self) -> dict[str, tuple[int, str]]:
        """Status and title of each code."""
        rows = [row["properties"] for row in self.contents["components"]["schemas"]["ErrorTable"]["oneOf"]]
        return {row["code"]["const"]: (row["status"]["const"], row["title"]["const"]) for row in rows}

    def examples(self, holder: dict[str, Any]) -> list[Any]:
        """The examples of a parameter or of a body."""
        named = [self.follow(it)["value"] for it in holder.get("examples", {}).values()]
        return named + ([holder["example"]] if "example" in holder else [])

    def misfits(self, schema: dict[str, Any], value: Any) -> Iterator[str]:
        """Why a value does not fit a schema of the document."""
        # The references of a schema lead from its root into the components.
        root = {**schema, "components": self.contents["components"]}
        for error in Draft202012Validator(root).iter_errors(value):
            yield f"{error.json_path}: {error.message:.200}"


def codes_of(schema: dict[str, Any]) -> list[str]:
    """The codes that a problem's schema allows."""
    parts = [part.get("properties", {}).get("code", {}).get("enum", []) for part in schema.get("allOf", [])]
    return [code for part in parts for code in part]


def template_check() -> ModuleType:
    """tests/template/check.py, which reads template.yaml."""
    folder = ROOT / "tests/template"
    # It is in several files, which find one another by their names.
    sys.path.append(str(folder))
    spec = importlib.util.spec_from_file_location("template_check", folder / "check.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def valid(document: Document) -> Iterator[str]:
    for error in OpenAPIV31SpecValidator(document.contents).iter_errors():
        place = "/".join(str(part) for part in getattr(error, "absolute_path", []))
        yield f"{place}: {str(getattr(error, 'message', error)):.200}"


def version(document: Document) -> Iterator[str]:
    wanted = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    found = document.contents["info"]["version"]
    if found != wanted:
        yield f"info.version is {found}, Cargo.toml has {wanted}"


def routes(document: Document) -> Iterator[str]:
    check = template_check()
    found = {(operation.route, operation.name) for operation in document.operations}
    yield from check.difference(found, "docs/openapi.yaml", check.Project.load().routes_to_binaries())
    for name in sorted(name for _, name in found):
        if not (ROOT / "functions" / name / "Cargo.toml").is_file():
            yield f"functions/{name} does not exist"


def error_table(document: Document) -> Iterator[str]:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (.*?) \|", (ROOT / "docs/ERRORS.md").read_text(), re.MULTILINE)
    wanted = {code: (int(status), title) for code, status, title in rows}
    found = document.error_table()
    for code in sorted(wanted.keys() | found.keys()):
        if wanted.get(code) != found.get(code):
            yield f"{code}: {found.get(code, 'missing')} here, {wanted.get(code, 'missing')} in ERRORS.md"


def codes(document: Document) -> Iterator[str]:
    table = document.error_table()
    unused = set(table)
    for operation in document.operations:
        for status, media_type, media in document.bodies(operation):
            if media_type != PROBLEM:
                continue
            found = codes_of(media["schema"])
            unused -= set(found)
            if not found:
                yield f"{operation.name} {status}: any code may come"
            for code in found:
                if str(table.get(code, ("none",))[0]) != status:
                    yield f"{operation.name} {status}: {code} is no code of this status"
    yield from (f"{code}: no operation answers it" for code in sorted(unused))


def examples(document: Document) -> Iterator[str]:
    for operation in document.operations:
        holders = [(f"{place} {media_type}", media) for place, media_type, media in document.bodies(operation)]
        holders += [(parameter["name"], parameter) for parameter in operation.parameters]
        for place, holder in holders:
            values = document.examples(holder)
            if not values:
                yield f"{operation.name} {place}: there is no example"
            for value in values:
                for misfit in document.misfits(holder["schema"], value):
                    yield f"{operation.name} {place}: {misfit}"
    for name, schema in document.contents["components"]["schemas"].items():
        for value in schema.get("examples", []):
            yield from (f"{name}: {misfit}" for misfit in document.misfits(schema, value))


def closed(document: Document) -> Iterator[str]:
    seen: set[tuple[int, bool]] = set()

    def closes(schema: Any) -> bool:
        schema = document.follow(schema)
        own = schema.get("additionalProperties") is False or schema.get("unevaluatedProperties") is False
        return own or any(closes(part) for part in schema.get("allOf", []))

    def walk(place: str, schema: Any, covered: bool) -> Iterator[str]:
        if not isinstance(schema, dict):
            return
        if "$ref" in schema:
            yield from walk(schema["$ref"].rpartition("/")[2], document.follow(schema), covered)
        if (id(schema), covered) in seen:
            return
        seen.add((id(schema), covered))
        covered = covered or closes(schema)
        is_object = "properties" in schema or "object" in str(schema.get("type"))
        others = schema.get("additionalProperties")
        if is_object and not covered and others is not True and not isinstance(others, dict):
            yield f"{place}: other fields are neither refused nor allowed"
        # Fields of any name, each of which is described.
        yield from walk(f"{place}.*", others, False)
        for keyword in ("allOf", "anyOf", "oneOf"):
            for part in schema.get(keyword, []):
                yield from walk(place, part, covered)
        for keyword in ("if", "then", "else"):
            yield from walk(place, schema.get(keyword), covered)
        for name, part in schema.get("properties", {}).items():
            yield from walk(f"{place}.{name}", part, False)
        yield from walk(f"{place}[]", schema.get("items"), False)

    for operation in document.operations:
        for place, _, media in document.bodies(operation):
            yield from walk(f"{operation.name} {place}", media["schema"], False)


def components(document: Document) -> Iterator[str]:
    text = json.dumps(document.contents)
    used = set(re.findall(r'"\$ref": "#/components/(\w+/\w+)"', text))
    for kind, members in document.contents["components"].items():
        for name in members:
            if kind != "securitySchemes" and f"{kind}/{name}" not in used:
                yield f"components/{kind}/{name} is used nowhere"


def readme(document: Document) -> Iterator[str]:
    rows = re.findall(r"^\| `([A-Z]+ /\S+)` \| (.*?) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    asked = dict(rows)
    found = {operation.route.replace(PREFIX, "", 1): operation for operation in document.operations}
    yield from (f"README.md has no {route}" for route in sorted(found.keys() - asked.keys()))
    yield from (f"README.md has {route}, which there is not" for route in sorted(asked.keys() - found.keys()))
    for route in sorted(found.keys() & asked.keys()):
        operation = found[route]
        names = [parameter["name"] for parameter in operation.parameters if parameter["in"] != "path"]
        for place, _, media in document.bodies(operation):
            schema = document.follow(media["schema"])
            # Stream's events have fields of Stream's.
            if place == "request" and schema.get("additionalProperties") is not True:
                names += schema["properties"]
        for name in names:
            if name not in re.findall(r"[\w-]+", asked[route]):
                yield f"README.md does not say that {route} takes {name}"


CHECKS = {
    "docs/openapi.yaml is OpenAPI 3.1": valid,
    "its version is the workspace's": version,
    "its operations are the routes of template.yaml, each with the name of its function": routes,
    "its table of errors is that of docs/ERRORS.md": error_table,
    "every operation answers codes of that table, each under its own status, and every code is answered": codes,
    "every parameter, request and answer has an example, and every example fits": examples,
    "every object refuses other fields, or says that it allows them": closed,
    "every component is used": components,
    "README.md's table has every operation, with everything that it takes": readme,
}


def main() -> int:
    try:
        document = Document.load()
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
