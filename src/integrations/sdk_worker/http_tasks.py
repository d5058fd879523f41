"""`http:invoke` and `apigateway:invoke`: one HTTPS request a task, with the results and errors of Step Functions.

Nothing is followed: a redirect is an answer (and with http:invoke a failure, States.Http.StatusCode.302). What goes wrong before an
answer is States.Http.Socket, as is an address this server must not reach: names are resolved once, addresses that are not public
are refused, and the connection goes to the address that was checked. Hosts listed in SORTIE_PRIVATE_HOSTS ("a.corp,127.0.0.1:8080")
may be anywhere and may be spoken to without TLS. One request has a minute and its answer 256 KiB, as on AWS.

http:invoke authenticates through an EventBridge connection: DescribeConnection names the secret, Secrets Manager holds it. What the
connection sets (headers, query, body) wins over what the task sets. Sources: AWS, "Call HTTPS APIs in Step Functions workflows" and
"Create API Gateway REST APIs with Step Functions".
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import ipaddress
import json
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, urlencode, urlsplit

import botocore.auth
import botocore.awsrequest
import botocore.exceptions
import shapes

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
ANSWER_BYTES_MAX = 262_144
REQUEST_S_MAX = 60.0
TOKENS_MAX = 256
ARRAY_FORMATS = ("INDICES", "REPEAT", "COMMAS", "BRACKETS", "NONE")
# Set by Step Functions for apigateway:invoke, whatever a task says.
FORBIDDEN_HEADERS = re.compile(
    "authorization|connection|content-md5|expect|host|max-forwards|proxy-authenticate|server|te|trailer|transfer-encoding|upgrade|via|"
    "www-authenticate|x-forwarded.*|x-amz.*",
    re.I,
)
NAT64 = ipaddress.ip_network("64:ff9b::/96")
HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:\d{1,5})?")
CONNECTION_ARN = re.compile(r"arn:[\w-]+:events:([\w-]+):\d{12}:connection/([.\w-]+)(/[\w-]+)?")


PATH_SAFE = "/%:@!$&'()*+,;=-._~"


class TaskFailed(Exception):
    def __init__(self, name: str, cause: str, retryable: bool = False):
        super().__init__(cause)
        self.name, self.cause, self.retryable = name, cause, retryable


class Trace:
    """What TestState shows of an HTTP task: request and response, without what the connection keeps secret."""

    def __init__(self) -> None:
        self.shown: dict[str, dict[str, str]] = {}
        self.secrets: set[str] = set()

    def sent(self, exchange: Exchange) -> None:
        headers = "[" + ", ".join(f"{name}: {value}" for name, value in exchange.headers.items()) + "]"
        self.shown["request"] = {"protocol": exchange.scheme, "method": exchange.method, "url": exchange.url(), "headers": headers}
        if exchange.body is not None:
            self.shown["request"]["body"] = exchange.body.decode("utf-8", "replace")

    def answered(self, exchange: Exchange, answer: Answer) -> None:
        headers = "[" + ", ".join(f"{name}: {value}" for name, value in answer.headers) + "]"
        self.shown["response"] = {
            "protocol": exchange.scheme,
            "statusCode": str(answer.status),
            "statusMessage": answer.reason,
            "headers": headers,
            "body": answer.text(),
        }

    def result(self) -> dict:
        spelled = {form for text in self.secrets if text for form in (text, quote_plus(text), json.dumps(text)[1:-1])}
        hidden = sorted(spelled, key=len, reverse=True)

        def hide(text: str) -> str:
            for secret in hidden:
                text = text.replace(secret, "REDACTED")
            return text

        return {part: {name: hide(text) for name, text in fields.items()} for part, fields in self.shown.items()}


@dataclass
class Exchange:
    """One request, as it goes out."""

    method: str
    scheme: str
    host: str  # With a port, if one was given: the Host header.
    path: str = "/"
    query: list[tuple[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    endpoint: str | None = None  # Where to connect to instead: a stand-in's URL.
    tls: ssl.SSLContext | None = None  # Whom to trust instead of the machine's authorities.

    def target(self) -> str:
        return self.path + ("?" + urlencode(self.query) if self.query else "")

    def url(self) -> str:
        return f"{self.scheme}://{self.host}{self.target()}"

    def set_header(self, name: str, value: str) -> None:
        for known in [known for known in self.headers if known.lower() == name.lower()]:
            del self.headers[known]
        self.headers[name] = value

    def default_header(self, name: str, value: str) -> None:
        if not any(known.lower() == name.lower() for known in self.headers):
            self.headers[name] = value


@dataclass
class Answer:
    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes

    def content_type(self) -> str:
        return next((value for name, value in self.headers if name.lower() == "content-type"), "").lower()

    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def result(self) -> dict:
        headers: dict[str, list[str]] = {}
        for name, value in self.headers:
            headers.setdefault(name, []).append(value)
        return {"Headers": headers, "ResponseBody": self._body(), "StatusCode": self.status, "StatusText": self.reason}

    def _body(self) -> Any:
        if "json" in self.content_type():
            try:
                return json.loads(self.body)
            except (ValueError, RecursionError):
                pass
        return self.text()


def call(caller: Any, request: Any, trace: Trace) -> dict:
    """The task's result; raises TaskFailed."""
    with socket_failures("States.Http.Socket" if request.service == "http" else "ApiGateway.SdkClientException"):
        return _http_invoke(caller, request, trace) if request.service == "http" else _api_invoke(caller, request)


