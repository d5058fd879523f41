#!/usr/bin/env python3
"""The AWS APIs as people's clients use them: boto3 and the AWS CLI, unmodified, against the real program."""

from __future__ import annotations

import base64
import json
import pathlib
import shutil
import subprocess
import sys
import threading

import product as p

STATES = "arn:aws:states:us-east-1:123456789012"
LAMBDA = "arn:aws:lambda:us-east-1:123456789012:function"
ECHO = "def lambda_handler(event, context):\n    print('hears', event)\n    return {'echo': event}\n"
WRONG = """import os, sys, time
def lambda_handler(event, context):
    how = event['how']
    if how == 'raise': raise KeyError('missing')
    if how == 'exit': sys.exit(3)
    if how == 'crash': os._exit(1)
    if how == 'sleep': time.sleep(60)
    if how == 'set': return {1, 2}
    if how == 'big': return 'x' * (7 * 1024 * 1024)
    return how
"""
STARTER = """import boto3, json
def lambda_handler(event, context):
    sfn = boto3.client('stepfunctions')
    started = sfn.start_execution(stateMachineArn='MACHINE', input=json.dumps({'raw': event}))
    return {'executionArn': started['executionArn']}
""".replace("MACHINE", f"{STATES}:stateMachine:good")
PASS = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})
YAML = "runtime: python3.11\nhandler: lambda_function.lambda_handler\ntimeout: 60\n"
PROJECT = {
    "playbooks/good.asl.json": PASS,
    "functions/Starter/lambda_function.py": STARTER,
    "functions/Starter/function.yaml": YAML + "actions: [states:StartExecution]\n",
    "functions/Sneaky/lambda_function.py": STARTER,
    "functions/Sneaky/function.yaml": YAML,
}


def machine_of(**states) -> str:
    return json.dumps({"StartAt": next(iter(states)), "States": states})


def invoke(server: p.Server, name: str, payload, **more) -> dict:
    answer = server.client("lambda").invoke(FunctionName=name, Payload=json.dumps(payload), **more)
    text = answer["Payload"].read().decode()
    return {
        "status": answer["StatusCode"],
        "error": answer.get("FunctionError"),
        "payload": json.loads(text) if text else None,
        "log": base64.b64decode(answer.get("LogResult", "")).decode(),
    }


def test_state_machines_are_made_changed_and_deleted(server: p.Server) -> None:
    sfn = server.client("stepfunctions")
    arn = sfn.create_state_machine(name="first", definition=PASS, roleArn=p.ROLE, tags=[{"key": "team", "value": "ir"}])["stateMachineArn"]
    assert arn == f"{STATES}:stateMachine:first"
    described = sfn.describe_state_machine(stateMachineArn=arn)
    assert (described["status"], described["type"], described["definition"]) == ("ACTIVE", "STANDARD", PASS)
    assert sfn.list_tags_for_resource(resourceArn=arn)["tags"] == [{"key": "team", "value": "ir"}]
    changed = machine_of(B={"Type": "Pass", "Result": 5, "End": True})
    sfn.update_state_machine(stateMachineArn=arn, definition=changed)
    execution = sfn.start_execution(stateMachineArn=arn, name="x")["executionArn"]
    assert p.ended(sfn, execution)["output"] == "5"
    assert sfn.describe_state_machine_for_execution(executionArn=execution)["definition"] == changed
    assert p.error_of(sfn.create_state_machine, name="first", definition=PASS, roleArn=p.ROLE)[0] == "StateMachineAlreadyExists"
    assert p.error_of(sfn.create_state_machine, name="no", definition="{}", roleArn=p.ROLE)[0] == "InvalidDefinition"
    assert p.error_of(sfn.create_state_machine, name="a b", definition=PASS, roleArn=p.ROLE)[0] == "InvalidName"
    verdict = sfn.validate_state_machine_definition(definition='{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}}}')
    assert verdict["result"] == "FAIL" and verdict["diagnostics"]
    sfn.delete_state_machine(stateMachineArn=arn)
    p.until(lambda: p.error_of(sfn.describe_state_machine, stateMachineArn=arn)[0] == "StateMachineDoesNotExist")
    assert p.error_of(sfn.start_execution, stateMachineArn=arn)[0] == "StateMachineDoesNotExist"


