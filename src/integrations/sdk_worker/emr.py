"""The actions of `elasticmapreduce:` whose names and parameters are not those of EMR's API: one cluster, one step at a time, and fleets and
groups by their names."""

from __future__ import annotations

from typing import Any

import shapes

# Action -> operation, and how its parameters are spelled there.
ACTIONS = {
    "addStep": ("AddJobFlowSteps", {"ClusterId": "JobFlowId", "Step": "Steps[]"}),
    "cancelStep": ("CancelSteps", {"ClusterId": "ClusterId", "StepId": "StepIds[]"}),
    "createCluster": ("RunJobFlow", {}),
    "setClusterTerminationProtection": ("SetTerminationProtection", {"ClusterId": "JobFlowIds[]"}),
    "terminateCluster": ("TerminateJobFlows", {"ClusterId": "JobFlowIds[]"}),
}


# Action -> operation, the parameter that holds the name, the one that says what is to change, the id in it (in a list, if the operation
# takes several), and where names and ids are found.
BY_NAME = {
    "modifyInstanceFleetByName": ("ModifyInstanceFleet", "InstanceFleetName", "InstanceFleet", "InstanceFleetId", "list_instance_fleets"),
    "modifyInstanceGroupByName": ("ModifyInstanceGroups", "InstanceGroupName", "InstanceGroup", "InstanceGroupId", "list_instance_groups"),
}


def _is_ours(request: Any) -> bool:
    return request.style == "optimized" and request.service == "elasticmapreduce"


def _row(request: Any) -> tuple[str, dict] | None:
    return ACTIONS.get(request.action) if _is_ours(request) else None


def _by_name(request: Any) -> tuple[str, ...] | None:
    return BY_NAME.get(request.action) if _is_ours(request) else None


def action(request: Any) -> str:
    row = _row(request) or _by_name(request)
    return row[0] if row else request.action


def parameters(request: Any) -> Any:
    """As the operation takes them. BadParameter and MissingMember name what the task's author wrote."""
    row = _row(request)
    if _by_name(request) and isinstance(request.parameters, dict):
        return _named(request.parameters, *_by_name(request))
    if not row or not isinstance(request.parameters, dict):
        return request.parameters
    out = dict(request.parameters)
    wrong = [name for name in row[1].values() if name.removesuffix("[]") in out and name.removesuffix("[]") not in row[1]]
    if wrong:
        raise shapes.BadParameter(*(f'The field "{name.removesuffix("[]")}" is not supported by Step Functions' for name in wrong))
    for given, wanted in row[1].items():
        if out.get(given) is None:
            raise shapes.MissingMember([given])
        value = out.pop(given)
        out[wanted.removesuffix("[]")] = [value] if wanted.endswith("[]") else value
    return out


def _named(given: dict, operation: str, name: str, change: str, member: str, _: str) -> dict:
    """The operation's parameters, with the name where the id belongs until find_by_name() has asked for it."""
    known = ("ClusterId", name, change)
    if wrong := [field for field in given if field not in known]:
        raise shapes.BadParameter(*(f'The field "{field}" is not supported by Step Functions' for field in wrong))
    for field in known:
        if given.get(field) is None:
            raise shapes.MissingMember([field])
    what = given[change]
    if not isinstance(what, dict) or member in what:
        fault = f"{change}.{member}" if isinstance(what, dict) else change
        raise shapes.BadParameter(f'The field "{fault}" is not supported by Step Functions')
    what = what | {member: given[name]}
    return {"ClusterId": given["ClusterId"], **({change: what} if operation.endswith(change) else {change + "s": [what]})}


def find_by_name(client: Any, request: Any, arguments: dict) -> str | None:
    """Puts the id in the place of the name. Says what is wrong where the cluster has none of that name."""
    row = _by_name(request)
    if not row:
        return None
    _, _, change, member, listing = row
    place = arguments[change] if change in arguments else arguments[change + "s"][0]
    wanted = place[member]
    for page in client.get_paginator(listing).paginate(ClusterId=arguments["ClusterId"]):
        for entry in page.get(change + "s", []):
            if entry.get("Name") == wanted:
                place[member] = entry["Id"]
                return None
    return f"{change} {wanted} does not exist in cluster {arguments['ClusterId']}"


def result(request: Any, found: dict) -> dict:
    if not _row(request):
        return found
    if request.action == "addStep":
        return {"StepId": found["StepIds"][0]}
    if request.action == "createCluster":
        return {{"JobFlowId": "ClusterId"}.get(name, name): value for name, value in found.items()}
    return found
