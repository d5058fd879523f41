#!/usr/bin/env python3
"""Nodes on one PostgreSQL that all work: nodes die, are frozen, the database restarts and crashes, while executions run
and events arrive through every node.

What has to hold is what holds for one node on SQLite: every execution succeeds, each transition happens once, history
ids have no gap, each effect is made, an accepted event is never lost and starts one execution. Skips visibly where
PostgreSQL is not installed.
"""

from __future__ import annotations

import collections
import contextlib
import datetime
import itertools
import json
import random
import signal
import threading
import time

import product as p
from botocore.exceptions import BotoCoreError, ClientError
from postgres import Postgres

SHARDS = 16
ROUNDS, RUNS = (60, 300) if p.LONG else (8, 40)
SEED = 11
# What an effect costs lets deaths fall between it and the record of it.
MARK = """import time, urllib.request
def lambda_handler(event, context):
    urllib.request.urlopen("SINK", event["mark"].encode(), timeout=60).read()
    time.sleep(0.05)
    return event
"""
FUNCTION = f"arn:aws:lambda:us-east-1:{p.ACCOUNT}:function:Mark"
# What only the leader can carry out for an execution that another node owns, and what stays with the leader.
CHILD = {
    "Type": "Task",
    "Resource": "arn:aws:states:::states:startExecution.sync:2",
    "Parameters": {
        "StateMachineArn": f"arn:aws:states:us-east-1:{p.ACCOUNT}:stateMachine:heard",
        "Input": {"id.$": "$.id"},
    },
    "End": True,
}
TOKEN = {
    "Type": "Task",
    "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
    "Parameters": {"FunctionName": "Mark", "Payload": {"mark.$": "$$.Task.Token"}},
    "TimeoutSeconds": 600,
    "End": True,
}


def step(name: str, **following) -> dict:
    parameters = {"mark.$": f"States.Format('{{}}/{name}', $.id)"}
    return {"Type": "Task", "Resource": FUNCTION, "Parameters": parameters, "ResultPath": None, **following}


def project(sink: p.Sink) -> dict[str, str]:
    """The same files for every node: functions are files, not rows."""
    branch = lambda name: {"StartAt": name, "States": {name: step(name, End=True)}}  # noqa: E731
    states = {
        "a": step("a", Next="w"),
        "w": {"Type": "Wait", "Seconds": 1, "Next": "p"},
        "p": {"Type": "Parallel", "Next": "z", "ResultPath": None, "Branches": [branch("b"), branch("c")]},
        "z": step("z", End=True),
    }
    return {
        "sortie.yaml": "",
        "functions/Mark/lambda_function.py": MARK.replace("SINK", sink.url),
        "functions/Mark/function.yaml": "runtime: python3.11\nhandler: lambda_function.lambda_handler\ntimeout: 30\n"
        "actions: [ec2:DescribeInstances]\n",
        "playbooks/kill.asl.json": json.dumps({"StartAt": "a", "States": states}),
        "playbooks/parent.asl.json": json.dumps({"StartAt": "C", "States": {"C": CHILD}}),
        "playbooks/token.asl.json": json.dumps({"StartAt": "T", "States": {"T": TOKEN}}),
        "playbooks/long.asl.json": json.dumps({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 600, "End": True}}}),
        "playbooks/heard.asl.json": json.dumps({"StartAt": "E", "States": {"E": step("e", End=True)}}),
    }


def arn_of(kind: str, name: str) -> str:
    return f"arn:aws:states:us-east-1:{p.ACCOUNT}:{kind}:{name}"


def says(node: p.Server) -> str:
    """ "ready" as the leader, "worker" as a node that hands calls on, "" while it cannot answer."""
    with contextlib.suppress(OSError):
        return node.http("GET", "/readyz")[1].strip()
    return ""


def told_at(node: p.Server, message: str) -> list[float]:
    lines = [json.loads(line) for line in node.log().splitlines() if line.startswith("{")]
    return [datetime.datetime.fromisoformat(line["time"]).timestamp() for line in lines if line["message"] == message]


