"""How Step Functions spells AWS calls, derived from the service models that botocore carries.

Step Functions speaks through two generations of the AWS SDK for Java, and each leaves its mark on names:

* `aws-sdk:` integrations use version 2: member `DBInstanceIdentifier` is written `DbInstanceIdentifier`, service `DynamoDB` is
  `DynamoDb`, an error shape `NoSuchBucket` is `NoSuchBucketException`, times are ISO-8601 text.
* the optimised integrations (`sqs:sendMessage`, ...) use version 1: members keep the model's spelling with a capital first letter
  (`MD5OfMessageBody`), times are milliseconds since 1970.

Values follow what recordings of Step Functions show: where the model wants text, or bytes, any JSON is accepted and its JSON text is
sent; `null` is the same as leaving the member out; bytes come back as text. A member that the model does not know is refused with the
words Step Functions uses. Nothing here knows a single service by name; everything is read from the model.
"""

from __future__ import annotations

import base64
import datetime
import json
import re
from typing import Any

DEPTH_MAX = 100
BLOB_BYTES_MAX = 8 * 1024 * 1024


class BadParameter(Exception):
    """One or more parameters cannot be sent; the messages are those that AWS puts between brackets."""

    def __init__(self, *messages: str):
        super().__init__(", ".join(messages))
        self.messages = list(messages)


class MissingMember(Exception):
    """A required member is absent; the service itself words this, so the caller does."""

    def __init__(self, path: list[str]):
        super().__init__(".".join(path))
        self.path = path


class TooLarge(Exception):
    """A streamed body is larger than any state may hold."""


def split_words(text: str) -> list[str]:
    """Words of an identifier, as the code generator of the SDK for Java 2 sees them: DynamoDB is Dynamo, DB."""
    text = re.sub(r"[^A-Za-z0-9]+", " ", text)
    text = re.sub(r"([^a-z]{2,})v([0-9]+)", r"\1 v\2 ", text)
    text = re.sub(r"([^A-Z]{2,})V([0-9]+)", r"\1 V\2 ", text)
    text = " ".join(re.split(r"(?<=[a-z])(?=[A-Z][a-zA-Z0-9])", text))
    text = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1 \2", text)
    text = re.sub(r"([0-9])([a-zA-Z])", r"\1 \2", text)
    return text.split()


def pascal(text: str) -> str:
    return "".join(word[:1].upper() + word[1:].lower() for word in split_words(text))


def service_name(service_id: str) -> str:
    """What version 2 of the SDK calls a service: "Config Service" is Config there, so `aws-sdk:config:...`."""
    return re.sub(r"^(Amazon|AWS) | Service$", "", service_id)


def uncapitalize(name: str) -> str:
    """First letters lowered as version 2 of the SDK does for members: DBName is dbName, SSEKMSKeyId is ssekmsKeyId."""
    if not name:
        return name
    end = 1
    while end < len(name) and name[end].isupper() and not (end < len(name) - 1 and name[end + 1].islower()):
        end += 1
    return name[:end].lower() + name[end:]


def capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def member_name(name: str, style: str) -> str:
    return capital(uncapitalize(name)) if style == "aws-sdk" else capital(name)


def exception_name(shape_name: str, style: str) -> str:
    if style == "aws-sdk":
        if shape_name.endswith("Fault"):
            return pascal(shape_name[: -len("Fault")]) + "Exception"
        return pascal(shape_name) if shape_name.endswith("Exception") else pascal(shape_name) + "Exception"
    return shape_name if shape_name.endswith("Exception") else capital(shape_name) + "Exception"


def json_text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


# ---------------------------------------------------------------------------------------------- parameters


def to_request(value: Any, shape: Any, style: str) -> dict:
    """The keyword arguments of the botocore operation for a task's evaluated Parameters; raises BadParameter or MissingMember."""
    if shape is None:
        if value:
            raise BadParameter(*(f'The field "{name}" is not supported by Step Functions' for name in value))
        return {}
    return _structure({} if value is None else value, shape, style, [], 0)


