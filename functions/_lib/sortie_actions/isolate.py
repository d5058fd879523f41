"""Cuts an EC2 instance off the network: each of its interfaces gets a security group that allows nothing, in or out.

Groups belong to interfaces, so every interface is handled on its own (each may sit in another subnet with other groups). The groups it
had are in the record and, as a tag, on the interface itself; an interface that is isolated already keeps its first record, so the
quarantine is never taken for the original. A failure half-way leaves what is isolated isolated; a repeated apply does the rest.

Security groups do not cut connections that are tracked already, nor the metadata service, DNS and time of the VPC; the plan says so.
"""

from __future__ import annotations

from typing import Any

import botocore.exceptions

from .core import Action, InvalidTarget, Refused, TargetNotFound, call, change, code_of

PREVIOUS = "sortie:previous-groups"
STATUS = "sortie:status"
CASE = "sortie:case"

NOTES = [
    "Connections that are open now stay until they idle out (TCP up to 5 days); a network ACL entry cuts them at once.",
    "Security groups do not filter instance metadata, VPC DNS and time: DNS tunnels need a DNS firewall.",
]


class IsolateEC2Instance(Action):
    name = "IsolateEC2Instance"

    def plan(self, target: dict) -> dict:
        identifier = target.get("instance_id")
        if not isinstance(identifier, str) or not identifier.startswith("i-"):
            raise InvalidTarget('"target.instance_id" must be an instance id')
        instance = self._instance(identifier)
        state, changes, calls = {}, [], []
        for eni in self._interfaces(identifier):
            groups = [group["GroupId"] for group in eni["Groups"]]
            quarantine = self._find_group(identifier, eni["VpcId"])
            state[eni["NetworkInterfaceId"]] = {"vpc_id": eni["VpcId"], "groups": groups}
            if quarantine and groups == [quarantine]:
                continue
            names = sorted(f"{group['GroupId']} ({group['GroupName']})" for group in eni["Groups"])
            after = [f"{group_name(identifier)} (nothing in, nothing out)"]
            changes.append(change(eni["NetworkInterfaceId"], f"security groups of {identifier}", names, after))
            if not quarantine:
                calls.append(call("ec2", "CreateSecurityGroup", GroupName=group_name(identifier), VpcId=eni["VpcId"]))
            calls.append(
                call(
                    "ec2", "ModifyNetworkInterfaceAttribute", NetworkInterfaceId=eni["NetworkInterfaceId"], Groups=[group_name(identifier)]
                )
            )
        notes = list(NOTES)
        tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
        if "aws:autoscaling:groupName" in tags:
            notes.append(
                f"The instance is in the Auto Scaling group {tags['aws:autoscaling:groupName']}, which may replace and terminate it."
            )
        return self.make_plan({"instance_id": identifier, "case": target.get("case", "")}, changes, calls, state, notes)

    def apply_plan(self, plan: dict) -> dict:
        ec2 = self.aws.client("ec2")
        identifier, case = plan["target"]["instance_id"], plan["target"].get("case") or "none"
        if self._instance(identifier)["State"]["Name"] in ("terminated", "shutting-down"):
            raise Refused(f"{identifier} is being terminated")
        current = {eni["NetworkInterfaceId"]: eni for eni in self._interfaces(identifier)}
        self._compare(plan["state"], current, identifier)
        moved, undo, groups = 0, {}, {}
        for eni_id, eni in current.items():
            group = groups.get(eni["VpcId"]) or self._quarantine(identifier, eni["VpcId"], case)
            groups[eni["VpcId"]] = group
            have = [item["GroupId"] for item in eni["Groups"]]
            if have == [group]:
                undo[eni_id] = {"groups": _previous(eni), "isolation_group": group}
                continue
            undo[eni_id] = {"groups": have, "isolation_group": group}
            ec2.create_tags(Resources=[eni_id], Tags=[*_previous_tags(have), {"Key": CASE, "Value": case}])
            ec2.modify_network_interface_attribute(NetworkInterfaceId=eni_id, Groups=[group])
            moved += 1
        ec2.create_tags(Resources=[identifier], Tags=[{"Key": STATUS, "Value": "isolated"}, {"Key": CASE, "Value": case}])
        return {"status": "changed" if moved else "already", "undo": {"instance_id": identifier, "interfaces": undo}}

    def check(self, record: dict) -> list[dict]:
        rows = []
        planned = record["undo"]["interfaces"]
        for eni in self._interfaces(record["target"]["instance_id"]):
            group = planned.get(eni["NetworkInterfaceId"], {}).get("isolation_group")
            rows.append(
                {
                    "what": f"groups of {eni['NetworkInterfaceId']}",
                    "expected": [group],
                    "found": [item["GroupId"] for item in eni["Groups"]],
                }
            )
        for group in sorted({entry["isolation_group"] for entry in planned.values()}):
            rows.append({"what": f"rules of {group}", "expected": 0, "found": len(self._rules(group))})
        return rows

    def restore(self, undo: dict, record: dict) -> str:
        ec2, restored = self.aws.client("ec2"), 0
        current = {eni["NetworkInterfaceId"]: [g["GroupId"] for g in eni["Groups"]] for eni in self._interfaces(undo["instance_id"])}
        for eni_id, entry in undo["interfaces"].items():
            if eni_id not in current or not entry["groups"] or current[eni_id] == entry["groups"]:
                continue
            if current[eni_id] != [entry["isolation_group"]]:
                raise Refused(f"{eni_id} has other groups than the isolation group; somebody changed it since")
            ec2.modify_network_interface_attribute(NetworkInterfaceId=eni_id, Groups=entry["groups"])
            ec2.delete_tags(Resources=[eni_id], Tags=[{"Key": PREVIOUS}, {"Key": PREVIOUS + "-2"}, {"Key": CASE}])
            restored += 1
        ec2.create_tags(Resources=[undo["instance_id"]], Tags=[{"Key": STATUS, "Value": "released"}])
        for group in {entry["isolation_group"] for entry in undo["interfaces"].values()}:
            try:
                ec2.delete_security_group(GroupId=group)
            except botocore.exceptions.ClientError as error:
                if code_of(error) not in ("DependencyViolation", "InvalidGroup.NotFound"):
                    raise
        return "changed" if restored else "already"

    # ------------------------------------------------------------------------------------ reading

    def _instance(self, identifier: str) -> dict:
        try:
            found = self.aws.client("ec2").describe_instances(InstanceIds=[identifier])["Reservations"]
        except botocore.exceptions.ClientError as error:
            if code_of(error).startswith("InvalidInstanceID"):
                raise TargetNotFound(f"there is no instance {identifier}") from error
            raise
        if not found:
            raise TargetNotFound(f"there is no instance {identifier}")
        return found[0]["Instances"][0]

    def _interfaces(self, identifier: str) -> list[dict]:
        pages = self.aws.client("ec2").get_paginator("describe_network_interfaces")
        filters = [{"Name": "attachment.instance-id", "Values": [identifier]}]
        rows = [eni for page in pages.paginate(Filters=filters) for eni in page["NetworkInterfaces"]]
        return sorted(rows, key=lambda eni: eni["NetworkInterfaceId"])

    def _find_group(self, identifier: str, vpc_id: str) -> str | None:
        filters = [{"Name": "group-name", "Values": [group_name(identifier)]}, {"Name": "vpc-id", "Values": [vpc_id]}]
        found = self.aws.client("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]
        return found[0]["GroupId"] if found else None

    def _rules(self, group: str) -> list[dict]:
        pages = self.aws.client("ec2").get_paginator("describe_security_group_rules")
        filters = [{"Name": "group-id", "Values": [group]}]
        return [rule for page in pages.paginate(Filters=filters) for rule in page["SecurityGroupRules"]]

    @staticmethod
    def _compare(planned: dict, current: dict, identifier: str) -> None:
        """Each interface must be as the plan saw it, or isolated already; anything else was not reviewed."""
        if set(planned) != set(current):
            raise Refused(f"{identifier} has other interfaces than when the plan was made")
        for eni_id, eni in current.items():
            have = [group["GroupId"] for group in eni["Groups"]]
            isolated = [group["GroupName"] for group in eni["Groups"]] == [group_name(identifier)]
            if sorted(have) != sorted(planned[eni_id]["groups"]) and not isolated:
                raise Refused(f"{eni_id} has other security groups than when the plan was made")

    def _quarantine(self, identifier: str, vpc_id: str, case: str) -> str:
        """The instance's own isolation group in that VPC: found or made, then emptied of every rule, the default egress included."""
        ec2 = self.aws.client("ec2")
        group = self._find_group(identifier, vpc_id)
        if not group:
            tags = [{"Key": CASE, "Value": case}, {"Key": "Name", "Value": group_name(identifier)}]
            try:
                group = ec2.create_security_group(
                    GroupName=group_name(identifier),
                    Description=f"Isolation of {identifier}: nothing in, nothing out",
                    VpcId=vpc_id,
                    TagSpecifications=[{"ResourceType": "security-group", "Tags": tags}],
                )["GroupId"]
            except botocore.exceptions.ClientError as error:
                if code_of(error) != "InvalidGroup.Duplicate":
                    raise
                group = self._find_group(identifier, vpc_id)
                if not group:
                    raise
        rules = self._rules(group)
        for egress, revoke in ((True, ec2.revoke_security_group_egress), (False, ec2.revoke_security_group_ingress)):
            identifiers = [rule["SecurityGroupRuleId"] for rule in rules if rule["IsEgress"] is egress]
            if identifiers:
                revoke(GroupId=group, SecurityGroupRuleIds=identifiers)
        return group


def group_name(identifier: str) -> str:
    return f"sortie-isolation-{identifier}"


def _previous_tags(groups: list[str]) -> list[dict]:
    """Tag values hold 256 characters: twelve group ids."""
    tags = [{"Key": PREVIOUS, "Value": " ".join(groups[:12])}]
    return tags + ([{"Key": PREVIOUS + "-2", "Value": " ".join(groups[12:])}] if groups[12:] else [])


def _previous(eni: dict[str, Any]) -> list[str]:
    tags = {tag["Key"]: tag["Value"] for tag in eni.get("TagSet", [])}
    return f"{tags.get(PREVIOUS, '')} {tags.get(PREVIOUS + '-2', '')}".split()
