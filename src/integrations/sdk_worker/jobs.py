"""The .sync pattern of services that run jobs: how each is started, asked after and stopped, and what its end is called.

One row a resource. Names are those of the service's model in botocore, so a row can be held against it (tests do). A path is dotted
("jobs.0.status"); ids are "answer.PATH" (what the start answered) or "parameters.PATH" (what it was given), in a list where the
operation wants one. The server asks when it is time, and remembers between restarts what `start` gave it (`facts`); nothing is kept
here.

What AWS documents of results: the described job itself (batch, ecs, glue), or the whole answer of the describing operation
(athena, codebuild, sagemaker, ...). A job that fails is States.TaskFailed with the result as cause.
"""

from __future__ import annotations

import dataclasses
import uuid
from typing import Any

import botocore.exceptions
import shapes


@dataclasses.dataclass(frozen=True)
class Job:
    describe: str
    ids: dict[str, Any]
    status: str
    good: tuple[str, ...]
    bad: tuple[str, ...] = ()
    result: str = ""  # A path in the answer; "" is the whole.
    also: str = ""  # An id that stands in the result beside what was described.
    wrap: str = ""  # The result is an object with this one member.
    stop: str = ""
    stop_ids: dict[str, Any] | None = None  # As `ids`, where they are not the same.
    token: str = ""  # The parameter that makes a repetition harmless.
    gone: str = ""  # The error that says it is over: of what is deleted.
    service: str = ""  # botocore's name where it is not that of the resource's other actions.


def _sagemaker(kind: str) -> Job:
    name = f"{kind}Name"
    return Job(f"Describe{kind}", {name: f"parameters.{name}"}, f"{kind}Status", ("Completed",), ("Failed", "Stopped"), stop=f"Stop{kind}")


def _eks(kind: str, member: str, *names: str, deletes: bool = False) -> Job:
    ids = {name: f"parameters.{name}" for name in names}
    failed = "FAILED" if kind == "Cluster" else "DELETE_FAILED" if deletes else "CREATE_FAILED"
    if deletes:
        return Job(f"Describe{kind}", ids, f"{member}.status", (), (failed,), gone="ResourceNotFoundException")
    return Job(f"Describe{kind}", ids, f"{member}.status", ("ACTIVE",), (failed,), token="clientRequestToken")


def _application(*good: str, bad: tuple[str, ...] = ("TERMINATED",), source: str = "parameters", token: str = "", gone: str = "") -> Job:
    ids = {"applicationId": f"{source}.applicationId"}
    return Job("GetApplication", ids, "application.state", good, bad, token=token, gone=gone)


_SERVERLESS_RUN = Job(
    "GetJobRun",
    {"applicationId": "answer.applicationId", "jobRunId": "answer.jobRunId"},
    "jobRun.state",
    ("SUCCESS",),
    ("FAILED", "CANCELLED"),
    stop="CancelJobRun",
    token="clientToken",
)
_SERVERLESS_CANCEL = dataclasses.replace(_SERVERLESS_RUN, good=("CANCELLED",), bad=("SUCCESS", "FAILED"), stop="", token="")
_BUILD = Job(
    "BatchGetBuilds",
    {"ids": ["answer.build.id"]},
    "builds.0.buildStatus",
    ("SUCCEEDED",),
    ("FAILED", "FAULT", "STOPPED", "TIMED_OUT"),
    result="builds.0",
    wrap="Build",
    stop="StopBuild",
    stop_ids={"id": "answer.build.id"},
    token="idempotencyToken",
)
_BATCH_BUILD = dataclasses.replace(
    _BUILD,
    describe="BatchGetBuildBatches",
    ids={"ids": ["answer.buildBatch.id"]},
    status="buildBatches.0.buildBatchStatus",
    result="buildBatches.0",
    wrap="BuildBatch",
    stop="StopBuildBatch",
    stop_ids={"id": "answer.buildBatch.id"},
)

