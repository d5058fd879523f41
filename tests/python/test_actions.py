"""The action library against the stand-in account: each action plans, applies once, verifies, undoes, and refuses what was not reviewed."""

from __future__ import annotations

import copy
import json
import pathlib

import pytest
import seed_account
from conftest import ROOT
from sortie_actions import assess, core, evidence
from sortie_actions.bucket import RemediatePublicS3Bucket
from sortie_actions.isolate import IsolateEC2Instance
from sortie_actions.open_group import RemediateOpenSecurityGroup, is_internet
from sortie_actions.revoke import POLICY, RevokeIAMCredentials
from sortie_actions.snapshot import CreateForensicSnapshot
from test_account import control


@pytest.fixture
def world(account):
    """A fresh company for every test."""
    import urllib.request

    urllib.request.urlopen(urllib.request.Request(f"{account.url}/moto-api/reset", b"", {"Content-Type": "text/plain"}, method="POST"))
    return seed_account.seed(account.url)


def groups_of(account, eni: str) -> list[str]:
    found = account.client("ec2").describe_network_interfaces(NetworkInterfaceIds=[eni])["NetworkInterfaces"][0]["Groups"]
    return sorted(group["GroupId"] for group in found)


def test_isolation_is_planned_done_verified_and_undone(account, world):
    before = groups_of(account, world["instance_eni"])
    plan = IsolateEC2Instance().run({"mode": "plan", "target": {"instance_id": world["instance"], "case": "c1"}})
    assert groups_of(account, world["instance_eni"]) == before, "a plan changes nothing"
    assert [row["resource"] for row in plan["changes"]] == [world["instance_eni"]] and plan["reversible"]
    record = IsolateEC2Instance().run({"mode": "apply", "plan": plan})
    assert record["status"] == "changed" and all(call["request_id"] for call in record["calls"])
    (group,) = groups_of(account, world["instance_eni"])
    shown = account.client("ec2").describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    assert (shown["IpPermissions"], shown["IpPermissionsEgress"]) == ([], []), "nothing in, nothing out"
    assert IsolateEC2Instance().run({"mode": "verify", "record": record})["verified"]
    assert groups_of(account, world["bystander_instance_eni"]) == before
    undone = IsolateEC2Instance().run({"mode": "undo", "record": record})
    assert undone["status"] == "changed" and groups_of(account, world["instance_eni"]) == before
    assert IsolateEC2Instance().run({"mode": "undo", "record": record})["status"] == "already"


def test_isolating_twice_keeps_the_first_record(account, world):
    before = groups_of(account, world["instance_eni"])
    plan = IsolateEC2Instance().run({"mode": "plan", "target": {"instance_id": world["instance"]}})
    IsolateEC2Instance().run({"mode": "apply", "plan": plan})
    again = IsolateEC2Instance().run({"mode": "apply", "plan": plan})
    assert again["status"] == "already"
    fresh = IsolateEC2Instance().run({"mode": "apply", "target": {"instance_id": world["instance"]}})
    assert fresh["status"] == "already" and sorted(fresh["undo"]["interfaces"][world["instance_eni"]]["groups"]) == before
    IsolateEC2Instance().run({"mode": "undo", "record": fresh})
    assert groups_of(account, world["instance_eni"]) == before


def test_isolation_is_refused_when_the_groups_changed_since_the_plan(account, world):
    plan = IsolateEC2Instance().run({"mode": "plan", "target": {"instance_id": world["instance"]}})
    account.client("ec2").modify_network_interface_attribute(NetworkInterfaceId=world["instance_eni"], Groups=[world["bystander_group"]])
    record = IsolateEC2Instance().run({"mode": "apply", "plan": plan})
    assert record["status"] == "refused" and "other security groups" in record["reason"]
    assert groups_of(account, world["instance_eni"]) == [world["bystander_group"]]


