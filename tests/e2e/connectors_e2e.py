#!/usr/bin/env python3
"""The functions that speak to people's services on the real program: kill -9 between a service's making something and our hearing of it,
errors that a playbook catches by name, webhooks that our own hooks take, and no secret in what functions log.

Each service alone, with all its faults, is in tests/python/test_connectors.py.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import shutil
import subprocess
import sys
import urllib.request

import product as p

LIBRARY = (
    "CreateServiceNowIncident",
    "UpdateServiceNowIncident",
    "CreateJiraIssue",
    "UpdateJiraIssue",
    "SendPagerDutyEvent",
    "CallWebhook",
    "SendEmail",
)
WORDS = {"servicenow": "sortie-demo", "jira": "jira-demo", "webhook": "a-webhook-secret", "smtp": "smtp-demo"}
CONFIG = """hooks:
  siem:
    hmac: {header: X-Sortie-Signature, secret: env:WEBHOOK_SECRET, prefix: "sha256="}
    timestamp: {header: X-Sortie-Timestamp}
    delivery_id: {header: X-Sortie-Delivery}
    detail_type: {header: X-Sortie-Event}
"""


def task(function: str, parameters: dict, **more) -> dict:
    arn = f"arn:aws:lambda:us-east-1:{p.ACCOUNT}:function:{function}"
    return {"Type": "Task", "Resource": arn, "TimeoutSeconds": 90, "Parameters": parameters, "ResultPath": f"$.{function}", **more}


def machine(*tasks: dict, **more) -> str:
    states = {f"S{i}": one | ({"Next": f"S{i + 1}"} if i + 1 < len(tasks) else {"End": True}) for i, one in enumerate(tasks)}
    return json.dumps({"StartAt": "S0", "States": states | more})


CASE = {"correlation_id.$": "$.case"}
CAUGHT = {"Catch": [{"ErrorEquals": ["Ticket.Unauthorized"], "ResultPath": "$.why", "Next": "NoTicket"}]}
REFUSED = {"ErrorEquals": ["InvalidTarget"], "ResultPath": "$.why", "Next": "NoTicket"}
PLAYBOOKS = {
    "tickets": machine(
        task("CreateServiceNowIncident", CASE | {"severity": "HIGH", "shortDescription.$": "$.case"}),
        task("UpdateServiceNowIncident", {"number.$": "$.CreateServiceNowIncident.number", "work_note": "isolated"}),
        task("CreateJiraIssue", CASE | {"project": "SEC", "summary.$": "$.case", "severity": "HIGH"}),
        task("UpdateJiraIssue", {"issue.$": "$.CreateJiraIssue.number", "comment": "isolated", "status": "In Progress"}),
    ),
    "denied": machine(
        task("CreateServiceNowIncident", CASE | {"shortDescription": "s"}, **CAUGHT),
        NoTicket={"Type": "Pass", "Result": "told by telephone", "ResultPath": "$.instead", "End": True},
    ),
    "mail": machine(
        task("SendEmail", CASE | {"to": "ana@example.com", "subject": "Contained", "text.$": "$.case"}),
        task("SendEmail", CASE | {"to": "ana@example.com", "subject": "Contained\r\nBcc: x@example.com", "text": "t"}, Catch=[REFUSED]),
        NoTicket={"Type": "Pass", "End": True},
    ),
    "hook": machine(task("CallWebhook", CASE | {"event": "incident", "payload": {"case.$": "$.case"}})),
}


@contextlib.contextmanager
def stand_in(name: str):
    command = [sys.executable, str(p.ROOT / f"demo/{name}.py")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.wait(10)


class Stage:
    def __init__(self, server: p.Server, stands: dict[str, str]):
        self.server, self.stands = server, stands

    def received(self, stand: str) -> list[dict]:
        with urllib.request.urlopen(f"{self.stands[stand]}/received", timeout=10) as response:
            return json.loads(response.read())["received"]

    def fail_next(self, stand: str, **fault) -> None:
        request = urllib.request.Request(f"{self.stands[stand]}/faults", data=json.dumps(fault).encode())
        urllib.request.urlopen(request, timeout=10).read()

    def begin(self, playbook: str, case: str) -> str:
        path = self.server.folder / f"{case}.json"
        path.write_text(json.dumps({"case": case}))
        return self.server.json("run", "start", playbook, "--name", case, "--input", str(path))["arn"]

    def output(self, arn: str) -> dict:
        shown = p.until(lambda: (found := self.server.json("run", "show", arn))["status"] != "RUNNING" and found, told=f"{arn} did not end")
        assert shown["status"] == "SUCCEEDED", shown
        return json.loads(shown["output"]) if isinstance(shown["output"], str) else shown["output"]


def crash_when_made(stage: Stage, stand: str, made: str, case: str, count) -> None:
    """The service makes it and does not answer; the server dies there, and goes on afterwards."""
    stage.fail_next(stand, kind="slow", after=True, match=made)
    arn, before = stage.begin("tickets", case), count()
    p.until(lambda: count() == before + 1, told=f"{stand} made nothing")
    stage.server.kill()
    stage.server.start()
    output = stage.output(arn)
    assert output["CreateServiceNowIncident"]["number"] and output["CreateJiraIssue"]["number"]
    assert len([row for row in stage.received("servicenow") if row["correlation_id"] == case]) == 1
    assert len([row for row in stage.received("jira") if row["fields"]["summary"] == case]) == 1
    note = next(row["work_notes"] for row in stage.received("servicenow") if row["correlation_id"] == case)
    assert note.count("isolated") == 1, note
    issue = next(row for row in stage.received("jira") if row["fields"]["summary"] == case)
    assert len(issue["comments"]) == 1 and issue["fields"]["status"]["name"] == "In Progress", issue


def test_a_crash_after_an_incident_was_made_makes_no_second_one(stage: Stage) -> None:
    crash_when_made(stage, "servicenow", "POST .*incident", "crash-1", lambda: len(stage.received("servicenow")))


def test_a_crash_after_an_issue_was_made_makes_no_second_one(stage: Stage) -> None:
    crash_when_made(stage, "jira", "POST .*/issue$", "crash-2", lambda: len(stage.received("jira")))


def test_a_crash_after_a_note_was_written_writes_no_second_one(stage: Stage) -> None:
    notes = lambda: len([row for row in stage.received("servicenow") if row.get("work_notes")])  # noqa: E731
    crash_when_made(stage, "servicenow", "PATCH", "crash-3", notes)


def test_a_crash_after_a_comment_was_written_writes_no_second_one(stage: Stage) -> None:
    comments = lambda: sum(len(row["comments"]) for row in stage.received("jira"))  # noqa: E731
    crash_when_made(stage, "jira", "POST .*/comment", "crash-4", comments)


def test_a_playbook_catches_what_a_service_says_by_name(stage: Stage) -> None:
    stage.fail_next("servicenow", status=401)
    output = stage.output(stage.begin("denied", "denied-1"))
    assert output["instead"] == "told by telephone" and output["why"]["Error"] == "Ticket.Unauthorized", output


def test_our_own_hooks_take_our_webhooks_and_know_a_repetition(stage: Stage) -> None:
    first, other = (stage.output(stage.begin("hook", f"hook-{number}"))["CallWebhook"]["answer"] for number in range(2))
    assert first["id"] != other["id"]
    payload = stage.server.folder / "again.json"
    payload.write_text(json.dumps({"correlation_id": "hook-0", "event": "incident", "payload": {"case": "hook-0"}}))
    stage.server.json("function", "invoke", "CallWebhook", "--payload", str(payload))
    events = stage.server.json("event", "list", "--source", "sortie.hooks.siem")
    assert {event["detail_type"] for event in events} == {"incident"}, events
    again = [event.get("duplicate_of") for event in events if event["id"] not in (first["id"], other["id"])]
    assert again == [first["id"]], "the same delivery is recorded as such, and starts nothing"


def test_mail_goes_out_of_the_sandbox_over_tls(stage: Stage) -> None:
    output = stage.output(stage.begin("mail", "mail-1"))
    assert output["why"]["Error"] == "InvalidTarget" and output["SendEmail"]["message_id"] in stage.received("smtp")[0]["message"], output
    assert len(stage.received("smtp")) == 1


def test_no_function_logs_a_secret(stage: Stage) -> None:
    stage.fail_next("jira", status=500)
    stage.output(stage.begin("tickets", "logged"))
    for name in LIBRARY:
        logged = stage.server.cli("function", "logs", name).stdout
        assert not [word for word in WORDS.values() if word in logged], logged
    assert "trying again" in stage.server.cli("function", "logs", "CreateJiraIssue").stdout


def main() -> None:
    with contextlib.ExitStack() as stack:
        folder: pathlib.Path = stack.enter_context(p.temporary_folder())
        stands = {name: stack.enter_context(stand_in(name)) for name in ("servicenow", "jira", "smtp")}
        project = p.write_files(folder / "project", {f"playbooks/{k}.asl.json": v for k, v in PLAYBOOKS.items()} | {"sortie.yaml": CONFIG})
        for name in LIBRARY:
            shutil.copytree(p.ROOT / "functions" / name, project / "functions" / name)
        shutil.copytree(p.ROOT / "functions/_lib", project / "layers/_lib/python", ignore=shutil.ignore_patterns("__pycache__"))
        env = {"SERVICENOW_URL": stands["servicenow"], "SERVICENOW_USER": "sortie", "SERVICENOW_PASSWORD": WORDS["servicenow"]}
        env |= {"JIRA_URL": stands["jira"], "JIRA_USER": "bot@example.com", "JIRA_API_TOKEN": WORDS["jira"]}
        with urllib.request.urlopen(f"{stands['smtp']}/smtp", timeout=10) as response:
            place = json.loads(response.read())
        shutil.copy(place["ca"], project / "functions/SendEmail/ca.pem")
        env |= {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(place["port"]), "SMTP_USER": "sortie", "SMTP_PASSWORD": WORDS["smtp"]}
        env |= {"SMTP_CA_FILE": "ca.pem", "EMAIL_FROM": "sortie@example.com"}
        server = p.Server(folder, project, WEBHOOK_SECRET=WORDS["webhook"], **env)
        server.extra["WEBHOOK_URL"] = f"{server.url}/hooks/siem"
        server.start()
        try:
            p.main(globals(), Stage(server, stands))
        finally:
            if server.process.poll() is None:
                server.kill()


if __name__ == "__main__":
    main()