class Cluster:
    """Nodes of one database; every one has the same project and a data folder of its own."""

    def __init__(self, folder, database: Postgres, count: int, more: dict[str, str] | None = None, **env: str):
        self.database = database
        self.sink = p.Sink()
        place = p.write_files(folder / "project", project(self.sink) | (more or {}))
        self.nodes = []
        for i in range(count):
            (folder / str(i)).mkdir()
            self.nodes.append(p.Server(folder / str(i), place, words=("--store", database.url), **env))

    def start(self) -> Cluster:
        for node in self.nodes:
            node.start()
        bus = self.nodes[0].client("events")
        bus.put_rule(Name="hear", EventPattern=json.dumps({"source": ["my.nodes"]}))
        target = {"Id": "t", "Arn": arn_of("stateMachine", "heard"), "InputPath": "$.detail"}
        bus.put_targets(Rule="hear", Targets=[target])
        return self

    def owner(self) -> int:
        """Which node leads (owns shard 0), as the database says; -1: none."""
        return self.owners().get(0, -1)

    def owners(self) -> dict[int, int]:
        """Which node owns each shard, of those whose lease has not run out."""
        rows = self.database.sql(
            "SELECT shard.no || ' ' || convert_from(address, 'UTF8') FROM sortie.node JOIN sortie.shard"
            " ON node.id = shard.node WHERE lease_until > clock_timestamp()"
        )
        by_url = {node.url: i for i, node in enumerate(self.nodes)}
        pairs = [line.split() for line in rows.splitlines() if line.strip()]
        return {int(no): by_url[url] for no, url in pairs if url in by_url}

    def wait_until_even(self) -> None:
        """Every shard is owned, and every node owns some."""

        def is_even() -> bool:
            owners = self.owners()
            return len(owners) == SHARDS and set(owners.values()) == set(range(len(self.nodes)))

        p.until(is_even, told="the shards are not spread over the nodes")

    def wait_for_others_than(self, dead: int) -> float:
        """Until living nodes own every shard."""
        began = time.monotonic()

        def is_taken() -> bool:
            owners = self.owners()
            return len(owners) == SHARDS and dead not in owners.values()

        p.until(is_taken, told="nobody takes the dead node's shards over")
        return time.monotonic() - began

    def ran(self, metric: str = "sortie_executions_closed_total") -> list[int]:
        """How many executions each node has ended since it started, or what another of its counters says."""
        counts = []
        for node in self.nodes:
            token = (node.data / "operator.token").read_text().strip()
            status, text = node.http("GET", "/metrics", Authorization=f"Bearer {token}")
            assert status == 200, text
            lines = [line for line in text.splitlines() if line.startswith(metric)]
            counts.append(sum(int(float(line.rsplit(" ", 1)[1])) for line in lines))
        return counts

    def stop(self) -> None:
        for node in self.nodes:
            with contextlib.suppress(ProcessLookupError):
                node.process.send_signal(signal.SIGCONT)
            assert node.stop() == 0, node.log()[-2000:]


@contextlib.contextmanager
def cluster_of(count: int, more: dict[str, str] | None = None, **env: str):
    """`more` are files of the project besides those of project()."""
    with Postgres() as database, p.temporary_folder() as folder:
        cluster = Cluster(folder, database, count, more, **env).start()
        try:
            yield cluster
        except BaseException:
            for i, node in enumerate(cluster.nodes):
                print("".join(f"  node {i}: {line}\n" for line in node.log().splitlines()[-25:]))
                node.kill()
            raise
        cluster.stop()


