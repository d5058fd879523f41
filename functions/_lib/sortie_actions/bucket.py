"""Ends public access to an S3 bucket by its public access block. The bucket's policy stays: websites, CDNs and other accounts live by it,
and what is public in it has no effect any more. Flags that were set before are recorded, and restored by undo.
"""

from __future__ import annotations

import re

import botocore.exceptions

from .core import Action, InvalidTarget, Refused, TargetNotFound, call, change, code_of, digest

FLAGS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
PUBLIC_GRANTEES = ("http://acs.amazonaws.com/groups/global/AllUsers", "http://acs.amazonaws.com/groups/global/AuthenticatedUsers")


class RemediatePublicS3Bucket(Action):
    name = "RemediatePublicS3Bucket"

    def plan(self, target: dict) -> dict:
        bucket, owner = target.get("bucket"), target.get("account")
        if not isinstance(bucket, str) or not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", bucket):
            raise InvalidTarget('"target.bucket" must be a bucket name')
        if not isinstance(owner, str) or not re.fullmatch(r"\d{12}", owner):
            raise InvalidTarget('"target.account" must be the account that owns the bucket')
        flags, policy = self._flags(bucket, owner), self._policy(bucket, owner)
        state = {
            "flags": flags,
            "policy_sha256": digest(policy) if policy is not None else None,
            "public_by_policy": self._public_by_policy(bucket, owner),
            "public_grants": self._public_grants(bucket, owner),
        }
        changes, calls = [], []
        if flags is None or not all(flags.values()):
            changes.append(change(bucket, "public access block", flags or "none", dict.fromkeys(FLAGS, True)))
            calls.append(call("s3", "PutPublicAccessBlock", Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(FLAGS, True)))
        notes = ["The bucket policy is kept; its public statements have no effect while the block is on."]
        return self.make_plan({"bucket": bucket, "account": owner}, changes, calls, state, notes) | {}

    def apply_plan(self, plan: dict) -> dict:
        bucket, owner = plan["target"]["bucket"], plan["target"]["account"]
        current, planned = self._flags(bucket, owner), plan["state"]["flags"]
        policy = self._policy(bucket, owner)
        undo = {"flags": planned, "policy": policy, "policy_sha256": digest(policy) if policy is not None else None}
        if current is not None and all(current.values()):
            return {"status": "already", "undo": undo}
        if current != planned:
            raise Refused(f"the public access block of {bucket} is not as the plan saw it")
        self.aws.client("s3").put_public_access_block(
            Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(FLAGS, True), ExpectedBucketOwner=owner
        )
        return {"status": "changed", "undo": undo}

    def check(self, record: dict) -> list[dict]:
        bucket, owner = record["target"]["bucket"], record["target"]["account"]
        policy = self._policy(bucket, owner)
        return [
            {"what": f"public access block of {bucket}", "expected": dict.fromkeys(FLAGS, True), "found": self._flags(bucket, owner)},
            {
                "what": f"policy of {bucket}",
                "expected": record["undo"]["policy_sha256"],
                "found": digest(policy) if policy is not None else None,
            },
        ]

    def restore(self, undo: dict, record: dict) -> str:
        bucket, owner = record["target"]["bucket"], record["target"]["account"]
        current = self._flags(bucket, owner)
        if current == undo["flags"]:
            return "already"
        if current != dict.fromkeys(FLAGS, True):
            raise Refused(f"the public access block of {bucket} was changed since")
        s3 = self.aws.client("s3")
        if undo["flags"] is None:
            s3.delete_public_access_block(Bucket=bucket, ExpectedBucketOwner=owner)
        else:
            s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=undo["flags"], ExpectedBucketOwner=owner)
        return "changed"

    # ------------------------------------------------------------------------------------ reading

    def _read(self, operation: str, bucket: str, owner: str, absent: str) -> dict | None:
        try:
            return getattr(self.aws.client("s3"), operation)(Bucket=bucket, ExpectedBucketOwner=owner)
        except botocore.exceptions.ClientError as error:
            if code_of(error) == absent:
                return None
            if code_of(error) == "NoSuchBucket":
                raise TargetNotFound(f"there is no bucket {bucket}") from error
            raise

    def _flags(self, bucket: str, owner: str) -> dict | None:
        answer = self._read("get_public_access_block", bucket, owner, "NoSuchPublicAccessBlockConfiguration")
        return {flag: bool(answer["PublicAccessBlockConfiguration"].get(flag)) for flag in FLAGS} if answer else None

    def _policy(self, bucket: str, owner: str) -> str | None:
        answer = self._read("get_bucket_policy", bucket, owner, "NoSuchBucketPolicy")
        return answer["Policy"] if answer else None

    def _public_by_policy(self, bucket: str, owner: str) -> bool:
        answer = self._read("get_bucket_policy_status", bucket, owner, "NoSuchBucketPolicy")
        return bool(answer and answer["PolicyStatus"].get("IsPublic"))

    def _public_grants(self, bucket: str, owner: str) -> list[str]:
        answer = self._read("get_bucket_acl", bucket, owner, "") or {}
        return sorted(grant["Permission"] for grant in answer.get("Grants", []) if grant["Grantee"].get("URI") in PUBLIC_GRANTEES)
