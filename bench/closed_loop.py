"""The client of the benchmarks over HTTP: a server of its own, and blocking clients in a closed loop.

A client is a generator: it yields the bytes of a request and is sent the body of its answer; when it ends, its connection closes. All of
them are one thread on one epoll loop, so the client costs as little of the machine as Python can.
"""

from __future__ import annotations

import collections.abc
import ctypes
import datetime
import hashlib
import hmac
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:"
PR_SET_PDEATHSIG = 1

Client = collections.abc.Generator[bytes, bytes, None]


def chain(body: dict, states: int) -> dict:
    """A state machine of so many states, each `body`, one after the other."""
    names = [f"S{i}" for i in range(1, states + 1)]
    ways = [{"Next": after} for after in names[1:]] + [{"End": True}]
    return {"StartAt": "S1", "States": {name: {**body, **way} for name, way in zip(names, ways, strict=True)}}


def dies_with_us() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Server:
    """A server on a fresh project and data folder; in the build tree, because /tmp is often memory."""

    def __init__(self, binary: pathlib.Path, playbooks: dict[str, dict], functions: dict[str, dict[str, str]]):
        (ROOT / "build").mkdir(exist_ok=True)
        self.binary = binary
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=ROOT / "build"))
        for name, files in functions.items():
            (self.folder / "functions" / name).mkdir(parents=True)
            for file, text in files.items():
                (self.folder / "functions" / name / file).write_text(text)
        (self.folder / "playbooks").mkdir()
        for name, definition in playbooks.items():
            (self.folder / f"playbooks/{name}.asl.json").write_text(json.dumps(definition))
        self.start()
        printed = subprocess.run([binary, "env", "--data", self.folder / ".sortie"], capture_output=True, text=True, check=True).stdout
        self.env = dict(re.findall(r"export (\w+)='([^']*)'", printed))

    def start(self) -> None:
        began = time.monotonic()
        with open(self.folder / "log", "a") as log:
            self.process = subprocess.Popen([self.binary, "serve", "--project", self.folder, "--listen", "127.0.0.1:0"], cwd=self.folder,
                                            stdout=subprocess.PIPE, stderr=log, text=True, preexec_fn=dies_with_us)
        line = self.process.stdout.readline()
        self.start_ms = (time.monotonic() - began) * 1000
        if not line.startswith("listening on "):
            sys.exit(f"the server did not start; see {self.folder}/log")
        self.url = line.split()[-1]
        self.address = ("127.0.0.1", int(self.url.rsplit(":", 1)[1]))
        self.token = (self.folder / ".sortie/operator.token").read_text().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)

    def processes(self) -> list[int]:
        """The server and the workers that it started."""
        children: dict[int, list[int]] = {}
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue  # It ended while we looked.
            children.setdefault(parent, []).append(int(stat.parent.name))
        found, rest = [], [self.process.pid]
        while rest:
            found.append(rest.pop())
            rest += children.get(found[-1], [])
        return found

    def rss_mib(self) -> float:
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024

    def pss_mib(self) -> float:
        """Of server and workers; memory that they share is counted once."""
        total = 0
        for process in self.processes():
            try:
                text = pathlib.Path(f"/proc/{process}/smaps_rollup").read_text()
            except OSError:
                continue
            total += sum(int(kib) for kib in re.findall(r"^Pss:\s+(\d+)", text, re.M))
        return total / 1024

    def cpu_s(self, whole_tree: bool = False) -> float:
        total = 0
        for process in self.processes() if whole_tree else [self.process.pid]:
            try:
                fields = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

    def disk_bytes(self) -> int:
        return sum(path.stat().st_size for path in (self.folder / ".sortie").rglob("*") if path.is_file())

    def metric(self, name: str) -> float:
        request = urllib.request.Request(f"{self.url}/metrics", headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            found = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", answer.read().decode(), re.M)
        assert found, f"{name} is not among the metrics"
        return sum(float(value) for value in found)

    def plain(self, path: str) -> bytes:
        return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()

    def as_operator(self, path: str) -> bytes:
        return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self.token}\r\n\r\n".encode()

    def signed(self, service: str, path: str, body: str, target: str = "") -> bytes:
        """A request under AWS's Signature Version 4; botocore's own signer would be half of the client's time."""
        region, key = self.env["AWS_DEFAULT_REGION"], self.env["AWS_ACCESS_KEY_ID"]
        now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
        headers = {"content-type": "application/x-amz-json-1.0", "host": self.url.removeprefix("http://"), "x-amz-date": now}
        if target:
            headers["x-amz-target"] = target
        names = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        canonical = f"POST\n{path}\n\n{lines}\n{names}\n{hashlib.sha256(body.encode()).hexdigest()}"
        scope = f"{now[:8]}/{region}/{service}/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        secret = ("AWS4" + self.env["AWS_SECRET_ACCESS_KEY"]).encode()
        for part in (*scope.split("/"), text):
            secret = hmac.digest(secret, part.encode(), "sha256")
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        proof = f"Authorization: AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={secret.hex()}\r\n"
        return f"POST {path} HTTP/1.1\r\n{fields}{proof}Content-Length: {len(body)}\r\n\r\n{body}".encode()

    def states(self, operation: str, body: dict) -> bytes:
        return self.signed("states", "/", json.dumps(body), f"AWSStepFunctions.{operation}")


class Connection:
    def __init__(self, address: tuple[str, int], client: Client):
        self.client = client
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.buffer = b""

    def send(self, request: bytes) -> None:
        if self.socket.send(request) != len(request):
            sys.exit("a request did not fit the socket's buffer")

    def receive(self) -> bytes | None:
        """The answer's body once it is whole."""
        more = self.socket.recv(65536)
        if not more:
            sys.exit("the server closed a connection")
        self.buffer += more
        head, mark, rest = self.buffer.partition(b"\r\n\r\n")
        if not mark:
            return None
        length = int(re.search(rb"(?i)content-length: (\d+)", head).group(1))
        if len(rest) < length:
            return None
        if not head.startswith(b"HTTP/1.1 200"):
            sys.exit(f"{head.splitlines()[0].decode()}: {rest[:300].decode(errors='replace')}")
        self.buffer = rest[length:]
        return rest[:length]


def run_clients(address: tuple[str, int], clients: list[Client]) -> None:
    """Runs every client to its end, each on a connection of its own."""
    poll = select.epoll()
    connections = {}
    for client in clients:
        connection = Connection(address, client)
        connections[connection.socket.fileno()] = connection
        poll.register(connection.socket, select.EPOLLIN)
    for number, connection in list(connections.items()):
        try:
            connection.send(next(connection.client))
        except StopIteration:
            connections.pop(number).socket.close()
    while connections:
        for number, _ in poll.poll(5):
            connection = connections[number]
            body = connection.receive()
            if body is None:
                continue
            try:
                connection.send(connection.client.send(body))
            except StopIteration:
                connections.pop(number).socket.close()


def quantile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]