class Story:
    """Work that arrives through every node, and what was seen of it."""

    def __init__(self, cluster: Cluster):
        self.cluster = cluster
        self.events: dict[str, str] = {}  # Accepted event id -> its mark.
        self.told: collections.Counter = collections.Counter()
        self.deaths: list[float] = []  # When a node was killed or frozen. The database's own are no excuse.
        self.recorded: dict[str, float] = {}  # When an effect's result was recorded, as the history says.
        self.turn = 0

    def persist(self, service: str, what) -> None:
        """As a careful client: again, through the next node, until it is answered."""
        while True:
            self.turn += 1
            node = self.cluster.nodes[self.turn % len(self.cluster.nodes)]
            try:
                return what(self.clients[service][node.port])
            except (BotoCoreError, ClientError) as e:
                code = e.response["Error"]["Code"] if isinstance(e, ClientError) else ""
                if code == "ExecutionAlreadyExists":  # Started and ended; only the answer was lost.
                    return None
                self.told[code or type(e).__name__] += 1
                time.sleep(0.1)

    def kill(self, node: p.Server) -> None:
        self.deaths.append(time.time())
        node.kill()

    def start_executions(self) -> None:
        for i in range(RUNS):
            start = {"stateMachineArn": arn_of("stateMachine", "kill"), "name": f"run-{i}", "input": json.dumps({"id": i})}
            self.persist("stepfunctions", lambda sfn, start=start: sfn.start_execution(**start))
            time.sleep(0.03)

    def put_events(self) -> None:
        attempts = 0

        def put(bus, number: int) -> None:
            nonlocal attempts
            attempts += 1  # What is sent again without an answer is another event.
            mark = f"event-{number}.{attempts}"
            entry = {"Source": "my.nodes", "DetailType": "mark", "Detail": json.dumps({"id": mark})}
            answer = bus.put_events(Entries=[entry])
            self.events[answer["Entries"][0]["EventId"]] = mark

        for number in range(RUNS):
            self.persist("events", lambda bus, number=number: put(bus, number))
            time.sleep(0.05)

    def run(self, disturb) -> None:
        nodes = self.cluster.nodes
        self.clients = {s: {n.port: n.client(s, attempts=1) for n in nodes} for s in ("stepfunctions", "events")}
        threads = [threading.Thread(target=t, daemon=True) for t in (self.start_executions, self.put_events)]
        for t in threads:
            t.start()
        disturb()
        for t in threads:
            t.join(p.PATIENCE * 3)
            assert not t.is_alive(), f"clients are still not answered: {dict(self.told)}"

    def check(self) -> None:
        sfn = self.cluster.nodes[-1].client("stepfunctions", attempts=10)
        wanted = {"LambdaFunctionSucceeded": 4, "LambdaFunctionScheduled": 4, "TaskStateEntered": 4, "TaskStateExited": 4}
        wanted |= {"WaitStateEntered": 1, "ParallelStateExited": 1, "ExecutionStarted": 1, "ExecutionSucceeded": 1}
        wrong = []
        for i in range(RUNS):
            arn = arn_of("execution", "kill") + f":run-{i}"
            described = p.ended(sfn, arn)
            if described["status"] != "SUCCEEDED":
                wrong.append(f"run-{i} {described['status']}: {described.get('error')}: {described.get('cause')}")
            events = p.history(sfn, arn)
            counted = collections.Counter(e["type"] for e in events)
            for e in events:
                if e["type"] == "LambdaFunctionSucceeded":
                    output = json.loads(e["lambdaFunctionSucceededEventDetails"]["output"])
                    self.recorded[output["mark"]] = e["timestamp"].timestamp()
            if [e["id"] for e in events] != list(range(1, len(events) + 1)):
                wrong.append(f"run-{i}: history ids")
            if any(counted[kind] != count for kind, count in wanted.items()):
                wrong.append(f"run-{i}: transitions {dict(counted)}")
        assert not wrong, "; ".join(wrong[:5])
        seen = self.cluster.sink.seen
        missing = [f"{i}/{n}" for i in range(RUNS) for n in "abcz" if not seen[f"{i}/{n}"]]
        assert not missing, f"effects were never made: {missing[:5]}"
        self.check_repeats()
        self.check_events(sfn, seen)
        for node in self.cluster.nodes:
            told = node.cli("check")
            assert told.returncode == 0, f"check: {told.stdout}{told.stderr}"
        direct = p.cli("check", "--store", self.cluster.database.url)
        assert direct.returncode == 0, f"check of the database itself: {direct.stdout}{direct.stderr}"
        repeated = sum(times - 1 for times in seen.values() if times > 1)
        print(f"  {RUNS} executions, {len(self.events)} events, {repeated} effects repeated, clients were told {dict(self.told)}")

    def check_repeats(self) -> None:
        """An effect is made again only where a node died, or lost the store, between the effect and its record."""
        found = []
        # A busy machine may keep a living owner from renewing its lease.
        told = ("this node took shards over", "this node leads now")
        moves = [t for node in self.cluster.nodes for message in told for t in told_at(node, message)]
        ends = self.deaths + moves
        for mark, at in self.cluster.sink.times.items():
            if at[-1] > self.recorded.get(mark, at[-1]) + 0.05:
                found.append(f"{mark} after its result was recorded")
            for first, again in itertools.pairwise(at):
                if not any(first - 0.5 < end < again for end in ends):
                    found.append(f"{mark} without a death")
        assert not found, f"{len(found)} effects were repeated: {found[:5]}"

    def check_events(self, sfn, seen) -> None:
        with contextlib.suppress(AssertionError):
            p.until(lambda: all(seen[f"{m}/e"] for m in self.events.values()))
        lost = [m for m in self.events.values() if not seen[f"{m}/e"]]
        assert not lost, f"accepted events {lost[:5]} had no effect"
        pages = sfn.get_paginator("list_executions").paginate(stateMachineArn=arn_of("stateMachine", "heard"))
        arns = [e["executionArn"] for page in pages for e in page["executions"]]
        inputs = [sfn.describe_execution(executionArn=a)["input"] for a in arns]
        started = collections.Counter(json.loads(text)["id"] for text in inputs)
        twice = [mark for mark, times in started.items() if times > 1]
        assert not twice, f"events that started more than one execution: {twice[:5]}"


