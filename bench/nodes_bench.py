#!/usr/bin/env python3
"""Executions a second on SQLite, and on one PostgreSQL with one, two and three nodes, all on this machine.

    nodes_bench.py [--executions 400] [--clients 16] [--nodes 0,1,2,3]

0 nodes are one server on SQLite. An execution is three calls of a function, one after the other, started through every node. Printed:
executions a second from the first start to the last end, median and slowest time of one (by their own times), and the load.
Nodes, functions and database share the machine's cores, so on two cores more nodes show what sharing costs and not what it
gains.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "e2e"))
import product as p
from postgres import Postgres

arguments = argparse.ArgumentParser()
arguments.add_argument("--executions", type=int, default=400)
arguments.add_argument("--clients", type=int, default=16)
arguments.add_argument("--nodes", default="0,1,2,3")
given = arguments.parse_args()

CALL = {"Type": "Task", "Resource": f"arn:aws:lambda:us-east-1:{p.ACCOUNT}:function:Echo"}
PROJECT = {
    "sortie.yaml": "",
    "functions/Echo/lambda_function.py": "def lambda_handler(event, context):\n    return event\n",
    "functions/Echo/function.yaml": "runtime: python3.11\nhandler: lambda_function.lambda_handler\ntimeout: 30\n",
    "playbooks/three.asl.json": json.dumps(
        {"StartAt": "a", "States": {"a": CALL | {"Next": "b"}, "b": CALL | {"Next": "c"}, "c": CALL | {"End": True}}}
    ),
}
MACHINE = f"arn:aws:states:us-east-1:{p.ACCOUNT}:stateMachine:three"


def ended(client) -> list[dict]:
    pages = client.get_paginator("list_executions").paginate(stateMachineArn=MACHINE, statusFilter="SUCCEEDED", maxResults=1000)
    return [each for page in pages for each in page["executions"]]


def measure(nodes: list[p.Server]) -> str:
    clients = [node.client("stepfunctions", attempts=5) for node in nodes]

    def start(number: int) -> None:
        clients[number % len(clients)].start_execution(stateMachineArn=MACHINE, name=f"e{number}", input="{}")

    warm = 8 * len(nodes)  # Functions are warm afterwards.
    for number in range(-warm, 0):
        start(number)
    p.until(lambda: len(ended(clients[0])) == warm, told="the first executions do not end")
    with concurrent.futures.ThreadPoolExecutor(given.clients) as pool:
        list(pool.map(start, range(given.executions)))
    p.until(lambda: len(ended(clients[0])) == warm + given.executions, told="executions do not end")
    measured = [each for each in ended(clients[0]) if not each["name"].startswith("e-")]
    took = (max(each["stopDate"] for each in measured) - min(each["startDate"] for each in measured)).total_seconds()
    times = sorted((each["stopDate"] - each["startDate"]).total_seconds() * 1000 for each in measured)
    rate = given.executions / took
    return f"{rate:.0f} executions/s, median {times[len(times) // 2]:.0f} ms, slowest {times[-1]:.0f}, load {os.getloadavg()[0]:.0f}"


def run(count: int) -> str:
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(Postgres()) if count else None
        folder = stack.enter_context(p.temporary_folder())
        project = p.write_files(folder / "project", PROJECT)
        nodes = []
        for i in range(max(count, 1)):
            (folder / str(i)).mkdir()
            words = ("--store", database.url) if database else ()
            nodes.append(p.Server(folder / str(i), project, words=words))
            stack.callback(nodes[-1].kill)
            nodes[-1].start()
        if database:
            owners = "SELECT count(*) || ' ' || count(DISTINCT node) FROM sortie.shard WHERE node IS NOT NULL"
            p.until(lambda: database.sql(owners) == f"16 {count}", told="the shards are not spread")
        return f"{f'PostgreSQL, {count} nodes' if count else 'SQLite'}: {measure(nodes)}"


for count in given.nodes.split(","):
    print(run(int(count)), flush=True)
