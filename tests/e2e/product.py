"""What the end-to-end tests share: the real program on folders of its own, its command line, clients, and a small runner.

SORTIE names the binary (default: build/sortie); SORTIE_LONG=1 asks for the long versions. Waiting is always for
something that happens, with generous limits: a busy machine makes these tests slow, never wrong.
"""

from __future__ import annotations

import collections
import contextlib
import http.server
import io
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.error
import urllib.request
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.path.abspath(os.environ.get("SORTIE", str(ROOT / "build" / "sortie")))
LONG = bool(os.environ.get("SORTIE_LONG"))
ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/sortie"
PATIENCE = float(os.environ.get("SORTIE_PATIENCE", "120"))  # Seconds.


class Skip(Exception):
    """What cannot be tried on this machine; told as SKIP, never silently."""


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without anything that would point a client or the server somewhere else."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SORTIE", "AWS_")) and k != "NO_COLOR"}
    return {**kept, **more}


def cli(*words: str, stdin: str | None = None, cwd: str | os.PathLike | None = None, **env: str) -> subprocess.CompletedProcess:
    """Runs one command as a script would: no terminal, output captured."""
    return subprocess.run(
        [BINARY, *map(str, words)],
        input=stdin if stdin is not None else "",
        capture_output=True,
        text=True,
        cwd=cwd,
        env=clean_environment(**env),
        timeout=PATIENCE,
    )


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(what, seconds: float = PATIENCE, told: str = "it did not happen in time"):
    """The first true value of `what()`, asked again and again."""
    end = time.monotonic() + seconds
    while not (value := what()):
        if time.monotonic() > end:
            raise AssertionError(told)
        time.sleep(0.1)
    return value


class StartFailed(Exception):
    def __init__(self, code: int, stderr: str):
        super().__init__(f"exit {code}: {stderr[-2000:]}")
        self.code, self.stderr = code, stderr


class Server:
    """`sortie serve` on a data folder; `kill()` is kill -9 of the whole process group."""

    def __init__(
        self,
        folder: str | os.PathLike,
        project: str | os.PathLike | None = None,
        aws: str | None = None,
        verb: str = "serve",
        words: tuple[str, ...] = (),
        **env: str,
    ):
        self.folder = pathlib.Path(folder)
        self.data = self.folder / "data"
        self.project, self.verb, self.words, self.extra = project, verb, words, env
        if aws:
            self.extra |= {
                "SORTIE_AWS_ENDPOINT_URL": aws,
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_DEFAULT_REGION": "us-east-1",
            }
        self.port = free_port()  # The same after a restart, so that clients find it again.
        self.process: subprocess.Popen | None = None
        self.keys: dict[str, str] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log_file(self) -> pathlib.Path:
        return self.folder / "server.log"

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def start(self) -> Server:
        command = [BINARY, self.verb, "--data", str(self.data), "--listen", f"127.0.0.1:{self.port}", *self.words]
        if self.project:
            command += [str(self.project)] if self.verb == "dev" else ["--project", str(self.project)]
        began = self.log_file.stat().st_size if self.log_file.exists() else 0
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                command,
                env=clean_environment(**self.extra),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        ready, out = threading.Event(), self.process.stdout

        def read() -> None:
            for line in out:
                if b"listening on" in line:
                    ready.set()

        threading.Thread(target=read, daemon=True).start()
        end = time.monotonic() + PATIENCE
        while not ready.wait(0.02):
            if self.process.poll() is not None:
                raise StartFailed(self.process.returncode, self.log_file.read_bytes()[began:].decode(errors="replace"))
            if time.monotonic() > end:
                self.kill()
                raise StartFailed(-1, "no 'listening on' line")
        return self

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)

    def stop(self) -> int:
        """SIGTERM; answers the exit code."""
        if self.process is None or self.process.poll() is not None:
            return -1 if self.process is None else self.process.returncode
        self.process.terminate()
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            return -9

    def cli(self, *words: str, **kw) -> subprocess.CompletedProcess:
        return cli(*words, "--data", str(self.data), **kw)

    def json(self, *words: str, **kw):
        done = self.cli(*words, "-o", "json", **kw)
        assert done.returncode == 0, f"{words}: exit {done.returncode}: {done.stderr}"
        return json.loads(done.stdout)

    def credentials(self) -> dict[str, str]:
        if not self.keys:
            printed = self.cli("env")
            assert printed.returncode == 0, printed.stderr
            self.keys = exports(printed.stdout)
        return self.keys

    def client(self, service: str, attempts: int = 3, **changes):
        import boto3
        import botocore.config

        mine = self.credentials()
        keys = {"aws_access_key_id": mine["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": mine["AWS_SECRET_ACCESS_KEY"]}
        config = botocore.config.Config(
            retries={"total_max_attempts": attempts}, inject_host_prefix=False, read_timeout=PATIENCE, max_pool_connections=32
        )
        return boto3.client(service, endpoint_url=self.url, region_name="us-east-1", config=config, **{**keys, **changes})

    def http(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str]:
        names = {k.replace("_", "-"): v for k, v in headers.items()}
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=names)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()

    def add_person(self, name: str, *groups: str) -> str:
        """A new person's token."""
        words = [w for g in groups for w in ("--group", g)]
        return self.json("user", "add", name, *words)["token"]


