"""The table of .sync jobs, against the services' models, the resources that a definition may name, and services that answer."""

from __future__ import annotations

import re

import botocore.exceptions
import calls
import eks
import emr
import jobs
import pytest
from conftest import ROOT

CATALOGUE = calls.Catalogue()


def request(service, action, parameters=None, **more) -> calls.Request:
    frame = {"service": service, "action": action, "parameters": parameters or {}, "style": "optimized"}
    return calls.Request(frame | more)


def operations(service, action):
    caller = calls.Caller()
    name, start = caller._operation(request(service, action))
    return start, lambda operation: CATALOGUE.operation(CATALOGUE.model(name), operation)


def has(shape, path: str) -> bool:
    """Whether a dotted path leads somewhere in a model."""
    for step in path.split("."):
        if step.isdigit() and shape.type_name == "list":
            shape = shape.member
        elif shape.type_name == "structure" and step in shape.members:
            shape = shape.members[step]
        else:
            return False
    return True


@pytest.mark.parametrize("resource", jobs.JOBS, ids=":".join)
def test_each_row_names_what_the_services_model_has(resource):
    job = jobs.JOBS[resource]
    start, operation = operations(*resource)
    describe = operation(job.describe)
    asked = [(describe, job.ids)]
    if job.stop:
        asked.append((operation(job.stop), job.stop_ids or job.ids))
    for called, ids in asked:
        assert set(ids) <= set(called.input_shape.members)
        assert set(called.input_shape.required_members) <= set(ids)
        for name, source in ids.items():
            assert isinstance(source, list) == (called.input_shape.members[name].type_name == "list")
            where, _, path = (source[0] if isinstance(source, list) else source).partition(".")
            if not where.startswith("="):
                assert has({"answer": start.output_shape, "parameters": start.input_shape}[where], path), source
    assert has(describe.output_shape, job.status)
    assert not job.result or has(describe.output_shape, job.result)
    assert not job.token or job.token in start.input_shape.members
    assert job.good or job.gone
    status = describe.output_shape
    for step in job.status.split("."):
        status = status.member if step.isdigit() else status.members[step]
    if getattr(status, "enum", None):
        assert set(job.good) | set(job.bad) <= set(status.enum)


def test_every_resource_that_a_definition_may_wait_for_has_a_row():
    source = (ROOT / "src/asl/resource.cpp").read_text()
    rows = re.findall(r'\{"([\w-]+)", "(\w+)", ([\w |]+)\}', source)
    waited = {(service, action) for service, action, patterns in rows if re.search(r"\bkRunJob\b", patterns)}
    assert len(rows) > 60
    assert waited == set(jobs.JOBS) | {("states", "startExecution"), ("eks", "runJob")}, "those two are carried out otherwise"
    caller = calls.Caller()
    for service, action, _ in rows:
        if service not in ("http", "apigateway", "states") and not eks.is_kubernetes(request(service, action)):
            caller._operation(request(service, action))


