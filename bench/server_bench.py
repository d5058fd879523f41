#!/usr/bin/env python3
"""What the running server does through its one port, beside the raw append rate of SQLite on this disk.

    build/venv/bin/python bench/server_bench.py [--seconds S] [--connections N] [--binary build/sortie] [--what NAME ...]

The client is one thread of Python: blocking connections (each has one request in flight) on one epoll loop, and requests that are
signed once and sent again and again, so that signing costs nothing. It shares the machine with the server; every row says how much
of a core client and server used, and a row in which the client used nearly all of one says what this client can ask, not what the
server can answer.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

from closed_loop import MACHINE, ROOT, Client, Server, chain, quantile, run_clients

CLIENT_BUSY = 0.85
PASS = {"Type": "Pass"}
INPUT = json.dumps({"finding": {"id": "0123456789abcdef", "severity": 8, "instance": "i-0123456789abcdef0", "tags": ["critical", "web"]}})
HANDLER = """import time
def lambda_handler(event, context):
    began = time.perf_counter_ns()
    return {"ns": time.perf_counter_ns() - began}
"""


TASK = {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:Noop"}


def server_of(binary: pathlib.Path) -> Server:
    machines = {"three": chain(PASS, 3), "ten": chain(PASS, 10), "tasks": chain(TASK, 3)}
    return Server(binary, machines, {"Noop": {"lambda_function.py": HANDLER}})


def start(server: Server, machine: str) -> bytes:
    return server.states("StartExecution", {"stateMachineArn": MACHINE + machine, "input": INPUT})


class Load:
    """`connections` blocking clients of one request for `seconds`."""

    def __init__(self, server: Server, request: bytes, connections: int, seconds: float):
        self.latencies: list[float] = []
        self.bodies: list[bytes] = []
        cpu, own_cpu, began = server.cpu_s(), time.process_time(), time.perf_counter()

        def client() -> Client:
            now = time.perf_counter()
            while True:
                sent_at = now
                self.bodies.append((yield request))
                now = time.perf_counter()
                self.latencies.append(now - sent_at)
                if now - began >= seconds:
                    return

        run_clients(server.address, [client() for _ in range(connections)])
        self.elapsed = time.perf_counter() - began
        self.client_cores = (time.process_time() - own_cpu) / self.elapsed
        self.server_cores = (server.cpu_s() - cpu) / self.elapsed

    def per_second(self) -> float:
        return len(self.latencies) / self.elapsed


def row(what: str, connections: int, load: Load, per_second: float | None = None, note: str = "") -> None:
    if load.client_cores > CLIENT_BUSY:
        note = (note + "; " if note else "") + "the client is the limit"
    print(f"{what:<34} {connections:>5} {per_second or load.per_second():>10.0f} {quantile(load.latencies, 0.5) * 1000:>8.2f} "
          f"{quantile(load.latencies, 0.99) * 1000:>8.2f} {load.client_cores:>7.2f} {load.server_cores:>7.2f}  {note}", flush=True)


def measure_starts(server: Server, connections: int, seconds: float) -> None:
    load = Load(server, start(server, "three"), connections, seconds)
    row("durable starts/s (SigV4, 3 Pass)", connections, load)


def wait_for_end(server: Server) -> None:
    while server.metric("sortie_executions_open") > 0:
        time.sleep(0.01)


def measure_transitions(server: Server, connections: int, seconds: float) -> None:
    before, began = server.metric("sortie_transitions_total"), time.perf_counter()
    load = Load(server, start(server, "ten"), connections, seconds)
    wait_for_end(server)
    elapsed = time.perf_counter() - began
    transitions = server.metric("sortie_transitions_total") - before
    # The counter is held against what histories say: 2 events of the execution, 2 of each state.
    for body in load.bodies[:: max(1, len(load.bodies) // 20)]:
        ask = {"executionArn": json.loads(body)["executionArn"], "maxResults": 1000}
        history = Load(server, server.states("GetExecutionHistory", ask), 1, 0)
        count = len(json.loads(history.bodies[0])["events"])
        if count != 22:
            sys.exit(f"server_bench: a history has {count} events, not 22")
    if transitions != 10 * len(load.bodies):
        sys.exit(f"server_bench: {transitions:.0f} transitions of {len(load.bodies)} executions")
    row("transitions/s (chains of 10 Pass)", connections, load, transitions / elapsed, "latency is that of a start")


def measure_tasks(server: Server, connections: int, seconds: float) -> None:
    """Three Lambda tasks in a row, each answered over the loopback by a warm worker of the function."""
    Load(server, start(server, "tasks"), connections, 1)  # As many workers as it takes are warm from here on.
    wait_for_end(server)
    commits, before, began = server.metric("sortie_store_commits_total"), server.metric("sortie_transitions_total"), time.perf_counter()
    load = Load(server, start(server, "tasks"), connections, seconds)
    wait_for_end(server)
    elapsed = time.perf_counter() - began
    transitions = server.metric("sortie_transitions_total") - before
    if transitions != 3 * len(load.bodies):
        sys.exit(f"server_bench: {transitions:.0f} transitions of {len(load.bodies)} executions")
    each = (server.metric("sortie_store_commits_total") - commits) / transitions
    note = f"{each:.3f} commits each; latency is that of a start"
    row("tasks/s (chains of 3 Lambda tasks)", connections, load, transitions / elapsed, note)


def measure_invocations(server: Server, seconds: float) -> None:
    request = server.signed("lambda", "/2015-03-31/functions/Noop/invocations", "{}")
    Load(server, request, 1, 0.5)  # The process is warm from here on.
    load = Load(server, request, 1, seconds)
    load.latencies = [latency - json.loads(body)["ns"] / 1e9 for latency, body in zip(load.latencies, load.bodies, strict=True)]
    row("warm invocations/s, overhead", 1, load, note="latency without the handler's own time")


def measure_idle(binary: pathlib.Path) -> None:
    starts, rss = [], []
    for _ in range(5):
        server = server_of(binary)
        starts.append(server.start_ms)
        time.sleep(1)
        rss.append(server.rss_mib())
        server.stop()
    print(f"start-up to `listening on`: median {statistics.median(starts):.0f} ms of 5 fresh data folders (worst {max(starts):.0f} ms); "
          f"idle memory {statistics.median(rss):.1f} MiB", flush=True)


def print_raw(connections: int) -> None:
    """The limit of everything durable here, from store_bench in the same minute."""
    found = [p for p in (ROOT / "build").glob("*/bench/store_bench") if os.access(p, os.X_OK)]
    if not found:
        return print("raw SQLite append: SKIP: store_bench is not built (scripts/bench.sh builds it)")
    text = subprocess.run([found[0], "--open", "2000", "--clients", str(connections), "--seconds", "1"], cwd=ROOT / "build",
                          capture_output=True, text=True).stdout
    for layout, what in (("raw", "raw SQLite append, rows/s"), ("journal", "our store, transitions/s")):
        match = re.search(rf"^\s*\d+\s+{connections}\s+{layout}\s+(\d+)", text, re.M)
        if match:
            print(f"{what:<34} {connections:>5} {match.group(1):>10}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "build/sortie")
    parser.add_argument("--what", nargs="*", default=["idle", "http", "starts", "transitions", "tasks", "invocations", "raw"])
    args = parser.parse_args()
    if not args.binary.exists():
        sys.exit(f"server_bench: {args.binary} is missing; run `make build`")
    binary = args.binary.resolve()
    if "idle" in args.what:
        measure_idle(binary)
    print(f"{'what':<34} {'conn.':>5} {'per s':>10} {'p50 ms':>8} {'p99 ms':>8} {'client':>7} {'server':>7}  (cores used)")
    server = server_of(binary)
    try:
        if "http" in args.what:
            row("HTTP requests/s on /healthz", args.connections, Load(server, server.plain("/healthz"), args.connections, args.seconds))
        if "starts" in args.what:
            measure_starts(server, 1, args.seconds)
            measure_starts(server, args.connections, args.seconds)
        if "transitions" in args.what:
            measure_transitions(server, args.connections, args.seconds)
        if "tasks" in args.what:
            measure_tasks(server, args.connections, args.seconds)
        if "invocations" in args.what:
            measure_invocations(server, args.seconds)
    finally:
        server.stop()
    if "raw" in args.what:
        print_raw(args.connections)


if __name__ == "__main__":
    main()
