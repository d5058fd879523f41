#!/usr/bin/env python3
"""What the disk and the operating system do to a server, apart from plain kills (kill_e2e) and a full disk (bad_input_e2e):
death while it recovers, a long stop, a data folder that cannot be written, damage, a later version's file, and backups
under load. Cuts of the power are in powercut_e2e, and on a simulated disk in tests/simulation."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import random
import signal
import sqlite3
import subprocess
import threading
import time

import product as p

RUNS, DEATHS = (2000, 60) if p.LONG else (150, 12)
PAGE = 16384  # Some of the file at once: a single page may be one that nothing uses.
WAITS = json.dumps(
    {
        "StartAt": "W",
        "States": {
            "W": {"Type": "Wait", "SecondsPath": "$.seconds", "Next": "P"},
            "P": {
                "Type": "Parallel",
                "End": True,
                "Branches": [
                    {"StartAt": n, "States": {n: {"Type": "Wait", "Seconds": 1, "Next": n + "2"}, n + "2": {"Type": "Pass", "End": True}}}
                    for n in "ab"
                ],
            },
        },
    }
)


def start_waiting(sfn, count: int, seconds: int = 2) -> list[str]:
    machine = sfn.create_state_machine(name="waits", definition=WAITS, roleArn=p.ROLE)["stateMachineArn"]
    start = lambda i: sfn.start_execution(stateMachineArn=machine, name=f"run-{i}", input=json.dumps({"seconds": seconds}))  # noqa: E731
    return [start(i)["executionArn"] for i in range(count)]


def check_all_ended_once(server: p.Server, sfn, arns: list[str]) -> None:
    kinds = ["ParallelStateEntered", "ParallelStateExited", "PassStateEntered", "ExecutionSucceeded"]
    for arn in arns:
        described = p.ended(sfn, arn)
        assert described["status"] == "SUCCEEDED", described
        types = [e["type"] for e in p.history(sfn, arn)]
        assert [types.count(kind) for kind in kinds] == [1, 1, 2, 1], (arn, types)
    done = server.cli("check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_death_while_it_recovers_again_and_again_loses_nothing() -> None:
    rng = random.Random(3)
    with p.running() as server:
        arns = start_waiting(server.client("stepfunctions"), RUNS)
        command = [p.BINARY, "serve", "--data", str(server.data), "--listen", f"127.0.0.1:{server.port}"]
        server.kill()
        for _ in range(DEATHS):
            with open(server.log_file, "ab") as log:
                again = subprocess.Popen(command, env=p.clean_environment(), stdout=subprocess.DEVNULL, stderr=log, start_new_session=True)
            time.sleep(rng.uniform(0.0, 0.25))  # From before it opens the store until after it serves.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(again.pid, signal.SIGKILL)
            again.wait(30)
        server.start()
        check_all_ended_once(server, server.client("stepfunctions"), arns)


def test_a_server_that_stood_still_goes_on_where_it_was() -> None:
    with p.running() as server:
        sfn = server.client("stepfunctions")
        arns = start_waiting(sfn, 40)
        os.kill(server.process.pid, signal.SIGSTOP)
        time.sleep(5)  # Every timer is overdue when it wakes.
        os.kill(server.process.pid, signal.SIGCONT)
        check_all_ended_once(server, sfn, arns)


def refused_start(server: p.Server) -> str:
    try:
        server.start()
    except p.StartFailed as why:
        assert why.code == 1, (why.code, why.stderr)
        return why.stderr
    server.kill()
    raise AssertionError("it starts")


def test_a_data_folder_that_cannot_be_written_is_named() -> None:
    with p.temporary_folder() as folder:
        server = p.Server(folder).start()
        assert server.stop() == 0
        for command in (["mount", "--bind", server.data, server.data], ["mount", "-o", "remount,ro,bind", server.data]):
            done = subprocess.run([str(w) for w in command], capture_output=True, text=True)
            if done.returncode != 0:
                subprocess.run(["umount", "-l", str(server.data)], check=False, capture_output=True)
                raise p.Skip(f"nothing can be mounted here: {done.stderr.strip()}")
        try:
            told = refused_start(server)
            assert str(server.data) in told and "Read-only file system" in told, told
            checked = server.cli("check")
            assert checked.returncode != 0 and "Read-only file system" in checked.stderr, checked.stderr
        finally:
            subprocess.run(["umount", "-l", str(server.data)], check=False, capture_output=True)
        server.start()
        assert server.stop() == 0


def damage(file: pathlib.Path, page: int) -> None:
    with open(file, "r+b") as f:
        f.seek(page * PAGE)
        f.write(bytes(random.Random(page).randbytes(PAGE)))


def test_damage_is_refused_by_name_with_the_way_back() -> None:
    with p.temporary_folder() as folder:
        server = p.Server(folder).start()
        arns = start_waiting(server.client("stepfunctions"), 40, 0)
        for arn in arns:
            p.ended(server.client("stepfunctions"), arn)
        copy = folder / "copy.db"
        assert server.cli("backup", str(copy)).returncode == 0
        assert server.stop() == 0
        file = server.data / "sortie.db"
        good = file.read_bytes()
        for page in range(1, min(len(good) // PAGE, 40)):  # Wherever it is: the check sees it, and names the file.
            damage(file, page)
            done = server.cli("check")
            assert done.returncode != 0, f"page {page} of {len(good) // PAGE} is damaged, and the check says {done.stdout}"
            file.write_bytes(good)
        damage(file, 0)
        told = refused_start(server)
        assert str(file) in told and "sortie restore" in told, told
        file.rename(folder / "aside.db")
        assert server.cli("restore", str(copy)).returncode == 0
        server.start()
        try:
            check_all_ended_once(server, server.client("stepfunctions"), arns)
        finally:
            assert server.stop() == 0


def test_a_file_of_a_later_version_is_refused_and_left_alone() -> None:
    with p.temporary_folder() as folder:
        server = p.Server(folder).start()
        assert server.stop() == 0
        file = server.data / "sortie.db"
        with contextlib.closing(sqlite3.connect(file)) as db:
            known = db.execute("PRAGMA user_version").fetchone()[0]
            db.execute(f"PRAGMA user_version={known + 1}")
        before = file.read_bytes()
        told = refused_start(server)
        assert "later version" in told and str(file) in told, told
        assert file.read_bytes() == before
        with contextlib.closing(sqlite3.connect(file)) as db:
            db.execute(f"PRAGMA user_version={known}")
        server.start()
        assert server.stop() == 0


def test_a_backup_under_load_holds_all_that_was_accepted_before_it() -> None:
    with p.running() as server:
        sfn = server.client("stepfunctions")
        machine = sfn.create_state_machine(name="waits", definition=WAITS, roleArn=p.ROLE)["stateMachineArn"]
        accepted, stopped = [], threading.Event()

        def load(worker: int) -> None:
            mine, i = server.client("stepfunctions"), 0
            while not stopped.is_set():
                started = mine.start_execution(stateMachineArn=machine, name=f"w{worker}-{i}", input='{"seconds":1}')
                accepted.append(started["executionArn"])
                i += 1

        threads = [threading.Thread(target=load, args=(n,)) for n in range(4)]
        for t in threads:
            t.start()
        copies = []
        try:
            for i in range(3):
                p.until(lambda i=i: len(accepted) >= 60 * (i + 1))
                copy, before = server.folder / f"copy-{i}.db", list(accepted)
                done = server.cli("backup", str(copy))
                assert done.returncode == 0, done.stderr
                copies.append((copy, before))
        finally:
            stopped.set()
            for t in threads:
                t.join()
        for i, (copy, before) in enumerate(copies):
            other = p.Server(server.folder / f"other-{i}")
            other.folder.mkdir()
            assert other.cli("restore", str(copy)).returncode == 0
            assert other.cli("check").returncode == 0
            other.start()
            try:
                check_all_ended_once(other, other.client("stepfunctions"), before)
            finally:
                assert other.stop() == 0


if __name__ == "__main__":
    p.main(globals())