def test_a_long_history_is_read_in_pages_both_ways(server: p.Server) -> None:
    sfn = server.client("stepfunctions")
    states = {f"S{i}": {"Type": "Pass", **({"Next": f"S{i + 1}"} if i < 59 else {"End": True})} for i in range(60)}
    arn = sfn.create_state_machine(name="long", definition=machine_of(**states), roleArn=p.ROLE)["stateMachineArn"]
    executions = [sfn.start_execution(stateMachineArn=arn, name=f"n{i}")["executionArn"] for i in range(5)]
    assert p.ended(sfn, executions[0])["status"] == "SUCCEEDED"
    for reverse in (False, True):
        token, ids = {}, []
        while True:
            page = sfn.get_execution_history(executionArn=executions[0], maxResults=7, reverseOrder=reverse, **token)
            assert len(page["events"]) <= 7
            ids += [e["id"] for e in page["events"]]
            if "nextToken" not in page:
                break
            token = {"nextToken": page["nextToken"]}
        assert ids == sorted(range(1, 123), reverse=reverse), ids[:10]
    for one in executions:
        p.ended(sfn, one)
    pages = sfn.get_paginator("list_executions").paginate(stateMachineArn=arn, statusFilter="SUCCEEDED", PaginationConfig={"PageSize": 2})
    assert [e["name"] for page in pages for e in page["executions"]] == ["n4", "n3", "n2", "n1", "n0"]
    assert p.error_of(sfn.get_execution_history, executionArn=executions[0], nextToken="made up")[0] == "InvalidToken"


def test_activities_and_task_tokens_are_answered_once(server: p.Server) -> None:
    sfn = server.client("stepfunctions")
    desk = sfn.create_activity(name="desk")["activityArn"]
    arn = sfn.create_state_machine(name="asks", definition=machine_of(A={"Type": "Task", "Resource": desk, "End": True}), roleArn=p.ROLE)[
        "stateMachineArn"
    ]
    good, bad = (sfn.start_execution(stateMachineArn=arn, name=n, input=json.dumps({"n": n}))["executionArn"] for n in ("good", "bad"))
    taken = {}
    while len(taken) < 2:
        task = sfn.get_activity_task(activityArn=desk, workerName="w")
        if task.get("taskToken"):
            taken[json.loads(task["input"])["n"]] = task["taskToken"]
    sfn.send_task_heartbeat(taskToken=taken["good"])
    sfn.send_task_success(taskToken=taken["good"], output='{"fine": true}')
    sfn.send_task_failure(taskToken=taken["bad"], error="Desk.Closed", cause="night")
    assert json.loads(p.ended(sfn, good)["output"]) == {"fine": True}
    failed = p.ended(sfn, bad)
    assert (failed["status"], failed["error"], failed["cause"]) == ("FAILED", "Desk.Closed", "night")
    assert p.error_of(sfn.send_task_success, taskToken=taken["good"], output="{}")[0] == "TaskTimedOut"


def test_a_function_hands_on_a_task_token(server: p.Server) -> None:
    sfn, lam = server.client("stepfunctions"), server.client("lambda")
    p.create_function(lam, "Holder", "def lambda_handler(event, context):\n    print('TOKEN=' + event['token'])\n")
    wait = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {"FunctionName": "Holder", "Payload": {"token.$": "$$.Task.Token"}},
        "End": True,
    }
    arn = sfn.create_state_machine(name="token", definition=machine_of(W=wait), roleArn=p.ROLE)["stateMachineArn"]
    execution = sfn.start_execution(stateMachineArn=arn)["executionArn"]
    logs = p.until(lambda: (t := server.cli("function", "logs", "Holder").stdout) and "TOKEN=" in t and t)
    token = logs.split("TOKEN=")[1].split()[0]
    sfn.send_task_success(taskToken=token, output='"by hand"')
    assert p.ended(sfn, execution)["output"] == '"by hand"'
    types = [e["type"] for e in p.history(sfn, execution)]
    assert types == [
        "ExecutionStarted",
        "TaskStateEntered",
        "TaskScheduled",
        "TaskStarted",
        "TaskSubmitted",
        "TaskSucceeded",
        "TaskStateExited",
        "ExecutionSucceeded",
    ]


