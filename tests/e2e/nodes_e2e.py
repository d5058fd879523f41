#!/usr/bin/env python3
"""Several nodes on one PostgreSQL as their callers see them: every node takes every kind of call, a call at a node that
does not lead is answered while the leader is killed or frozen, nothing that was accepted is lost or done twice, people's
decisions count once wherever the execution runs, and a database that is away is told so and waited for.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import hmac
import json
import random
import signal
import threading
import time

import product as p
from botocore.exceptions import BotoCoreError, ClientError
from postgres_e2e import Cluster, arn_of, cluster_of, says

ROUNDS = 30 if p.LONG else 4
AWAY_S = 30 if p.LONG else 6  # More than a lease in any case.
SEED = 5
# A call at a living node is answered within this, whatever happens to the others: a lease, and a busy machine.
ANSWERED_S = 20
SECRET = "between us"
CONFIG = """approvals:
  queues: [{queue: approvals, policy: anybody}]
hooks:
  edr:
    hmac: {header: X-Signature, secret: env:EDR_SECRET, prefix: 'sha256=', encoding: hex}
    delivery_id: {header: X-Delivery}
"""
ASK = {
    "Type": "Task",
    "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
    "Parameters": {
        "QueueUrl": f"https://sqs.us-east-1.amazonaws.com/{p.ACCOUNT}/approvals",
        "MessageBody": {"title": "Isolate?", "token.$": "$$.Task.Token"},
    },
    "End": True,
}
# A task whose handing over was recorded, but not heard, is given again after the heartbeat's time, as on AWS.
DESK = {
    "Type": "Task",
    "Resource": arn_of("activity", "desk"),
    "HeartbeatSeconds": 5,
    "Retry": [{"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 1, "BackoffRate": 1, "MaxAttempts": 50}],
    "End": True,
}


def one(state: dict) -> str:
    return json.dumps({"StartAt": "S", "States": {"S": state}})


FILES = {
    "sortie.yaml": CONFIG,
    "policies/people.yaml": "- name: anybody\n  allow_unknown_initiator: true\n",
    "playbooks/ask.asl.json": one(ASK),
    "playbooks/desk.asl.json": one(DESK),
    "playbooks/pass.asl.json": one({"Type": "Pass", "End": True}),
}


def nodes_of(count: int):
    return cluster_of(count, FILES, EDR_SECRET=SECRET)


class Caller:
    """Calls one node once each, as a client without retries, and keeps what it was told and how long that took."""

    def __init__(self, node: p.Server):
        self.node = node
        self.sfn = node.client("stepfunctions", attempts=1)
        self.slowest = 0.0
        self.told: collections.Counter = collections.Counter()
        self.unclean: list[str] = []

    def call(self, operation: str, **parameters):
        """The answer, or None where the node said 503 and when to try again."""
        began = time.monotonic()
        try:
            answer = getattr(self.sfn, operation)(**parameters)
            self.told["ok"] += 1
            return answer
        except ClientError as e:
            response = e.response["ResponseMetadata"]
            if response["HTTPStatusCode"] != 503:
                raise
            self.told["503"] += 1
            if not response["HTTPHeaders"].get("retry-after"):
                self.unclean.append(f"503 without Retry-After: {e}")
        except BotoCoreError as e:
            self.unclean.append(f"{type(e).__name__}: {e}")
        finally:
            self.slowest = max(self.slowest, time.monotonic() - began)
        return None

    def start(self, machine: str, name: str) -> None:
        """Until it is started, under one name. One that ended before the answer arrived was started, too."""
        while True:
            try:
                if self.call("start_execution", stateMachineArn=arn_of("stateMachine", machine), name=name, input="{}"):
                    return
            except ClientError as e:
                if e.response["Error"]["Code"] == "ExecutionAlreadyExists":
                    return
                raise
            time.sleep(0.05)

    def check(self) -> None:
        assert not self.unclean, self.unclean[:3]
        assert self.slowest < ANSWERED_S, f"a call took {self.slowest:.1f} s"


def test_every_node_takes_every_kind_of_call() -> None:
    with nodes_of(3) as cluster:
        cluster.wait_until_even()
        people = {}
        for i, node in enumerate(cluster.nodes):
            other = cluster.nodes[(i + 1) % 3]
            sfn, there = node.client("stepfunctions", attempts=1), other.client("stepfunctions", attempts=1)
            machine = sfn.create_state_machine(name=f"m{i}", definition=one(DESK), roleArn=p.ROLE)["stateMachineArn"]
            assert there.describe_state_machine(stateMachineArn=machine)["name"] == f"m{i}"
            there.create_activity(name="desk")
            # Polled here, started there, answered here.
            took: list[dict] = []
            poll = threading.Thread(target=lambda sfn=sfn, took=took: took.append(take_task(sfn)))
            poll.start()
            execution = there.start_execution(stateMachineArn=machine, input='{"n": 1}')["executionArn"]
            poll.join(p.PATIENCE)
            assert json.loads(took[0]["input"]) == {"n": 1}
            there.send_task_heartbeat(taskToken=took[0]["taskToken"])
            sfn.send_task_success(taskToken=took[0]["taskToken"], output='"done"')
            assert p.ended(there, execution)["output"] == '"done"'
            assert p.error_of(there.send_task_failure, taskToken=took[0]["taskToken"])[0] == "TaskTimedOut"
            # The EventBridge and Lambda APIs, webhooks, the command line, the console, and the operator's own.
            bus = node.client("events", attempts=1)
            assert bus.put_events(Entries=[{"Source": f"s{i}", "DetailType": "t", "Detail": "{}"}])["FailedEntryCount"] == 0
            assert other.client("lambda", attempts=1).get_function(FunctionName="Mark")["Configuration"]["FunctionName"] == "Mark"
            body = json.dumps({"alert": i}).encode()
            signature = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
            status, told = node.http("POST", "/hooks/edr", body, X_Signature=signature, X_Delivery=str(i))
            assert status == 202, told
            again = json.loads(other.http("POST", "/hooks/edr", body, X_Signature=signature, X_Delivery=str(i))[1])
            assert again["duplicate_of"] == json.loads(told)["id"], "a repetition is known at every node"
            assert node.http("POST", "/hooks/edr", body, X_Signature="sha256=" + "0" * 64)[0] == 401
            people[i] = node.add_person(f"person{i}")
            assert {e["source"] for e in other.json("event", "list")} >= {f"s{i}", "sortie.hooks.edr"}
            assert node.http("GET", "/") == other.http("GET", "/"), "the console"
            assert node.cli("audit", "export").returncode == 0 and node.cli("check").returncode == 0
        # Three approvals, each decided at another node, by people who were added at others.
        for i, node in enumerate(cluster.nodes):
            execution = node.json("run", "start", "ask")["arn"]
            approval = p.until(lambda node=node, arn=execution: [a for a in pending(node) if a["execution_arn"] == arn])[0]
            decided = cluster.nodes[(i + 1) % 3].cli("approve", approval["id"], "--reason", "seen and fine", SORTIE_TOKEN=people[i])
            assert decided.returncode == 0, decided.stderr
            ended = p.ended(cluster.nodes[(i + 2) % 3].client("stepfunctions"), execution)
            assert json.loads(ended["output"])["by"] == f"person{i}", ended
            late = node.cli("reject", approval["id"], "--reason", "too late now", SORTIE_TOKEN=people[(i + 1) % 3])
            assert late.returncode == 1 and f"person{i}" in late.stderr, late
        stays = cluster.database.sql("SELECT count(*) FROM sortie.document WHERE kind LIKE 'inbox%'")
        assert stays == "0", f"{stays} notes are left"


def take_task(sfn) -> dict:
    return sfn.get_activity_task(activityArn=arn_of("activity", "desk"), workerName="w")


def pending(node: p.Server) -> list[dict]:
    return node.json("approvals", "list", "--status", "PENDING")


def all_ended(cluster, threads: list[threading.Thread], callers: list[Caller], counts: list[int]) -> None:
    """Callers have been told to stop: each was answered, and each start of theirs ran once."""
    for t in threads:
        t.join(p.PATIENCE)
        assert not t.is_alive(), "a caller is still not answered"
    for caller in callers:
        caller.check()
    sfn = cluster.nodes[0].client("stepfunctions", attempts=10)
    for i, count in enumerate(counts):
        for k in range(1, count + 1):
            arn = arn_of("execution", "pass") + f":n{i}-{k}"
            assert p.ended(sfn, arn)["status"] == "SUCCEEDED"
            assert [e["id"] for e in p.history(sfn, arn)] == [1, 2, 3, 4], arn


def test_calls_at_other_nodes_are_answered_while_the_leader_is_killed_or_frozen() -> None:
    with nodes_of(3) as cluster:
        cluster.wait_until_even()
        rng, over = random.Random(SEED), threading.Event()
        away: set[int] = set()  # Nodes that are killed or frozen, or about to be.
        callers = [Caller(node) for node in cluster.nodes]
        counts = [0] * 3

        def away_soon(i: int) -> None:
            """Its own callers would only wait: they stop before it does."""
            away.add(i)
            p.until(lambda: not busy[i].locked())

        busy = [threading.Lock() for _ in callers]

        def work(i: int) -> None:
            while not over.is_set():
                with busy[i]:
                    if i not in away:
                        counts[i] += 1
                        callers[i].start("pass", f"n{i}-{counts[i]}")
                        callers[i].call("list_state_machines")
                time.sleep(0.02)

        threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(3)]
        for t in threads:
            t.start()
        gaps = []
        for round_ in range(ROUNDS):
            time.sleep(rng.uniform(0.3, 0.8))
            leader = p.until(lambda: cluster.owner() + 1, told="nobody leads") - 1
            node = cluster.nodes[leader]
            away_soon(leader)
            if round_ % 2 == 0:
                node.kill()
                gaps.append(cluster.wait_for_others_than(leader))
                node.start()
            else:
                node.process.send_signal(signal.SIGSTOP)
                gaps.append(cluster.wait_for_others_than(leader))
                others = [n for n in cluster.nodes if n is not node]
                p.until(lambda others=others: any(says(n) == "ready" for n in others))
                node.process.send_signal(signal.SIGCONT)
                p.until(lambda node=node: says(node) == "worker")
            away.discard(leader)
        over.set()
        all_ended(cluster, threads, callers, counts)
        rows = cluster.database.sql("SELECT count(*) FROM sortie.execution WHERE encode(arn, 'escape') LIKE '%:pass:%'")
        assert int(rows) == sum(counts), f"{rows} executions of {sum(counts)} starts"
        told = sum((caller.told for caller in callers), collections.Counter())
        slowest = max(caller.slowest for caller in callers)
        print(
            f"  {sum(counts)} starts, told {dict(told)}, slowest answer {slowest:.2f} s, work moved in {min(gaps):.2f} to {max(gaps):.2f} s"
        )


class Answers:
    """People who decide and workers who answer, at any node, until it is confirmed."""

    def __init__(self, cluster: Cluster, callers: list[Caller]):
        self.cluster, self.callers = cluster, callers
        self.person = cluster.nodes[0].add_person("alice")
        self.over = threading.Event()
        self.given: collections.Counter = collections.Counter()  # How often each task was handed out...
        self.accepted: collections.Counter = collections.Counter()  # ... and its answer confirmed.
        for work in (self.work_at_the_desk, self.work_at_the_desk, self.decide):
            threading.Thread(target=work, daemon=True).start()

    def work_at_the_desk(self) -> None:
        turn = 0
        while not self.over.is_set():
            turn += 1
            with contextlib.suppress(BotoCoreError, ClientError):
                task = take_task(self.callers[turn % 3].sfn)
                if task.get("taskToken"):
                    self.given[task["taskToken"]] += 1
                    self.answer(task["taskToken"])

    def answer(self, token: str) -> None:
        for turn in range(200):
            try:
                self.callers[turn % 3].sfn.send_task_success(taskToken=token, output="1")
                self.accepted[token] += 1
                return
            except ClientError as e:
                if e.response["Error"]["Code"] == "TaskTimedOut":  # An answer that was not heard of counted.
                    return
            except BotoCoreError:
                pass
            time.sleep(0.1)

    def decide(self) -> None:
        rng, turn = random.Random(SEED), 0
        while not self.over.is_set():
            turn += 1
            node = self.cluster.nodes[turn % 3]
            listed = node.cli("approvals", "list", "--status", "PENDING", "-o", "json")
            for approval in json.loads(listed.stdout)[:3] if listed.returncode == 0 else []:
                verb = rng.choice(("approve", "reject"))
                node.cli(verb, approval["id"], "--reason", f"{verb} it", SORTIE_TOKEN=self.person)
            time.sleep(0.05)


def test_what_people_and_workers_answer_counts_once_while_nodes_die() -> None:
    with nodes_of(3) as cluster:
        cluster.wait_until_even()
        cluster.nodes[0].client("stepfunctions").create_activity(name="desk")
        rng = random.Random(SEED)
        count = 60 if p.LONG else 12
        callers = [Caller(node) for node in cluster.nodes]
        for k in range(count):
            callers[k % 3].start("ask", f"a{k}")
            callers[k % 3].start("desk", f"d{k}")
        answers = Answers(cluster, callers)
        for round_ in range(ROUNDS):
            time.sleep(rng.uniform(0.5, 1.0))
            leader = p.until(lambda: cluster.owner() + 1, told="nobody leads") - 1
            victim = leader if round_ % 2 == 0 else (leader + 1) % 3
            cluster.nodes[victim].kill()
            cluster.wait_for_others_than(victim)
            cluster.nodes[victim].start()
        sfn = cluster.nodes[0].client("stepfunctions", attempts=10)
        arns = sorted(arn_of("execution", kind) + f":{kind[0]}{k}" for kind in ("ask", "desk") for k in range(count))
        outputs = {arn: p.ended(sfn, arn) for arn in arns}
        answers.over.set()
        for arn, ended in outputs.items():
            assert ended["status"] == "SUCCEEDED", ended
            kinds = collections.Counter(e["type"] for e in p.history(sfn, arn))
            assert kinds["TaskSucceeded"] + kinds["ActivitySucceeded"] == 1 == kinds["ExecutionSucceeded"], (arn, kinds)
            assert kinds["ActivityStarted"] <= kinds["ActivityScheduled"], (arn, kinds)
        twice = [t for times in (answers.accepted, answers.given) for t in times if times[t] > 1]
        assert not twice, f"{len(twice)} tasks were given or answered twice"
        check_decisions(cluster, outputs)
        for node in cluster.nodes:
            told = node.cli("check")
            assert told.returncode == 0, f"check: {told.stdout}{told.stderr}"
        owned = cluster.database.sql("SELECT count(DISTINCT no % 16) FROM sortie.execution WHERE encode(arn, 'escape') LIKE '%:ask:%'")
        assert int(owned) > 1, "approvals are asked for on every node"
        print(f"  {count} approvals and {count} activities, {ROUNDS} deaths")


def check_decisions(cluster: Cluster, outputs: dict[str, dict]) -> None:
    """What the approval, the audit trail and the execution say is the same, once."""
    node = cluster.nodes[-1]
    lines = [json.loads(line) for line in node.cli("audit", "export").stdout.splitlines()]
    decided = collections.Counter(line["subject"] for line in lines if line["action"] == "approval.decide" and line["outcome"] == "done")
    approvals = node.json("approvals", "list")
    asked = [arn for arn in outputs if ":ask:" in arn]
    assert {a["execution_arn"] for a in approvals} == set(asked)
    for approval in approvals:
        said = json.loads(outputs[approval["execution_arn"]]["output"])["decision"]
        assert approval["status"].lower() == said, (approval, said)
        assert decided[approval["id"]] == 1, f"{approval['id']} was decided {decided[approval['id']]} times"


def test_a_database_that_is_away_is_told_so_and_waited_for() -> None:
    with nodes_of(3) as cluster:
        cluster.wait_until_even()
        callers = [Caller(node) for node in cluster.nodes]
        over = threading.Event()
        counts = [0] * 3

        def work(i: int) -> None:
            while not over.is_set():
                counts[i] += 1
                callers[i].start("pass", f"n{i}-{counts[i]}")
                time.sleep(0.1)

        threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(3)]
        for t in threads:
            t.start()
        time.sleep(1)
        cluster.database.stop()
        began = time.monotonic()
        told_before = sum(caller.told["503"] for caller in callers)
        while time.monotonic() - began < AWAY_S:
            for node in cluster.nodes:
                assert node.process.poll() is None, "a node ended because the database was away"
                assert node.http("GET", "/healthz")[0] == 200
            time.sleep(0.5)
        assert sum(caller.told["503"] for caller in callers) > told_before, "nobody was told"
        cluster.database.start()
        back = time.monotonic()
        first = {i: callers[i].told["ok"] for i in range(3)}
        p.until(lambda: all(callers[i].told["ok"] > first[i] for i in range(3)), told="calls do not go through again")
        took = time.monotonic() - back
        over.set()
        all_ended(cluster, threads, callers, counts)
        slowest = max(caller.slowest for caller in callers)
        print(f"  away for {AWAY_S} s, calls go through {took:.2f} s after it is back, slowest answer {slowest:.2f} s")


if __name__ == "__main__":
    p.main(globals())
