"""The door of the stand-in account: every request passes here, is named, recorded, and perhaps refused on purpose.

    GET    /sortie-account/calls[?service=ec2&action=CreateSnapshots]   what was called, oldest first
    GET    /sortie-account/faults                                       faults that are still to come
    POST   /sortie-account/faults     {"service", "action", "fault", "count", "latency_s"}
    DELETE /sortie-account/faults
    POST   /sortie-account/findings   a GuardDuty finding as the event bus carries it; GetFindings then knows it

`fault` is throttling, access_denied, unavailable or latency; `service` and `action` may be "*"; `count` is how many calls it hits.
moto has neither throttling nor denials without policies, so tests of Retry and Catch ask for them here. Errors have the code, the
status and the body of the service's protocol, because SDKs decide by these whether to retry.
"""

from __future__ import annotations

import collections
import fnmatch
import io
import json
import threading
import time
import uuid
from typing import Any
from urllib.parse import parse_qs

from request_names import Call, name_call

CALLS_MAX = 20_000
CONTROL = "/sortie-account/"
ACCOUNT_ID = "123456789012"

# fault -> protocol -> (HTTP status, error code)
FAULTS: dict[str, dict[str, tuple[int, str]]] = {
    "throttling": {
        "ec2": (503, "RequestLimitExceeded"),
        "query": (400, "Throttling"),
        "json": (400, "ThrottlingException"),
        "rest-json": (429, "TooManyRequestsException"),
        "rest-xml": (503, "SlowDown"),
    },
    "access_denied": {
        "ec2": (403, "UnauthorizedOperation"),
        "query": (403, "AccessDenied"),
        "json": (400, "AccessDeniedException"),
        "rest-json": (403, "AccessDeniedException"),
        "rest-xml": (403, "AccessDenied"),
    },
    "unavailable": dict.fromkeys(("ec2", "query", "json", "rest-json", "rest-xml"), (503, "ServiceUnavailable")),
}
MESSAGES = {"throttling": "Rate exceeded", "unavailable": "The service is temporarily unavailable"}


class Recorded:
    """One call that was really made, and what came of it."""

    def __init__(self, call: Call, source_ip: str, user_agent: str):
        self.call, self.source_ip, self.user_agent = call, source_ip, user_agent
        self.id, self.time = str(uuid.uuid4()), time.time()
        self.status, self.error_code, self.request_id = 0, None, ""

    def summary(self) -> dict:
        call = self.call
        return {
            "time": self.time,
            "service": call.service,
            "action": call.action,
            "region": call.region,
            "access_key_id": call.access_key_id,
            "parameters": call.parameters,
            "status": self.status,
            "error_code": self.error_code,
            "request_id": self.request_id,
        }


class Journal:
    """Calls in order of arrival, bounded; CloudTrail's LookupEvents reads it."""

    def __init__(self):
        self._lock = threading.Lock()
        self._calls: collections.deque[Recorded] = collections.deque(maxlen=CALLS_MAX)

    def add(self, recorded: Recorded) -> None:
        with self._lock:
            self._calls.append(recorded)

    def all(self) -> list[Recorded]:
        with self._lock:
            return list(self._calls)

    def clear(self) -> None:
        with self._lock:
            self._calls.clear()


