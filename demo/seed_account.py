#!/usr/bin/env python3
"""Fills the stand-in account with the company of the demo: a web shop with one compromised machine, and bystanders that nothing may touch.

python demo/seed_account.py URL        prints what it made as JSON
"""

from __future__ import annotations

import json
import sys
from typing import Any

import boto3
import botocore.config

ACCOUNT_ID, REGION = "123456789012", "us-east-1"


def client(url: str, service: str, key: str = "seed", secret: str = "seed") -> Any:
    config = botocore.config.Config(retries={"mode": "standard"}, s3={"addressing_style": "path"}, inject_host_prefix=False)
    return boto3.client(service, endpoint_url=url, region_name=REGION, aws_access_key_id=key, aws_secret_access_key=secret, config=config)


def seed(url: str) -> dict:
    made: dict = {"account": ACCOUNT_ID, "region": REGION}
    _identities(url, made)
    _network(url, made)
    _instances(url, made)
    _buckets(url, made)
    _messaging(url, made)
    return made


def _identities(url: str, made: dict) -> None:
    iam = client(url, "iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
    for role in ("shop-web", "shop-batch"):
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(trust))
        iam.create_instance_profile(InstanceProfileName=role)
        iam.add_role_to_instance_profile(InstanceProfileName=role, RoleName=role)
    made |= {"role": "shop-web", "bystander_role": "shop-batch", "user": "shop-deploy", "bystander_user": "shop-audit"}
    for user in ("shop-deploy", "shop-audit"):
        iam.create_user(UserName=user)
        made[f"{user}_key"] = {
            k: v for k, v in iam.create_access_key(UserName=user)["AccessKey"].items() if k in ("AccessKeyId", "SecretAccessKey")
        }


def _network(url: str, made: dict) -> None:
    ec2 = client(url, "ec2")
    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.20.1.0/24")["Subnet"]["SubnetId"]
    made |= {"vpc": vpc, "subnet": subnet}

    def group(name: str, permissions: list[dict]) -> str:
        identifier = ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
        for permission in permissions:
            ec2.authorize_security_group_ingress(GroupId=identifier, IpPermissions=[permission])
        return identifier

    internet = {"IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "temporary"}]}
    listed = ec2.create_managed_prefix_list(
        PrefixListName="partners", MaxEntries=2, AddressFamily="IPv4", Entries=[{"Cidr": "0.0.0.0/1"}, {"Cidr": "128.0.0.0/1"}]
    )["PrefixList"]["PrefixListId"]
    made["web_group"] = group("shop-web", [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443} | internet])
    made["db_group"] = group("shop-db", [{"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "IpRanges": [{"CidrIp": "10.20.0.0/16"}]}])
    made["open_group"] = group(
        "shop-debug",
        [
            {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22} | internet,
            {"IpProtocol": "tcp", "FromPort": 3000, "ToPort": 4000} | internet,
            {"IpProtocol": "tcp", "FromPort": 0, "ToPort": 65535, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]},
            {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "all traffic"}]},
            {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5440, "PrefixListIds": [{"PrefixListId": listed}]},
            {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443} | internet,
            {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "198.51.100.0/24", "Description": "office"}]},
        ],
    )
    made["bystander_group"] = group("shop-bastion", [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22} | internet])
    made["prefix_list"] = listed


def _instances(url: str, made: dict) -> None:
    """Launched with the deploy user's key, so that the event history knows who made them."""
    key = made["shop-deploy_key"]
    ec2 = client(url, "ec2", key["AccessKeyId"], key["SecretAccessKey"])
    disks = [{"DeviceName": name, "Ebs": {"VolumeSize": 8, "VolumeType": "gp3"}} for name in ("/dev/sda1", "/dev/sdb")]
    for name, profile, tags in (
        ("instance", "shop-web", {"Name": "shop-web-3", "env": "prod", "criticality": "critical", "keys-on-host": "shop-deploy"}),
        ("bystander_instance", "shop-batch", {"Name": "shop-batch-1", "env": "prod", "criticality": "normal"}),
    ):
        launched = ec2.run_instances(
            ImageId="ami-0d3c5e7f9a1b2c4d6",
            InstanceType="m6i.large",
            MinCount=1,
            MaxCount=1,
            SubnetId=made["subnet"],
            SecurityGroupIds=[made["web_group"], made["db_group"]],
            IamInstanceProfile={"Name": profile},
            BlockDeviceMappings=disks,
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}],
        )["Instances"][0]
        made[name] = launched["InstanceId"]
        eni = ec2.describe_network_interfaces(Filters=[{"Name": "attachment.instance-id", "Values": [made[name]]}])["NetworkInterfaces"][0]
        made[f"{name}_eni"], made[f"{name}_ip"] = eni["NetworkInterfaceId"], eni["PrivateIpAddress"]


def _buckets(url: str, made: dict) -> None:
    s3 = client(url, "s3")
    for name in ("acme-customer-exports", "acme-public-website", "incident-evidence"):
        s3.create_bucket(Bucket=name)
    for name in ("acme-customer-exports", "acme-public-website"):
        statement = {"Sid": "read", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/*"}
        s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    made |= {"bucket": "acme-customer-exports", "bystander_bucket": "acme-public-website", "evidence_bucket": "incident-evidence"}


def _messaging(url: str, made: dict) -> None:
    sns, sqs = client(url, "sns"), client(url, "sqs")
    for name in ("security-alerts", "critical-alerts"):
        made[name] = sns.create_topic(Name=name)["TopicArn"]
        made[f"{name}_queue"] = sqs.create_queue(QueueName=name)["QueueUrl"]
        sns.subscribe(TopicArn=made[name], Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{name}")
    made["dead_letters"] = sqs.create_queue(QueueName="event-dead-letters")["QueueUrl"]


if __name__ == "__main__":
    print(json.dumps(seed(sys.argv[1]), indent=2))