def test_an_event_starts_an_execution_and_a_duplicate_does_not(server: p.Server) -> None:
    bus, sfn = server.client("events"), server.client("stepfunctions")
    arn = sfn.create_state_machine(name="hears", definition=PASS, roleArn=p.ROLE)["stateMachineArn"]
    assert bus.put_rule(Name="hears", EventPattern=json.dumps({"source": ["my.app"], "detail": {"level": [{"numeric": [">", 3]}]}}))[
        "RuleArn"
    ]
    transform = {"InputPathsMap": {"level": "$.detail.level", "id": "$.id"}, "InputTemplate": '{"level": <level>, "said": "id <id>"}'}
    assert bus.put_targets(Rule="hears", Targets=[{"Id": "t", "Arn": arn, "InputTransformer": transform}])["FailedEntryCount"] == 0
    entries = [{"Source": "my.app", "DetailType": "d", "Detail": json.dumps({"level": level})} for level in (7, 1)]
    answer = bus.put_events(Entries=[*entries, {"Source": "my.app", "DetailType": "d", "Detail": "no json"}])
    assert answer["FailedEntryCount"] == 1 and answer["Entries"][2]["ErrorCode"] == "MalformedDetail", answer["Entries"]
    started = p.until(lambda: sfn.list_executions(stateMachineArn=arn)["executions"])
    described = p.ended(sfn, started[0]["executionArn"])
    assert json.loads(described["input"]) == {"level": 7, "said": f"id {answer['Entries'][0]['EventId']}"}
    assert len(sfn.list_executions(stateMachineArn=arn)["executions"]) == 1
    assert bus.test_event_pattern(
        EventPattern='{"source": ["x"]}',
        Event=json.dumps(
            {
                "id": "1",
                "source": "x",
                "account": "1",
                "time": "2024-01-01T00:00:00Z",
                "region": "r",
                "resources": [],
                "detail-type": "d",
                "detail": {},
            }
        ),
    )["Result"]
    assert p.error_of(bus.put_rule, Name="bad", EventPattern='{"source": "x"}')[0] == "InvalidEventPatternException"
    assert [r["Name"] for r in bus.list_rules()["Rules"] if r["Name"] == "hears"] == ["hears"]
    assert [t["Id"] for t in bus.list_targets_by_rule(Rule="hears")["Targets"]] == ["t"]
    bus.remove_targets(Rule="hears", Ids=["t"])
    bus.delete_rule(Name="hears")
    assert p.error_of(bus.describe_rule, Name="hears")[0] == "ResourceNotFoundException"


def test_a_function_is_made_invoked_changed_and_deleted(server: p.Server) -> None:
    lam = server.client("lambda")
    assert p.create_function(lam, "Echo", ECHO, Environment={"Variables": {"LEVEL": "1"}}) == f"{LAMBDA}:Echo"
    told = invoke(server, "Echo", {"a": 1}, LogType="Tail")
    assert told["status"] == 200 and told["error"] is None and told["payload"] == {"echo": {"a": 1}}
    assert "hears {'a': 1}" in told["log"] and "REPORT RequestId" in told["log"]
    assert invoke(server, f"{LAMBDA}:Echo", 5)["payload"] == {"echo": 5}
    assert invoke(server, "Echo", {}, InvocationType="DryRun")["status"] == 204
    assert invoke(server, "Echo", {"later": 1}, InvocationType="Event")["status"] == 202
    p.until(lambda: "'later': 1" in server.cli("function", "logs", "Echo").stdout)
    changed = ECHO.replace("{'echo': event}", "__import__('os').environ['LEVEL']")
    lam.update_function_code(FunctionName="Echo", ZipFile=p.zip_of({"lambda_function.py": changed}))
    assert invoke(server, "Echo", {})["payload"] == "1"
    lam.update_function_configuration(FunctionName="Echo", Environment={"Variables": {"LEVEL": "2"}}, Timeout=9)
    assert invoke(server, "Echo", {})["payload"] == "2"
    got = lam.get_function(FunctionName="Echo")["Configuration"]
    assert (got["Timeout"], got["Runtime"], got["Handler"]) == (9, "python3.11", "lambda_function.lambda_handler")
    assert "Echo" in [f["FunctionName"] for f in lam.list_functions()["Functions"]]
    assert p.error_of(p.create_function, client=lam, name="Echo", source=ECHO)[0] == "ResourceConflictException"
    lam.delete_function(FunctionName="Echo")
    assert p.error_of(lam.invoke, FunctionName="Echo")[0] == "ResourceNotFoundException"


