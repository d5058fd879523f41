#!/usr/bin/env python3
"""Versions, aliases, redrive, EXPRESS executions and mocked test cases, with boto3 against the real program."""

from __future__ import annotations

import contextlib
import json
import threading

import product as p

STATES = "arn:aws:states:us-east-1:123456789012"
ROLE = "arn:aws:iam::123456789012:role/r"
MISSING = "arn:aws:lambda:us-east-1:123456789012:function:Missing"
MOCKS = {
    "StateMachines": {"mocked": {"TestCases": {"Retried": {"Call": "Flaky"}}}},
    "MockedResponses": {"Flaky": {"0-1": {"Throw": {"Error": "Boom", "Cause": "c"}}, "2": {"Return": {"ok": True}}}},
}


def machine(**states) -> str:
    return json.dumps({"StartAt": next(iter(states)), "States": states})


def a_pass(result) -> str:
    return machine(A={"Type": "Pass", "Result": result, "End": True})


def test_versions_and_aliases_survive_a_kill(server: p.Server) -> None:
    sfn = server.client("stepfunctions")
    made = sfn.create_state_machine(name="v", definition=a_pass(1), roleArn=ROLE, publish=True, versionDescription="one")
    arn, one = made["stateMachineArn"], made["stateMachineVersionArn"]
    two = sfn.update_state_machine(stateMachineArn=arn, definition=a_pass(2), publish=True)["stateMachineVersionArn"]
    routes = [{"stateMachineVersionArn": one, "weight": 100}]
    alias = sfn.create_state_machine_alias(name="live", routingConfiguration=routes)["stateMachineAliasArn"]
    server.kill()
    server.start()
    sfn = server.client("stepfunctions")
    listed = sfn.list_state_machine_versions(stateMachineArn=arn)["stateMachineVersions"]
    assert [v["stateMachineVersionArn"] for v in listed] == [two, one]
    run = p.ended(sfn, sfn.start_execution(stateMachineArn=alias)["executionArn"])
    assert (run["output"], run["stateMachineVersionArn"], run["stateMachineAliasArn"]) == ("1", one, alias), run
    assert p.error_of(sfn.delete_state_machine_version, stateMachineVersionArn=one)[0] == "ConflictException"
    sfn.delete_state_machine(stateMachineArn=arn)
    assert p.error_of(sfn.describe_state_machine_alias, stateMachineAliasArn=alias)[0] == "ResourceNotFound"


def test_a_failed_execution_is_redriven_after_its_function_appears(server: p.Server) -> None:
    sfn = server.client("stepfunctions")
    states = {"First": {"Type": "Pass", "Next": "Call"}, "Call": {"Type": "Task", "Resource": MISSING, "End": True}}
    arn = sfn.create_state_machine(name="r", definition=machine(**states), roleArn=ROLE)["stateMachineArn"]
    execution = sfn.start_execution(stateMachineArn=arn)["executionArn"]
    failed = p.ended(sfn, execution)
    assert (failed["status"], failed["redriveStatus"]) == ("FAILED", "REDRIVABLE"), failed
    server.kill()
    server.start()
    sfn = server.client("stepfunctions")
    source = "def lambda_handler(event, context):\n    return 'there'\n"
    p.create_function(server.client("lambda"), "Missing", source)
    server.cli("run", "redrive", execution)
    ended = p.ended(sfn, execution)
    assert (ended["status"], ended["output"], ended["redriveCount"]) == ("SUCCEEDED", '"there"', 1), ended
    types = [e["type"] for e in p.history(sfn, execution)]
    assert types.count("ExecutionRedriven") == 1 and types.count("PassStateEntered") == 1, types
    assert p.error_of(sfn.redrive_execution, executionArn=execution)[0] == "ExecutionNotRedrivable"


def test_a_rule_hears_how_executions_end_and_does_not_hear_itself(server: p.Server) -> None:
    sfn, events = server.client("stepfunctions"), server.client("events")
    hears = sfn.create_state_machine(name="hears", definition=machine(F={"Type": "Fail", "Error": "Too"}), roleArn=ROLE)["stateMachineArn"]
    pattern = {"source": ["aws.states"], "detail-type": ["Step Functions Execution Status Change"], "detail": {"status": ["FAILED"]}}
    events.put_rule(Name="failures", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="failures", Targets=[{"Id": "1", "Arn": hears, "RoleArn": ROLE}])
    fails = machine(F={"Type": "Fail", "Error": "E", "Cause": "C"})
    arn = sfn.create_state_machine(name="fails", definition=fails, roleArn=ROLE)["stateMachineArn"]
    failed = sfn.start_execution(stateMachineArn=arn, input='{"a": 1}')["executionArn"]
    heard = p.until(lambda: sfn.list_executions(stateMachineArn=hears)["executions"])
    event = json.loads(p.ended(sfn, heard[0]["executionArn"])["input"])
    assert event["resources"] == [failed] and event["detail"]["executionArn"] == failed, event
    told = {name: event["detail"][name] for name in ("status", "error", "cause", "input", "output", "redriveStatus")}
    assert told == {"status": "FAILED", "error": "E", "cause": "C", "input": '{"a": 1}', "output": None, "redriveStatus": "REDRIVABLE"}
    sfn.start_execution(stateMachineArn=arn)
    p.until(lambda: len(sfn.list_executions(stateMachineArn=hears, statusFilter="FAILED")["executions"]) == 2)
    events.remove_targets(Rule="failures", Ids=["1"])
    events.delete_rule(Name="failures")


