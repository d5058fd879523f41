"""The stage of the demo: the processes that play a part, the project folder they act in, and a small client of the server."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from typing import Any

import boto3
import botocore.config

ROOT = pathlib.Path(__file__).resolve().parents[1]
STAGE = ROOT / "build/demo"

POLICY = """\
# Who may decide about containment, and what happens when nobody does.
name: containment
quorum: 1
from: [group:ir-leads]
exclude: [initiator]
expires_after: 1h
on_expire: timeout
"""


class Failed(Exception):
    """The story cannot go on; the text is for the person who runs it."""


class Stage:
    """Starts processes in groups of their own and ends exactly those."""

    def __init__(self, folder: pathlib.Path = STAGE) -> None:
        self.binary = pathlib.Path(os.environ.get("SORTIE") or ROOT / "build/sortie").resolve()
        if not self.binary.exists():
            raise Failed(f"{self.binary} is missing; make build makes it")
        shutil.rmtree(folder, ignore_errors=True)
        self.project, self.data, self.logs = folder / "project", folder / "data", folder / "logs"
        for folder in (self.project, self.logs):
            folder.mkdir(parents=True)
        self.processes: list[subprocess.Popen] = []
        self.server, self.token = "", ""

    def start(self, name: str, *command: str, environment: dict | None = None) -> str:
        """Starts a process and waits for its `listening on URL`; what else it says goes to build/demo/logs."""
        log = open(self.logs / f"{name}.log", "wb")  # noqa: SIM115
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env=environment or os.environ,
            text=True,
        )
        self.processes.append(process)
        for line in process.stdout:
            if match := re.search(r"listening on (http://\S+)", line):
                threading.Thread(target=process.stdout.read, daemon=True).start()
                return match.group(1)
        tail = (self.logs / f"{name}.log").read_text(errors="replace")[-1500:]
        raise Failed(f"{name} ended before it served (exit {process.wait(10)}):\n{tail}")

    def python(self, name: str, script: str) -> str:
        return self.start(name, sys.executable, str(ROOT / "demo" / script), "--port", "0")

    def stop(self) -> None:
        """The last started ends first: the server drains while the account still answers."""
        for process in reversed(self.processes):
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    process.wait(10)
        self.processes.clear()

    # ------------------------------------------------------------------------------------ the project

    def write_project(self, account_url: str, slack_url: str) -> None:
        (self.project / "sortie.yaml").write_text(
            f'aws:\n  account: "123456789012"\n  region: us-east-1\n  endpoint_url: {account_url}\n'
            "approvals:\n  queues: [{queue: approvals, policy: containment}]\n"
            f"connectors:\n  slack:\n    api_url: {slack_url}/api\n    channel: C0DEMO\n    app: A0DEMO\n    team: T0DEMO\n"
            "    token: env:SLACK_BOT_TOKEN\n    signing_secret: env:SLACK_SIGNING_SECRET\n    people: {U0ALICE: alice, U0BOB: bob}\n"
        )
        for source, target in (("playbooks", "playbooks"), ("functions", "functions"), ("playbooks/rules", "rules")):
            shutil.copytree(ROOT / source, self.project / target, ignore=shutil.ignore_patterns("__pycache__", "rules", "_*"))
        # What the actions share is a layer: layers/NAME/python is on their path.
        shutil.copytree(ROOT / "functions/_lib", self.project / "layers/_lib/python", ignore=shutil.ignore_patterns("__pycache__"))
        (self.project / "policies").mkdir()
        (self.project / "policies/containment.yaml").write_text(POLICY)

    def serve(self, slack: str, servicenow: str) -> str:
        environment = {**os.environ, "AWS_ACCESS_KEY_ID": "sortie", "AWS_SECRET_ACCESS_KEY": "sortie", "AWS_DEFAULT_REGION": "us-east-1"}
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "SORTIE_SERVER", "SORTIE_TOKEN", "SORTIE_AWS_ENDPOINT_URL"):
            environment.pop(name, None)
        environment |= {"SLACK_BOT_TOKEN": "xoxb-demo", "SLACK_SIGNING_SECRET": "sortie-demo"}
        environment |= {"SLACK_WEBHOOK_URL": f"{slack}/services/T0DEMO/B0DEMO/demo"}
        environment |= {"SERVICENOW_URL": servicenow, "SERVICENOW_USER": "sortie", "SERVICENOW_PASSWORD": "sortie-demo"}
        words = [str(self.binary), "serve", "--project", str(self.project), "--data", str(self.data), "--listen", "127.0.0.1:0"]
        self.server = self.start("sortie", *words, environment=environment)
        return self.server

    # ------------------------------------------------------------------------------------ the server

    def cli(self, *words: str, token: str = "", check: bool = True) -> subprocess.CompletedProcess:
        environment = {**os.environ, "NO_COLOR": "1"} | ({"SORTIE_TOKEN": token} if token else {})
        done = subprocess.run(
            [str(self.binary), *words, "--data", str(self.data)], capture_output=True, text=True, env=environment, timeout=120
        )
        if check and done.returncode:
            raise Failed(f"sortie {' '.join(words)} ended with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
        return done

    def add_person(self, name: str, *groups: str) -> dict:
        words = [word for group in groups for word in ("--group", group)]
        return json.loads(self.cli("user", "add", name, *words, "-o", "json").stdout)

    def login_link(self, name: str) -> str:
        return json.loads(self.cli("login-link", name, "-o", "json").stdout)["url"]

    def get(self, path: str) -> dict:
        request = urllib.request.Request(self.server + path, headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.loads(response.read())

    def execution(self, arn: str) -> dict:
        return self.get("/v1/executions/" + urllib.parse.quote(arn, safe=""))

    def events_client(self, key: dict) -> Any:
        return boto3.client(
            "events",
            endpoint_url=self.server,
            region_name="us-east-1",
            aws_access_key_id=key["access_key_id"],
            aws_secret_access_key=key["secret_access_key"],
            config=botocore.config.Config(retries={"total_max_attempts": 2}),
        )


def received(url: str) -> list[dict]:
    with urllib.request.urlopen(f"{url}/received", timeout=10) as response:
        return json.loads(response.read())["received"]