JOBS: dict[tuple[str, str], Job] = {
    ("athena", "startQueryExecution"): Job(
        "GetQueryExecution",
        {"QueryExecutionId": "answer.QueryExecutionId"},
        "QueryExecution.Status.State",
        ("SUCCEEDED",),
        ("FAILED", "CANCELLED"),
        stop="StopQueryExecution",
        token="ClientRequestToken",
    ),
    ("batch", "submitJob"): Job(
        "DescribeJobs",
        {"jobs": ["answer.jobId"]},
        "jobs.0.status",
        ("SUCCEEDED",),
        ("FAILED",),
        result="jobs.0",
        stop="TerminateJob",
        stop_ids={"jobId": "answer.jobId", "reason": "=Stopped by Step Functions"},
    ),
    ("bedrock", "createModelCustomizationJob"): Job(
        "GetModelCustomizationJob",
        {"jobIdentifier": "answer.jobArn"},
        "status",
        ("Completed",),
        ("Failed", "Stopped"),
        stop="StopModelCustomizationJob",
        token="clientRequestToken",
        service="bedrock",
    ),
    ("codebuild", "startBuild"): _BUILD,
    ("codebuild", "startBuildBatch"): _BATCH_BUILD,
    ("codebuild", "retryBuildBatch"): _BATCH_BUILD,
    ("databrew", "startJobRun"): Job(
        "DescribeJobRun",
        {"Name": "parameters.Name", "RunId": "answer.RunId"},
        "State",
        ("SUCCEEDED",),
        ("FAILED", "STOPPED", "TIMEOUT"),
        stop="StopJobRun",
    ),
    ("ecs", "runTask"): Job(
        "DescribeTasks",
        {"cluster": "parameters.cluster", "tasks": ["answer.tasks.0.taskArn"]},
        "tasks.0.lastStatus",
        ("STOPPED",),
        result="tasks.0",
        stop="StopTask",
        stop_ids={"cluster": "parameters.cluster", "task": "answer.tasks.0.taskArn", "reason": "=Stopped by Step Functions"},
        token="clientToken",
    ),
    ("eks", "createCluster"): _eks("Cluster", "cluster", "name"),
    ("eks", "createFargateProfile"): _eks("FargateProfile", "fargateProfile", "clusterName", "fargateProfileName"),
    ("eks", "createNodegroup"): _eks("Nodegroup", "nodegroup", "clusterName", "nodegroupName"),
    ("eks", "deleteCluster"): _eks("Cluster", "cluster", "name", deletes=True),
    ("eks", "deleteFargateProfile"): _eks("FargateProfile", "fargateProfile", "clusterName", "fargateProfileName", deletes=True),
    ("eks", "deleteNodegroup"): _eks("Nodegroup", "nodegroup", "clusterName", "nodegroupName", deletes=True),
    ("elasticmapreduce", "addStep"): Job(
        "DescribeStep",
        {"ClusterId": "parameters.JobFlowId", "StepId": "answer.StepIds.0"},
        "Step.Status.State",
        ("COMPLETED",),
        ("CANCELLED", "FAILED", "INTERRUPTED"),
        stop="CancelSteps",
        stop_ids={"ClusterId": "parameters.JobFlowId", "StepIds": ["answer.StepIds.0"]},
    ),
    ("elasticmapreduce", "createCluster"): Job(
        "DescribeCluster",
        {"ClusterId": "answer.JobFlowId"},
        "Cluster.Status.State",
        ("WAITING", "TERMINATED"),
        ("TERMINATED_WITH_ERRORS",),
        also="ClusterId",
    ),
    ("elasticmapreduce", "terminateCluster"): Job(
        "DescribeCluster",
        {"ClusterId": "parameters.JobFlowIds.0"},
        "Cluster.Status.State",
        ("TERMINATED", "TERMINATED_WITH_ERRORS"),
    ),
    ("emr-containers", "startJobRun"): Job(
        "DescribeJobRun",
        {"id": "answer.id", "virtualClusterId": "answer.virtualClusterId"},
        "jobRun.state",
        ("COMPLETED",),
        ("FAILED", "CANCELLED"),
        stop="CancelJobRun",
        token="clientToken",
    ),
    ("emr-containers", "deleteVirtualCluster"): Job(
        "DescribeVirtualCluster", {"id": "answer.id"}, "virtualCluster.state", ("TERMINATED",), ("ARRESTED",)
    ),
    ("emr-serverless", "startJobRun"): _SERVERLESS_RUN,
    ("emr-serverless", "cancelJobRun"): _SERVERLESS_CANCEL,
    ("emr-serverless", "createApplication"): _application("CREATED", "STARTED", source="answer", token="clientToken"),
    ("emr-serverless", "startApplication"): _application("STARTED"),
    ("emr-serverless", "stopApplication"): _application("STOPPED"),
    ("emr-serverless", "deleteApplication"): _application("TERMINATED", bad=(), gone="ResourceNotFoundException"),
    ("glue", "startJobRun"): Job(
        "GetJobRun",
        {"JobName": "parameters.JobName", "RunId": "answer.JobRunId"},
        "JobRun.JobRunState",
        ("SUCCEEDED",),
        ("FAILED", "STOPPED", "TIMEOUT", "ERROR", "EXPIRED"),
        result="JobRun",
        stop="BatchStopJobRun",
        stop_ids={"JobName": "parameters.JobName", "JobRunIds": ["answer.JobRunId"]},
    ),
    ("mediaconvert", "createJob"): Job(
        "GetJob", {"Id": "answer.Job.Id"}, "Job.Status", ("COMPLETE",), ("ERROR", "CANCELED"), stop="CancelJob", token="ClientRequestToken"
    ),
    ("sagemaker", "createHyperParameterTuningJob"): _sagemaker("HyperParameterTuningJob"),
    ("sagemaker", "createLabelingJob"): _sagemaker("LabelingJob"),
    ("sagemaker", "createProcessingJob"): _sagemaker("ProcessingJob"),
    ("sagemaker", "createTrainingJob"): _sagemaker("TrainingJob"),
    ("sagemaker", "createTransformJob"): _sagemaker("TransformJob"),
}