def test_isolation_goes_on_where_a_failure_stopped_it(account, world):
    plan = IsolateEC2Instance().run({"mode": "plan", "target": {"instance_id": world["instance"]}})
    control(account, "POST", "faults", {"service": "ec2", "action": "ModifyNetworkInterfaceAttribute", "fault": "access_denied"})
    with pytest.raises(Exception, match="UnauthorizedOperation"):
        IsolateEC2Instance().run({"mode": "apply", "plan": plan})
    assert IsolateEC2Instance().run({"mode": "apply", "plan": plan})["status"] == "changed"


def test_a_throttled_call_is_tried_again(account, world):
    control(account, "POST", "faults", {"service": "ec2", "action": "DescribeInstances", "fault": "throttling", "count": 2})
    assert IsolateEC2Instance().run({"mode": "plan", "target": {"instance_id": world["instance"]}})["changes"]


def test_verify_tells_when_isolation_is_not_so(account, world):
    record = IsolateEC2Instance().run({"mode": "apply", "target": {"instance_id": world["instance"]}})
    account.client("ec2").modify_network_interface_attribute(NetworkInterfaceId=world["instance_eni"], Groups=[world["web_group"]])
    with pytest.raises(core.VerificationFailed):
        IsolateEC2Instance().run({"mode": "verify", "record": record})
    assert IsolateEC2Instance().run({"mode": "undo", "record": record})["status"] == "refused"


def test_an_altered_plan_is_not_applied(world):
    plan = IsolateEC2Instance().run({"mode": "plan", "target": {"instance_id": world["instance"]}})
    altered = copy.deepcopy(plan)
    altered["target"]["instance_id"] = world["bystander_instance"]
    with pytest.raises(core.InvalidTarget, match="altered"):
        IsolateEC2Instance().run({"mode": "apply", "plan": altered})
    with pytest.raises(core.InvalidTarget, match="not for"):
        RevokeIAMCredentials().run({"mode": "apply", "plan": plan})


def test_credentials_are_revoked_and_given_back(account, world):
    iam = account.client("iam")
    target = {"role_names": [world["role"]], "user_names": [world["user"]]}
    plan = RevokeIAMCredentials().run({"mode": "plan", "target": target})
    assert len(plan["changes"]) == 2
    record = RevokeIAMCredentials().run({"mode": "apply", "plan": plan})
    assert record["status"] == "changed" and RevokeIAMCredentials().run({"mode": "verify", "record": record})["verified"]
    document = iam.get_role_policy(RoleName=world["role"], PolicyName=POLICY)["PolicyDocument"]
    assert document["Statement"][0]["Effect"] == "Deny" and "aws:TokenIssueTime" in json.dumps(document)
    assert [key["Status"] for key in iam.list_access_keys(UserName=world["user"])["AccessKeyMetadata"]] == ["Inactive"]
    assert [key["Status"] for key in iam.list_access_keys(UserName=world["bystander_user"])["AccessKeyMetadata"]] == ["Active"]
    assert RevokeIAMCredentials().run({"mode": "apply", "plan": plan})["status"] == "already"
    assert RevokeIAMCredentials().run({"mode": "undo", "record": record})["status"] == "changed"
    assert [key["Status"] for key in iam.list_access_keys(UserName=world["user"])["AccessKeyMetadata"]] == ["Active"]
    assert iam.list_role_policies(RoleName=world["role"])["PolicyNames"] == []


def test_protected_principals_are_refused_and_unknown_ones_not_found(world, monkeypatch):
    monkeypatch.setenv("PROTECTED_PRINCIPALS", "break-glass, shop-web")
    assert RevokeIAMCredentials().run({"mode": "apply", "target": {"role_name": "shop-web"}})["status"] == "refused"
    with pytest.raises(core.TargetNotFound):
        RevokeIAMCredentials().run({"mode": "plan", "target": {"user_name": "nobody"}})


