"""Incidents in ServiceNow through its Table API: made once for a correlation id, changed, commented, resolved.

A correlation id is ServiceNow's own field for another system's key, so what was made is found by it. Notes are journal fields and have no
key: each ends with a mark of its attempt, by which a repeated one finds itself.
"""

from __future__ import annotations

import re
from typing import Any

from .core import InvalidTarget, digest
from .remote import Family, Service, authorization, fields_of, key_of, line, needed, setting, setting_or_none, text, undo_record

Ticket = Family("Ticket")

# Urgency and impact of the Table API, 1 is highest; ServiceNow derives the priority from both.
URGENCY = {"CRITICAL": ("1", "1"), "HIGH": ("1", "2"), "MEDIUM": ("2", "2"), "LOW": ("3", "3")}
# The states of a new instance; another number is given as it is.
STATES = {"new": "1", "in_progress": "2", "on_hold": "3", "resolved": "6", "closed": "7", "canceled": "8"}
SHORT_MAX, DESCRIPTION_MAX, NOTE_MAX = 160, 4_000, 4_000
TABLE = "/api/now/table/incident"
SHOWN = "number,sys_id,state,correlation_id"


def create_servicenow_incident(event: dict, context: Any = None) -> dict:
    """Idempotent by correlation_id: looked for first, and again after a create whose answer was lost. Undone by closing it."""
    record = undo_record(event, "CreateServiceNowIncident")
    if record:
        return _close(record, event, context)
    key, short = key_of(event, context, required=True), needed(event, "shortDescription")
    service = _service(context)
    urgency, impact = URGENCY.get(str(event.get("severity", "")).upper(), ("2", "2"))
    body = {
        "short_description": line(short, SHORT_MAX),
        "description": text(event.get("description") or short, DESCRIPTION_MAX),
        "urgency": urgency,
        "impact": impact,
        "category": "security",
        **fields_of(event),
        "correlation_id": key,
        "correlation_display": "Sortie",
    }

    def make() -> dict:
        answer = service.call("POST", TABLE, body, query={"sysparm_fields": SHOWN}, repeatable=False)
        return _row(service, answer)

    row, status = service.once(lambda: _find(service, "correlation_id", key), make)
    return _answer("CreateServiceNowIncident", status, row) | {"undo": {"sys_id": row["sys_id"]}}


def update_servicenow_incident(event: dict, context: Any = None) -> dict:
    """Changes `fields`, the `state`, and adds a `comment` (the caller sees it) or a `work_note`, in one request."""
    sys_id, service = None, _service(context)
    number = event.get("number")
    if isinstance(event.get("sys_id"), str) and re.fullmatch(r"[0-9a-f]{32}", event["sys_id"]):
        sys_id = event["sys_id"]
    elif isinstance(number, str) and re.fullmatch(r"[A-Za-z]{2,10}\d{1,15}", number):
        row = _find(service, "number", number)
        if row is None:
            raise Ticket.NotFound(f"there is no incident {number}")
        sys_id = row["sys_id"]
    else:
        raise InvalidTarget('"number" or "sys_id" must name the incident')
    body = dict(fields_of(event))
    if event.get("state") is not None:
        body |= _state(str(event["state"]), event)
    return _change(service, sys_id, body, event, key_of(event, context, required=False))


def _change(service: Service, sys_id: str, body: dict, event: dict, key: str) -> dict:
    notes = {name: event[given] for given, name in (("comment", "comments"), ("work_note", "work_notes")) if event.get(given)}
    if not body and not notes:
        raise InvalidTarget("nothing is to be changed: give fields, state, comment or work_note")
    if not notes:
        return _answer("UpdateServiceNowIncident", "changed", _patch(service, sys_id, body, repeatable=True))
    mark = f"(sortie {digest([key, sorted(notes)])[:16]})"
    body |= {name: f"{text(note, NOTE_MAX)}\n{mark}" for name, note in notes.items()}

    def find() -> dict | None:
        # With display values a journal field is all its entries as one text.
        query = {"sysparm_display_value": "true", "sysparm_fields": ",".join(notes)}
        row = _result(service.call("GET", f"{TABLE}/{sys_id}", query=query).json())
        if not isinstance(row, dict):
            raise Ticket.Unavailable("the incident cannot be read")
        if not all(mark in str(row.get(name, "")) for name in notes):
            return None
        return _row(service, service.call("GET", f"{TABLE}/{sys_id}", query={"sysparm_fields": SHOWN}))

    row, status = service.once(find, lambda: _patch(service, sys_id, body, repeatable=False))
    return _answer("UpdateServiceNowIncident", status, row)


def _close(record: dict, event: dict, context: Any) -> dict:
    sys_id = str(record["undo"].get("sys_id"))
    if not re.fullmatch(r"[0-9a-f]{32}", sys_id):
        raise InvalidTarget("the record names no incident")
    service = _service(context)
    row = _row(service, service.call("GET", f"{TABLE}/{sys_id}", query={"sysparm_fields": SHOWN}))
    status = "already"
    if row.get("state") not in (STATES["resolved"], STATES["closed"], STATES["canceled"]):
        row, status = _patch(service, sys_id, _state("closed", event), repeatable=True), "changed"
    return _answer("CreateServiceNowIncident", status, row)


def _state(name: str, event: dict) -> dict:
    number = STATES.get(name.lower().replace(" ", "_"), name)
    if not re.fullmatch(r"-?\d{1,4}", number):
        raise InvalidTarget(f'"state" must be one of {", ".join(STATES)}, or a number')
    if number not in (STATES["resolved"], STATES["closed"]):
        return {"state": number}
    code = event.get("close_code") or setting_or_none("SERVICENOW_CLOSE_CODE") or "Resolved by caller"
    reason = event.get("reason") or event.get("work_note") or event.get("comment") or "Closed by the playbook"
    return {"state": number, "close_code": line(code, 40), "close_notes": text(reason, NOTE_MAX)}


def _patch(service: Service, sys_id: str, body: dict, repeatable: bool) -> dict:
    return _row(service, service.call("PATCH", f"{TABLE}/{sys_id}", body, query={"sysparm_fields": SHOWN}, repeatable=repeatable))


def _find(service: Service, field: str, value: str) -> dict | None:
    query = {"sysparm_query": f"{field}={value}^ORDERBYsys_created_on", "sysparm_limit": 1, "sysparm_fields": SHOWN}
    rows = _result(service.call("GET", TABLE, query=query).json())
    if not isinstance(rows, list):
        raise Ticket.Unavailable("the table's answer cannot be read")
    # An instance that ignores a condition it does not know answers every row.
    row = rows[0] if rows else None
    return row if isinstance(row, dict) and row.get(field) == value and row.get("sys_id") else None


def _result(answer: Any) -> Any:
    return answer.get("result") if isinstance(answer, dict) else None


def _row(service: Service, answer: Any) -> dict:
    row = _result(answer.json())
    if not isinstance(row, dict) or not row.get("number") or not row.get("sys_id"):
        raise service.unreadable(answer)
    return row


def _answer(action: str, status: str, row: dict) -> dict:
    return {"action": action, "status": status, "system": "servicenow", "number": row["number"], "sys_id": row["sys_id"]}


def _service(context: Any) -> Service:
    url = setting("SERVICENOW_URL").rstrip("/")
    header, secrets = authorization(Ticket, "SERVICENOW", url + "/oauth_token.do", context)
    return Service(Ticket, url, context, {"Authorization": header}, secrets)