class TaskFailed(Exception):
    """The service took the call, and nothing runs all the same."""

    def __init__(self, name: str, cause: str):
        super().__init__(cause)
        self.name, self.cause = name, cause


def find(path: str, value: Any) -> Any:
    for step in path.split("."):
        if isinstance(value, list):
            value = value[int(step)] if step.isdigit() and int(step) < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def _fill(ids: dict[str, Any], sources: dict) -> dict:
    """The parameters of a call; what was not given (the default ECS cluster) is left out."""

    def one(source: str) -> Any:
        return source[1:] if source.startswith("=") else find(source, sources)

    filled = {name: [one(inner) for inner in source] if isinstance(source, list) else one(source) for name, source in ids.items()}
    return {name: value for name, value in filled.items() if value is not None}


def token_for(job: Job, arguments: dict, key: str) -> None:
    if job.token and key and job.token not in arguments:
        arguments[job.token] = str(uuid.uuid5(uuid.NAMESPACE_OID, key))


def facts_of(job: Job, arguments: dict, answer: dict, result: dict) -> dict:
    """What finds the job again, as JSON."""
    if job.describe == "DescribeTasks" and not answer.get("tasks"):
        raise TaskFailed("AmazonECS.Unknown", shapes.json_text(result))
    sources = {"parameters": arguments, "answer": answer}
    stop = _fill(job.stop_ids or job.ids, sources) if job.stop else None
    return {"describe": _fill(job.ids, sources), "stop": stop}


def poll(job: Job, client: Any, operation: Any, facts: dict, style: str) -> dict:
    """{"state": "RUNNING"}, MISSING, SUCCEEDED with the result, or FAILED with the cause."""
    try:
        answer = client._make_api_call(job.describe, facts["describe"])
    except botocore.exceptions.ClientError as error:
        if job.gone and error.response.get("Error", {}).get("Code") == job.gone:
            return {"state": "SUCCEEDED", "result": {}}
        raise
    status = find(job.status, answer)
    if status is None:
        return {"state": "MISSING"}
    if status not in job.good and status not in job.bad:
        return {"state": "RUNNING"}
    result = find(_spelled(job.result, style), shapes.to_result(answer, operation.output_shape, style)) if job.result else None
    if result is None:
        result = shapes.to_result(answer, operation.output_shape, style)
    if job.also:
        result = {job.also: facts["describe"][job.also], **result}
    if job.wrap:
        result = {job.wrap: result}
    if status in job.bad or _task_failed(job, answer):
        return {"state": "FAILED", "cause": shapes.json_text(result)}
    return {"state": "SUCCEEDED", "result": result}


def _spelled(path: str, style: str) -> str:
    return ".".join(step if step.isdigit() else shapes.member_name(step, style) for step in path.split("."))


def _task_failed(job: Job, answer: dict) -> bool:
    """ECS knows only that a task stopped; its containers know how."""
    if job.describe != "DescribeTasks":
        return False
    task = answer["tasks"][0]
    codes = [container.get("exitCode") for container in task.get("containers", [])]
    return task.get("stopCode") == "TaskFailedToStart" or any(code not in (None, 0) for code in codes)
