"""eks:call and eks:runJob against a stand-in of the Kubernetes API behind TLS: who is trusted, who asks, and what becomes of a Job."""

from __future__ import annotations

import base64
import datetime
import http.server
import ipaddress
import json
import ssl
import threading
import urllib.parse

import calls
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

JOBS = "/apis/batch/v1/namespaces/default/jobs"
PODS = "/api/v1/namespaces/default/pods"


def certificate() -> tuple[bytes, bytes]:
    """A certificate for 127.0.0.1 that vouches for itself, and its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "cluster")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.public_bytes(serialization.Encoding.PEM), secret


class Kubernetes(http.server.BaseHTTPRequestHandler):
    """Jobs and their pods' logs in dictionaries of the server."""

    protocol_version = "HTTP/1.1"

    def _answer(self):
        url, server = urllib.parse.urlsplit(self.path), self.server
        query = urllib.parse.parse_qs(url.query)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server.seen.append({"method": self.command, "path": url.path, "query": query, "token": self.headers["Authorization"], "body": body})
        self._reply(*self._decide(url.path, query, json.loads(body) if body else None))

    def _decide(self, path, query, body):
        jobs = self.server.jobs
        name = path.removeprefix(JOBS + "/")
        if path == JOBS and self.command == "POST":
            name = body["metadata"].get("name") or body["metadata"]["generateName"] + "x1"
            if name in jobs:
                return 409, {"kind": "Status", "reason": "AlreadyExists", "code": 409}
            jobs[name] = body | {"metadata": body["metadata"] | {"name": name}, "status": {}}
            return 201, jobs[name]
        if path == JOBS:
            label, _, value = query["labelSelector"][0].partition("=")
            return 200, {"items": [job for job in jobs.values() if job["metadata"].get("labels", {}).get(label) == value]}
        if path.endswith("/log"):
            container = query["container"][0]
            return (200, self.server.logs[container]) if container in self.server.logs else (400, {"reason": "BadRequest"})
        if path == PODS:
            containers = [{"name": name} for name in (*self.server.logs, "never-began")]
            return 200, {"items": [{"metadata": {"name": "pod-1"}, "spec": {"containers": containers}}]}
        if name not in jobs:
            return 404, {"kind": "Status", "code": 404}
        return 200, jobs.pop(name) if self.command == "DELETE" else jobs[name]

    def _reply(self, status, answer):
        payload = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(answer, str) else "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    do_GET = do_POST = do_DELETE = _answer

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    public, secret = certificate()
    pem = tmp_path_factory.mktemp("cluster") / "cluster.pem"
    pem.write_bytes(public + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Kubernetes)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.host = f"127.0.0.1:{server.server_port}"
    server.authority = base64.b64encode(public).decode()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


@pytest.fixture
def task(api, monkeypatch):
    monkeypatch.setenv("SORTIE_PRIVATE_HOSTS", api.host)
    api.seen, api.jobs, api.logs = [], {}, {}

    def call(action, job=None, **parameters):
        cluster = {"ClusterName": "blue", "Endpoint": f"https://{api.host}", "CertificateAuthority": api.authority}
        frame = {"service": "eks", "action": action, "parameters": cluster | parameters, "style": "optimized"}
        return calls.Caller().call(calls.Request(frame | ({"job": job} if job else {})))

    return call


def test_a_call_shows_a_presigned_token_and_gets_the_answer(api, task):
    api.jobs["one"] = {"metadata": {"name": "one"}}
    answer = task("call", Method="GET", Path=f"{JOBS}/one", QueryParameters={"pretty": ["true"]})
    assert answer == {"ResponseBody": {"metadata": {"name": "one"}}, "StatusCode": 200, "StatusText": "OK"}
    assert api.seen[0]["query"] == {"pretty": ["true"]}
    token = api.seen[0]["token"].removeprefix("Bearer k8s-aws-v1.")
    url = urllib.parse.urlsplit(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode())
    query = urllib.parse.parse_qs(url.query)
    assert (url.scheme, url.netloc, query["Action"]) == ("https", "sts.us-east-1.amazonaws.com", ["GetCallerIdentity"])
    assert query["X-Amz-SignedHeaders"] == ["host;x-k8s-aws-id"]
    assert query["X-Amz-Expires"] == ["60"]


