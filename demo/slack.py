#!/usr/bin/env python3
"""A stand-in for Slack's incoming webhooks: POST /services/T../B../... takes a JSON message and answers `ok`, or the error text of Slack.

python demo/slack.py [--port 0]        GET /received shows the messages; POST /faults {"status": 429} makes the next one fail
"""

from __future__ import annotations

import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from stand_in_server import Answer, State, serve


def answer(state: State, method: str, path: str, headers: dict, body: bytes) -> Answer:
    if not re.fullmatch(r"/services/T\w+/B\w+/\w+", path):
        return 404, "no_team", {}
    if method != "POST":
        return 405, "method_not_allowed", {}
    if state.faults:
        status = state.faults.pop(0)
        return status, "rate_limited" if status == 429 else "rollup_error", {"Retry-After": "1"} if status == 429 else {}
    try:
        message = json.loads(body)
    except ValueError:
        return 400, "invalid_payload", {}
    if not isinstance(message, dict):
        return 400, "invalid_payload", {}
    if not message.get("text") and not message.get("blocks"):
        return 400, "no_text", {}
    if len(message.get("blocks") or []) > 50:
        return 400, "invalid_blocks", {}
    state.received.append(message)
    return 200, "ok", {}


if __name__ == "__main__":
    sys.exit(serve("stand-in Slack webhook", answer))
