"""http:invoke and apigateway:invoke of the AWS worker: what goes out, what comes back, and what must never be reached."""

from __future__ import annotations

import http.server
import json
import socket
import threading
import urllib.parse

import calls
import http_tasks
import pytest


class Service(http.server.BaseHTTPRequestHandler):
    """Answers with what it was asked; /status/N with that status, /token with an access token."""

    protocol_version = "HTTP/1.1"
    seen: list[dict]

    def _answer(self):
        url = urllib.parse.urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = {"method": self.command, "path": url.path, "query": url.query, "headers": headers, "body": body}
        self.server.seen.append(asked)
        status, answer, kind = 200, json.dumps(asked), "application/json"
        if url.path.startswith("/status/"):
            status, answer, kind = int(url.path.split("/")[2]), "no such thing", "text/plain"
        if url.path == "/token":
            answer = json.dumps({"access_token": "a-token", "expires_in": 600})
        if url.path == "/large":
            answer = "x" * (http_tasks.ANSWER_BYTES_MAX + 1)
        if url.path == "/latin":
            kind = "text/plain; charset=ISO-8859-1"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("X-Twice", "1")
        self.send_header("X-Twice", "2")
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(answer.encode())

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def service():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.seen = []
    server.host = f"127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


@pytest.fixture
def invoke(service, account, monkeypatch):
    monkeypatch.setenv("SORTIE_PRIVATE_HOSTS", f"intranet.example,{service.host}")
    service.seen.clear()

    def call(kind, **parameters):
        frame = {"service": kind, "action": "invoke", "parameters": parameters, "style": "optimized", "endpoint_url": account.url}
        return calls.Caller().call(calls.Request(frame))

    return call


@pytest.fixture
def connect(account):
    made = []

    def make(kind, auth):
        name = f"c{len(made)}-{kind.lower()[:5]}"
        arn = account.client("events").create_connection(Name=name, AuthorizationType=kind, AuthParameters=auth)["ConnectionArn"]
        made.append(name)
        return arn

    yield make
    for name in made:
        account.client("events").delete_connection(Name=name)


API_KEY = {"ApiKeyAuthParameters": {"ApiKeyName": "x-api-key", "ApiKeyValue": "s3cret"}}


def failure(call, *args, **parameters) -> calls.CallFailed:
    with pytest.raises(calls.CallFailed) as caught:
        call(*args, **parameters)
    return caught.value


def test_an_http_task_sends_what_it_says_with_the_key_of_its_connection(invoke, connect, service):
    arn = connect("API_KEY", API_KEY)
    result = invoke(
        "http",
        ApiEndpoint=f"http://{service.host}/v1/a b?x=1",
        Method="POST",
        InvocationConfig={"ConnectionArn": arn},
        Headers={"X-Own": "yes", "Accept": ["a", "b"]},
        QueryParameters={"q": "ü", "many": ["1", "2"]},
        RequestBody={"n": 1.5, "t": "ä"},
    )
    assert (result["StatusCode"], result["StatusText"]) == (200, "OK")
    assert result["Headers"]["X-Twice"] == ["1", "2"]
    seen = result["ResponseBody"]
    assert (seen["method"], seen["path"], seen["query"]) == ("POST", "/v1/a%20b", "x=1&q=%C3%BC&many=1&many=2")
    assert (seen["headers"]["x-own"], seen["headers"]["accept"], seen["headers"]["x-api-key"]) == ("yes", "a, b", "s3cret")
    assert seen["headers"]["content-type"] == "application/json"
    assert seen["headers"]["user-agent"].startswith("Amazon|StepFunctions|HttpInvoke|")
    assert json.loads(seen["body"]) == {"n": 1.5, "t": "ä"}


def test_what_the_connection_sets_wins(invoke, connect, service):
    more = {
        "HeaderParameters": [{"Key": "X-Who", "Value": "connection", "IsValueSecret": False}],
        "QueryStringParameters": [{"Key": "q", "Value": "connection", "IsValueSecret": False}],
        "BodyParameters": [{"Key": "b", "Value": "connection", "IsValueSecret": False}],
    }
    auth = {"BasicAuthParameters": {"Username": "u", "Password": "p"}, "InvocationHttpParameters": more}
    asked = {"ApiEndpoint": f"http://{service.host}/", "Method": "POST", "Authentication": {"ConnectionArn": connect("BASIC", auth)}}
    words = {"Headers": {"x-who": "task"}, "QueryParameters": {"q": "task", "r": "task"}}
    seen = invoke("http", **asked, **words, RequestBody={"b": "task", "c": "task"})["ResponseBody"]
    assert seen["headers"]["x-who"] == "connection"
    assert seen["query"] == "r=task&q=connection"
    assert json.loads(seen["body"]) == {"b": "connection", "c": "task"}
    assert seen["headers"]["authorization"] == "Basic dTpw"
    assert failure(invoke, "http", **asked, RequestBody="text").name == "States.Runtime"


