"""The AWS worker: frames in and out, names and causes as Step Functions gives them, nothing that a bad request could break."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
import uuid

import calls
import pytest
import shapes
import stand_in
from conftest import ROOT

REGION = "us-east-1"


class Pipe:
    """A worker process and the frames to and from it."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "src/integrations/sdk_worker/worker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.number = 0

    def send_raw(self, body: bytes):
        self.process.stdin.write(struct.pack(">I", len(body)) + body)
        self.process.stdin.flush()

    def receive(self) -> dict:
        head = self.process.stdout.read(4)
        assert len(head) == 4, "the worker closed its output"
        return json.loads(self.process.stdout.read(struct.unpack(">I", head)[0]))

    def send(self, **frame) -> int:
        self.number += 1
        self.send_raw(json.dumps({"id": self.number, "region": REGION, **frame}).encode())
        return self.number

    def call(self, service, action, parameters=None, style="aws-sdk", **more) -> dict:
        number = self.send(service=service, action=action, parameters=parameters or {}, style=style, **more)
        answer = self.receive()
        assert answer.pop("id") == number
        return answer


@pytest.fixture(scope="module")
def pipe():
    pipe = Pipe()
    yield pipe
    pipe.process.stdin.close()
    assert pipe.process.wait(20) == 0, "EOF on stdin ends the worker in peace"


@pytest.fixture
def aws(pipe, account):
    def call(service, action, parameters=None, style="aws-sdk", **more):
        return pipe.call(service, action, parameters, style, endpoint_url=account.url, **more)

    return call


@pytest.mark.parametrize(
    ("model", "sdk2"),
    [
        ("DBInstanceIdentifier", "DbInstanceIdentifier"),
        ("stateMachineArn", "StateMachineArn"),
        ("SSEKMSKeyId", "SsekmsKeyId"),
        ("ChecksumCRC32", "ChecksumCRC32"),
        ("ETag", "ETag"),
        ("MD5OfMessageBody", "Md5OfMessageBody"),
    ],
)
def test_members_of_aws_sdk_calls_are_spelled_as_version_2_of_the_java_sdk_does(model, sdk2):
    assert shapes.member_name(model, "aws-sdk") == sdk2


@pytest.mark.parametrize(
    ("service_id", "name"),
    [
        ("DynamoDB", "DynamoDb"),
        ("EC2", "Ec2"),
        ("SFN", "Sfn"),
        ("S3", "S3"),
        ("Secrets Manager", "SecretsManager"),
        ("GuardDuty", "GuardDuty"),
        ("Config Service", "Config"),
        ("Database Migration Service", "DatabaseMigration"),
    ],
)
def test_service_names_follow_the_service_id(service_id, name):
    assert shapes.pascal(shapes.service_name(service_id)) == name


def test_services_are_called_as_the_sdk_calls_them():
    catalogue = calls.Catalogue()
    names = ("config", "databasemigration", "directory", "cloudwatchlogs", "costexplorer", "sfn", "servicequotas")
    assert [catalogue.service(name, "aws-sdk") for name in names] == [
        "config",
        "dms",
        "ds",
        "logs",
        "ce",
        "stepfunctions",
        "service-quotas",
    ]


