"""Calling other people's services: bounded time, retries where nothing can happen twice, and errors that a playbook can catch.

Each family of functions (`Ticket`, `Page`, `Email`, `Webhook`, `Slack`) raises the same five, and their names are what Retry and Catch see:

    X.Unauthorized   the credentials are wrong, or may not do this (401, 403): final
    X.NotFound       what was to be changed does not exist (404): final
    X.Rejected       the service understood, and says no (other 4xx, redirects): final
    X.Throttled      it wants to be called later than the function may wait (429): worth retrying
    X.Unavailable    5xx, timeouts, lost connections, answers that cannot be read: worth retrying

Nothing twice. A request that is safe to repeat is repeated after 429, 5xx and lost connections. One that makes something
(`repeatable=False`) is repeated only where the service cannot have done it (429, no connection); otherwise `once` looks for what may have
been made, by the idempotency key, before it tries again. The key is the playbook's `correlation_id`, or else the id of the attempt: Sortie
gives a repeated attempt (a restart in the middle) the same id, a Retry of the playbook a new one.

Secrets come from the function's environment (`env:NAME`, `file:PATH` in function.yaml) and go to the address that is named there, over TLS
or this machine's loopback, never along with a redirect. They are taken out of every error and log line.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable
from typing import Any

from .core import ActionError, InvalidTarget, digest, say, setting

TRIES = 4
REQUEST_S_MAX = 10.0
WAIT_S_MAX = 10.0  # A longer Retry-After is the playbook's to wait: its Retry waits durably, a function only blocks.
BUDGET_S = 40.0  # All requests and pauses of one invocation, unless the function ends sooner.
RESERVE_S = 3.0
ANSWER_BYTES_MAX = 1_000_000
KEY = r"[A-Za-z0-9_.:/-]{1,100}"


class RemoteError(ActionError):
    """Base of what another service's refusal or absence becomes."""


class Unauthorized(RemoteError):
    pass


class NotFound(RemoteError):
    pass


class Rejected(RemoteError):
    pass


class Throttled(RemoteError):
    pass


class Unavailable(RemoteError):
    pass


class Family:
    """The five errors under one name: Family("Ticket").Rejected is shown as Ticket.Rejected."""

    def __init__(self, name: str) -> None:
        for kind in (Unauthorized, NotFound, Rejected, Throttled, Unavailable):
            setattr(self, kind.__name__, type(f"{name}.{kind.__name__}", (kind,), {"__doc__": kind.__doc__}))
        # Nobody knows whether it was done. Its name is that of what it is for a playbook.
        self.Ambiguous = type(f"{name}.Unavailable", (self.Unavailable,), {})


