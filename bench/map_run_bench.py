#!/usr/bin/env python3
"""A distributed Map over a JSON Lines file in a stand-in S3: items/s and the server's memory.

    map_run_bench.py [--items 100000] [--kind EXPRESS]

Each item becomes a child execution of one Pass state, durable with its history. Memory is the highest the server process ever had
(VmHWM); it must not grow with the number of items.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "e2e"))
import product as p

arguments = argparse.ArgumentParser()
arguments.add_argument("--items", type=int, default=100_000)
arguments.add_argument("--kind", default="STANDARD")
given = arguments.parse_args()


def memory_mib(server: p.Server) -> float:
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


with p.moto() as endpoint, p.running({"sortie.yaml": ""}, aws=endpoint) as server:
    s3 = p.account(endpoint, "s3")
    s3.create_bucket(Bucket="inbox")
    s3.put_object(Bucket="inbox", Key="items", Body="".join(f'{{"n":{n}}}\n' for n in range(given.items)))
    processor = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": given.kind},
        "StartAt": "P",
        "States": {"P": {"Type": "Pass", "Result": 0, "End": True}},
    }
    reader = {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {"InputType": "JSONL"},
        "Parameters": {"Bucket": "inbox", "Key": "items"},
    }
    state = {"Type": "Map", "ItemReader": reader, "ItemProcessor": processor, "End": True}
    sfn = server.client("stepfunctions")
    machine = sfn.create_state_machine(
        name="bench", definition=json.dumps({"StartAt": "M", "States": {"M": state}}), roleArn=p.ROLE
    )["stateMachineArn"]
    idle = memory_mib(server)
    began = time.monotonic()
    execution = sfn.start_execution(stateMachineArn=machine)["executionArn"]
    run = p.until(lambda: sfn.list_map_runs(executionArn=execution)["mapRuns"])[0]["mapRunArn"]
    told = began
    while (now := sfn.describe_map_run(mapRunArn=run))["executionCounts"]["succeeded"] < given.items:
        assert now["status"] == "RUNNING", now
        if time.monotonic() > told + 10:
            told = time.monotonic()
            print(f"  {now['executionCounts']['succeeded']} after {told - began:.0f} s, {memory_mib(server):.0f} MiB", flush=True)
        time.sleep(0.25)
    seconds = time.monotonic() - began
    print(
        f"{given.items} items ({given.kind}): {seconds:.1f} s, {given.items / seconds:.0f} items/s; "
        f"memory {idle:.0f} MiB before, {memory_mib(server):.0f} MiB at most"
    )
    sfn.stop_execution(executionArn=execution)
