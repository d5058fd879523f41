#!/usr/bin/env python3
"""Executions a second on one PostgreSQL with one, two and three nodes, all on this machine.

    nodes_bench.py [--executions 400] [--clients 16] [--nodes 1,2,3]

An execution is three calls of a function, one after the other, as tests/e2e/postgres_e2e.py starts them: through every node. Printed are
executions a second from the first start to the last end, the median and the slowest time of one (by the store's own times).
Nodes, functions and database share the machine's cores, so on two cores more nodes show what sharing costs and not what it
gains.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "e2e"))
import product as p
from postgres import Postgres

arguments = argparse.ArgumentParser()
arguments.add_argument("--executions", type=int, default=400)
arguments.add_argument("--clients", type=int, default=16)
arguments.add_argument("--nodes", default="1,2,3")
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


def run(count: int) -> str:
    with Postgres() as database, p.temporary_folder() as folder:
        project = p.write_files(folder / "project", PROJECT)
        nodes = []
        for i in range(count):
            (folder / str(i)).mkdir()
            nodes.append(p.Server(folder / str(i), project, words=("--store", database.url)))
            nodes[-1].start()
        try:
            owners = "SELECT count(*) || ' ' || count(DISTINCT node) FROM sortie.shard WHERE node IS NOT NULL"
            p.until(lambda: database.sql(owners) == f"16 {count}", told="the shards are not spread")
            clients = [node.client("stepfunctions", attempts=5) for node in nodes]

            def start(number: int) -> None:
                clients[number % count].start_execution(stateMachineArn=MACHINE, name=f"e{number}", input="{}")

            for number in range(-8 * count, 0):  # Functions are warm afterwards.
                start(number)
            ended = "SELECT count(*) FROM sortie.execution WHERE status = 1"
            p.until(lambda: int(database.sql(ended)) == 8 * count, told="the first executions do not end")
            began = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(given.clients) as pool:
                list(pool.map(start, range(given.executions)))
            p.until(lambda: int(database.sql(ended)) == 8 * count + given.executions, told="executions do not end")
            rate = given.executions / (time.monotonic() - began)
            times = database.sql(
                "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY stopped_at - started_at) || ' ms, slowest ' ||"
                " max(stopped_at - started_at) FROM (SELECT * FROM sortie.execution ORDER BY no DESC"
                f" LIMIT {given.executions}) AS e"
            )
            return f"{count} nodes: {rate:.0f} executions/s, median {times} ms"
        finally:
            for node in nodes:
                node.kill()


for count in given.nodes.split(","):
    print(run(int(count)), flush=True)
