"""The SAM template and its translation to CloudFormation, which every check reads."""

import copy
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]

# The translator resolves this parameter itself, so the checks have to set a value.
CORS_ORIGINS = "https://one.example.com,https://two.example.com"


class NoManagedPolicies:
    """Stub for the translator's request to IAM: the template names no managed policy."""

    def load(self) -> dict[str, str]:
        return {}


@dataclass
class Project:
    """The SAM template, its translation, and accessors for functions and what invokes them."""

    sam: dict[str, Any]
    translated: dict[str, Any]

    @classmethod
    def load(cls) -> "Project":
        sam = yaml_parse((ROOT / "template.yaml").read_text())
        packaged = copy.deepcopy(sam)
        for _, function in resources(packaged, "AWS::Serverless::Function"):
            # The translator accepts packaged code only, which `sam deploy` uploads to S3.
            properties = function["Properties"]
            properties["CodeUri"] = f"s3://bucket/{properties.get('CodeUri', 'missing')}"
        # The translator derives the partition from the region. It sends no request.
        os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
        return cls(sam, transform(packaged, {"CorsOrigins": CORS_ORIGINS}, NoManagedPolicies()))

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

    def schedules(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Logical id and properties of each schedule, after the logical id of its function."""
        return [
            (name, name + event_name, event["Properties"])
            for name, properties, _ in self.functions()
            for event_name, event in properties.get("Events", {}).items()
            if event["Type"] == "ScheduleV2"
        ]

    def mappings(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Logical id and properties of each event source mapping, after the logical id of its function."""
        return [
            (name, name + event_name, self.translated["Resources"][name + event_name]["Properties"])
            for name, properties, _ in self.functions()
            for event_name, event in properties.get("Events", {}).items()
            if event["Type"] == "DynamoDB"
        ]

    def pipes(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Logical id and properties of each pipe, after the logical id of the function that enriches its records."""
        return [
            (pipe["Properties"].get("Enrichment", {}).get("Fn::GetAtt", [""])[0], name, pipe["Properties"])
            for name, pipe in resources(self.translated, "AWS::Pipes::Pipe")
        ]

    def created(self, **parameters: str) -> dict[str, Any]:
        """The resources and outputs of a deployment with these parameters and the other defaults, without Fn::If."""
        defaults = {name: parameter.get("Default") for name, parameter in self.translated["Parameters"].items()}
        values = {name: str(value) for name, value in (defaults | parameters).items()}
        conditions = self.translated["Conditions"]

        def is_true(condition: Any) -> bool:
            ((kind, operands),) = condition.items()
            match kind:
                case "Condition":
                    return is_true(conditions[operands])
                case "Fn::Equals":
                    left, right = (values[it["Ref"]] if isinstance(it, dict) else str(it) for it in operands)
                    return left == right
                case "Fn::Not":
                    return not is_true(operands[0])
                case "Fn::And":
                    return all(map(is_true, operands))
                case "Fn::Or":
                    return any(map(is_true, operands))
            raise ValueError(f"unsupported condition {kind}")

        def resolve(value: Any) -> Any:
            if isinstance(value, dict) and "Fn::If" in value:
                condition, if_true, if_false = value["Fn::If"]
                return resolve(if_true if is_true(conditions[condition]) else if_false)
            if isinstance(value, dict):
                return {key: resolve(item) for key, item in value.items()}
            return [resolve(item) for item in value] if isinstance(value, list) else value

        return {
            name: resolve(item)
            for section in ("Resources", "Outputs")
            for name, item in self.translated[section].items()
            if "Condition" not in item or is_true(conditions[item["Condition"]])
        }

    def role_name(self, name: str) -> str | None:
        """Logical id of the role that a function names; None if SAM creates one."""
        role = self.sam["Resources"][name]["Properties"].get("Role", {})
        return role.get("Fn::GetAtt", [None])[0]

    def routes_to_binaries(self) -> set[tuple[str, str]]:
        """Each route with the binary of its function."""
        binaries = {name: binary for name, _, binary in self.functions()}
        return {(route, binaries[name]) for route, name in self.routes()}


def resources(template: dict[str, Any], kind: str) -> list[tuple[str, dict[str, Any]]]:
    return [(name, resource) for name, resource in template["Resources"].items() if resource["Type"] == kind]


def statements(properties: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Each statement of a role's inline policies, or of a policy resource."""
    documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
    documents += [properties["PolicyDocument"]] if "PolicyDocument" in properties else []
    for document in documents:
        yield from as_list(document["Statement"])


def references(value: Any) -> Iterator[str]:
    """The logical ids and pseudo parameters to which a value refers."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        match key, item:
            case "Ref", str():
                yield item
            case "Fn::GetAtt", [str(name), *_]:
                yield name
            case "Fn::Sub", str() | [str(), dict()]:
                text, local_names = (item, {}) if isinstance(item, str) else item
                names = {name.split(".")[0] for name in re.findall(r"\$\{([\w.:]+)}", text)}
                yield from names - local_names.keys()
                yield from references(local_names)
            case _:
                yield from references(item)


def pattern_matches(pattern: Any, value: Any) -> bool:
    """Whether an event pattern of exact values and `exists` matches, as EventBridge does. Absence is None."""
    if isinstance(pattern, list):
        return any(
            (value is not None) == item["exists"] if isinstance(item, dict) else value == item for item in pattern
        )
    members = value if isinstance(value, dict) else {}
    return all(pattern_matches(member, members.get(key)) for key, member in pattern.items())


def filter_patterns(criteria: dict[str, Any]) -> list[Any]:
    """The patterns of a FilterCriteria."""
    return [json.loads(item["Pattern"]) for item in criteria.get("Filters", [])]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
