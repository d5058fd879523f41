#!/usr/bin/env python3
"""A long while of mixed load: quick and slow functions, retries, timers, maps, activities, events and deletions, kills in the first third.

Whatever was accepted ends well. In the two thirds without kills, memory (without the store's overlay, which has a bound of its own), open
files and the data folder stop growing, and the server answers as fast at the end as in the middle.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import pathlib
import random
import re
import statistics
import threading
import time

import product as p
from botocore.exceptions import BotoCoreError, ClientError

SECONDS = float(os.environ.get("SORTIE_SOAK_SECONDS", "1800" if p.LONG else "20"))
KILL_EVERY = 30 if p.LONG else 4
STARTS_A_SECOND = 15
KEEP = "120s" if p.LONG else "10s"
SEED = 11
RETRY = [{"ErrorEquals": ["Flaky"], "IntervalSeconds": 1, "MaxAttempts": 20, "BackoffRate": 1}]
FUNCTIONS = {
    "Quick": "def lambda_handler(event, context):\n    return event\n",
    "Slow": "import time\ndef lambda_handler(event, context):\n    time.sleep(2)\n    return event\n",
    "Flaky": "import random\nclass Flaky(Exception): pass\ndef lambda_handler(event, context):\n"
    "    if random.random() < 0.3: raise Flaky('again')\n    return event\n",
}
ACTIVITY = f"arn:aws:states:us-east-1:{p.ACCOUNT}:activity:work"


def task(function: str, **more) -> dict:
    return {"Type": "Task", "Resource": f"arn:aws:lambda:us-east-1:{p.ACCOUNT}:function:{function}", "Retry": RETRY, **more}


def alone(name: str, state: dict) -> dict:
    return {"StartAt": name, "States": {name: {**state, "End": True}}}


PLAYBOOKS = {
    "quick": {"StartAt": "a", "States": {"a": task("Quick", Next="b"), "b": task("Flaky", End=True)}},
    "slow": alone("a", task("Slow")),
    "wide": alone("m", {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": alone("a", {"Type": "Pass"})}),
    "both": alone("p", {"Type": "Parallel", "Branches": [alone("a", task("Quick")), alone("w", {"Type": "Wait", "Seconds": 1})]}),
    "work": alone("t", {"Type": "Task", "Resource": ACTIVITY, "TimeoutSeconds": 600}),
    "heard": alone("a", task("Quick")),
}
RULE = f"""EventPattern: {{source: [my.soak]}}
Targets:
  - {{Id: t, Arn: "arn:aws:states:us-east-1:{p.ACCOUNT}:stateMachine:heard"}}
