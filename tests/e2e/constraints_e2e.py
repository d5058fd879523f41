#!/usr/bin/env python3
"""Every constraint of every Step Functions operation, read from botocore's model: what breaks it gets AWS's sentence, whatever else is
wrong with the call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import botocore.serialize
import product as p

# What a pattern forbids cannot be made up from the pattern.
BREAKS_PATTERN = {"name": "123", "clientToken": "a b", "traceHeader": "\u00e9"}


def least(shape: Any) -> Any:
    """The smallest value without a fault."""
    if shape.type_name == "structure":
        return {name: least(shape.members[name]) for name in shape.required_members}
    if shape.type_name == "list":
        return [least(shape.member)]
    if shape.type_name == "string":
        return shape.enum[0] if shape.enum else "a" * max(1, shape.metadata.get("min", 1))
    return max(1, shape.metadata.get("min", 1))


def faults(shape: Any, name: str) -> Iterator[tuple[Any, str]]:
    """Bad values of a member, each with the rule that it breaks."""
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if shape.type_name == "string":
        if low:
            yield "", f"Member must have length greater than or equal to {low}"
        if high is not None:
            yield "a" * (high + 1), f"Member must have length less than or equal to {high}"
        if shape.enum:
            yield "NOPE", "Member must satisfy enum value set: ["
        if shape.metadata.get("pattern"):
            yield BREAKS_PATTERN[name], f"Member must satisfy regular expression pattern: {shape.metadata['pattern']}"
    elif shape.type_name == "list":
        if low:
            yield [], f"Member must have length greater than or equal to {low}"
        if high is not None:
            yield [least(shape.member)] * (high + 1), f"Member must have length less than or equal to {high}"
    else:
        if low is not None:
            yield low - 1, f"Member must have value greater than or equal to {low}"
        if high is not None:
            yield high + 1, f"Member must have value less than or equal to {high}"


def broken(shape: Any, path: str = "") -> Iterator[tuple[dict, str, Any, str]]:
    """Whole inputs with one fault each: (input, path, sensitive or not, rule)."""
    for name, member in shape.members.items():
        place = f"{path}.{name}" if path else name
        good = least(shape)
        sensitive = bool(member.metadata.get("sensitive"))
        if name in shape.required_members:
            yield {key: value for key, value in good.items() if key != name}, place, sensitive, "null"
        for value, rule in faults(member, name):
            yield {**good, name: value}, place, sensitive, rule
        if member.type_name == "structure":
            for value, *rest in broken(member, place):
                yield {**good, name: value}, *rest
        elif member.type_name == "list":
            inner = f"{place}.1.member"
            if member.member.type_name == "structure":
                for value, *rest in broken(member.member, inner):
                    yield {**good, name: [value]}, *rest
            else:
                for value, rule in faults(member.member, name):
                    yield {**good, name: [value]}, inner, False, rule


def test_what_breaks_a_constraint_is_said_as_aws_says_it(server: p.Server) -> None:
    sfn = server.client("stepfunctions")
    sfn._serializer = botocore.serialize.create_serializer(sfn.meta.service_model.resolved_protocol, include_validation=False)
    model, seen, wrong = sfn.meta.service_model, 0, []
    for operation in model.operation_names:
        for given, place, sensitive, rule in broken(model.operation_model(operation).input_shape):
            seen += 1
            code, message = call(sfn, operation, given)
            if rule == "null":
                said = f"Value null at '{place}' failed to satisfy constraint: Member must not be null"
            else:
                said = f"at '{place}' failed to satisfy constraint: {rule}"
            shown = "Value at" in message if sensitive and rule != "null" else True
            if code != "ValidationException" or said not in message or not shown or "validation error" not in message:
                wrong.append((operation, place, rule, code, message[:300]))
    assert seen > 200, seen
    assert not wrong, "\n".join(map(str, wrong))


def call(sfn: Any, operation: str, given: dict) -> tuple[str, str]:
    try:
        sfn._make_api_call(operation, given)
    except sfn.exceptions.ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    return "", "it was taken"


if __name__ == "__main__":
    with p.temporary_folder() as place:
        one = p.Server(place).start()
        try:
            p.main(globals(), one)
        finally:
            if one.process.poll() is None:
                one.kill()
