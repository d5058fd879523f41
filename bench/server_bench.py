#!/usr/bin/env python3
"""What the running server does through its one port, beside the raw append rate of SQLite on this disk.

    build/venv/bin/python bench/server_bench.py [--seconds S] [--connections N] [--binary build/sortie] [--what NAME ...]

The client is one thread of Python: blocking connections (each has one request in flight) on one epoll loop, and requests that are
signed once and sent again and again, so that signing costs nothing. It shares the machine with the server; every row says how much
of a core client and server used, and a row in which the client used nearly all of one says what this client can ask, not what the
server can answer.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import botocore.auth
import botocore.awsrequest
import botocore.credentials

ROOT = pathlib.Path(__file__).resolve().parents[1]
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:"
CLIENT_BUSY = 0.85
INPUT = json.dumps({"finding": {"id": "0123456789abcdef", "severity": 8, "instance": "i-0123456789abcdef0", "tags": ["critical", "web"]}})
HANDLER = """import time
def lambda_handler(event, context):
    began = time.perf_counter_ns()
    return {"ns": time.perf_counter_ns() - began}
"""


def chain(states: int) -> dict:
    names = [f"S{i}" for i in range(1, states + 1)]
    bodies = {name: {"Type": "Pass", "Next": after} for name, after in itertools.pairwise(names)}
    return {"StartAt": "S1", "States": {**bodies, names[-1]: {"Type": "Pass", "End": True}}}


class Server:
    """A server on a fresh project and data folder; in the build tree, because /tmp is often memory."""

    def __init__(self, binary: pathlib.Path):
        (ROOT / "build").mkdir(exist_ok=True)
        self.binary = binary
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="server-bench-", dir=ROOT / "build"))
        (self.folder / "functions/Noop").mkdir(parents=True)
        (self.folder / "functions/Noop/lambda_function.py").write_text(HANDLER)
        (self.folder / "playbooks").mkdir()
        for name, states in (("three", 3), ("ten", 10)):
            (self.folder / f"playbooks/{name}.asl.json").write_text(json.dumps(chain(states)))
        began = time.monotonic()
        with open(self.folder / "log", "w") as log:
            self.process = subprocess.Popen([binary, "serve", "--project", self.folder, "--listen", "127.0.0.1:0"], cwd=self.folder,
                                            stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        self.start_ms = (time.monotonic() - began) * 1000
        if not line.startswith("listening on "):
            sys.exit(f"server_bench: the server did not start; see {self.folder}/log")
        self.url = line.split()[-1]
        self.address = ("127.0.0.1", int(self.url.rsplit(":", 1)[1]))
        self.token = (self.folder / ".sortie/operator.token").read_text().strip()
        printed = subprocess.run([binary, "env", "--data", self.folder / ".sortie"], capture_output=True, text=True, check=True).stdout
        self.env = dict(re.findall(r"export (\w+)='([^']*)'", printed))

    def rss_mib(self) -> float:
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024

    def cpu_s(self) -> float:
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def metric(self, name: str) -> float:
        request = urllib.request.Request(f"{self.url}/metrics", headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return float(re.search(rf"^{name} (\S+)$", answer.read().decode(), re.M).group(1))

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)

    def plain(self, path: str) -> bytes:
        return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()

    def signed(self, service: str, path: str, body: str, target: str = "") -> bytes:
        headers = {"Content-Type": "application/x-amz-json-1.0", **({"X-Amz-Target": target} if target else {})}
        request = botocore.awsrequest.AWSRequest("POST", self.url + path, headers=headers, data=body)
        keys = botocore.credentials.Credentials(self.env["AWS_ACCESS_KEY_ID"], self.env["AWS_SECRET_ACCESS_KEY"])
        botocore.auth.SigV4Auth(keys, service, self.env["AWS_DEFAULT_REGION"]).add_auth(request)
        head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        host = f"Host: {self.url.removeprefix('http://')}\r\nContent-Length: {len(body)}\r\n"
        return f"POST {path} HTTP/1.1\r\n{host}{head}\r\n{body}".encode()

    def start(self, machine: str) -> bytes:
        body = json.dumps({"stateMachineArn": MACHINE + machine, "input": INPUT})
        return self.signed("states", "/", body, "AWSStepFunctions.StartExecution")


class Connection:
    def __init__(self, address: tuple[str, int]):
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.buffer = b""
        self.sent_at = 0.0

    def send(self, request: bytes) -> None:
        self.sent_at = time.perf_counter()
        if self.socket.send(request) != len(request):
            sys.exit("server_bench: a request did not fit the socket's buffer")

    def receive(self) -> bytes | None:
        """The answer's body once it is whole."""
        more = self.socket.recv(65536)
        if not more:
            sys.exit("server_bench: the server closed a connection")
        self.buffer += more
        head, mark, rest = self.buffer.partition(b"\r\n\r\n")
        if not mark:
            return None
        length = int(re.search(rb"(?i)content-length: (\d+)", head).group(1))
        if len(rest) < length:
            return None
        if not head.startswith(b"HTTP/1.1 200"):
            sys.exit(f"server_bench: {head.splitlines()[0].decode()}: {rest[:300].decode(errors='replace')}")
        self.buffer = rest[length:]
        return rest[:length]


