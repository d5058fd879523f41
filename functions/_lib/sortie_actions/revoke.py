"""Takes compromised credentials out of use: a role's sessions so far, and the long-term keys of users.

Role sessions cannot be ended; the policy that AWS itself uses for it (`AWSRevokeOlderSessions`) denies everything to tokens issued before
a moment. That hits every user of the role until it takes new credentials, which the plan says. Keys become Inactive and are not
deleted: their ids are needed to follow them in CloudTrail, and the change can be taken back.
"""

from __future__ import annotations

import json
from urllib.parse import unquote

import botocore.exceptions

from .core import Action, InvalidTarget, Refused, TargetNotFound, call, change, code_of, now, setting

POLICY = "AWSRevokeOlderSessions"


class RevokeIAMCredentials(Action):
    name = "RevokeIAMCredentials"

    def plan(self, target: dict) -> dict:
        roles, users = _names(target, "role_names", "role_name"), _names(target, "user_names", "user_name")
        if not roles and not users:
            raise InvalidTarget('"target" must have role_names or user_names')
        state: dict = {"roles": {}, "users": {}}
        changes, calls = [], []
        for role in roles:
            before = self._policy(role)
            state["roles"][role] = before
            shown = f"sessions issued before {_cutoff(before)} denied" if before else "all sessions valid"
            changes.append(change(f"role/{role}", "sessions issued until the action runs", shown, "denied (AWSRevokeOlderSessions)"))
            calls.append(call("iam", "PutRolePolicy", RoleName=role, PolicyName=POLICY))
        for user in users:
            keys = self._keys(user)
            state["users"][user] = keys
            for key, status in keys.items():
                if status == "Active":
                    changes.append(change(f"user/{user}", f"access key {key}", "Active", "Inactive"))
                    calls.append(call("iam", "UpdateAccessKey", UserName=user, AccessKeyId=key, Status="Inactive"))
        notes = ["Every holder of a session of the role loses access until it takes new credentials."] if roles else []
        return self.make_plan({"role_names": roles, "user_names": users}, changes, calls, state, notes)

    def apply_plan(self, plan: dict) -> dict:
        iam = self.aws.client("iam")
        roles, users = plan["target"]["role_names"], plan["target"]["user_names"]
        self._refuse_protected(roles, users)
        undo: dict = {"roles": {}, "users": {}}
        changed = 0
        for role in roles:
            before, current = plan["state"]["roles"].get(role), self._policy(role)
            undo["roles"][role] = {"policy": before}
            if current != before:
                if current is None or (before is not None and _cutoff(current) <= _cutoff(before)):
                    raise Refused(f"the policy {POLICY} of role {role} is not as the plan saw it")
                undo["roles"][role]["cutoff"] = _cutoff(current)
                continue  # Revoked since the plan was made, by this action or by hand.
            cutoff = now()
            iam.put_role_policy(RoleName=role, PolicyName=POLICY, PolicyDocument=json.dumps(_document(cutoff)))
            undo["roles"][role]["cutoff"] = cutoff
            changed += 1
        for user in users:
            planned = plan["state"]["users"].get(user, {})
            current = self._keys(user)
            undo["users"][user] = {"keys": planned, "left": sorted(current)}
            # A key made since the plan is the attacker's most likely move: it is taken out of use as well, and named.
            undo["users"][user]["new_keys"] = sorted(set(current) - set(planned))
            for key, status in current.items():
                if status == "Active":
                    iam.update_access_key(UserName=user, AccessKeyId=key, Status="Inactive")
                    changed += 1
        return {"status": "changed" if changed else "already", "undo": undo}

    def check(self, record: dict) -> list[dict]:
        rows = []
        for role, entry in record["undo"]["roles"].items():
            current = self._policy(role)
            rows.append({"what": f"sessions of role {role} denied before", "expected": entry["cutoff"], "found": _cutoff(current)})
        for user, entry in record["undo"]["users"].items():
            statuses = sorted(set(self._keys(user).values()))
            rows.append({"what": f"keys of user {user}", "expected": ["Inactive"] if entry["left"] else [], "found": statuses})
        return rows

    def restore(self, undo: dict, record: dict) -> str:
        iam, restored = self.aws.client("iam"), 0
        for role, entry in undo["roles"].items():
            current = self._policy(role)
            if current == entry["policy"]:
                continue
            if _cutoff(current) != entry["cutoff"]:
                raise Refused(f"the policy {POLICY} of role {role} was changed since")
            if entry["policy"] is None:
                iam.delete_role_policy(RoleName=role, PolicyName=POLICY)
            else:
                iam.put_role_policy(RoleName=role, PolicyName=POLICY, PolicyDocument=json.dumps(entry["policy"]))
            restored += 1
        for user, entry in undo["users"].items():
            current = self._keys(user)
            for key, status in entry["keys"].items():
                if status == "Active" and current.get(key) == "Inactive":
                    iam.update_access_key(UserName=user, AccessKeyId=key, Status="Active")
                    restored += 1
        return "changed" if restored else "already"

    # ------------------------------------------------------------------------------------ reading

    def _policy(self, role: str) -> dict | None:
        try:
            document = self.aws.client("iam").get_role_policy(RoleName=role, PolicyName=POLICY)["PolicyDocument"]
            return json.loads(unquote(document)) if isinstance(document, str) else document
        except botocore.exceptions.ClientError as error:
            if code_of(error) != "NoSuchEntity":
                raise
        try:
            self.aws.client("iam").get_role(RoleName=role)
        except botocore.exceptions.ClientError as error:
            if code_of(error) == "NoSuchEntity":
                raise TargetNotFound(f"there is no role {role}") from error
            raise
        return None

    def _keys(self, user: str) -> dict[str, str]:
        try:
            pages = self.aws.client("iam").get_paginator("list_access_keys").paginate(UserName=user)
            return {key["AccessKeyId"]: key["Status"] for page in pages for key in page["AccessKeyMetadata"]}
        except botocore.exceptions.ClientError as error:
            if code_of(error) == "NoSuchEntity":
                raise TargetNotFound(f"there is no user {user}") from error
            raise

    def _refuse_protected(self, roles: list[str], users: list[str]) -> None:
        """Names that must stay usable in an incident (our own role, break-glass, the log writer) are never cut off."""
        protected = {name.strip() for name in setting("PROTECTED_PRINCIPALS", "").split(",") if name.strip()}
        hit = sorted(protected & {*roles, *users})
        hit += [role for role in roles if role.startswith(("AWSReservedSSO_", "AWSServiceRoleFor"))]
        if hit:
            raise Refused(f"{', '.join(hit)} must not be revoked by a playbook")


def _names(target: dict, many: str, one: str) -> list[str]:
    names = target.get(many) or ([target[one]] if target.get(one) else [])
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise InvalidTarget(f'"target.{many}" must be a list of names')
    return sorted(set(names))


def _document(cutoff: str) -> dict:
    condition = {"DateLessThan": {"aws:TokenIssueTime": cutoff}}
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": ["*"], "Resource": ["*"], "Condition": condition}]}


def _cutoff(policy: dict | None) -> str:
    try:
        return policy["Statement"][0]["Condition"]["DateLessThan"]["aws:TokenIssueTime"]  # type: ignore[index]
    except (TypeError, KeyError, IndexError):
        return ""