def _structure(value: Any, shape: Any, style: str, path: list[str], depth: int) -> dict:
    if not isinstance(value, dict):
        raise BadParameter(_wrong_type(path, "OBJECT"))
    if depth > DEPTH_MAX:
        raise BadParameter(f'The field "{".".join(path)}" is nested too deeply')
    known = {member_name(name, style): name for name in shape.members}
    unknown = [name for name in value if name not in known]
    if unknown:
        raise BadParameter(*(f'The field "{name}" is not supported by Step Functions' for name in unknown))
    out = {}
    for spelled, inner in value.items():
        if inner is not None:
            name = known[spelled]
            out[name] = _convert(inner, shape.members[name], style, [*path, spelled], depth + 1)
    for name in shape.required_members:
        if name not in out and not shape.members[name].metadata.get("idempotencyToken"):
            raise MissingMember([*path, name])
    return out


def _convert(value: Any, shape: Any, style: str, path: list[str], depth: int) -> Any:
    kind = shape.type_name
    if getattr(shape, "is_document_type", False):
        return value
    if kind == "structure":
        return _structure(value, shape, style, path, depth)
    if kind == "list":
        if not isinstance(value, list):
            raise BadParameter(_wrong_type(path, "ARRAY"))
        if depth > DEPTH_MAX:
            raise BadParameter(f'The field "{".".join(path)}" is nested too deeply')
        return [_convert(inner, shape.member, style, path, depth + 1) for inner in value if inner is not None]
    if kind == "map":
        if not isinstance(value, dict):
            raise BadParameter(_wrong_type(path, "OBJECT"))
        if depth > DEPTH_MAX:
            raise BadParameter(f'The field "{".".join(path)}" is nested too deeply')
        return {key: _convert(inner, shape.value, style, [*path, key], depth + 1) for key, inner in value.items() if inner is not None}
    return _scalar(value, kind, path)


def _scalar(value: Any, kind: str, path: list[str]) -> Any:
    if kind in ("string", "character"):
        return value if isinstance(value, str) else json_text(value)
    if kind == "blob":
        return (value if isinstance(value, str) else json_text(value)).encode("utf-8", "surrogatepass")
    if kind == "boolean":
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        raise BadParameter(_wrong_type(path, "BOOLEAN"))
    if kind in ("integer", "long"):
        number = _number(value, path)
        if number != int(number):
            raise BadParameter(_wrong_type(path, "INTEGER"))
        return int(number)
    if kind in ("float", "double", "bigdecimal"):
        return float(_number(value, path))
    if kind == "timestamp":
        return _time(value, path)
    raise BadParameter(_wrong_type(path, kind.upper()))


def _number(value: Any, path: list[str]) -> int | float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,30}", value):
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,30}\.\d{1,30}", value):
        return float(value)
    raise BadParameter(_wrong_type(path, "NUMBER"))