class Service:
    """Answers each operation with what it was told, in turn; the last answer stays."""

    def __init__(self, **answers):
        self.answers, self.asked = answers, []

    def _make_api_call(self, operation, arguments):
        self.asked.append((operation, arguments))
        answer = self.answers[operation].pop(0) if len(self.answers[operation]) > 1 else self.answers[operation][0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def run(monkeypatch):
    """Starts a job and asks after it once for each state that comes; then stops it."""

    def go(service, action, parameters, answers, polls=1):
        fake = Service(**answers)
        caller = calls.Caller()
        monkeypatch.setattr(caller.clients, "get", lambda *_: fake)
        started = caller.call(request(service, action, parameters, job={"phase": "start", "key": "k-1"}))
        seen = [caller.call(request(service, action, job={"phase": "poll", "facts": started["job"]})) for _ in range(polls)]
        caller.call(request(service, action, job={"phase": "stop", "facts": started["job"]})) if started["job"]["stop"] else None
        return started, seen, fake.asked

    return go


def test_a_batch_job_is_its_description(run):
    described = [{"jobs": [{"jobId": "j", "jobName": "n", "status": state}]} for state in ("RUNNABLE", "SUCCEEDED")]
    answers = {"SubmitJob": [{"jobId": "j", "jobName": "n"}], "DescribeJobs": described, "TerminateJob": [{}]}
    started, seen, asked = run("batch", "submitJob", {"JobName": "n", "JobQueue": "q", "JobDefinition": "d"}, answers, 2)
    assert (started["answer"]["JobId"], "SdkHttpMetadata" in started["answer"]) == ("j", True)
    assert seen == [{"state": "RUNNING"}, {"state": "SUCCEEDED", "result": {"JobName": "n", "JobId": "j", "Status": "SUCCEEDED"}}]
    assert asked[-1] == ("TerminateJob", {"jobId": "j", "reason": "Stopped by Step Functions"})


@pytest.mark.parametrize(("code", "state"), [(0, "SUCCEEDED"), (3, "FAILED")])
def test_an_ecs_task_is_as_good_as_its_containers(run, code, state):
    task = {"taskArn": "t", "lastStatus": "STOPPED", "containers": [{"name": "c", "exitCode": code}]}
    answers = {"RunTask": [{"tasks": [{"taskArn": "t"}], "failures": []}], "DescribeTasks": [{"tasks": [task]}], "StopTask": [{}]}
    _, seen, asked = run("ecs", "runTask", {"TaskDefinition": "d", "Cluster": "c"}, answers)
    assert seen[0]["state"] == state
    assert asked[0][1]["clientToken"] == str(jobs.uuid.uuid5(jobs.uuid.NAMESPACE_OID, "k-1"))
    assert asked[-1][1]["cluster"] == "c"


def test_an_ecs_task_that_finds_no_place_fails(run):
    failures = [{"arn": "a", "reason": "RESOURCE:MEMORY"}]
    with pytest.raises(calls.CallFailed) as caught:
        run("ecs", "runTask", {"TaskDefinition": "d"}, {"RunTask": [{"tasks": [], "failures": failures}]})
    assert caught.value.name == "AmazonECS.Unknown"
    assert '"Reason":"RESOURCE:MEMORY"' in caught.value.cause


def test_a_build_is_wrapped_and_its_failure_is_the_cause(run):
    built = {"builds": [{"id": "b", "buildStatus": "FAILED"}]}
    answers = {"StartBuild": [{"build": {"id": "b"}}], "BatchGetBuilds": [built], "StopBuild": [{}]}
    _, seen, asked = run("codebuild", "startBuild", {"ProjectName": "p"}, answers)
    assert seen == [{"state": "FAILED", "cause": '{"Build":{"Id":"b","BuildStatus":"FAILED"}}'}]
    assert asked[-1] == ("StopBuild", {"id": "b"})


def test_a_cluster_is_gone_when_nobody_knows_it_and_lost_ones_are_missing(run):
    gone = botocore.exceptions.ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "DescribeCluster")
    answers = {"DeleteCluster": [{"cluster": {}}], "DescribeCluster": [{"cluster": {"status": "DELETING"}}, gone]}
    _, seen, _ = run("eks", "deleteCluster", {"Name": "c"}, answers, 2)
    assert seen == [{"state": "RUNNING"}, {"state": "SUCCEEDED", "result": {}}]
    answers = {"SubmitJob": [{"jobId": "j", "jobName": "n"}], "DescribeJobs": [{"jobs": []}], "TerminateJob": [{}]}
    _, seen, _ = run("batch", "submitJob", {"JobName": "n", "JobQueue": "q", "JobDefinition": "d"}, answers)
    assert seen == [{"state": "MISSING"}]


def test_emr_takes_one_cluster_and_one_step(run):
    step = {"Name": "s", "HadoopJarStep": {"Jar": "x.jar"}}
    described = {"Step": {"Id": "s-1", "Status": {"State": "COMPLETED"}}}
    answers = {"AddJobFlowSteps": [{"StepIds": ["s-1"]}], "DescribeStep": [described], "CancelSteps": [{}]}
    started, seen, asked = run("elasticmapreduce", "addStep", {"ClusterId": "j-1", "Step": step}, answers)
    assert started["answer"]["StepId"] == "s-1"
    assert asked[0][1] == {"JobFlowId": "j-1", "Steps": [step]}
    assert seen[0]["result"]["Step"]["Id"] == "s-1"
    assert asked[-1] == ("CancelSteps", {"ClusterId": "j-1", "StepIds": ["s-1"]})
    for parameters in ({"JobFlowId": "j", "ClusterId": "j", "Step": step}, {"Step": step}):
        with pytest.raises(calls.CallFailed):
            run("elasticmapreduce", "addStep", parameters, answers)


