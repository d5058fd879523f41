#!/usr/bin/env python3
"""The console in a real browser: this sets the stage, tests/e2e/console/browser.mjs looks at it with Chromium.

A server with people, playbooks and executions of every kind; the browser's script gets it as JSON, and a small control
server through which it can restart the program under an open page. Pictures of the pages go to build/test/pictures.
"""

from __future__ import annotations

import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading

import product as p

HOSTILE = "<img src=x onerror=window.pwned=1>\u202egnp.exe"
CONFIG = """aws: {account: "123456789012", region: us-east-1}
approvals:
  groups:
    ir-leads: [alice, bob]
  queues:
    - {queue: approvals, policy: leads}
"""
POLICY = "name: leads\nfrom: [group:ir-leads]\nexclude: [initiator]\nexpires_after: 2h\n"


def ask() -> dict:
    change = {"resource": "eni-1", "what": "security groups of i-0abc", "before": ["sg-web", "sg-db"], "after": ["sg-forensic"]}
    plan = [
        {"action": "IsolateEC2Instance", "target": {"instance_id": "i-0abc"}, "reversible": True, "changes": [change], "notes": [HOSTILE]}
    ]
    body = {"title.$": "$.title", "description": f"It calls home. {HOSTILE}", "plan": plan, "token.$": "$$.Task.Token"}
    queue = "https://sqs.us-east-1.amazonaws.com/123456789012/approvals"
    return {
        "StartAt": "Look",
        "States": {
            "Look": {"Type": "Pass", "Next": "Ask"},
            "Ask": {
                "Type": "Task",
                "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
                "Parameters": {"QueueUrl": queue, "MessageBody": body},
                "TimeoutSeconds": 7200,
                "ResultPath": "$.answer",
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Refused"}],
                "Next": "Decided",
            },
            "Decided": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.answer.decision", "StringEquals": "approved", "Next": "Contained"}],
                "Default": "Refused",
            },
            "Contained": {"Type": "Succeed"},
            "Refused": {"Type": "Fail", "Error": "Refused", "Cause": HOSTILE},
        },
    }


EACH = {
    "StartAt": "Each",
    "States": {
        "Each": {
            "Type": "Map",
            "ItemsPath": "$.items",
            "MaxConcurrency": 40,
            "ItemProcessor": {"StartAt": "Look", "States": {"Look": {"Type": "Pass", "End": True}}},
            "ResultPath": None,
            "End": True,
        }
    },
}


def asked_again() -> dict:
    """The question of ask(), with three seconds for an answer, and asked once more after that."""
    made = ask()
    again = [{"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    made["States"]["Ask"] |= {"TimeoutSeconds": 3, "Retry": again}
    return made


def lambda_call(payload: dict, **more) -> dict:
    resource = "arn:aws:states:::lambda:invoke"
    return {"Type": "Task", "Resource": resource, "Parameters": {"FunctionName": "Greet", "Payload": payload}, **more}


# One branch fails at first and succeeds when it is redriven; the other has done its work by then.
FLAKY = {
    "StartAt": "Both",
    "States": {
        "Both": {
            "Type": "Parallel",
            "Branches": [
                {"StartAt": "Flaky", "States": {"Flaky": lambda_call({"once.$": "$.once"}, End=True)}},
                {"StartAt": "Steady", "States": {"Steady": {"Type": "Pass", "End": True}}},
            ],
            "Next": "Done",
        },
        "Done": {"Type": "Succeed"},
    },
}
VARIABLES = {
    "StartAt": "Set",
    "States": {
        "Set": {"Type": "Pass", "Assign": {"team": "night", "limits": {"hosts": 3}}, "Next": "Call"},
        "Call": lambda_call({"name.$": "$team"}, Assign={"greeting.$": "$.Payload.greeting"}, Next="End"),
        "End": {"Type": "Pass", "End": True},
    },
}
WIDE = {
    "StartAt": "Wide",
    "States": {
        "Wide": {
            "Type": "Map",
            "ItemsPath": "$.items",
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                "StartAt": "Look",
                "States": {"Look": {"Type": "Pass", "End": True}},
            },
            "ResultPath": None,
            "End": True,
        }
    },
}
TINY = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}
HANDLER = """seen = set()

def handler(event, context):
    print("seen", event.get("name"))
    once = event.get("once")
    if once and once not in seen:
        seen.add(once)
        raise RuntimeError("not the first time")
    if event.get("size"):
        return {"blob": "<b>" * (event["size"] // 3)}
    return {"greeting": "Hello, " + event.get("name", "you")}
"""
PROJECT = {
    "sortie.yaml": CONFIG,
    "policies/leads.yaml": POLICY,
    "playbooks/contain.asl.json": json.dumps(ask(), indent=2),
    "playbooks/ask-briefly.asl.json": json.dumps(asked_again(), indent=2),
    "playbooks/flaky.asl.json": json.dumps(FLAKY, indent=2),
    "playbooks/variables.asl.json": json.dumps(VARIABLES, indent=2),
    "playbooks/wide.asl.json": json.dumps(WIDE, indent=2),
    "playbooks/broken.asl.json": '{"StartAt": "A",',
    "playbooks/each-item.asl.json": json.dumps(EACH, indent=2),
    "playbooks/tiny.asl.json": json.dumps(TINY, indent=2),
    "functions/Greet/function.yaml": "runtime: python3.11\nhandler: greet.handler\ntimeout: 10\n",
    "functions/Greet/greet.py": HANDLER,
    "rules/hello.yaml": "EventPattern: {source: [my.app]}\nTargets:\n"
    "  - {Id: tiny, Arn: 'arn:aws:states:us-east-1:123456789012:stateMachine:tiny'}\n",
}


def control_of(server: p.Server) -> str:
    """What the browser's script may ask of the stage: POST /restart."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if self.path == "/restart":
                server.stop()
                server.start()
            self.send_response(204)
            self.end_headers()

        def log_message(self, *a) -> None: ...

    control = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=control.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{control.server_address[1]}"


def browser() -> tuple[str, str]:
    """Node with the packages of web/, and Chromium; what is missing is said."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        raise p.Skip("there is no Chromium; scripts/setup.sh --browser installs it")
    subprocess.run([str(p.ROOT / "scripts/web.sh"), "--tools"], check=True, stdin=subprocess.DEVNULL)
    return (p.ROOT / "build/web/node").read_text().strip(), chromium


def main() -> None:
    try:
        node, chromium = browser()
    except p.Skip as why:
        print(f"SKIP: the console in a browser: {why}\n0 passed, 0 failed, 1 skipped")
        return
    pictures = p.ROOT / "build/test/pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    with p.temporary_folder() as folder:
        p.write_files(folder / "project", PROJECT)
        server = p.Server(folder, folder / "project").start()
        tokens = {name: server.add_person(name, "admins") for name in ("alice", "bob", "carol")}
        link = server.json("login-link", "alice")["url"]
        setup = {
            "url": server.url,
            "control": control_of(server),
            "tokens": tokens,
            "link": link,
            "chromium": chromium,
            "modules": str(p.ROOT / "web/node_modules"),
            "pictures": str(pictures),
            "root": os.geteuid() == 0,
        }
        script = pathlib.Path(__file__).parent / "console" / "browser.mjs"
        try:
            code = subprocess.run([node, str(script), *sys.argv[1:]], input=json.dumps(setup), text=True, timeout=540).returncode
            stopped = server.stop()
        finally:
            if server.process.poll() is None:
                server.kill()
    sys.exit(code or stopped)


main()