def _time(value: Any, path: list[str]) -> datetime.datetime:
    try:
        if isinstance(value, str):
            moment = datetime.datetime.fromisoformat(value)
            return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return datetime.datetime.fromtimestamp(value, datetime.UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise BadParameter(_wrong_type(path, "TIMESTAMP"))


def _wrong_type(path: list[str], kind: str) -> str:
    return f'The value for the field "{".".join(path) or "Parameters"}" must be of type {kind}'


# ---------------------------------------------------------------------------------------------- results


def to_result(value: dict, shape: Any, style: str) -> dict:
    """What botocore parsed, in the spelling of Step Functions, without ResponseMetadata."""
    if shape is None:
        return {}
    return _result_structure(value, shape, style)


def _result_structure(value: dict, shape: Any, style: str) -> dict:
    out = {}
    for name, member in shape.members.items():
        if name in value and value[name] is not None:
            out[member_name(name, style)] = _result(value[name], member, style)
    return out


def _result(value: Any, shape: Any, style: str) -> Any:
    kind = shape.type_name
    if getattr(shape, "is_document_type", False):
        return value
    if kind == "structure":
        if getattr(shape, "is_eventstream", False) or hasattr(value, "__next__") or not isinstance(value, dict):
            raise BadParameter("event streams are not supported by Step Functions")
        return _result_structure(value, shape, style)
    if kind == "list":
        return [_result(inner, shape.member, style) for inner in value]
    if kind == "map":
        return {str(key): _result(inner, shape.value, style) for key, inner in value.items()}
    if isinstance(value, datetime.datetime):
        return _moment(value, style)
    if kind == "blob":
        return _text(value)
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value


def _moment(value: datetime.datetime, style: str) -> str | int:
    value = value.replace(tzinfo=datetime.UTC) if value.tzinfo is None else value.astimezone(datetime.UTC)
    if style != "aws-sdk":
        return int(value.timestamp() * 1000)
    text = value.strftime("%Y-%m-%dT%H:%M:%S")
    if value.microsecond % 1000:
        text += f".{value.microsecond:06d}"
    elif value.microsecond:
        text += f".{value.microsecond // 1000:03d}"
    return text + "Z"


def _text(value: Any) -> str:
    """Bytes as text; what is not UTF-8 cannot be held by JSON and comes as base64."""
    if hasattr(value, "read"):
        stream, value = value, value.read(BLOB_BYTES_MAX + 1)
        if len(value) > BLOB_BYTES_MAX:
            stream.close()
            raise TooLarge
    if isinstance(value, str):
        return value
    try:
        return bytes(value).decode("utf-8")
    except UnicodeDecodeError:
        return base64.b64encode(value).decode("ascii")


# ---------------------------------------------------------------------------------------------- made-up results


def result_fault(value: Any, shape: Any, style: str, strict: bool) -> str | None:
    """What TestState says about a mocked result that the operation could not have given. Unknown members pass, as they do there."""
    if shape is None:
        return None
    if not isinstance(value, dict):
        return "Result must be an object"
    return _structure_fault(value, shape, style, strict)


def _structure_fault(value: dict, shape: Any, style: str, strict: bool) -> str | None:
    spelled = {name: member_name(name, style) for name in shape.members}
    if strict:
        for name in shape.required_members:
            if value.get(spelled[name]) is None:
                return f"Required field '{spelled[name]}' is missing"
    for name, member in shape.members.items():
        inner = value.get(spelled[name])
        fault = None if inner is None else _value_fault(spelled[name], inner, member, style, strict)
        if fault:
            return fault
    return None


def _value_fault(name: str, value: Any, shape: Any, style: str, strict: bool) -> str | None:
    kind = shape.type_name
    if getattr(shape, "is_document_type", False):
        return None
    if kind in ("structure", "map"):
        if not isinstance(value, dict):
            return f"Field '{name}' must be an object"
        if kind == "structure":
            return _structure_fault(value, shape, style, strict)
        faults = (_value_fault(key, inner, shape.value, style, strict) for key, inner in value.items())
        return next((fault for fault in faults if fault), None)
    if kind == "list":
        if not isinstance(value, list):
            return f"Field '{name}' must be an array"
        faults = (_value_fault(name, inner, shape.member, style, strict) for inner in value)
        return next((fault for fault in faults if fault), None)
    if kind == "boolean":
        return None if isinstance(value, bool) else f"Field '{name}' must be a boolean"
    if kind in ("integer", "long", "float", "double", "bigdecimal"):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return f"Field '{name}' must be a number"
        return _bounds_fault(name, value, shape, "is less than the minimum value", "exceeds the maximum value")
    if not isinstance(value, str):  # Text, bytes and times.
        return f"Field '{name}' must be a string"
    if getattr(shape, "enum", None) and value not in shape.enum:
        return f"Field '{name}' is not an expected value"
    return _bounds_fault(name, len(value), shape, "is smaller than the minimum length", "exceeds the maximum length")


# Where the model allows more than the service's documentation does, by the name of the shape. Lambda: "128 MB to 10,240 MB" (Lambda
# quotas); the model's 32,768 is for functions on managed instances, which Step Functions does not know.
DOCUMENTED_MAX = {"MemorySize": 10_240}


def _bounds_fault(name: str, size: float, shape: Any, too_small: str, too_large: str) -> str | None:
    if size < shape.metadata.get("min", size):
        return f"Field '{name}' {too_small}"
    if size > min(shape.metadata.get("max", size), DOCUMENTED_MAX.get(shape.name, size)):
        return f"Field '{name}' {too_large}"
    return None