class Load:
    """`connections` blocking clients of one request for `seconds`."""

    def __init__(self, server: Server, request: bytes, connections: int, seconds: float):
        poll = select.epoll()
        clients = {}
        for _ in range(connections):
            client = Connection(server.address)
            clients[client.socket.fileno()] = client
            poll.register(client.socket, select.EPOLLIN)
        self.latencies: list[float] = []
        self.bodies: list[bytes] = []
        cpu, own_cpu, began = server.cpu_s(), time.process_time(), time.perf_counter()
        for client in clients.values():
            client.send(request)
        open_requests = connections
        while open_requests:
            for number, _ in poll.poll(5):
                client = clients[number]
                body = client.receive()
                if body is None:
                    continue
                now = time.perf_counter()
                self.latencies.append(now - client.sent_at)
                self.bodies.append(body)
                if now - began < seconds:
                    client.send(request)
                else:
                    open_requests -= 1
        self.elapsed = time.perf_counter() - began
        self.client_cores = (time.process_time() - own_cpu) / self.elapsed
        self.server_cores = (server.cpu_s() - cpu) / self.elapsed
        for client in clients.values():
            client.socket.close()

    def per_second(self) -> float:
        return len(self.latencies) / self.elapsed


def quantile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def row(what: str, connections: int, load: Load, per_second: float | None = None, note: str = "") -> None:
    if load.client_cores > CLIENT_BUSY:
        note = (note + "; " if note else "") + "the client is the limit"
    print(f"{what:<34} {connections:>5} {per_second or load.per_second():>10.0f} {quantile(load.latencies, 0.5) * 1000:>8.2f} "
          f"{quantile(load.latencies, 0.99) * 1000:>8.2f} {load.client_cores:>7.2f} {load.server_cores:>7.2f}  {note}", flush=True)


def measure_starts(server: Server, connections: int, seconds: float) -> None:
    load = Load(server, server.start("three"), connections, seconds)
    row("durable starts/s (SigV4, 3 Pass)", connections, load)


def measure_transitions(server: Server, connections: int, seconds: float) -> None:
    before, began = server.metric("sortie_transitions_total"), time.perf_counter()
    load = Load(server, server.start("ten"), connections, seconds)
    while server.metric("sortie_executions_open") > 0:
        time.sleep(0.01)
    elapsed = time.perf_counter() - began
    transitions = server.metric("sortie_transitions_total") - before
    # The counter is held against what histories say: 2 events of the execution, 2 of each state.
    for body in load.bodies[:: max(1, len(load.bodies) // 20)]:
        ask = json.dumps({"executionArn": json.loads(body)["executionArn"], "maxResults": 1000})
        history = Load(server, server.signed("states", "/", ask, "AWSStepFunctions.GetExecutionHistory"), 1, 0)
        count = len(json.loads(history.bodies[0])["events"])
        if count != 22:
            sys.exit(f"server_bench: a history has {count} events, not 22")
    if transitions != 10 * len(load.bodies):
        sys.exit(f"server_bench: {transitions:.0f} transitions of {len(load.bodies)} executions")
    row("transitions/s (chains of 10 Pass)", connections, load, transitions / elapsed, "latency is that of a start")


def measure_invocations(server: Server, seconds: float) -> None:
    request = server.signed("lambda", "/2015-03-31/functions/Noop/invocations", "{}")
    Load(server, request, 1, 0.5)  # The process is warm from here on.
    load = Load(server, request, 1, seconds)
    load.latencies = [latency - json.loads(body)["ns"] / 1e9 for latency, body in zip(load.latencies, load.bodies, strict=True)]
    row("warm invocations/s, overhead", 1, load, note="latency without the handler's own time")


def measure_idle(binary: pathlib.Path) -> None:
    starts, rss = [], []
    for _ in range(5):
        server = Server(binary)
        starts.append(server.start_ms)
        time.sleep(1)
        rss.append(server.rss_mib())
        server.stop()
    print(f"start-up to `listening on`: median {statistics.median(starts):.0f} ms of 5 fresh data folders (worst {max(starts):.0f} ms); "
          f"idle memory {statistics.median(rss):.1f} MiB", flush=True)


def print_raw(connections: int) -> None:
    """The limit of everything durable here, from store_bench in the same minute."""
    found = [p for p in (ROOT / "build").glob("*/bench/store_bench") if os.access(p, os.X_OK)]
    if not found:
        return print("raw SQLite append: SKIP: store_bench is not built (scripts/bench.sh builds it)")
    text = subprocess.run([found[0], "--open", "2000", "--clients", str(connections), "--seconds", "1"], cwd=ROOT / "build",
                          capture_output=True, text=True).stdout
    for layout, what in (("raw", "raw SQLite append, rows/s"), ("journal", "our store, transitions/s")):
        match = re.search(rf"^\s*\d+\s+{connections}\s+{layout}\s+(\d+)", text, re.M)
        if match:
            print(f"{what:<34} {connections:>5} {match.group(1):>10}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "build/sortie")
    parser.add_argument("--what", nargs="*", default=["idle", "http", "starts", "transitions", "invocations", "raw"])
    args = parser.parse_args()
    if not args.binary.exists():
        sys.exit(f"server_bench: {args.binary} is missing; run `make build`")
    binary = args.binary.resolve()
    if "idle" in args.what:
        measure_idle(binary)
    print(f"{'what':<34} {'conn.':>5} {'per s':>10} {'p50 ms':>8} {'p99 ms':>8} {'client':>7} {'server':>7}  (cores used)")
    server = Server(binary)
    try:
        if "http" in args.what:
            row("HTTP requests/s on /healthz", args.connections, Load(server, server.plain("/healthz"), args.connections, args.seconds))
        if "starts" in args.what:
            measure_starts(server, 1, args.seconds)
            measure_starts(server, args.connections, args.seconds)
        if "transitions" in args.what:
            measure_transitions(server, args.connections, args.seconds)
        if "invocations" in args.what:
            measure_invocations(server, args.seconds)
    finally:
        server.stop()
    if "raw" in args.what:
        print_raw(args.connections)


main()
