"""One AWS call: find the operation, make the client, call, and word the outcome as Step Functions does.

Clients are kept per (service, region, endpoint, credentials, role): botocore's clients are thread-safe, making one is not, and costs
20-200 ms. Roles are assumed through STS; botocore renews them shortly before they end, so a client made for a role stays usable.
"""

from __future__ import annotations

import collections
import contextlib
import gzip
import hashlib
import json
import os
import re
import threading
import uuid
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import botocore
import botocore.config
import botocore.credentials
import botocore.exceptions
import botocore.session
import eks
import emr
import http_tasks
import jobs
import objects
import shapes
import stand_in

CLIENTS_MAX = 128
SESSIONS_MAX = 64

# The optimised integrations: name in the ARN -> (botocore's name, prefix of error names, service and base exception in causes). These
# are names that version 1 of the SDK for Java gave its clients; no model holds them.
OPTIMISED = {
    "athena": ("athena", "Athena", "AmazonAthena", "AmazonAthenaException"),
    "batch": ("batch", "Batch", "AWSBatch", "AWSBatchException"),
    "bedrock": ("bedrock-runtime", "Bedrock", "BedrockRuntime", "BedrockRuntimeException"),
    "codebuild": ("codebuild", "CodeBuild", "AWSCodeBuild", "AWSCodeBuildException"),
    "databrew": ("databrew", "DataBrew", "AWSGlueDataBrew", "AWSGlueDataBrewException"),
    "dynamodb": ("dynamodb", "DynamoDB", "AmazonDynamoDBv2", "AmazonDynamoDBException"),
    "ecs": ("ecs", "ECS", "AmazonECS", "AmazonECSException"),
    "eks": ("eks", "EKS", "AmazonEKS", "AmazonEKSException"),
    "elasticmapreduce": ("emr", "EMR", "AmazonElasticMapReduce", "AmazonElasticMapReduceException"),
    "emr-containers": ("emr-containers", "EMRContainers", "AmazonEMRContainers", "AmazonEMRContainersException"),
    "emr-serverless": ("emr-serverless", "EMRServerless", "AWSEMRServerless", "AWSEMRServerlessException"),
    "events": ("events", "EventBridge", "AmazonEventBridge", "AmazonEventBridgeException"),
    "glue": ("glue", "Glue", "AWSGlue", "AWSGlueException"),
    "lambda": ("lambda", "Lambda", "AWSLambda", "AWSLambdaException"),
    "mediaconvert": ("mediaconvert", "MediaConvert", "AWSMediaConvert", "AWSMediaConvertException"),
    "sagemaker": ("sagemaker", "SageMaker", "AmazonSageMaker", "AmazonSageMakerException"),
    "sns": ("sns", "SNS", "AmazonSNS", "AmazonSNSException"),
    "sqs": ("sqs", "SQS", "AmazonSQS", "AmazonSQSException"),
    "states": ("stepfunctions", "StepFunctions", "AWSStepFunctions", "AWSStepFunctionsException"),
}

# Header names as AWS spells them; the HTTP library lowers them. DynamoDB's front end has spellings of its own.
HEADER_SPELLINGS = {
    "x-amzn-requestid": "x-amzn-RequestId",
    "content-length": "Content-Length",
    "content-type": "Content-Type",
    "date": "Date",
}
DYNAMODB_SPELLINGS = HEADER_SPELLINGS | {"server": "Server", "connection": "Connection"}

THROTTLING = re.compile(r"throttl|toomanyrequests|limitexceeded|slowdown|requestlimit|bandwidthlimit|provisionedthroughput", re.I)


class CallFailed(Exception):
    def __init__(self, name: str, cause: str, retryable: bool = False):
        super().__init__(cause)
        self.name, self.cause, self.retryable = name, cause, retryable