def test_fleets_and_groups_of_a_cluster_are_changed_by_name(account):
    client = account.client("emr")
    group = {"Name": "core", "InstanceRole": "CORE", "InstanceCount": 1, "InstanceType": "m4.large"}
    instances = {"InstanceGroups": [group | {"Name": "main", "InstanceRole": "MASTER"}, group], "KeepJobFlowAliveWhenNoSteps": True}
    cluster = client.run_job_flow(Name="c", Instances=instances, JobFlowRole="r", ServiceRole="r")["JobFlowId"]
    caller, action = calls.Caller(), "modifyInstanceGroupByName"
    change = {"ClusterId": cluster, "InstanceGroupName": "core", "InstanceGroup": {"InstanceCount": 8}}
    caller.call(request("elasticmapreduce", action, change, endpoint_url=account.url))
    counts = {g["Name"]: g["RequestedInstanceCount"] for g in client.list_instance_groups(ClusterId=cluster)["InstanceGroups"]}
    assert counts == {"main": 1, "core": 8}
    for wrong in ({"InstanceGroupName": "nobody"}, {"InstanceGroup": None}, {"InstanceGroup": {"InstanceGroupId": "ig-1"}}, {"Other": 1}):
        with pytest.raises(calls.CallFailed):
            caller.call(request("elasticmapreduce", action, change | wrong, endpoint_url=account.url))


def test_a_fleet_is_asked_for_by_name_and_changed_by_id():
    class Pages:
        def paginate(self, **asked):
            assert asked == {"ClusterId": "j"}
            return [{"InstanceFleets": [{"Name": "a", "Id": "if-a"}]}, {"InstanceFleets": [{"Name": "b", "Id": "if-b"}]}]

    class Client:
        def get_paginator(self, name):
            assert name == "list_instance_fleets"
            return Pages()

    change = {"ClusterId": "j", "InstanceFleetName": "b", "InstanceFleet": {"TargetSpotCapacity": 2}}
    asked = request("elasticmapreduce", "modifyInstanceFleetByName", change)
    arguments = emr.parameters(asked)
    assert emr.find_by_name(Client(), asked, arguments) is None
    assert arguments == {"ClusterId": "j", "InstanceFleet": {"TargetSpotCapacity": 2, "InstanceFleetId": "if-b"}}


def test_jobs_of_the_stand_in_account_come_to_their_end(account):
    """What of it has such jobs: an Athena query, a CodeBuild build."""
    role = account.client("iam").create_role(RoleName="jobs", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    account.client("codebuild").create_project(
        name="build",
        source={"type": "S3", "location": "b/s.zip"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={"type": "LINUX_CONTAINER", "image": "x", "computeType": "BUILD_GENERAL1_SMALL"},
        serviceRole=role,
    )
    query = {"QueryString": "SELECT 1", "ResultConfiguration": {"OutputLocation": "s3://b/out"}}
    for service, action, parameters in (("athena", "startQueryExecution", query), ("codebuild", "startBuild", {"ProjectName": "build"})):
        caller = calls.Caller()
        started = caller.call(request(service, action, parameters, endpoint_url=account.url, job={"phase": "start", "key": "k"}))
        for _ in range(5):
            seen = caller.call(request(service, action, endpoint_url=account.url, job={"phase": "poll", "facts": started["job"]}))
            if seen["state"] != "RUNNING":
                break
        assert seen["state"] == "SUCCEEDED", (service, seen)


def test_a_path_leads_through_lists_and_never_breaks():
    assert jobs.find("a.0.b", {"a": [{"b": 1}]}) == 1
    for path, value in (("a.1.b", {"a": [{}]}), ("a.b", {"a": "text"}), ("a.b", {"a": [1]}), ("a", None)):
        assert jobs.find(path, value) is None