def test_a_status_that_is_no_success_fails_with_the_answer_as_cause(task):
    with pytest.raises(calls.CallFailed) as caught:
        task("call", Method="DELETE", Path=f"{JOBS}/nobody")
    assert caught.value.name == "EKS.404"
    assert json.loads(caught.value.cause) == {"ResponseBody": {"kind": "Status", "code": 404}, "StatusCode": 404, "StatusText": "Not Found"}


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"CertificateAuthority": base64.b64encode(certificate()[0]).decode()}, "EKS.SdkClientException"),
        ({"CertificateAuthority": "no base64!"}, "States.Runtime"),
        ({"Endpoint": "http://127.0.0.1:1"}, "States.Runtime"),
        ({"Endpoint": "https://169.254.169.254"}, "EKS.SdkClientException"),
        ({"Path": "api"}, "States.Runtime"),
        ({"Token": "t"}, "States.Runtime"),
    ],
)
def test_nobody_else_gets_the_token(api, task, wrong, name):
    with pytest.raises(calls.CallFailed) as caught:
        task("call", **({"Method": "GET", "Path": "/api"} | wrong))
    assert caught.value.name == name
    assert api.seen == []


def start(task, name="pi", key="k", **parameters):
    metadata = {"name": name} if name else {"generateName": "pi-"}
    return task("runJob", job={"phase": "start", "key": key}, Job={"kind": "Job", "metadata": metadata}, **parameters)


def poll(task, started):
    return task("runJob", job={"phase": "poll", "facts": started["job"]})


def test_a_job_ends_with_its_condition_and_its_containers_logs(api, task):
    started = start(task, LogOptions={"RetrieveLogs": True, "LogParameters": {"tailLines": ["20"]}})
    assert started["answer"]["StatusCode"] == 201
    assert poll(task, started) == {"state": "RUNNING"}
    api.jobs["pi"]["status"] = {"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]}
    api.logs = {"a": '{"pi": 3}', "b": "three\n"}
    seen = poll(task, started)
    assert seen["state"] == "SUCCEEDED"
    assert seen["result"]["status"]["succeeded"] == 1
    containers = {"a": {"log": {"pi": 3}}, "b": {"log": "three\n"}, "never-began": {"log": ""}}
    assert seen["result"]["logs"] == {"pods": {"pod-1": {"containers": containers}}}
    assert api.seen[-1]["query"] == {"tailLines": ["20"], "container": ["never-began"]}
    api.jobs["pi"]["status"] = {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]}
    assert "BackoffLimitExceeded" in poll(task, started)["cause"]
    task("runJob", job={"phase": "stop", "facts": started["job"]})
    assert (api.jobs, api.seen[-1]["query"]) == ({}, {"propagationPolicy": ["Background"]})
    assert poll(task, started) == {"state": "MISSING"}


@pytest.mark.parametrize("name", ["pi", ""])
def test_a_start_that_is_repeated_finds_its_job(api, task, name):
    first, again = start(task, name), start(task, name)
    assert first["job"] == again["job"]
    assert len(api.jobs) == 1
    if name:
        with pytest.raises(calls.CallFailed) as caught:
            start(task, name, key="another attempt")
        assert caught.value.name == "EKS.409"


def test_without_sync_the_job_is_as_its_author_wrote_it(api, task):
    answer = task("runJob", Job={"kind": "Job", "metadata": {"name": "pi"}})
    assert answer["StatusCode"] == 201
    assert json.loads(api.seen[0]["body"]) == {"kind": "Job", "metadata": {"name": "pi"}}
