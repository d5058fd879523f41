#!/usr/bin/env python3
"""Distributed Map against a stand-in S3: readers, batches, results, tolerated failures, stopping, kill -9, the API of map runs."""

from __future__ import annotations

import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import product as p

PASS = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
WAIT = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 2, "End": True}}}
ODD = {
    "StartAt": "C",
    "States": {
        "C": {"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericEquals": 3, "Next": "F"}], "Default": "P"},
        "F": {"Type": "Fail", "Error": "Odd", "Cause": "three"},
        "P": {"Type": "Pass", "End": True},
    },
}


def lines(count: int) -> dict:
    return {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {"InputType": "JSONL"},
        "Parameters": {"Bucket": "inbox", "Key": f"{count}.jsonl"},
    }


def machine(server: p.Server, name: str, processor: dict, kind: str = "STANDARD", **fields) -> str:
    processor = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": kind}, **processor}
    state = {"Type": "Map", "ItemProcessor": processor, "End": True, **fields}
    definition = json.dumps({"StartAt": "M", "States": {"M": state}})
    return server.client("stepfunctions").create_state_machine(name=name, definition=definition, roleArn=p.ROLE)["stateMachineArn"]


class World:
    def __init__(self, server: p.Server, s3):
        self.server, self.s3, self.sfn = server, s3, server.client("stepfunctions")

    def run(self, name: str, processor: dict, given: str = "{}", **fields) -> tuple[dict, dict | None]:
        arn = self.sfn.start_execution(stateMachineArn=machine(self.server, name, processor, **fields), input=given)["executionArn"]
        done = p.ended(self.sfn, arn)
        runs = self.sfn.list_map_runs(executionArn=arn)["mapRuns"]
        return done, self.sfn.describe_map_run(mapRunArn=runs[0]["mapRunArn"]) if runs else None

    def read(self, key: str):
        return json.loads(self.s3.get_object(Bucket="outbox", Key=key)["Body"].read())


def reads_batches_and_selects(w: World) -> None:
    done, run = w.run(
        "batches",
        PASS,
        ItemReader=lines(10),
        ItemSelector={"v.$": "$$.Map.Item.Value.n", "i.$": "$$.Map.Item.Index"},
        ItemBatcher={"MaxItemsPerBatch": 4, "BatchInput": {"for": "all"}},
    )
    batches = json.loads(done["output"])
    assert [len(b["Items"]) for b in batches] == [4, 4, 2], done
    assert batches[2]["Items"][1] == {"v": 9, "i": 9} and batches[0]["BatchInput"] == {"for": "all"}
    assert run["executionCounts"]["total"] == 3 and run["itemCounts"]["succeeded"] == 10, run


