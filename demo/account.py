#!/usr/bin/env python3
"""The stand-in AWS account of the demo and the tests: moto's server, with what it lacks added and a door that records every call.

    python demo/account.py [--host 127.0.0.1] [--port 0]

Prints `listening on http://HOST:PORT` when it serves. Signatures are not checked and nothing is kept: one process is one world.
"""

from __future__ import annotations

import argparse
import logging
import os
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# Before moto is imported: without it, listing own snapshots gives thousands of foreign ones.
os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")

import account_additions
from account_gate import Gate, Journal


def main() -> int:
    parser = argparse.ArgumentParser(description="stand-in AWS account")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()

    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    journal = Journal()
    gate = Gate(journal)
    server = make_server(arguments.host, arguments.port, gate, threaded=True)
    os.environ["MOTO_PORT"] = str(server.port)
    gate.store_finding = account_additions.install(journal)
    gate.inner = DomainDispatcherApplication(create_backend_app)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    print(f"listening on http://{arguments.host}:{server.port}", flush=True)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
