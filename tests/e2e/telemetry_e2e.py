#!/usr/bin/env python3
"""What a running server tells its operators: every metric that a dashboard, an alert rule or a page of the docs names is
there under that name after one story with an event, an action, an approval, a failure, its redrive and a call of somebody
else's service, and each attempt of a Task reaches a collector as one span of its execution's trace.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import pathlib
import re
import threading

import product as p

ACT = 'def handler(event, context):\n    return {"action": "Contain", "status": "changed"}\n'
BREAK = 'def handler(event, context):\n    raise RuntimeError("no")\n'
YAML = "runtime: python3.11\nhandler: index.handler\n"
ASK = {
    "Type": "Task",
    "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
    "Parameters": {
        "QueueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/approvals",
        "MessageBody": {"title": "Contain?", "token.$": "$$.Task.Token"},
    },
    "Next": "Act",
}
ACT_STATE = {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:Act", "End": True}
BREAK_STATE = {
    "Type": "Task",
    "Resource": "arn:aws:states:::lambda:invoke",
    "Parameters": {"FunctionName": "Break", "Payload": {}},
    "End": True,
}
CALL_STATE = {"Type": "Task", "Resource": "arn:aws:states:::http:invoke", "End": True}
RULE = """EventPattern: {source: [acme.alerts]}
Targets:
  - {Id: contain, Arn: "arn:aws:states:us-east-1:123456789012:stateMachine:contain", RoleArn: "arn:aws:iam::123456789012:role/sortie"}
"""


def project(collector: str) -> dict[str, str]:
    return {
        "sortie.yaml": f"traces: {{endpoint: '{collector}'}}\napprovals:\n  queues: [{{queue: approvals}}]\n"
        f"http_tasks: {{private_hosts: ['{collector.removeprefix('http://')}']}}\n",
        "playbooks/contain.asl.json": json.dumps({"StartAt": "Ask", "States": {"Ask": ASK, "Act": ACT_STATE}}),
        "playbooks/breaks.asl.json": json.dumps({"StartAt": "Break", "States": {"Break": BREAK_STATE}}),
        "rules/contain.yaml": RULE,
        "functions/Act/index.py": ACT,
        "functions/Act/function.yaml": YAML,
        "functions/Break/index.py": BREAK,
        "functions/Break/function.yaml": YAML,
    }


class Collector:
    """Takes OTLP over HTTP as an OpenTelemetry collector does, and keeps the spans; beside it, somebody's service."""

    def __init__(self) -> None:
        self.spans: list[dict] = []
        self.called_with: list[str] = []  # The header traceparent of each call of the service.
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if self.path == "/service":
                    collector.called_with.append(self.headers["traceparent"])
                    return self.send_empty()
                assert self.path == "/v1/traces", self.path
                for resource in body["resourceSpans"]:
                    for scope in resource["scopeSpans"]:
                        collector.spans += scope["spans"]
                self.send_empty()

            def send_empty(self) -> None:
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *a) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def named(self, name: str) -> list[dict]:
        return [s for s in self.spans if s["name"] == name]


class Told:
    """One story, and what the server said of it."""

    def __init__(self, server: p.Server, collector: Collector, aws: str):
        self.server, self.collector = server, collector
        token = server.add_person("alice")
        sfn, events = server.client("stepfunctions"), server.client("events")
        entry = {"Source": "acme.alerts", "DetailType": "Alert", "Detail": "{}"}
        assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0
        (approval,) = p.until(lambda: server.json("approvals", "list"))
        decided = server.cli("approve", approval["id"], "--reason", "seen and agreed", SORTIE_TOKEN=token)
        assert decided.returncode == 0, decided.stderr
        machine = "arn:aws:states:us-east-1:123456789012:stateMachine:"
        ended = {"stateMachineArn": machine + "contain", "statusFilter": "SUCCEEDED"}
        (self.contained,) = p.until(lambda: sfn.list_executions(**ended)["executions"])
        self.broken = sfn.start_execution(stateMachineArn=machine + "breaks")["executionArn"]
        assert p.ended(sfn, self.broken)["status"] == "FAILED"
        p.until(lambda: collector.named("breaks"), told="the failed execution's span did not arrive")
        sfn.redrive_execution(executionArn=self.broken)
        assert p.ended(sfn, self.broken)["status"] == "FAILED"
        self.call(sfn, p.account(aws, "events"))
        code, self.text = server.http("GET", "/metrics", Authorization=f"Bearer {token}")
        assert code == 200
        self.names = {re.sub(r"_(bucket|sum|count)$", "", n) for n in re.findall(r"^(sortie_\w+)", self.text, re.M)}

    def call(self, sfn, events) -> None:
        key = {"ApiKeyAuthParameters": {"ApiKeyName": "x-api-key", "ApiKeyValue": "s3cret"}}
        connection = events.create_connection(Name="c", AuthorizationType="API_KEY", AuthParameters=key)["ConnectionArn"]
        asked = {"ApiEndpoint": self.collector.url + "/service", "Method": "POST", "RequestBody": {}}
        calls = CALL_STATE | {"Parameters": asked | {"InvocationConfig": {"ConnectionArn": connection}}}
        definition = json.dumps({"StartAt": "Call", "States": {"Call": calls}})
        made = sfn.create_state_machine(name="calls", definition=definition, roleArn=p.ROLE)["stateMachineArn"]
        ended = p.ended(sfn, sfn.start_execution(stateMachineArn=made)["executionArn"])
        assert ended["status"] == "SUCCEEDED", ended

    def value(self, line: str) -> float:
        found = re.search(rf"^{re.escape(line)} (\S+)$", self.text, re.M)
        assert found, f"{line} is missing in:\n{self.text}"
        return float(found[1])


