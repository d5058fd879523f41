#!/usr/bin/env python3
"""The warm AWS worker: one process that makes AWS calls for `aws-sdk:` and the optimised integrations.

Frames on stdin and stdout: 4 bytes big-endian length, then UTF-8 JSON. Answers come in the order in which calls end.

    in   {"id": N, "service": "dynamodb", "action": "getItem", "parameters": {..}, "region": "us-east-1",
          "credentials": {"access_key_id", "secret_access_key", "session_token"} | null, "role_arn": null, "role_session_name": "..",
          "endpoint_url": null, "timeout_s": 60, "style": "aws-sdk" | "optimized" | "objects" (objects.py),
          "job": a step of a .sync job (jobs.py), "trace": true for what an HTTP task sent and got,
          "trace_parent": an HTTP task's header traceparent, where the task sets none}
    out  {"id": N, "result": {..}}  or  {"id": N, "error": {"name": "S3.NoSuchBucketException", "cause": "..", "retryable": false}}

`retryable` says that the same call may well succeed later (throttled, 5xx, no connection); whether it is repeated is the playbook's
Retry. stdout carries frames only: whatever prints goes to stderr. A bad request is answered, never fatal; only a frame length that
cannot be true ends the process, because nothing after it could be read. EOF on stdin ends it, too, after the calls in flight.
"""

from __future__ import annotations

import concurrent.futures
import json
import logging
import os
import struct
import sys
import threading
from typing import Any, BinaryIO

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import calls

FRAME_BYTES_MAX = 32 * 1024 * 1024
RESULT_BYTES_MAX = 8 * 1024 * 1024
THREADS = int(os.environ.get("SORTIE_WORKER_THREADS", "32"))  # As many calls as the server hands over at once.
IN_FLIGHT_MAX = 256

log = logging.getLogger("sdk_worker")


class Worker:
    def __init__(self, source: BinaryIO, sink: BinaryIO):
        self._source, self._sink = source, sink
        self._write_lock = threading.Lock()
        self._caller = calls.Caller()
        # Reading stops while this many calls wait, so a flood fills the pipe and not our memory.
        self._slots = threading.Semaphore(IN_FLIGHT_MAX)

    def run(self) -> int:
        with concurrent.futures.ThreadPoolExecutor(THREADS, "call") as pool:
            while True:
                head = self._read(4)
                if len(head) < 4:
                    return 0
                (length,) = struct.unpack(">I", head)
                if length > FRAME_BYTES_MAX:
                    log.error("a frame of %d bytes cannot be true, the stream is out of step", length)
                    return 3
                body = self._read(length)
                if len(body) < length:
                    return 0
                self._slots.acquire()
                pool.submit(self._serve, body)

    def _read(self, size: int) -> bytes:
        chunks, left = [], size
        while left:
            chunk = self._source.read(left)
            if not chunk:
                break
            chunks.append(chunk)
            left -= len(chunk)
        return b"".join(chunks)

    def _serve(self, body: bytes) -> None:
        number = None
        try:
            number, answer = self._answer(body)
            self._write(number, answer)
        except BrokenPipeError:
            os._exit(0)  # The server is gone; nobody waits for the rest.
        except Exception as error:
            log.exception("answering request %s failed", number)
            self._write(number, failure("States.TaskFailed", f"The AWS worker failed: {type(error).__name__}: {error}"))
        finally:
            self._slots.release()

    def _answer(self, body: bytes) -> tuple[Any, dict]:
        try:
            frame = json.loads(body)
        except (ValueError, RecursionError) as error:
            return None, failure("States.Runtime", f"The request is not JSON: {error}")
        if not isinstance(frame, dict):
            return None, failure("States.Runtime", "The request is not an object")
        number = frame.get("id")
        try:
            if frame.get("check"):
                return number, {"result": self._caller.check(calls.Request(frame), frame["check"] == "strict")}
            if not frame.get("trace"):
                return number, {"result": self._caller.call(calls.Request(frame))}
            return number, self._traced(calls.Request(frame))
        except calls.CallFailed as error:
            return number, failure(error.name, error.cause, error.retryable)
        except ValueError as error:
            return number, failure("States.Runtime", f"The request cannot be used: {error}")
        except RecursionError:
            return number, failure("States.Runtime", "The parameters are nested too deeply")
        except Exception as error:
            log.exception("request %s failed", number)
            return number, failure("States.TaskFailed", f"The AWS worker failed: {type(error).__name__}: {error}")

    def _traced(self, request: calls.Request) -> dict:
        """The answer, and beside it what an HTTP task sent and got."""
        try:
            answer = {"result": self._caller.call(request)}
        except calls.CallFailed as error:
            answer = failure(error.name, error.cause, error.retryable)
        return answer | {"trace": request.trace.result()}

    def _write(self, number: Any, answer: dict) -> None:
        payload = json.dumps({"id": number, **answer}, separators=(",", ":"), default=str).encode()
        if len(payload) > RESULT_BYTES_MAX:
            cause = "The result exceeds the maximum number of bytes that a state may hold"
            payload = json.dumps({"id": number, **failure("States.DataLimitExceeded", cause)}).encode()
        with self._write_lock:
            self._sink.write(struct.pack(">I", len(payload)) + payload)
            self._sink.flush()


def failure(name: str, cause: str, retryable: bool = False) -> dict:
    return {"error": {"name": name, "cause": cause, "retryable": retryable}}


def main() -> int:
    """Takes the frame streams for itself, then points the usual stdin and stdout elsewhere, so that no library can disturb them."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="sdk_worker: %(levelname)s %(message)s")
    source, sink = os.fdopen(os.dup(0), "rb", buffering=0), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return Worker(source, sink).run()


if __name__ == "__main__":
    sys.exit(main())
