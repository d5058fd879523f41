#!/usr/bin/env python3
"""A stand-in for ServiceNow's Table API: incidents, with basic or bearer authentication.

    python demo/servicenow.py [--port 0]   GET /received shows the incidents; POST /faults makes requests fail (stand_in_server.py)

User `sortie` with password `sortie-demo`, or the token `sortie-demo-token`, which POST /oauth_token.do gives to the client `sortie` with
secret `sortie-demo-secret`.
"""

from __future__ import annotations

import base64
import datetime
import json
import pathlib
import re
import sys
import uuid
from urllib.parse import parse_qs, urlsplit

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from stand_in_server import Answer, State, serve

BASIC = "Basic " + base64.b64encode(b"sortie:sortie-demo").decode()
BEARER = "Bearer sortie-demo-token"
PRIORITY = {("1", "1"): "1", ("1", "2"): "2", ("2", "1"): "2", ("2", "2"): "3", ("1", "3"): "3", ("3", "1"): "3"}


def problem(status: int, message: str, detail: str) -> Answer:
    more = {"WWW-Authenticate": 'BASIC realm="Service-now"'} if status == 401 else {}
    return status, {"error": {"message": message, "detail": detail}, "status": "failure"}, more


def answer(state: State, method: str, path: str, headers: dict, body: bytes) -> Answer:
    url = urlsplit(path)
    if (method, url.path) == ("POST", "/oauth_token.do"):
        form = parse_qs(body.decode())
        if form.get("client_id") != ["sortie"] or form.get("client_secret") != ["sortie-demo-secret"]:
            return 401, {"error": "server_error", "error_description": "access_denied"}, {}
        return 200, {"access_token": "sortie-demo-token", "token_type": "Bearer", "expires_in": 1799}, {}
    match = re.fullmatch(r"/api/now/(?:v\d/)?table/(\w+)(?:/(\w+))?", url.path)
    if not match:
        return problem(404, "Requested URI does not represent any resource", url.path)
    if headers.get("authorization") not in (BASIC, BEARER):
        return problem(401, "User Not Authenticated", "Required to provide Auth information")
    if match[1] != "incident":
        return problem(400, f"Invalid table {match[1]}", "")
    if method == "POST" and not match[2]:
        return _create(state, body)
    if method == "GET":
        return _read(state, match[2], parse_qs(url.query))
    if method == "PATCH" and match[2]:
        return _change(state, match[2], json.loads(body))
    return problem(405, "Method not allowed", method)


def _refusal(status: int) -> Answer:
    return problem(status, "Rate limit exceeded" if status == 429 else "Server error", "")


def _change(state: State, sys_id: str, given: dict) -> Answer:
    row = next((row for row in state.received if row["sys_id"] == sys_id), None)
    if row is None:
        return problem(404, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")
    if given.get("state") in ("6", "7") and not (given.get("close_code") and given.get("close_notes")):
        return problem(403, "Operation Failed", "Data Policy Exception: The following fields are mandatory: Close notes, Close code")
    for name, value in given.items():
        # Journal fields keep every entry, newest first.
        row[name] = f"{value}\n\n{row.get(name, '')}" if name in ("comments", "work_notes") else str(value)
    return 200, {"result": row}, {}


def _create(state: State, body: bytes) -> Answer:
    try:
        given = json.loads(body)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        return problem(400, "Exception while reading request", "The payload is not valid JSON")
    row = {
        **{key: str(value) for key, value in given.items()},
        "sys_id": uuid.uuid4().hex,
        "number": f"INC{10001 + len(state.received):07d}",
        "state": "1",
        "active": "true",
        "priority": PRIORITY.get((given.get("urgency"), given.get("impact")), "4"),
        "sys_created_by": "sortie",
        "sys_created_on": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S"),
    }
    state.received.append(row)
    return 201, {"result": row}, {"Location": f"/api/now/table/incident/{row['sys_id']}"}


def _read(state: State, sys_id: str | None, query: dict) -> Answer:
    if sys_id:
        found = [row for row in state.received if row["sys_id"] == sys_id]
        return (
            (200, {"result": found[0]}, {})
            if found
            else problem(404, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")
        )
    rows = state.received
    for term in filter(None, query.get("sysparm_query", [""])[0].split("^")):
        key, _, value = term.partition("=")
        if term.startswith("ORDERBY"):
            continue
        rows = [row for row in rows if row.get(key) == value]
    return 200, {"result": rows[: int(query.get("sysparm_limit", ["10000"])[0])]}, {}


if __name__ == "__main__":
    sys.exit(serve("stand-in ServiceNow", answer, _refusal))
