#!/usr/bin/env python3
"""The console with much in it: times of the listing and its searches at N executions, then frames in Chromium.

  bench/console_bench.py [--executions 100000]

Searches are asked as the page asks them, from cursor to cursor until 30 rows are found or there is no more; `turns` is how many
requests that took and `longest` the longest of them, which is how long everybody else waited. Frames are counted by
bench/console_frames.mjs: scrolling for two seconds, the longest gap between two frames, and the browser's own long tasks (50 ms and more).
"""

from __future__ import annotations

import argparse
import http.client
import json
import pathlib
import shutil
import subprocess
import sys
import threading
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
import product as p  # noqa: E402

TINY = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}
FAILS = {
    "StartAt": "Look",
    "States": {
        "Look": {"Type": "Pass", "Next": "Sorry"},
        "Sorry": {"Type": "Fail", "ErrorPath": "$.error", "CausePath": "$.cause"},
    },
}
LOOK = {"StartAt": "Look", "States": {"Look": {"Type": "Pass", "End": True}}}
WIDE = {
    "StartAt": "Wide",
    "States": {
        "Wide": {
            "Type": "Map",
            "ItemsPath": "$.items",
            "MaxConcurrency": 100,
            "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, **LOOK},
            "ResultPath": None,
            "End": True,
        }
    },
}
EACH = {
    "StartAt": "Each",
    "States": {
        "Each": {"Type": "Map", "ItemsPath": "$.items", "MaxConcurrency": 40, "ItemProcessor": LOOK, "ResultPath": None, "End": True}
    },
}
SEARCHES = (
    "",
    "status:failed",
    "playbook:ir-fails error:Needle",
    "error:Needle",
    "error:Nobody",
    "state:Sorry",
    "resource:i-000000000001f*",
    "name:nothing-is-called-so*",
    "sev:CRITICAL status:succeeded",
    "started:>-1m status:failed",
    "started:<2020-01-01T00:00:00Z",
)


class Client:
    def __init__(self, port: int, token: str):
        self.connection = http.client.HTTPConnection("127.0.0.1", port)
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: dict | None = None) -> dict:
        self.connection.request(method, path, json.dumps(body) if body is not None else None, self.headers)
        answer = self.connection.getresponse()
        text = answer.read()
        assert answer.status < 300, (answer.status, path, text[:300])
        return json.loads(text)


def start_many(port: int, token: str, count: int) -> float:
    """One in forty fails, one in a thousand with an error of its own."""
    next_no, lock = iter(range(count)), threading.Lock()

    def work() -> None:
        client = Client(port, token)
        while True:
            with lock:
                no = next(next_no, None)
            if no is None:
                return
            given = {"severity": ("LOW", "HIGH", "CRITICAL")[no % 3], "detail": {"instance": f"i-{no:013x}"}}
            fails = no % 40 == 0
            if fails:
                given |= {"error": "Needle" if no % 1000 == 0 else "Hay", "cause": f"number {no}"}
            client.call("POST", "/v1/executions", {"playbook": "ir-fails" if fails else f"ir-{no % 4}", "input": given})

    began = time.monotonic()
    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - began


def search(client: Client, q: str, wanted: int) -> tuple[int, int, int, float, float]:
    found = turns = looked = 0
    cursor, longest, began = "", 0.0, time.monotonic()
    while True:
        one = time.monotonic()
        page = client.call("GET", f"/v1/executions?limit=200&q={urllib.parse.quote(q)}{cursor}")
        longest = max(longest, time.monotonic() - one)
        found, turns, looked = found + len(page["executions"]), turns + 1, looked + page["looked_at"]
        if page["next"] is None or found >= wanted:
            return found, turns, looked, longest * 1000, (time.monotonic() - began) * 1000
        cursor = "&cursor=" + urllib.parse.quote(page["next"])


def times(call, repeat: int = 20) -> tuple[float, float]:
    all_ms = []
    for _ in range(repeat):
        began = time.monotonic()
        call()
        all_ms.append((time.monotonic() - began) * 1000)
    return sorted(all_ms)[repeat // 2], max(all_ms)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--executions", type=int, default=100_000)
    count = parser.parse_args().executions
    project = {f"playbooks/ir-{n}.asl.json": json.dumps(TINY) for n in range(4)}
    project |= {f"playbooks/{name}.asl.json": json.dumps(text) for name, text in (("ir-fails", FAILS), ("each-item", EACH), ("wide", WIDE))}
    with p.temporary_folder() as folder:
        p.write_files(folder / "project", project)
        server = p.Server(folder, folder / "project").start()
        try:
            token = server.add_person("alice", "admins")
            client = Client(server.port, token)
            seconds = start_many(server.port, token, count)
            print(f"{count} executions in {seconds:.0f} s ({count / seconds:.0f}/s by 16 clients)")
            print(f"counts: {client.call('GET', '/v1/executions/counts')['counts']}")
            for path in ("/v1/executions?limit=200", "/v1/executions/counts", "/v1/overview"):
                middle, most = times(lambda path=path: client.call("GET", path))
                print(f"{path}: median {middle:.1f} ms, longest {most:.1f} ms")
            for q in SEARCHES:
                found, turns, looked, longest, total = search(client, q, 30)
                told = f"{found} found, looked at {looked}, {turns} turns, longest {longest:.1f} ms, in all {total:.0f} ms"
                print(f"q={q or '(nothing)'}: {told}")
            frames(server, client, token)
        finally:
            server.kill()


def frames(server: p.Server, client: Client, token: str) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    node = ROOT / "build/web/node"
    if not chromium or not node.exists():
        print("SKIP: frames: there is no Chromium or no Node (scripts/setup.sh --browser, scripts/web.sh --tools)")
        return
    large = client.call("POST", "/v1/executions", {"playbook": "wide", "input": {"items": list(range(10_000))}})
    events = client.call("POST", "/v1/executions", {"playbook": "each-item", "input": {"items": list(range(6_200))}})
    for made in (large, events):
        arn = urllib.parse.quote(made["arn"], safe="")
        p.until(lambda arn=arn: client.call("GET", f"/v1/executions/{arn}")["status"] != "RUNNING")
    setup = {
        "url": server.url,
        "token": token,
        "chromium": chromium,
        "modules": str(ROOT / "web/node_modules"),
        "large": large["arn"],
        "events": events["arn"],
    }
    subprocess.run([node.read_text().strip(), str(ROOT / "bench/console_frames.mjs")], input=json.dumps(setup), text=True, check=True)


main()
