#!/usr/bin/env python3
"""Prints requests as botocore sends them, one JSON object a line: real clients, caught just before the socket."""

from __future__ import annotations

import base64
import contextlib
import json
import time
import urllib.parse

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials

SECRET = "botocore/secret+with=signs"
TOKEN = "session//token+=="
SENT: list[dict] = []


def catch(request, **_kw):
    """Stands in for the network: keeps the prepared request and answers something that ends the call."""
    url = urllib.parse.urlsplit(request.url)
    headers = [[k, v.decode() if isinstance(v, bytes) else str(v)] for k, v in request.headers.items()]
    if "host" not in {k.lower() for k, _ in headers}:
        headers.append(["Host", url.netloc])
    body = request.body or b""
    SENT.append(
        {
            "what": f"{request.method} {request.url}",
            "method": request.method,
            "path": url.path,
            "query": url.query,
            "headers": headers,
            "body": base64.b64encode(body if isinstance(body, bytes) else body.encode()).decode(),
            "now_ms": int(time.time() * 1000),
        }
    )
    raise InterruptedError


def client(service: str, session: bool):
    made = boto3.client(
        service,
        endpoint_url="http://127.0.0.1:8420",
        region_name="eu-central-1",
        aws_access_key_id="ASIABOTOCORE" if session else "AKIDBOTOCORE",
        aws_secret_access_key=SECRET,
        aws_session_token=TOKEN if session else None,
        config=botocore.config.Config(retries={"total_max_attempts": 1}, inject_host_prefix=False),
    )
    made.meta.events.register("before-send", catch)
    return made


def attempt(call, **parameters):
    with contextlib.suppress(InterruptedError):
        call(**parameters)


def service_calls(session: bool) -> None:
    sfn, events, functions, sts = (client(name, session) for name in ("stepfunctions", "events", "lambda", "sts"))
    arn = "arn:aws:states:eu-central-1:123456789012:stateMachine:m"
    attempt(sfn.list_state_machines)
    attempt(sfn.start_execution, stateMachineArn=arn, input=json.dumps({"text": "äöü \u2603 \U0001f600", "n": 1}))
    attempt(sfn.create_state_machine, name="x", definition="{" + "\n" * 50_000 + "}", roleArn="arn:aws:iam::123456789012:role/r")
    attempt(events.put_events, Entries=[{"Source": "a", "DetailType": "b", "Detail": "{}"}])
    attempt(functions.list_functions)
    attempt(functions.list_functions, MaxItems=5, Marker="a b+c/d=é&x")
    attempt(functions.get_function, FunctionName="arn:aws:lambda:eu-central-1:123456789012:function:name")
    attempt(functions.invoke, FunctionName="123456789012:function:name", Qualifier="$LATEST", Payload=b"{}", LogType="Tail")
    attempt(functions.update_function_code, FunctionName="name", ZipFile=bytes(range(256)) * 20)
    attempt(functions.list_tags, Resource="arn:aws:lambda:eu-central-1:123456789012:function:name")
    attempt(sts.get_caller_identity)


def odd_requests() -> None:
    """Corners that no service call reaches: repeated blanks in headers, unusual paths, an unsigned payload."""
    credentials = botocore.credentials.Credentials("AKIDBOTOCORE", SECRET)
    signer = botocore.auth.SigV4Auth(credentials, "states", "us-east-1")
    for path, query, headers in (
        ("/a%20b/c", "", {}),
        ("/a/b//c/./d/../e/", "z=1&a=2&a=1", {}),
        ("/~tilde/-_.", "q=%7E&r=", {"X-Amz-Meta": "  several    blanks   "}),
        ("/", "", {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}),
    ):
        url = "http://127.0.0.1:8420" + path + ("?" + query if query else "")
        request = botocore.awsrequest.AWSRequest(method="POST", url=url, data=b"payload", headers=headers)
        signer.add_auth(request)
        with contextlib.suppress(InterruptedError):
            catch(request.prepare())


service_calls(session=False)
service_calls(session=True)
odd_requests()
for one in SENT:
    print(json.dumps(one))