class Catalogue:
    """Services by the name that Step Functions uses for them (the SDK's, without spaces, lower case), and their operations."""

    def __init__(self):
        self._lock = threading.Lock()
        self._session = botocore.session.Session()
        self._by_id: dict[str, str] | None = None
        self._models: dict[str, Any] = {}

    def service(self, name: str, style: str) -> str:
        if style != "aws-sdk":
            if name not in OPTIMISED:
                raise KeyError(name)
            return OPTIMISED[name][0]
        with self._lock:
            if self._by_id is None:
                self._by_id = self._index()
        return self._by_id[name.lower()]

    def model(self, service: str) -> Any:
        with self._lock:
            if service not in self._models:
                self._models[service] = self._session.get_service_model(service)
            return self._models[service]

    def operation(self, model: Any, action: str) -> Any:
        exact = shapes.capital(action)
        if exact in model.operation_names:
            return model.operation_model(exact)
        for name in model.operation_names:
            if shapes.uncapitalize(name) == action:
                return model.operation_model(name)
        raise KeyError(action)

    def _index(self) -> dict[str, str]:
        """Reads only the head of each model: the metadata stands first, and parsing all of them takes half a minute."""
        loader = self._session.get_component("data_loader")
        found: dict[str, str] = {}
        for service in loader.list_available_services("service-2"):
            head = self._head(loader, service)
            match = re.search(rb'"serviceId"\s*:\s*"([^"]+)"', head)
            name = shapes.service_name(match.group(1).decode()) if match else service
            found.setdefault(re.sub(r"[^A-Za-z0-9]", "", name).lower(), service)
        return found

    @staticmethod
    def _head(loader: Any, service: str) -> bytes:
        version = loader.determine_latest_version(service, "service-2")
        for folder in loader.search_paths:
            path = os.path.join(folder, service, version, "service-2.json")
            for name, opener in ((path + ".gz", gzip.open), (path, open)):
                if os.path.exists(name):
                    with opener(name, "rb") as file:
                        return file.read(4096)
        return b""


class Clients:
    """Clients and sessions, the least recently used leave first; bounded, because queue addresses and roles come from playbooks."""

    def __init__(self):
        self._lock = threading.Lock()
        self._clients: collections.OrderedDict[tuple, Any] = collections.OrderedDict()
        self._sessions: collections.OrderedDict[tuple, Any] = collections.OrderedDict()

    def get(self, service: str, request: Request) -> Any:
        key = (service, request.region, request.endpoint_url, request.identity(), _timeout_class(request.timeout_s))
        with self._lock:
            if key in self._clients:
                self._clients.move_to_end(key)
                return self._clients[key]
            client = self._make(self._session(request), service, request)
            self._clients[key] = client
            while len(self._clients) > CLIENTS_MAX:
                self._clients.popitem(last=False)
            return client

    def credentials(self, request: Request) -> Any:
        """Those that calls of this request are signed with; None where there are none."""
        with self._lock:
            return self._session(request).get_credentials()

    def _session(self, request: Request) -> Any:
        key = (request.identity(), request.region, request.endpoint_url)
        if key in self._sessions:
            self._sessions.move_to_end(key)
            return self._sessions[key]
        session = botocore.session.Session()
        if request.credentials:
            session.set_credentials(
                request.credentials.get("access_key_id"),
                request.credentials.get("secret_access_key"),
                request.credentials.get("session_token") or None,
            )
        if request.role_arn:
            sts = self._make(session, "sts", request)
            words = {"RoleArn": request.role_arn, "RoleSessionName": request.role_session_name}
            refresh = botocore.credentials.create_assume_role_refresher(sts, words)
            assumed = botocore.session.Session()
            assumed._credentials = botocore.credentials.DeferredRefreshableCredentials(refresh, "sts-assume-role")
            session = assumed
        self._sessions[key] = session
        while len(self._sessions) > SESSIONS_MAX:
            self._sessions.popitem(last=False)
        return session

    @staticmethod
    def _make(session: Any, service: str, request: Request) -> Any:
        config = botocore.config.Config(
            connect_timeout=min(10, request.timeout_s),
            read_timeout=_timeout_class(request.timeout_s),
            max_pool_connections=32,
            retries={"mode": "standard", "total_max_attempts": 3},
            parameter_validation=False,
            inject_host_prefix=not request.endpoint_url,
            s3={"addressing_style": "path"} if request.endpoint_url else None,
            response_checksum_validation="when_required",  # Asking for checksums puts them into results.
        )
        client = session.create_client(service, region_name=request.region, endpoint_url=request.endpoint_url, config=config)
        if request.endpoint_url:
            host = urlsplit(request.endpoint_url).netloc

            def keep_host(request: Any, **_: Any) -> None:
                # Some models put a label (the account, "sync-") before the host; a given endpoint is meant as it stands.
                parts = urlsplit(request.url)
                if parts.netloc != host:
                    request.url = urlunsplit(parts._replace(netloc=host))

            client.meta.events.register("before-sign", keep_host)
            stand_in.adapt(client, service)
        return client


