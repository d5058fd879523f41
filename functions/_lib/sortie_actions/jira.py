"""Issues in Jira: made once for a correlation id, changed, commented, moved on.

Jira Cloud speaks REST version 3, whose long texts are documents (ADF); Data Center speaks version 2 (JIRA_API_VERSION=2), whose long texts
are wiki markup. Both keep the correlation id as a label, by which an issue is found again. A comment carries its key as a property.
"""

from __future__ import annotations

import re
import urllib.parse
from typing import Any

from .core import InvalidTarget, digest
from .remote import Family, Service, authorization, fields_of, key_of, line, needed, setting, setting_or_none, text, undo_record

Ticket = Family("Ticket")

PRIORITY = {"CRITICAL": "Highest", "HIGH": "High", "MEDIUM": "Medium", "LOW": "Low"}
SUMMARY_MAX, TEXT_MAX = 250, 30_000  # Jira's own: 255 and 32,767.
PROPERTY = "sortie.key"
SETTLE_S = 1.0  # Jira finds a new issue only after its index has taken it.
TOKEN_URL = "https://auth.atlassian.com/oauth/token"


def create_jira_issue(event: dict, context: Any = None) -> dict:
    """Idempotent by correlation_id. Undone by moving it to a status of the category "done"."""
    record = undo_record(event, "CreateJiraIssue")
    jira = Jira(context)
    if record:
        return jira.close(str(record["undo"].get("issue")), event)
    key, summary = key_of(event, context, required=True), needed(event, "summary")
    project = event.get("project") or setting("JIRA_PROJECT")
    if not isinstance(project, str) or not re.fullmatch(r"[A-Z][A-Z0-9_]{1,30}", project):
        raise InvalidTarget('"project" must be a project\'s key')
    labels = event.get("labels") or []
    if not isinstance(labels, list) or not all(isinstance(one, str) and re.fullmatch(r"\S{1,255}", one) for one in labels):
        raise InvalidTarget('"labels" must be a list of words')
    label = f"sortie:{key}"
    fields = {
        "project": {"key": project},
        "issuetype": {"name": event.get("issue_type") or setting("JIRA_ISSUE_TYPE", "Task")},
        "summary": line(summary, SUMMARY_MAX),
        "description": jira.document(event.get("description") or summary),
        **fields_of(event),
        "labels": [*labels, label],
    }
    priority = PRIORITY.get(str(event.get("severity", "")).upper())
    if priority:
        fields.setdefault("priority", {"name": priority})
    issue, status = jira.service.once(lambda: jira.find(project, label), lambda: jira.make(fields), SETTLE_S)
    return jira.answer("CreateJiraIssue", status, issue) | {"undo": {"issue": issue}}


def update_jira_issue(event: dict, context: Any = None) -> dict:
    """Changes `fields`, `summary`, `description` and `severity`, adds a `comment`, moves it to the `status`, in this order."""
    jira, issue = Jira(context), _issue(event.get("issue") or event.get("number"))
    fields = dict(fields_of(event))
    if event.get("summary"):
        fields["summary"] = line(event["summary"], SUMMARY_MAX)
    if event.get("description"):
        fields["description"] = jira.document(event["description"])
    if event.get("severity"):
        fields["priority"] = {"name": PRIORITY.get(str(event["severity"]).upper(), "Medium")}
    if not fields and not event.get("comment") and not event.get("status"):
        raise InvalidTarget("nothing is to be changed: give fields, summary, description, severity, comment or status")
    done = []
    if fields:
        jira.service.call("PUT", jira.path(issue), {"fields": fields})
        done.append("changed")
    if event.get("comment"):
        done.append(jira.comment(issue, event["comment"], key_of(event, context, required=False)))
    if event.get("status"):
        done.append(
            jira.move(issue, lambda to: str(to.get("name", "")).lower() == str(event["status"]).lower(), str(event["status"]), event)
        )
    return jira.answer("UpdateJiraIssue", "changed" if "changed" in done else "already", issue)


