"""What moto lacks and the response playbooks need: an event history, GuardDuty findings, Security Hub updates, true security groups.

moto finds an operation as a method of the service's Response class, named in snake case, once its path is listed; so an addition is a
method and, for REST services, a path. State lives on moto's own backends, so that a reset of moto resets it, too.
"""

from __future__ import annotations

import datetime
import json
import re
import uuid
from typing import Any

from account_gate import ACCOUNT_ID, Journal, Recorded

RESOURCE_TYPES = [
    (r"i-[0-9a-f]+", "AWS::EC2::Instance"),
    (r"sg-[0-9a-f]+", "AWS::EC2::SecurityGroup"),
    (r"eni-[0-9a-f]+", "AWS::EC2::NetworkInterface"),
    (r"vol-[0-9a-f]+", "AWS::EC2::Volume"),
    (r"snap-[0-9a-f]+", "AWS::EC2::Snapshot"),
    (r"vpc-[0-9a-f]+", "AWS::EC2::VPC"),
    (r"subnet-[0-9a-f]+", "AWS::EC2::Subnet"),
]
NAMED_RESOURCES = {
    "roleName": "AWS::IAM::Role",
    "userName": "AWS::IAM::User",
    "instanceProfileName": "AWS::IAM::InstanceProfile",
    "accessKeyId": "AWS::IAM::AccessKey",
    "bucket": "AWS::S3::Bucket",
    "topicArn": "AWS::SNS::Topic",
    "queueUrl": "AWS::SQS::Queue",
    "tableName": "AWS::DynamoDB::Table",
    "functionName": "AWS::Lambda::Function",
}


def install(journal: Journal) -> Any:
    """Adds everything; gives back the function that stores a GuardDuty finding."""
    _add_event_history(journal)
    _add_securityhub_updates()
    _make_security_groups_true()
    return _add_guardduty_findings()


# ---------------------------------------------------------------------------------------------- CloudTrail


def _add_event_history(journal: Journal) -> None:
    from moto.cloudtrail.responses import CloudTrailResponse

    def lookup_events(self: Any) -> str:
        attributes = self._get_param("LookupAttributes") or []
        since, until = self._get_param("StartTime"), self._get_param("EndTime")
        size = min(int(self._get_param("MaxResults") or 50), 50)
        offset = int(self._get_param("NextToken") or 0)
        matching = []
        for recorded in reversed(journal.all()):
            if recorded.call.region != self.region and recorded.call.service not in ("iam", "sts"):
                continue
            if not recorded.call.management or (since and recorded.time < float(since)) or (until and recorded.time > float(until)):
                continue
            event = _lookup_event(recorded)
            if all(_attribute_matches(event, recorded, attribute) for attribute in attributes):
                matching.append(event)
        answer: dict[str, Any] = {"Events": matching[offset : offset + size]}
        if offset + size < len(matching):
            answer["NextToken"] = str(offset + size)
        return json.dumps(answer)

    CloudTrailResponse.lookup_events = lookup_events


def _attribute_matches(event: dict, recorded: Recorded, attribute: dict) -> bool:
    key, wanted = attribute.get("AttributeKey"), attribute.get("AttributeValue")
    if key == "ResourceName":
        return any(resource["ResourceName"] == wanted for resource in event["Resources"])
    if key == "ResourceType":
        return any(resource["ResourceType"] == wanted for resource in event["Resources"])
    if key == "AccessKeyId":
        return recorded.call.access_key_id == wanted
    return (
        event.get(
            {
                "EventId": "EventId",
                "EventName": "EventName",
                "EventSource": "EventSource",
                "ReadOnly": "ReadOnly",
                "Username": "Username",
            }.get(key, "")
        )
        == wanted
    )


