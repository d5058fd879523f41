"""Shared by the Python tests: a stand-in AWS account per test session, ordinary clients to it, and places in the repository."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
import threading

import boto3
import botocore.config
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "src/integrations/sdk_worker"))
sys.path.insert(0, str(ROOT / "functions/_lib"))
sys.path.insert(0, str(ROOT / "demo"))

os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1", AWS_EC2_METADATA_DISABLED="true")
for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_CONFIG_FILE", "AWS_REGION"):
    os.environ.pop(name, None)


class Account:
    """The stand-in account as a process of its own, the way the demo runs it."""

    def __init__(self, url: str):
        self.url = url

    def client(self, service: str, key: str = "test", **kw):
        config = botocore.config.Config(retries={"total_max_attempts": 1}, inject_host_prefix=False, s3={"addressing_style": "path"})
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=key,
            aws_secret_access_key="test",
            config=config,
            **kw,
        )


def start(*command: str, pattern: str = r"(http://127\.0\.0\.1:\d+)") -> tuple[subprocess.Popen, str]:
    """Starts a server process and waits for the line that names its address; its further output is read and dropped."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    seen = []
    for line in process.stdout:
        seen.append(line)
        if match := re.search(pattern, line):
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return process, match.group(1)
    raise RuntimeError(f"{command[1:]} ended without naming its address:\n{''.join(seen)}")


@pytest.fixture(scope="session")
def account():
    process, url = start(sys.executable, str(ROOT / "demo/account.py"), "--port", "0")
    yield Account(url)
    process.terminate()
    process.wait(10)


@pytest.fixture(autouse=True)
def _account_for_sdk(request, monkeypatch):
    """Code under test that makes its own clients talks to the stand-in account, whoever asks for it."""
    if "account" in request.fixturenames:
        monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("account").url)
