#!/usr/bin/env python3
"""A stand-in for PagerDuty's Events API v2, and any receiver of webhooks.

    python demo/pagerduty.py [--port 0]     GET /received shows what came in; POST /faults makes requests fail (stand_in_server.py)

POST /v2/enqueue takes events under the integration key `pagerduty-demo-routing-key-000000`; POST /hook takes anything, and its headers are
shown, too.
"""

from __future__ import annotations

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from stand_in_server import Answer, State, serve

ROUTING_KEY = "pagerduty-demo-routing-key-000000"
SEVERITIES = ("critical", "error", "warning", "info")


def invalid(*errors: str) -> Answer:
    return 400, {"status": "invalid event", "message": "Event object is invalid", "errors": list(errors)}, {}


def answer(state: State, method: str, path: str, headers: dict, body: bytes) -> Answer:
    if (method, path) == ("POST", "/hook"):
        state.received.append({"headers": headers, "body": body.decode()})
        return 200, {"taken": True}, {}
    if (method, path) == ("POST", "/moved"):
        return 307, "", {"Location": "/hook"}
    if (method, path) != ("POST", "/v2/enqueue"):
        return 404, "", {}
    try:
        event = json.loads(body)
    except ValueError:
        return invalid("Event object is not valid JSON")
    if event.get("routing_key") != ROUTING_KEY:
        return invalid("Invalid routing key")
    if event.get("event_action") not in ("trigger", "acknowledge", "resolve"):
        return invalid("'event_action' is invalid")
    payload = event.get("payload") or {}
    if event["event_action"] == "trigger":
        if not 0 < len(payload.get("summary", "")) <= 1024 or not payload.get("source"):
            return invalid("'payload.summary' is missing or blank")
        if payload.get("severity") not in SEVERITIES:
            return invalid("'payload.severity' is invalid")
    if not 0 < len(event.get("dedup_key", "")) <= 255:
        return invalid("'dedup_key' is invalid")
    state.received.append(event)
    return 202, {"status": "success", "message": "Event processed", "dedup_key": event["dedup_key"]}, {}


if __name__ == "__main__":
    sys.exit(serve("stand-in PagerDuty", answer))