def _lookup_event(recorded: Recorded) -> dict:
    call = recorded.call
    identity = _identity(call.access_key_id)
    moment = datetime.datetime.fromtimestamp(recorded.time, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    source = f"{call.service}.amazonaws.com"
    record = {
        "eventVersion": "1.11",
        "userIdentity": identity,
        "eventTime": moment,
        "eventSource": source,
        "eventName": call.action,
        "awsRegion": call.region,
        "sourceIPAddress": recorded.source_ip,
        "userAgent": recorded.user_agent,
        "requestParameters": call.parameters or None,
        "responseElements": None,
        "requestID": recorded.request_id,
        "eventID": recorded.id,
        "readOnly": call.read_only,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT_ID,
        "eventCategory": "Management",
    }
    if recorded.error_code:
        record["errorCode"] = recorded.error_code
    return {
        "EventId": recorded.id,
        "EventName": call.action,
        "ReadOnly": "true" if call.read_only else "false",
        "AccessKeyId": call.access_key_id,
        "EventTime": recorded.time,
        "EventSource": source,
        "Username": identity.get("userName") or identity["arn"].rsplit("/", 1)[-1],
        "Resources": _resources(call.parameters),
        "CloudTrailEvent": json.dumps(record),
    }


def _identity(key: str) -> dict:
    from moto.iam.models import iam_backends
    from moto.sts.models import sts_backends

    for role in getattr(sts_backends[ACCOUNT_ID]["aws"], "assumed_roles", []):
        if role.access_key_id == key:
            issuer = {"type": "Role", "arn": role.role_arn, "accountId": ACCOUNT_ID, "userName": role.role_arn.rsplit("/", 1)[-1]}
            return {
                "type": "AssumedRole",
                "arn": role.arn,
                "principalId": role.user_id,
                "accountId": ACCOUNT_ID,
                "accessKeyId": key,
                "sessionContext": {"sessionIssuer": issuer},
            }
    for user in iam_backends[ACCOUNT_ID]["aws"].users.values():
        if any(owned.access_key_id == key for owned in user.access_keys):
            return {
                "type": "IAMUser",
                "arn": user.arn,
                "principalId": user.id,
                "accountId": ACCOUNT_ID,
                "accessKeyId": key,
                "userName": user.name,
            }
    return {
        "type": "Root",
        "arn": f"arn:aws:iam::{ACCOUNT_ID}:root",
        "principalId": ACCOUNT_ID,
        "accountId": ACCOUNT_ID,
        "accessKeyId": key,
    }


def _resources(parameters: Any) -> list[dict]:
    found: dict[str, str] = {}

    def walk(value: Any, name: str = "") -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, key)
        elif isinstance(value, list):
            for inner in value:
                walk(inner, name)
        elif isinstance(value, str):
            kind = NAMED_RESOURCES.get(name)
            kind = kind or next((kind for pattern, kind in RESOURCE_TYPES if re.fullmatch(pattern, value)), None)
            if kind:
                found[value] = kind

    walk(parameters)
    return [{"ResourceType": kind, "ResourceName": name} for name, kind in found.items()]


# ---------------------------------------------------------------------------------------------- GuardDuty


def _add_guardduty_findings() -> Any:
    from moto.guardduty import urls
    from moto.guardduty.models import guardduty_backends
    from moto.guardduty.responses import GuardDutyResponse

    for path in ("findings", "findings/create", "findings/get", "findings/archive", "findings/unarchive"):
        urls.url_paths["{0}/detector/(?P<detector_id>[^/]+)/" + path + "$"] = GuardDutyResponse.dispatch

    def findings(backend: Any) -> dict[str, dict]:
        return backend.__dict__.setdefault("sortie_findings", {})

    def wanted(self: Any) -> list[dict]:
        known = findings(self.guardduty_backend)
        return [known[identifier] for identifier in self._get_param("findingIds") or [] if identifier in known]

    def create_sample_findings(self: Any) -> str:
        detector = self.path.split("/")[-3]
        for kind in self._get_param("findingTypes") or ["UnauthorizedAccess:EC2/TorClient"]:
            identifier = uuid.uuid4().hex
            now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
            findings(self.guardduty_backend)[identifier] = {
                "schemaVersion": "2.0",
                "accountId": ACCOUNT_ID,
                "region": self.region,
                "partition": "aws",
                "id": identifier,
                "arn": f"arn:aws:guardduty:{self.region}:{ACCOUNT_ID}:detector/{detector}/finding/{identifier}",
                "type": kind,
                "resource": {"resourceType": "Instance"},
                "service": {
                    "serviceName": "guardduty",
                    "detectorId": detector,
                    "archived": False,
                    "count": 1,
                    "additionalInfo": {"value": '{"sample":true}', "type": "default"},
                },
                "severity": 8,
                "createdAt": now,
                "updatedAt": now,
                "title": f"[SAMPLE] {kind}",
                "description": f"[SAMPLE] {kind}",
            }
        return "{}"

    def list_findings(self: Any) -> str:
        criterion = (self._get_param("findingCriteria") or {}).get("criterion", {})
        rows = [f for f in findings(self.guardduty_backend).values() if all(_meets(f, path, rule) for path, rule in criterion.items())]
        return json.dumps({"findingIds": [finding["id"] for finding in rows], "nextToken": ""})

    def get_findings(self: Any) -> str:
        return json.dumps({"findings": wanted(self)})

    def archive(self: Any, archived: bool) -> str:
        for finding in wanted(self):
            finding["service"]["archived"] = archived
        return "{}"

    GuardDutyResponse.create_sample_findings = create_sample_findings
    GuardDutyResponse.list_findings = list_findings
    GuardDutyResponse.get_findings = get_findings
    GuardDutyResponse.archive_findings = lambda self: archive(self, True)
    GuardDutyResponse.unarchive_findings = lambda self: archive(self, False)

    def store(finding: dict) -> str:
        findings(guardduty_backends[ACCOUNT_ID][finding.get("region", "us-east-1")])[finding["id"]] = finding
        return finding["id"]

    return store


