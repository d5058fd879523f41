"""The actions of `elasticmapreduce:` whose names and parameters are not those of EMR's API: one cluster, one step at a time."""

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


def _row(request: Any) -> tuple[str, dict] | None:
    return ACTIONS.get(request.action) if request.style == "optimized" and request.service == "elasticmapreduce" else None


def action(request: Any) -> str:
    row = _row(request)
    return row[0] if row else request.action


def parameters(request: Any) -> Any:
    """As the operation takes them. BadParameter and MissingMember name what the task's author wrote."""
    row = _row(request)
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


def result(request: Any, found: dict) -> dict:
    if not _row(request):
        return found
    if request.action == "addStep":
        return {"StepId": found["StepIds"][0]}
    if request.action == "createCluster":
        return {{"JobFlowId": "ClusterId"}.get(name, name): value for name, value in found.items()}
    return found
