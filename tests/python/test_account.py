"""The stand-in account: what it adds to moto behaves as the playbooks and their tests rely on."""

from __future__ import annotations

import json
import time
import urllib.request

import botocore.config
import botocore.exceptions
import pytest


def control(account, method: str, what: str, body: dict | None = None) -> dict:
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(f"{account.url}/sortie-account/{what}", data, method=method)
    return json.loads(urllib.request.urlopen(request).read())


@pytest.fixture
def network(account):
    ec2 = account.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.1.0/24")["Subnet"]["SubnetId"]
    groups = [ec2.create_security_group(GroupName=f"g{i}-{time.time_ns()}", Description="d", VpcId=vpc)["GroupId"] for i in range(3)]
    return ec2, subnet, groups


def read_groups(ec2, instance: str) -> tuple[list, list]:
    shown = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    enis = ec2.describe_network_interfaces(Filters=[{"Name": "attachment.instance-id", "Values": [instance]}])["NetworkInterfaces"]
    return [g["GroupId"] for g in shown["SecurityGroups"]], [g["GroupId"] for g in enis[0]["Groups"]]


@pytest.mark.parametrize("launch", ["security_group_ids", "network_interfaces"])
@pytest.mark.parametrize("change", ["instance", "interface"])
def test_groups_read_back_as_they_were_set_last(network, launch, change):
    ec2, subnet, (first, second, _) = network
    if launch == "security_group_ids":
        where = {"SubnetId": subnet, "SecurityGroupIds": [first]}
    else:
        where = {"NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": subnet, "Groups": [first]}]}
    instance = ec2.run_instances(ImageId="ami-1", MinCount=1, MaxCount=1, **where)["Instances"][0]["InstanceId"]
    assert read_groups(ec2, instance) == ([first], [first])
    if change == "instance":
        ec2.modify_instance_attribute(InstanceId=instance, Groups=[second])
    else:
        eni = ec2.describe_network_interfaces(Filters=[{"Name": "attachment.instance-id", "Values": [instance]}])["NetworkInterfaces"][0]
        ec2.modify_network_interface_attribute(NetworkInterfaceId=eni["NetworkInterfaceId"], Groups=[second])
    assert read_groups(ec2, instance) == ([second], [second])


def test_unknown_groups_are_refused_and_groups_in_use_stay(network):
    ec2, subnet, (first, *_) = network
    instance = ec2.run_instances(ImageId="ami-1", MinCount=1, MaxCount=1, SubnetId=subnet, SecurityGroupIds=[first])["Instances"][0][
        "InstanceId"
    ]
    with pytest.raises(ec2.exceptions.ClientError, match=r"InvalidGroup\.NotFound"):
        ec2.modify_instance_attribute(InstanceId=instance, Groups=["sg-0000000000000dead"])
    with pytest.raises(ec2.exceptions.ClientError, match="DependencyViolation"):
        ec2.delete_security_group(GroupId=first)


