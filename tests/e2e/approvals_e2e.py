#!/usr/bin/env python3
"""Approvals on the real program: a playbook asks through a queue, people decide by the command line, once.

Who started it cannot decide, the second answer is told who decided, the token in the history is worth nothing, a
restart in between changes nothing, and a quorum of two needs two.
"""

from __future__ import annotations

import json
import threading

import product as p

CONFIG = """aws: {account: "123456789012", region: us-east-1}
approvals:
  groups:
    ir-leads: [alice, bob, carol]
  queues:
    - {queue: approvals, policy: one}
    - {queue: approvals-two, policy: two}
    - {queue: approvals-short, policy: short}
"""
POLICIES = """- name: one
  from: [group:ir-leads]
  exclude: [initiator]
- name: two
  quorum: 2
  from: [group:ir-leads]
  exclude: [initiator]
- name: short
  expires_after: 2s
  on_expire: reject
"""


def asks(queue: str) -> str:
    body = {
        "title.$": "States.Format('Isolate {}?', $.instance)",
        "plan": [{"action": "ec2:ModifyInstanceAttribute", "target": "i-1", "reversible": True}],
        "token.$": "$$.Task.Token",
    }
    ask = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": f"https://sqs.us-east-1.amazonaws.com/123456789012/{queue}", "MessageBody": body},
        "ResultPath": "$.answer",
        "Next": "Branch",
    }
    choice = {
        "Type": "Choice",
        "Choices": [{"Variable": "$.answer.decision", "StringEquals": "approved", "Next": "Done"}],
        "Default": "Refused",
    }
    refused = {"Type": "Fail", "Error": "Refused", "CausePath": "$.answer.reason"}
    return json.dumps(
        {"StartAt": "Ask", "States": {"Ask": ask, "Branch": choice, "Done": {"Type": "Succeed"}, "Refused": refused}}, indent=2
    )


PROJECT = {
    "sortie.yaml": CONFIG,
    "policies/people.yaml": POLICIES,
    "playbooks/contain.asl.json": asks("approvals"),
    "playbooks/contain-two.asl.json": asks("approvals-two"),
    "playbooks/contain-short.asl.json": asks("approvals-short"),
    "input.json": '{"instance": "i-0abc"}',
}


class Desk:
    """One server with three people who may decide and one who may not."""

    def __init__(self, server: p.Server):
        self.server = server
        self.tokens = {name: server.add_person(name) for name in ("alice", "bob", "carol", "mallory")}

    def start(self, playbook: str = "contain", by: str = "alice") -> str:
        started = self.server.json(
            "run", "start", playbook, "--input", str(self.server.folder / "project/input.json"), SORTIE_TOKEN=self.tokens[by]
        )
        return started["arn"]

    def asked(self, execution: str) -> dict:
        """The approval that an execution waits for."""

        def pending():
            return [a for a in self.server.json("approvals", "list", "--status", "PENDING") if a["execution_arn"] == execution]

        return p.until(pending, told="no approval was asked for")[0]

    def decide(self, verb: str, identity: str, by: str | None, reason: str = "seen and fine", *more: str):
        env = {"SORTIE_TOKEN": self.tokens[by]} if by else {}
        return self.server.cli(verb, identity, "--reason", reason, *more, **env)

    def audit(self) -> list[dict]:
        exported = self.server.cli("audit", "export")
        assert exported.returncode == 0, exported.stderr
        return [json.loads(line) for line in exported.stdout.splitlines()]

    def ended(self, execution: str) -> dict:
        return p.ended(self.server.client("stepfunctions"), execution)


def expect(done, code: int, *words: str) -> None:
    told = f"exit {done.returncode}\n{done.stdout}{done.stderr}"
    assert done.returncode == code, f"exit {code} was expected: {told}"
    for word in words:
        assert word in done.stdout + done.stderr, f"'{word}' is missing: {told}"


def test_a_script_that_waits_learns_from_the_exit_code_what_people_did(desk: Desk) -> None:
    words = ("run", "start", "contain", "--input", str(desk.server.folder / "project/input.json"), "--wait", "--timeout")
    waiting = desk.server.cli(*words, "1", SORTIE_TOKEN=desk.tokens["alice"])
    expect(waiting, 7, "RUNNING")
    approval = next(a for a in desk.server.json("approvals", "list", "--status", "PENDING") if a["execution_arn"] in waiting.stdout)
    expect(desk.decide("reject", approval["id"], "bob", "not now"), 0)
    rejected = threading.Thread(target=reject_next, args=(desk,))
    rejected.start()
    expect(desk.server.cli(*words, "60", SORTIE_TOKEN=desk.tokens["alice"]), 6, "FAILED")
    rejected.join()


def reject_next(desk: Desk) -> None:
    pending = p.until(lambda: desk.server.json("approvals", "list", "--status", "PENDING"), told="no approval was asked for")
    expect(desk.decide("reject", pending[0]["id"], "bob", "not now"), 0)


