"""A message to the team in Slack, through an incoming webhook, or through the Web API with a bot token.

The Web API is asked for the message first: each carries its idempotency key as metadata, so a repeated attempt finds what it posted. That
needs the scope channels:history (groups:history in a private channel); without it, and through a webhook, a message whose answer was lost
may come twice.
"""

from __future__ import annotations

import time
from typing import Any

from .core import InvalidTarget, say
from .remote import Family, Form, Service, key_of, line, needed, setting, setting_or_none, text

Slack = Family("Slack")

HEADER_MAX, SECTION_MAX, TEXT_MAX = 150, 2_900, 3_900
EVENT_TYPE = "sortie_alert"
HISTORY_S = 24 * 3600
HISTORY_PAGES = 5
DENIED = ("invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "missing_scope", "no_permission")


def escape(value: str, chars_max: int) -> str:
    """Slack reads & < > as markup; event data must not become links or mentions. Never cut inside of an entity."""
    out, size = [], 0
    for sign in text(value, chars_max):
        shown = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(sign, sign)
        size += len(shown)
        if size > chars_max - 4:
            return "".join(out) + " ..."
        out.append(shown)
    return "".join(out)


def send_slack_alert(event: dict, context: Any = None) -> dict:
    message, severity, title = needed(event, "message"), line(event.get("severity"), 40), line(event.get("title"), HEADER_MAX)
    head = " ".join(part for part in (f"[{severity}]" if severity else "", title) if part)
    blocks: list[dict] = []
    if head:
        blocks.append({"type": "header", "text": {"type": "plain_text", "text": escape(head, HEADER_MAX)}})
    blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": escape(message, SECTION_MAX)}})
    body = {"text": escape(f"{head}\n{message}" if head else message, TEXT_MAX), "blocks": blocks}
    token = setting_or_none("SLACK_ALERT_TOKEN")
    status, place = _by_bot(token, body, event, context) if token else _by_webhook(body, context)
    return {"action": "SendSlackAlert", "status": status, "text": body["text"]} | place


def _by_webhook(body: dict, context: Any) -> tuple[str, dict]:
    url = setting("SLACK_WEBHOOK_URL")
    service = Service(Slack, url, context, secrets=[url, url.rsplit("/services/", 1)[-1]])
    answer = service.call("POST", body=body)
    if answer.text.strip() != "ok":
        raise Slack.Rejected(f"HTTP {answer.status} {service.shown(answer.text)}")
    return "changed", {}


def _by_bot(token: str, body: dict, event: dict, context: Any) -> tuple[str, dict]:
    channel, key = event.get("channel") or setting("SLACK_ALERT_CHANNEL"), key_of(event, context, required=False)
    if not isinstance(channel, str) or not channel:
        raise InvalidTarget('"channel" must be a channel\'s id')
    api = setting("SLACK_API_URL", "https://slack.com/api")
    service = Service(Slack, api, context, {"Authorization": f"Bearer {token}"}, [token])
    body |= {"channel": channel, "metadata": {"event_type": EVENT_TYPE, "event_payload": {"key": key}}}
    if event.get("thread_ts"):
        body["thread_ts"] = str(event["thread_ts"])

    def find() -> str | None:
        try:
            return _find(service, channel, key)
        except (Slack.Rejected, Slack.Unauthorized) as error:
            say(f"Slack does not say whether this was posted already: {error}")
            return None

    ts, status = service.once(find, lambda: str(_method(service, "chat.postMessage", body, repeatable=False).get("ts")))
    return status, {"channel": channel, "ts": ts}


def _find(service: Service, channel: str, key: str) -> str | None:
    cursor, oldest = "", int(time.time()) - HISTORY_S
    for _ in range(HISTORY_PAGES):
        form = Form(channel=channel, include_all_metadata="true", oldest=oldest, limit=200) | ({"cursor": cursor} if cursor else {})
        answer = _method(service, "conversations.history", Form(form))
        for message in answer.get("messages") or []:
            metadata = message.get("metadata") or {}
            if metadata.get("event_type") == EVENT_TYPE and (metadata.get("event_payload") or {}).get("key") == key:
                return str(message.get("ts"))
        cursor = (answer.get("response_metadata") or {}).get("next_cursor")
        if not cursor:
            return None
    return None


def _method(service: Service, method: str, body: Any, repeatable: bool = True) -> dict:
    answer = service.call("POST", f"/{method}", body, repeatable=repeatable)
    given = answer.json()
    if not isinstance(given, dict) or not isinstance(given.get("ok"), bool):
        raise service.unreadable(answer)
    if given["ok"]:
        return given
    why = str(given.get("error"))
    kind = Slack.Throttled if why in ("ratelimited", "rate_limited") else Slack.Unauthorized if why in DENIED else Slack.Rejected
    raise kind(f"{method}: {service.shown(why)}")