def exports(text: str) -> dict[str, str]:
    return dict(re.findall(r"^export (\w+)='?([^'\n]*)'?$", text, re.M))


@contextlib.contextmanager
def temporary_folder():
    folder = tempfile.mkdtemp(prefix="sortie-e2e-")
    try:
        yield pathlib.Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running(project: dict[str, str] | None = None, **kw):
    """A server with a project made of `project` (path -> text), stopped afterwards. It has to end with 0 on SIGTERM."""
    with temporary_folder() as folder:
        place = None
        if project is not None:
            place = folder / "project"
            write_files(place, project)
        server = Server(folder, place, **kw).start()
        try:
            yield server
        except BaseException:
            sys.stdout.write("".join(f"  server: {line}\n" for line in server.log().splitlines()[-25:]))
            server.kill()
            raise
        code = server.stop()
        assert code == 0, f"SIGTERM ended it with {code}"


def write_files(folder: pathlib.Path, files: dict[str, str]) -> pathlib.Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def moto():
    """A stand-in AWS account."""
    port = free_port()
    program = pathlib.Path(sys.executable).parent / "moto_server"
    p = subprocess.Popen([str(program), "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers() -> bool:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/data.json", timeout=5).read()
            return True
        return False

    try:
        until(answers, told="moto does not start")
        yield f"http://127.0.0.1:{port}"
    finally:
        p.terminate()
        p.wait(30)


def account(endpoint: str, service: str):
    import boto3

    return boto3.client(service, endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")


class Sink:
    """An HTTP server of this process that counts what is posted to it: the world in which effects happen."""

    def __init__(self) -> None:
        self.seen: collections.Counter = collections.Counter()
        self.times: dict[str, list[float]] = collections.defaultdict(list)
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                mark = self.rfile.read(int(self.headers["content-length"])).decode()
                sink.times[mark].append(time.time())
                sink.seen[mark] += 1
                with contextlib.suppress(OSError):
                    self.send_response(200)
                    self.end_headers()

            def log_message(self, *a) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def zip_of(files: dict[str, str], mode: int = 0o644) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for name, text in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            z.writestr(info, text)
    return out.getvalue()


def create_function(client, name: str, source: str, handler: str = "lambda_function.lambda_handler", **more) -> str:
    files = {f"{handler.split('.')[0]}.py": source}
    parameters = {"Runtime": "python3.11", "Role": ROLE, "Timeout": 30, "Handler": handler, **more}
    return client.create_function(FunctionName=name, Code={"ZipFile": zip_of(files)}, **parameters)["FunctionArn"]


def ended(sfn, arn: str, seconds: float = PATIENCE) -> dict:
    def done():
        described = sfn.describe_execution(executionArn=arn)
        return described["status"] != "RUNNING" and described

    return until(done, seconds, f"{arn} did not end")


def history(sfn, arn: str) -> list[dict]:
    pages = sfn.get_paginator("get_execution_history").paginate(executionArn=arn, maxResults=1000)
    return [event for page in pages for event in page["events"]]


def error_of(call, **parameters) -> tuple[str, str]:
    """Code and message of an AWS error; ('', '') where there was none."""
    from botocore.exceptions import ClientError

    try:
        call(**parameters)
    except ClientError as e:
        return e.response["Error"]["Code"], e.response["Error"].get("Message", "")
    return "", ""


def main(module: dict, *arguments) -> None:
    """Runs every function named test_* with `arguments`, each to its end; the last line counts."""
    only = sys.argv[1:]
    tests = [(n, f) for n, f in module.items() if n.startswith("test_") and callable(f) and (not only or any(o in n for o in only))]
    passed = failed = skipped = 0
    for name, test in tests:
        told = name.removeprefix("test_").replace("_", " ")
        began = time.monotonic()
        try:
            test(*arguments)
        except Skip as why:
            skipped += 1
            print(f"SKIP: {told}: {why}", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED: {told}\n{traceback.format_exc()}", flush=True)
        else:
            passed += 1
            print(f"ok: {told} ({time.monotonic() - began:.0f} s)", flush=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    sys.exit(1 if failed else 0)