class Answer:
    def __init__(self, status: int, text: str) -> None:
        self.status, self.text = status, text

    def json(self) -> Any:
        """None where it is no JSON."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the credentials elsewhere, and turn a POST into a GET."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)
_pause = time.sleep  # Tests put a clock of their own in place of these two.
_clock = time.monotonic


class Service:
    """One service during one invocation. `secrets` are all texts that must not be shown."""

    def __init__(self, family: Any, url: str, context: Any = None, headers: dict[str, str] | None = None, secrets: Iterable[str] = ()):
        self.errors, self.url, self.headers = family, checked_address(url), headers or {}
        self.secrets = {secret for secret in secrets if secret}
        remaining = getattr(context, "get_remaining_time_in_millis", None)
        left = min(BUDGET_S, remaining() / 1000 - RESERVE_S) if callable(remaining) else BUDGET_S
        self.ends = _clock() + max(left, 1.0)
        self.host = urllib.parse.urlsplit(self.url).netloc.rpartition("@")[2]

    def call(
        self,
        method: str,
        path: str = "",
        body: Any = None,
        *,
        query: dict | None = None,
        repeatable: bool = True,
        headers: Callable[[bytes], dict[str, str]] | None = None,
    ) -> Answer:
        """One request, answered with 2xx; everything else is raised. `body`: bytes as they are, a Form as a form, anything else as JSON."""
        url = self.url + path + ("?" + urllib.parse.urlencode(query) if query else "")
        data, kind = _encoded(body)
        last: RemoteError = self.errors.Unavailable("it was not called: the function has no time left")
        for attempt in range(TRIES):
            left = self.ends - _clock()
            if left <= 0:
                break
            more = headers(data or b"") if headers else {}
            request = urllib.request.Request(
                url, data, {"Content-Type": kind, "Accept": "application/json"} | self.headers | more, method=method
            )
            wait = ""
            try:
                with _OPENER.open(request, timeout=min(REQUEST_S_MAX, left)) as response:
                    return Answer(response.status, response.read(ANSWER_BYTES_MAX).decode("utf-8", "replace"))
            except urllib.error.HTTPError as error:
                with error:
                    last, wait = self._refusal(error), error.headers.get("Retry-After", "")
            except (OSError, http.client.HTTPException) as error:
                last = self._broken(error)
            if isinstance(last, Unavailable) and not repeatable and not getattr(last, "untouched", False):
                raise self.errors.Ambiguous(str(last))
            if not isinstance(last, Throttled | Unavailable) or attempt + 1 == TRIES:
                raise last
            self.pause(attempt, wait, last)
        raise last

    def once(self, find: Callable[[], Any], make: Callable[[], Any], settle_s: float = 0.25) -> tuple[Any, str]:
        """What `find` finds, or `make` makes; `make` is a call that is not repeatable. Answers it with `already` or `changed`.

        `settle_s`: how long the service needs to find what it has just made; doubled from look to look.
        """
        found = find()
        if found is not None:
            return found, "already"
        for attempt in range(TRIES):
            try:
                return make(), "changed"
            except self.errors.Ambiguous as error:
                last = error
            for look in range(2):
                self.pause(0, str(settle_s * 2**look), last)
                found = find()
                if found is not None:
                    return found, "changed"
            if attempt + 1 == TRIES:
                raise last
        raise AssertionError

    def pause(self, attempt: int, wait: str, why: RemoteError) -> None:
        seconds = _seconds(wait)
        seconds = 0.25 * 2**attempt if seconds is None else seconds
        if seconds > WAIT_S_MAX or _clock() + seconds >= self.ends:
            raise why
        say(f"{self.host}: {why}; trying again in {seconds:g} s")
        _pause(seconds)

    def unreadable(self, answer: Answer) -> RemoteError:
        return self.errors.Ambiguous(f"HTTP {answer.status} with an answer that cannot be read: {self.shown(answer.text)}")

    def shown(self, text: str) -> str:
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return line(text, 300)

    def _refusal(self, error: urllib.error.HTTPError) -> RemoteError:
        try:
            body = error.read(10_000).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            body = ""
        text = f"HTTP {error.code} {self.shown(body)}".strip()
        if error.code in (401, 403):
            return self.errors.Unauthorized(text)
        if error.code == 404:
            return self.errors.NotFound(text)
        if error.code == 429:
            return self.errors.Throttled(text)
        if error.code >= 500:
            return self.errors.Unavailable(text)
        return self.errors.Rejected(text)

    def _broken(self, error: Exception) -> RemoteError:
        reason = getattr(error, "reason", error)
        reason = reason if isinstance(reason, BaseException) else error
        if isinstance(reason, ssl.SSLCertVerificationError):
            return self.errors.Rejected(f"the certificate of {self.host} is not trusted: {reason.verify_message}")
        made = self.errors.Unavailable(self.shown(f"{type(reason).__name__}: {reason}"))
        # Without a connection nothing can have been done.
        made.untouched = isinstance(reason, ConnectionRefusedError | socket.gaierror)
        return made


def _encoded(body: Any) -> tuple[bytes | None, str]:
    if isinstance(body, Form):
        return urllib.parse.urlencode(body).encode(), "application/x-www-form-urlencoded"
    if body is None or isinstance(body, bytes):
        return body, "application/json"
    return json.dumps(body).encode(), "application/json; charset=utf-8"


class Form(dict):
    """A body that is sent as a form."""


def _seconds(wait: str) -> float | None:
    """Retry-After: seconds, or a date of which only "not now" is kept."""
    if not wait:
        return None
    return float(wait) if re.fullmatch(r"\d{1,9}(\.\d+)?", wait) else WAIT_S_MAX + 1


def checked_address(url: str) -> str:
    """https anywhere; http on this machine only, unless the function's environment says ALLOW_PLAIN_HTTP=true."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidTarget("the address must be an https:// address")
    local = parts.hostname in ("localhost", "::1") or parts.hostname.startswith("127.")
    if parts.scheme == "http" and not local and os.environ.get("ALLOW_PLAIN_HTTP") != "true":
        raise InvalidTarget("credentials are not sent over plain http: use https, or set ALLOW_PLAIN_HTTP=true in function.yaml")
    return url.rstrip("/")


# ---------------------------------------------------------------------------------------- credentials


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


