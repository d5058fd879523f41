#!/usr/bin/env python3
"""Listing, filtering and searching at a million executions, over HTTP as the console and boto3 ask.

  bench/listing_bench.py [--executions 1000000] [--binary build/sortie] [--fill build/bench/bench/listing_fill] [--folder DIR]
                         [--only quiet,starts,retention] [--rate 500]

`listing_fill` writes the executions, then the real server answers. Each question is asked --repeat times; a question that takes several
requests (`next`) is followed for at most --turns of them. The limit is 20 ms for every request; what has an index has to find all its
hits in the first one. `CPU ms` is what the whole server used for a request: what others on the machine disturb less than times.

`starts` asks the same while executions start at a --rate, whose CPU time is in the column then. `retention` deletes the oldest tenth, as
a server does whose configuration says so, while executions start and lists are asked for: beside the same without it.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import http.client
import json
import multiprocessing
import os
import pathlib
import subprocess
import sys
import threading
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
LIMIT_MS = 20
STARTERS = 4
SWEEP_S = 60  # So long after its start a server looks for the first time at what is too old.


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

    def counts(self) -> dict:
        self.connection.request("GET", "/v1/executions/counts", headers=self.headers)
        return json.loads(self.connection.getresponse().read())["counts"]

    def get(self, path: str) -> float:
        began = time.perf_counter()
        self.connection.request("GET", path, headers=self.headers)
        self.connection.getresponse().read()
        return (time.perf_counter() - began) * 1000


def quantile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def cpu_ms(pid: int) -> float:
    """Of all threads that the process has."""
    used = 0
    for file in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):
            used += int(file.read_text().split()[0])
    return used / 1e6


class Table:
    """Rows of what was asked, one after the other, of one server."""

    def __init__(self, pid: int, title: str):
        self.pid = pid
        columns = f"{'hits':>5} {'looked':>7} {'turns':>5} {'p50 ms':>8} {'p99 ms':>8} {'most':>8} {'p99/20':>6} {'CPU ms':>7}"
        print(f"{title:40} {columns}")
        self.used = cpu_ms(pid)

    def tell(self, what: str, hits: int, looked: int, turns: int, taken: list[float], verdict: str = "") -> None:
        now = cpu_ms(self.pid)
        cpu, self.used = (now - self.used) / len(taken), now
        p99 = quantile(taken, 0.99)
        times = f"{quantile(taken, 0.5):8.2f} {p99:8.2f} {max(taken):8.2f} {p99 / LIMIT_MS:6.2f} {cpu:7.2f}"
        print(f"{what:40} {hits:5} {looked:7} {turns:5} {times}  {verdict}", flush=True)


def ask_rest(table: Table, client: Client, count: int, repeat: int, turns_max: int) -> None:
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
        table.tell(what, first, looked, turns, taken, "" if is_held else "NOT in one request")


def ask_aws(table: Table, server, repeat: int) -> None:
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
        table.tell(what + " (with boto3)", hits, hits, 1, taken)


def start_some(port: int, token: str, gap: float, results) -> None:
    """One client that starts executions `gap` seconds apart until it is told to stop; sends when each was answered and how long it took."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = json.dumps({"playbook": "ir-0", "input": {"severity": "LOW", "id": f"x-{os.getpid()}"}})
    taken, stop = [], threading.Event()
    threading.Thread(target=lambda: (results.recv(), stop.set()), daemon=True).start()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    due = time.perf_counter()
    while not stop.is_set():
        began = time.perf_counter()
        connection.request("POST", "/v1/executions", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status == 201, (answer.status, text[:200])
        taken.append((time.monotonic(), (time.perf_counter() - began) * 1000))
        due = max(due + gap, time.perf_counter() - 1)
        time.sleep(max(0.0, due - time.perf_counter()))
    results.send(taken)


class Starters:
    """Processes that start executions; afterwards `taken` has (when, milliseconds) of each."""

    def __init__(self, port: int, token: str, rate: float):
        self.taken: list[tuple[float, float]] = []
        self.pipes, self.processes = [], []
        for _ in range(STARTERS):
            ours, theirs = multiprocessing.Pipe()
            process = multiprocessing.Process(target=start_some, args=(port, token, STARTERS / rate, theirs), daemon=True)
            process.start()
            self.pipes.append(ours)
            self.processes.append(process)

    def __enter__(self) -> Starters:
        return self

    def __exit__(self, *_) -> None:
        for pipe in self.pipes:
            pipe.send("stop")
        for pipe, process in zip(self.pipes, self.processes, strict=True):
            self.taken += pipe.recv()
            process.join()


def total_of(client: Client) -> int:
    return sum(client.counts()[status] for status in ("SUCCEEDED", "FAILED"))


def ask_retention(p, folder: pathlib.Path, person: str, count: int, rate: float) -> None:
    """Lists and starts without retention, until the server's first sweep, and then while it deletes the oldest tenth."""
    server = p.Server(folder).start()
    try:
        token = server.add_person(person + "-asks", "admins")
        page, _ = Client(server.port, token).page(f"name:Night-{count // 10 // 2 * 2:07}")
        began = datetime.datetime.fromisoformat(page["executions"][0]["started_at"].replace("Z", "+00:00"))
    finally:
        server.stop()
    project = folder / "project"
    project.mkdir(exist_ok=True)
    keep = int((datetime.datetime.now(datetime.UTC) - began).total_seconds())
    (project / "sortie.yaml").write_text(f"retention:\n  executions: {keep}s\n")
    lists = ["", "status:failed", "status:failed,aborted", "playbook:ir-2", "resource:us-east-1", f"name:night-{count // 2:07}"]
    server = p.Server(folder, project).start()
    try:
        client = Client(server.port, token)
        phases = {"without": [], "with": []}
        with Starters(server.port, token, rate) as starters:
            time.sleep(5)
            first, sweep = time.monotonic(), time.monotonic() + SWEEP_S - 8
            while time.monotonic() < sweep:
                phases["without"] += [client.page(q)[1] for q in lists]
                time.sleep(0.05)
            before, begun, ended, gone = total_of(client), 0.0, 0.0, 0
            seen, quiet_since = before, time.monotonic()
            while begun == 0 or time.monotonic() - quiet_since < 3:
                taken = [client.page(q)[1] for q in lists]
                now, at = total_of(client), time.monotonic()
                if now < seen:
                    begun, ended, quiet_since = begun or at, at, at
                    gone += seen - now
                seen = now
                if begun:
                    phases["with"] += taken
                if begun == 0 and at - sweep > 60:
                    raise AssertionError("nothing is deleted")
                time.sleep(0.05)
        print(f"retention: at least {gone} deleted in {ended - begun:.1f} s ({gone / (ended - begun):.0f}/s)")
        for name, (low, high) in {"without": (first, sweep), "with": (begun, ended)}.items():
            starts = [ms for at, ms in starters.taken if low <= at < high]
            for what, taken in (("starts", starts), ("lists", phases[name])):
                times = " ".join(f"{label} {quantile(taken, part):.2f}" for label, part in (("p50", 0.5), ("p99", 0.99), ("most", 1)))
                print(f"  {what} {name:8} {len(taken):6} asked, ms: {times}", flush=True)
    finally:
        server.kill()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--executions", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=50)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "build/sortie")
    parser.add_argument("--fill", type=pathlib.Path, default=ROOT / "build/bench/bench/listing_fill")
    parser.add_argument("--folder", type=pathlib.Path, default=None, help="kept, and used again where it is there")
    parser.add_argument("--only", default="quiet,starts,retention")
    parser.add_argument("--rate", type=float, default=500, help="starts a second")
    given = parser.parse_args()
    os.environ["SORTIE"] = str(given.binary.resolve())
    import product as p

    person, wanted = f"alice{os.getpid()}", given.only.split(",")
    with p.temporary_folder() as temporary:
        folder = pathlib.Path(given.folder or temporary)
        if not (folder / "data").exists():
            subprocess.run([given.fill, "--folder", folder / "data", "--executions", str(given.executions)], check=True)
        server = p.Server(folder).start()
        try:
            token = server.add_person(person, "admins")
            client = Client(server.port, token)
            if "quiet" in wanted:
                table = Table(server.process.pid, "a page of 100")
                table.tell("counts by status", 0, 0, 1, [client.get("/v1/executions/counts") for _ in range(given.repeat)])
                ask_rest(table, client, given.executions, given.repeat, given.turns)
                ask_aws(table, server, given.repeat)
            if "starts" in wanted:
                with Starters(server.port, token, given.rate) as starters:
                    time.sleep(2)
                    ask_rest(Table(server.process.pid, "while executions start"), client, given.executions, given.repeat, given.turns)
                taken = [ms for _, ms in starters.taken]
                print(f"{len(taken)} starts meanwhile, ms: p50 {quantile(taken, 0.5):.2f} p99 {quantile(taken, 0.99):.2f}")
        finally:
            server.kill()
        if "retention" in wanted:
            ask_retention(p, folder, person, given.executions, given.rate)


main()
