#!/usr/bin/env python3
"""A stand-in for Slack: incoming webhooks, the Web API methods that post and open things, and a user's hand on a button.

    python demo/slack.py [--port 0]

POST /services/T../B../... takes a webhook's JSON message and answers `ok`, or the error text of Slack; GET /received shows them.
POST /api/METHOD is the Web API (Bearer token): chat.postMessage, chat.update, chat.postEphemeral, views.open, conversations.history; GET
/calls shows them. POST /faults {"status": 429} makes the next request fail (stand_in_server.py). `press` and `submit` are a user's hand: a
button or a dialog, told to the app as Slack tells it. A token of `xoxb-blind...` lacks the scope to read a channel's history.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import pathlib
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from stand_in_server import Answer, State, serve

METHODS = {
    "chat.postMessage": ("channel", "blocks"),
    "chat.update": ("channel", "ts", "blocks"),
    "chat.postEphemeral": ("channel", "user", "text"),
    "views.open": ("trigger_id", "view"),
    "conversations.history": ("channel",),
}
APP = os.environ.get("SLACK_APP", "A0DEMO")
CALLS: list[dict] = []


def answer(state: State, method: str, path: str, headers: dict, body: bytes) -> Answer:
    if (method, path) == ("GET", "/calls"):
        return 200, {"calls": CALLS}, {}
    if method != "POST":
        return 405, "method_not_allowed", {}
    is_form = headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    try:
        message = {name: values[0] for name, values in urllib.parse.parse_qs(body.decode()).items()} if is_form else json.loads(body)
    except ValueError:
        return 400, "invalid_payload", {}
    if not isinstance(message, dict):
        return 400, "invalid_payload", {}
    if path.startswith("/api/"):
        # What reads takes a form only.
        if is_form != (path == "/api/conversations.history"):
            return 200, {"ok": False, "error": "invalid_arguments"}, {}
        return web_api(path.removeprefix("/api/"), headers, message)
    if not re.fullmatch(r"/services/T\w+/B\w+/\w+", path):
        return 404, "no_team", {}
    if not message.get("text") and not message.get("blocks"):
        return 400, "no_text", {}
    if len(message.get("blocks") or []) > 50:
        return 400, "invalid_blocks", {}
    state.received.append(message)
    return 200, "ok", {}


def web_api(method: str, headers: dict, body: dict) -> Answer:
    if method not in METHODS:
        return 200, {"ok": False, "error": "unknown_method"}, {}
    if not re.fullmatch(r"Bearer xoxb-\S+", headers.get("authorization", "")):
        return 200, {"ok": False, "error": "not_authed"}, {}
    if missing := [name for name in METHODS[method] if not body.get(name)]:
        return 200, {"ok": False, "error": "invalid_arguments", "needed": missing}, {}
    if method == "conversations.history":
        return history(headers, body)
    blocks = body.get("blocks") or body.get("view", {}).get("blocks") or []
    if len(blocks) > 50 or any(len(text_of(block)) > 3000 for block in blocks):
        return 200, {"ok": False, "error": "invalid_blocks"}, {}
    if method == "chat.update" and not any(c["method"] == "chat.postMessage" and c["ts"] == body["ts"] for c in CALLS):
        return 200, {"ok": False, "error": "message_not_found"}, {}
    ts = body.get("ts") or f"{time.time():.6f}"
    CALLS.append({"method": method, "body": body, "ts": ts})
    return 200, {"ok": True, "channel": body.get("channel"), "ts": ts}, {}


def history(headers: dict, body: dict) -> Answer:
    """Newest first, by pages; an updated message is as it was updated last."""
    if headers["authorization"].startswith("Bearer xoxb-blind"):
        return 200, {"ok": False, "error": "missing_scope", "needed": "channels:history"}, {}
    posted: dict[str, dict] = {}
    for call in CALLS:
        if call["method"] in ("chat.postMessage", "chat.update") and call["body"]["channel"] == body["channel"]:
            posted[call["ts"]] = {"type": "message", "app_id": APP, "ts": call["ts"], **call["body"]}
    messages = sorted((m for m in posted.values() if float(m["ts"]) >= float(body.get("oldest", 0))), key=lambda m: m["ts"], reverse=True)
    if body.get("include_all_metadata") != "true":
        messages = [{name: value for name, value in m.items() if name != "metadata"} for m in messages]
    start, limit = int(body.get("cursor") or 0), min(int(body.get("limit", 100)), 1000)
    more = {"response_metadata": {"next_cursor": str(start + limit)}} if start + limit < len(messages) else {}
    CALLS.append({"method": "conversations.history", "body": body, "ts": ""})
    return 200, {"ok": True, "messages": messages[start : start + limit], "has_more": bool(more)} | more, {}


def refusal(status: int) -> Answer:
    return status, "rate_limited" if status == 429 else "rollup_error", {"Retry-After": "1"} if status == 429 else {}


def text_of(block: dict) -> str:
    return (block.get("text") or {}).get("text", "")


def interaction(order: dict, payload: dict) -> tuple[int, str]:
    """Posts to the app as Slack does: a form with the payload, signed over the raw body."""
    payload |= {"user": {"id": order["user"]}, "team": {"id": order["team"]}, "api_app_id": order["app"]}
    body = urllib.parse.urlencode({"payload": json.dumps(payload)}).encode()
    stamp = str(int(order.get("time") or time.time()))
    signature = "v0=" + hmac.new(order["secret"].encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": order.get("signature") or signature,
    }
    request = urllib.request.Request(order["url"], data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def press(order: dict) -> tuple[int, str]:
    action = {"action_id": order.get("action", "approve"), "value": order["value"], "type": "button"}
    nonce = f"{time.time_ns()}"
    return interaction(
        order, {"type": "block_actions", "trigger_id": nonce, "channel": {"id": order.get("channel", "C0DEMO")}, "actions": [action]}
    )


def submit(order: dict) -> tuple[int, str]:
    values = {"reason": {"reason": {"type": "plain_text_input", "value": order["reason"]}}}
    view = {"callback_id": "decide", "private_metadata": order["metadata"], "state": {"values": values}, "id": f"V{time.time_ns()}"}
    return interaction(order, {"type": "view_submission", "trigger_id": f"{time.time_ns()}", "view": view})


if __name__ == "__main__":
    sys.exit(serve("stand-in Slack", answer, refusal))