def test_snapshots_are_made_once_for_a_case(account, world):
    target = {"instance_id": world["instance"], "case": "gd-1"}
    record = CreateForensicSnapshot().run({"mode": "apply", "target": target})
    assert record["status"] == "changed" and len(record["snapshots"]) == 2
    again = CreateForensicSnapshot().run({"mode": "apply", "target": target})
    assert again["status"] == "already" and again["snapshots"] == record["snapshots"]
    assert CreateForensicSnapshot().run({"mode": "verify", "record": record})["verified"]
    assert CreateForensicSnapshot().run({"mode": "undo", "record": record})["status"] == "refused"
    assert len(account.client("ec2").describe_snapshots(OwnerIds=["self"])["Snapshots"]) == 2


def test_a_public_bucket_is_blocked_and_keeps_its_policy(account, world):
    s3, bucket = account.client("s3"), world["bucket"]
    policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    target = {"bucket": bucket, "account": "123456789012"}
    plan = RemediatePublicS3Bucket().run({"mode": "plan", "target": target})
    assert plan["state"]["public_by_policy"]
    record = RemediatePublicS3Bucket().run({"mode": "apply", "plan": plan})
    assert record["status"] == "changed" and RemediatePublicS3Bucket().run({"mode": "verify", "record": record})["verified"]
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    assert s3.get_bucket_policy(Bucket=bucket)["Policy"] == policy
    assert RemediatePublicS3Bucket().run({"mode": "apply", "plan": plan})["status"] == "already"
    assert RemediatePublicS3Bucket().run({"mode": "undo", "record": record})["status"] == "changed"
    with pytest.raises(s3.exceptions.ClientError, match="NoSuchPublicAccessBlockConfiguration"):
        s3.get_public_access_block(Bucket=bucket)
    with pytest.raises(Exception, match="AccessDenied"):
        RemediatePublicS3Bucket().run({"mode": "apply", "target": target | {"account": "999999999999"}})


def shown_rules(account, group: str) -> set[str]:
    rules = account.client("ec2").describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
    source = lambda rule: rule.get("CidrIpv4") or rule.get("CidrIpv6") or "list"  # noqa: E731
    return {f"{r['IpProtocol']} {r.get('FromPort')}-{r.get('ToPort')} {source(r)}" for r in rules if not r["IsEgress"]}


def test_open_rules_of_every_shape_are_closed_and_the_others_stay(account, world):
    group, before = world["open_group"], shown_rules(account, world["open_group"])
    record = RemediateOpenSecurityGroup().run({"mode": "apply", "target": {"group_id": group}})
    assert record["status"] == "changed" and len(record["changes"]) == 5
    assert shown_rules(account, group) == {"tcp 443-443 0.0.0.0/0", "tcp 22-22 198.51.100.0/24"}
    assert RemediateOpenSecurityGroup().run({"mode": "verify", "record": record})["verified"]
    assert shown_rules(account, world["bystander_group"]) == {"tcp 22-22 0.0.0.0/0"}
    assert RemediateOpenSecurityGroup().run({"mode": "undo", "record": record})["status"] == "changed"
    assert shown_rules(account, group) == before


def test_a_wide_rule_is_split_where_ports_are_to_stay_open(account, world):
    target = {"group_id": world["open_group"], "keep_ports": [443, 8443]}
    RemediateOpenSecurityGroup().run({"mode": "apply", "target": target})
    left = shown_rules(account, world["open_group"])
    assert {"tcp 443-443 ::/0", "tcp 8443-8443 ::/0", "tcp 443-443 0.0.0.0/0"} <= left
    assert not any("0-65535" in rule or rule.startswith("-1") for rule in left)


@pytest.mark.parametrize(
    ("cidr", "internet"),
    [
        ("0.0.0.0/0", True),
        ("128.0.0.0/1", True),
        ("10.0.0.0/8", False),
        ("198.51.100.0/24", False),
        ("::/0", True),
        ("2000::/3", True),
        ("fd00::/8", False),
        ("2001:db8::/32", False),
        ("::ffff:0:0/96", True),
        ("::ffff:c633:6400/120", False),
        ("nonsense", False),
    ],
)
def test_what_counts_as_the_internet(cidr, internet):
    assert is_internet(cidr) is internet


