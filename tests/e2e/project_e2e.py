#!/usr/bin/env python3
"""The project folder in force: what its files declare is what the server does, also after a file has gone."""

from __future__ import annotations

import json
import pathlib

import product as p

STATE_MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:"
SLOW = '{"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 4, "Next": "P"}, "P": {"Type": "Pass", "End": true}}}'
RULE = 'EventPattern: {source: [my.app]}\nTargets:\n  - {Id: t, Arn: "arn:aws:states:us-east-1:123456789012:stateMachine:kept"}\n'
HANDLER = "def lambda_handler(event, context):\n    return 1\n"
PROJECT = {
    "sortie.yaml": "aws: {region: us-east-1}\n",
    "playbooks/kept.asl.json": SLOW,
    "playbooks/goes.asl.json": SLOW,
    "rules/goes.yaml": RULE,
    "rules/other-bus.yaml": "EventBusName: side\n" + RULE,
    "functions/Goes/lambda_function.py": HANDLER,
}


def in_force(server: p.Server) -> tuple[set, set, set]:
    machines = {m["name"] for m in server.client("stepfunctions").list_state_machines()["stateMachines"]}
    events = server.client("events")
    rules = {r["Name"] for bus in ("default", "side") for r in events.list_rules(EventBusName=bus)["Rules"]}
    return machines, rules, {f["FunctionName"] for f in server.client("lambda").list_functions()["Functions"]}


def remove_files(project: pathlib.Path) -> None:
    (project / "playbooks/goes.asl.json").unlink()
    for rule in ("goes", "other-bus"):
        (project / f"rules/{rule}.yaml").unlink()
    (project / "functions/Goes/lambda_function.py").unlink()
    (project / "functions/Goes").rmdir()


def test_what_a_file_declared_goes_with_the_file_at_a_restart_and_what_runs_goes_on():
    with p.temporary_folder() as folder:
        p.write_files(folder / "project", PROJECT)
        server = p.Server(folder, folder / "project").start()
        try:
            sfn = server.client("stepfunctions")
            made = sfn.create_state_machine(name="by-api", definition=SLOW, roleArn=p.ROLE)
            assert in_force(server) == ({"kept", "goes", "by-api"}, {"goes", "other-bus"}, {"Goes"})
            running = sfn.start_execution(stateMachineArn=STATE_MACHINE + "goes", input='{"n": 1}')["executionArn"]
            server.kill()
            remove_files(folder / "project")
            (folder / "project/playbooks/kept.asl.json").write_text("{ broken")
            server.start()
            assert in_force(server) == ({"kept", "by-api"}, set(), set()), "a broken file keeps what is in force, a missing one does not"
            assert p.error_of(sfn.start_execution, stateMachineArn=STATE_MACHINE + "goes")[0] == "StateMachineDoesNotExist"
            assert p.ended(sfn, running)["status"] == "SUCCEEDED"
            sfn.describe_state_machine(stateMachineArn=made["stateMachineArn"])
            assert "kept.asl.json:1:" in server.log()
            assert server.stop() == 0
        finally:
            server.kill()


def test_dev_takes_removed_files_out_of_force_while_it_runs():
    with p.running(PROJECT, verb="dev") as server:
        before = in_force(server)
        assert before == ({"kept", "goes"}, {"goes", "other-bus"}, {"Goes"}), before
        remove_files(server.project)
        p.until(lambda: in_force(server) == ({"kept"}, set(), set()), told="what was removed is still in force")


def test_tasks_without_retry_get_the_one_of_defaults_when_they_are_published_and_lint_writes_it():
    retry = [{"ErrorEquals": ["Lambda.ServiceException", "States.Timeout"], "IntervalSeconds": 2, "MaxAttempts": 5}]
    resource = "arn:aws:lambda:us-east-1:123456789012:function:f"
    written = (
        f"StartAt: A\nStates:\n  A:   # first\n    Type: Task\n    Resource: {resource}\n    Next: B\n"
        f"  B: {{Type: Task, Resource: '{resource}', Retry: [], End: true}}\n"
    )
    files = {
        "sortie.yaml": f"defaults:\n  retry: {json.dumps(retry)}\n",
        "playbooks/two.asl.yaml": written,
        "tests/two.test.yaml": "playbook: two\ntests:\n  - name: A is tried again\n"
        "    mock: {A: [{throw: {error: States.Timeout}}, {return: 1}], B: [{return: 2}]}\n    expect: {status: SUCCEEDED}\n",
    }
    with p.running(project=files) as server:
        sfn = server.client("stepfunctions")
        shown = sfn.describe_state_machine(stateMachineArn=STATE_MACHINE + "two")["definition"]
        assert "A:   # first" in shown and "Retry:\n      - ErrorEquals: [Lambda.ServiceException, States.Timeout]" in shown
        one = server.folder / "one.asl.json"
        one.write_text(json.dumps({"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": resource, "End": True}}}))
        assert server.cli("playbook", "publish", one).returncode == 0
        assert json.loads(sfn.describe_state_machine(stateMachineArn=STATE_MACHINE + "one")["definition"])["States"]["A"]["Retry"] == retry
        by_api = sfn.create_state_machine(name="by-api", definition=one.read_text(), roleArn=p.ROLE)["stateMachineArn"]
        assert sfn.describe_state_machine(stateMachineArn=by_api)["definition"] == one.read_text(), "the API keeps what it is given"
        file = server.project / "playbooks/two.asl.yaml"
        assert p.cli("test", server.project / "tests/two.test.yaml").returncode == 0
        assert p.cli("playbook", "lint", file).returncode == 0
        assert file.read_text() == written
        fixed = p.cli("playbook", "lint", "--fix", file)
        assert fixed.returncode == 0 and "Retry written into A" in fixed.stderr, fixed.stderr
        assert file.read_text() == shown
        assert p.cli("playbook", "lint", "--fix", file).stderr == ""
        nothing = p.cli("playbook", "lint", "--fix", one)
        assert nothing.returncode == 1 and "defaults.retry" in nothing.stderr
    with p.temporary_folder() as folder:
        p.write_files(folder / "project", {"sortie.yaml": "defaults:\n  retry:\n    - ErrorEquals: []\n"})
        try:
            p.Server(folder, folder / "project").start()
        except p.StartFailed as failed:
            assert "sortie.yaml:3:" in failed.stderr and "defaults.retry" in failed.stderr, failed.stderr
        else:
            raise AssertionError("a Retry without error names was accepted")


def test_mistakes_name_file_line_and_column_in_one_format():
    broken = {
        "rules/list.yaml": "EventPattern: {source: [x]}\nTargets:\n  - {Id: t}\n",
        "rules/yaml.yaml": "EventPattern: [\n",
        "policies/p.yaml": "name: a\nquorum: many\n",
        "playbooks/y.asl.yaml": "StartAt: P\nStates:\n  P:\n    Type: Pas\n    End: true\n",
        "functions/F/function.yaml": "timeout: soon\n",
    }
    with p.running(PROJECT | broken, verb="dev") as server:
        log = server.log()
        for place in ("rules/list.yaml:3:", "rules/yaml.yaml:2:", "policies/p.yaml:2:", "playbooks/y.asl.yaml:4:", "F/function.yaml:1:10"):
            assert place in log, f"{place} is missing:\n{log}"


if __name__ == "__main__":
    p.main(globals())