def test_handlers_that_go_wrong_are_told_as_aws_tells_them(server: p.Server) -> None:
    lam = server.client("lambda")
    p.create_function(lam, "Wrong", WRONG, Timeout=3)
    assert invoke(server, "Wrong", {"how": "fine"})["payload"] == "fine"
    raised = invoke(server, "Wrong", {"how": "raise"})
    assert raised["status"] == 200 and raised["error"] == "Unhandled"
    assert (raised["payload"]["errorType"], raised["payload"]["errorMessage"]) == ("KeyError", "'missing'") and raised["payload"][
        "stackTrace"
    ]
    for how, kind, words in (
        ("exit", "Runtime.ExitError", "Runtime exited with error: exit status 3"),
        ("crash", "Runtime.ExitError", "Runtime exited with error: exit status 1"),
        ("sleep", "Sandbox.Timedout", "Task timed out after 3.00 seconds"),
        ("set", "Runtime.MarshalError", "Object of type set is not JSON serializable"),
        ("big", "Function.ResponseSizeTooLarge", "exceeded maximum allowed payload size"),
    ):
        told = invoke(server, "Wrong", {"how": how})
        assert told["error"] == "Unhandled" and told["payload"].get("errorType") == kind and words in told["payload"]["errorMessage"], (
            how,
            told,
        )
        assert invoke(server, "Wrong", {"how": "again"})["payload"] == "again", f"after {how}"
    for name, source, handler, kind, words in (
        (
            "Import",
            "import no_such_module\ndef lambda_handler(e, c): ...\n",
            "lambda_function.lambda_handler",
            "Runtime.ImportModuleError",
            "No module named 'no_such_module'",
        ),
        ("Syntax", "def lambda_handler(e, c:\n", "lambda_function.lambda_handler", "Runtime.UserCodeSyntaxError", "Syntax error"),
        ("Missing", ECHO, "lambda_function.nothing", "Runtime.HandlerNotFound", "nothing"),
    ):
        p.create_function(lam, name, source, handler)
        told = invoke(server, name, {})
        assert told["error"] == "Unhandled" and told["payload"]["errorType"] == kind and words in told["payload"]["errorMessage"], (
            name,
            told,
        )
    sfn = server.client("stepfunctions")
    arn = sfn.create_state_machine(
        name="wrong", definition=machine_of(A={"Type": "Task", "Resource": f"{LAMBDA}:Wrong", "End": True}), roleArn=p.ROLE
    )["stateMachineArn"]
    failed = p.ended(sfn, sfn.start_execution(stateMachineArn=arn, input='{"how": "raise"}')["executionArn"])
    assert failed["error"] == "KeyError" and json.loads(failed["cause"])["errorMessage"] == "'missing'"
    timed = p.ended(sfn, sfn.start_execution(stateMachineArn=arn, input='{"how": "sleep"}')["executionArn"])
    assert timed["error"] == "Sandbox.Timedout" and "Task timed out after 3.00 seconds" in timed["cause"], timed


def test_node_and_provided_runtimes_work_the_same_way(server: p.Server) -> None:
    lam = server.client("lambda")
    bootstrap = """#!/bin/sh
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
while :; do
  event=$(curl -sS -D "$TMPDIR/h" "$api/next" 2>/dev/null || curl -sS -D /tmp/h "$api/next")
  id=$(cat "$TMPDIR/h" /tmp/h 2>/dev/null | tr -d '\\r' | sed -n 's/^[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: *//p' | tail -1)
  curl -sS -X POST "$api/$id/response" -d "{\\"shell\\": $event}" >/dev/null
done
"""
    if shutil.which("node"):
        files = {"index.mjs": "export const handler = async (event, context) => ({node: event.n + 1, id: context.awsRequestId.length});\n"}
        lam.create_function(
            FunctionName="Node", Runtime="nodejs20.x", Role=p.ROLE, Handler="index.handler", Timeout=30, Code={"ZipFile": p.zip_of(files)}
        )
        assert invoke(server, "Node", {"n": 1})["payload"] == {"node": 2, "id": 36}
        files = {"index.mjs": "export const handler = async () => { throw new TypeError('no'); };\n"}
        lam.update_function_code(FunctionName="Node", ZipFile=p.zip_of(files))
        told = invoke(server, "Node", {})
        assert told["error"] == "Unhandled" and (told["payload"]["errorType"], told["payload"]["errorMessage"]) == ("TypeError", "no")
    if not shutil.which("curl"):
        raise p.Skip("the shell runtime of this test needs curl")
    lam.create_function(
        FunctionName="Shell",
        Runtime="provided.al2023",
        Role=p.ROLE,
        Handler="any",
        Timeout=30,
        Code={"ZipFile": p.zip_of({"bootstrap": bootstrap}, 0o755)},
    )
    assert invoke(server, "Shell", {"x": [1]})["payload"] == {"shell": {"x": [1]}}
    assert invoke(server, "Shell", 2)["payload"] == {"shell": 2}


