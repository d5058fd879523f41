"""A PostgreSQL server of a test's own, on a unix socket in a folder of its own."""

from __future__ import annotations

import glob
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile

import product as p


def account() -> dict:
    """PostgreSQL refuses to run as root: who it runs as then."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    found = names.get("postgres") or names.get("nobody")
    if found is None:
        raise p.Skip("no user to run PostgreSQL as")
    return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}


class Postgres:
    def __init__(self) -> None:
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
        if not found:
            raise p.Skip("PostgreSQL is not installed (postgresql-15)")
        self.bin = pathlib.Path(found[-1]).parent
        self.account = account()
        self.folder = tempfile.mkdtemp(prefix="sortie-pg-")
        if self.account:
            os.chown(self.folder, self.account["user"], self.account["group"])
        self.process: subprocess.Popen | None = None
        self.run("initdb", "-D", f"{self.folder}/data", "-A", "trust", "-U", "sortie", "-E", "UTF8", "--locale=C", "--no-sync")

    @property
    def url(self) -> str:
        return f"postgres://sortie@/postgres?host={self.folder}"

    def run(self, program: str, *words: str) -> str:
        done = subprocess.run([self.bin / program, *words], cwd="/", capture_output=True, text=True, **self.account)
        assert done.returncode == 0, f"{program}: {done.stderr}"
        return done.stdout

    def sql(self, text: str) -> str:
        return self.run("psql", "-h", self.folder, "-U", "sortie", "-d", "postgres", "-tAc", text).strip()

    def start(self) -> Postgres:
        with open(f"{self.folder}.log", "ab") as log:
            self.process = subprocess.Popen(
                [self.bin / "postgres", "-D", f"{self.folder}/data", "-k", self.folder, "-c", "listen_addresses="],
                cwd="/",
                stdout=log,
                stderr=log,
                **self.account,
            )

        def answers() -> bool:
            asked = subprocess.run([self.bin / "pg_isready", "-q", "-h", self.folder], cwd="/", **self.account)
            return asked.returncode == 0

        p.until(answers, told="PostgreSQL does not start")
        return self

    def stop(self, with_signal: int = signal.SIGINT) -> None:
        """SIGINT is a fast shutdown; SIGQUIT is a crash, with recovery at the next start."""
        self.process.send_signal(with_signal)
        self.process.wait(60)

    def __enter__(self) -> Postgres:
        return self.start()

    def __exit__(self, *exception) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)
        if exception[0] is None:
            os.unlink(f"{self.folder}.log")