def test_a_rule_hears_every_change_whatever_dies_in_between(server: p.Server) -> None:
    sfn, events = server.client("stepfunctions", 1), server.client("events")
    notes = sfn.create_state_machine(name="notes", definition=machine(S={"Type": "Succeed"}), roleArn=ROLE)["stateMachineArn"]
    arn = sfn.create_state_machine(name="told", definition=machine(F={"Type": "Fail", "Error": "E"}), roleArn=ROLE)["stateMachineArn"]
    events.put_rule(Name="told", EventPattern=json.dumps({"source": ["aws.states"], "detail": {"stateMachineArn": [arn]}}))
    events.put_targets(Rule="told", Targets=[{"Id": "1", "Arn": notes, "RoleArn": ROLE}])
    started = set()
    for _ in range(4):
        killer = threading.Timer(0.08, server.kill)
        killer.start()
        with contextlib.suppress(Exception):  # The server dies under it.
            while True:
                started.add(sfn.start_execution(stateMachineArn=arn)["executionArn"])
                sfn.redrive_execution(executionArn=next(iter(started)))
        killer.join()
        server.start()
        sfn = server.client("stepfunctions", 1)

    def heard() -> set:
        pages = sfn.get_paginator("list_executions").paginate(stateMachineArn=notes)
        inputs = (sfn.describe_execution(executionArn=e["executionArn"])["input"] for page in pages for e in page["executions"])
        details = (json.loads(text)["detail"] for text in inputs)
        return {(d["executionArn"], d["redriveCount"], d["status"]) for d in details}

    pages = sfn.get_paginator("list_executions").paginate(stateMachineArn=arn)
    there = {e["executionArn"]: e["redriveCount"] for page in pages for e in page["executions"]}
    assert started and started <= there.keys()
    wanted = {(x, n, status) for x, last in there.items() for n in range(last + 1) for status in ("RUNNING", "FAILED")}
    p.until(lambda: wanted <= heard(), told=f"of {len(wanted)} changes some were not heard")
    events.remove_targets(Rule="told", Ids=["1"])
    events.delete_rule(Name="told")


def test_express_machines_answer_at_once_and_keep_no_history(server: p.Server) -> None:
    sfn = server.client("stepfunctions")
    arn = sfn.create_state_machine(name="x", definition=a_pass({"a": 1}), roleArn=ROLE, type="EXPRESS")["stateMachineArn"]
    done = sfn.start_sync_execution(stateMachineArn=arn, name="n", input="{}")
    assert (done["status"], done["output"]) == ("SUCCEEDED", '{"a":1}'), done
    assert done["billingDetails"] == {"billedMemoryUsedInMB": 64, "billedDurationInMilliseconds": 100}, done
    started = sfn.start_execution(stateMachineArn=arn)["executionArn"]
    assert ":express:x:" in started
    assert p.error_of(sfn.describe_execution, executionArn=started)[0] == "InvalidArn"
    assert p.error_of(sfn.list_executions, stateMachineArn=arn)[0] == "StateMachineTypeNotSupported"


def test_a_test_case_answers_the_tasks_it_lists(server: p.Server) -> None:
    sfn = server.client("stepfunctions")
    call = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "Nobody"}, "End": True}
    call["Retry"] = [{"ErrorEquals": ["Boom"], "IntervalSeconds": 1, "MaxAttempts": 3, "BackoffRate": 1.0}]
    arn = sfn.create_state_machine(name="mocked", definition=machine(Call=call), roleArn=ROLE)["stateMachineArn"]
    run = p.ended(sfn, sfn.start_execution(stateMachineArn=arn + "#Retried")["executionArn"])
    assert (run["status"], run["output"]) == ("SUCCEEDED", '{"ok":true}'), run
    assert p.error_of(sfn.start_execution, stateMachineArn=arn + "#Unknown")[0] == "InvalidName"


if __name__ == "__main__":
    with p.temporary_folder() as place:
        (place / "mocks.json").write_text(json.dumps(MOCKS))
        one = p.Server(place, SFN_MOCK_CONFIG=str(place / "mocks.json")).start()
        try:
            p.main(globals(), one)
        finally:
            if one.process.poll() is None:
                one.kill()