def test_an_approval_shows_what_will_happen_and_hides_its_token(desk: Desk) -> None:
    execution = desk.start()
    approval = desk.asked(execution)
    shown = desk.server.cli("approvals", "show", approval["id"])
    expect(shown, 0, "Isolate i-0abc?", "ec2:ModifyInstanceAttribute", "alice", approval["plan_hash"])
    token = token_of(desk, execution)
    for text in (shown.stdout, desk.server.cli("approvals", "list", "-o", "json").stdout, desk.server.log()):
        assert token not in text, "the task token is shown"
    expect(desk.server.cli("run", "explain", execution), 0, "sortie approve", approval["id"])
    expect(desk.decide("reject", approval["id"], "bob", "not this one"), 0, "REJECTED")
    ended = desk.ended(execution)
    assert (ended["status"], ended["error"], ended["cause"]) == ("FAILED", "Refused", "not this one")


def test_whoever_started_it_cannot_decide(desk: Desk) -> None:
    execution = desk.start(by="alice")
    approval = desk.asked(execution)
    expect(desk.decide("approve", approval["id"], "alice"), 4, "somebody else")
    expect(desk.decide("approve", approval["id"], "mallory"), 4)
    expect(desk.decide("approve", approval["id"], None), 4, "SORTIE_TOKEN")
    expect(desk.server.cli("approve", approval["id"], "--reason", "a forged token", SORTIE_TOKEN="nobody"), 4)
    assert desk.asked(execution)["status"] == "PENDING"
    expect(desk.decide("approve", approval["id"], "bob"), 0, "APPROVED", "bob")
    ended = desk.ended(execution)
    answer = json.loads(ended["output"])["answer"]
    assert (ended["status"], answer["decision"], answer["by"], answer["reason"]) == ("SUCCEEDED", "approved", "bob", "seen and fine")
    refusals = [line for line in desk.audit() if line["subject"] == approval["id"] and line["outcome"] == "refused"]
    for name in ("alice", "mallory"):
        assert any(line["actor"].endswith(name) for line in refusals), refusals


def test_whoever_started_it_by_sdk_cannot_decide_either(desk: Desk) -> None:
    printed = desk.server.cli("env", "--user", "bob", SORTIE_TOKEN=desk.tokens["bob"])
    expect(printed, 0)
    keys = p.exports(printed.stdout)
    own = desk.server.client(
        "stepfunctions", aws_access_key_id=keys["AWS_ACCESS_KEY_ID"], aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"]
    )
    machine = "arn:aws:states:us-east-1:123456789012:stateMachine:contain"
    execution = own.start_execution(stateMachineArn=machine, input='{"instance": "i-2"}')["executionArn"]
    approval = desk.asked(execution)
    expect(desk.decide("approve", approval["id"], "bob"), 4)
    expect(desk.decide("approve", approval["id"], "carol"), 0)
    assert desk.ended(execution)["status"] == "SUCCEEDED"


def test_an_unknown_initiator_is_never_somebody_else(desk: Desk) -> None:
    machine = "arn:aws:states:us-east-1:123456789012:stateMachine:contain"
    execution = desk.server.client("stepfunctions").start_execution(stateMachineArn=machine, input='{"instance": "i-3"}')["executionArn"]
    approval = desk.asked(execution)
    expect(desk.decide("approve", approval["id"], "carol"), 4)
    expect(desk.server.cli("run", "stop", execution, "--reason", "nobody knows who began it"), 0)
    shown = p.until(lambda: (a := desk.server.json("approvals", "show", approval["id"]))["status"] != "PENDING" and a)
    assert shown["status"] == "CANCELLED"
    expect(desk.decide("approve", approval["id"], "carol"), 1)


