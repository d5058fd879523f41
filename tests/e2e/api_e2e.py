#!/usr/bin/env python3
"""The AWS APIs of the real program, as boto3, the AWS CLI and plain sockets see them.

Runs the binary named by SORTIE (or build/sortie) on a data folder of its own. The last line is `N passed, N failed, N skipped`.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.error
import urllib.request

import boto3
import botocore.config
from botocore.exceptions import ClientError

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("SORTIE", str(ROOT / "build" / "sortie"))
ROLE = "arn:aws:iam::123456789012:role/sortie"
PASS = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": {"done": True}, "End": True}}})
ACTIVITY = "arn:aws:states:us-east-1:123456789012:activity:desk"


def activity_machine() -> str:
    return json.dumps({"StartAt": "Ask", "States": {"Ask": {"Type": "Task", "Resource": ACTIVITY, "TimeoutSeconds": 60, "End": True}}})


class Server:
    """`sortie serve` on a free port, with the keys that `sortie env` prints."""

    def __init__(self, folder: str):
        self.data = os.path.join(folder, "data")
        self.process = subprocess.Popen(
            [BINARY, "serve", "--data", self.data, "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        for line in self.process.stdout:
            if match := re.search(r"listening on (http://\S+)", line):
                self.url = match[1]
                break
        else:
            raise SystemExit("the server ended at start-up")
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        printed = subprocess.run([BINARY, "env", "--data", self.data], capture_output=True, text=True, check=True).stdout
        self.env = dict(re.findall(r"export\s+(\w+)='?([^'\n]+)'?", printed))

    def client(self, service: str, **changes):
        keys = {"aws_access_key_id": self.env["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": self.env["AWS_SECRET_ACCESS_KEY"]}
        config = botocore.config.Config(retries={"total_max_attempts": 1}, inject_host_prefix=False, read_timeout=90)
        return boto3.client(service, endpoint_url=self.url, region_name="us-east-1", config=config, **{**keys, **changes})

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(30)


def code_of(call, **parameters) -> str:
    try:
        call(**parameters)
    except ClientError as e:
        return e.response["Error"]["Code"]
    return "no error"


def until(what, seconds: float = 60):
    """The first true value of `what()`, asked again and again."""
    end = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
    return value


def http(server: Server, method: str, path: str, **headers) -> tuple[int, bytes]:
    request = urllib.request.Request(server.url + path, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as e:
        return e.code, e.read()


def test_an_execution_runs_and_its_history_reads_both_ways(server):
    sfn = server.client("stepfunctions")
    arn = sfn.create_state_machine(name="e2e", definition=PASS, roleArn=ROLE)["stateMachineArn"]
    started = sfn.start_execution(stateMachineArn=arn, name="one", input='{"text": "\u00e4\U0001f600"}')
    execution = started["executionArn"]
    described = until(lambda: (d := sfn.describe_execution(executionArn=execution))["status"] == "SUCCEEDED" and d)
    assert json.loads(described["output"]) == {"done": True}
    assert described["input"] == '{"text": "\u00e4\U0001f600"}'
    events = sfn.get_execution_history(executionArn=execution)["events"]
    assert [e["type"] for e in events] == ["ExecutionStarted", "PassStateEntered", "PassStateExited", "ExecutionSucceeded"]
    backwards = sfn.get_paginator("get_execution_history").paginate(
        executionArn=execution, reverseOrder=True, PaginationConfig={"PageSize": 1}
    )
    assert [e["id"] for page in backwards for e in page["events"]] == [4, 3, 2, 1]
    assert [e["name"] for e in sfn.list_executions(stateMachineArn=arn)["executions"]] == ["one"]
    again = sfn.create_state_machine(name="e2e", definition=PASS, roleArn=ROLE)
    assert again["stateMachineArn"] == arn
    assert code_of(sfn.start_execution, stateMachineArn=arn, name="one", input='{"other": 1}') == "ExecutionAlreadyExists"


def test_an_activity_is_polled_and_answered(server):
    sfn = server.client("stepfunctions")
    assert sfn.create_activity(name="desk")["activityArn"] == ACTIVITY
    machine = sfn.create_state_machine(name="asks", definition=activity_machine(), roleArn=ROLE)["stateMachineArn"]
    answers: list[dict] = []
    poll = threading.Thread(target=lambda: answers.append(sfn.get_activity_task(activityArn=ACTIVITY, workerName="w")))
    poll.start()
    execution = sfn.start_execution(stateMachineArn=machine, input='{"n": 1}')["executionArn"]
    poll.join(30)
    assert json.loads(answers[0]["input"]) == {"n": 1}
    token = answers[0]["taskToken"]
    sfn.send_task_heartbeat(taskToken=token)
    sfn.send_task_success(taskToken=token, output='{"ok": true}')
    assert until(lambda: (d := sfn.describe_execution(executionArn=execution))["status"] != "RUNNING" and d)["status"] == "SUCCEEDED"
    assert code_of(sfn.send_task_success, taskToken=token, output="{}") == "TaskTimedOut"
    assert code_of(sfn.send_task_success, taskToken=token + "x", output="{}") in ("InvalidToken", "TaskTimedOut")


def test_wrong_keys_get_nowhere(server):
    wrong = {"aws_access_key_id": "AKIDNOBODY", "aws_secret_access_key": "x"}
    assert code_of(server.client("stepfunctions", **wrong).list_state_machines) == "UnrecognizedClientException"
    secret = {"aws_secret_access_key": "wrong"}
    for service, operation in (("stepfunctions", "list_state_machines"), ("events", "list_rules"), ("lambda", "list_functions")):
        assert code_of(getattr(server.client(service, **secret), operation)) == "InvalidSignatureException", service
    assert code_of(server.client("stepfunctions", aws_session_token="made up").list_state_machines) == "UnrecognizedClientException"
    assert server.client("sts").get_caller_identity()["Account"] == "123456789012"
    for path in ("/v1/executions", "/v1/approvals", "/v1/audit", "/v1/people", "/v1/stream", "/2015-03-31/functions"):
        assert http(server, "GET", path)[0] in (401, 403), path
    assert http(server, "GET", "/healthz")[0] == 200
    assert http(server, "GET", "/no/such/path")[0] == 404


def test_pages_of_other_sites_are_refused(server):
    assert http(server, "GET", "/v1/whoami", Host="evil.example")[0] == 421
    assert http(server, "GET", "/v1/whoami", Origin="http://evil.example")[0] == 403


def test_the_aws_cli_works_unmodified(server):
    aws = pathlib.Path(sys.prefix) / "bin" / "aws"
    if not aws.exists():
        return "no AWS CLI in this environment"
    env = {**os.environ, **server.env, "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": ""}
    command = [sys.executable, str(aws), "stepfunctions", "list-state-machines", "--output", "json"]
    out = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert out.returncode == 0, out.stderr
    assert isinstance(json.loads(out.stdout)["stateMachines"], list)
    return None


def test_nonsense_on_the_socket_ends_the_connection_and_nothing_else(server):
    host, port = server.url.removeprefix("http://").split(":")
    huge = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n"
    for sent in (b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", huge, b"POST / HTTP/1.1\r\nX: " + b"a" * 200_000):
        with socket.create_connection((host, int(port)), timeout=10) as s:
            s.settimeout(10)
            try:
                s.sendall(sent)
                assert s.recv(4096)[:9] in (b"HTTP/1.1 ", b"")
            except (ConnectionError, BrokenPipeError):
                pass
    assert http(server, "GET", "/healthz")[0] == 200


def main() -> int:
    passed = failed = skipped = 0
    if not os.path.exists(BINARY):
        print(f"SKIP no program at {BINARY} (make build)")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    with tempfile.TemporaryDirectory(prefix="sortie-api-") as folder:
        server = Server(folder)
        try:
            for name, test in [(n, f) for n, f in globals().items() if n.startswith("test_")]:
                try:
                    reason = test(server)
                except Exception:
                    traceback.print_exc()
                    print(f"FAIL {name}")
                    failed += 1
                    continue
                print(f"SKIP {name}: {reason}" if reason else f"ok   {name}")
                skipped += bool(reason)
                passed += not reason
        finally:
            if server.stop() != 0:
                print("FAIL the server did not end well")
                failed += 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
