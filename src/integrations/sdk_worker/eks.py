"""`eks:call` and `eks:runJob`: requests to the Kubernetes API of an EKS cluster.

The task names the cluster, its endpoint and its certificate authority (base64 of the PEM file, as DescribeCluster tells it); nothing else
vouches for the server. Who asks is told by a bearer token that is a presigned GetCallerIdentity of the caller's role with the cluster's
name in a signed header, as `aws eks get-token` makes it. Answers are {"ResponseBody", "StatusCode", "StatusText"}; a status that is no
success is the error EKS.STATUS with that as cause.

runJob creates a Job of batch/v1. With .sync the task ends when a condition of the Job says Complete or Failed, its result is the Job, and
with LogOptions.RetrieveLogs what its containers wrote stands beside it as logs.pods.POD.containers.CONTAINER.log (JSON where it is some,
unless RawLogs). The Job carries the attempt's key as an annotation (of a Job with a generateName, as a label, too): a start that is
repeated after a crash finds its own Job instead of failing or making another. A task that is stopped deletes its Job with the pods.
Sources: AWS, "Create and manage Amazon EKS clusters with Step Functions", and the reference of the Kubernetes API.
"""

from __future__ import annotations

import base64
import binascii
import json
import ssl
import uuid
from typing import Any
from urllib.parse import quote, urlsplit

import botocore.auth
import botocore.awsrequest
import http_tasks
import shapes
from http_tasks import TaskFailed

CONNECTION = ("ClusterName", "CertificateAuthority", "Endpoint")
TOKEN_S = 60
PODS_MAX = 20
ATTEMPT = "sortie/attempt"  # The annotation, and the label.


def is_kubernetes(request: Any) -> bool:
    return request.style == "optimized" and request.service == "eks" and request.action in ("call", "runJob")


def call(caller: Any, request: Any) -> dict:
    """The task's result, or that of one step of its job (jobs.py says what they are); raises TaskFailed."""
    if request.job and request.job["phase"] != "start":
        cluster = Cluster.remembered(caller, request)
        return _poll(cluster) if request.job["phase"] == "poll" else _stop(cluster)
    if request.action == "runJob":
        return _run_job(caller, request)
    given = http_tasks.Parameters(
        request, (*CONNECTION, "Method", "Path", "QueryParameters", "RequestBody"), (*CONNECTION, "Method", "Path")
    )
    path = given.text("Path")
    if not path.startswith("/"):
        raise given.refuse('The value for the field "Path" must begin with a slash')
    cluster = Cluster(caller, request, given)
    answer = cluster.send(given.choice("Method", http_tasks.METHODS), path, given.pairs("QueryParameters"), given.value.get("RequestBody"))
    return _result(answer)


def _result(answer: http_tasks.Answer) -> dict:
    return {name: value for name, value in answer.result().items() if name != "Headers"}


class Cluster:
    """Where the API is, and how one is let in."""

    def __init__(self, caller: Any, request: Any, given: http_tasks.Parameters, facts: dict | None = None):
        self.caller, self.request, self.facts = caller, request, facts or {}
        self.name, self.endpoint, self.authority = (given.text(name) for name in ("ClusterName", "Endpoint", "CertificateAuthority"))
        try:
            parts = urlsplit(self.endpoint)
            _ = parts.port
        except ValueError:
            parts = urlsplit("")
        if parts.scheme != "https" or not http_tasks.HOST.fullmatch(parts.netloc) or parts.path not in ("", "/"):
            raise given.refuse('The value for the field "Endpoint" must be an https URL')
        self.host = parts.netloc
        try:
            self.tls = ssl.create_default_context(cadata=base64.b64decode(self.authority, validate=True).decode("ascii"))
        except (ValueError, binascii.Error, ssl.SSLError):
            raise given.refuse('The value for the field "CertificateAuthority" must be certificates (PEM) in base64') from None

    @staticmethod
    def remembered(caller: Any, request: Any) -> Cluster:
        """Of a job that was started; the start's parameters are gone by now."""
        facts = request.job.get("facts")
        if not isinstance(facts, dict) or not isinstance(facts.get("describe"), dict):
            raise ValueError('"job" has no facts')
        request.parameters = {name: facts["describe"].get(name) for name in CONNECTION}
        return Cluster(caller, request, http_tasks.Parameters(request, CONNECTION, CONNECTION), facts["describe"])

    def token(self) -> str:
        credentials = self.caller.clients.credentials(self.request)
        if credentials is None:
            raise TaskFailed("EKS.SdkClientException", "Unable to load credentials from any of the providers in the chain")
        region = self.request.region
        host = f"sts.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")
        url = f"https://{host}/?Action=GetCallerIdentity&Version=2011-06-15"
        signed = botocore.awsrequest.AWSRequest(method="GET", url=url, headers={"x-k8s-aws-id": self.name})
        botocore.auth.SigV4QueryAuth(credentials, "sts", region, expires=TOKEN_S).add_auth(signed)
        return "k8s-aws-v1." + base64.urlsafe_b64encode(signed.url.encode()).decode().rstrip("=")

    def send(self, method: str, path: str, query: Any = (), body: Any = None, known: tuple[int, ...] = ()) -> http_tasks.Answer:
        """The answer of a success, or of a status that the caller knows; anything else is TaskFailed."""
        exchange = http_tasks.Exchange(method, "https", self.host, quote(path, safe=http_tasks.PATH_SAFE), list(query))
        exchange.tls = self.tls
        exchange.headers = {"Authorization": f"Bearer {self.token()}", "Accept": "application/json, */*"}
        if body is not None:
            exchange.body = shapes.json_text(body).encode()
            exchange.set_header("Content-Type", "application/merge-patch+json" if method == "PATCH" else "application/json")
        answer = http_tasks.send(exchange, self.request.timeout_s)
        if not 200 <= answer.status < 300 and answer.status not in known:
            may_pass = answer.status == 429 or answer.status >= 500
            raise TaskFailed(f"EKS.{answer.status}", shapes.json_text(_result(answer)), may_pass)
        return answer

    def jobs_path(self) -> str:
        return f"/apis/batch/v1/namespaces/{self.facts['namespace']}/jobs"

    def job_path(self) -> str:
        return f"{self.jobs_path()}/{self.facts['name']}"


