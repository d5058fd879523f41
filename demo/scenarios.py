"""The three stories: which event starts each, what must be different at the end, and what must be as it was.

`read` gives the state of everything a story is about, straight from the stand-in account, as {(resource, what): value}. The report
compares it before and after: `expected` says which of these must have changed, all others must not.
"""

from __future__ import annotations

import json
from typing import Any

from seed_account import client

State = dict[tuple[str, str], Any]


class Scenario:
    name, playbook, event_file = "", "", ""

    def __init__(self, url: str, world: dict):
        self.url, self.world = url, world

    def values(self) -> dict[str, str]:
        return {}

    def read(self) -> State:
        return {}

    def expected(self) -> set[tuple[str, str]]:
        return set()

    def checks(self, before: State, after: State) -> list[tuple[str, bool]]:
        return []

    def aws(self, service: str) -> Any:
        return client(self.url, service, "reader", "reader")


class Incident(Scenario):
    name, playbook, event_file = "main", "incident-response", "guardduty-ec2.json"

    def values(self) -> dict[str, str]:
        w = self.world
        return {"INSTANCE": w["instance"], "ENI": w["instance_eni"], "PRIVATE_IP": w["instance_ip"], "SUBNET": w["subnet"], "VPC": w["vpc"]}

    def read(self) -> State:
        w, ec2, iam, state = self.world, self.aws("ec2"), self.aws("iam"), {}
        for instance, eni in ((w["instance"], w["instance_eni"]), (w["bystander_instance"], w["bystander_instance_eni"])):
            groups = ec2.describe_network_interfaces(NetworkInterfaceIds=[eni])["NetworkInterfaces"][0]["Groups"]
            state[eni, f"security groups of {instance}"] = sorted(f"{g['GroupName']} {g['GroupId']}" for g in groups)
            volumes = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [instance]}])["Volumes"]
            for volume in sorted(v["VolumeId"] for v in volumes):
                found = ec2.describe_snapshots(OwnerIds=["self"], Filters=[{"Name": "volume-id", "Values": [volume]}])["Snapshots"]
                state[volume, f"snapshots of a volume of {instance}"] = sorted(f"{s['SnapshotId']} {s['State']}" for s in found)
        for role in (w["role"], w["bystander_role"]):
            state[f"role/{role}", "sessions"] = self._sessions(iam, role)
        for user in (w["user"], w["bystander_user"]):
            for key in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]:
                state[f"user/{user}", f"access key {key['AccessKeyId']}"] = key["Status"]
        return state

    @staticmethod
    def _sessions(iam: Any, role: str) -> str:
        if "AWSRevokeOlderSessions" not in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            return "all valid"
        document = iam.get_role_policy(RoleName=role, PolicyName="AWSRevokeOlderSessions")["PolicyDocument"]
        return f"denied if issued before {document['Statement'][0]['Condition']['DateLessThan']['aws:TokenIssueTime']}"

    def expected(self) -> set[tuple[str, str]]:
        w, mine = self.world, set()
        for resource, what in self.read():
            if w["instance"] in what or resource in (f"role/{w['role']}", f"user/{w['user']}"):
                mine.add((resource, what))
        return mine

    def checks(self, before: State, after: State) -> list[tuple[str, bool]]:
        w, ec2 = self.world, self.aws("ec2")
        groups = after[w["instance_eni"], f"security groups of {w['instance']}"]
        rules = None
        if len(groups) == 1:
            shown = ec2.describe_security_groups(GroupIds=[groups[0].split()[-1]])["SecurityGroups"][0]
            rules = len(shown["IpPermissions"]) + len(shown["IpPermissionsEgress"])
        snapshots = [value for (_, what), value in after.items() if what.endswith(f"volume of {w['instance']}")]
        objects = self.aws("s3").list_objects_v2(Bucket=w["evidence_bucket"], Prefix="incidents/").get("Contents", [])
        return [
            ("the instance has one security group, and it has no rule, in or out", rules == 0),
            (
                "each of its two volumes has one completed snapshot",
                [len(s) for s in snapshots] == [1, 1] and all("completed" in s[0] for s in snapshots),
            ),
            ("sessions of its role are revoked", after[f"role/{w['role']}", "sessions"].startswith("denied")),
            ("keys of its user are inactive", all(v == "Inactive" for (r, _), v in after.items() if r == f"user/{w['user']}")),
            ("the record is in the evidence bucket", len(objects) == 1),
        ]


class PublicBucket(Scenario):
    name, playbook, event_file = "s3", "remediate-public-s3", "config-public-bucket.json"

    def values(self) -> dict[str, str]:
        return {"BUCKET": self.world["bucket"]}

    def read(self) -> State:
        s3, state = self.aws("s3"), {}
        for bucket in (self.world["bucket"], self.world["bystander_bucket"]):
            try:
                block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
                state[bucket, "public access block"] = "all on" if all(block.values()) and len(block) == 4 else json.dumps(block)
            except s3.exceptions.ClientError:
                state[bucket, "public access block"] = "none"
            state[bucket, "bucket policy"] = s3.get_bucket_policy(Bucket=bucket)["Policy"]
        return state

    def expected(self) -> set[tuple[str, str]]:
        return {(self.world["bucket"], "public access block")}

    def checks(self, before: State, after: State) -> list[tuple[str, bool]]:
        bucket = self.world["bucket"]
        return [
            ("the public access block of the bucket is on, all four flags", after[bucket, "public access block"] == "all on"),
            ("the bucket kept its policy", after[bucket, "bucket policy"] == before[bucket, "bucket policy"]),
        ]


class OpenGroup(Scenario):
    name, playbook, event_file = "sg", "remediate-open-sg", "cloudtrail-open-group.json"

    def values(self) -> dict[str, str]:
        return {"GROUP": self.world["open_group"]}

    def read(self) -> State:
        ec2, state = self.aws("ec2"), {}
        for group in (self.world["open_group"], self.world["bystander_group"], self.world["web_group"]):
            rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
            state[group, "ingress rules"] = sorted(_rule(rule) for rule in rules if not rule["IsEgress"])
        return state

    def expected(self) -> set[tuple[str, str]]:
        return {(self.world["open_group"], "ingress rules")}

    def checks(self, before: State, after: State) -> list[tuple[str, bool]]:
        left = after[self.world["open_group"], "ingress rules"]
        return [
            ("all five rules that open risky ports are gone: single port, range, IPv6, all traffic, prefix list", len(left) == 2),
            (
                "HTTPS from anywhere and SSH from the office are still there",
                left == ["tcp 22-22 from 198.51.100.0/24", "tcp 443-443 from 0.0.0.0/0"],
            ),
        ]


def _rule(rule: dict) -> str:
    source = rule.get("CidrIpv4") or rule.get("CidrIpv6") or rule.get("PrefixListId")
    ports = "all traffic" if rule["IpProtocol"] == "-1" else f"{rule['IpProtocol']} {rule['FromPort']}-{rule['ToPort']}"
    return f"{ports} from {source}"


SCENARIOS = {"": Incident, "main": Incident, "s3": PublicBucket, "sg": OpenGroup}