def _timeout_class(timeout_s: float) -> int:
    """Read timeouts belong to clients; a few classes keep the cache small. The exact limit of a task is kept by the caller."""
    return next((limit for limit in (10, 60, 300, 900) if timeout_s <= limit), 3600)


class Request:
    """One request frame, checked. Field names are the frame's."""

    def __init__(self, frame: dict):
        def text(name: str, default: str | None = None) -> str | None:
            value = frame.get(name, default)
            if value is not None and not isinstance(value, str):
                raise ValueError(f'"{name}" must be a string')
            return value or default

        self.service, self.action = text("service"), text("action")
        if not self.service or not self.action:
            raise ValueError('"service" and "action" are required')
        self.parameters = frame.get("parameters")
        self.region = text("region", os.environ.get("AWS_DEFAULT_REGION", "us-east-1"))
        self.endpoint_url = text("endpoint_url")
        if self.endpoint_url and urlsplit(self.endpoint_url).scheme not in ("http", "https"):
            raise ValueError('"endpoint_url" must be an http or https URL')
        self.credentials = frame.get("credentials")
        if self.credentials is not None and not isinstance(self.credentials, dict):
            raise ValueError('"credentials" must be an object or null')
        self.role_arn = text("role_arn")
        session_name = re.sub(r"[^\w+=,.@-]", "-", text("role_session_name", "sortie") or "sortie")
        self.role_session_name = session_name[:64].ljust(2, "-")
        self.style = text("style", "aws-sdk")
        if self.style not in ("aws-sdk", "optimized", "objects"):
            raise ValueError('"style" must be aws-sdk, optimized or objects')
        timeout = frame.get("timeout_s", 60)
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout > 0:
            raise ValueError('"timeout_s" must be a positive number')
        self.timeout_s = min(float(timeout), 3600.0)
        self.trace = http_tasks.Trace()
        self.trace_parent = text("trace_parent")
        self.job = frame.get("job")
        if self.job is not None and (not isinstance(self.job, dict) or self.job.get("phase") not in ("start", "poll", "stop")):
            raise ValueError('"job" must be an object with a phase')

    def identity(self) -> tuple:
        digest = hashlib.sha256(json.dumps(self.credentials, sort_keys=True).encode()).hexdigest() if self.credentials else None
        return (digest, self.role_arn, self.role_session_name if self.role_arn else None)


