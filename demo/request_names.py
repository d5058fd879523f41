"""Which AWS operation is this HTTP request? Answered from the service models that botocore carries.

The stand-in account needs the name of every call for its CloudTrail and for the faults that tests ask for. Query and JSON protocols
carry the name; REST protocols hide it in method, path and query, so the request is matched against the model's URI templates and the
most specific template wins.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from typing import Any
from urllib.parse import parse_qsl, unquote

import botocore.exceptions
import botocore.session

# Signing names that differ from botocore's name for the service.
BY_SIGNING_NAME = {
    "elasticloadbalancing": "elbv2",
    "monitoring": "cloudwatch",
    "email": "ses",
    "states": "stepfunctions",
    "tagging": "resourcegroupstaggingapi",
}

# S3 calls on objects are data events; CloudTrail's event history holds management events only.
S3_DATA_EVENTS = re.compile(r"Object|Multipart|^UploadPart|^ListParts|^SelectObject")


@dataclasses.dataclass
class Call:
    service: str  # signing name, as in ec2.amazonaws.com
    region: str
    access_key_id: str
    action: str
    protocol: str  # ec2, query, json, rest-json, rest-xml
    parameters: dict

    @property
    def read_only(self) -> bool:
        return bool(re.match(r"(Get|List|Describe|Lookup|Head|BatchGet|Search|Query|Scan|Check|Verify)", self.action))

    @property
    def management(self) -> bool:
        return not (self.service == "s3" and S3_DATA_EVENTS.search(self.action))


def name_call(method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> Call | None:
    """The call, or None where the request carries no signature scope (then it is nobody's call)."""
    scope = re.search(r"Credential=([^/,\s]+)/\d+/([^/]+)/([^/]+)/aws4_request", headers.get("authorization", ""))
    if not scope:
        return None
    key, region, service = scope.groups()
    target = headers.get("x-amz-target")
    if target:
        return Call(service, region, key, target.rsplit(".", 1)[-1], "json", _lower(_json(body)))
    form = dict(parse_qsl(query, keep_blank_values=True))
    if "x-www-form-urlencoded" in headers.get("content-type", ""):
        form |= dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    if "Action" in form and "Version" in form:
        protocol = "ec2" if service == "ec2" else "query"
        return Call(service, region, key, form["Action"], protocol, _nested(form))
    model_name = "s3control" if service == "s3" and path.startswith("/v20180820/") else BY_SIGNING_NAME.get(service, service)
    found = _match_rest(model_name, method, path, query, headers)
    if not found:
        return Call(service, region, key, f"{method} {path}", "rest-json", {})
    action, protocol, parameters = found
    if protocol == "rest-json":
        parameters |= _lower(_json(body))
    return Call(service, region, key, action, protocol, parameters)


@functools.cache
def _templates(service: str) -> tuple[str, list[tuple]]:
    try:
        model = botocore.session.get_session().get_service_model(service)
    except (botocore.exceptions.UnknownServiceError, botocore.exceptions.DataNotFoundError):
        return "rest-json", []
    rows = []
    for name in model.operation_names:
        operation = model.operation_model(name)
        uri, _, fixed = operation.http["requestUri"].partition("?")
        labels = re.findall(r"\{(\w+)\+?\}", uri)
        pattern = re.sub(r"\\\{(\w+)(\\\+)?\\\}", lambda m: f"(?P<{m[1]}>.+)" if m[2] else f"(?P<{m[1]}>[^/]+)", re.escape(uri))
        needs_query = dict(parse_qsl(fixed, keep_blank_values=True))
        needs_query.pop("x-id", None)
        needs_header = set()
        shape = operation.input_shape
        for member in shape.required_members if shape is not None else []:
            place = shape.members[member].serialization
            if place.get("location") == "querystring":
                needs_query.setdefault(place["name"], None)
            elif place.get("location") == "header":
                needs_header.add(place["name"].lower())
        literal = len(re.sub(r"\{[^}]*\}", "", uri))
        rows.append(
            (
                operation.http["method"],
                re.compile(pattern + "/?$"),
                needs_query,
                needs_header,
                (len(needs_query) + len(needs_header), literal),
                name,
                labels,
            )
        )
    rows.sort(key=lambda row: row[4], reverse=True)
    return model.metadata.get("protocol", "rest-json"), rows


def _match_rest(service: str, method: str, path: str, query: str, headers: dict[str, str]) -> tuple[str, str, dict] | None:
    given = dict(parse_qsl(query, keep_blank_values=True))
    protocol, rows = _templates(service)
    for wanted, pattern, needs_query, needs_header, _, name, labels in rows:
        if wanted != method or not needs_header <= headers.keys():
            continue
        if any(key not in given or (value and given[key] != value) for key, value in needs_query.items()):
            continue
        match = pattern.match(path)
        if match:
            parameters = {_first_lower(label): unquote(match.group(label)) for label in labels}
            parameters |= {key: value for key, value in given.items() if key != "x-id" and value}
            return name, protocol, parameters
    return None


def _json(body: bytes) -> dict:
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _first_lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def _lower(value: Any) -> Any:
    if isinstance(value, dict):
        return {_first_lower(key): _lower(inner) for key, inner in value.items()}
    return [_lower(inner) for inner in value] if isinstance(value, list) else value


def _nested(form: dict[str, str]) -> dict:
    """`InstanceId.1=i-1&Filter.1.Name=x` as nested objects with CloudTrail's lower first letters; numbered members become lists."""
    root: dict = {}
    for key, value in form.items():
        if key in ("Action", "Version"):
            continue
        place = root
        *parents, last = [_first_lower(part) for part in key.split(".") if part not in ("member", "entry")]
        for part in parents:
            inner = place.setdefault(part, {})
            place = inner if isinstance(inner, dict) else {}
        place[last] = value

    def lists(node: Any) -> Any:
        if not isinstance(node, dict):
            return node
        if node and all(key.isdigit() for key in node):
            return [lists(node[key]) for key in sorted(node, key=int)]
        return {key: lists(inner) for key, inner in node.items()}

    return lists(root)
