"""Keeps the disks of an instance as evidence: one snapshot of each volume, all of one moment, tagged with the case.

A case has one set of snapshots for an instance; asking again finds it. `verify` raises SnapshotPending until they are complete, so that
the playbook waits durably (it may take hours), and SnapshotFailed if one cannot be completed. Evidence is not deleted by undo.
"""

from __future__ import annotations

import botocore.exceptions

from .core import Action, ActionError, InvalidTarget, TargetNotFound, call, change, code_of


class SnapshotPending(ActionError):
    """Snapshots are still being written; ask again later."""


class SnapshotFailed(ActionError):
    """A snapshot ended in the state error."""


class CreateForensicSnapshot(Action):
    name = "CreateForensicSnapshot"
    reversible = False

    def plan(self, target: dict) -> dict:
        instance, case = target.get("instance_id"), target.get("case")
        if not isinstance(instance, str) or not instance.startswith("i-") or not isinstance(case, str) or not case:
            raise InvalidTarget('"target" must have instance_id and case')
        volumes = self._volumes(instance)
        changes = [change(volume, "snapshots of this case", 0, 1) for volume in volumes]
        calls = [call("ec2", "CreateSnapshots", InstanceSpecification={"InstanceId": instance})]
        notes = ["Instance store volumes cannot be kept this way."]
        return self.make_plan({"instance_id": instance, "case": case}, changes, calls, {"volumes": volumes}, notes)

    def apply_plan(self, plan: dict) -> dict:
        instance, case = plan["target"]["instance_id"], plan["target"]["case"]
        existing = self._snapshots(instance, case)
        if existing:
            return {"status": "already", "undo": None, "snapshots": existing}
        tags = [
            {"Key": "sortie:case", "Value": case},
            {"Key": "sortie:instance", "Value": instance},
            {"Key": "Name", "Value": f"evidence {instance}"},
        ]
        made = self.aws.client("ec2").create_snapshots(
            InstanceSpecification={"InstanceId": instance, "ExcludeBootVolume": False},
            Description=f"Evidence of {instance} for {case}"[:255],
            TagSpecifications=[{"ResourceType": "snapshot", "Tags": tags}],
        )["Snapshots"]
        snapshots = [{"snapshot_id": row["SnapshotId"], "volume_id": row["VolumeId"]} for row in made]
        return {"status": "changed", "undo": None, "snapshots": sorted(snapshots, key=lambda row: row["volume_id"])}

    def check(self, record: dict) -> list[dict]:
        identifiers = [row["snapshot_id"] for row in record["snapshots"]]
        found = self.aws.client("ec2").describe_snapshots(SnapshotIds=identifiers)["Snapshots"]
        states = {row["SnapshotId"]: row["State"] for row in found}
        if "error" in states.values():
            raise SnapshotFailed(", ".join(name for name, state in states.items() if state == "error"))
        if "pending" in states.values():
            raise SnapshotPending(", ".join(f"{row['SnapshotId']} {row.get('Progress', '')}" for row in found if row["State"] == "pending"))
        return [{"what": f"state of {name}", "expected": "completed", "found": states.get(name)} for name in identifiers]

    def _volumes(self, instance: str) -> list[str]:
        try:
            pages = self.aws.client("ec2").get_paginator("describe_volumes")
            filters = [{"Name": "attachment.instance-id", "Values": [instance]}]
            volumes = sorted(row["VolumeId"] for page in pages.paginate(Filters=filters) for row in page["Volumes"])
        except botocore.exceptions.ClientError as error:
            if code_of(error).startswith("InvalidInstanceID"):
                raise TargetNotFound(f"there is no instance {instance}") from error
            raise
        if not volumes:
            raise TargetNotFound(f"{instance} has no volumes that could be kept (or does not exist)")
        return volumes

    def _snapshots(self, instance: str, case: str) -> list[dict]:
        filters = [{"Name": "tag:sortie:case", "Values": [case]}, {"Name": "tag:sortie:instance", "Values": [instance]}]
        pages = self.aws.client("ec2").get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=filters)
        rows = [{"snapshot_id": row["SnapshotId"], "volume_id": row["VolumeId"]} for page in pages for row in page["Snapshots"]]
        return sorted(rows, key=lambda row: row["volume_id"])