def test_one_answer_decides_and_the_second_is_told_whose(desk: Desk) -> None:
    execution = desk.start(by="mallory")
    approval = desk.asked(execution)
    answers: dict = {}
    threads = [
        threading.Thread(target=lambda v=v, by=by: answers.__setitem__(by, desk.decide(v, approval["id"], by, f"{by} says {v}")))
        for v, by in (("approve", "alice"), ("reject", "bob"), ("approve", "carol"))
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    winners = [by for by, done in answers.items() if done.returncode == 0]
    assert len(winners) == 1, {by: (d.returncode, d.stdout, d.stderr) for by, d in answers.items()}
    for by, done in answers.items():
        if by not in winners:
            expect(done, 1, winners[0])
    late = desk.decide("reject", approval["id"], "alice" if winners != ["alice"] else "bob", "too late")
    expect(late, 1, winners[0])
    assert json.loads(desk.server.cli("approvals", "show", approval["id"], "-o", "json").stdout)["decision"]["by"] == winners[0]


def token_of(desk: Desk, execution: str) -> str:
    events = p.history(desk.server.client("stepfunctions"), execution)
    scheduled = next(e["taskScheduledEventDetails"] for e in events if e["type"] == "TaskScheduled")
    return json.loads(scheduled["parameters"])["MessageBody"]["token"]


def test_the_token_in_the_history_is_worth_nothing(desk: Desk) -> None:
    execution = desk.start()
    approval = desk.asked(execution)
    token = token_of(desk, execution)
    sfn = desk.server.client("stepfunctions")
    for call, more in (
        (sfn.send_task_success, {"output": '{"decision": "approved"}'}),
        (sfn.send_task_failure, {"error": "E"}),
        (sfn.send_task_heartbeat, {}),
    ):
        code, message = p.error_of(call, taskToken=token, **more)
        assert code == "AccessDeniedException", (code, message)
    assert sfn.describe_execution(executionArn=execution)["status"] == "RUNNING"
    tried = [line for line in desk.audit() if "SendTaskSuccess" in json.dumps(line) and approval["id"] in json.dumps(line)]
    assert tried and tried[0]["outcome"] == "refused", desk.audit()[-5:]
    expect(desk.decide("approve", approval["id"], "carol"), 0)
    assert desk.ended(execution)["status"] == "SUCCEEDED"


def test_exit_codes_tell_what_is_wrong(desk: Desk) -> None:
    execution = desk.start()
    approval = desk.asked(execution)
    expect(desk.decide("approve", "no-such-approval", "bob"), 8)
    expect(desk.server.cli("approvals", "show", "no-such-approval"), 8)
    expect(desk.decide("approve", approval["id"], "bob", "looks right", "--plan-hash", "0" * 64), 9)
    expect(desk.decide("approve", approval["id"], "bob", " "), 1, "reason")
    expect(desk.server.cli("approve", approval["id"], SORTIE_TOKEN=desk.tokens["bob"]), 2, "--reason")
    expect(desk.server.cli("approvals", "list", "--status", "MAYBE"), 1, "pending")
    expect(desk.decide("approve", approval["id"], "bob", "looks right", "--plan-hash", approval["plan_hash"]), 0, "APPROVED")


def test_a_get_decides_nothing(desk: Desk) -> None:
    execution = desk.start()
    approval = desk.asked(execution)
    bearer = {"Authorization": "Bearer " + desk.tokens["bob"]}
    for path in (
        f"/v1/approvals/{approval['id']}/decision?decision=approve&reason=please",
        f"/v1/approvals/{approval['id']}?decision=approve",
    ):
        desk.server.http("GET", path, **bearer)
    assert desk.asked(execution)["status"] == "PENDING"
    expect(desk.decide("reject", approval["id"], "bob", "only a test"), 0)


def test_a_quorum_of_two_needs_two_people(desk: Desk) -> None:
    execution = desk.start("contain-two")
    approval = desk.asked(execution)
    expect(desk.decide("approve", approval["id"], "bob"), 0, "PENDING", "bob")
    expect(desk.decide("approve", approval["id"], "bob"), 1)
    assert desk.asked(execution)["status"] == "PENDING"
    desk.server.kill()
    desk.server.start()
    expect(desk.decide("approve", approval["id"], "alice"), 4)
    expect(desk.decide("approve", approval["id"], "carol"), 0, "APPROVED")
    answer = json.loads(desk.ended(execution)["output"])["answer"]
    assert "bob" in answer["by"] and "carol" in answer["by"], answer


def test_what_waits_survives_kill_9_and_what_is_decided_does_too(desk: Desk) -> None:
    execution = desk.start()
    approval = desk.asked(execution)
    desk.server.kill()
    desk.server.start()
    again = desk.asked(execution)
    assert (again["id"], again["plan_hash"], again["expires_at"]) == (approval["id"], approval["plan_hash"], approval["expires_at"])
    expect(desk.decide("approve", approval["id"], "bob"), 0, "APPROVED")
    desk.server.kill()
    desk.server.start()
    assert desk.ended(execution)["status"] == "SUCCEEDED"
    expect(desk.decide("reject", approval["id"], "carol"), 1, "bob")
    events = [e["type"] for e in p.history(desk.server.client("stepfunctions"), execution)]
    assert events.count("TaskScheduled") == 1 and events.count("TaskSucceeded") == 1, events


def test_nobody_decides_in_time(desk: Desk) -> None:
    execution = desk.start("contain-short")
    ended = desk.ended(execution)
    assert (ended["status"], ended["error"]) == ("FAILED", "Refused"), ended
    shown = next(a for a in desk.server.json("approvals", "list") if a["execution_arn"] == execution)
    assert shown["status"] == "EXPIRED"
    expect(desk.decide("approve", shown["id"], "bob"), 1, "expired")


def test_a_person_who_was_removed_decides_nothing(desk: Desk) -> None:
    token = desk.server.add_person("dave", "ir-leads")
    execution = desk.start()
    approval = desk.asked(execution)
    expect(desk.server.cli("user", "remove", "dave"), 0)
    expect(desk.server.cli("approve", approval["id"], "--reason", "still here", SORTIE_TOKEN=token), 4)
    expect(desk.decide("reject", approval["id"], "bob", "done testing"), 0)


def test_the_store_holds_all_its_invariants_afterwards(desk: Desk) -> None:
    expect(desk.server.cli("check"), 0)
    assert desk.server.stop() == 0
    expect(desk.server.cli("check"), 0)


if __name__ == "__main__":
    with p.temporary_folder() as folder:
        p.write_files(folder / "project", PROJECT)
        one = p.Server(folder, folder / "project").start()
        try:
            p.main(globals(), Desk(one))
        finally:
            if one.process.poll() is None:
                one.kill()