def test_dashboard_alerts_and_docs_name_only_what_is_there(told: Told) -> None:
    places = ["deploy/grafana/sortie.json", "deploy/prometheus/alerts.yaml", "docs/operations.md"]
    for place in places:
        text = (pathlib.Path(p.ROOT) / place).read_text()
        named = {re.sub(r"_bucket$", "", n) for n in re.findall(r"\bsortie_\w+", text)}
        assert len(named) > 10, place
        assert named <= told.names, f"{place} names what /metrics lacks: {sorted(named - told.names)}"


def test_every_metric_is_documented(told: Told) -> None:
    text = (pathlib.Path(p.ROOT) / "docs/operations.md").read_text()
    assert told.names <= set(re.findall(r"sortie_\w+", text)), sorted(told.names - set(re.findall(r"sortie_\w+", text)))


def test_the_story_is_counted_by_playbook_state_and_outcome(told: Told) -> None:
    assert told.value('sortie_executions_started_total{playbook="contain"}') == 1
    assert told.value('sortie_executions_closed_total{playbook="contain",status="SUCCEEDED"}') == 1
    assert told.value('sortie_executions_open{playbook="contain"}') == 0
    assert told.value('sortie_executions_closed_total{playbook="breaks",status="FAILED"}') == 2
    assert told.value('sortie_state_attempts_total{playbook="contain",state="Ask",outcome="handed_over"}') == 1
    assert told.value('sortie_state_attempts_total{playbook="breaks",state="Break",outcome="failed"}') == 2
    assert told.value('sortie_task_duration_seconds_count{connector="lambda",action="Act",outcome="succeeded"}') == 1
    assert told.value('sortie_task_duration_seconds_count{connector="lambda",action="Break",outcome="failed"}') == 2
    assert told.value("sortie_journal_fsync_seconds_count") > 0 and told.value("sortie_journal_fsync_seconds_sum") > 0
    assert told.value("sortie_slack_ack_seconds_count") == 0
    assert told.value('sortie_time_to_contain_seconds_count{playbook="contain"}') == 1
    assert told.value('sortie_approval_wait_seconds_count{outcome="approved",channel="cli"}') == 1
    assert told.value('sortie_events_ingested_total{source="acme.alerts",result="accepted"}') == 1


def test_a_histogram_adds_its_buckets_up(told: Told) -> None:
    name = 'sortie_execution_duration_seconds_bucket{playbook="contain",le='
    counts = [int(n) for n in re.findall(rf"^{re.escape(name)}\S+ (\d+)$", told.text, re.M)]
    assert counts == sorted(counts) and counts[-1] == 1, counts


def test_attempts_arrive_as_spans_of_one_trace(told: Told) -> None:
    spans = told.collector
    (root,) = p.until(lambda: spans.named("contain"), told="the execution's span did not arrive")
    (act,) = p.until(lambda: spans.named("Act"), told="the attempt's span did not arrive")
    digest = hashlib.sha256(told.contained["executionArn"].encode()).hexdigest()
    assert root["traceId"] == act["traceId"] == digest[:32]
    assert "parentSpanId" not in root and act["parentSpanId"] == root["spanId"]
    assert int(root["startTimeUnixNano"]) <= int(act["startTimeUnixNano"]) <= int(act["endTimeUnixNano"])
    broken = p.until(lambda: spans.named("Break"))
    assert broken[0]["status"] == {"code": 2, "message": "RuntimeError"}, broken[0]["status"]
    assert act["status"] == {"code": 1}


def test_a_redrive_is_a_trace_that_links_to_the_one_before(told: Told) -> None:
    spans = told.collector
    first, second = p.until(lambda: len(spans.named("breaks")) == 2 and spans.named("breaks"), told="the redrive's span did not arrive")
    assert first["traceId"] != second["traceId"] and "links" not in first
    assert second["links"] == [{"traceId": first["traceId"], "spanId": first["spanId"]}]
    attempts = p.until(lambda: len(spans.named("Break")) == 2 and spans.named("Break"))
    assert [a["traceId"] for a in attempts] == [first["traceId"], second["traceId"]]
    assert int(second["startTimeUnixNano"]) >= int(first["endTimeUnixNano"])


def test_a_call_of_another_service_carries_the_trace(told: Told) -> None:
    (call,) = p.until(lambda: told.collector.named("Call"), told="the call's span did not arrive")
    assert told.collector.called_with == [f"00-{call['traceId']}-{call['spanId']}-01"]


if __name__ == "__main__":
    seen = Collector()
    with p.temporary_folder() as folder:
        p.write_files(folder / "project", project(seen.url))
        with p.moto() as aws:
            one = p.Server(folder, folder / "project", aws=aws).start()
            try:
                p.main(globals(), Told(one, seen, aws))
            finally:
                one.stop()