class Jira:
    def __init__(self, context: Any) -> None:
        self.url = setting("JIRA_URL").rstrip("/")
        self.version = setting("JIRA_API_VERSION", "3")
        if self.version not in ("2", "3"):
            raise InvalidTarget("JIRA_API_VERSION must be 3 (Cloud) or 2 (Data Center)")
        more = {"audience": "api.atlassian.com"}
        header, secrets = authorization(Ticket, "JIRA", TOKEN_URL, context, more, password="JIRA_API_TOKEN")
        self.service = Service(Ticket, f"{self.url}/rest/api/{self.version}", context, {"Authorization": header}, secrets)

    def path(self, issue: str, more: str = "") -> str:
        return f"/issue/{urllib.parse.quote(issue, safe='')}{more}"

    def document(self, value: Any) -> Any:
        """Event text as it is: in ADF text nodes hold no markup, in wiki markup only {noformat} ends the block."""
        shown = text(value, TEXT_MAX)
        if self.version == "2":
            return "{noformat}\n" + re.sub(r"(?i)\{noformat", "(noformat", shown) + "\n{noformat}"
        paragraphs = []
        for part in filter(str.strip, shown.split("\n\n")):
            nodes: list[dict] = []
            for row in part.split("\n"):
                nodes += [{"type": "hardBreak"}] if nodes else []
                nodes += [{"type": "text", "text": row}] if row else []
            paragraphs.append({"type": "paragraph", "content": nodes})
        return {"type": "doc", "version": 1, "content": paragraphs}

    def find(self, project: str, label: str) -> str | None:
        body = {"jql": f'project = "{project}" AND labels = "{label}" ORDER BY created ASC', "maxResults": 10, "fields": ["labels"]}
        answer = self.service.call("POST", "/search" if self.version == "2" else "/search/jql", body)
        found = answer.json()
        if not isinstance(found, dict) or not isinstance(found.get("issues"), list):
            raise Ticket.Unavailable("the search's answer cannot be read")
        for issue in found["issues"]:
            if isinstance(issue, dict) and label in ((issue.get("fields") or {}).get("labels") or []):
                return _issue(issue.get("key"))
        return None

    def make(self, fields: dict) -> str:
        try:
            answer = self.service.call("POST", "/issue", {"fields": fields}, repeatable=False)
        except Ticket.Rejected as error:
            # Not every project has priorities on its screen; the issue matters more.
            if "priority" not in fields or not re.search(r'"errors"\s*:\s*\{\s*"priority"\s*:\s*"[^"]*"\s*\}', str(error)):
                raise
            answer = self.service.call("POST", "/issue", {"fields": {k: v for k, v in fields.items() if k != "priority"}}, repeatable=False)
        made = answer.json()
        if not isinstance(made, dict) or not isinstance(made.get("key"), str):
            raise self.service.unreadable(answer)
        return _issue(made["key"])

    def comment(self, issue: str, value: Any, key: str) -> str:
        mark = digest([key, str(value)])[:32]

        def find() -> bool | None:
            query = {"expand": "properties", "orderBy": "-created", "maxResults": 100}
            found = self.service.call("GET", self.path(issue, "/comment"), query=query).json()
            if not isinstance(found, dict) or not isinstance(found.get("comments"), list):
                raise Ticket.Unavailable("the comments cannot be read")
            marks = [row for one in found["comments"] if isinstance(one, dict) for row in one.get("properties") or []]
            return True if any(row.get("key") == PROPERTY and row.get("value") == {"key": mark} for row in marks) else None

        body = {"body": self.document(value), "properties": [{"key": PROPERTY, "value": {"key": mark}}]}
        return self.service.once(find, lambda: self.service.call("POST", self.path(issue, "/comment"), body, repeatable=False))[1]

    def move(self, issue: str, fits: Any, told: str, event: dict) -> str:
        def find() -> bool | None:
            answer = self.service.call("GET", self.path(issue), query={"fields": "status"})
            status = ((answer.json() or {}).get("fields") or {}).get("status")
            if not isinstance(status, dict):
                raise Ticket.Unavailable("the issue's status cannot be read")
            return True if fits(status) else None

        def make() -> bool:
            found = self.service.call("GET", self.path(issue, "/transitions")).json()
            ways = [way for way in (found or {}).get("transitions") or [] if isinstance(way, dict) and isinstance(way.get("to"), dict)]
            way = next((way for way in ways if fits(way["to"])), None)
            if way is None:
                names = ", ".join(sorted({str(way["to"].get("name")) for way in ways})) or "nothing"
                raise Ticket.Rejected(f"{issue} cannot be moved to {told} from where it is; it can to {names}")
            body: dict = {"transition": {"id": way["id"]}}
            if event.get("resolution"):
                body["fields"] = {"resolution": {"name": line(event["resolution"], 100)}}
            self.service.call("POST", self.path(issue, "/transitions"), body, repeatable=False)
            return True

        return self.service.once(find, make)[1]

    def close(self, issue: str, event: dict) -> dict:
        issue = _issue(issue)
        wanted = setting_or_none("JIRA_CLOSED_STATUS")

        def fits(status: dict) -> bool:
            if wanted:
                return str(status.get("name", "")).lower() == wanted.lower()
            return (status.get("statusCategory") or {}).get("key") == "done"

        status = self.move(issue, fits, wanted or "a status that is done", event)
        if status == "changed":
            self.comment(issue, event.get("reason") or "Closed by the playbook: it was undone.", f"undo {issue}")
        return self.answer("CreateJiraIssue", status, issue)

    def answer(self, action: str, status: str, issue: str) -> dict:
        made = {"action": action, "status": status, "system": "jira", "number": issue}
        return made if "/ex/jira/" in self.url else made | {"url": f"{self.url}/browse/{issue}"}


def _issue(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Z][A-Z0-9_]{1,30}-\d{1,12}", value):
        raise InvalidTarget('"issue" must be an issue\'s key, such as SEC-12')
    return value
