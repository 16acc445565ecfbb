"""The SAM template and its translation to CloudFormation, which every check reads."""

import copy
import os
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
    """The SAM template, its translation, and accessors for functions, routes and schedules."""

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


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