def test_a_trace_shows_what_was_said_without_what_is_secret(account, connect, service, monkeypatch):
    monkeypatch.setenv("SORTIE_PRIVATE_HOSTS", service.host)
    body = {"BodyParameters": [{"Key": "b", "Value": "in body", "IsValueSecret": False}]}
    query = {"QueryStringParameters": [{"Key": "q", "Value": "in query", "IsValueSecret": False}]}
    auth = {"BasicAuthParameters": {"Username": "user", "Password": 'p"w'}, "InvocationHttpParameters": body | query}
    asked = {"ApiEndpoint": f"http://{service.host}/", "Method": "POST", "InvocationConfig": {"ConnectionArn": connect("BASIC", auth)}}
    request = calls.Request({"service": "http", "action": "invoke", "parameters": asked, "style": "optimized", "endpoint_url": account.url})
    calls.Caller().call(request)
    shown = request.trace.result()
    assert shown["request"]["url"] == f"http://{service.host}/?q=REDACTED"
    assert shown["request"]["body"] == '{"b":"REDACTED"}'
    assert "Authorization: Basic REDACTED" in shown["request"]["headers"]
    assert (shown["response"]["statusCode"], shown["response"]["statusMessage"]) == ("200", "OK")
    for secret in ("in query", "in+query", "in body", "dXNlcjpwInc="):
        assert secret not in json.dumps(shown)


def test_client_credentials_are_traded_for_a_token_once(invoke, connect, service):
    auth = {
        "OAuthParameters": {
            "ClientParameters": {"ClientID": "id", "ClientSecret": "secret"},
            "AuthorizationEndpoint": f"http://{service.host}/token",
            "HttpMethod": "POST",
            "OAuthHttpParameters": {"BodyParameters": [{"Key": "scope", "Value": "read", "IsValueSecret": False}]},
        }
    }
    arn = connect("OAUTH_CLIENT_CREDENTIALS", auth)
    for _ in range(2):
        asked = {"ApiEndpoint": f"http://{service.host}/", "Method": "GET", "InvocationConfig": {"ConnectionArn": arn}}
        assert invoke("http", **asked)["ResponseBody"]["headers"]["authorization"] == "Bearer a-token"
    tokens = [seen for seen in service.seen if seen["path"] == "/token"]
    assert len(tokens) == 1
    assert dict(urllib.parse.parse_qsl(tokens[0]["body"])) == {
        "grant_type": "client_credentials",
        "client_id": "id",
        "client_secret": "secret",
        "scope": "read",
    }


@pytest.mark.parametrize(
    ("array_format", "text"),
    [
        (None, "a[0]=1&a[1]=2&b[c]=x y"),
        ("REPEAT", "a=1&a=2&b[c]=x y"),
        ("BRACKETS", "a[]=1&a[]=2&b[c]=x y"),
        ("COMMAS", "a=1,2&b[c]=x y"),
    ],
)
def test_a_body_is_url_encoded_on_request(invoke, connect, service, array_format, text):
    transform = {"RequestBodyEncoding": "URL_ENCODED"}
    if array_format:
        transform["RequestEncodingOptions"] = {"ArrayFormat": array_format}
    asked = {"ApiEndpoint": f"http://{service.host}/", "Method": "POST", "InvocationConfig": {"ConnectionArn": connect("API_KEY", API_KEY)}}
    seen = invoke("http", **asked, RequestBody={"a": [1, 2], "b": {"c": "x y"}}, Transform=transform)["ResponseBody"]
    assert urllib.parse.unquote_plus(seen["body"]) == text
    assert seen["headers"]["content-type"] == "application/x-www-form-urlencoded"


@pytest.mark.parametrize("status", [302, 404, 503])
def test_an_answer_that_is_no_success_fails_the_task_and_nothing_is_followed(invoke, connect, service, status):
    asked = {"Method": "GET", "InvocationConfig": {"ConnectionArn": connect("API_KEY", API_KEY)}}
    error = failure(invoke, "http", ApiEndpoint=f"http://{service.host}/status/{status}", **asked)
    assert (error.name, error.cause) == (f"States.Http.StatusCode.{status}", "no such thing")
    assert len(service.seen) == 1
    api = failure(invoke, "apigateway", ApiEndpoint=service.host, Method="GET", Stage="status", Path=str(status))
    assert (api.name, api.cause) == (f"ApiGateway.{status}", "no such thing")