def test_the_event_history_tells_who_did_what(account):
    iam, s3, ec2 = (account.client(name) for name in ("iam", "s3", "ec2"))
    iam.create_user(UserName="historian")
    key = iam.create_access_key(UserName="historian")["AccessKey"]["AccessKeyId"]
    account.client("s3", key).create_bucket(Bucket="history-bucket")
    account.client("s3", key).put_bucket_tagging(Bucket="history-bucket", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    s3.put_object(Bucket="history-bucket", Key="k", Body=b"x")
    vpc = account.client("ec2", key).create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.describe_vpcs(VpcIds=[vpc])
    trail = account.client("cloudtrail")
    mine = trail.lookup_events(LookupAttributes=[{"AttributeKey": "AccessKeyId", "AttributeValue": key}])["Events"]
    assert [event["EventName"] for event in mine] == ["CreateVpc", "PutBucketTagging", "CreateBucket"], "newest first"
    assert {event["Username"] for event in mine} == {"historian"}
    detail = json.loads(mine[1]["CloudTrailEvent"])
    assert detail["eventSource"] == "s3.amazonaws.com" and detail["requestParameters"]["bucket"] == "history-bucket"
    assert detail["userIdentity"]["type"] == "IAMUser" and detail["readOnly"] is False
    named = trail.lookup_events(LookupAttributes=[{"AttributeKey": "ResourceName", "AttributeValue": "history-bucket"}])["Events"]
    assert {event["EventName"] for event in named} == {"CreateBucket", "PutBucketTagging"}, "object calls are data events"
    made = trail.lookup_events(LookupAttributes=[{"AttributeKey": "ResourceName", "AttributeValue": "historian"}])["Events"]
    assert {event["EventName"] for event in made} == {"CreateUser", "CreateAccessKey"}


def test_the_event_history_is_paged_and_bounded_in_time(account):
    sqs, trail = account.client("sqs"), account.client("cloudtrail")
    for index in range(7):
        sqs.create_queue(QueueName=f"paged-{index}")
    by_name = [{"AttributeKey": "EventName", "AttributeValue": "CreateQueue"}]
    pages = list(trail.get_paginator("lookup_events").paginate(LookupAttributes=by_name, PaginationConfig={"PageSize": 3}))
    assert len(pages) >= 3 and all(len(page["Events"]) <= 3 for page in pages)
    assert not trail.lookup_events(LookupAttributes=by_name, StartTime=time.time() + 60)["Events"]


def test_guardduty_findings_are_made_listed_read_and_archived(account):
    client = account.client("guardduty")
    detector = client.create_detector(Enable=True)["DetectorId"]
    client.create_sample_findings(DetectorId=detector, FindingTypes=["UnauthorizedAccess:EC2/TorClient"])
    (identifier,) = client.list_findings(DetectorId=detector, FindingCriteria={"Criterion": {"severity": {"Gte": 7}}})["FindingIds"]
    finding = client.get_findings(DetectorId=detector, FindingIds=[identifier])["Findings"][0]
    assert finding["Type"] == "UnauthorizedAccess:EC2/TorClient" and finding["Service"]["Archived"] is False
    client.archive_findings(DetectorId=detector, FindingIds=[identifier])
    assert not client.list_findings(DetectorId=detector, FindingCriteria={"Criterion": {"service.archived": {"Eq": ["false"]}}})[
        "FindingIds"
    ]
    control(
        account, "POST", "findings", {"id": "f" * 32, "region": "us-east-1", "severity": 8, "service": {"archived": False}, "title": "own"}
    )
    assert client.get_findings(DetectorId=detector, FindingIds=["f" * 32])["Findings"][0]["Title"] == "own"


def test_securityhub_findings_are_updated(account):
    client = account.client("securityhub")
    client.enable_security_hub()
    product = "arn:aws:securityhub:us-east-1::product/aws/guardduty"
    finding = {"SchemaVersion": "2018-10-08", "Id": "one", "ProductArn": product, "GeneratorId": "g", "AwsAccountId": "123456789012"}
    finding |= {"CreatedAt": "2026-01-01T00:00:00Z", "UpdatedAt": "2026-01-01T00:00:00Z", "Severity": {"Label": "HIGH"}, "Title": "t"}
    finding |= {"Description": "d", "Resources": [{"Type": "Other", "Id": "x"}], "Types": ["TTPs"]}
    client.batch_import_findings(Findings=[finding])
    updated = client.batch_update_findings(
        FindingIdentifiers=[{"Id": "one", "ProductArn": product}, {"Id": "two", "ProductArn": product}], Workflow={"Status": "RESOLVED"}
    )
    assert [f["Id"] for f in updated["ProcessedFindings"]] == ["one"]
    assert updated["UnprocessedFindings"][0]["ErrorCode"] == "FindingNotFound"
    assert client.get_findings()["Findings"][0]["Workflow"]["Status"] == "RESOLVED"


@pytest.mark.parametrize(
    ("service", "action", "call", "throttled", "denied"),
    [
        ("ec2", "DescribeVpcs", lambda c: c.describe_vpcs(), "RequestLimitExceeded", "UnauthorizedOperation"),
        ("iam", "ListUsers", lambda c: c.list_users(), "Throttling", "AccessDenied"),
        ("s3", "ListBuckets", lambda c: c.list_buckets(), "SlowDown", "AccessDenied"),
        ("sqs", "ListQueues", lambda c: c.list_queues(), "ThrottlingException", "AccessDeniedException"),
        ("guardduty", "ListDetectors", lambda c: c.list_detectors(), "TooManyRequestsException", "AccessDeniedException"),
    ],
)
def test_faults_come_as_the_service_words_them_and_as_often_as_asked(account, service, action, call, throttled, denied):
    client = account.client(service)
    for fault, code in (("throttling", throttled), ("access_denied", denied)):
        control(account, "POST", "faults", {"service": service, "action": action, "fault": fault, "count": 1})
        with pytest.raises(botocore.exceptions.ClientError) as refused:
            call(client)
        assert refused.value.response["Error"]["Code"] == code
        call(client)
    assert control(account, "GET", "faults")["faults"] == []


def test_an_sdk_that_retries_gets_over_one_throttled_call(account):
    control(account, "POST", "faults", {"service": "ec2", "action": "*", "fault": "throttling", "count": 1})
    client = account.client("ec2")
    client = __import__("boto3").client("ec2", endpoint_url=account.url, config=botocore.config.Config(retries={"mode": "standard"}))
    assert client.describe_vpcs()["ResponseMetadata"]["RetryAttempts"] == 1


def test_latency_delays_one_call(account):
    control(account, "POST", "faults", {"service": "sts", "action": "GetCallerIdentity", "fault": "latency", "latency_s": 0.3})
    began = time.monotonic()
    account.client("sts").get_caller_identity()
    assert time.monotonic() - began >= 0.3


def test_a_wrong_fault_is_refused(account):
    with pytest.raises(urllib.error.HTTPError) as refused:
        control(account, "POST", "faults", {"fault": "earthquake"})
    assert refused.value.code == 400


def test_calls_are_listed_and_a_foreign_bucket_owner_is_refused(account):
    s3 = account.client("s3")
    s3.create_bucket(Bucket="owned-bucket")
    s3.get_bucket_location(Bucket="owned-bucket", ExpectedBucketOwner="123456789012")
    with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
        s3.get_bucket_location(Bucket="owned-bucket", ExpectedBucketOwner="999999999999")
    rows = control(account, "GET", "calls?service=s3&action=GetBucketLocation")["calls"]
    assert [row["status"] for row in rows[-2:]] == [200, 403]
