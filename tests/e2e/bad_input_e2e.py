#!/usr/bin/env python3
"""Bad input of every kind: each gets a clear answer that names the place and the cure, and nothing else is harmed."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import subprocess

import product as p

PASS = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}, indent=2)
HANDLER = "def lambda_handler(event, context):\n    return 'x' * event if isinstance(event, int) else event\n"
FUNCTION = "runtime: python3.11\nhandler: lambda_function.lambda_handler\n"
RULE = "EventPattern: {source: [my.app]}\nTargets:\n  - {Id: t, Arn: 'arn:aws:states:us-east-1:123456789012:stateMachine:good'}\n"
LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9))
SECRET = "a secret of eight bytes and more"


def start_error(project: dict[str, str] | None = None, **kw) -> p.StartFailed:
    """How a server that cannot start ends."""
    with p.temporary_folder() as folder:
        place = p.write_files(folder / "project", project) if project is not None else None
        server = p.Server(folder, place, **kw)
        try:
            server.start()
        except p.StartFailed as e:
            return e
        server.kill()
        raise AssertionError("it started")


def expect_words(text: str, *words: str) -> None:
    for word in words:
        assert word in text, f"'{word}' is missing in: {text}"


def test_a_broken_configuration_names_file_line_and_cure() -> None:
    for config, words in (
        ("aws:\n  region: us-east-1\n  acount: '123456789012'\n", ("sortie.yaml:3", "acount", "account")),
        ("listen: 127.0.0.1:8420\nfunctions:\n  sandbox: maybe\n", ("sortie.yaml:3", "maybe", "preferred")),
        ("aws: {account: 12}\n", ("sortie.yaml:1", "account", "quotes")),
        ("aws:\n  region: [\n", ("sortie.yaml:3:1",)),
        ("metrics:\n  token: hunter2\n", ("sortie.yaml:2", "env:NAME")),
        (LAUGHS, ("sortie.yaml",)),
    ):
        failed = start_error({"sortie.yaml": config})
        assert failed.code == 1, failed
        expect_words(failed.stderr, *words)
        assert "hunter2" not in failed.stderr


def test_one_broken_file_leaves_the_rest_running() -> None:
    files = {
        "sortie.yaml": "aws: {region: us-east-1}\n",
        "playbooks/good.asl.json": PASS,
        "playbooks/bad.asl.json": '{\n  "StartAt": "A",\n  "States": {\n    "A": {"Type": "Pass", "Next": "Nowhere"}\n  }\n}\n',
        "playbooks/torn.asl.json": '{\n  "StartAt": "A",\n',
        "rules/good.yaml": RULE,
        "rules/bad.yaml": "EventPattern: {source: [{prefixx: a}]}\nTargets: []\n",
        "functions/good/lambda_function.py": HANDLER,
        "functions/good/function.yaml": FUNCTION,
        "functions/bad/lambda_function.py": HANDLER,
        "functions/bad/function.yaml": "runtime: python3.11\nhandler: lambda_function.lambda_handler\ntimeout: soon\n",
        "policies/bad.yaml": "- name: one\n  quorum: many\n",
        "policies/bomb.yaml": LAUGHS,
    }
    with p.running(files, verb="dev") as server:
        log = server.log()
        for name in (
            "bad.asl.json:4",
            "torn.asl.json",
            "rules/bad.yaml",
            "functions/bad/function.yaml:3",
            "policies/bad.yaml:2",
            "policies/bomb.yaml",
        ):
            expect_words(log, name)
        assert server.cli("run", "start", "good", "--wait").returncode == 0
        assert server.cli("function", "invoke", "good").returncode == 0
        sent = json.loads(server.cli("event", "send", "-", "-o", "json", stdin='{"source":"my.app","detail-type":"t","detail":{}}').stdout)
        p.until(lambda: server.json("event", "show", sent["id"])["executions"])
        # Mended while it runs, it is in force.
        (server.project / "playbooks/bad.asl.json").write_text(PASS)
        p.until(lambda: server.cli("run", "start", "bad", "--wait").returncode == 0)


def test_a_port_in_use_is_told() -> None:
    with p.running() as server, p.temporary_folder() as folder:
        other = p.Server(folder)
        other.port = server.port
        try:
            other.start()
            raise AssertionError("two servers on one port")
        except p.StartFailed as e:
            assert e.code == 1, e
            expect_words(e.stderr, str(server.port), "already listens", "choose another port")
        assert server.cli("run", "list").returncode == 0


def test_a_data_folder_belongs_to_one_server() -> None:
    with p.running() as server:
        second = p.Server(server.folder)
        try:
            second.start()
            raise AssertionError("two servers in one data folder")
        except p.StartFailed as e:
            assert e.code == 1, e
            expect_words(e.stderr, str(server.data))
        assert server.cli("run", "list").returncode == 0


def test_a_data_folder_that_is_no_store_is_left_alone() -> None:
    with p.temporary_folder() as folder:
        server = p.Server(folder)
        server.data.mkdir()
        (server.data / "sortie.db").write_text("this is a text\n" * 100)
        try:
            server.start()
            raise AssertionError("it started")
        except p.StartFailed as e:
            assert e.code == 1, e
            expect_words(e.stderr, "sortie.db")
        assert (server.data / "sortie.db").read_text().startswith("this is a text")


def test_wrong_addresses_are_told() -> None:
    with p.temporary_folder() as folder:
        for listen, word, code in (("nonsense", "HOST:PORT", 2), ("127.0.0.1:99999", "HOST:PORT", 2), ("0.0.0.0:0", "TLS", 1)):
            done = p.cli("serve", "--data", folder / "d", "--listen", listen)
            assert done.returncode == code, (listen, done)
            expect_words(done.stderr, word)


def test_wrong_credentials_open_nothing() -> None:
    with p.running() as server:
        wrong = {"aws_access_key_id": "AKIDNOBODY", "aws_secret_access_key": "x"}
        assert p.error_of(server.client("stepfunctions", **wrong).list_state_machines)[0] == "UnrecognizedClientException"
        secret = {"aws_secret_access_key": "wrong"}
        assert p.error_of(server.client("events", **secret).list_rules)[0] == "InvalidSignatureException"
        assert server.http("GET", "/v1/executions")[0] == 401
        assert server.http("GET", "/v1/executions", Authorization="Bearer made-up")[0] == 401


def raw_zip(entries: list[tuple[str, bytes, int]]) -> bytes:
    import io
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data, mode in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            z.writestr(info, data)
    return out.getvalue()


def test_a_hostile_zip_is_refused_and_writes_nothing() -> None:
    with p.running() as server:
        lam = server.client("lambda")
        code = HANDLER.encode()
        for what, entries in {
            "a path upwards": [("lambda_function.py", code, 0o644), ("../../escaped.py", b"x", 0o644)],
            "an absolute path": [("/tmp/sortie-escaped.py", b"x", 0o644)],
            "a link": [("lambda_function.py", code, 0o644), ("passwd", b"/etc/passwd", 0o120777)],
            "a bomb": [("lambda_function.py", code, 0o644), ("zeros", bytes(300 * 1024 * 1024), 0o644)],
        }.items():
            told = p.error_of(
                lam.create_function,
                FunctionName="Hostile",
                Runtime="python3.11",
                Role=p.ROLE,
                Handler="lambda_function.lambda_handler",
                Code={"ZipFile": raw_zip(entries)},
            )
            assert told[0] == "InvalidParameterValueException", (what, told)
        assert p.error_of(lam.get_function, FunctionName="Hostile")[0] == "ResourceNotFoundException"
        told = p.error_of(
            lam.create_function, FunctionName="H", Runtime="python3.11", Role=p.ROLE, Handler="a.b", Code={"ZipFile": b"no zip"}
        )
        assert told[0] == "InvalidParameterValueException", told
        escaped = [*server.folder.rglob("escaped.py"), *pathlib.Path("/tmp").glob("sortie-escaped.py")]
        assert not escaped, escaped


def test_a_result_of_300_kilobytes_fails_its_state() -> None:
    files = {"functions/good/lambda_function.py": HANDLER, "functions/good/function.yaml": FUNCTION}
    machine = {
        "StartAt": "A",
        "States": {"A": {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:good", "End": True}},
    }
    with p.running({**files, "playbooks/big.asl.json": json.dumps(machine)}) as server:
        done = server.cli("run", "start", "big", "--wait", "--input", "-", "-o", "json", stdin=str(300 * 1024))
        assert done.returncode == 3, done
        assert json.loads(done.stdout)["error"] == "States.DataLimitExceeded", done.stdout[:500]
        assert server.cli("run", "start", "big", "--wait", "--input", "-", stdin="10").returncode == 0


def test_deep_and_broken_json_is_refused() -> None:
    with p.running({"playbooks/good.asl.json": PASS}) as server:
        sfn = server.client("stepfunctions")
        machine = "arn:aws:states:us-east-1:123456789012:stateMachine:good"
        for text in ("[" * 100_000 + "]" * 100_000, "{", '{"a": NaN}', '"\\ud800"x', ""):
            told = p.error_of(sfn.start_execution, stateMachineArn=machine, input=text)
            assert told[0] == "InvalidExecutionInput" or text == "", (text[:10], told)
        assert p.error_of(sfn.start_execution, stateMachineArn=machine, input=json.dumps("x" * 300_000))[0] in (
            "ValidationException",
            "InvalidExecutionInput",
        )
        deep = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "Parameters": {}, "End": True}}}).replace(
            "{}", '{"a":' * 5000 + "1" + "}" * 5000
        )
        assert p.error_of(sfn.create_state_machine, name="deep", definition=deep, roleArn=p.ROLE)[0] == "InvalidDefinition"
        token = server.add_person("ann")
        bearer = {"Authorization": "Bearer " + token, "Content-Type": "application/json"}
        for body in (b"\xff\xfe\xfa", b'{"playbook": "\xc3\x28"}', b"{" * 50_000, b"[1,", b"null", b'"text"', b'{"playbook": 7}'):
            status, answer = server.http("POST", "/v1/executions", body, **bearer)
            assert status == 400 and "error" in json.loads(answer), (body[:20], status, answer)
        assert server.http("POST", "/v1/executions", b"x" * (30 * 1024 * 1024), **bearer)[0] in (400, 413)
        assert server.cli("run", "start", "good", "--wait").returncode == 0


WAITING = {
    "StartAt": "T",
    "States": {"T": {"Type": "Task", "Resource": "arn:aws:states:us-east-1:123456789012:activity:desk", "End": True}},
}


def test_wrong_tokens_and_late_results_change_nothing() -> None:
    with p.running() as server:
        sfn = server.client("stepfunctions")
        desk = sfn.create_activity(name="desk")["activityArn"]
        machine = sfn.create_state_machine(name="waits", definition=json.dumps(WAITING), roleArn=p.ROLE)["stateMachineArn"]
        execution = sfn.start_execution(stateMachineArn=machine)["executionArn"]
        token = sfn.get_activity_task(activityArn=desk)["taskToken"]
        other = token[:-6] + ("AAAAAA" if not token.endswith("AAAAAA") else "BBBBBB")
        for wrong in ("nonsense", other, "A" * 1000):
            assert p.error_of(sfn.send_task_success, taskToken=wrong, output="{}")[0] == "InvalidToken", wrong
        assert p.error_of(sfn.send_task_success, taskToken=token, output="{broken")[0] == "InvalidOutput"
        sfn.stop_execution(executionArn=execution, error="Stopped", cause="by hand")
        assert p.error_of(sfn.send_task_success, taskToken=token, output="{}")[0] == "TaskTimedOut"
        described = sfn.describe_execution(executionArn=execution)
        assert (described["status"], described["error"]) == ("ABORTED", "Stopped")
        assert [e["type"] for e in p.history(sfn, execution)][-1] == "ExecutionAborted"


def test_a_late_handler_of_a_stopped_execution_changes_nothing() -> None:
    slow = "import time\ndef lambda_handler(event, context):\n    print('working')\n    time.sleep(4)\n    return {'late': True}\n"
    machine = {
        "StartAt": "A",
        "States": {"A": {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:slow", "End": True}},
    }
    files = {
        "functions/slow/lambda_function.py": slow,
        "functions/slow/function.yaml": FUNCTION + "timeout: 60\n",
        "playbooks/s.asl.json": json.dumps(machine),
    }
    with p.running(files) as server:
        sfn = server.client("stepfunctions")
        arn = server.json("run", "start", "s")["arn"]
        p.until(lambda: any(e["type"] == "LambdaFunctionStarted" for e in p.history(sfn, arn)))
        assert server.cli("run", "stop", arn, "--reason", "no longer needed").returncode == 0
        assert server.cli("function", "invoke", "slow").returncode == 0  # Ends after the first would have.
        described = sfn.describe_execution(executionArn=arn)
        assert described["status"] == "ABORTED" and described["cause"] == "no longer needed", described
        assert [e["type"] for e in p.history(sfn, arn)][-1] == "ExecutionAborted"
        assert server.cli("check").returncode == 0


def test_a_hook_takes_only_what_is_signed_for_it() -> None:
    signed = "hmac: {header: X-Signature, secret: env:EDR_SECRET, prefix: 'sha256=', encoding: hex}"
    config = f"hooks:\n  edr:\n    {signed}\n    delivery_id: {{header: X-Delivery}}\n"
    with p.running({"sortie.yaml": config}, EDR_SECRET=SECRET) as server:
        body = json.dumps({"alert": 7}).encode()
        good = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        for signature in ("", "sha256=" + "0" * 64, good[:-1], good.upper()[:7] + "x"):
            assert server.http("POST", "/hooks/edr", body, X_Signature=signature, X_Delivery="1")[0] == 401, signature
        unknown = server.http("POST", "/hooks/other", body, X_Signature=good)
        assert unknown == server.http("POST", "/hooks/edr", body + b" ", X_Signature=good), "an unknown hook and a wrong signature differ"
        status, answer = server.http("POST", "/hooks/edr", body, X_Signature=good, X_Delivery="1")
        assert status == 202, answer
        again = json.loads(server.http("POST", "/hooks/edr", body, X_Signature=good, X_Delivery="1")[1])
        assert again.get("duplicate_of") == json.loads(answer)["id"], again
        assert server.http("GET", "/hooks/edr")[0] in (404, 405)
        sources = [e["source"] for e in server.json("event", "list")]
        assert "sortie.hooks.edr" in sources, sources
        audit = server.cli("audit", "export").stdout
        assert "hook.receive" in audit and SECRET not in audit + server.log()


def test_an_unreachable_account_fails_the_task_and_nothing_else() -> None:
    machine = {
        "StartAt": "A",
        "States": {"A": {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:s3:listBuckets", "TimeoutSeconds": 60, "End": True}},
    }
    nowhere = f"http://127.0.0.1:{p.free_port()}"
    with p.running({"playbooks/s.asl.json": json.dumps(machine), "playbooks/good.asl.json": PASS}, aws=nowhere) as server:
        done = server.cli("run", "start", "s", "--wait", "-o", "json")
        assert done.returncode in (3, 5), done
        assert json.loads(done.stdout)["error"], done.stdout
        assert server.cli("run", "start", "good", "--wait").returncode == 0


def test_a_full_disk_refuses_work_and_loses_nothing() -> None:
    with p.temporary_folder() as folder:
        small = folder / "small"
        small.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(small)], capture_output=True, text=True)
        if mounted.returncode != 0:
            raise p.Skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
        server = p.Server(small)
        server.data = small / "data"
        try:
            server.start()
            sfn = server.client("stepfunctions", attempts=1)
            machine = sfn.create_state_machine(name="fill", definition=PASS, roleArn=p.ROLE)["stateMachineArn"]
            accepted, refused = [], ""
            for i in range(400):
                try:
                    accepted.append(
                        sfn.start_execution(stateMachineArn=machine, name=f"n{i}", input=json.dumps({"x": os.urandom(75_000).hex()}))[
                            "executionArn"
                        ]
                    )
                except Exception as e:
                    refused = repr(e)
                    break
            assert refused and accepted, (len(accepted), refused)
            expect_words(refused, "ServiceUnavailable") if "Timeout" not in refused else None
            assert server.http("GET", "/healthz")[0] == 200
            p.until(lambda: "the store could not write" in server.log(), told="the operator is not told")
            subprocess.run(["mount", "-o", "remount,size=200m", str(small)], check=True, capture_output=True)

            def again():
                with contextlib.suppress(Exception):
                    return sfn.start_execution(stateMachineArn=machine, name="after", input="{}")

            p.until(again, told="it does not take work again after room was made")
            for arn in accepted:
                assert p.ended(sfn, arn)["status"] == "SUCCEEDED"
            assert server.stop() == 0
            assert server.cli("check").returncode == 0
        finally:
            if server.process and server.process.poll() is None:
                server.kill()
            subprocess.run(["umount", "-l", str(small)], check=False, capture_output=True)


if __name__ == "__main__":
    p.main(globals())