def test_dynamodb_round_trip_in_both_styles(aws, account):
    account.client("dynamodb").create_table(
        TableName="worker",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    item = {"id": {"S": "id1"}, "data": {"S": "HelloWorld"}}
    assert aws("dynamodb", "putItem", {"TableName": "worker", "Item": item}) == {"result": {}}
    assert aws("dynamodb", "getItem", {"TableName": "worker", "Key": {"id": {"S": "id1"}}}) == {"result": {"Item": item}}
    result = aws("dynamodb", "getItem", {"TableName": "worker", "Key": {"id": {"S": "id1"}}}, "optimized")["result"]
    assert result["Item"] == item
    assert result["SdkHttpMetadata"]["HttpStatusCode"] == 200
    assert result["SdkResponseMetadata"]["RequestId"] == result["SdkHttpMetadata"]["HttpHeaders"]["x-amzn-RequestId"]
    condition = {"TableName": "worker", "Item": item, "ConditionExpression": "attribute_not_exists(id)"}
    error = aws("dynamodb", "putItem", condition)["error"]
    assert error["name"] == "DynamoDb.ConditionalCheckFailedException" and not error["retryable"]
    assert "(Service: DynamoDb, Status Code: 400, Request ID: " in error["cause"]
    error = aws("dynamodb", "putItem", condition, "optimized")["error"]
    assert error["name"] == "DynamoDB.ConditionalCheckFailedException"
    assert "(Service: AmazonDynamoDBv2; Status Code: 400; Error Code: ConditionalCheckFailedException; Request ID: " in error["cause"]


def test_a_missing_member_is_worded_as_the_service_words_it(aws):
    error = aws("dynamodb", "putItem", {"TableName": "worker", "Item": None}, "optimized")["error"]
    assert error["name"] == "DynamoDB.AmazonDynamoDBException"
    assert error["cause"].startswith(
        "1 validation error detected: Value null at 'item' failed to satisfy constraint: Member must not be null "
        "(Service: AmazonDynamoDBv2; Status Code: 400; Error Code: ValidationException; Request ID: "
    )
    assert error["cause"].endswith("; Proxy: null)")
    error = aws("sqs", "sendMessage", {"QueueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/q", "MessageBody": None}, "optimized")[
        "error"
    ]
    assert error["name"] == "SQS.AmazonSQSException"
    assert error["cause"].startswith("The request must contain the parameter MessageBody. (Service: AmazonSQS; Status Code: 400; ")


def test_an_unknown_parameter_is_refused_in_the_words_of_step_functions(aws):
    error = aws("s3", "getObject", {"Bucket": "b", "Key": "k", "Colour": "red"})["error"]
    assert error["name"] == "States.Runtime"
    assert 'could not be used to start the Task: [The field "Colour" is not supported by Step Functions]' in error["cause"]
    nested = aws("s3", "putPublicAccessBlock", {"Bucket": "b", "PublicAccessBlockConfiguration": {"blockPublicAcls": True}})["error"]
    assert 'The field "blockPublicAcls" is not supported' in nested["cause"]


def test_s3_bodies_are_text_and_errors_carry_the_exception_of_the_sdk(aws, account):
    account.client("s3").create_bucket(Bucket="worker-bucket")
    stored = aws("s3", "putObject", {"Bucket": "worker-bucket", "Key": "k", "Body": {"Dict": "Value"}})["result"]
    assert stored["ETag"] == '"49e31cee5aec8faf3345893addb14346"'
    got = aws("s3", "getObject", {"Bucket": "worker-bucket", "Key": "k"})["result"]
    assert got["Body"] == '{"Dict":"Value"}' and got["ContentLength"] == 16
    assert got["LastModified"].endswith("Z") and "ResponseMetadata" not in got
    aws("s3", "putObject", {"Bucket": "worker-bucket", "Key": "flag", "Body": False})
    assert aws("s3", "getObject", {"Bucket": "worker-bucket", "Key": "flag"})["result"]["Body"] == "false"
    error = aws("s3", "getObject", {"Bucket": "no-such-bucket-here", "Key": "k"})["error"]
    assert error["name"] == "S3.NoSuchBucketException"
    assert error["cause"].startswith("The specified bucket does not exist (Service: S3, Status Code: 404, Request ID: ")
    policy = aws("s3", "getBucketPolicy", {"Bucket": "worker-bucket"})["error"]
    assert policy["name"] == "S3.S3Exception", "a code without a modelled exception has the service's own name"


def test_query_and_ec2_services_work(aws, account):
    role = {"RoleName": "worker-role", "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []}}
    made = aws("iam", "createRole", role)["result"]["Role"]
    assert made["RoleName"] == "worker-role" and made["CreateDate"].endswith("Z")
    assert aws("iam", "getRole", {"RoleName": "nobody"})["error"]["name"] == "Iam.NoSuchEntityException"
    vpc = aws("ec2", "createVpc", {"CidrBlock": "10.9.0.0/16"})["result"]["Vpc"]["VpcId"]
    found = aws("ec2", "describeVpcs", {"Filters": [{"Name": "vpc-id", "Values": [vpc]}]})["result"]["Vpcs"]
    assert [v["VpcId"] for v in found] == [vpc]
    error = aws("ec2", "describeInstances", {"InstanceIds": ["i-0123456789abcdef0"]})["error"]
    assert error["name"] == "Ec2.Ec2Exception" and "(Service: Ec2, Status Code: 400, " in error["cause"]
    assert aws("rds", "describeDBInstances", {"DbInstanceIdentifier": "none"})["error"]["name"] == "Rds.DbInstanceNotFoundException"
    assert "LogGroups" in aws("cloudwatchlogs", "describeLogGroups")["result"]
    assert aws("secretsmanager", "getSecretValue", {"SecretId": "none"})["error"]["name"] == "SecretsManager.ResourceNotFoundException"


def test_messages_given_as_objects_are_sent_as_json_text(aws, account):
    sqs = account.client("sqs")
    queue = sqs.create_queue(QueueName="worker-queue")["QueueUrl"]
    topic = account.client("sns").create_topic(Name="worker-topic")["TopicArn"]
    account.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:worker-queue")
    sent = aws("sqs", "sendMessage", {"QueueUrl": queue, "MessageBody": {"a": [1, 2]}}, "optimized")["result"]
    assert set(sent) == {"MD5OfMessageBody", "MessageId", "SdkHttpMetadata", "SdkResponseMetadata"}
    aws_url = "https://sqs.us-east-1.amazonaws.com/123456789012/worker-queue"
    assert "MessageId" in aws("sqs", "sendMessage", {"QueueUrl": aws_url, "MessageBody": "plain"}, "optimized")["result"]
    aws("sns", "publish", {"TopicArn": topic, "Message": {"alarm": True}}, "optimized")
    bodies = [m["Body"] for m in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]]
    assert '{"a":[1,2]}' in bodies and "plain" in bodies
    assert any(json.loads(b).get("Message") == '{"alarm":true}' for b in bodies if b.startswith("{") and "Message" in b)
    error = aws("sns", "publish", {"TopicArn": topic + "x", "Message": "m"}, "optimized")["error"]
    assert error["name"] == "SNS.NotFoundException"
    assert "(Service: AmazonSNS; Status Code: 404; Error Code: NotFound; Request ID: " in error["cause"]


def test_the_metadata_of_a_stand_ins_answer_is_what_aws_would_show(aws, account):
    account.client("sqs").create_queue(QueueName="shown")
    url = "https://sqs.us-east-1.amazonaws.com/123456789012/shown"
    sent = aws("sqs", "sendMessage", {"QueueUrl": url, "MessageBody": "hi"}, "optimized")["result"]
    headers = sent["SdkHttpMetadata"]["HttpHeaders"]
    assert set(headers) == {"x-amzn-RequestId", "connection", "Content-Length", "Date", "Content-Type"}
    assert (headers["connection"], headers["Content-Length"]) == ("keep-alive", "106")
    request_id = sent["SdkResponseMetadata"]["RequestId"]
    assert str(uuid.UUID(request_id)) == request_id == headers["x-amzn-RequestId"]
    topic = account.client("sns").create_topic(Name="shown")["TopicArn"]
    published = aws("sns", "publish", {"TopicArn": topic, "Message": "hi"}, "optimized")["result"]
    assert published["SdkHttpMetadata"]["HttpHeaders"]["Content-Length"] == "294"
    failed = aws("sns", "publish", {"TopicArn": topic + "-not", "Message": "hi"}, "optimized")["error"]
    assert re.search(r"Request ID: [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}; Proxy: null", failed["cause"])


def test_capacity_that_nobody_asked_for_is_not_told(aws, account):
    key = {"AttributeName": "id", "KeyType": "HASH"}
    attribute = {"AttributeName": "id", "AttributeType": "S"}
    dynamodb = account.client("dynamodb")
    dynamodb.create_table(TableName="capacity", KeySchema=[key], AttributeDefinitions=[attribute], BillingMode="PAY_PER_REQUEST")
    update = {
        "TableName": "capacity",
        "Key": {"id": {"S": "1"}},
        "UpdateExpression": "SET n = :n",
        "ExpressionAttributeValues": {":n": {"N": "1"}},
    }
    plain = aws("dynamodb", "updateItem", update, "optimized")["result"]
    assert set(plain) == {"SdkHttpMetadata", "SdkResponseMetadata"}
    headers = plain["SdkHttpMetadata"]["HttpHeaders"]
    assert (headers["Content-Length"], headers["x-amz-crc32"], headers["Server"]) == ("2", "2745614147", "Server")
    assert "ConsumedCapacity" in aws("dynamodb", "updateItem", update | {"ReturnConsumedCapacity": "TOTAL"}, "optimized")["result"]


def test_a_foreign_request_id_becomes_the_same_uuid_every_time():
    given = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    assert stand_in.as_uuid(given) == given
    assert stand_in.as_uuid("A" * 52) == stand_in.as_uuid("A" * 52) != stand_in.as_uuid("B" * 52)


def test_what_breaks_a_constraint_of_the_model_is_refused_before_it_is_sent(aws):
    answer = aws("dynamodb", "putItem", {"TableName": "/t", "Item": {}}, "optimized")["error"]
    assert answer["name"] == "DynamoDB.AmazonDynamoDBException"
    where = "Value '/t' at 'tableName' failed to satisfy constraint: Member must"
    assert answer["cause"].startswith(
        f"2 validation errors detected: {where} have length greater than or equal to 3; "
        f"{where} satisfy regular expression pattern: [a-zA-Z0-9_.-]+ (Service: "
    )


def test_a_body_from_a_state_is_text(aws, account):
    account.client("s3").create_bucket(Bucket="texts")
    aws("s3", "putObject", {"Bucket": "texts", "Key": "k", "Body": {"a": 1}})
    read = aws("s3", "getObject", {"Bucket": "texts", "Key": "k"})["result"]
    assert (read["ContentType"], read["Body"]) == ("text/plain; charset=UTF-8", '{"a":1}')
    assert not any(name.startswith("Checksum") for name in read)


def test_a_queue_address_that_does_not_resolve_is_a_client_error(aws):
    error = aws("sqs", "sendMessage", {"QueueUrl": "http://no-such-queue-7.invalid", "MessageBody": "m"}, "optimized", timeout_s=5)["error"]
    assert error == {
        "name": "SQS.SdkClientException",
        "cause": "Unable to execute HTTP request: no-such-queue-7.invalid: Name or service not known",
        "retryable": True,
    }


def test_an_unreachable_endpoint_is_a_client_error(pipe):
    error = pipe.call("sns", "listTopics", endpoint_url="http://127.0.0.1:9", timeout_s=5)["error"]
    assert error["name"] == "Sns.SdkClientException" and error["retryable"]
    assert error["cause"] == "Unable to execute HTTP request: Connect to 127.0.0.1:9 failed: Connection refused"


def test_put_events_with_a_refused_entry_fails_the_task(monkeypatch):
    """Step Functions turns FailedEntryCount into an error; the account answers 200."""
    import calls

    caller = calls.Caller()

    class Client:
        def _make_api_call(self, *_):
            return {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}]}

    monkeypatch.setattr(caller.clients, "get", lambda *_: Client())
    frame = {"service": "events", "action": "putEvents", "style": "optimized", "parameters": {"Entries": [{"Detail": {"a": 1}}]}}
    with pytest.raises(calls.CallFailed) as failed:
        caller.call(calls.Request(frame))
    assert failed.value.name == "EventBridge.FailedEntry"
    assert json.loads(failed.value.cause) == {
        "FailedEntryCount": 1,
        "Entries": [{"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}],
    }


def test_a_role_is_assumed_and_its_account_is_the_one_that_answers(aws):
    role = "arn:aws:iam::210987654321:role/responder"
    identity = aws("sts", "getCallerIdentity", role_arn=role, role_session_name="run one/two")["result"]
    assert identity["Account"] == "210987654321"
    assert identity["Arn"].endswith("responder/run-one-two")
    assert aws("sts", "getCallerIdentity")["result"]["Account"] == "123456789012"


def test_unknown_services_and_actions_are_not_recognized(pipe):
    for service, action in (("nosuch", "doIt"), ("s3", "getUnicorn")):
        error = pipe.call(service, action)["error"]
        assert error["name"] == "States.Runtime" and "is not recognized" in error["cause"]
    assert "arn:aws:states:::glacier:x" in pipe.call("glacier", "x", style="optimized")["error"]["cause"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"id": 5}',
        b'{"id": 5, "service": 1, "action": "x"}',
        b'{"id": 5, "service": "s3", "action": "listBuckets", "credentials": "me"}',
        b'{"id": 5, "service": "s3", "action": "listBuckets", "endpoint_url": "file:///etc/passwd"}',
        b'{"id": 5, "service": "s3", "action": "listBuckets", "timeout_s": -1}',
        b'{"id": 5, "service": "s3", "action": "listBuckets", "parameters": [1]}',
        b'{"id": 5, "service": "../../etc", "action": "passwd"}',
        b'{"id": 5, "a": ' + b"[" * 200_000,
    ],
)
def test_a_bad_request_is_answered_and_the_worker_lives(pipe, account, body):
    pipe.send_raw(body)
    assert pipe.receive()["error"]["name"] == "States.Runtime"
    assert "result" in pipe.call("sts", "getCallerIdentity", endpoint_url=account.url)