class Caller:
    def __init__(self):
        self.catalogue = Catalogue()
        self.clients = Clients()

    def call(self, request: Request) -> dict:
        """The task's result, or CallFailed with the error name and cause of Step Functions."""
        if request.style == "objects":
            return self._call_objects(request)
        if request.style == "optimized" and (request.service in ("http", "apigateway") or eks.is_kubernetes(request)):
            try:
                if request.service != "eks":
                    return http_tasks.call(self, request, request.trace)
                with http_tasks.socket_failures("EKS.SdkClientException"):
                    return eks.call(self, request)
            except http_tasks.TaskFailed as error:
                raise CallFailed(error.name, error.cause, error.retryable) from None
        service, operation = self._operation(request)
        words = Words(request, operation.service_model)
        if request.job and request.job["phase"] != "start":
            return self._go_on(service, request, words)
        try:
            arguments = shapes.to_request(emr.parameters(request), operation.input_shape, request.style)
        except shapes.BadParameter as error:
            listed = ", ".join(error.messages)
            shown = shapes.json_text(request.parameters)
            raise CallFailed("States.Runtime", f"The Parameters '{shown}' could not be used to start the Task: [{listed}]") from None
        except shapes.MissingMember as error:
            raise words.missing(error.path) from None
        if not request.job:
            return self._send(service, operation, arguments, request, words)[1]
        job = jobs.JOBS[request.service, request.action]
        jobs.token_for(job, arguments, str(request.job.get("key") or ""))
        answer, result = self._send(service, operation, arguments, request, words)
        try:
            return {"answer": result, "job": jobs.facts_of(job, arguments, answer, result)}
        except jobs.TaskFailed as error:
            raise CallFailed(error.name, error.cause) from None

    def _operation(self, request: Request) -> tuple[str, Any]:
        job = jobs.JOBS.get((request.service, request.action)) if request.style == "optimized" else None
        try:
            if request.job and job is None:
                raise KeyError(request.action)
            service = (job.service if job else "") or self.catalogue.service(request.service, request.style)
            return service, self.catalogue.operation(self.catalogue.model(service), emr.action(request))
        except (KeyError, botocore.exceptions.UnknownServiceError, botocore.exceptions.DataNotFoundError):
            prefix = "aws-sdk:" if request.style == "aws-sdk" else ""
            raise CallFailed(
                "States.Runtime",
                f"The resource provided arn:aws:states:::{prefix}{request.service}:{request.action} is not recognized. "
                "The value is not a valid resource ARN, or the resource is not available in this region.",
            ) from None

    def _go_on(self, service: str, request: Request, words: Words) -> dict:
        """Asks after a job that was started, or stops it."""
        job, facts = jobs.JOBS[request.service, request.action], request.job.get("facts")
        if not isinstance(facts, dict) or not isinstance(facts.get("describe"), dict):
            raise ValueError('"job" has no facts')
        name = job.describe if request.job["phase"] == "poll" else job.stop
        operation = self.catalogue.operation(self.catalogue.model(service), name)
        with words.spoken(operation):
            client = self.clients.get(service, request)
            if request.job["phase"] == "poll":
                return jobs.poll(job, client, operation, facts, request.style)
            if facts.get("stop"):
                client._make_api_call(name, facts["stop"])
            return {}

    def check(self, request: Request, strict: bool) -> dict:
        """Whether a result that somebody made up could be the operation's; CallFailed says what is wrong. Unknown operations pass."""
        try:
            operation = self._operation(request)[1]
        except CallFailed:
            return {}
        wrong = shapes.result_fault(request.parameters, operation.output_shape, request.style, strict)
        if wrong:
            raise CallFailed("ValidationException", wrong)
        return {}

    def send_raw(self, service: str, operation: str, arguments: dict, request: Request) -> dict:
        return self.clients.get(service, request)._make_api_call(operation, arguments)

    def _call_objects(self, request: Request) -> dict:
        model = self.catalogue.model("s3")
        request.style = "aws-sdk"  # Names of errors, and of parameters.
        words = Words(request, model)
        try:
            return objects.call(self, request)
        except botocore.exceptions.ClientError as error:
            raise words.service_error(error, self.catalogue.operation(model, "getObject")) from None
        except botocore.exceptions.BotoCoreError as error:
            raise words.client_error(error) from None
        except shapes.MissingMember as error:
            raise words.missing(error.path) from None
        except shapes.BadParameter as error:
            raise CallFailed("States.Runtime", ", ".join(error.messages)) from None
        except zlib.error as error:
            raise CallFailed("States.Runtime", f"The object cannot be decompressed: {error}") from None

    def _send(self, service: str, operation: Any, arguments: dict, request: Request, words: Words) -> tuple[dict, dict]:
        """What botocore answered, and what it is to a state."""
        if service == "sqs":
            _follow_queue_url(arguments, request)
        if operation.has_streaming_input and "ContentType" in operation.input_shape.members:
            arguments.setdefault("ContentType", "text/plain; charset=UTF-8")  # A body from a state is always text.
        if request.endpoint_url:
            violations = stand_in.violations(arguments, operation)
            if violations:
                raise words.invalid(violations)
        with words.spoken(operation):
            client = self.clients.get(service, request)
            if missing := emr.find_by_name(client, request, arguments):
                raise words.refused(missing)
            answer = client._make_api_call(operation.name, arguments)
            result = emr.result(request, shapes.to_result(answer, operation.output_shape, request.style))
        if request.style == "optimized":
            result |= _metadata(answer.get("ResponseMetadata", {}), service)
            if operation.name == "PutEvents" and result.get("FailedEntryCount"):
                failed = {"FailedEntryCount": result["FailedEntryCount"], "Entries": result.get("Entries", [])}
                raise CallFailed("EventBridge.FailedEntry", shapes.json_text(failed))
        return answer, result