@contextlib.contextmanager
def socket_failures(name: str) -> Iterator[None]:
    """Where no answer comes, the task fails with this name."""
    try:
        yield
    except (http.client.HTTPException, OSError, ssl.SSLError) as error:
        raise TaskFailed(name, _socket_cause(error), True) from None


def _socket_cause(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "Unable to execute HTTP request: the request took too long"
    return f"Unable to execute HTTP request: {error}"


# ---------------------------------------------------------------------------------------------- parameters


class Parameters:
    """A task's evaluated Parameters; everything wrong with them is said at once."""

    def __init__(self, request: Any, known: tuple[str, ...], required: tuple[str, ...]):
        self.value = request.parameters if isinstance(request.parameters, dict) else {}
        wrong = [f'The field "{name}" is not supported by Step Functions' for name in self.value if name not in known]
        wrong += [f'The field "{name}" is required but was missing' for name in required if self.value.get(name) is None]
        if wrong:
            raise self.refuse(", ".join(wrong))

    def refuse(self, why: str) -> TaskFailed:
        shown = shapes.json_text(self.value)
        return TaskFailed("States.Runtime", f"The Parameters '{shown}' could not be used to start the Task: [{why}]")

    def text(self, name: str, default: str = "") -> str:
        value = self.value.get(name)
        if value is not None and not isinstance(value, str):
            raise self.refuse(f'The value for the field "{name}" must be of type STRING')
        return value or default

    def choice(self, name: str, allowed: tuple[str, ...], default: str = "") -> str:
        value = self.text(name, default)
        if value not in allowed:
            raise self.refuse(f'The value for the field "{name}" must be one of [{", ".join(allowed)}]')
        return value

    def mapping(self, name: str) -> dict:
        value = self.value.get(name)
        if value is not None and not isinstance(value, dict):
            raise self.refuse(f'The value for the field "{name}" must be of type OBJECT')
        return value or {}

    def pairs(self, name: str) -> list[tuple[str, str]]:
        """Names with one value or a list of them."""
        out = []
        for key, value in self.mapping(name).items():
            for one in value if isinstance(value, list) else [value]:
                if one is not None:
                    out.append((key, one if isinstance(one, str) else shapes.json_text(one)))
        return out

    def headers(self) -> dict[str, str]:
        out: dict[str, str] = {}
        for name, value in self.pairs("Headers"):
            if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or re.search(r"[\r\n\0]", value):
                raise self.refuse(f'The value for the field "Headers.{name}" is no header')
            out[name] = f"{out[name]}, {value}" if name in out else value
        return out


# ---------------------------------------------------------------------------------------------- http:invoke


def _http_invoke(caller: Any, request: Any, trace: Trace) -> dict:
    known = ("ApiEndpoint", "Method", "Authentication", "InvocationConfig", "Headers", "QueryParameters", "RequestBody", "Transform")
    given = Parameters(request, known, ("ApiEndpoint", "Method"))
    arn = given.mapping("InvocationConfig").get("ConnectionArn") or given.mapping("Authentication").get("ConnectionArn")
    if not isinstance(arn, str):
        raise given.refuse('The field "ConnectionArn" is required but was missing')
    exchange = _exchange_to(given.text("ApiEndpoint"), given.choice("Method", METHODS), given)
    exchange.query += given.pairs("QueryParameters")
    exchange.headers = given.headers()
    connection = _connection(caller, request, arn, given)
    _set_body(exchange, given, connection.body)
    exchange.query = [pair for pair in exchange.query if pair[0] not in dict(connection.query)] + connection.query
    for name, value in connection.headers:
        exchange.set_header(name, value)
    _authorize(exchange, connection)
    exchange.set_header("User-Agent", f"Amazon|StepFunctions|HttpInvoke|{request.region}")
    exchange.set_header("Range", f"bytes=0-{ANSWER_BYTES_MAX}")
    if request.trace_parent:
        exchange.default_header("traceparent", request.trace_parent)
    trace.secrets = _secrets_of(connection, exchange)
    trace.sent(exchange)
    answer = send(exchange, request.timeout_s)
    trace.answered(exchange, answer)
    if answer.status == 401:
        _forget_token(connection)
    if not 200 <= answer.status < 300:
        raise TaskFailed(f"States.Http.StatusCode.{answer.status}", answer.text() or answer.reason)
    charset = re.search(r"charset\s*=\s*\"?([\w-]+)", answer.content_type())
    if charset and charset.group(1) not in ("utf-8", "utf8", "us-ascii"):
        raise TaskFailed("States.Runtime", f"The answer's charset {charset.group(1)} is not supported: only UTF-8 is")
    return answer.result()


def _exchange_to(url: str, method: str, given: Parameters | None = None) -> Exchange:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    plain_is_fine = parts.scheme == "http" and is_private_host(parts.netloc)
    if (parts.scheme != "https" and not plain_is_fine) or parts.username is not None or not HOST.fullmatch(parts.netloc):
        why = f"The endpoint {url} must be an https URL"
        raise given.refuse(why) if given else TaskFailed("States.Runtime", why)
    path = quote(parts.path or "/", safe=PATH_SAFE)
    return Exchange(method, parts.scheme, parts.netloc, path, parse_qsl(parts.query, keep_blank_values=True))


def _set_body(exchange: Exchange, given: Parameters, added: list[tuple[str, str]]) -> None:
    body = given.value.get("RequestBody")
    if added and isinstance(body, str):
        raise given.refuse("A RequestBody that is text cannot be merged with the body parameters of the connection")
    if added:
        body = (body if isinstance(body, dict) else {}) | dict(added)
    if body is None:
        return
    transform = given.mapping("Transform")
    encoding = transform.get("RequestBodyEncoding", "NONE")
    if encoding not in ("NONE", "URL_ENCODED"):
        raise given.refuse('The value for the field "Transform.RequestBodyEncoding" must be one of [NONE, URL_ENCODED]')
    if encoding == "URL_ENCODED" and not isinstance(body, str):
        options = transform.get("RequestEncodingOptions")
        array_format = options.get("ArrayFormat", "INDICES") if isinstance(options, dict) else "INDICES"
        if array_format not in ARRAY_FORMATS:
            raise given.refuse(f'The value for the field "ArrayFormat" must be one of [{", ".join(ARRAY_FORMATS)}]')
        exchange.body = urlencode(form_pairs(body, array_format)).encode()
        exchange.default_header("Content-Type", "application/x-www-form-urlencoded")
        return
    exchange.body = (body if isinstance(body, str) else shapes.json_text(body)).encode()
    exchange.default_header("Content-Type", "application/json")


def form_pairs(value: Any, array_format: str, name: str = "") -> list[tuple[str, str]]:
    """Form fields of an object: members of members in brackets, lists as the format says."""
    if isinstance(value, dict):
        return [pair for key, inner in value.items() for pair in form_pairs(inner, array_format, f"{name}[{key}]" if name else key)]
    if isinstance(value, list):
        if array_format in ("COMMAS", "NONE"):
            return [(name, ",".join(_plain(inner) for inner in value))]
        suffixes = {"INDICES": lambda i: f"[{i}]", "BRACKETS": lambda i: "[]", "REPEAT": lambda i: ""}[array_format]
        return [pair for i, inner in enumerate(value) for pair in form_pairs(inner, array_format, name + suffixes(i))]
    return [(name, _plain(value))]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else shapes.json_text(value)


# ---------------------------------------------------------------------------------------------- connections


@dataclass
class Connection:
    kind: str
    secret: dict[str, Any]
    headers: list[tuple[str, str]]
    query: list[tuple[str, str]]
    body: list[tuple[str, str]]
    oauth: dict[str, list[tuple[str, str]]]


def _connection(caller: Any, request: Any, arn: str, given: Parameters) -> Connection:
    match = CONNECTION_ARN.fullmatch(arn)
    if not match:
        raise given.refuse(f"The value for the field 'ConnectionArn' is no connection's ARN: {arn}")
    request.region = match.group(1)
    try:
        described = caller.send_raw("events", "DescribeConnection", {"Name": match.group(2)}, request)
        state = described.get("ConnectionState")
        if state != "AUTHORIZED":
            raise TaskFailed("Events.ConnectionResource.InvalidConnectionState", f"The connection {arn} is in state {state}")
        answer = caller.send_raw("secretsmanager", "GetSecretValue", {"SecretId": described["SecretArn"]}, request)
        secret = json.loads(answer.get("SecretString") or "{}")
    except botocore.exceptions.ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        known = {"ResourceNotFoundException": "ResourceNotFound", "AccessDeniedException": "AccessDenied"}
        name = f"Events.ConnectionResource.{known.get(code, 'InternalError')}"
        raise TaskFailed(name, str(error.response.get("Error", {}).get("Message") or code)) from None
    except botocore.exceptions.BotoCoreError as error:
        raise TaskFailed("Events.ConnectionResource.InternalError", str(error)) from None
    except (ValueError, KeyError):
        raise TaskFailed("Events.ConnectionResource.InternalError", f"The secret of {arn} cannot be read") from None
    parameters = described.get("AuthParameters", {})
    shown = parameters.get("InvocationHttpParameters", {})
    hidden = _find(secret, "invocationhttpparameters") or {}
    oauth_shown = parameters.get("OAuthParameters", {}).get("OAuthHttpParameters", {})
    oauth_hidden = _find(secret, "oauthhttpparameters") or {}
    facts = secret | {"authorizationendpoint": parameters.get("OAuthParameters", {}).get("AuthorizationEndpoint")}
    facts |= {"method": parameters.get("OAuthParameters", {}).get("HttpMethod")}
    kinds = ("HeaderParameters", "QueryStringParameters", "BodyParameters")
    return Connection(
        described.get("AuthorizationType", ""),
        facts,
        *(_http_parameters(shown, hidden, kind) for kind in kinds),
        oauth={kind: _http_parameters(oauth_shown, oauth_hidden, kind) for kind in kinds},
    )


def _find(value: Any, name: str) -> Any:
    """A member of the secret by its name without underscores and capitals, wherever it stands."""
    if not isinstance(value, dict):
        return None
    for key, inner in value.items():
        if key.replace("_", "").lower() == name and inner is not None:
            return inner
    return next((found for inner in value.values() if (found := _find(inner, name)) is not None), None)


def _http_parameters(shown: dict, hidden: Any, kind: str) -> list[tuple[str, str]]:
    """Key and value of each parameter; a secret value is not in the description, but in the secret."""
    out: dict[str, str] = {}
    for source in (shown.get(kind), _find(hidden, kind.lower())):
        for item in source if isinstance(source, list) else []:
            key, value = _find(item, "key"), _find(item, "value")
            if isinstance(key, str) and value is not None:
                out[key] = _plain(value)
    return list(out.items())


def _authorize(exchange: Exchange, connection: Connection) -> None:
    def secret(name: str) -> str:
        return _plain(_find(connection.secret, name))

    if connection.kind == "API_KEY":
        exchange.set_header(secret("apikeyname"), secret("apikeyvalue"))
    elif connection.kind == "BASIC":
        pair = f"{secret('username')}:{secret('password')}".encode()
        exchange.set_header("Authorization", "Basic " + base64.b64encode(pair).decode())
    elif connection.kind == "OAUTH_CLIENT_CREDENTIALS":
        exchange.set_header("Authorization", "Bearer " + _access_token(connection, secret))


def _secrets_of(connection: Connection, exchange: Exchange) -> set[str]:
    """Everything the connection adds, and what authorizes the request."""
    added = {value for _, value in connection.headers + connection.query + connection.body}
    added |= {_plain(_find(connection.secret, name)) for name in ("apikeyvalue", "username", "password", "clientid", "clientsecret")}
    return added | {value.partition(" ")[2] for name, value in exchange.headers.items() if name.lower() == "authorization"}


_tokens: dict[tuple, tuple[str, float]] = {}
_tokens_lock = threading.Lock()


def _token_key(connection: Connection) -> tuple:
    return tuple(_plain(_find(connection.secret, name)) for name in ("authorizationendpoint", "clientid", "clientsecret"))


def _forget_token(connection: Connection) -> None:
    with _tokens_lock:
        _tokens.pop(_token_key(connection), None)


def _access_token(connection: Connection, secret: Any) -> str:
    key = _token_key(connection)
    with _tokens_lock:
        token, ends = _tokens.get(key, ("", 0.0))
    if token and time.monotonic() < ends:
        return token
    exchange = _exchange_to(secret("authorizationendpoint"), secret("method") or "POST")
    fields = {"grant_type": "client_credentials", "client_id": secret("clientid"), "client_secret": secret("clientsecret")}
    exchange.query += connection.oauth["QueryStringParameters"]
    exchange.headers = dict(connection.oauth["HeaderParameters"])
    exchange.body = urlencode(fields | dict(connection.oauth["BodyParameters"])).encode()
    exchange.default_header("Content-Type", "application/x-www-form-urlencoded")
    exchange.default_header("Accept", "application/json")
    answer = send(exchange, REQUEST_S_MAX)
    try:
        found = json.loads(answer.body) if answer.status == 200 else {}
        token, lives_s = found["access_token"], float(found.get("expires_in", 300))
    except (ValueError, KeyError, TypeError):
        why = f"The authorization endpoint answered {answer.status} without an access token"
        raise TaskFailed("Events.ConnectionResource.InvalidConnectionState", why) from None
    with _tokens_lock:
        while len(_tokens) >= TOKENS_MAX:
            del _tokens[next(iter(_tokens))]
        _tokens[key] = (token, time.monotonic() + max(0.0, min(lives_s, 3600.0) - 60.0))
    return token


# ---------------------------------------------------------------------------------------------- apigateway:invoke


def _api_invoke(caller: Any, request: Any) -> dict:
    known = ("ApiEndpoint", "Method", "Headers", "Stage", "Path", "QueryParameters", "RequestBody", "AllowNullValues", "AuthType")
    given = Parameters(request, known, ("ApiEndpoint", "Method"))
    host, auth = given.text("ApiEndpoint"), given.choice("AuthType", ("NO_AUTH", "IAM_ROLE", "RESOURCE_POLICY"), "NO_AUTH")
    if not HOST.fullmatch(host):
        raise given.refuse('The value for the field "ApiEndpoint" must be the name of a host')
    if not isinstance(given.value.get("AllowNullValues", False), bool):
        raise given.refuse('The value for the field "AllowNullValues" must be of type BOOLEAN')
    is_private = is_private_host(host)
    path = "/".join(part.strip("/") for part in (given.text("Stage"), given.text("Path")) if part.strip("/"))
    exchange = Exchange(given.choice("Method", METHODS), "http" if is_private else "https", host)
    exchange.path = "/" + quote(path, safe=PATH_SAFE)
    exchange.query = given.pairs("QueryParameters")
    exchange.headers = given.headers()
    for name in exchange.headers:
        if FORBIDDEN_HEADERS.fullmatch(name):
            raise given.refuse(f'The field "Headers" contains the header {name}, which is set by Step Functions')
    body = given.value.get("RequestBody")
    if not given.value.get("AllowNullValues"):
        body = _without_nulls(body)
    if body is not None:
        exchange.body = shapes.json_text(body).encode()
        exchange.default_header("Content-Type", "application/json")
    exchange.default_header("Accept", "application/json")
    exchange.set_header("User-Agent", "Amazon|StepFunctions|APIGateway")
    exchange.endpoint = None if is_private else request.endpoint_url
    if auth != "NO_AUTH":
        _sign(caller, request, exchange)
    answer = send(exchange, request.timeout_s)
    if not 200 <= answer.status < 300:
        raise TaskFailed(f"ApiGateway.{answer.status}", answer.text() or answer.reason)
    return answer.result()


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value if inner is not None]
    return value


