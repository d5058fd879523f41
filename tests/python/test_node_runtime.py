"""The Node runtime client against a small Runtime API: every way a handler may answer, fail, or die."""

from __future__ import annotations

import http.server
import json
import os
import pathlib
import queue
import shutil
import subprocess
import threading
import time

import pytest
from conftest import ROOT

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(not NODE, reason="node is not installed")


class RuntimeApi:
    """Hands out events, takes what comes back. `next` blocks until there is an event, as the real one does."""

    def __init__(self):
        self.events: queue.Queue = queue.Queue()
        self.answers: queue.Queue = queue.Queue()
        self.status = 202
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                event, number = api.events.get()
                if event is None:
                    self.close_connection = True
                    return
                body = event if isinstance(event, bytes) else json.dumps(event).encode()
                self.send_response(200)
                self.send_header("Lambda-Runtime-Aws-Request-Id", f"id-{number}")
                self.send_header("Lambda-Runtime-Deadline-Ms", str(int(time.time() * 1000) + 5000))
                self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:f")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                api.answers.put((self.path.removeprefix("/2018-06-01/runtime/"), json.loads(body), dict(self.headers)))
                self.send_response(api.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.server_address[1]}"


class Function:
    def __init__(self, folder: pathlib.Path, api: RuntimeApi, files: dict[str, str], handler: str):
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        self.api, self.count = api, 0
        environment = {**os.environ, "AWS_LAMBDA_RUNTIME_API": api.address, "LAMBDA_TASK_ROOT": str(folder), "_HANDLER": handler}
        environment |= {"AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128"}
        self.process = subprocess.Popen(
            [NODE, str(ROOT / "src/functions/runtimes/node.mjs")],
            env=environment,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def invoke(self, event):
        self.count += 1
        self.api.events.put((event, self.count))
        return self.api.answers.get(timeout=20)

    def result(self, event):
        route, body, _ = self.invoke(event)
        assert route == f"invocation/id-{self.count}/response", body
        return body

    def error(self, event):
        route, body, headers = self.invoke(event)
        assert route == f"invocation/id-{self.count}/error", body
        return body, headers

    def stop(self):
        self.process.kill()
        return [text.decode() for text in self.process.communicate(timeout=10)]


@pytest.fixture
def make(tmp_path):
    api = RuntimeApi()
    made = []

    def start(files, handler="index.handler"):
        made.append(Function(tmp_path, api, files if isinstance(files, dict) else {"index.js": files}, handler))
        return made[-1]

    yield start
    for function in made:
        function.process.kill()
        function.process.wait(10)
        function.process.stdout.close()
        function.process.stderr.close()
    api.events.put((None, 0))
    api.server.shutdown()


@pytest.mark.parametrize(
    "source",
    [
        "exports.handler = async (event) => ({ got: event.x });",
        "exports.handler = (event) => Promise.resolve({ got: event.x });",
        "exports.handler = (event, context, callback) => { setTimeout(() => callback(null, { got: event.x }), 5); };",
        "exports.handler = (event, context) => { setTimeout(() => context.succeed({ got: event.x }), 5); };",
        "exports.handler = (event) => ({ got: event.x });",
    ],
)
def test_every_kind_of_handler_answers_and_stays_warm(make, source):
    function = make(source)
    assert [function.result({"x": number}) for number in (1, 2, 3)] == [{"got": 1}, {"got": 2}, {"got": 3}]


@pytest.mark.parametrize(
    ("files", "handler"),
    [
        ({"app.mjs": "export const run = async () => 'esm';"}, "app.run"),
        ({"app.cjs": "exports.run = async () => 'cjs';"}, "app.run"),
        ({"app.js": "export const run = async () => 'typed';", "package.json": '{"type":"module"}'}, "app.run"),
        ({"src/deep/app.js": "exports.a = { b: async () => 'nested' };"}, "src/deep/app.a.b"),
        ({"app.js": "const e = {}; e['r' + 'un'] = async () => 'dynamic'; module.exports = e;"}, "app.run"),
    ],
)
def test_modules_of_every_kind_are_found(make, files, handler):
    assert isinstance(make(files, handler).result({}), str)


@pytest.mark.parametrize(
    "source",
    [
        "exports.handler = async () => {};",
        "exports.handler = () => {};",
        "exports.handler = (event, context, callback) => callback();",
        "exports.handler = () => new Promise(() => {});",
    ],
)
def test_no_result_is_null(make, source):
    function = make(source)
    assert function.result({}) is None
    assert function.result({}) is None


def test_the_callback_waits_for_the_empty_loop_unless_told_otherwise(make):
    function = make(
        "exports.handler = (event, context, callback) => { const order = []; context.callbackWaitsForEmptyEventLoop = event.wait;"
        "setTimeout(() => { order.push('late'); }, 30); callback(null, order); };"
    )
    assert function.result({"wait": True}) == ["late"]
    assert function.result({"wait": False}) == []


def test_the_context_is_the_one_of_lambda(make):
    function = make("exports.handler = async (e, c) => ({ ...c, left: c.getRemainingTimeInMillis() });")
    context = function.result({})
    assert context["awsRequestId"] == "id-1" and context["functionName"] == "f" and context["memoryLimitInMB"] == "128"
    assert context["invokedFunctionArn"].endswith(":function:f") and 0 < context["left"] <= 5000


def test_errors_carry_type_message_and_trace_and_the_worker_lives(make):
    function = make(
        "class Teapot extends Error { constructor(m) { super(m); this.name = 'Teapot'; } }\n"
        "exports.handler = async (e) => { if (e.text) throw e.text; if (e.boom) throw new Teapot('h\\u00e9 ' + e.boom); return 'fine'; };"
    )
    body, headers = function.error({"boom": "1"})
    assert (body["errorType"], body["errorMessage"]) == ("Teapot", "hé 1")
    assert body["trace"][0] == "Teapot: hé 1" and "index.js" in body["trace"][1]
    assert headers["Lambda-Runtime-Function-Error-Type"] == "Teapot"
    assert json.loads(headers["Lambda-Runtime-Function-XRay-Error-Cause"])["exceptions"][0]["message"] == "hé 1"
    body, _ = function.error({"text": "just text"})
    assert (body["errorType"], body["errorMessage"], body["trace"]) == ("string", "just text", [])
    assert function.result({}) == "fine"


def test_synchronous_and_callback_errors_fail_the_invocation(make):
    function = make("exports.handler = (e, c, cb) => { if (e.sync) throw new TypeError('now'); cb(new RangeError('later')); };")
    assert function.error({"sync": True})[0]["errorType"] == "TypeError"
    assert function.error({})[0]["errorType"] == "RangeError"


def test_what_cannot_be_json_is_an_error(make):
    function = make("exports.handler = async (e) => { const a = {}; a.a = a; return e.big ? 1n : a; };")
    assert "Unable to stringify response body" in function.error({})[0]["errorMessage"]
    assert function.error({"big": True})[0]["errorType"] == "Runtime.MarshalError"
    assert function.error(b"{not json")[0]["errorType"] == "Runtime.UnmarshalError"


@pytest.mark.parametrize(
    ("source", "handler", "error_type"),
    [
        ("exports.other = 1;", "index.handler", "Runtime.HandlerNotFound"),
        ("exports.handler = 'text';", "index.handler", "Runtime.HandlerNotFound"),
        ("exports.handler = (;", "index.handler", "Runtime.UserCodeSyntaxError"),
        ("require('no-such-module-here');", "index.handler", "Runtime.ImportModuleError"),
        ("throw new EvalError('at load');", "index.handler", "EvalError"),
        ("", "missing.handler", "Runtime.ImportModuleError"),
        ("", "index", "Runtime.MalformedHandlerName"),
        ("", "../index.handler", "Runtime.MalformedHandlerName"),
    ],
)
def test_an_error_while_loading_is_posted_and_ends_the_process(make, source, handler, error_type):
    function = make(source, handler)
    route, body, headers = function.api.answers.get(timeout=20)
    assert (route, body["errorType"]) == ("init/error", error_type)
    assert headers["Lambda-Runtime-Function-Error-Type"] == error_type
    assert function.process.wait(10) == 1


@pytest.mark.parametrize(
    ("source", "error_type"),
    [
        (
            "exports.handler = () => { setTimeout(() => { throw new SyntaxError('nobody'); }, 1); return new Promise(() => {}); };",
            "SyntaxError",
        ),
        (
            "exports.handler = () => { Promise.reject(new Error('lost')); return new Promise(() => {}); };",
            "Runtime.UnhandledPromiseRejection",
        ),
    ],
)
def test_what_nobody_catches_fails_the_invocation_and_ends_the_process(make, source, error_type):
    function = make(source)
    assert function.error({})[0]["errorType"] == error_type
    assert function.process.wait(10) == 129


def test_console_lines_carry_time_request_and_level(make):
    function = make("exports.handler = async () => { console.log('a %s\\nb', 'x'); console.warn({ k: 1 }); console.error('bad'); };")
    function.result({})
    out, err = function.stop()
    lines = [line.split("\t") for line in out.split("\n") if line]
    assert [line[1:] for line in lines] == [["id-1", "INFO", "a x\rb"], ["id-1", "WARN", "{ k: 1 }"], ["id-1", "ERROR", "bad"]]
    assert all(line[0].endswith("Z") for line in lines) and err == ""


def test_an_answer_outside_2xx_ends_the_process(make):
    function = make("exports.handler = async () => 1;")
    function.api.status = 403
    function.invoke({})
    assert function.process.wait(10) == 1