@pytest.mark.parametrize(("path", "name"), [("/large", "States.DataLimitExceeded"), ("/latin", "States.Runtime")])
def test_an_answer_that_no_state_can_hold_fails_the_task(invoke, connect, service, path, name):
    asked = {"Method": "GET", "InvocationConfig": {"ConnectionArn": connect("API_KEY", API_KEY)}}
    assert failure(invoke, "http", ApiEndpoint=f"http://{service.host}{path}", **asked).name == name


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://127.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://localhost/",
        "https://10.1.2.3/",
        "https://0.0.0.0/",
        "https://100.64.0.1/",
    ],
)
def test_addresses_that_are_not_public_are_never_reached(invoke, connect, endpoint):
    error = failure(invoke, "http", ApiEndpoint=endpoint, Method="GET", InvocationConfig={"ConnectionArn": connect("API_KEY", API_KEY)})
    assert error.name in ("States.Http.Socket", "States.Runtime")
    assert "no public address" in error.cause or "must be an https URL" in error.cause


@pytest.mark.parametrize("address", ["64:ff9b::a00:1", "2002:a00:1::", "::ffff:192.168.0.1", "fe80::1%eth0", "224.0.0.1", "192.168.1.1"])
def test_private_addresses_in_disguise_are_private(monkeypatch, address):
    found = [(0, 0, 0, "", (address, 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(PermissionError):
        http_tasks.public_address("innocent.example", 443)
    found.append((0, 0, 0, "", ("93.184.216.34", 443)))
    assert http_tasks.public_address("innocent.example", 443) == ("93.184.216.34", 443)


@pytest.mark.parametrize(
    "endpoint",
    ["http://example.com/", "https://user@example.com/", "ftp://example.com", "https://", "https://a:99999999/", "/x", "https://a b/"],
)
def test_an_endpoint_has_to_be_an_https_url(invoke, connect, endpoint):
    error = failure(invoke, "http", ApiEndpoint=endpoint, Method="GET", InvocationConfig={"ConnectionArn": connect("API_KEY", API_KEY)})
    assert error.name == "States.Runtime"
    assert "must be an https URL" in error.cause


def test_a_connection_has_to_be_there(invoke, service):
    arn = "arn:aws:events:us-east-1:123456789012:connection/none/6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    asked = {"ApiEndpoint": f"http://{service.host}/", "Method": "GET"}
    assert failure(invoke, "http", **asked, InvocationConfig={"ConnectionArn": arn}).name == "Events.ConnectionResource.ResourceNotFound"
    missing = failure(invoke, "http", **asked)
    assert (missing.name, 'The field "ConnectionArn" is required but was missing' in missing.cause) == ("States.Runtime", True)
    assert service.seen == []


def test_an_api_is_called_at_its_stage_and_path_without_null_values(invoke, service):
    asked = {"ApiEndpoint": service.host, "Method": "POST", "Stage": "prod", "Path": "/a/b", "QueryParameters": {"p": ["1", "2"]}}
    body = {"a": None, "b": [1, None], "c": {"d": None}}
    seen = invoke("apigateway", **asked, RequestBody=body, Headers={"TaskToken": ["t"]})["ResponseBody"]
    assert (seen["path"], seen["query"], seen["headers"]["tasktoken"]) == ("/prod/a/b", "p=1&p=2", "t")
    assert json.loads(seen["body"]) == {"b": [1], "c": {}}
    kept = invoke("apigateway", **asked, RequestBody=body, AllowNullValues=True)["ResponseBody"]
    assert json.loads(kept["body"]) == body
    assert "authorization" not in kept["headers"]


def test_an_api_is_signed_for_on_request_and_no_task_forges_what_signs(invoke, service):
    asked = {"ApiEndpoint": service.host, "Method": "GET"}
    seen = invoke("apigateway", **asked, AuthType="IAM_ROLE")["ResponseBody"]
    assert "/execute-api/aws4_request" in seen["headers"]["authorization"]
    for name in ("Authorization", "X-Amz-Date", "host", "X-Forwarded-For"):
        assert failure(invoke, "apigateway", **asked, Headers={name: ["x"]}).name == "States.Runtime"
    assert failure(invoke, "apigateway", **asked, Headers={"A": ["x\r\nB: y"]}).name == "States.Runtime"
    assert failure(invoke, "apigateway", **asked, Unknown=1).cause.endswith('[The field "Unknown" is not supported by Step Functions]')


def test_an_answer_that_does_not_come_in_time_is_a_socket_error(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("SORTIE_PRIVATE_HOSTS", host)
        with pytest.raises(TimeoutError):
            http_tasks.send(http_tasks.Exchange("GET", "http", host), 0.2)
