"""The playbooks on the real server, against the stand-ins: the demo's three stories, and what happens when they do not go well.

Skipped where no binary is built (SORTIE, build/sortie or build/dev/sortie).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request

import pytest
import run as demo
import stage
from conftest import ROOT, Account
from test_account import control

BINARY = next((p for p in (os.environ.get("SORTIE"), ROOT / "build/sortie", ROOT / "build/dev/sortie") if p and os.path.exists(p)), None)
pytestmark = pytest.mark.skipif(not BINARY, reason="no sortie binary is built")


@pytest.fixture
def story(tmp_path, monkeypatch):
    """A story that is set up, in a folder of its own, with nobody deciding."""
    monkeypatch.setenv("SORTIE", str(BINARY))
    monkeypatch.setenv("AUTO", "1")
    monkeypatch.setenv("DEMO_MARK", "mark-test")
    monkeypatch.setattr(demo.Story, "data", property(lambda self: str(self.stage.data)))
    monkeypatch.setattr(stage, "ROOT", ROOT)
    # Project and data are shown relative to the repository, so the folder lies in it.
    place = stage.Stage(ROOT / "build/story" / tmp_path.name)
    told = demo.Story(place, "main")
    try:
        told.set_up()
        yield told
    finally:
        place.stop()


def pending(story) -> dict:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = story.stage.get("/v1/approvals?status=PENDING")["approvals"]
        if found:
            return found[0]
        if story.stage.execution(story.arn)["status"] != "RUNNING":
            raise AssertionError(story.stage.execution(story.arn))
        time.sleep(0.1)
    raise AssertionError("nobody was asked")


def ended(story) -> dict:
    end = time.monotonic() + 90
    while time.monotonic() < end:
        execution = story.stage.execution(story.arn)
        if execution["status"] != "RUNNING":
            return execution
        time.sleep(0.1)
    raise AssertionError("the execution did not end")


@pytest.mark.parametrize("scenario", ["", "s3", "sg"])
def test_the_demo_ends_well_and_its_report_holds(scenario):
    environment = {**os.environ, "SORTIE": str(BINARY), "SCENARIO": scenario, "DEMO_MARK": "mark-e2e"}
    done = subprocess.run(
        [sys.executable, "demo/run.py"], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    report = json.loads((ROOT / "build/demo/report.json").read_text())
    assert report["execution"]["status"] == "SUCCEEDED" and all(check["ok"] for check in report["checks"])
    assert report["changes"] and all(row["before"] != row["after"] for row in report["changes"])
    assert any("mark-e2e" in message["text"] for message in report["notifications"])


def test_a_rejection_changes_nothing_and_everybody_is_told(story):
    story.send()
    story.find_execution()
    approval = pending(story)
    story.stage.cli("reject", approval["id"], "--reason", "a known scanner", token=story.stage.token)
    assert ended(story)["status"] == "SUCCEEDED"
    changed = {key for key, value in story.scenario.read().items() if value != story.before.get(key)}
    assert {what for _, what in changed} == {f"snapshots of a volume of {story.world['instance']}"}, "evidence only"
    text = stage.received(story.slack)[0]["text"]
    assert "NOT contained: rejected by alice: a known scanner" in text
    assert "NOT contained" in stage.received(story.servicenow)[0]["description"]


def test_a_world_that_changed_since_the_review_is_not_touched_and_a_person_is_called(story):
    story.send()
    story.find_execution()
    approval = pending(story)
    ec2 = story.scenario.aws("ec2")
    ec2.modify_network_interface_attribute(NetworkInterfaceId=story.world["instance_eni"], Groups=[story.world["bystander_group"]])
    story.stage.cli("approve", approval["id"], "--reason", "go ahead", token=story.stage.token)
    execution = ended(story)
    assert (execution["status"], execution["error"]) == ("FAILED", "PlanChanged")
    groups = ec2.describe_network_interfaces(NetworkInterfaceIds=[story.world["instance_eni"]])["NetworkInterfaces"][0]["Groups"]
    assert [group["GroupId"] for group in groups] == [story.world["bystander_group"]]
    assert called(story), "critical-alerts got a message"


def called(story) -> list:
    return (
        story.scenario.aws("sqs").receive_message(QueueUrl=story.world["critical-alerts_queue"], MaxNumberOfMessages=10).get("Messages", [])
    )


def test_throttling_is_retried_and_lost_evidence_does_not_stop_containment(story):
    account = Account(story.account)
    control(account, "POST", "faults", {"service": "ec2", "action": "DescribeInstances", "fault": "throttling", "count": 6})
    control(account, "POST", "faults", {"service": "cloudtrail", "action": "*", "fault": "access_denied", "count": 1000})
    story.send()
    story.find_execution()
    story.stage.cli("approve", pending(story)["id"], "--reason", "go ahead", token=story.stage.token)
    execution = ended(story)
    assert execution["status"] == "SUCCEEDED", execution
    after = story.scenario.read()
    assert after[story.isolation_row()][0].startswith("sortie-isolation-")
    assert execution["output"]["evidence"]["error"]["Error"] == "AccessDeniedException"


def test_a_finding_that_is_sent_again_starts_nothing_twice(story):
    story.send()
    story.find_execution()
    approval = pending(story)
    client = story.stage.events_client(story.bob["keys"][0])
    detail = story.stage.execution(story.arn)["input"]["detail"]
    detail["service"]["count"] += 1
    client.put_events(Entries=[{"Source": "aws.guardduty", "DetailType": "GuardDuty Finding", "Detail": json.dumps(detail)}])
    time.sleep(1)
    assert len(story.stage.get("/v1/executions")["executions"]) == 1
    denied = story.stage.cli("approve", approval["id"], "--reason", "mine", token=story.bob["token"], check=False)
    assert denied.returncode == 4, "bob sent it and is in no group that may decide"


def test_nobody_reads_the_api_without_a_token(story):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(story.stage.server + "/v1/approvals")
    assert refused.value.code == 401
