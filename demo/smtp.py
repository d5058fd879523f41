#!/usr/bin/env python3
"""A stand-in mail server: SMTP with STARTTLS and a password, whose mail is read over HTTP.

    python demo/smtp.py [--port 0]     prints `listening on http://..` for GET /received, POST /faults, and GET /smtp:
                                       the port of the mail server, and the file that holds its certificate

User `sortie` with password `smtp-demo`; addresses that begin with `nobody` are refused. Faults: {"reply": "451 later"} is the answer to the
next DATA; with "after" the mail is kept and the connection ends before the answer.
"""

from __future__ import annotations

import base64
import datetime
import http.server
import ipaddress
import json
import os
import pathlib
import signal
import socketserver
import ssl
import sys
import tempfile
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

RECEIVED: list[dict] = []
FAULTS: list[dict] = []
LOGIN = (b"sortie", b"smtp-demo")


def certificate(folder: str) -> ssl.SSLContext:
    """Signed by itself, for this machine's loopback."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stand-in")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).add_extension(names, False)
    builder = builder.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=30))
    made = builder.add_extension(x509.BasicConstraints(True, None), True).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pathlib.Path(folder, "cert.pem").write_bytes(made.public_bytes(pem))
    pathlib.Path(folder, "key.pem").write_bytes(plain)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
    return context


class Session(socketserver.StreamRequestHandler):
    """One connection; each method answers a command, None ends it."""

    tls: ssl.SSLContext

    def handle(self) -> None:
        self.secure = self.known = False
        self.to: list[str] = []
        self.say("220 stand-in ESMTP")
        while row := self.rfile.readline(10_000):
            verb, _, rest = row.decode("utf-8", "replace").strip().partition(" ")
            reply = getattr(self, f"on_{verb.lower()}", lambda _: "502 unknown")(rest)
            if reply is None:
                return
            self.say(reply)
            if reply.startswith("220 go"):
                self.request = self.tls.wrap_socket(self.request, server_side=True)
                self.rfile, self.wfile, self.secure = self.request.makefile("rb"), self.request.makefile("wb"), True

    def say(self, reply: str) -> None:
        self.wfile.write(reply.replace("\n", "\r\n").encode() + b"\r\n")
        self.wfile.flush()

    def on_ehlo(self, _: str) -> str:
        return "250-stand-in\n" + ("250 AUTH PLAIN LOGIN" if self.secure else "250 STARTTLS")

    def on_starttls(self, _: str) -> str:
        return "220 go ahead"

    def on_auth(self, rest: str) -> str:
        kind, _, given = rest.partition(" ")
        parts = base64.b64decode(given).split(b"\0") if kind == "PLAIN" else []
        self.known = self.secure and tuple(parts[1:]) == LOGIN
        return "235 welcome" if self.known else "535 5.7.8 authentication failed"

    def on_mail(self, _: str) -> str:
        self.to = []
        return "250 ok" if self.known else "530 5.7.0 authentication required"

    def on_rcpt(self, rest: str) -> str:
        address = rest.partition(":")[2].strip("<> ")
        if address.startswith("nobody"):
            return "550 5.1.1 no such user"
        self.to.append(address)
        return "250 ok"

    def on_data(self, _: str) -> str | None:
        self.say("354 go on")
        rows = []
        while (row := self.rfile.readline(10_000)) not in (b".\r\n", b""):
            rows.append(row.removeprefix(b"."))
        fault = FAULTS.pop(0) if FAULTS else {}
        if not fault or fault.get("after"):
            RECEIVED.append({"to": self.to, "message": b"".join(rows).decode()})
        return None if fault.get("after") else fault.get("reply", "250 taken")

    def on_rset(self, _: str) -> str:
        return "250 ok"

    def on_quit(self, _: str) -> None:
        self.say("221 bye")


class Control(http.server.BaseHTTPRequestHandler):
    place: dict = {}  # noqa: RUF012

    def do_GET(self) -> None:
        self._send({"received": RECEIVED} if self.path == "/received" else self.place)

    def do_POST(self) -> None:
        FAULTS.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._send({"faults": FAULTS})

    def _send(self, value: dict) -> None:
        payload = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: object) -> None:
        pass


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        session = type("Stand", (Session,), {"tls": certificate(folder)})
        mail = socketserver.ThreadingTCPServer(("127.0.0.1", 0), session)
        mail.daemon_threads = True
        Control.place = {"port": mail.server_address[1], "ca": f"{folder}/cert.pem"}
        control = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Control)
        for stop in (signal.SIGTERM, signal.SIGINT):
            signal.signal(stop, lambda *_: threading.Thread(target=control.shutdown).start())
        threading.Thread(target=mail.serve_forever, daemon=True).start()
        print(f"listening on http://127.0.0.1:{control.server_address[1]}", flush=True)
        control.serve_forever()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
