#!/usr/bin/env python3
"""Queues as sources: messages of an SQS queue become events, once each, whatever dies in between. Log groups as targets."""

from __future__ import annotations

import contextlib
import json
import subprocess

import product as p

CONFIGURATION = """\
sources:
  findings: {queue: findings, events: true, aws_sources: [aws.guardduty]}
  notes: {queue: notes}
"""
PASS = '{"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}'
RULE = """\
EventPattern:
  source: [aws.guardduty, sortie.queues.notes]
Targets:
  - {Id: t, Arn: "arn:aws:states:us-east-1:123456789012:stateMachine:noted"}
"""
PROJECT = {"sortie.yaml": CONFIGURATION, "playbooks/noted.asl.json": PASS, "rules/all.yaml": RULE}


def finding(number: int) -> str:
    return json.dumps({"source": "aws.guardduty", "detail-type": "GuardDuty Finding", "detail": {"id": str(number)}})


@contextlib.contextmanager
def account_with_queues():
    with p.moto() as endpoint:
        sqs = p.account(endpoint, "sqs")
        dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 2})
        urls = {
            name: sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "2", "RedrivePolicy": redrive})["QueueUrl"]
            for name in ("findings", "notes")
        }
        yield endpoint, sqs, urls | {"dead": dead}


def inputs(server: p.Server) -> list[str]:
    """What the executions were started with, sorted."""
    sfn = server.client("stepfunctions")
    pages = sfn.get_paginator("list_executions").paginate(stateMachineArn="arn:aws:states:us-east-1:123456789012:stateMachine:noted")
    arns = [e["executionArn"] for page in pages for e in page["executions"]]
    return sorted(json.dumps(json.loads(sfn.describe_execution(executionArn=a)["input"])["detail"]) for a in arns)


def left(sqs, url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    return sum(int(v) for v in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values())


def test_messages_become_events_and_poison_goes_the_way_of_the_queue():
    with account_with_queues() as (endpoint, sqs, urls), p.running(PROJECT, aws=endpoint) as server:
        sqs.send_message(QueueUrl=urls["findings"], MessageBody=finding(1))
        sqs.send_message(QueueUrl=urls["findings"], MessageBody="no event")
        forged = json.dumps({"source": "aws.iam", "detail-type": "x", "detail": {}})
        sqs.send_message(QueueUrl=urls["findings"], MessageBody=forged)
        sqs.send_message(QueueUrl=urls["notes"], MessageBody="look here")
        p.until(lambda: len(inputs(server)) == 2, told="the messages started nothing")
        assert inputs(server) == ['{"body": "look here"}', '{"id": "1"}'], inputs(server)
        p.until(lambda: left(sqs, urls["dead"]) == 2, told="the queue's redrive policy has not moved what was refused")
        assert left(sqs, urls["findings"]) == 0 and left(sqs, urls["notes"]) == 0
        assert "no event" in server.log() or "is no event" in server.log()
        told = json.loads(server.http("GET", "/v1/sources", Authorization=f"Bearer {server.add_person('ann')}")[1])["sources"]
        by_name = {s["name"]: s for s in told}
        assert by_name["findings"]["refused"] >= 2 and by_name["findings"]["accepted"] == 1, told
        assert by_name["notes"]["deleted"] == 1, told


def test_kill_9_between_accepting_and_deleting_loses_and_repeats_nothing():
    count = 60
    with account_with_queues() as (endpoint, sqs, urls), p.temporary_folder() as folder:
        p.write_files(folder / "project", PROJECT)
        server = p.Server(folder, folder / "project", aws=endpoint).start()
        try:
            for number in range(count):
                sqs.send_message(QueueUrl=urls["findings"], MessageBody=finding(number))
                if number % 15 == 14:  # Messages are on their way at any of these moments.
                    server.kill()
                    server.start()
            p.until(lambda: left(sqs, urls["findings"]) == 0, told="messages are left in the queue")
            want = sorted(json.dumps({"id": str(n)}) for n in range(count))
            moved = left(sqs, urls["dead"])
            got = p.until(lambda: len(found := inputs(server)) >= count - moved and found, told="events are lost")
            assert len(set(got)) == len(got), "a message started something twice"
            assert set(got) <= set(want)
            assert len(got) + moved >= count, (len(got), moved)
            assert server.stop() == 0
        finally:
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                server.kill()


def test_a_queue_that_cannot_be_reached_is_told():
    nowhere = f"http://127.0.0.1:{p.free_port()}"
    with p.running(PROJECT, aws=nowhere) as server:
        p.until(lambda: "source findings cannot be reached" in server.http("GET", "/readyz")[1], told="nobody is told")
        assert server.http("GET", "/readyz")[0] == 200
        token = server.add_person("ann")
        told = 'sortie_queue_reachable{source="notes"} 0'
        p.until(lambda: told in server.http("GET", "/metrics", Authorization=f"Bearer {token}")[1], told="no metric of the second queue")


def test_a_rule_writes_to_a_log_group_as_eventbridge_does():
    rule = """\
EventPattern: {source: [my.app]}
Targets:
  - {Id: t, Arn: "arn:aws:logs:us-east-1:123456789012:log-group:/aws/events/kept:*", InputPath: $.detail}
"""
    with p.moto() as endpoint, p.running({"sortie.yaml": "aws: {region: us-east-1}\n", "rules/log.yaml": rule}, aws=endpoint) as server:
        logs = p.account(endpoint, "logs")
        logs.create_log_group(logGroupName="/aws/events/kept")
        server.client("events").put_events(Entries=[{"Source": "my.app", "DetailType": "d", "Detail": '{"n": 7}'}])

        def written():
            streams = logs.describe_log_streams(logGroupName="/aws/events/kept")["logStreams"]
            found = [
                event["message"]
                for stream in streams
                for event in logs.get_log_events(logGroupName="/aws/events/kept", logStreamName=stream["logStreamName"])["events"]
            ]
            return found

        assert p.until(written, told="nothing was written") == ['{"n":7}'], written()


def test_mistakes_name_file_line_and_cure():
    with p.temporary_folder() as folder:
        p.write_files(folder, {"sortie.yaml": "aws: {region: us-east-1}\nsources:\n  findings:\n    queue: q\n    pols: 2\n"})
        server = p.Server(folder, folder)
        try:
            server.start()
        except p.StartFailed as refused:
            assert "sortie.yaml:5:" in refused.stderr and "pols" in refused.stderr and "polls" in refused.stderr, refused.stderr
        else:
            server.kill()
            raise AssertionError("a misspelt key is accepted")


if __name__ == "__main__":
    p.main(globals())
