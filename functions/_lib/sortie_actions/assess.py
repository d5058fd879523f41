"""From a finding to an incident: what happened, to what, how bad, and what containing it would change."""

from __future__ import annotations

import re
from typing import Any

import botocore.exceptions

from .core import Aws, InvalidTarget, code_of, digest, required
from .isolate import IsolateEC2Instance
from .revoke import RevokeIAMCredentials

LEVELS = ("LOW", "MEDIUM", "HIGH", "CRITICAL")
# On the instance: how much depends on it, and whose long-term keys lie on its disk (those are compromised with it).
CRITICALITY_TAG = "criticality"
KEYS_TAG = "keys-on-host"


def level_of(score: float) -> str:
    """GuardDuty's own bands."""
    return "CRITICAL" if score >= 9 else "HIGH" if score >= 7 else "MEDIUM" if score >= 4 else "LOW"


def assess(event: dict, aws: Aws | None = None) -> dict:
    aws = aws or Aws()
    detail = event.get("detail") if isinstance(event.get("detail"), dict) else event
    score, identifier = detail.get("severity"), detail.get("id")
    if not isinstance(score, (int, float)) or isinstance(score, bool) or not isinstance(identifier, str) or not identifier:
        raise InvalidTarget("the event is not a GuardDuty finding: it has no id or no numeric severity")
    resource = detail.get("resource") or {}
    instance = (resource.get("instanceDetails") or {}).get("instanceId")
    found = _instance(aws, instance) if instance else None
    tags = {tag["Key"]: tag["Value"] for tag in (found or {}).get("Tags", [])}
    level, reasons = level_of(score), [f"GuardDuty severity {score} is {level_of(score)}"]
    criticality = tags.get(CRITICALITY_TAG, "").lower()
    if criticality in ("critical", "high") and level in ("MEDIUM", "HIGH"):
        level = LEVELS[LEVELS.index(level) + 1]
        reasons.append(f"raised to {level}: {instance} is tagged {CRITICALITY_TAG}={criticality}")
    roles, users = _principals(aws, resource, found, tags)
    title = str(detail.get("title") or detail.get("type") or identifier)
    description = str(detail.get("description") or title)
    incident = {
        "id": identifier,
        "case": re.sub(r"[^A-Za-z0-9._-]", "-", f"gd-{identifier}")[:128],
        "type": detail.get("type"),
        "title": title,
        "description": description,
        "account": detail.get("accountId"),
        "region": detail.get("region"),
        "detected_at": detail.get("updatedAt") or event.get("time"),
        "first_seen": (detail.get("service") or {}).get("eventFirstSeen"),
        "count": (detail.get("service") or {}).get("count"),
    }
    return {
        "severity": level,
        "score": score,
        "reasons": reasons,
        "incident": incident,
        "incidentTitle": title,
        "incidentDetails": f"{title} {description} ({'; '.join(reasons)})",
        "target": {"instance_id": instance, "role_names": roles, "user_names": users, "case": incident["case"]},
        "containable": bool(found and found["State"]["Name"] not in ("terminated", "shutting-down")),
    }


def _instance(aws: Aws, identifier: str) -> dict | None:
    try:
        found = aws.client("ec2").describe_instances(InstanceIds=[identifier])["Reservations"]
    except botocore.exceptions.ClientError as error:
        if code_of(error).startswith("InvalidInstanceID"):
            return None
        raise
    return found[0]["Instances"][0] if found else None


def _principals(aws: Aws, resource: dict, instance: dict | None, tags: dict[str, str]) -> tuple[list[str], list[str]]:
    """Roles whose sessions, and users whose keys, the attacker may hold. AccessKey findings name them; an instance has its profile."""
    roles, users = set(), set()
    key: dict[str, Any] = resource.get("accessKeyDetails") or {}
    if key.get("userType") == "AssumedRole":
        roles.add(key.get("userName"))
    elif key.get("userType") == "IAMUser":
        users.add(key.get("userName"))
    profile = ((instance or {}).get("IamInstanceProfile") or {}).get("Arn")
    if profile:
        answer = aws.client("iam").get_instance_profile(InstanceProfileName=profile.rsplit("/", 1)[-1])
        roles |= {role["RoleName"] for role in answer["InstanceProfile"]["Roles"]}
    users |= set(re.split(r"[\s,]+", tags.get(KEYS_TAG, "")))
    return sorted(filter(None, roles)), sorted(filter(None, users))


def plan_containment(event: dict) -> dict:
    """The plans of all containing actions as one document with one hash: what people review and what is then done."""
    target = required(event, "target")
    plans = {"isolate": IsolateEC2Instance().run({"mode": "plan", "target": target})}
    if target.get("role_names") or target.get("user_names"):
        plans["revoke"] = RevokeIAMCredentials().run({"mode": "plan", "target": target})
    rows = [{key: plan[key] for key in ("action", "target", "reversible", "changes", "notes")} for plan in plans.values()]
    return {"plan": rows, "plans": plans, "plan_hash": digest(plans), "has_credentials": "revoke" in plans}