def finding(world, severity=8.0, **resource) -> dict:
    detail = {"id": "f1", "severity": severity, "title": "T", "type": "X", "service": {"count": 1}}
    return {"detail": detail | {"resource": resource or {"resourceType": "Instance", "instanceDetails": {"instanceId": world["instance"]}}}}


def test_severity_comes_from_the_finding_and_is_raised_by_the_tag(world):
    answer = assess.assess(finding(world))
    assert answer["severity"] == "CRITICAL" and answer["containable"]
    assert answer["target"] == {
        "instance_id": world["instance"],
        "role_names": ["shop-web"],
        "user_names": ["shop-deploy"],
        "case": "gd-f1",
    }
    other = finding(world, 8, instanceDetails={"instanceId": world["bystander_instance"]})
    assert assess.assess(other)["severity"] == "HIGH"
    assert assess.assess(finding(world, 2))["severity"] == "LOW", "noise about a critical machine stays noise"
    gone = assess.assess(finding(world, 9.5, instanceDetails={"instanceId": "i-0123456789abcdef0"}))
    assert (gone["severity"], gone["containable"]) == ("CRITICAL", False)
    key = assess.assess(finding(world, 8, accessKeyDetails={"userType": "AssumedRole", "userName": "shop-web"}))
    assert key["target"]["role_names"] == ["shop-web"]
    with pytest.raises(core.InvalidTarget):
        assess.assess({"detail": {"id": "x", "severity": "high"}})


def test_the_containment_plan_covers_both_actions_under_one_hash(account, world):
    target = assess.assess(finding(world))["target"]
    first, second = assess.plan_containment({"target": target}), assess.plan_containment({"target": target})
    assert first["plan_hash"] == second["plan_hash"] and [row["action"] for row in first["plan"]] == [
        "IsolateEC2Instance",
        "RevokeIAMCredentials",
    ]
    account.client("ec2").modify_network_interface_attribute(NetworkInterfaceId=world["instance_eni"], Groups=[world["web_group"]])
    assert assess.plan_containment({"target": target})["plan_hash"] != first["plan_hash"]


def test_cloudtrail_tells_what_the_suspects_did(account, world):
    target = {"instance_id": world["instance"], "role_names": ["shop-web"], "user_names": ["shop-deploy"]}
    answer = evidence.query_cloudtrail({"target": target})
    assert "shop-deploy" in answer["principals"] and any(row["event"] == "RunInstances" for row in answer["events"])
    assert len(json.dumps(answer)) < 60_000


def test_the_record_is_written_once_with_its_digest(account, world, monkeypatch):
    monkeypatch.setenv("EVIDENCE_BUCKET", world["evidence_bucket"])
    monkeypatch.setenv("ACCOUNT_ID", "123456789012")
    first = evidence.document_incident({"case": "gd-1", "record": {"a": 1}})
    assert first["status"] == "changed" and evidence.document_incident({"case": "gd-1", "record": {"a": 1}})["status"] == "already"
    body = account.client("s3").get_object(Bucket=world["evidence_bucket"], Key=first["key"])["Body"].read()
    assert __import__("hashlib").sha256(body).hexdigest() == first["sha256"]
    with pytest.raises(core.InvalidTarget):
        evidence.document_incident({"case": "../x", "record": {"a": 1}})


def test_every_function_lists_the_calls_that_its_code_makes():
    """function.yaml is the least-privilege policy; a handler must at least be there and importable."""
    for folder in sorted((ROOT / "functions").iterdir()):
        if folder.name.startswith("_") or not folder.is_dir():
            continue
        assert (folder / "function.yaml").exists() and "def lambda_handler(event, context)" in (folder / "handler.py").read_text()
        assert pathlib.Path(folder / "function.yaml").read_text().count("actions:") == 1