def test_one_node_goes_on_when_the_database_restarts_and_when_it_is_killed_itself() -> None:
    with cluster_of(1) as cluster:
        story, rng, node = Story(cluster), random.Random(SEED), cluster.nodes[0]

        def disturb() -> None:
            for i in range(ROUNDS // 2):
                time.sleep(rng.uniform(0.2, 1.0))
                if i % 2 == 0:
                    cluster.database.stop(signal.SIGINT if i % 4 == 0 else signal.SIGQUIT)
                    time.sleep(rng.uniform(0, 0.5))
                    cluster.database.start()
                else:
                    story.kill(node)
                    node.start()

        story.run(disturb)
        story.check()


def test_executions_run_on_every_node_and_move_only_when_nodes_come_and_go() -> None:
    with cluster_of(3) as cluster:
        cluster.wait_until_even()
        story = Story(cluster)
        story.run(lambda: None)
        story.check()
        ran = cluster.ran()
        ended = cluster.database.sql("SELECT count(*) FROM sortie.execution WHERE status = 1")
        assert min(ran) > 0 and sum(ran) == int(ended) >= RUNS + len(story.events), f"{ran} of {ended}"
        assert all(times == 1 for times in cluster.sink.seen.values()), "nothing moved, nothing is repeated"
        called = cluster.ran("sortie_function_invocations_total")
        assert min(called) > 0, f"functions were called on {called}"
        print(f"  executions ended by each node: {ran}, functions called: {called}")


def test_nodes_are_restarted_one_after_the_other_under_load() -> None:
    with cluster_of(3) as cluster:
        cluster.wait_until_even()
        story = Story(cluster)

        def disturb() -> None:
            for node in list(cluster.nodes):
                time.sleep(0.5)
                story.deaths.append(time.time())
                assert node.stop() == 0, node.log()[-2000:]
                node.start()
                cluster.wait_until_even()

        story.run(disturb)
        story.check()


def test_nested_executions_stops_and_task_tokens_work_whoever_owns_the_execution_while_leaders_die() -> None:
    with cluster_of(3) as cluster:
        cluster.wait_until_even()
        story = Story(cluster)
        story.clients = {"stepfunctions": {n.port: n.client("stepfunctions", attempts=1) for n in cluster.nodes}}

        def start(machine: str, name: str) -> str:
            begin = {"stateMachineArn": arn_of("stateMachine", machine), "name": name, "input": json.dumps({"id": name})}
            story.persist("stepfunctions", lambda sfn: sfn.start_execution(**begin))
            return arn_of("execution", machine) + ":" + name

        parents, parked = [], []
        for round_ in range(3):
            parents += [start("parent", f"p{round_}-{i}") for i in range(20)]
            parked += [start("long", f"l{round_}-{i}") for i in range(10)]
            start("token", f"t{round_}")
            leader = cluster.owner()
            story.kill(cluster.nodes[leader])
            cluster.wait_for_others_than(leader)
            cluster.nodes[leader].start()
        sfn = cluster.nodes[0].client("stepfunctions", attempts=10)
        for arn in parents:
            told = p.ended(sfn, arn)
            assert told["status"] == "SUCCEEDED", told
            child = json.loads(told["output"])
            assert child["Status"] == "SUCCEEDED" and json.loads(told["input"])["id"] == child["Input"]["id"], child
        children = cluster.database.sql("SELECT count(*) FROM sortie.execution WHERE encode(arn, 'escape') LIKE '%:heard:%'")
        assert int(children) == len(parents), children
        for arn in parked:
            story.persist("stepfunctions", lambda sfn, arn=arn: sfn.stop_execution(executionArn=arn, error="E", cause="why"))
            assert sfn.describe_execution(executionArn=arn)["status"] == "ABORTED"
        for i in range(3):
            p.until(lambda: len([m for m in cluster.sink.seen if len(m) >= 60]) == 3, told="tokens are not handed out")
            token = sorted(m for m in cluster.sink.seen if len(m) >= 60)[i]
            story.persist("stepfunctions", lambda sfn, token=token: sfn.send_task_success(taskToken=token, output="1"))
            assert p.ended(sfn, arn_of("execution", "token") + f":t{i}")["status"] == "SUCCEEDED"
        failed = next(a for a in parked)
        story.persist("stepfunctions", lambda sfn: sfn.redrive_execution(executionArn=failed))
        p.until(lambda: sfn.describe_execution(executionArn=failed)["status"] == "RUNNING")
        for node in cluster.nodes:
            told = node.cli("check")
            assert told.returncode == 0, f"check: {told.stdout}{told.stderr}"


def test_three_nodes_are_one_service_while_nodes_and_the_database_die() -> None:
    with cluster_of(3) as cluster:
        story, rng = Story(cluster), random.Random(SEED)
        moved = []

        def disturb() -> None:
            for i in range(ROUNDS):
                time.sleep(rng.uniform(0.2, 1.0))
                if i % 4 == 3:
                    cluster.database.stop(signal.SIGINT if i % 8 == 3 else signal.SIGQUIT)
                    cluster.database.start()
                    continue
                owner = p.until(lambda: cluster.owner() + 1, told="nobody takes the store") - 1
                victim = owner if i % 4 != 2 else (owner + 1) % 3
                story.kill(cluster.nodes[victim])
                moved.append(cluster.wait_for_others_than(victim))
                cluster.nodes[victim].start()

        story.run(disturb)
        story.check()
        print(f"  work moved {len(moved)} times, in {min(moved):.2f} to {max(moved):.2f} s")


def test_a_node_that_was_frozen_longer_than_its_lease_writes_nothing_and_joins_afterwards() -> None:
    with cluster_of(2) as cluster:
        story = Story(cluster)
        frozen = cluster.owner()
        process = cluster.nodes[frozen].process
        other = cluster.nodes[1 - frozen]

        def disturb() -> None:
            time.sleep(0.5)
            story.deaths.append(time.time())
            process.send_signal(signal.SIGSTOP)
            story.cluster.nodes = [other]  # Calls through a frozen node would only wait.
            p.until(lambda: says(other) == "ready")
            process.send_signal(signal.SIGCONT)
            story.cluster.nodes = [other, cluster_nodes[frozen]]
            p.until(lambda: says(cluster_nodes[frozen]) == "worker")

        cluster_nodes = list(cluster.nodes)
        story.run(disturb)
        story.check()
        assert process.poll() is None
        assert "another node took over what this one owned" in cluster_nodes[frozen].log()


if __name__ == "__main__":
    p.main(globals())
