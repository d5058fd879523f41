#!/usr/bin/env python3
"""The power is cut under the real server, again and again: its data folder lies in an ext4 file system on a block device whose file is
cloned in one moment (`cp --reflink`), so the clone holds what the kernel had handed to the device by then, and nothing that was only
in memory. The server goes on from the clone, and everything that it had acknowledged before the cut has to be there."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import pathlib
import random
import subprocess
import sys
import threading
import time

import botocore.exceptions
import product as p

CUTS = 60 if p.LONG else 6
CLIENTS = 4
ANSWERED = json.dumps(
    {"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "ACTIVITY", "Next": "B"}, "B": {"Type": "Pass", "End": True}}}
)


def run(*words: object) -> None:
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True)
    if done.returncode != 0:
        raise p.Skip(f"{words[0]}: {done.stderr.strip()}")


class Machine:
    """A host file system that can clone a file in one moment, and in it the disk that the server's file system is on."""

    def __init__(self, folder: pathlib.Path):
        self.image, self.host, self.place, self.disks = folder / "host.img", folder / "host", folder / "disk", 0

    def build(self) -> None:
        for at in (self.host, self.place):
            at.mkdir()
        with open(self.image, "wb") as file:
            file.truncate(2 << 30)
        run("mkfs.btrfs", "-q", self.image)
        run("mount", "-o", "loop", self.image, self.host)
        with open(self.disk(), "wb") as file:
            file.truncate(512 << 20)
        run("mkfs.ext4", "-q", self.disk())
        self.plug_in()

    def disk(self) -> pathlib.Path:
        return self.host / f"disk-{self.disks}.img"

    def plug_in(self) -> None:
        run("mount", "-o", "loop", self.disk(), self.place)

    def cut(self) -> None:
        """From here on nothing reaches the disk that the next `plug_in` finds."""
        before = self.disk()
        self.disks += 1
        subprocess.run(["cp", "--reflink=always", before, self.disk()], check=True)

    def unplug(self) -> None:
        subprocess.run(["umount", self.place], check=True)

    def scrap(self) -> None:
        for at in (self.place, self.host):
            subprocess.run(["umount", at], capture_output=True)  # It may not have got so far.


class Load:
    """Clients that start executions and answer the tasks of some; what was acknowledged is noted when it was."""

    def __init__(self, server: p.Server, machine: str, activity: str):
        self.started: list[str] = []
        self.answered: dict[str, str] = {}
        self.stopped = threading.Event()
        self.server, self.machine, self.activity = server, machine, activity
        self.threads = [threading.Thread(target=self.guarded, args=(work,)) for work in (self.start, self.answer) for _ in range(CLIENTS)]

    def guarded(self, work) -> None:
        sfn = self.server.client("stepfunctions", attempts=1)
        while not self.stopped.is_set():
            # The server is killed while the load still runs: who gets no answer has been promised nothing.
            with contextlib.suppress(botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
                work(sfn)

    def start(self, sfn) -> None:
        name = f"run-{random.getrandbits(64):x}"
        self.started.append(sfn.start_execution(stateMachineArn=self.machine, name=name, input=json.dumps({"name": name}))["executionArn"])

    def answer(self, sfn) -> None:
        task = sfn.get_activity_task(activityArn=self.activity)
        if not task.get("taskToken"):
            return
        name, result = json.loads(task["input"])["name"], f"{random.getrandbits(64):x}"
        sfn.send_task_success(taskToken=task["taskToken"], output=json.dumps(result))
        self.answered[name] = result


def check_kept(server: p.Server, started: list[str], answered: dict[str, str]) -> None:
    sfn = server.client("stepfunctions")

    def look(arn: str) -> str:
        execution = sfn.describe_execution(executionArn=arn)
        result = answered.get(execution["name"])
        kept = result is None or (execution["status"], json.loads(execution.get("output", "null"))) == ("SUCCEEDED", result)
        return "" if kept else f"{arn} was answered with {result} and is {execution['status']} {execution.get('output')}"

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        wrong = [told for told in pool.map(look, started) if told]
    assert not wrong, wrong[:5]


def test_whatever_was_acknowledged_outlives_power_cuts() -> None:
    if os.geteuid() != 0:
        raise p.Skip("only root may mount file systems")
    with p.temporary_folder() as folder, contextlib.ExitStack() as last:
        machine = Machine(folder)
        last.callback(machine.scrap)
        machine.build()
        server = p.Server(folder)
        server.data = machine.place / "data"
        server.start()
        last.callback(server.kill)
        live_through_cuts(machine, server)
        assert server.stop() == 0


def live_through_cuts(machine: Machine, server: p.Server) -> None:
    sfn = server.client("stepfunctions")
    activity = sfn.create_activity(name="steps")["activityArn"]
    arn = sfn.create_state_machine(name="answered", definition=ANSWERED.replace("ACTIVITY", activity), roleArn=p.ROLE)["stateMachineArn"]
    rng, lost, kept, results = random.Random(11), 0, [], {}
    for i in range(CUTS):
        load = Load(server, arn, activity)
        for thread in load.threads:
            thread.start()
        time.sleep(rng.uniform(0.05, 1.0))
        (machine.place / f"never-synced-{i}").write_bytes(b"x" * 5000)
        started, answered = list(load.started), dict(load.answered)
        machine.cut()
        server.kill()
        load.stopped.set()
        for thread in load.threads:
            thread.join()
        machine.unplug()
        machine.plug_in()
        lost += not (machine.place / f"never-synced-{i}").exists()
        server.start()
        kept, results = kept + started, {**results, **answered}
        check_kept(server, started, answered)
    check_kept(server, kept, results)
    done = server.cli("check")
    assert done.returncode == 0, done.stdout + done.stderr
    print(f"{CUTS} cuts, {len(kept)} executions, {len(results)} answers; {lost} of {CUTS} files that nobody had synced were lost")
    assert len(results) > CUTS, "the load did not get to work"
    assert lost > 0, "this is no power cut: everything arrived that was never synced"


def main() -> None:
    # In a mount namespace of its own, so that nothing stays mounted whatever becomes of the test.
    if os.geteuid() == 0 and os.environ.get("SORTIE_MOUNTS") != "own":
        os.environ["SORTIE_MOUNTS"] = "own"
        with contextlib.suppress(FileNotFoundError):
            os.execvp("unshare", ["unshare", "--mount", sys.executable, *sys.argv])
    p.main(globals())


if __name__ == "__main__":
    main()
