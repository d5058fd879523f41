#!/usr/bin/env python3
"""Sortie beside other durable engines, in one run: durable_peers.py [--engines-dir DIR ENGINE...] [--seconds S] [--parked N] [--keep FILE]

DIR holds engines.sh, which runs raw, restate, dbos-pg, dbos-sqlite, temporal-pg and temporal-sqlite (those named; none without DIR) and
prints JSON lines. Ours does the same workloads afterwards, on the real server through its port, SQLite with full fsync:

  pure     executions of ten Pass states; a client starts one (SigV4) and waits for its end. They are one commit together, as Temporal's
           local activities are; Restate and DBOS write every step. `blocking` is the one to compare with those
  blocking ten steps that each wait for an answer from outside (activities; as many pollers as clients), each a durable decision
  tasks    three Lambda tasks, answered by warm Python processes
  parked   executions that wait for a token (an activity, taken before); kill -9, started again, one woken, then the rest

Prints a Markdown table; --keep writes all rows as JSON lines. The client is one thread of Python, and its share of a core is in the table:
near 1 the figure is what this client can ask, not what the server can answer.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

from closed_loop import MACHINE, ROOT, Client, Server, chain, quantile, run_clients

ACTIVITY = "arn:aws:states:us-east-1:123456789012:activity:step"
WAKE_SECONDS = 10
PARK_CLIENTS = 64


PLAYBOOKS = {
    "pure": chain({"Type": "Pass"}, 10),
    "blocking": chain({"Type": "Task", "Resource": ACTIVITY}, 10),
    "tasks": chain({"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:Noop"}, 3),
    "parked": chain({"Type": "Task", "Resource": ACTIVITY, "TimeoutSeconds": 86400}, 1),
}
HANDLER = "def lambda_handler(event, context):\n    return {'ok': True}\n"
SETTINGS = "server defaults: SQLite, WAL, synchronous=FULL; client over HTTP with SigV4, start then wait for the end"


class Bench:
    def __init__(self, binary: pathlib.Path, rows: list[dict]):
        self.rows = rows
        self.server = Server(binary, PLAYBOOKS, {"Noop": {"lambda_function.py": HANDLER}})
        self.version = subprocess.run([binary, "version"], capture_output=True, text=True, check=True).stdout.split()[-1]
        self.arns: list[str] = []
        self.tokens: list[str] = []
        run_clients(self.server.address, [self.once("CreateActivity", {"name": "step"})])

    def once(self, operation: str, body: dict) -> Client:
        yield self.server.states(operation, body)

    def executions(self, machine: str, until: float, latencies: list[float]) -> Client:
        """One client: starts an execution and waits for its end, again and again."""
        start = self.server.states("StartExecution", {"stateMachineArn": MACHINE + machine, "input": "{}"})
        while (began := time.perf_counter()) < until:
            arn = json.loads((yield start))["executionArn"]
            ended = json.loads((yield self.server.as_operator(f"/v1/executions/{arn}?wait=60")))
            if ended["status"] != "SUCCEEDED":
                sys.exit(f"{arn} ended as {ended['status']}")
            latencies.append(time.perf_counter() - began)

    def poller(self, over: list) -> Client:
        """Takes tasks of the activity and answers each at once; `over` is emptied by the clients that are done."""
        take = self.server.states("GetActivityTask", {"activityArn": ACTIVITY, "workerName": "bench"})
        while over:
            token = json.loads((yield take)).get("taskToken")
            if token:
                yield self.server.states("SendTaskSuccess", {"taskToken": token, "output": "1"})

    def measured(self, bench: str, clients: int, steps: int, run) -> int:
        latencies: list[float] = []
        server = self.server
        disk, cpu, own, began = server.disk_bytes(), server.cpu_s(True), time.process_time(), time.perf_counter()
        run(latencies)
        seconds = time.perf_counter() - began
        count = len(latencies)
        row = {"bench": bench, "impl": "sortie", "version": self.version, "clients": clients}
        row |= {"n": count, "per_s": round(count / seconds, 1)}
        if steps:
            row["steps_per_s"] = round(count * steps / seconds, 1)
        row |= {"p50_ms": round(quantile(latencies, 0.5) * 1000, 2), "p99_ms": round(quantile(latencies, 0.99) * 1000, 2),
                "rss_mb": round(server.pss_mib()), "disk_bytes_per_execution": round((server.disk_bytes() - disk) / count),
                "engine_cores": round((server.cpu_s(True) - cpu) / seconds, 2),
                "driver_cores": round((time.process_time() - own) / seconds, 2), "settings": SETTINGS}
        self.rows.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
        return count

    def loop(self, machine: str, clients: int, seconds: float):
        def run(latencies: list[float]) -> None:
            until = time.perf_counter() + seconds
            run_clients(self.server.address, [self.executions(machine, until, latencies) for _ in range(clients)])

        return run

    def blocking(self, clients: int, seconds: float):
        """The pollers that still wait when the last execution has ended are answered with an execution each."""

        def run(latencies: list[float]) -> None:
            until = time.perf_counter() + seconds
            working = [None] * clients

            def client() -> Client:
                yield from self.executions("blocking", until, latencies)
                working.pop()
                if not working:
                    release = self.server.states("StartExecution", {"stateMachineArn": MACHINE + "parked", "input": "{}"})
                    for _ in range(clients):
                        yield release

            run_clients(self.server.address, [client() for _ in range(clients)] + [self.poller(working) for _ in range(clients)])

        return run

    def park(self, count: int):
        left = iter(range(count))

        def run(latencies: list[float]) -> None:
            def client() -> Client:
                start = self.server.states("StartExecution", {"stateMachineArn": MACHINE + "parked", "input": "{}"})
                for _ in left:
                    began = time.perf_counter()
                    self.arns.append(json.loads((yield start))["executionArn"])
                    latencies.append(time.perf_counter() - began)

            run_clients(self.server.address, [client() for _ in range(PARK_CLIENTS)])

        return run

    def take_tokens(self, count: int) -> None:
        take = self.server.states("GetActivityTask", {"activityArn": ACTIVITY, "workerName": "bench"})
        left = iter(range(count))

        def client() -> Client:
            for _ in left:
                task = json.loads((yield take))
                self.tokens.append(task["taskToken"])

        run_clients(self.server.address, [client() for _ in range(PARK_CLIENTS)])

    def wake(self, tokens: list[str], seconds: float):
        """An answer counts when it is durable, which is also when the execution has ended: its one state was the last."""
        left = iter(tokens)

        def run(latencies: list[float]) -> None:
            until = time.perf_counter() + seconds

            def client() -> Client:
                for token in left:
                    began = time.perf_counter()
                    yield self.server.states("SendTaskSuccess", {"taskToken": token, "output": "1"})
                    latencies.append(time.perf_counter() - began)
                    if time.perf_counter() >= until:
                        return

            run_clients(self.server.address, [client() for _ in range(PARK_CLIENTS)])

        return run

    def parked(self, count: int) -> None:
        before = self.server.pss_mib()
        self.measured("parked-start", PARK_CLIENTS, 0, self.park(count))
        self.take_tokens(count)
        idle = self.server.pss_mib()
        self.server.kill()
        began = time.perf_counter()
        self.server.start()
        first = self.tokens.pop()
        run_clients(self.server.address, [self.once("SendTaskSuccess", {"taskToken": first, "output": "1"})])
        took = (time.perf_counter() - began) * 1000
        row = {"bench": "parked-restart", "impl": "sortie", "version": self.version, "n": count}
        row |= {"rss_before_mb": round(before), "rss_parked_mb": round(idle), "restart_to_first_transition_ms": round(took)}
        row |= {"rss_after_restart_mb": round(self.server.pss_mib()), "settings": SETTINGS}
        self.rows.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
        self.measured("parked-resume", PARK_CLIENTS, 0, self.wake(self.tokens, WAKE_SECONDS))
        if self.rows[-1]["n"] == count - 1 and self.server.metric("sortie_executions_open") > 0:
            sys.exit("an execution whose token was answered is still open")


def ours(binary: pathlib.Path, seconds: float, parked: int) -> list[dict]:
    rows: list[dict] = []
    moving = Bench(binary, rows)
    try:
        moving.loop("pure", 16, 1)([])  # Warm.
        for clients in (1, 16, 64, 256):
            moving.measured("pure", clients, 10, moving.loop("pure", clients, seconds))
        for clients in (1, 16, 64, 256):
            moving.measured("blocking", clients, 10, moving.blocking(clients, seconds))
        moving.loop("tasks", 16, 1)([])
        for clients in (16, 64):
            moving.measured("tasks", clients, 3, moving.loop("tasks", clients, seconds))
    finally:
        moving.server.stop()
    waiting = Bench(binary, rows)
    try:
        waiting.parked(parked)
    finally:
        waiting.server.stop()
    return rows


def theirs(folder: str, engines: list[str], seconds: float, parked: int) -> list[dict]:
    env = dict(os.environ, ENGINES_SECONDS=str(seconds), ENGINES_PARKED=str(parked), ENGINES_DATA=str(ROOT / "build"))
    done = subprocess.run([f"{folder}/engines.sh", *engines], env=env, check=True, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def print_table(rows: list[dict]) -> None:
    print("| workload | engine | clients | executions/s | steps/s | p50 ms | p99 ms | MiB | disk bytes each | cores: engine, client |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for row in sorted(rows, key=lambda row: (row["bench"], row.get("clients", 0))):
        if "p50_ms" not in row or row["bench"] == "raw":
            continue
        steps = f"{row['steps_per_s']:,.0f}" if "steps_per_s" in row else ""
        cores = f"{row.get('engine_cores', '')}, {row.get('driver_cores', '')}"
        engine = f"{row['impl']} {row['version'].split()[0]}"
        print(f"| {row['bench']} | {engine} | {row['clients']} | {row['per_s']:,.0f} | {steps} "
              f"| {row['p50_ms']} | {row['p99_ms']} | {row.get('rss_mb', '')} | {row.get('disk_bytes_per_execution', '')} | {cores} |")
    print("\n| parked, then kill -9 | n | MiB before, parked, after | to the first transition, ms |")
    print("|---|---|---|---|")
    for row in rows:
        if row["bench"] == "parked-restart":
            print(f"| {row['impl']} | {row['n']:,} | {row['rss_before_mb']}, {row['rss_parked_mb']}, {row['rss_after_restart_mb']} "
                  f"| {row['restart_to_first_transition_ms']:,} |")
    for row in rows:
        if row["bench"] == "raw":
            print(f"\nraw, {row['impl']}, {row.get('batch', 1)} a commit: {row['per_s']:,.0f}/s ({row['settings']})", end="")
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", nargs="*", default=["raw", "restate", "dbos-pg", "dbos-sqlite", "temporal-pg", "temporal-sqlite"])
    parser.add_argument("--engines-dir")
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--parked", type=int, default=10000)
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "build/sortie")
    parser.add_argument("--keep", type=pathlib.Path)
    args = parser.parse_args()
    if not args.binary.exists():
        sys.exit(f"durable_peers: {args.binary} is missing; run `make build`")
    rows = theirs(args.engines_dir, args.engines, args.seconds, args.parked) if args.engines_dir else []
    rows += ours(args.binary.resolve(), args.seconds, args.parked)
    if args.keep:
        args.keep.write_text("".join(json.dumps(row) + "\n" for row in rows))
    print_table(rows)


if __name__ == "__main__":
    main()
