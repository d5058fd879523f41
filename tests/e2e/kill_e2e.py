#!/usr/bin/env python3
"""kill -9 of the whole server at random moments, again and again, while executions run and events arrive.

What has to hold: every execution succeeds, each transition happens once, history ids have no gap, each effect is made,
an effect is repeated only where a kill fell between the effect and its record, and an accepted event is never lost.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import json
import random
import threading
import time

import product as p
from botocore.exceptions import BotoCoreError, ClientError

KILLS, RUNS = (2000, 4000) if p.LONG else (12, 60)
SEED = 7
# The pause lets kills fall between an effect and the record of it.
MARK = """import time, urllib.request
def lambda_handler(event, context):
    urllib.request.urlopen("SINK", event["mark"].encode(), timeout=60).read()
    time.sleep(0.1)
    return event
"""


def step(name: str, function: str, **following) -> dict:
    return {
        "Type": "Task",
        "Resource": function,
        "Parameters": {"mark.$": f"States.Format('{{}}/{name}', $.id)"},
        "ResultPath": None,
        **following,
    }


def machine_of(function: str) -> str:
    """Tasks before and after a timer and inside two branches; no Retry anywhere, so a lost attempt would show."""
    branch = lambda name: {"StartAt": name, "States": {name: step(name, function, End=True)}}  # noqa: E731
    states = {
        "a": step("a", function, Next="w"),
        "w": {"Type": "Wait", "Seconds": 1, "Next": "p"},
        "p": {"Type": "Parallel", "Next": "z", "ResultPath": None, "Branches": [branch("b"), branch("c")]},
        "z": step("z", function, End=True),
    }
    return json.dumps({"StartAt": "a", "States": states})


class Story:
    """One loop of kills, and all that was seen of it."""

    def __init__(self, server: p.Server):
        self.server = server
        self.sink = p.Sink()
        self.kills: list[float] = []
        self.events: dict[str, str] = {}  # Accepted event id -> its mark.
        self.told: collections.Counter = collections.Counter()  # Errors that clients were told.
        self.executions: dict[int, str] = {}
        self.recorded: dict[str, float] = {}  # When an effect's result was recorded, as the history says.
        self.stopped = threading.Event()
        sfn = server.client("stepfunctions")
        function = p.create_function(server.client("lambda"), "Mark", MARK.replace("SINK", self.sink.url))
        self.machine = sfn.create_state_machine(name="kill", roleArn=p.ROLE, definition=machine_of(function))["stateMachineArn"]
        one = {"StartAt": "E", "States": {"E": step("e", function, End=True)}}
        heard = sfn.create_state_machine(name="heard", roleArn=p.ROLE, definition=json.dumps(one))["stateMachineArn"]
        bus = server.client("events")
        bus.put_rule(Name="hear", EventPattern=json.dumps({"source": ["my.kills"]}))
        bus.put_targets(Rule="hear", Targets=[{"Id": "t", "Arn": heard, "InputPath": "$.detail"}])

    def persist(self, what) -> None:
        """As a careful client: again until it is answered."""
        while not self.stopped.is_set():
            try:
                return what()
            except (BotoCoreError, ClientError) as e:
                code = e.response["Error"]["Code"] if isinstance(e, ClientError) else ""
                if code == "ExecutionAlreadyExists":  # Started and ended; only the answer was lost.
                    return None
                self.told[code or type(e).__name__] += 1
                time.sleep(0.2)

    def start_executions(self) -> None:
        sfn = self.server.client("stepfunctions", attempts=1)
        for i in range(RUNS):
            self.executions[i] = self.machine.replace(":stateMachine:", ":execution:") + f":run-{i}"
            start = {"stateMachineArn": self.machine, "name": f"run-{i}", "input": json.dumps({"id": i})}
            self.persist(lambda start=start: sfn.start_execution(**start))
            time.sleep(0.03)

    def put_events(self) -> None:
        bus = self.server.client("events", attempts=1)

        def put(number: int) -> None:
            nonlocal attempts
            attempts += 1  # What is sent again without an answer is another event, and has a mark of its own.
            mark = f"event-{number}.{attempts}"
            entry = {"Source": "my.kills", "DetailType": "mark", "Detail": json.dumps({"id": mark})}
            result = bus.put_events(Entries=[entry])["Entries"][0]
            self.events[result["EventId"]] = mark

        number = attempts = 0
        while not self.stopped.is_set() and number < RUNS:
            self.persist(lambda number=number: put(number))
            number += 1
            time.sleep(0.1)

    def run(self) -> None:
        rng = random.Random(SEED)
        threads = [threading.Thread(target=t, daemon=True) for t in (self.start_executions, self.put_events)]
        for t in threads:
            t.start()
        try:
            while len(self.kills) < KILLS:
                time.sleep(rng.uniform(0.05, 0.8))
                self.kills.append(time.time())
                self.server.kill()
                self.server.start()
            for t in threads:
                t.join(600)
        finally:
            self.stopped.set()


def untold_repeats(story: Story) -> list[str]:
    """Effects that were made again although no kill fell between, or although their result was recorded already."""
    found = []
    for mark, at in story.sink.times.items():
        if at[-1] > story.recorded.get(mark, at[-1]) + 0.05:
            found.append(f"{mark} after its result was recorded")
        for first, again in itertools.pairwise(at):
            if not any(first - 0.5 < kill < again for kill in story.kills):
                found.append(f"{mark} without a kill")
    return found


def executions_of(sfn, machine: str) -> list[str]:
    pages = sfn.get_paginator("list_executions").paginate(stateMachineArn=machine)
    return [e["executionArn"] for page in pages for e in page["executions"]]


def check_executions(story: Story, sfn) -> None:
    wrong = []
    wanted = {"LambdaFunctionSucceeded": 4, "LambdaFunctionScheduled": 4, "TaskStateEntered": 4, "TaskStateExited": 4}
    wanted |= {"WaitStateEntered": 1, "ParallelStateExited": 1, "ExecutionStarted": 1, "ExecutionSucceeded": 1}
    for i, arn in story.executions.items():
        described = p.ended(sfn, arn)
        if described["status"] != "SUCCEEDED":
            wrong.append(f"run-{i} {described['status']}: {described.get('error')}: {described.get('cause')}")
        events = p.history(sfn, arn)
        ids = [e["id"] for e in events]
        if ids != list(range(1, len(ids) + 1)):
            wrong.append(f"run-{i}: history ids {ids[:8]}")
        for e in events:
            if e["type"] == "LambdaFunctionSucceeded":
                output = e["lambdaFunctionSucceededEventDetails"]["output"]
                story.recorded[json.loads(output)["mark"]] = e["timestamp"].timestamp()
        counted = collections.Counter(e["type"] for e in events)
        if any(counted[kind] != count for kind, count in wanted.items()):
            wrong.append(f"run-{i}: transitions {dict(counted)}")
    assert not wrong, "; ".join(wrong[:5])
    assert len(story.executions) == RUNS


def check_effects(story: Story) -> None:
    assert len(story.recorded) == 4 * RUNS
    missing = [f"{i}/{n}" for i in range(RUNS) for n in "abcz" if not story.sink.seen[f"{i}/{n}"]]
    assert not missing, f"{len(missing)} effects were never made: {missing[:5]}"
    repeated = untold_repeats(story)
    assert not repeated, f"{len(repeated)} effects were repeated though no kill lies between: {repeated[:5]}"


def check_events(story: Story, sfn, bus_machine: str) -> None:
    with contextlib.suppress(AssertionError):
        p.until(lambda: all(story.sink.seen[f"{m}/e"] for m in story.events.values()))
    missing = [m for m in story.events.values() if not story.sink.seen[f"{m}/e"]]
    assert not missing, f"accepted events {missing[:5]} had no effect"
    gone = [i for i in list(story.events)[:60] if story.server.cli("event", "show", i).returncode != 0]
    assert not gone, f"accepted events are not kept: {gone[:5]}"
    for arn in executions_of(sfn, bus_machine):
        assert p.ended(sfn, arn)["status"] == "SUCCEEDED", arn
    inputs = [sfn.describe_execution(executionArn=a)["input"] for a in executions_of(sfn, bus_machine)]
    started = collections.Counter(json.loads(text)["id"] for text in inputs)
    assert len(story.events) >= RUNS
    twice = [mark for mark, times in started.items() if times > 1]
    assert not twice, f"events that started more than one execution: {twice[:5]}"
    short = [mark for mark in story.events.values() if not started[mark]]
    assert not short, f"events without their execution: {short[:5]}"


def test_nothing_is_lost_and_nothing_recorded_is_repeated_under_kill_9() -> None:
    with p.running() as server:
        story = Story(server)
        story.run()
        sfn = server.client("stepfunctions")
        print(f"clients were told {dict(story.told)}", flush=True)
        check_executions(story, sfn)
        check_effects(story)
        check_events(story, sfn, story.machine.replace(":kill", ":heard"))
        running = server.cli("check")
        assert running.returncode == 0, f"check on the running server: {running.stdout}{running.stderr}"
        assert server.stop() == 0
        stopped = server.cli("check")
        assert stopped.returncode == 0, f"check on the stopped store: {stopped.stdout}{stopped.stderr}"
        repeated = sum(times - 1 for times in story.sink.seen.values() if times > 1)
        print(
            f"{len(story.kills)} kills, {RUNS} executions, {len(story.events)} events, "
            f"{sum(story.sink.seen.values())} effects, {repeated} of them repeated across a kill",
            flush=True,
        )


if __name__ == "__main__":
    p.main(globals())