def test_an_endpoint_function_starts_an_execution_only_if_it_is_listed(server: p.Server) -> None:
    event = {"source": "aws.guardduty", "detail": {"severity": 8}}
    told = invoke(server, "Starter", event)
    assert told["error"] is None, told
    sfn = server.client("stepfunctions")
    described = p.ended(sfn, told["payload"]["executionArn"])
    assert described["status"] == "SUCCEEDED" and json.loads(described["input"]) == {"raw": event}
    refused = invoke(server, "Sneaky", event)
    assert refused["error"] == "Unhandled" and "AccessDenied" in json.dumps(refused["payload"]), refused
    assert "Sneaky" in json.dumps(refused["payload"])
    assert len(sfn.list_executions(stateMachineArn=f"{STATES}:stateMachine:good")["executions"]) == 1


def aws(server: p.Server, *words: str, code: int = 0) -> dict | str:
    program = pathlib.Path(sys.executable).parent / "aws"
    if not program.exists():
        raise p.Skip("the AWS CLI is not in this environment")
    keys = server.credentials()
    environment = p.clean_environment(
        **{k: v for k, v in keys.items() if not k.startswith("AWS_ENDPOINT")}, AWS_PAGER="", AWS_CONFIG_FILE="/dev/null"
    )
    done = subprocess.run(
        [sys.executable, str(program), "--endpoint-url", server.url, *words],
        capture_output=True,
        text=True,
        env=environment,
        timeout=p.PATIENCE,
    )
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    if code:
        return done.stderr
    return json.loads(done.stdout) if done.stdout.strip().startswith("{") else done.stdout


def test_the_aws_cli_works_unmodified(server: p.Server) -> None:
    made = aws(server, "stepfunctions", "create-state-machine", "--name", "cli", "--role-arn", p.ROLE, "--definition", PASS)
    started = aws(server, "stepfunctions", "start-execution", "--state-machine-arn", made["stateMachineArn"], "--input", '{"by": "cli"}')
    p.ended(server.client("stepfunctions"), started["executionArn"])
    assert aws(server, "stepfunctions", "describe-execution", "--execution-arn", started["executionArn"])["status"] == "SUCCEEDED"
    with p.temporary_folder() as folder:
        (folder / "code.zip").write_bytes(p.zip_of({"lambda_function.py": ECHO}))
        zipped = f"fileb://{folder}/code.zip"
        words = ("--runtime", "python3.11", "--role", p.ROLE, "--handler", "lambda_function.lambda_handler", "--zip-file", zipped)
        assert aws(server, "lambda", "create-function", "--function-name", "Cli", *words)["FunctionArn"] == f"{LAMBDA}:Cli"
        out = folder / "out.json"
        told = aws(server, "lambda", "invoke", "--function-name", "Cli", "--payload", '{"k": 1}', str(out))
        assert told["StatusCode"] == 200 and json.loads(out.read_text()) == {"echo": {"k": 1}}
    sent = aws(server, "events", "put-events", "--entries", json.dumps([{"Source": "a.b", "DetailType": "d", "Detail": "{}"}]))
    assert sent["FailedEntryCount"] == 0
    assert (
        "does not exist"
        in aws(server, "stepfunctions", "describe-state-machine", "--state-machine-arn", f"{STATES}:stateMachine:none", code=255).lower()
    )


def test_many_clients_at_once_get_their_own_answers(server: p.Server) -> None:
    p.create_function(server.client("lambda"), "Many", ECHO)
    client, wrong = server.client("lambda"), []

    def one(n: int) -> None:
        answer = json.loads(client.invoke(FunctionName="Many", Payload=json.dumps(n))["Payload"].read())
        if answer != {"echo": n}:
            wrong.append((n, answer))

    threads = [threading.Thread(target=one, args=(n,)) for n in range(24)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong, wrong[:3]


if __name__ == "__main__":
    with p.temporary_folder() as place:
        one = p.Server(place, p.write_files(place / "project", PROJECT)).start()
        try:
            p.main(globals(), one)
        finally:
            if one.process.poll() is None:
                one.kill()
