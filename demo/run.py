#!/usr/bin/env python3
"""The demo: a detection comes in, a playbook answers, people decide, and everything that is claimed at the end is read back.

    build/venv/bin/python demo/run.py      SCENARIO= (incident) | s3 | sg     AUTO=1 decides by itself     DEMO_MARK=text marks the finding

The account is a stand-in (moto with additions), Slack and ServiceNow are stand-ins; the server is the real one. On a terminal the main
story waits for a person's decision and stays up afterwards. Exit 0 only if every check of the report holds; the report is also written
to build/demo/report.json.
"""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import re
import signal
import sys
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import scenarios
import seed_account
from stage import ROOT, STAGE, Failed, Stage, received

STORY_S_MAX = 150
HUMAN_S_MAX = 3600


class Story:
    def __init__(self, stage: Stage, kind: str):
        self.stage = stage
        self.mark = os.environ.get("DEMO_MARK", "")
        self.interactive = sys.stdin.isatty() and sys.stdout.isatty() and not os.environ.get("AUTO")
        self.began = time.monotonic()
        self.kind = kind
        self.arn, self.contained_s = "", 0.0

    def say(self, text: str = "", detail: str = "") -> None:
        clock = f"[{time.monotonic() - self.began:6.1f} s] " if text else ""
        print(f"{clock}{text}", flush=True)
        for line in detail.splitlines():
            print(f"             {line}", flush=True)

    # ------------------------------------------------------------------------------------ the story

    def set_up(self) -> None:
        stage = self.stage
        self.account, self.slack, self.servicenow = (stage.python(n, f"{n}.py") for n in ("account", "slack", "servicenow"))
        self.say(
            "stand-ins are up",
            f"AWS account {self.account}\nSlack       {self.slack}/received and /calls\nServiceNow  {self.servicenow}/received",
        )
        self.world = seed_account.seed(self.account)
        self.scenario = scenarios.SCENARIOS[self.kind](self.account, self.world)
        self.say("the account is seeded", f"instance {self.world['instance']} (critical), bystander {self.world['bystander_instance']}")
        stage.write_project(self.account, self.slack)
        url = stage.serve(self.slack, self.servicenow)
        self.say(f"sortie serves {url}", f"project {stage.project.relative_to(ROOT)}, data {stage.data.relative_to(ROOT)}")
        self.alice = stage.add_person("alice", "ir-leads")
        self.bob = stage.add_person("bob", "detection")
        stage.token = self.alice["token"]
        self.say("two people: bob sends detections, alice leads incident response")
        if self.interactive:
            self.say("the console, as alice (the link is good once)", stage.login_link("alice"))

    def send(self) -> None:
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        values = {"ACCOUNT": self.world["account"], "REGION": self.world["region"], "TIME": now, "MARK": self.mark}
        identifier = uuid.uuid4().hex if self.scenario.name == "main" else str(uuid.uuid4())
        values |= {"FINDING_ID": identifier, "DETECTOR": "d" * 32} | self.scenario.values()
        event = fill(json.loads((ROOT / "demo/events" / self.scenario.event_file).read_text()), values)
        entry = {"Source": event["source"], "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])}
        self.before = self.scenario.read()
        self.expected = self.scenario.expected()
        self.sent = time.monotonic()
        answer = self.stage.events_client(self.bob["keys"][0]).put_events(Entries=[entry])
        if answer["FailedEntryCount"]:
            raise Failed(f"the event was refused: {answer['Entries']}")
        title = event["detail"].get("title") or event["detail-type"]
        self.say(f"event in: {event['source']}, {event['detail-type']}", f"{title}\nsortie event list --data {self.data}")

    @property
    def data(self) -> str:
        return str(self.stage.data.relative_to(ROOT))

    def find_execution(self) -> None:
        end = time.monotonic() + 45
        while time.monotonic() < end:
            found = [
                e for e in self.stage.get("/v1/executions")["executions"] if e["state_machine"].rsplit(":", 1)[-1] == self.scenario.playbook
            ]
            if found:
                self.arn = found[0]["arn"]
                self.say(f"a rule matched: {self.scenario.playbook} runs", f"sortie run watch {found[0]['name']} --data {self.data}")
                return
            time.sleep(0.2)
        raise Failed("the event started no execution")

    def follow(self) -> None:
        """Waits for the end; decides when asked to, or shows a person how."""
        asked, end = set(), time.monotonic() + (HUMAN_S_MAX if self.interactive else STORY_S_MAX)
        while time.monotonic() < end:
            execution = self.stage.execution(self.arn)
            if execution["status"] != "RUNNING":
                self.contained_s = time.monotonic() - self.sent
                self.say(f"the execution ended: {execution['status']}", execution.get("cause") or "")
                return
            for approval in self.stage.get("/v1/approvals?status=PENDING")["approvals"]:
                if approval["execution_arn"] == self.arn and approval["id"] not in asked:
                    asked.add(approval["id"])
                    self.decide(approval)
            time.sleep(0.25)
        raise Failed(f"the execution did not end in time: {self.stage.cli('run', 'explain', self.arn, check=False).stdout.strip()}")

    def decide(self, approval: dict) -> None:
        self.show_plan(approval)
        command = f"sortie approve {approval['id']} --reason 'confirmed with the shop team' --data {self.data}"
        if self.interactive:
            print(f"\n    Your decision, in the console: {self.stage.server}/a/{approval['id']}")
            print("    or in another terminal (or `sortie reject ...`):\n")
            print(f"    cd {ROOT}\n    SORTIE_TOKEN={self.stage.token} build/{command}\n", flush=True)
            return
        snapshots = [v for (_, what), v in self.scenario.read().items() if what.endswith(f"volume of {self.world['instance']}")]
        self.evidence_first = all(snapshots) and self.scenario.read()[self.isolation_row()] == self.before[self.isolation_row()]
        self.say("alice approves through the CLI", command)
        self.stage.cli("approve", approval["id"], "--reason", "confirmed with the shop team", token=self.stage.token)

    def isolation_row(self) -> tuple[str, str]:
        return self.world["instance_eni"], f"security groups of {self.world['instance']}"

    def show_plan(self, approval: dict) -> None:
        rows = [f"{approval['title']}   (plan {approval['plan_hash'][:12]})"]
        for action in approval["plan"]:
            rows.append(f"{action['action']}, {'can be undone' if action['reversible'] else 'CANNOT be undone'}")
            for row in action["changes"]:
                rows += [f"  {row['resource']}: {row['what']}", f"    - {shown(row['before'])}", f"    + {shown(row['after'])}"]
        self.say("people are asked before anything disruptive:", "\n".join(rows))

    # ------------------------------------------------------------------------------------ the report

    def report(self) -> dict:
        execution, after = self.stage.execution(self.arn), self.scenario.read()
        changes = [
            {"resource": key[0], "what": key[1], "before": self.before.get(key), "after": after.get(key)}
            for key in sorted({*self.before, *after})
            if self.before.get(key) != after.get(key)
        ]
        changed = {(row["resource"], row["what"]) for row in changes}
        untouched = [
            f"{resource}: {what}" for resource, what in sorted(set(self.before) - self.expected) if (resource, what) not in changed
        ]
        messages = [{"channel": "slack", "text": message["text"]} for message in received(self.slack)]
        tickets = received(self.servicenow)
        checks = [
            ("the execution succeeded", execution["status"] == "SUCCEEDED"),
            ("exactly what was meant to change has changed", changed == self.expected),
        ]
        checks += [("bystanders are as they were", bool(untouched) and len(untouched) == len(set(self.before) - self.expected))]
        checks += self.scenario.checks(self.before, after)
        checks.append(("Slack was told of this finding", len(messages) == 1 and self.mark in messages[0]["text"]))
        approval, ticket = None, None
        if self.scenario.name == "main":
            approval, ticket = self.main_checks(checks, tickets)
        else:
            topic = (
                self.scenario.aws("sqs")
                .receive_message(QueueUrl=self.world["security-alerts_queue"], MaxNumberOfMessages=10)
                .get("Messages", [])
            )
            checks.append(("the security topic got one message", len(topic) == 1))
        failures = self.scenario.aws("sqs").receive_message(QueueUrl=self.world["critical-alerts_queue"]).get("Messages", [])
        checks.append(("nobody was called because of a failure", not failures))
        return {
            "scenario": self.scenario.name,
            "execution": {"arn": self.arn, "status": execution["status"]},
            "time_to_contain_s": round(self.time_to_contain(execution), 2),
            "approval": approval,
            "changes": changes,
            "untouched": untouched,
            "notifications": messages,
            "ticket": ticket,
            "checks": [{"what": what, "ok": bool(ok)} for what, ok in checks],
        }

    def main_checks(self, checks: list, tickets: list[dict]) -> tuple[dict | None, dict | None]:
        approvals = [a for a in self.stage.get("/v1/approvals")["approvals"] if a["execution_arn"] == self.arn]
        decision = (approvals[0].get("decision") or {}) if approvals else {}
        approval = {key: decision.get(key) for key in ("decision", "by", "reason")} if decision else None
        checks.append(
            (
                "a named person approved, with a reason",
                bool(decision.get("by") and decision.get("reason") and decision.get("decision") == "approved"),
            )
        )
        if not self.interactive:
            checks.append(("evidence was taken and nothing was disturbed before the decision", getattr(self, "evidence_first", False)))
        checks.append(
            (
                "one incident is in ServiceNow, with this finding",
                len(tickets) == 1 and self.mark in tickets[0]["short_description"] + tickets[0]["description"],
            )
        )
        return approval, {"system": "servicenow", "number": tickets[0]["number"]} if tickets else None

    def time_to_contain(self, execution: dict) -> float:
        """From sending the event to the last containing change, by the record that the playbook kept; else to the execution's end."""
        output = execution.get("output")
        output = json.loads(output) if isinstance(output, str) and output else output
        try:
            at = max(record["at"] for record in output["records"].values() if record.get("at"))
            started = datetime.datetime.fromisoformat(execution["started_at"])
            return max((datetime.datetime.fromisoformat(at) - started).total_seconds(), 0.01)
        except (KeyError, TypeError, ValueError, AttributeError):
            return self.contained_s


def shown(value: object) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def fill(value: object, words: dict[str, str]) -> object:
    """Puts the seeded ids in place of the capital words of an event file, in one pass: what was put in is not looked at again."""
    if isinstance(value, dict):
        return {key: fill(inner, words) for key, inner in value.items()}
    if isinstance(value, list):
        return [fill(inner, words) for inner in value]
    if isinstance(value, str):
        pattern = "|".join(sorted(words, key=len, reverse=True))
        return re.sub(pattern, lambda match: words[match[0]], value).strip()
    return value


def print_report(report: dict) -> None:
    print(f"\nReport ({report['scenario']}), read back from the account, the stand-ins and the server\n")
    print(f"  execution        {report['execution']['status']}  {report['execution']['arn']}")
    print(f"  time to contain  {report['time_to_contain_s']} s")
    if report["approval"]:
        print(f"  decision         {report['approval']['decision']} by {report['approval']['by']}: {report['approval']['reason']}")
    if report["ticket"]:
        print(f"  ticket           {report['ticket']['number']} ({report['ticket']['system']})")
    for row in report["changes"]:
        print(f"  changed          {row['resource']}, {row['what']}")
        print(f"                     - {shown(row['before'])}\n                     + {shown(row['after'])}")
    for row in report["untouched"]:
        print(f"  untouched        {row}")
    for row in report["notifications"]:
        print(f"  {row['channel']:<15}  {row['text'].splitlines()[0]}")
    print()
    for check in report["checks"]:
        print(f"  {'ok    ' if check['ok'] else 'FAILED'}  {check['what']}")


def main() -> int:
    kind = os.environ.get("SCENARIO", "")
    if kind not in scenarios.SCENARIOS:
        print(f"SCENARIO is one of {', '.join(filter(None, scenarios.SCENARIOS))}", file=sys.stderr)
        return 2
    # Being told to end is the same as Ctrl-C: what was started is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    stage = None
    try:
        stage = Stage()
        story = Story(stage, kind)
        for step in (story.set_up, story.send, story.find_execution, story.follow):
            step()
        report = story.report()
        (STAGE / "report.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
        print_report(report)
        print(f"\n  build/demo/report.json has the same; logs are in {stage.logs.relative_to(ROOT)}")
        good = all(check["ok"] for check in report["checks"])
        if story.interactive:
            print(f"\n  Everything stays up: {stage.server} (Ctrl-C ends it)", flush=True)
            while True:
                time.sleep(1)
        return 0 if good else 1
    except Failed as failure:
        print(f"demo: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if stage:
            stage.stop()


if __name__ == "__main__":
    sys.exit(main())