"""
PROJECT = {
    "sortie.yaml": f"retention: {{executions: {KEEP}, events: {KEEP}}}\n",
    "rules/hear.yaml": RULE,
    **{f"playbooks/{name}.asl.json": json.dumps(definition) for name, definition in PLAYBOOKS.items()},
    **{f"functions/{name}/lambda_function.py": source for name, source in FUNCTIONS.items()},
}


@dataclasses.dataclass
class Sample:
    memory: float
    files: int
    data: int
    answer_ms: float


class Soak:
    def __init__(self, server: p.Server):
        self.server = server
        self.over, self.calm = threading.Event(), threading.Event()
        self.open: collections.deque[tuple[str, str]] = collections.deque()
        self.ended: collections.Counter = collections.Counter()
        self.wrong: list[str] = []
        self.samples: list[Sample] = []
        self.kills = 0
        self.threads: list[threading.Thread] = []

    def persist(self, what):
        """As a careful client: again until it is answered."""
        while True:
            try:
                return what()
            except (BotoCoreError, ClientError) as e:
                if isinstance(e, ClientError) and e.response["Error"]["Code"] == "ExecutionAlreadyExists":
                    return None
                time.sleep(0.2)

    def start_executions(self) -> None:
        rng, number = random.Random(SEED), 0
        sfn = self.server.client("stepfunctions", attempts=1)
        while not self.over.is_set():
            number += 1
            machine, name = rng.choice(["quick", "quick", "quick", "wide", "both", "work", "slow"]), f"run-{number}"
            arn = f"arn:aws:states:us-east-1:{p.ACCOUNT}:stateMachine:{machine}"
            given = json.dumps({"n": number, "items": list(range(rng.randint(1, 40)))})
            self.persist(lambda arn=arn, name=name, given=given: sfn.start_execution(stateMachineArn=arn, name=name, input=given))
            self.open.append((machine, arn.replace(":stateMachine:", ":execution:") + f":{name}"))
            self.over.wait(1 / STARTS_A_SECOND)

    def put_events(self) -> None:
        bus = self.server.client("events", attempts=1)
        while not self.over.is_set():
            entry = {"Source": "my.soak", "DetailType": "mark", "Detail": json.dumps({"text": "x" * 500})}
            self.persist(lambda entry=entry: bus.put_events(Entries=[entry] * 3))
            self.over.wait(0.5)

    def work(self) -> None:
        sfn = self.server.client("stepfunctions", attempts=1)
        while not self.over.is_set() or self.open:
            try:
                token = sfn.get_activity_task(activityArn=ACTIVITY).get("taskToken")
                if token:
                    sfn.send_task_success(taskToken=token, output='{"done": true}')
            except (BotoCoreError, ClientError):
                time.sleep(0.2)  # The answer may be in, all the same; whatever is not is offered again.

    def follow(self) -> None:
        """Sees every execution end, before retention takes it."""
        sfn = self.server.client("stepfunctions", attempts=1)
        while not self.over.is_set() or self.open:
            if not self.open:
                time.sleep(0.05)
                continue
            machine, arn = self.open.popleft()
            status = self.persist(lambda arn=arn: sfn.describe_execution(executionArn=arn))["status"]
            if status == "RUNNING":
                self.open.append((machine, arn))
                time.sleep(0.02)
            elif status == "SUCCEEDED":
                self.ended[machine] += 1
            else:
                self.wrong.append(f"{arn} {status}")

    def metrics(self) -> str:
        token = (self.server.data / "operator.token").read_text().strip()
        return self.server.http("GET", "/metrics", Authorization=f"Bearer {token}")[1]

    def sample(self) -> None:
        process = pathlib.Path("/proc") / str(self.server.process.pid)
        rss = int(re.search(r"VmRSS:\s+(\d+)", (process / "status").read_text())[1]) / 1024
        began = time.perf_counter()
        metrics = self.metrics()
        took = (time.perf_counter() - began) * 1000
        overlay = float(re.search(r"^sortie_store_overlay_bytes (\S+)", metrics, re.M)[1]) / 2**20
        data = sum(f.stat().st_size for f in self.server.data.rglob("*") if f.is_file())
        self.samples.append(Sample(rss - overlay, len(list((process / "fd").iterdir())), data, took))

    def run(self) -> None:
        self.persist(lambda: self.server.client("stepfunctions").create_activity(name="work"))
        loads = [self.start_executions, self.put_events, *[self.work] * 3, *[self.follow] * 2]
        self.threads = [threading.Thread(target=load, daemon=True) for load in loads]
        for thread in self.threads:
            thread.start()
        began = time.monotonic()
        while (elapsed := time.monotonic() - began) < SECONDS:
            if elapsed < SECONDS / 3:
                time.sleep(KILL_EVERY)
                self.server.kill()
                self.server.start()
                self.kills += 1
            else:
                time.sleep(max(0.5, SECONDS / 300))
                self.sample()
        self.over.set()
        for thread in self.threads:
            thread.join(p.PATIENCE + 60)
        assert not any(thread.is_alive() for thread in self.threads), f"{len(self.open)} executions are still open: {list(self.open)[:3]}"


def check_flat(samples: list[Sample]) -> None:
    """The last third of the calm time against the second: what leaks would have grown by half in it."""
    third = len(samples) // 3
    middle, last = samples[third : 2 * third], samples[2 * third :]
    of = lambda part, name: statistics.median(getattr(s, name) for s in part)  # noqa: E731
    for name, slack in (("memory", 16), ("files", 8), ("data", 32 * 2**20), ("answer_ms", 50)):
        before, after = of(middle, name), of(last, name)
        print(f"{name}: {before:,.1f} in the middle, {after:,.1f} at the end", flush=True)
        assert not p.LONG or after <= before * 1.15 + slack, f"{name} grew from {before:,.1f} to {after:,.1f}"


def test_mixed_load_for_a_long_while_ends_well_and_leaves_nothing_behind() -> None:
    with p.running(PROJECT) as server:
        soak = Soak(server)
        soak.run()
        assert not soak.wrong, soak.wrong[:5]
        assert set(soak.ended) == set(PLAYBOOKS) - {"heard"}
        check_flat(soak.samples)
        still_open = r"^sortie_executions_open{.*} [^0]"
        p.until(lambda: not re.search(still_open, soak.metrics(), re.M), told="executions of events are still open")
        checked = server.cli("check")
        assert checked.returncode == 0, f"{checked.stdout}{checked.stderr}"
        print(f"{SECONDS:.0f} s, {soak.kills} kills, {sum(soak.ended.values())} executions {dict(soak.ended)}", flush=True)


if __name__ == "__main__":
    p.main(globals())
