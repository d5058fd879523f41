"""What every shipped playbook and rule must have, whatever it does: nothing waits for ever, nothing is tried once, nothing is lost."""

from __future__ import annotations

import json

import pytest
import yaml
from conftest import ROOT

PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.asl.json"))
RULES = sorted((ROOT / "playbooks/rules").glob("*.yaml"))


def states_of(machine: dict):
    for name, state in machine["States"].items():
        yield name, state
        for branch in state.get("Branches", []):
            yield from states_of(branch)


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.name)
def test_tasks_retry_end_in_time_and_call_what_exists(path):
    for name, state in states_of(json.loads(path.read_text())):
        if state["Type"] != "Task":
            continue
        assert state.get("Retry"), f"{name} is tried once"
        resource = state["Resource"]
        if ":function:" in resource:
            assert (ROOT / "functions" / resource.rsplit(":", 1)[-1] / "handler.py").exists(), f"{name} calls {resource}"
        if ":function:" in resource or "waitForTaskToken" in resource:
            assert "TimeoutSeconds" in state, f"{name} may wait for ever"


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.name)
def test_results_are_kept_beside_the_input_and_parallels_are_caught(path):
    machine = json.loads(path.read_text())
    for name, state in machine["States"].items():
        if state["Type"] in ("Task", "Pass", "Parallel"):
            assert "ResultPath" in state and state["ResultPath"] != "$", f"{name} replaces what later states need"
        if state["Type"] == "Parallel":
            assert state.get("Catch"), f"{name} fails silently"


def test_nothing_disruptive_comes_before_the_approval_and_both_answers_are_read():
    states = json.loads((ROOT / "playbooks/incident-response.asl.json").read_text())["States"]
    seen, todo = set(), ["AssessSeverity"]
    while todo:  # Every way that does not pass an approved decision.
        name = todo.pop()
        if name in seen or name == "Contain":
            continue
        seen.add(name)
        state = states[name]
        todo += [state[key] for key in ("Next", "Default") if key in state]
        todo += [row["Next"] for row in state.get("Choices", []) + state.get("Catch", [])]
    text = json.dumps({name: states[name] for name in seen})
    assert "IsolateEC2Instance" not in text and "RevokeIAMCredentials" not in text
    (choice,) = states["Decided"]["Choices"]
    assert (choice["Variable"], choice["StringEquals"], choice["Next"]) == ("$.approval.decision", "approved", "Contain")
    assert states["Decided"]["Default"] == "NotContained"


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_rules_target_playbooks_that_exist_and_lose_nothing(path):
    rule = yaml.safe_load(path.read_text())
    assert rule["EventPattern"] and rule["deduplicate"]["key"].startswith("$.")
    for target in rule["Targets"]:
        assert (ROOT / f"playbooks/{target['Arn'].rsplit(':', 1)[-1]}.asl.json").exists()
        assert target["DeadLetterConfig"]["Arn"] and target["RetryPolicy"]
