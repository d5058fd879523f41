"""PagerDuty through its Events API v2: an alert is opened, acknowledged or resolved under its dedup key, so a repetition is the same."""

from __future__ import annotations

from typing import Any

from .core import InvalidTarget, now
from .remote import Family, Rejected, Service, key_of, line, needed, setting, text, undo_record

Page = Family("Page")

SEVERITY = {"CRITICAL": "critical", "HIGH": "error", "MEDIUM": "warning", "LOW": "info"}
SUMMARY_MAX, DETAIL_MAX, DETAILS_MAX = 1_024, 4_000, 50
ACTIONS = ("trigger", "acknowledge", "resolve")


def send_pagerduty_event(event: dict, context: Any = None) -> dict:
    """`event_action` is trigger (the default), acknowledge or resolve. Undoing a trigger resolves it."""
    record = undo_record(event, "SendPagerDutyEvent")
    if record:
        event = {"event_action": "resolve", "correlation_id": record["undo"].get("dedup_key")}
    action = event.get("event_action", "trigger")
    if action not in ACTIONS:
        raise InvalidTarget(f'"event_action" must be one of {", ".join(ACTIONS)}')
    routing_key, key = setting("PAGERDUTY_ROUTING_KEY"), key_of(event, context, required=True)
    body: dict = {"routing_key": routing_key, "event_action": action, "dedup_key": key}
    if action == "trigger":
        body |= {"client": "Sortie", "payload": _payload(event)}
    service = Service(Page, setting("PAGERDUTY_URL", "https://events.pagerduty.com"), context, secrets=[routing_key])
    try:
        answer = service.call("POST", "/v2/enqueue", body)
    except Rejected as error:
        if "routing" in str(error).lower():
            raise Page.Unauthorized(str(error)) from None
        raise
    given = answer.json()
    if not isinstance(given, dict) or given.get("status") != "success":
        raise Page.Unavailable(f"HTTP {answer.status} {service.shown(answer.text)}")
    made = {"action": "SendPagerDutyEvent", "status": "changed", "system": "pagerduty", "event_action": action, "dedup_key": key}
    return made | {"undo": {"dedup_key": key}} if action == "trigger" else made


def _payload(event: dict) -> dict:
    details = event.get("details") or {}
    if not isinstance(details, dict):
        raise InvalidTarget('"details" must be an object')
    return {
        "summary": line(needed(event, "summary"), SUMMARY_MAX),
        "source": line(event.get("source") or "sortie", 255),
        "severity": SEVERITY.get(str(event.get("severity", "")).upper(), "error"),
        "timestamp": now(),
        "custom_details": {line(name, 100): text(value, DETAIL_MAX) for name, value in list(details.items())[:DETAILS_MAX]},
    }
