"""Telling people: a Slack message through an incoming webhook, an incident in ServiceNow through its Table API."""

from __future__ import annotations

import base64
import json
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from .core import ActionError, InvalidTarget, say, setting

TRIES = 4
WAIT_S_MAX = 5.0
SECTION_MAX = 2_900


class SlackError(ActionError):
    """Slack did not take the message."""


class ServiceNowError(ActionError):
    """ServiceNow did not take the incident."""


def http(method: str, url: str, body: Any, headers: dict[str, str], wrong: type[ActionError]) -> tuple[int, str]:
    """One request; 429 and 5xx and lost connections are tried again, waiting as long as Retry-After says but never long."""
    if not re.match(r"https?://", url):
        raise InvalidTarget("only http and https addresses are called")
    data = json.dumps(body).encode() if body is not None else None
    last = ""
    for attempt in range(TRIES):
        request = urllib.request.Request(
            url, data, {"Content-Type": "application/json", "Accept": "application/json"} | headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, response.read(1_000_000).decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            text = error.read(10_000).decode("utf-8", "replace")
            if error.code != 429 and error.code < 500:
                return error.code, text
            last, wait = f"HTTP {error.code} {text[:200]}", error.headers.get("Retry-After", "")
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            last, wait = str(getattr(error, "reason", error)), ""
        if attempt + 1 < TRIES:
            pause = float(wait) if re.fullmatch(r"\d+(\.\d+)?", wait) else 0.25 * 2**attempt
            say(f"{last}; trying again in {min(pause, WAIT_S_MAX)} s")
            time.sleep(min(pause, WAIT_S_MAX))
    raise wrong(f"no answer after {TRIES} tries: {last}")


def escape(text: str) -> str:
    """Slack reads & < > as markup; event data must not become links or mentions."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def send_slack_alert(event: dict) -> dict:
    message = event.get("message")
    if not isinstance(message, str) or not message:
        raise InvalidTarget('"message" must be text')
    severity, title = str(event.get("severity", "")), str(event.get("title", ""))
    head = " ".join(part for part in (f"[{severity}]" if severity else "", title) if part)
    text = escape(f"{head}\n{message}" if head else message)
    blocks: list[dict] = []
    if head:
        blocks.append({"type": "header", "text": {"type": "plain_text", "text": head[:150]}})
    shown = escape(message)
    shown = shown if len(shown) <= SECTION_MAX else shown[:SECTION_MAX] + " ..."
    blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": shown}})
    status, answer = http("POST", setting("SLACK_WEBHOOK_URL"), {"text": text, "blocks": blocks}, {}, SlackError)
    if status != 200 or answer.strip() != "ok":
        raise SlackError(f"HTTP {status} {answer[:200]}")
    return {"action": "SendSlackAlert", "status": "changed", "text": text}


# Urgency and impact of the Table API, 1 is highest; ServiceNow derives the priority from both.
URGENCY = {"CRITICAL": ("1", "1"), "HIGH": ("1", "2"), "MEDIUM": ("2", "2"), "LOW": ("3", "3")}


def create_servicenow_incident(event: dict) -> dict:
    """Idempotent by correlation_id: looked for first, and again after a create whose answer was lost."""
    correlation = event.get("correlation_id")
    if not isinstance(correlation, str) or not re.fullmatch(r"[\w.:/-]{1,100}", correlation):
        raise InvalidTarget('"correlation_id" must be an id of this incident')
    short = str(event.get("shortDescription") or "")
    if not short:
        raise InvalidTarget('"shortDescription" must be text')
    table = setting("SERVICENOW_URL").rstrip("/") + "/api/now/table/incident"
    headers = _authorization()
    found = _find(table, correlation, headers)
    if found:
        return _ticket(found, "already")
    urgency, impact = URGENCY.get(str(event.get("severity", "")).upper(), ("2", "2"))
    body = {
        "short_description": short[:160],
        "description": str(event.get("description") or short)[:4000],
        "urgency": urgency,
        "impact": impact,
        "category": "security",
        "correlation_id": correlation,
        "correlation_display": "Sortie",
    }
    try:
        status, answer = http("POST", table, body, headers, ServiceNowError)
    except ServiceNowError:
        found = _find(table, correlation, headers)
        if found:
            return _ticket(found, "changed")
        raise
    if status != 201:
        raise ServiceNowError(f"HTTP {status} {answer[:200]}")
    return _ticket(json.loads(answer)["result"], "changed")


def _find(table: str, correlation: str, headers: dict[str, str]) -> dict | None:
    query = urllib.parse.urlencode({"sysparm_query": f"correlation_id={correlation}", "sysparm_limit": 1})
    status, answer = http("GET", f"{table}?{query}", None, headers, ServiceNowError)
    if status != 200:
        raise ServiceNowError(f"HTTP {status} {answer[:200]}")
    rows = json.loads(answer)["result"]
    return rows[0] if rows else None


def _ticket(row: dict, status: str) -> dict:
    return {
        "action": "CreateServiceNowIncident",
        "status": status,
        "system": "servicenow",
        "number": row["number"],
        "sys_id": row["sys_id"],
    }


def _authorization() -> dict[str, str]:
    if os.environ.get("SERVICENOW_TOKEN"):
        return {"Authorization": f"Bearer {os.environ['SERVICENOW_TOKEN']}"}
    pair = f"{setting('SERVICENOW_USER')}:{setting('SERVICENOW_PASSWORD')}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
