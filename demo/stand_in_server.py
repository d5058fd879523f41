"""What the stand-ins of other services share: a small HTTP server that prints its address, shows what it received, and fails when told to.

GET /received     what came in
POST /faults      {"status": 429, "count": 1}: the next request is answered so. More: "retry_after" (seconds), "match" (a pattern for
                  METHOD /path; others pass), "after": true (it is done first, and the answer is lost then), and instead of a status
                  "kind": "drop" (the connection ends), "slow" (nothing is answered until the caller gives up), "garbage" (no JSON)
"""

from __future__ import annotations

import argparse
import http.server
import json
import os
import re
import signal
import threading
from collections.abc import Callable
from typing import Any

BODY_BYTES_MAX = 1_000_000
CONTROL = ("/calls", "/lag")  # Never fail; nor do those of _control.

Answer = tuple[int, Any, dict[str, str]]


class State:
    """What was received, and the faults that are still to happen."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.received: list[dict] = []
        self.faults: list[dict] = []

    def next_fault(self, request: str) -> dict:
        fault = next((fault for fault in self.faults if re.search(fault.get("match", ""), request)), {})
        if fault:
            self.faults.remove(fault)
        return fault


def plain_refusal(status: int) -> Answer:
    return status, {"error": "rate limited" if status == 429 else "server error"}, {}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: State
    answer: Callable[[State, str, str, dict, bytes], Answer]
    refusal: Callable[[int], Answer]

    def _serve(self) -> None:
        length = min(int(self.headers.get("Content-Length") or 0), BODY_BYTES_MAX)
        body, cls = self.rfile.read(length), type(self)
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.state.lock:
            done = _control(self.state, self.command, self.path, body)
            fault = {} if done or self.path in CONTROL else self.state.next_fault(f"{self.command} {self.path}")
            if not done and (not fault or fault.get("after")):
                done = cls.answer(self.state, self.command, self.path, headers, body)
        if fault:
            self._fail(fault)
        else:
            self._send(*done)

    def _fail(self, fault: dict) -> None:
        kind = fault.get("kind")
        if kind == "garbage":
            return self._send(200, "<html>not what you expect</html>", {})
        if kind in ("drop", "slow"):
            self.close_connection = True
            if kind == "slow":
                self.connection.recv(1)  # Ends when the caller hangs up.
            return None
        status, value, more = type(self).refusal(int(fault["status"]))
        more = more | ({"Retry-After": str(fault["retry_after"])} if "retry_after" in fault else {})
        return self._send(status, value, more)

    def _send(self, status: int, value: Any, more: dict[str, str]) -> None:
        payload = value.encode() if isinstance(value, str) else b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if isinstance(value, str) else "application/json;charset=UTF-8")
        self.send_header("Content-Length", str(len(payload)))
        for name, text in more.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(payload)

    do_GET = do_POST = do_PATCH = do_PUT = _serve

    def log_message(self, *_: Any) -> None:
        pass


def serve(
    description: str, answer: Callable[[State, str, str, dict, bytes], Answer], refusal: Callable[[int], Answer] = plain_refusal
) -> int:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    members = {"state": State(), "answer": staticmethod(answer), "refusal": staticmethod(refusal)}
    server = http.server.ThreadingHTTPServer((arguments.host, arguments.port), type("Stand", (Handler,), members))
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    print(f"listening on http://{arguments.host}:{server.server_address[1]}", flush=True)
    server.serve_forever()
    return 0


def _control(state: State, method: str, path: str, body: bytes) -> Answer | None:
    if (method, path) == ("GET", "/received"):
        return 200, {"received": state.received}, {}
    if (method, path) == ("POST", "/faults"):
        wanted = json.loads(body)
        state.faults += [dict(wanted) for _ in range(int(wanted.pop("count", 1)))]
        return 200, {"faults": state.faults}, {}
    return None
