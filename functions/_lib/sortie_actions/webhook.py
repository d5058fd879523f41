"""A signed webhook: JSON to an address of the function's environment, proved as Sortie's own hooks want it proved.

X-Sortie-Timestamp   seconds since 1970
X-Sortie-Signature   sha256= and the hex HMAC-SHA256 of "TIMESTAMP.BODY" under WEBHOOK_SECRET
X-Sortie-Delivery    the idempotency key: the same for every repetition
X-Sortie-Event       the `event` of the call
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any

from .core import InvalidTarget, canonical
from .remote import Family, Service, key_of, line, setting

Webhook = Family("Webhook")

BODY_BYTES_MAX = 200 * 1024
ANSWER_CHARS_MAX = 10_000


def call_webhook(event: dict, context: Any = None) -> dict:
    payload = event.get("payload")
    if not isinstance(payload, dict):
        raise InvalidTarget('"payload" must be an object')
    body = canonical(payload).encode()
    if len(body) > BODY_BYTES_MAX:
        raise InvalidTarget(f'"payload" has more than {BODY_BYTES_MAX} bytes')
    secret, key = setting("WEBHOOK_SECRET"), key_of(event, context, required=False)
    if len(secret) < 8:
        raise InvalidTarget("WEBHOOK_SECRET has fewer than 8 characters")
    kind = line(event.get("event") or "sortie", 100)

    def proof(data: bytes) -> dict[str, str]:
        stamp = str(int(time.time()))  # Of this try: a repetition much later is not stale.
        signature = hmac.new(secret.encode(), stamp.encode() + b"." + data, hashlib.sha256).hexdigest()
        return {
            "X-Sortie-Timestamp": stamp,
            "X-Sortie-Signature": f"sha256={signature}",
            "X-Sortie-Delivery": key,
            "X-Sortie-Event": kind.encode("ascii", "replace").decode(),
        }

    service = Service(Webhook, setting("WEBHOOK_URL"), context, secrets=[secret])
    answer = service.call("POST", body=body, headers=proof)
    given = answer.json()
    small = given is not None and len(json.dumps(given)) <= ANSWER_CHARS_MAX
    return {"action": "CallWebhook", "status": "changed", "delivery": key, "http_status": answer.status, "answer": given if small else None}