_tokens: dict[tuple[str, str], tuple[str, float]] = {}  # Of this worker: (address, client) -> token, when it ends.


def client_credentials(errors: Any, url: str, client: str, secret: str, context: Any, more: dict | None = None) -> str:
    """An OAuth 2.0 access token for a client (RFC 6749, 4.4), kept until shortly before it ends."""
    kept = _tokens.get((url, client))
    if kept and kept[1] > _clock():
        return kept[0]
    service = Service(errors, url, context, secrets=[secret])
    form = Form({"grant_type": "client_credentials", "client_id": client, "client_secret": secret} | (more or {}))
    try:
        answer = service.call("POST", body=form)
    except Rejected as error:
        raise errors.Unauthorized(str(error)) from None  # RFC 6749, 5.2: a wrong client is told with 400, too.
    given = answer.json()
    if not isinstance(given, dict) or not isinstance(given.get("access_token"), str):
        raise errors.Unavailable(f"HTTP {answer.status} without an access token")
    lasts = given.get("expires_in")
    lasts = float(lasts) if isinstance(lasts, int | float) or (isinstance(lasts, str) and lasts.isdigit()) else 300.0
    _tokens[url, client] = (given["access_token"], _clock() + lasts - 60)
    return given["access_token"]


def setting_or_none(name: str) -> str | None:
    return os.environ.get(name) or None


def authorization(
    errors: Any, prefix: str, token_url: str, context: Any, more: dict | None = None, password: str = ""
) -> tuple[str, list[str]]:
    """The Authorization header by what the environment has, and the texts to hide: PREFIX_TOKEN (a bearer token), PREFIX_CLIENT_ID with
    PREFIX_CLIENT_SECRET (OAuth 2.0), or PREFIX_USER with PREFIX_PASSWORD (or what `password` names)."""
    token = setting_or_none(f"{prefix}_TOKEN")
    client, secret = setting_or_none(f"{prefix}_CLIENT_ID"), setting_or_none(f"{prefix}_CLIENT_SECRET")
    if token is None and client and secret:
        token = client_credentials(errors, setting_or_none(f"{prefix}_TOKEN_URL") or token_url, client, secret, context, more)
    if token is not None:
        return f"Bearer {token}", [token]
    word = setting(password or f"{prefix}_PASSWORD")
    header = basic(setting(f"{prefix}_USER"), word)
    return header, [word, header.removeprefix("Basic ")]


# ---------------------------------------------------------------------------------------- what is sent

# Control characters, and those that hide or turn text: zero-width, direction overrides and isolates.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def text(value: Any, chars_max: int) -> str:
    """Event text for people: what hides is gone, and it is cut where the service's limit is."""
    shown = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False, default=str)
    shown = _UNSEEN.sub("", shown.replace("\r\n", "\n").replace("\r", "\n"))
    return shown if len(shown) <= chars_max else shown[: chars_max - 4] + " ..."


def line(value: Any, chars_max: int) -> str:
    return text(re.sub(r"\s+", " ", text(value, 10 * chars_max)).strip(), chars_max)


def key_of(event: dict, context: Any, required: bool) -> str:
    """The idempotency key: `correlation_id`, or the attempt's own id where one message more is no harm."""
    key = event.get("correlation_id")
    if key is None and not required:
        return getattr(context, "aws_request_id", None) or digest(event)[:32]
    if not isinstance(key, str) or not re.fullmatch(KEY, key):
        raise InvalidTarget('"correlation_id" must be an id of this incident: letters, digits and _ . : / -, at most 100')
    return key


def needed(event: dict, name: str) -> str:
    value = event.get(name)
    if not isinstance(value, str) or not value.strip():
        raise InvalidTarget(f'"{name}" must be text')
    return value


def fields_of(event: dict) -> dict:
    fields = event.get("fields") or {}
    if not isinstance(fields, dict):
        raise InvalidTarget('"fields" must be an object of the service\'s own field names')
    return fields


def undo_record(event: dict, action: str) -> dict | None:
    """The record of mode `undo`; nothing in the ordinary mode."""
    mode = event.get("mode", "apply")
    if mode not in ("apply", "undo"):
        raise InvalidTarget(f"mode must be apply or undo, not {mode!r}")
    if mode == "apply":
        return None
    record = event.get("record")
    if not isinstance(record, dict) or record.get("action") != action or not isinstance(record.get("undo"), dict):
        raise InvalidTarget(f'"record" must be what {action} answered')
    return record