def _meets(finding: dict, path: str, rule: dict) -> bool:
    value: Any = finding
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if "eq" in rule or "equals" in rule:
        return text in [str(item).lower() if isinstance(value, bool) else str(item) for item in rule.get("eq") or rule.get("equals")]
    if "gte" in rule or "greaterThanOrEqual" in rule:
        return isinstance(value, (int, float)) and value >= float(rule.get("gte") or rule.get("greaterThanOrEqual"))
    return True


# ---------------------------------------------------------------------------------------------- Security Hub


def _add_securityhub_updates() -> None:
    from moto.securityhub import urls
    from moto.securityhub.responses import SecurityHubResponse

    urls.url_paths["{0}/findings/batchupdate$"] = SecurityHubResponse.dispatch

    def batch_update_findings(self: Any) -> str:
        raw = self.body.decode() if isinstance(self.body, bytes) else self.body
        body = json.loads(raw or "{}")
        changes = {key: value for key, value in body.items() if key != "FindingIdentifiers"}
        processed, unprocessed = [], []
        for identifier in body.get("FindingIdentifiers", []):
            found = [finding for finding in self.securityhub_backend.findings if finding.id == identifier.get("Id")]
            if not found:
                unprocessed.append({"FindingIdentifier": identifier, "ErrorCode": "FindingNotFound", "ErrorMessage": "Finding Not Found"})
                continue
            for finding in found:
                finding.data.update(changes)
            processed.append(identifier)
        return json.dumps({"ProcessedFindings": processed, "UnprocessedFindings": unprocessed})

    SecurityHubResponse.batch_update_findings = batch_update_findings


# ---------------------------------------------------------------------------------------------- EC2


def _make_security_groups_true() -> None:
    """Groups belong to interfaces, as on AWS: what was set last is what is read, however the instance was launched."""
    from moto.ec2.exceptions import DependencyViolationError, InvalidSecurityGroupNotFoundError
    from moto.ec2.models.elastic_network_interfaces import NetworkInterface, NetworkInterfaceBackend
    from moto.ec2.models.instances import InstanceBackend
    from moto.ec2.models.security_groups import SecurityGroupBackend

    def group_set(self: Any) -> list:
        return self._group_set or list(getattr(self.instance, "security_groups", []) or [])

    NetworkInterface.group_set = property(group_set)

    def known(backend: Any, identifiers: list[str]) -> list:
        groups = [backend.get_security_group_from_id(identifier) for identifier in identifiers]
        for identifier, group in zip(identifiers, groups, strict=True):
            if group is None:
                raise InvalidSecurityGroupNotFoundError(identifier)
        return groups

    run = InstanceBackend.run_instances

    def run_instances(self: Any, *rest: Any, **more: Any) -> Any:
        reservation = run(self, *rest, **more)
        for instance in reservation.instances:
            first = next((eni for eni in instance.nics.values() if eni.device_index in (0, "0", None)), None)
            if first is not None and not instance.security_groups:
                instance.security_groups = list(first.group_set)
        return reservation

    InstanceBackend.run_instances = run_instances

    modify_instance = InstanceBackend.modify_instance_security_groups

    def modify_instance_security_groups(self: Any, instance_id: str, new_group_id_list: list[str]) -> Any:
        groups = known(self, new_group_id_list)
        instance = modify_instance(self, instance_id, new_group_id_list)
        for eni in instance.nics.values():
            if eni.device_index in (0, "0", None):
                eni._group_set = list(groups)
        return instance

    InstanceBackend.modify_instance_security_groups = modify_instance_security_groups

    modify_interface = NetworkInterfaceBackend.modify_network_interface_attribute

    def modify_network_interface_attribute(self: Any, eni_id: str, group_ids: list[str], *rest: Any, **more: Any) -> Any:
        groups = known(self, group_ids) if group_ids else []
        result = modify_interface(self, eni_id, group_ids, *rest, **more)
        eni = self.get_network_interface(eni_id)
        if groups and eni.instance is not None and eni.device_index in (0, "0", None):
            eni.instance.security_groups = list(groups)
        return result

    NetworkInterfaceBackend.modify_network_interface_attribute = modify_network_interface_attribute

    delete_group = SecurityGroupBackend.delete_security_group

    def delete_security_group(self: Any, name: str | None = None, group_id: str | None = None) -> Any:
        for eni in self.enis.values():
            if group_id and any(group.id == group_id for group in eni.group_set):
                raise DependencyViolationError(f"resource {group_id} has a dependent object")
        return delete_group(self, name, group_id)

    SecurityGroupBackend.delete_security_group = delete_security_group
