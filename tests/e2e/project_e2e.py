#!/usr/bin/env python3
"""The project folder in force: what its files declare is what the server does, also after a file has gone."""

from __future__ import annotations

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