# ---------------------------------------------------------------------------------------------- runJob


def _run_job(caller: Any, request: Any) -> dict:
    given = http_tasks.Parameters(request, (*CONNECTION, "Namespace", "Job", "LogOptions"), (*CONNECTION, "Job"))
    job, logs = given.mapping("Job"), given.mapping("LogOptions")
    wrong = [name for name in logs if name not in ("RetrieveLogs", "RawLogs", "LogParameters")]
    if wrong:
        raise given.refuse(f'The field "{wrong[0]}" is not supported by Step Functions')
    metadata = job.get("metadata") if isinstance(job.get("metadata"), dict) else {}
    namespace = given.text("Namespace") or str(metadata.get("namespace") or "default")
    cluster = Cluster(caller, request, given, {"namespace": namespace})
    if not request.job:
        return _result(cluster.send("POST", cluster.jobs_path(), body=job))
    answer = _create(cluster, job, metadata, str(request.job.get("key") or ""))
    made = answer.result()["ResponseBody"]
    name = made.get("metadata", {}).get("name") if isinstance(made, dict) else None
    if not isinstance(name, str):
        raise TaskFailed("EKS.SdkClientException", "The cluster answered something that is no Job")
    facts = {**{member: given.text(member) for member in CONNECTION}, "namespace": namespace, "name": name, "logs": logs}
    return {"answer": _result(answer), "job": {"describe": facts, "stop": {}}}


def _create(cluster: Cluster, job: dict, metadata: dict, key: str) -> http_tasks.Answer:
    """Makes the Job, or finds the one that this attempt made before."""
    if not key:
        return cluster.send("POST", cluster.jobs_path(), body=job)
    attempt = str(uuid.uuid5(uuid.NAMESPACE_OID, key))
    marked = metadata | {"annotations": (metadata.get("annotations") or {}) | {ATTEMPT: attempt}}
    name = metadata.get("name")
    if not name:
        marked["labels"] = (metadata.get("labels") or {}) | {ATTEMPT: attempt}
        found = cluster.send("GET", cluster.jobs_path(), [("labelSelector", f"{ATTEMPT}={attempt}")])
        items = found.result()["ResponseBody"].get("items") or []
        if items:
            return http_tasks.Answer(200, "OK", [("Content-Type", "application/json")], json.dumps(items[0]).encode())
    answer = cluster.send("POST", cluster.jobs_path(), body=job | {"metadata": marked}, known=(409,))
    if answer.status != 409:
        return answer
    there = cluster.send("GET", f"{cluster.jobs_path()}/{name}", known=(404,))
    body = there.result()["ResponseBody"]
    annotations = body.get("metadata", {}).get("annotations") if isinstance(body, dict) else None
    if there.status == 200 and isinstance(annotations, dict) and annotations.get(ATTEMPT) == attempt:
        return there
    raise TaskFailed("EKS.409", shapes.json_text(_result(answer)))


def _poll(cluster: Cluster) -> dict:
    answer = cluster.send("GET", cluster.job_path(), known=(404,))
    if answer.status == 404:
        return {"state": "MISSING"}
    job = answer.result()["ResponseBody"]
    status = job.get("status") if isinstance(job, dict) else None
    conditions = (status.get("conditions") if isinstance(status, dict) else None) or []
    true = {condition.get("type") for condition in conditions if isinstance(condition, dict) and condition.get("status") == "True"}
    if not true & {"Complete", "Failed"}:
        return {"state": "RUNNING"}
    if cluster.facts.get("logs", {}).get("RetrieveLogs"):
        job["logs"] = {"pods": _logs(cluster)}
    if "Failed" in true:
        return {"state": "FAILED", "cause": shapes.json_text(job)}
    return {"state": "SUCCEEDED", "result": job}


def _logs(cluster: Cluster) -> dict:
    base = f"/api/v1/namespaces/{cluster.facts['namespace']}/pods"
    options = cluster.facts["logs"]
    more = options.get("LogParameters") if isinstance(options.get("LogParameters"), dict) else {}
    query = [(name, inner if isinstance(inner, str) else shapes.json_text(inner)) for name, value in more.items()
             for inner in (value if isinstance(value, list) else [value]) if name not in ("container", "follow")]  # fmt: skip
    listed = cluster.send("GET", base, [("labelSelector", f"job-name={cluster.facts['name']}"), ("limit", str(PODS_MAX))])
    pods = {}
    for pod in listed.result()["ResponseBody"].get("items") or []:
        name, containers = pod["metadata"]["name"], {}
        for container in pod.get("spec", {}).get("containers", []):
            wanted = [*query, ("container", container["name"])]
            answer = cluster.send("GET", f"{base}/{name}/log", wanted, known=(400, 404))  # A container that never began has none.
            text = answer.text() if answer.status == 200 else ""
            containers[container["name"]] = {"log": text if options.get("RawLogs") else _parsed(text)}
        pods[name] = {"containers": containers}
    return pods


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _stop(cluster: Cluster) -> dict:
    cluster.send("DELETE", cluster.job_path(), [("propagationPolicy", "Background")], known=(404,))
    return {}