def writes_results(w: World) -> None:
    done, run = w.run(
        "writes",
        ODD,
        ItemReader=lines(10),
        ToleratedFailureCount=1,
        ResultWriter={"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "outbox", "Prefix": "results"}},
    )
    output = json.loads(done["output"])
    manifest = w.read(output["ResultWriterDetails"]["Key"])
    assert output["MapRunArn"] == manifest["MapRunArn"] == run["mapRunArn"]
    succeeded = w.read(manifest["ResultFiles"]["SUCCEEDED"][0]["Key"])
    failed = w.read(manifest["ResultFiles"]["FAILED"][0]["Key"])
    assert [json.loads(e["Output"])["n"] for e in succeeded] == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert failed[0]["Error"] == "Odd" and failed[0]["Status"] == "FAILED" and json.loads(failed[0]["Input"]) == {"n": 3}
    assert manifest["ResultFiles"]["PENDING"] == [] and run["itemCounts"]["failed"] == 1


def fails_beyond_what_is_tolerated(w: World) -> None:
    done, run = w.run(
        "strict",
        ODD,
        MaxConcurrency=1,
        ItemReader=lines(10),
        ResultWriter={"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "outbox", "Prefix": "strict"}},
    )
    assert done["status"] == "FAILED" and done["error"] == "States.ExceedToleratedFailureThreshold", done
    assert run["status"] == "FAILED" and run["itemCounts"]["failed"] == 1 and run["itemCounts"]["pending"] >= 1, run
    folder = "strict/" + run["mapRunArn"].rsplit(":", 1)[1]
    pending = w.read(f"{folder}/PENDING_0.json")
    assert [json.loads(e["Input"])["n"] for e in pending] == [4, 5, 6, 7, 8, 9], pending


def reader_and_writer_errors(w: World) -> None:
    missing = {**lines(10), "Parameters": {"Bucket": "inbox", "Key": "nothing"}}
    done, _ = w.run("missing", PASS, ItemReader=missing)
    assert done["error"] == "States.ItemReaderFailed", done
    done, _ = w.run(
        "nowhere",
        PASS,
        ItemReader=lines(10),
        ResultWriter={"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "no-such-bucket", "Prefix": "x"}},
    )
    assert done["error"] == "States.ResultWriterFailed", done


def children_have_names_and_run_as_express(w: World) -> None:
    done, run = w.run("express", PASS, given='[{"n":1},{"n":2}]', kind="EXPRESS", Label="sort")
    assert json.loads(done["output"]) == [{"n": 1}, {"n": 2}]
    assert ":mapRun:express/sort:" in run["mapRunArn"]
    children = w.sfn.list_executions(mapRunArn=run["mapRunArn"])["executions"]
    assert len(children) == 2 and all(":express:express/sort:" in c["executionArn"] for c in children), children
    _, run = w.run("named", PASS, given="[1,2,3]")
    children = w.sfn.list_executions(mapRunArn=run["mapRunArn"])["executions"]
    child = w.sfn.describe_execution(executionArn=children[0]["executionArn"])
    assert child["mapRunArn"] == run["mapRunArn"] and child["status"] == "SUCCEEDED", child
    assert child["stateMachineArn"] == run["mapRunArn"].rsplit(":", 1)[0].replace(":mapRun:", ":stateMachine:")
    assert [e["type"] for e in p.history(w.sfn, child["executionArn"])][-1] == "ExecutionSucceeded"


def stopping_aborts_and_updates_count(w: World) -> None:
    arn = machine(w.server, "stopped", WAIT, ItemReader=lines(1000), MaxConcurrency=2)
    execution = w.sfn.start_execution(stateMachineArn=arn)["executionArn"]
    run_arn = p.until(lambda: w.sfn.list_map_runs(executionArn=execution)["mapRuns"])[0]["mapRunArn"]
    p.until(lambda: w.sfn.describe_map_run(mapRunArn=run_arn)["executionCounts"]["running"] == 2)
    w.sfn.update_map_run(mapRunArn=run_arn, maxConcurrency=5)
    p.until(lambda: w.sfn.describe_map_run(mapRunArn=run_arn)["executionCounts"]["running"] == 5)
    w.sfn.stop_execution(executionArn=execution)
    run = p.until(lambda: (r := w.sfn.describe_map_run(mapRunArn=run_arn))["status"] != "RUNNING" and r)
    assert run["status"] == "ABORTED" and run["executionCounts"]["aborted"] == 5, run


def kill_runs_nothing_twice(w: World) -> None:
    arn = machine(
        w.server,
        "killed",
        {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 1, "End": True}}},
        ItemReader=lines(1000),
        MaxConcurrency=200,
    )
    execution = w.sfn.start_execution(stateMachineArn=arn)["executionArn"]
    for _ in range(3):
        time.sleep(1)
        w.server.kill()
        w.server.start()
    done = p.ended(w.sfn, execution)
    run = w.sfn.describe_map_run(mapRunArn=w.sfn.list_map_runs(executionArn=execution)["mapRuns"][0]["mapRunArn"])
    assert [item["n"] for item in json.loads(done["output"])] == list(range(1000))
    assert run["executionCounts"]["succeeded"] == run["executionCounts"]["total"] == 1000, run
    pages = w.sfn.get_paginator("list_executions").paginate(mapRunArn=run["mapRunArn"], maxResults=1000)
    assert sum(len(page["executions"]) for page in pages) == 1000


def redrive_runs_what_failed_again_and_nothing_else(w: World) -> None:
    for kind in ("STANDARD", "EXPRESS"):
        processor = {
            "StartAt": "Q",
            "States": {
                "Q": {
                    "Type": "Task",
                    "End": True,
                    "Resource": "arn:aws:states:::lambda:invoke",
                    "Parameters": {"FunctionName": "moody", "Payload.$": "$"},
                    "OutputPath": "$.Payload",
                }
            },
        }
        moody = "import json\ndef lambda_handler(e, c):\n    if e['n'] == 3 and {}: raise ValueError('not yet')\n    return e['n']\n"
        functions = w.server.client("lambda")
        if kind == "STANDARD":
            p.create_function(functions, "moody", moody.format("True"))
        else:
            functions.update_function_code(FunctionName="moody", ZipFile=p.zip_of({"lambda_function.py": moody.format("True")}))
        arn = machine(w.server, "moody-" + kind, processor, kind, ItemReader=lines(10), MaxConcurrency=1)
        execution = w.sfn.start_execution(stateMachineArn=arn)["executionArn"]
        done = p.ended(w.sfn, execution)
        assert done.get("error") == "States.ExceedToleratedFailureThreshold", done
        run_arn = w.sfn.list_map_runs(executionArn=execution)["mapRuns"][0]["mapRunArn"]
        run = w.sfn.describe_map_run(mapRunArn=run_arn)
        assert run["status"] == "FAILED" and run["redriveCount"] == 0 and run["itemCounts"]["failed"] == 1, run
        before = {e["executionArn"]: e for e in w.sfn.list_executions(mapRunArn=run_arn)["executions"]}
        failed = next(a for a, e in before.items() if e["status"] == "FAILED")
        assert w.sfn.describe_execution(executionArn=failed)["redriveStatus"] == "REDRIVABLE_BY_MAP_RUN"
        refused = {"STANDARD": "ExecutionNotRedrivable", "EXPRESS": "InvalidArn"}[kind]
        assert p.error_of(w.sfn.redrive_execution, executionArn=failed)[0] == refused
        functions.update_function_code(FunctionName="moody", ZipFile=p.zip_of({"lambda_function.py": moody.format("False")}))
        w.sfn.redrive_execution(executionArn=execution)
        done = p.ended(w.sfn, execution)
        assert json.loads(done["output"]) == list(range(10)), done
        run = w.sfn.describe_map_run(mapRunArn=run_arn)
        counts = run["executionCounts"]
        assert run["status"] == "SUCCEEDED" and run["redriveCount"] == 1 and run["redriveDate"] and counts["succeeded"] == 10, run
        assert counts["failed"] == counts["pendingRedrive"] == counts["failuresNotRedrivable"] == 0, run
        types = [e["type"] for e in p.history(w.sfn, execution)]
        assert types.count("MapRunStarted") == types.count("MapRunRedriven") == 1 and types[-1] == "ExecutionSucceeded", types
        after = {e["executionArn"]: e for e in w.sfn.list_executions(mapRunArn=run_arn)["executions"]}
        assert all(after[a]["startDate"] == e["startDate"] for a, e in before.items()), "nothing that was begun is begun again"
        assert len(after) == (10 if kind == "STANDARD" else 11)
        assert after[failed]["redriveCount"] == (1 if kind == "STANDARD" else 0)
        assert after[failed]["status"] == ("SUCCEEDED" if kind == "STANDARD" else "FAILED")


def what_a_redrive_has_yet_to_come_by_is_pending(w: World) -> None:
    functions = w.server.client("lambda")
    fails = "def lambda_handler(e, c):\n    if e['n'] in (3, 5): raise ValueError('not yet')\n    return e['n']\n"
    slow = "import time\ndef lambda_handler(e, c):\n    if e['n'] == 3: time.sleep(2)\n    return e['n']\n"
    p.create_function(functions, "slow", fails)
    call = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True}
    processor = {"StartAt": "Q", "States": {"Q": {**call, "Parameters": {"FunctionName": "slow", "Payload.$": "$"}}}}
    for kind in ("STANDARD", "EXPRESS"):
        functions.update_function_code(FunctionName="slow", ZipFile=p.zip_of({"lambda_function.py": fails}))
        fields = {"ItemReader": lines(10), "MaxConcurrency": 1, "ToleratedFailureCount": 1}
        execution = w.sfn.start_execution(stateMachineArn=machine(w.server, "slow-" + kind, processor, kind, **fields))["executionArn"]
        assert p.ended(w.sfn, execution)["status"] == "FAILED"
        run = w.sfn.list_map_runs(executionArn=execution)["mapRuns"][0]["mapRunArn"]

        def listed(status: str, run: str = run) -> list[str]:
            return [e["executionArn"] for e in w.sfn.list_executions(mapRunArn=run, statusFilter=status)["executions"]]

        failed = listed("FAILED")
        assert len(failed) == 2 and listed("PENDING_REDRIVE") == [], failed
        functions.update_function_code(FunctionName="slow", ZipFile=p.zip_of({"lambda_function.py": slow}))
        w.sfn.redrive_execution(executionArn=execution)
        pending = p.until(lambda: len(found := listed("PENDING_REDRIVE")) == 1 and found)
        assert pending[0] in failed and pending[0] not in listed("FAILED")
        if kind == "STANDARD":
            assert w.sfn.describe_execution(executionArn=pending[0])["status"] == "PENDING_REDRIVE"
        assert w.sfn.describe_map_run(mapRunArn=run)["executionCounts"]["pendingRedrive"] == 1
        assert p.ended(w.sfn, execution)["status"] == "SUCCEEDED"
        assert listed("PENDING_REDRIVE") == []
    arn = w.sfn.describe_execution(executionArn=execution)["stateMachineArn"]
    assert p.error_of(w.sfn.list_executions, stateMachineArn=arn, statusFilter="PENDING_REDRIVE")[0] == "ValidationException"