def _sign(caller: Any, request: Any, exchange: Exchange) -> None:
    credentials = caller.clients.credentials(request)
    if credentials is None:
        raise TaskFailed("ApiGateway.SdkClientException", "Unable to load credentials from any of the providers in the chain")
    signed = botocore.awsrequest.AWSRequest(method=exchange.method, url=exchange.url(), data=exchange.body, headers=dict(exchange.headers))
    botocore.auth.SigV4Auth(credentials, "execute-api", request.region).add_auth(signed)
    exchange.headers = dict(signed.headers.items())


# ---------------------------------------------------------------------------------------------- the wire


def is_private_host(host: str) -> bool:
    listed = [name.strip().lower() for name in os.environ.get("SORTIE_PRIVATE_HOSTS", "").split(",") if name.strip()]
    return host.lower() in listed or host.lower().rsplit(":", 1)[0] in listed


def public_address(host: str, port: int) -> tuple:
    """Where to connect to: the first address of the name that anybody may reach. PermissionError where there is none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for *_, address in found:
        ip = ipaddress.ip_address(address[0].split("%")[0])
        if ip.version == 6:  # Addresses of version 4 in disguise are what they are.
            ip = ip.ipv4_mapped or ip.sixtofour or (ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in NAT64 else ip)
        if ip.is_global and not ip.is_multicast:
            return address
    raise PermissionError(f"{host} has no public address; name it in http_tasks.private_hosts if tasks may reach it")


class Wire(http.client.HTTPConnection):
    """A connection to one address that was decided on beforehand, in the name of the host."""

    def __init__(self, address: tuple, tls_name: str | None, timeout_s: float, tls: ssl.SSLContext | None = None):
        super().__init__(address[0], address[1], timeout=timeout_s)
        self._address, self._tls_name, self._tls = address, tls_name, tls

    def connect(self) -> None:
        self.sock = socket.create_connection(self._address[:2], self.timeout)
        if self._tls_name:
            context = self._tls or ssl.create_default_context()
            self.sock = context.wrap_socket(self.sock, server_hostname=self._tls_name)


def send(exchange: Exchange, timeout_s: float) -> Answer:
    """Raises OSError or HTTPException where no answer comes, TaskFailed where it is too large."""
    limit_s = min(REQUEST_S_MAX, timeout_s)
    parts = urlsplit(exchange.endpoint or f"{exchange.scheme}://{exchange.host}")
    name = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    is_trusted = exchange.endpoint is not None or is_private_host(exchange.host)
    address = (name, port) if is_trusted else public_address(name, port)
    wire = Wire(address, name if parts.scheme == "https" else None, limit_s, exchange.tls)
    late = threading.Event()

    def cut() -> None:
        late.set()
        if wire.sock is not None:
            with contextlib.suppress(OSError):
                wire.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(limit_s, cut)
    timer.daemon = True
    timer.start()
    try:
        headers = {name: value for name, value in exchange.headers.items() if name.lower() != "host"}
        wire.putrequest(exchange.method, exchange.target(), skip_host=True, skip_accept_encoding=True)
        for name, value in ({"Host": exchange.host} | headers).items():
            wire.putheader(name, value.encode())
        if exchange.body is not None or exchange.method in ("POST", "PUT", "PATCH"):
            wire.putheader("Content-Length", str(len(exchange.body or b"")))
        wire.endheaders(exchange.body)
        response = wire.getresponse()
        body = response.read(ANSWER_BYTES_MAX + 1)
    except (http.client.HTTPException, OSError):
        if late.is_set():
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()
        wire.close()
    if late.is_set():
        raise TimeoutError
    if len(body) > ANSWER_BYTES_MAX:
        raise TaskFailed("States.DataLimitExceeded", "The answer is larger than 256 KiB")
    return Answer(response.status, response.reason, response.getheaders(), body)
