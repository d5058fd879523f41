#!/usr/bin/env python3
"""A stand-in for Jira: issues, comments, transitions and searches of Cloud's REST version 3 and Data Center's version 2.

    python demo/jira.py [--port 0]     GET /received shows the issues; POST /faults makes requests fail (stand_in_server.py)

User `bot@example.com` with API token `jira-demo`, or a bearer token `jira-demo-token`, which POST /oauth/token gives to the client `sortie`
with secret `jira-demo-secret`. POST /lag {"searches": 2}: issues made from then on are found by the third search only, as an index lags.
"""

from __future__ import annotations

import base64
import json
import pathlib
import re
import sys
from typing import Any
from urllib.parse import parse_qs, urlsplit

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from stand_in_server import Answer, State, serve

AUTHORIZATION = ("Basic " + base64.b64encode(b"bot@example.com:jira-demo").decode(), "Bearer jira-demo-token")
PROJECTS = ("SEC", "PLAIN")  # PLAIN has no priorities on its screen.
STATUSES = {"To Do": "new", "In Progress": "indeterminate", "Done": "done"}
LAG = {"searches": 0}


def problem(status: int, *messages: str, **errors: str) -> Answer:
    return status, {"errorMessages": list(messages), "errors": errors}, {}


def status_of(name: str) -> dict:
    return {"name": name, "statusCategory": {"key": STATUSES[name]}}


def answer(state: State, method: str, path: str, headers: dict, body: bytes) -> Answer:
    url = urlsplit(path)
    if (method, url.path) == ("POST", "/lag"):
        LAG.update(json.loads(body))
        return 200, LAG, {}
    if (method, url.path) == ("POST", "/oauth/token"):
        return token(parse_qs(body.decode()))
    match = re.fullmatch(r"/rest/api/([23])(/\S*)", url.path)
    if not match:
        return problem(404, "dead link")
    if headers.get("authorization") not in AUTHORIZATION:
        return 401, "Client must be authenticated to access this resource.", {"WWW-Authenticate": 'OAuth realm="demo"'}
    try:
        given = json.loads(body) if body else {}
    except ValueError:
        return problem(400, "There was an error parsing JSON.")
    return act(state, method, match[1], match[2], given, parse_qs(url.query))


def token(form: dict) -> Answer:
    wanted = {"grant_type": ["client_credentials"], "client_id": ["sortie"], "client_secret": ["jira-demo-secret"]}
    if any(form.get(name) != value for name, value in wanted.items()):
        return 401, {"error": "access_denied", "error_description": "Unauthorized"}, {}
    return 200, {"access_token": "jira-demo-token", "expires_in": 3600, "token_type": "Bearer"}, {}


def act(state: State, method: str, version: str, path: str, given: dict, query: dict) -> Answer:
    if method == "POST" and path == ("/search" if version == "2" else "/search/jql"):
        return search(state, given)
    if (method, path) == ("POST", "/issue"):
        return create(state, version, given)
    match = re.fullmatch(r"/issue/([A-Z]+-\d+)(/comment|/transitions)?", path)
    issue = next((one for one in state.received if match and one["key"] == match[1]), None)
    if issue is None:
        return problem(404, "Issue does not exist or you do not have permission to see it.")
    if match[2] == "/comment":
        return comments(issue, method, version, given)
    if match[2] == "/transitions":
        return transitions(issue, method, given)
    if method == "PUT":
        issue["fields"] |= given.get("fields") or {}
        return 204, None, {}
    return 200, {key: issue[key] for key in ("id", "key", "fields")}, {}


def is_document(value: Any, version: str) -> bool:
    return (
        isinstance(value, str) if version == "2" else isinstance(value, dict) and value.get("type") == "doc" and value.get("version") == 1
    )


def create(state: State, version: str, given: dict) -> Answer:
    fields = given.get("fields") or {}
    project = (fields.get("project") or {}).get("key")
    if project not in PROJECTS:
        return problem(400, project="valid project is required")
    summary = fields.get("summary")
    if not summary or len(summary) > 255 or "\n" in summary:
        return problem(400, summary="The summary is invalid because it contains newline characters or is too long.")
    if not is_document(fields.get("description"), version):
        return problem(400, description="Operation value must be an Atlassian Document (see the Atlassian Document Format)")
    if project == "PLAIN" and "priority" in fields:
        return problem(400, priority="Field 'priority' cannot be set. It is not on the appropriate screen, or unknown.")
    number = len(state.received) + 1
    issue = {"id": str(10_000 + number), "key": f"{project}-{number}", "fields": fields | {"status": status_of("To Do")}}
    state.received.append(issue | {"comments": [], "hidden": LAG["searches"]})
    return 201, {"id": issue["id"], "key": issue["key"], "self": f"/rest/api/{version}/issue/{issue['id']}"}, {}


def search(state: State, given: dict) -> Answer:
    match = re.fullmatch(r'project = "(\w+)" AND labels = "([^"]+)" ORDER BY created ASC', given.get("jql", ""))
    if not match:
        return problem(400, f"Error in the JQL Query: {given.get('jql')}")
    found = []
    for issue in state.received:
        seen, issue["hidden"] = issue["hidden"] == 0, max(issue["hidden"] - 1, 0)
        if seen and issue["fields"]["project"]["key"] == match[1] and match[2] in issue["fields"].get("labels", []):
            found.append({"id": issue["id"], "key": issue["key"], "fields": {"labels": issue["fields"]["labels"]}})
    return 200, {"issues": found[: given.get("maxResults", 50)], "isLast": True}, {}


def comments(issue: dict, method: str, version: str, given: dict) -> Answer:
    if method == "GET":
        return 200, {"comments": issue["comments"], "total": len(issue["comments"])}, {}
    if not is_document(given.get("body"), version):
        return problem(400, comment="Comment body is not valid!")
    issue["comments"].insert(0, {"id": str(len(issue["comments"])), "body": given["body"], "properties": given.get("properties", [])})
    return 201, issue["comments"][0], {}


def transitions(issue: dict, method: str, given: dict) -> Answer:
    now = issue["fields"]["status"]["name"]
    ways = [{"id": str(i), "name": f"Go to {name}", "to": status_of(name)} for i, name in enumerate(STATUSES) if name != now]
    if method == "GET":
        return 200, {"transitions": ways}, {}
    way = next((way for way in ways if way["id"] == str((given.get("transition") or {}).get("id"))), None)
    if way is None:
        return problem(400, "It is not on the appropriate screen, or unknown.")
    issue["fields"]["status"] = way["to"]
    return 204, None, {}


if __name__ == "__main__":
    sys.exit(serve("stand-in Jira", answer, lambda status: problem(status, "Rate limit exceeded." if status == 429 else "Internal error")))