def reads_what_listings_and_manifests_name(w: World) -> None:
    for key, text in (
        ("in/1.jsonl", '{"n":1}\n{"n":2}\n'),
        ("in/2.jsonl", '{"n":3}\n'),
        ("athena.csv", "s3://inbox/in/2.jsonl\ns3://inbox/in/1.jsonl\n"),
    ):
        w.s3.put_object(Bucket="inbox", Key=key, Body=text.encode())
    listing = {"Resource": "arn:aws:states:::s3:listObjectsV2", "Parameters": {"Bucket": "inbox", "Prefix": "in/"}}
    listing["ReaderConfig"] = {"InputType": "JSONL", "Transformation": "LOAD_AND_FLATTEN"}
    done, _ = w.run("flatten", PASS, ItemReader=listing, ItemSelector={"n.$": "$$.Map.Item.Value.n", "from.$": "$$.Map.Item.Source"})
    seen = [(item["n"], item["from"]) for item in json.loads(done["output"])]
    assert seen == [(1, "S3://inbox/in/1.jsonl"), (2, "S3://inbox/in/1.jsonl"), (3, "S3://inbox/in/2.jsonl")], done
    manifest = {"Resource": "arn:aws:states:::s3:getObject", "Parameters": {"Bucket": "inbox", "Key": "athena.csv"}}
    manifest["ReaderConfig"] = {"InputType": "JSONL", "ManifestType": "ATHENA_DATA"}
    done, run = w.run("athena", PASS, ItemReader=manifest)
    assert json.loads(done["output"]) == [{"n": 3}, {"n": 1}, {"n": 2}] and run["itemCounts"]["total"] == 3, done


TESTS = [
    reads_what_listings_and_manifests_name,
    what_a_redrive_has_yet_to_come_by_is_pending,
    reads_batches_and_selects,
    writes_results,
    fails_beyond_what_is_tolerated,
    reader_and_writer_errors,
    children_have_names_and_run_as_express,
    stopping_aborts_and_updates_count,
    kill_runs_nothing_twice,
    redrive_runs_what_failed_again_and_nothing_else,
]


def with_world(test):
    def run() -> None:
        with p.moto() as endpoint, p.running({"sortie.yaml": ""}, aws=endpoint) as server:
            s3 = p.account(endpoint, "s3")
            for bucket in ("inbox", "outbox"):
                s3.create_bucket(Bucket=bucket)
            for count in (10, 1000):
                s3.put_object(Bucket="inbox", Key=f"{count}.jsonl", Body="".join(f'{{"n":{n}}}\n' for n in range(count)))
            test(World(server, s3))

    run.__name__ = test.__name__
    return run


if __name__ == "__main__":
    p.main({f"test_{test.__name__}": with_world(test) for test in TESTS})
