#!/usr/bin/env python3
"""Listing, filtering and searching at a million executions, over HTTP as the console and boto3 ask.

  bench/listing_bench.py [--executions 1000000] [--binary build/sortie] [--fill build/bench/bench/listing_fill] [--folder DIR]

`listing_fill` writes the executions, then the real server answers. Each question is asked --repeat times; a question that takes several
requests (`next`) is followed for at most --turns of them, and `longest` is the longest request: how long everybody else waited. The
limit is 20 ms for every request; what has an index has to find all its hits in the first one.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
LIMIT_MS = 20


def questions(count: int) -> list[tuple[str, str, int]]:
    """What it is, the search, and how many hits the first request has to have (0: it may have to look around)."""
    some, old = count // 3 // 2 * 2, count // 50 // 2 * 2
    hour = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - count * 0.01 / 2))
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - count * 0.01 / 2 + 5))
    return [
        ("newest", "", 100),
        ("status", "status:failed", 100),
        ("two statuses", "status:failed,aborted", 100),
        ("running", "status:running", 100),
        ("a playbook", "playbook:ir-2", 100),
        ("playbook and status", "playbook:ir-fails status:failed", 100),
        ("a name", f"name:night-{some:07}", 1),
        ("an old name", f"name:Night-{old:07}", 1),
        ("a prefix", f"name:night-{some:07}"[:-1] + "*", 5),
        ("a wide prefix", "name:night-*", 100),
        ("no such name", "name:nothing-is-called-so*", 0),
        ("a range of time", f"started:>{hour} started:<{later}", 100),
        ("a range of ends", f"stopped:>{hour} stopped:<{later}", 100),
        ("before all", "started:<2020-01-01T00:00:00Z", 0),
        ("a resource", f"resource:i-{some:013x}", 1),
        ("a frequent resource", "resource:us-east-1", 100),
        ("a resource and a status", f"resource:{5:012} status:failed", 100),
        ("no such resource", "resource:i-nothing", 0),
        ("a rare severity", "sev:critical", count // 50_000),
        ("an actor", "actor:rare-rule", min(100, count // 10_000)),
        ("an error", "error:Needle.NotFound", count // 40_000),
        ("a word of a cause", f'error:"number {some // 40 * 40}"', 1),
        ("no such error", "error:Nobody", 0),
        ("waiting for people", "has:approval", 0),
        ("a part of a name (looks around)", "0012345", -1),
        ("a pattern of resources (looks around)", "resource:i-00000000000ff*", -1),
        ("a state (looks around)", "state:Nowhere", -1),
    ]


class Client:
    def __init__(self, port: int, token: str):
        self.connection = http.client.HTTPConnection("127.0.0.1", port)
        self.headers = {"Authorization": f"Bearer {token}"}

    def page(self, q: str, cursor: str = "") -> tuple[dict, float]:
        began = time.perf_counter()
        self.connection.request("GET", f"/v1/executions?limit=100&q={urllib.parse.quote(q)}{cursor}", headers=self.headers)
        answer = self.connection.getresponse()
        text = answer.read()
        took = (time.perf_counter() - began) * 1000
        assert answer.status == 200, (answer.status, q, text[:300])
        return json.loads(text), took

    def get(self, path: str) -> float:
        began = time.perf_counter()
        self.connection.request("GET", path, headers=self.headers)
        self.connection.getresponse().read()
        return (time.perf_counter() - began) * 1000


def quantile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def tell(what: str, hits: int, looked: int, turns: int, taken: list[float], verdict: str = "") -> None:
    p99 = quantile(taken, 0.99)
    times = f"{quantile(taken, 0.5):8.2f} {p99:8.2f} {max(taken):8.2f} {p99 / LIMIT_MS:6.2f}"
    print(f"{what:38} {hits:5} {looked:7} {turns:5} {times}  {verdict}", flush=True)


def ask_rest(client: Client, count: int, repeat: int, turns_max: int) -> None:
    for what, q, wanted in questions(count):
        taken, first, looked, turns = [], 0, 0, 0
        for _ in range(repeat):
            page, took = client.page(q)
            taken.append(took)
            first, looked, turns = len(page["executions"]), page["looked_at"], 1
            while page["next"] and len(page["executions"]) == 0 and turns < turns_max:
                page, took = client.page(q, "&cursor=" + urllib.parse.quote(page["next"]))
                taken.append(took)
                looked, turns = looked + page["looked_at"], turns + 1
        is_held = wanted < 0 or (first >= wanted and turns == 1)
        tell(what, first, looked, turns, taken, "" if is_held else "NOT in one request")


def ask_aws(server, repeat: int) -> None:
    states = server.client("stepfunctions")
    prefix = "arn:aws:states:us-east-1:123456789012:stateMachine:"
    for what, given in (
        ("ListExecutions of a machine", {"stateMachineArn": prefix + "ir-1"}),
        ("ListExecutions FAILED", {"stateMachineArn": prefix + "ir-fails", "statusFilter": "FAILED"}),
        ("ListExecutions ABORTED (none)", {"stateMachineArn": prefix + "ir-1", "statusFilter": "ABORTED"}),
    ):
        taken, token, hits = [], None, 0
        for _ in range(repeat):
            began = time.perf_counter()
            page = states.list_executions(**given, **({"nextToken": token} if token else {}))
            taken.append((time.perf_counter() - began) * 1000)
            token, hits = page.get("nextToken"), len(page["executions"])
        tell(what + " (with boto3)", hits, hits, 1, taken)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--executions", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=50)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "build/sortie")
    parser.add_argument("--fill", type=pathlib.Path, default=ROOT / "build/bench/bench/listing_fill")
    parser.add_argument("--folder", type=pathlib.Path, default=None, help="kept, and used again where it is there")
    given = parser.parse_args()
    os.environ["SORTIE"] = str(given.binary.resolve())
    import product as p

    with p.temporary_folder() as temporary:
        folder = pathlib.Path(given.folder or temporary)
        if not (folder / "data").exists():
            subprocess.run([given.fill, "--folder", folder / "data", "--executions", str(given.executions)], check=True)
        server = p.Server(folder).start()
        try:
            client = Client(server.port, server.add_person(f"alice{os.getpid()}", "admins"))
            columns = f"{'hits':>5} {'looked':>7} {'turns':>5} {'p50 ms':>8} {'p99 ms':>8} {'most':>8} {'p99/20':>6}"
            print(f"{'a page of 100':38} {columns}")
            tell("counts by status", 0, 0, 1, [client.get("/v1/executions/counts") for _ in range(given.repeat)])
            ask_rest(client, given.executions, given.repeat, given.turns)
            ask_aws(server, given.repeat)
        finally:
            server.kill()


main()
