#!/usr/bin/env python3
"""Jobs (.sync) and HTTP tasks with the real program: what is asked after survives kill -9, and requests go only where they may."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.request

import product as p

ROLE = "arn:aws:iam::123456789012:role/r"
QUERY = {"QueryString": "SELECT 1", "ResultConfiguration": {"OutputLocation": "s3://b/out"}}


class Echo(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = json.dumps({"path": self.path, "key": self.headers.get("x-api-key"), "body": json.loads(body)}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def start(sfn, name: str, resource: str, parameters: dict, **more) -> str:
    state = {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True, **more}
    definition = json.dumps({"StartAt": "T", "States": {"T": state}})
    arn = sfn.create_state_machine(name=name, definition=definition, roleArn=ROLE)["stateMachineArn"]
    return sfn.start_execution(stateMachineArn=arn)["executionArn"]


def slow_down(endpoint: str, model: str, times: int) -> None:
    """Jobs of the stand-in account change their state only after so many questions."""
    body = json.dumps({"model_name": model, "transition": {"progression": "manual", "times": times}}).encode()
    request = urllib.request.Request(f"{endpoint}/moto-api/state-manager/set-transition", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request).close()


def submitted(sfn, execution: str) -> bool:
    return any(event["type"] == "TaskSubmitted" for event in p.history(sfn, execution))


def test_a_job_is_asked_after_by_the_next_server_when_one_is_killed():
    with p.moto() as endpoint, p.temporary_folder() as folder:
        slow_down(endpoint, "athena::execution", 2)
        server = p.Server(folder, aws=endpoint).start()
        try:
            sfn = server.client("stepfunctions")
            execution = start(sfn, "query", "arn:aws:states:::athena:startQueryExecution.sync", QUERY)
            p.until(lambda: submitted(sfn, execution))
            server.kill()
            server.start()
            sfn = server.client("stepfunctions")
            ended = p.ended(sfn, execution)
            assert ended["status"] == "SUCCEEDED", ended
            assert json.loads(ended["output"])["QueryExecution"]["Status"]["State"] == "SUCCEEDED", ended
            types = [event["type"] for event in p.history(sfn, execution)]
            assert types[-5:] == ["TaskStarted", "TaskSubmitted", "TaskSucceeded", "TaskStateExited", "ExecutionSucceeded"], types
            assert len(p.account(endpoint, "athena").list_query_executions()["QueryExecutionIds"]) == 1
        finally:
            server.kill()


def test_a_job_is_stopped_with_its_execution():
    with p.moto() as endpoint, p.running(aws=endpoint) as server:
        slow_down(endpoint, "athena::execution", 1000)
        sfn, athena = server.client("stepfunctions"), p.account(endpoint, "athena")
        execution = start(sfn, "query", "arn:aws:states:::athena:startQueryExecution.sync", QUERY)
        p.until(lambda: submitted(sfn, execution))
        sfn.stop_execution(executionArn=execution)
        (query,) = athena.list_query_executions()["QueryExecutionIds"]
        p.until(lambda: athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]["State"] == "CANCELLED")


def test_http_tasks_go_where_the_configuration_lets_them():
    echo = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=echo.serve_forever, daemon=True).start()
    host = f"127.0.0.1:{echo.server_port}"
    key = {"ApiKeyAuthParameters": {"ApiKeyName": "x-api-key", "ApiKeyValue": "s3cret"}}
    project = {"sortie.yaml": f"http_tasks: {{private_hosts: ['{host}']}}\n"}
    with p.moto() as endpoint, p.running(project, aws=endpoint) as server:
        sfn, events = server.client("stepfunctions"), p.account(endpoint, "events")
        arn = events.create_connection(Name="c", AuthorizationType="API_KEY", AuthParameters=key)["ConnectionArn"]
        asked = {"Method": "POST", "InvocationConfig": {"ConnectionArn": arn}, "RequestBody": {"a": 1}}
        run = p.ended(sfn, start(sfn, "h", "arn:aws:states:::http:invoke", {"ApiEndpoint": f"http://{host}/x", **asked}))
        assert run["status"] == "SUCCEEDED", run
        assert json.loads(run["output"])["ResponseBody"] == {"path": "/x", "key": "s3cret", "body": {"a": 1}}
        run = p.ended(sfn, start(sfn, "i", "arn:aws:states:::http:invoke", {"ApiEndpoint": "https://169.254.169.254/", **asked}))
        assert (run["status"], run["error"]) == ("FAILED", "States.Http.Socket"), run
        api = {"ApiEndpoint": host, "Method": "POST", "Stage": "s", "Path": "p", "RequestBody": "text"}
        run = p.ended(sfn, start(sfn, "a", "arn:aws:states:::apigateway:invoke", api))
        assert json.loads(run["output"])["ResponseBody"]["path"] == "/s/p", run
    echo.shutdown()


if __name__ == "__main__":
    p.main(globals())
