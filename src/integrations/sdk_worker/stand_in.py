"""What the answers of a stand-in account (moto, LocalStack ...) need to look as AWS's own look in a history.

Used only where an endpoint is configured; what AWS itself answers is passed on as it came. A stand-in differs in what nobody
programs against, but what a history shows: the headers of its own server (AWS's front ends keep the connection alive and show neither
server nor CORS headers; DynamoDB's name themselves "Server"), request ids that are no UUID (a name-based UUID of the foreign id
takes its place: the same answer has the same id), bodies with other white space, and with it another length (AWS's JSON services write
no blanks; the query protocol indents by two), and consumed capacity that nobody asked DynamoDB for. Stand-ins also check less: what
breaks a constraint of the service's model (length, pattern) is refused here in the words of AWS's JSON services, before it is sent. A topic
that SNS does not have is called so: a stand-in may look for an endpoint of its name, too, and miss that one.

S3 has request ids of another kind and is left alone.
"""

from __future__ import annotations

import json
import re
import uuid
import xml.etree.ElementTree as xml
import zlib
from typing import Any
from xml.sax.saxutils import escape

# Of the stand-in's connection and server, not of the service.
FOREIGN_HEADERS = ("connection", "keep-alive", "server", "transfer-encoding", "access-control-allow-origin")
FRONT_ENDS = {"dynamodb": {"server": "Server", "connection": "keep-alive"}}
FRONT_END = {"connection": "keep-alive"}

# Character classes with one repetition: those a regular expression of Python reads as Java does, in linear time.
SIMPLE_PATTERN = re.compile(r"\^?\[[^\[\]\\&]+\][+*]\$?")
VIOLATIONS_MAX = 10


def adapt(client: Any, service: str) -> None:
    """From now on the answers of this client, errors too, look as AWS's."""

    def note(params: dict, context: dict, **_: Any) -> None:
        context["capacity_is_asked"] = params.get("ReturnConsumedCapacity", "NONE") != "NONE"
        context["names_topic"] = service == "sns" and bool(params.get("TopicArn"))

    def polish(model: Any, http_response: Any, parsed: dict, context: dict, **_: Any) -> None:
        protocol = model.service_model.resolved_protocol
        if protocol == "rest-xml":
            return
        unasked = ("ConsumedCapacity",) if service == "dynamodb" and not context.get("capacity_is_asked") else ()
        for name in unasked:
            parsed.pop(name, None)
        error = parsed.get("Error", {})
        if context.get("names_topic") and error.get("Code") in ("NotFound", "NotFoundException"):
            error["Message"] = "Topic does not exist"
        metadata = parsed.setdefault("ResponseMetadata", {})
        headers = metadata.get("HTTPHeaders", {})
        found = metadata.get("RequestId") or headers.get("x-amzn-requestid", "")
        request_id = as_uuid(found) if found else str(uuid.uuid4())
        headers = {name: value for name, value in headers.items() if name not in FOREIGN_HEADERS}
        headers |= FRONT_ENDS.get(service, FRONT_END) | {"x-amzn-requestid": request_id}
        if "content-length" in headers and not model.has_streaming_output:
            if protocol in ("json", "rest-json"):
                body = json_body(http_response.content, unasked)
                headers["content-length"] = str(len(body))
                if "x-amz-crc32" in headers:
                    headers["x-amz-crc32"] = str(zlib.crc32(body))
            elif protocol == "query":
                headers["content-length"] = str(xml_size(http_response.content, request_id))
        metadata |= {"HTTPHeaders": headers, "RequestId": request_id}

    client.meta.events.register("before-parameter-build", note)
    client.meta.events.register("after-call", polish)


def as_uuid(request_id: str) -> str:
    try:
        return str(uuid.UUID(request_id))
    except ValueError:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, request_id))


def json_body(body: bytes, without: tuple[str, ...] = ()) -> bytes:
    """AWS's text of the same answer."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return body
    if isinstance(value, dict):
        value = {name: inner for name, inner in value.items() if name not in without}
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def xml_size(body: bytes, request_id: str) -> int:
    """How long AWS's text of the same answer is."""
    try:
        return _xml_size(xml.fromstring(body), 0, request_id)
    except xml.ParseError:
        return len(body)


def _xml_size(element: Any, depth: int, request_id: str) -> int:
    namespace, _, name = element.tag.rpartition("}")
    space = f' xmlns="{namespace[1:]}"' if namespace and not depth else ""
    tags = len(f"<{name}{space}></{name}>\n".encode())
    if not len(element):
        text = request_id if name == "RequestId" else (element.text or "").strip()
        return 2 * depth + tags + len(escape(text).encode())
    return 4 * depth + tags + 1 + sum(_xml_size(child, depth + 1, request_id) for child in element)


def violations(arguments: dict, operation: Any) -> list[str]:
    """The sentences of AWS's validation error; empty for services that word it in ways of their own."""
    found: list[str] = []
    if operation.input_shape is not None and operation.service_model.resolved_protocol == "json":
        _check_members(arguments, operation.input_shape, operation.service_model, "", found)
    return found[:VIOLATIONS_MAX]


def _check_members(value: dict, shape: Any, model: Any, path: str, found: list[str]) -> None:
    for name, member in shape.members.items():
        if name not in value:
            continue
        # A member that takes a name or an ARN is modelled as the ARN; what is no ARN has to be a name.
        if member.name == name.removesuffix("Name") + "Arn" and name in model.shape_names and not str(value[name]).startswith("arn:"):
            member = model.shape_for(name)
        _check(value[name], member, model, f"{path}{name[:1].lower()}{name[1:]}", found)


def _check(value: Any, shape: Any, model: Any, path: str, found: list[str]) -> None:
    kind = shape.type_name
    if len(found) >= VIOLATIONS_MAX or getattr(shape, "is_document_type", False):
        return
    if kind == "structure":
        _check_members(value, shape, model, path + ".", found)
    elif kind == "list":
        _check_length(value, shape, path, found)
        for number, inner in enumerate(value, 1):
            _check(inner, shape.member, model, f"{path}.{number}.member", found)
    elif kind == "map":
        _check_length(value, shape, path, found)
        for key, inner in value.items():
            _check(inner, shape.value, model, f"{path}.{key}.member", found)
    elif kind == "string":
        _check_length(value, shape, path, found)
        pattern = shape.metadata.get("pattern", "")
        if SIMPLE_PATTERN.fullmatch(pattern) and not re.fullmatch(pattern, value):
            found.append(_sentence(value, shape, path, f"satisfy regular expression pattern: {pattern}"))


def _check_length(value: Any, shape: Any, path: str, found: list[str]) -> None:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and len(value) < least:
        found.append(_sentence(value, shape, path, f"have length greater than or equal to {least}"))
    if most is not None and len(value) > most:
        found.append(_sentence(value, shape, path, f"have length less than or equal to {most}"))


def _sentence(value: Any, shape: Any, path: str, rule: str) -> str:
    shown = "" if shape.metadata.get("sensitive") else f"'{str(value)[:2048]}' "
    return f"Value {shown}at '{path}' failed to satisfy constraint: Member must {rule}"