@pytest.mark.parametrize(
    ("service", "action", "style", "check", "result", "wrong"),
    [
        ("states", "startExecution", "optimized", "strict", {"ExecutionArn": "a"}, "Required field 'StartDate' is missing"),
        ("states", "startExecution", "optimized", "present", {"ExecutionArn": "a"}, None),
        ("states", "startExecution", "optimized", "present", {"ExecutionArn": 7}, "Field 'ExecutionArn' must be a string"),
        ("sqs", "receiveMessage", "aws-sdk", "strict", {"Messages": {}}, "Field 'Messages' must be an array"),
        ("dynamodb", "scan", "aws-sdk", "strict", {"Items": [{"id": {"Bool": "x"}}]}, "Field 'Bool' must be a boolean"),
        ("dynamodb", "scan", "aws-sdk", "strict", {"Count": "1"}, "Field 'Count' must be a number"),
        ("kms", "encrypt", "aws-sdk", "strict", {"EncryptionAlgorithm": "ROT13"}, "Field 'EncryptionAlgorithm' is not an expected value"),
        ("kms", "encrypt", "aws-sdk", "strict", {"KeyId": ""}, "Field 'KeyId' is smaller than the minimum length"),
        ("kms", "encrypt", "aws-sdk", "strict", [1], "Result must be an object"),
        ("kms", "encrypt", "aws-sdk", "strict", {"unknown": 1}, None),
        ("lambda", "getFunctionConfiguration", "aws-sdk", "present", {"MemorySize": 10240}, None),
        ("lambda", "getFunctionConfiguration", "aws-sdk", "present", {"MemorySize": 12000}, "Field 'MemorySize' exceeds the maximum value"),
        ("nothing", "atAll", "aws-sdk", "strict", {"x": 1}, None),
    ],
)
def test_a_made_up_result_is_held_against_the_model(pipe, service, action, style, check, result, wrong):
    answer = pipe.call(service, action, result, style=style, check=check)
    if wrong is None:
        assert answer["result"] == {}
    else:
        assert (answer["error"]["name"], answer["error"]["cause"]) == ("ValidationException", wrong)


def test_many_calls_at_once_each_get_their_own_answer(pipe, account):
    expected = {}
    for index in range(60):
        name = f"q-{index}"
        number = pipe.send(service="sqs", action="createQueue", parameters={"QueueName": name}, style="aws-sdk", endpoint_url=account.url)
        expected[number] = name
    for _ in range(60):
        answer = pipe.receive()
        assert answer["result"]["QueueUrl"].endswith("/" + expected.pop(answer["id"]))
    assert not expected


def test_a_frame_length_that_cannot_be_true_ends_the_worker():
    pipe = Pipe()
    pipe.process.stdin.write(b"GET / HTTP/1.1\r\n\r\n")
    pipe.process.stdin.flush()
    assert pipe.process.wait(20) == 3
    assert pipe.process.stdout.read() == b""
