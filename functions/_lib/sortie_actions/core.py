"""What an action is: a Lambda function that changes the world in four steps, each of which can be read and repeated.

    {"mode": "plan",   "target": {..}}                     reads only; says the exact API calls and what changes from what to what
    {"mode": "apply",  "plan": {..}} or {"target": {..}}   does what the plan said, if the world is still as the plan saw it
    {"mode": "verify", "record": {..}}                     reads back what apply did; raises VerificationFailed if it is not so
    {"mode": "undo",   "record": {..}}                     restores what apply recorded

`apply` answers `changed`, `already` (nothing was left to do) or `refused` (the world differs from the plan, or the target is protected;
nothing was done). What fails is raised, so that Retry and Catch of the playbook see it; it is never hidden in a result. Every answer
lists the API calls that were made with their request ids. Repeating an apply is safe: what is done already is found done.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
from collections.abc import Callable
from typing import Any

import boto3
import botocore.config
import botocore.exceptions


class ActionError(Exception):
    """Base of what actions raise; the class name is the error name that a playbook's Retry and Catch see."""


class InvalidTarget(ActionError):
    """The request does not name a target that this action can work on."""


class TargetNotFound(ActionError):
    """The target does not exist (any more)."""


class VerificationFailed(ActionError):
    """Reading back shows something else than what was done. Worth retrying: reads may lag behind writes."""


class Refused(ActionError):
    """Raised inside apply and undo; becomes the result `refused`."""


class Aws:
    """Clients that note each call: service, action, HTTP status and request id, in order."""

    def __init__(self) -> None:
        self.calls: list[dict] = []
        self._clients: dict[str, Any] = {}

    def client(self, service: str, region: str | None = None) -> Any:
        key = f"{service}/{region}"
        if key not in self._clients:
            config = botocore.config.Config(retries={"mode": "standard", "total_max_attempts": 5}, s3={"addressing_style": "path"})
            client = boto3.client(service, region_name=region, config=config)
            client.meta.events.register("after-call", self._note)
            self._clients[key] = client
        return self._clients[key]

    def _note(self, model: Any, parsed: dict, **_: Any) -> None:
        metadata = parsed.get("ResponseMetadata", {})
        self.calls.append(
            {
                "service": model.service_model.service_name,
                "action": model.name,
                "status": metadata.get("HTTPStatusCode"),
                "request_id": metadata.get("RequestId") or metadata.get("HTTPHeaders", {}).get("x-amzn-requestid"),
            }
        )


class Action:
    """One action. A subclass reads (`plan`), changes (`apply_plan`), reads back (`check`) and restores (`restore`)."""

    name = ""
    reversible = True

    def __init__(self) -> None:
        self.aws = Aws()

    def plan(self, target: dict) -> dict:
        """Answers make_plan(..)."""
        raise NotImplementedError

    def apply_plan(self, plan: dict) -> dict:
        """Answers {"status", "undo", ...}; raises Refused."""
        raise NotImplementedError

    def check(self, record: dict) -> list[dict]:
        """Rows {"what", "expected", "found"}."""
        raise NotImplementedError

    def restore(self, undo: dict, record: dict) -> str:
        """Answers changed or already; raises Refused."""
        raise Refused(f"{self.name} cannot be undone")

    # ------------------------------------------------------------------------------------ for subclasses

    def make_plan(self, target: dict, changes: list[dict], calls: list[dict], state: Any, notes: list[str] | None = None) -> dict:
        plan = {
            "action": self.name,
            "target": target,
            "reversible": self.reversible,
            "changes": changes,
            "calls": calls,
            "state": state,
            "notes": notes or [],
        }
        return plan | {"plan_hash": digest(plan)}

    # ------------------------------------------------------------------------------------ modes

    def run(self, event: dict) -> dict:
        if not isinstance(event, dict):
            raise InvalidTarget("the event must be an object with a mode")
        modes: dict[str, Callable[[dict], dict]] = {"plan": self._plan, "apply": self._apply, "verify": self._verify, "undo": self._undo}
        mode = event.get("mode", "apply")
        if mode not in modes:
            raise InvalidTarget(f"mode must be one of {', '.join(modes)}, not {mode!r}")
        self.aws.calls.clear()
        answer = modes[mode](event)
        say(f"{self.name} {mode}: {answer.get('status') or len(answer.get('changes', []))}, {len(self.aws.calls)} API calls")
        return answer

    def _plan(self, event: dict) -> dict:
        return self.plan(required(event, "target"))

    def _apply(self, event: dict) -> dict:
        plan = event.get("plan") or self.plan(required(event, "target"))
        if plan.get("action") != self.name:
            raise InvalidTarget(f"the plan is for {plan.get('action')!r}, not for {self.name}")
        if digest({key: value for key, value in plan.items() if key != "plan_hash"}) != plan.get("plan_hash"):
            raise InvalidTarget("the plan was altered: its content does not fit its plan_hash")
        record = {"action": self.name, "target": plan["target"], "plan_hash": plan["plan_hash"], "at": now()}
        try:
            outcome = self.apply_plan(plan)
        except Refused as refusal:
            outcome = {"status": "refused", "reason": str(refusal), "undo": None}
        changes = plan["changes"] if outcome["status"] == "changed" else []
        return record | {"changes": changes, "reversible": self.reversible} | outcome | {"calls": list(self.aws.calls)}

    def _verify(self, event: dict) -> dict:
        record = required(event, "record")
        if record.get("status") == "refused":
            return {"action": self.name, "status": "skipped", "verified": False, "checks": [], "calls": []}
        checks = [row | {"ok": row["expected"] == row["found"]} for row in self.check(record)]
        wrong = [row for row in checks if not row["ok"]]
        if wrong:
            raise VerificationFailed("; ".join(f"{row['what']}: expected {row['expected']}, found {row['found']}" for row in wrong))
        return {"action": self.name, "status": "verified", "verified": True, "checks": checks, "calls": list(self.aws.calls)}

    def _undo(self, event: dict) -> dict:
        record = required(event, "record")
        answer = {"action": self.name, "target": record.get("target"), "at": now()}
        try:
            if record.get("status") == "refused" or not record.get("undo"):
                raise Refused("the record holds nothing that could be restored")
            answer["status"] = self.restore(record["undo"], record)
        except Refused as refusal:
            answer |= {"status": "refused", "reason": str(refusal)}
        return answer | {"calls": list(self.aws.calls)}


def required(event: dict, name: str) -> dict:
    value = event.get(name)
    if not isinstance(value, dict) or not value:
        raise InvalidTarget(f'"{name}" must be given as an object')
    return value


def now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def digest(value: Any) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def say(text: str) -> None:
    print(text, flush=True)


def code_of(error: botocore.exceptions.ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def setting(name: str, default: str | None = None) -> str:
    value = os.environ.get(name) or default
    if value is None:
        raise InvalidTarget(f"the function's environment lacks {name}")
    return value


def change(resource: str, what: str, before: Any, after: Any) -> dict:
    return {"resource": resource, "what": what, "before": before, "after": after}


def call(service: str, action: str, **parameters: Any) -> dict:
    return {"service": service, "action": action, "parameters": parameters}
