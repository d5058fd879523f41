"""What the Slack and ServiceNow stand-ins share: a small HTTP server that prints its address and shows what it received."""

from __future__ import annotations

import argparse
import http.server
import json
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

BODY_BYTES_MAX = 1_000_000

Answer = tuple[int, Any, dict[str, str]]


class State:
    """What was received, and how many of the next requests are answered with a fault (`POST /faults {"status": 429, "count": 1}`)."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.received: list[dict] = []
        self.faults: list[int] = []


def serve(description: str, answer: Callable[[State, str, str, dict, bytes], Answer]) -> int:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    state = State()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = min(int(self.headers.get("Content-Length") or 0), BODY_BYTES_MAX)
            body = self.rfile.read(length)
            headers = {name.lower(): value for name, value in self.headers.items()}
            with state.lock:
                status, value, more = _control(state, self.command, self.path, body) or answer(
                    state, self.command, self.path, headers, body
                )
            payload = value.encode() if isinstance(value, str) else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if isinstance(value, str) else "application/json;charset=UTF-8")
            self.send_header("Content-Length", str(len(payload)))
            for name, text in more.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = do_PATCH = _serve

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer((arguments.host, arguments.port), Handler)
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
        state.faults += [int(wanted["status"])] * int(wanted.get("count", 1))
        return 200, {"faults": state.faults}, {}
    return None
