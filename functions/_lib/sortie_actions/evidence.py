"""Reading and keeping: what CloudTrail knows, and the incident's record in the evidence bucket."""

from __future__ import annotations

import datetime
import hashlib
import json
import re

import botocore.exceptions

from .core import Aws, InvalidTarget, canonical, code_of, now, required, setting

EVENTS_MAX = 40
PAGES_MAX = 5


def query_cloudtrail(event: dict, aws: Aws | None = None) -> dict:
    """Who did what to the targets, and what the suspects did: LookupEvents takes one attribute a call, so one question each."""
    aws = aws or Aws()
    target = required(event, "target")
    minutes = target.get("minutes", 24 * 60)
    if not isinstance(minutes, (int, float)) or not 0 < minutes <= 90 * 24 * 60:
        raise InvalidTarget('"target.minutes" must be between 1 and 90 days')
    since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=minutes)
    questions = [
        ("ResourceName", name) for name in [target.get("instance_id"), *target.get("role_names", []), *target.get("user_names", [])] if name
    ]
    questions += [("Username", name) for name in [target.get("instance_id"), *target.get("user_names", [])] if name]
    if not questions:
        raise InvalidTarget('"target" must have instance_id, role_names or user_names')
    found, truncated = {}, False
    trail = aws.client("cloudtrail")
    for key, value in questions:
        token: dict = {}
        for _ in range(PAGES_MAX):
            page = trail.lookup_events(LookupAttributes=[{"AttributeKey": key, "AttributeValue": value}], StartTime=since, **token)
            found |= {row["EventId"]: _row(row) for row in page["Events"]}
            if not page.get("NextToken"):
                break
            token = {"NextToken": page["NextToken"]}
        else:
            truncated = True
    rows = sorted(found.values(), key=lambda row: (row["read_only"], row["time"]))
    writes = [row for row in rows if not row["read_only"]]
    return {
        "action": "QueryCloudTrail",
        "status": "read",
        "since": since.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "total": len(rows),
        "changes": len(writes),
        "principals": sorted({row["user"] for row in rows}),
        "events": rows[:EVENTS_MAX],
        "truncated": truncated or len(rows) > EVENTS_MAX,
        "calls": aws.calls,
    }


def _row(event: dict) -> dict:
    try:
        detail = json.loads(event.get("CloudTrailEvent") or "{}")
    except ValueError:
        detail = {}
    return {
        "time": event["EventTime"].astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "event": event.get("EventName"),
        "source": event.get("EventSource"),
        "user": event.get("Username", ""),
        "access_key_id": event.get("AccessKeyId", ""),
        "ip": detail.get("sourceIPAddress"),
        "error": detail.get("errorCode"),
        "read_only": event.get("ReadOnly") == "true",
    }


def document_incident(event: dict, aws: Aws | None = None) -> dict:
    """Writes the record once: canonical JSON under the case, with its SHA-256; the same record again is `already`."""
    aws = aws or Aws()
    record = required(event, "record")
    case = event.get("case")
    if not isinstance(case, str) or not re.fullmatch(r"[A-Za-z0-9._-]{1,128}", case):
        raise InvalidTarget('"case" must be a name of letters, digits, dot, dash and underscore')
    bucket, owner = setting("EVIDENCE_BUCKET"), setting("ACCOUNT_ID")
    body = canonical({"case": case, "record": record}).encode()
    sha256 = hashlib.sha256(body).hexdigest()
    key = f"incidents/{case}/record-{sha256[:16]}.json"
    s3 = aws.client("s3")
    answer = {"action": "DocumentIncident", "bucket": bucket, "key": key, "sha256": sha256, "at": now()}
    try:
        s3.head_object(Bucket=bucket, Key=key, ExpectedBucketOwner=owner)
        return answer | {"status": "already", "calls": aws.calls}
    except botocore.exceptions.ClientError as error:
        if code_of(error) not in ("404", "NoSuchKey", "NotFound"):
            raise
    s3.put_object(
        Bucket=bucket,
        Key=key,
        Body=body,
        ContentType="application/json",
        ChecksumAlgorithm="SHA256",
        Metadata={"sha256": sha256, "case": case},
        ExpectedBucketOwner=owner,
    )
    return answer | {"status": "changed", "calls": aws.calls}