class Gate:
    """WSGI middleware. `inner` is set once the port is known, because moto builds addresses from it."""

    def __init__(self, journal: Journal):
        self.inner: Any = None
        self.store_finding: Any = None
        self._journal = journal
        self._faults: list[dict] = []
        self._lock = threading.Lock()

    def __call__(self, environ: dict, start_response: Any) -> Any:
        path = environ.get("PATH_INFO", "")
        body = self._take_body(environ)
        if path.startswith(CONTROL):
            return self._control(environ["REQUEST_METHOD"], path[len(CONTROL) :], environ.get("QUERY_STRING", ""), body, start_response)
        headers = {key[5:].replace("_", "-").lower(): value for key, value in environ.items() if key.startswith("HTTP_")}
        headers["content-type"] = environ.get("CONTENT_TYPE", "")
        call = name_call(environ["REQUEST_METHOD"], path, environ.get("QUERY_STRING", ""), headers, body)
        if call is None:
            if path == "/moto-api/reset":
                self._journal.clear()
            return self.inner(environ, start_response)
        recorded = Recorded(call, environ.get("REMOTE_ADDR", ""), headers.get("user-agent", ""))
        refusal = self._refusal(call) or self._foreign_bucket(call, headers)
        self._journal.add(recorded)
        if refusal:
            return self._refuse(call, *refusal, recorded, start_response)

        def note(status: str, response_headers: list, exc_info: Any = None) -> Any:
            recorded.status = int(status.split(" ", 1)[0])
            found = {name.lower(): value for name, value in response_headers}
            recorded.request_id = found.get("x-amzn-requestid", "")
            if recorded.status >= 400:
                recorded.error_code = found.get("x-amzn-errortype") or str(recorded.status)
            return start_response(status, response_headers, exc_info) if exc_info else start_response(status, response_headers)

        return self.inner(environ, note)

    @staticmethod
    def _take_body(environ: dict) -> bytes:
        if environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":
            body = environ["wsgi.input"].read()
            environ["CONTENT_LENGTH"] = str(len(body))
            environ.pop("HTTP_TRANSFER_ENCODING")
        else:
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        return body

    def _refusal(self, call: Call) -> tuple[int, str, str] | None:
        """Takes one use of the first fault that fits; sleeps if it is latency."""
        with self._lock:
            for fault in self._faults:
                if (
                    fault["count"] > 0
                    and fnmatch.fnmatchcase(call.service, fault["service"])
                    and fnmatch.fnmatchcase(call.action, fault["action"])
                ):
                    fault["count"] -= 1
                    break
            else:
                return None
            self._faults = [left for left in self._faults if left["count"] > 0]
        if fault["latency_s"]:
            time.sleep(fault["latency_s"])
        if fault["fault"] == "latency":
            return None
        status, code = FAULTS[fault["fault"]][call.protocol]
        denied = f"User: arn:aws:iam::{ACCOUNT_ID}:user/injected is not authorized to perform: {call.service}:{call.action}"
        return status, code, MESSAGES.get(fault["fault"], denied)

    @staticmethod
    def _foreign_bucket(call: Call, headers: dict[str, str]) -> tuple[int, str, str] | None:
        """moto ignores ExpectedBucketOwner; every bucket here is the account's own."""
        if call.service == "s3" and headers.get("x-amz-expected-bucket-owner", ACCOUNT_ID) != ACCOUNT_ID:
            return 403, "AccessDenied", "Access Denied"
        return None

    @staticmethod
    def _refuse(call: Call, status: int, code: str, message: str, recorded: Recorded, start_response: Any) -> list[bytes]:
        recorded.status, recorded.error_code, recorded.request_id = status, code, str(uuid.uuid4())
        request_id = recorded.request_id
        extra = []
        error = f"<Code>{code}</Code><Message>{message}</Message>"
        if call.protocol == "ec2":
            text = f"<Response><Errors><Error>{error}</Error></Errors><RequestID>{request_id}</RequestID></Response>"
        elif call.protocol == "query":
            text = f"<ErrorResponse><Error><Type>Sender</Type>{error}</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        elif call.protocol == "rest-xml":
            text = f"<Error>{error}<RequestId>{request_id}</RequestId></Error>"
        else:
            text = json.dumps({"__type": code, "message": message, "Message": message})
            extra = [("x-amzn-errortype", code)]
        kind = "application/json" if text.startswith("{") else "text/xml"
        body = text.encode()
        start_response(
            f"{status} Refused", [("Content-Type", kind), ("Content-Length", str(len(body))), ("x-amzn-requestid", request_id), *extra]
        )
        return [body]

    # ---------------------------------------------------------------------------------------- control

    def _control(self, method: str, what: str, query: str, body: bytes, start_response: Any) -> list[bytes]:
        try:
            status, answer = self._control_answer(method, what, query, body)
        except (ValueError, KeyError, TypeError) as error:
            status, answer = "400 Bad Request", {"error": f"{type(error).__name__}: {error}"}
        payload = json.dumps(answer, default=str).encode()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(payload)))])
        return [payload]

    def _control_answer(self, method: str, what: str, query: str, body: bytes) -> tuple[str, Any]:
        if (method, what) == ("GET", "calls"):
            wanted = {key: values[0] for key, values in parse_qs(query).items()}
            rows = [row.summary() for row in self._journal.all()]
            return "200 OK", {"calls": [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]}
        if (method, what) == ("POST", "findings"):
            return "201 Created", {"id": self.store_finding(json.loads(body))}
        if what == "faults":
            with self._lock:
                if method == "POST":
                    self._faults.append(_checked_fault(json.loads(body)))
                elif method == "DELETE":
                    self._faults.clear()
                return "200 OK", {"faults": list(self._faults)}
        return "404 Not Found", {"error": f"no {method} {CONTROL}{what}"}


def _checked_fault(given: dict) -> dict:
    kind = given["fault"]
    if kind != "latency" and kind not in FAULTS:
        raise ValueError(f"fault is one of latency, {', '.join(FAULTS)}")
    return {
        "service": str(given.get("service", "*")),
        "action": str(given.get("action", "*")),
        "fault": kind,
        "count": int(given.get("count", 1)),
        "latency_s": min(float(given.get("latency_s", 0)), 120.0),
    }