def _follow_queue_url(arguments: dict, request: Request) -> None:
    """SQS calls go to the host of their QueueUrl. AWS's own hosts stand for the configured endpoint, if there is one."""
    parts = urlsplit(arguments.get("QueueUrl") or "")
    if not parts.netloc or parts.scheme not in ("http", "https"):
        return
    if re.search(r"(^|\.)(amazonaws\.com(\.cn)?|api\.aws)(:\d+)?$", parts.netloc):
        return
    request.endpoint_url = f"{parts.scheme}://{parts.netloc}"


def _metadata(metadata: dict, service: str) -> dict:
    spellings = DYNAMODB_SPELLINGS if service == "dynamodb" else HEADER_SPELLINGS
    headers = {spellings.get(name, name): value for name, value in metadata.get("HTTPHeaders", {}).items()}
    return {
        "SdkHttpMetadata": {
            "AllHttpHeaders": {name: [value] for name, value in headers.items()},
            "HttpHeaders": headers,
            "HttpStatusCode": metadata.get("HTTPStatusCode", 200),
        },
        "SdkResponseMetadata": {"RequestId": metadata.get("RequestId") or headers.get("x-amzn-RequestId", "")},
    }


class Words:
    """Error names and causes in the words of the SDK generation that the integration uses."""

    def __init__(self, request: Request, model: Any):
        self.style, self.model = request.style, model
        if self.style == "aws-sdk":
            self.prefix = self.service = shapes.pascal(shapes.service_name(model.metadata.get("serviceId") or model.service_name))
            self.base = self.prefix + "Exception"
        else:
            _, self.prefix, self.service, self.base = OPTIMISED[request.service]

    @contextlib.contextmanager
    def spoken(self, operation: Any) -> Iterator[None]:
        """Whatever goes wrong with the calls within is a CallFailed."""
        try:
            yield
        except botocore.exceptions.ClientError as error:
            raise self.service_error(error, operation) from None
        except shapes.TooLarge:
            raise CallFailed("States.DataLimitExceeded", "The body of the result exceeds the maximum size of a state") from None
        except shapes.BadParameter as error:
            raise CallFailed("States.Runtime", error.messages[0]) from None
        except botocore.exceptions.BotoCoreError as error:
            raise self.client_error(error) from None

    def missing(self, path: list[str]) -> CallFailed:
        """A required member is absent. The service would say so; its words depend on the protocol family it comes from."""
        query = self.model.metadata.get("protocol") in ("query", "ec2") or "awsQueryCompatible" in self.model.metadata
        if query:
            code, text = "MissingParameter", f"The request must contain the parameter {path[-1]}."
        else:
            where = ".".join(shapes.uncapitalize(name) for name in path)
            return self.invalid([f"Value null at '{where}' failed to satisfy constraint: Member must not be null"])
        return CallFailed(f"{self.prefix}.{self.base}", self._cause(text, 400, code, str(uuid.uuid4()), None))

    def invalid(self, sentences: list[str]) -> CallFailed:
        """What breaks a constraint of the model, as AWS's services say it."""
        return self.refused(f"{len(sentences)} validation error{'s' * (len(sentences) > 1)} detected: " + "; ".join(sentences))

    def refused(self, text: str) -> CallFailed:
        return CallFailed(f"{self.prefix}.{self.base}", self._cause(text, 400, "ValidationException", str(uuid.uuid4()), None))

    def service_error(self, error: botocore.exceptions.ClientError, operation: Any) -> CallFailed:
        detail, metadata = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
        code = str(detail.get("Code") or "Unknown")
        status = metadata.get("HTTPStatusCode", 0)
        headers = metadata.get("HTTPHeaders", {})
        shape = self._error_shape(code, detail)
        name = shapes.exception_name(shape.name, self.style) if shape is not None else self.base
        request_id = metadata.get("RequestId") or headers.get("x-amzn-requestid") or headers.get("x-amz-request-id") or ""
        extended = metadata.get("HostId") or headers.get("x-amz-id-2")
        text = self._message(detail, status)
        retryable = status >= 500 or status == 429 or bool(THROTTLING.search(code))
        prefix = self.prefix
        if error.operation_name == "AssumeRole" and operation.name != "AssumeRole":
            prefix, name = ("Sts", "StsException") if self.style == "aws-sdk" else ("STS", "AWSSecurityTokenServiceException")
        return CallFailed(f"{prefix}.{name}", self._cause(text, status, code, request_id, extended), retryable)

    def _error_shape(self, code: str, detail: dict) -> Any:
        codes = {code, detail.get("QueryErrorCode"), code.rsplit("#", 1)[-1]}
        for shape in self.model.error_shapes:
            if shape.error_code in codes or shape.name in codes:
                return shape
        return None

    @staticmethod
    def _message(detail: dict, status: int) -> str:
        text = str(detail.get("Message") or detail.get("message") or "")
        if "<html" in text.lower():  # A front end answered, not the service.
            return f"The service answered HTTP {status} without an error document"
        return text or "null"

    def _cause(self, text: str, status: int, code: str, request_id: str, extended: str | None) -> str:
        if self.style == "aws-sdk":
            more = f", Extended Request ID: {extended}" if extended else ""
            return f"{text} (Service: {self.service}, Status Code: {status}, Request ID: {request_id}{more})"
        return f"{text} (Service: {self.service}; Status Code: {status}; Error Code: {code}; Request ID: {request_id}; Proxy: null)"

    def client_error(self, error: Exception) -> CallFailed:
        """Nothing came back, or nothing went out: the SDK for Java calls that SdkClientException."""
        name = f"{self.prefix}.SdkClientException"
        if isinstance(error, (botocore.exceptions.NoCredentialsError, botocore.exceptions.PartialCredentialsError)):
            return CallFailed(name, "Unable to load credentials from any of the providers in the chain")
        if isinstance(error, (botocore.exceptions.ReadTimeoutError, botocore.exceptions.ConnectTimeoutError)):
            what = "Read timed out" if isinstance(error, botocore.exceptions.ReadTimeoutError) else "connect timed out"
            return CallFailed(name, f"Unable to execute HTTP request: {what}", True)
        if isinstance(error, botocore.exceptions.HTTPClientError | botocore.exceptions.ConnectionError):
            return CallFailed(name, f"Unable to execute HTTP request: {_connection_cause(error)}", True)
        return CallFailed(name, f"Unable to execute the request: {error}", False)


def _connection_cause(error: Exception) -> str:
    kwargs = getattr(error, "kwargs", {})
    text = f"{kwargs.get('error', '')} {error}"
    host = urlsplit(kwargs.get("endpoint_url") or "").netloc or "the endpoint"
    if re.search(r"NameResolution|Name or service not known|Temporary failure in name resolution|nodename nor servname", text):
        return f"{host}: Name or service not known"
    if "Connection refused" in text:
        return f"Connect to {host} failed: Connection refused"
    if re.search(r"Connection was closed|RemoteDisconnected|reset by peer", text):
        return "The target server failed to respond"
    return str(kwargs.get("error") or error)
