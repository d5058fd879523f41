#!/usr/bin/env python3
"""The commands as a person and a script use them: what they print where, and with which exit code they end."""

from __future__ import annotations

import json
import re
import signal
import subprocess

import product as p

FAILS = json.dumps({"StartAt": "No", "States": {"No": {"Type": "Fail", "Error": "My.Error", "Cause": "because"}}}, indent=2)
WAITS = json.dumps({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 3600, "End": True}}}, indent=2)
SLOW = json.dumps({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 60, "End": True}}, "TimeoutSeconds": 1}, indent=2)
TALKS = """def lambda_handler(event, context):
    print('I was told', event)
    if event.get('fail'):
        raise ValueError('no good')
    return event
"""
COMMANDS = [
    "serve",
    "dev",
    "init",
    "user",
    "login-link",
    "env",
    "run",
    "approvals",
    "approve",
    "reject",
    "event",
    "playbook",
    "function",
    "library",
    "eval",
    "test",
    "audit",
    "backup",
    "restore",
    "check",
    "completion",
    "doctor",
    "version",
]


def expect(done: subprocess.CompletedProcess, code: int, *words: str) -> subprocess.CompletedProcess:
    told = f"{done.args[1:]}: exit {done.returncode}\nstdout: {done.stdout}\nstderr: {done.stderr}"
    assert done.returncode == code, f"exit {code} was expected: {told}"
    for word in words:
        assert word in done.stdout + done.stderr, f"'{word}' is missing: {told}"
    assert "\033" not in done.stdout + done.stderr, f"colours in a pipe: {told}"
    return done


class Project:
    """What `sortie init` made, a few playbooks more, and a server for it."""

    def __init__(self, folder):
        self.place = folder / "project"
        self.made = p.cli("init", self.place)
        p.write_files(
            self.place,
            {
                "playbooks/fails.asl.json": FAILS,
                "playbooks/waits.asl.json": WAITS,
                "playbooks/slow.asl.json": SLOW,
                "functions/Talks/lambda_function.py": TALKS,
                "functions/Talks/function.yaml": "runtime: python3.11\nhandler: lambda_function.lambda_handler\n",
            },
        )
        self.server = p.Server(folder, self.place).start()
        self.cli, self.json = self.server.cli, self.server.json


def test_init_makes_a_project_that_works_at_once(project: Project) -> None:
    expect(project.made, 0)
    assert project.made.stdout == ""
    assert "sortie dev" in project.made.stderr
    for name in ("sortie.yaml", "playbooks/hello.asl.json", "functions/Greet/handler.py", "rules/hello.yaml", "tests/hello.test.yaml"):
        assert (project.place / name).is_file(), name
    expect(p.cli("init", project.place), 1, "already")
    problems = [line for line in project.server.log().splitlines() if '"level":"error"' in line]
    assert not problems, problems
    expect(p.cli("test", cwd=project.place), 0, "greets by name", "1 passed, 0 failed")
    done = expect(project.cli("run", "start", "hello", "--wait", "-o", "json", "--input", "-", stdin='{"name": "Ada"}'), 0)
    assert json.loads(done.stdout)["output"]["greeting"] == "Hello, Ada!", done.stdout


def test_the_library_is_copied_into_a_project_with_what_it_needs(project: Project) -> None:
    listed = expect(p.cli("library", "list", "-o", "name"), 0).stdout.split()
    assert {"incident-response", "CreateJiraIssue", "SendEmail"} <= set(listed), listed
    with p.temporary_folder() as folder:
        expect(p.cli("library", "add", "SendEmail", cwd=folder), 8, "sortie init")
        p.write_files(folder, {"sortie.yaml": 'aws: {account: "210987654321", region: eu-west-1}\n'})
        expect(p.cli("library", "add", "incident-response", "SendEmail", "Nothing", cwd=folder), 8, "functions/SendEmail", "no Nothing")
        text = (folder / "playbooks/incident-response.asl.json").read_text()
        assert "arn:aws:lambda:eu-west-1:210987654321:function:PlanContainment" in text and "123456789012" not in text
        assert (folder / "rules/guardduty-ec2-compromise.yaml").is_file() and (folder / "functions/PlanContainment/handler.py").is_file()
        assert not (folder / "functions/CallWebhook").exists() and (folder / "layers/_lib/python/sortie_actions/core.py").is_file()
        (folder / "functions/SendEmail/handler.py").write_text("mine")
        expect(p.cli("library", "add", "SendEmail", cwd=folder), 1, "already there")
        assert (folder / "functions/SendEmail/handler.py").read_text() == "mine"
        expect(p.cli("playbook", "lint", "playbooks/incident-response.asl.json", cwd=folder), 0)


def test_a_playbook_started_with_wait_ends_as_it_ends(project: Project) -> None:
    expect(project.cli("run", "start", "hello", "--wait"), 0, "SUCCEEDED", "Hello, world!")
    expect(project.cli("run", "start", "fails", "--wait"), 3, "FAILED", "My.Error", "because")
    expect(project.cli("run", "start", "slow", "--wait"), 5, "TIMED_OUT")
    expect(project.cli("run", "start", "waits", "--wait", "--timeout", "1", "--name", "long"), 5, "RUNNING")
    expect(project.cli("run", "stop", "long", "--reason", "tested"), 0)
    expect(project.cli("run", "start", "nothing-like-it"), 8, "nothing-like-it")
    expect(project.cli("run", "start", "hello", "--input", "-", stdin="{broken"), 1, "JSON")
    expect(project.cli("run", "start", "hello", "--input", "/no/such/file"), 8, "/no/such/file")


def test_executions_are_listed_shown_watched_explained_and_stopped(project: Project) -> None:
    started = project.json("run", "start", "waits", "--name", "sleeper")
    arn = started["arn"]
    assert arn.endswith(":execution:waits:sleeper")
    listed = project.json("run", "list", "--status", "RUNNING", "--playbook", "waits")
    assert [row["name"] for row in listed] == ["sleeper"]
    assert project.json("run", "list", "--name", "sleep")[0]["arn"] == arn
    assert project.json("run", "show", "sleeper")["status"] == "RUNNING"
    assert project.json("run", "show", "@latest")["arn"] == arn
    expect(project.cli("run", "explain", "sleeper"), 0, "W")
    expect(project.cli("run", "stop", "sleeper"), 2, "--reason")
    expect(project.cli("run", "stop", "sleeper", "--reason", "enough of it"), 0)
    watched = expect(project.cli("run", "watch", "sleeper"), 3, "ExecutionStarted", "WaitStateEntered", "ExecutionAborted")
    assert "ABORTED" in watched.stderr and "ABORTED" not in watched.stdout
    expect(project.cli("run", "explain", "sleeper"), 0, "ABORTED")
    expect(project.cli("run", "show", "nobody"), 8, "nobody", "sortie run list")
    expect(project.cli("run", "show", "arn:aws:states:us-east-1:123456789012:execution:waits:none"), 8)
    ended = expect(project.cli("run", "watch", arn, "-o", "jsonl"), 3)
    assert [json.loads(line)["id"] for line in ended.stdout.splitlines()] == [1, 2, 3]


def test_lists_have_five_formats(project: Project) -> None:
    project.json("run", "start", "hello", "--name", "formats")
    text = expect(project.cli("run", "list", "--name", "formats"), 0).stdout.splitlines()
    assert text[0].split()[:3] == ["STATUS", "NAME", "PLAYBOOK"] and "formats" in text[1] and "arn:" not in text[1]
    assert "arn:aws:states" in expect(project.cli("run", "list", "-o", "wide", "--name", "formats"), 0).stdout
    names = expect(project.cli("run", "list", "-o", "name", "--name", "formats"), 0).stdout.split()
    assert len(names) == 1 and names[0].endswith("hello:formats")
    lines = expect(project.cli("run", "list", "-o", "jsonl"), 0).stdout.splitlines()
    assert len(lines) > 1 and all(json.loads(line)["arn"] for line in lines)
    assert isinstance(json.loads(expect(project.cli("run", "list", "-o", "json"), 0).stdout), list)
    columns = expect(project.cli("run", "list", "--columns", "name,status", "--name", "formats"), 0).stdout.splitlines()
    assert columns[0].split() == ["NAME", "STATUS"], columns
    expect(project.cli("run", "list", "-o", "xml"), 2)
    none = expect(project.cli("run", "list", "--name", "no-such-prefix", "-o", "json"), 0)
    assert json.loads(none.stdout) == []


def test_people_are_added_listed_and_removed(project: Project) -> None:
    added = project.json("user", "add", "ada", "--group", "ir", "--group", "leads")
    assert len(added["token"]) >= 32
    before_name = expect(project.cli("user", "add", "--group", "ir", "eve", "-o", "json"), 0)
    assert json.loads(before_name.stdout)["person"]["name"] == "eve"
    people = {person["name"]: person for person in project.json("user", "list")}
    assert people["ada"]["groups"] == ["ir", "leads"] and "token" not in people["ada"], people["ada"]
    expect(project.cli("user", "add", "ada"), 1, "ada")
    expect(project.cli("user", "add", "bad name!"), 1)
    assert project.json("run", "list", SORTIE_TOKEN=added["token"]) is not None
    expect(project.cli("user", "add", "friend", SORTIE_TOKEN=added["token"]), 4)
    expect(project.cli("user", "remove", "ada"), 0)
    expect(project.cli("user", "remove", "ada"), 8)
    expect(project.cli("run", "list", SORTIE_TOKEN=added["token"]), 4)


def test_events_are_sent_listed_and_shown(project: Project) -> None:
    event = {"source": "my.app", "detail-type": "Greeting", "detail": {"name": "Eva"}}
    sent = json.loads(expect(project.cli("event", "send", "-", "-o", "json", stdin=json.dumps(event)), 0).stdout)
    shown = p.until(lambda: (e := project.json("event", "show", sent["id"]))["executions"] and e)
    ended = p.until(lambda: (r := project.json("run", "show", shown["executions"][0]))["status"] != "RUNNING" and r)
    assert ended["output"]["greeting"] == "Hello, Eva!"
    assert [e["id"] for e in project.json("event", "list", "--source", "my.*", "--text", "Eva")] == [sent["id"]]
    assert project.json("event", "list", "--type", "Other") == []
    expect(project.cli("event", "list"), 0, "my.app", "Greeting")
    expect(project.cli("event", "show", "no-such-event"), 8)
    expect(project.cli("event", "send", "-", stdin="no json"), 1, "JSON")
    expect(project.cli("event", "send", "-", stdin='{"source": "x"}'), 1)
    expect(project.cli("event", "send", "-", "--bus", "no-such-bus", stdin=json.dumps(event)), 8, "no-such-bus")
    expect(project.cli("event", "send", "-", "--bus", "default", stdin=json.dumps(event)), 0)


def test_functions_are_invoked_listed_and_their_logs_read(project: Project) -> None:
    listed = {f["name"]: f for f in project.json("function", "list")}
    assert {"Greet", "Talks"} <= set(listed) and listed["Greet"]["handler"] == "handler.lambda_handler"
    answer = json.loads(expect(project.cli("function", "invoke", "Talks", "--payload", "-", "-o", "json", stdin='{"n": 5}'), 0).stdout)
    assert answer["payload"] == {"n": 5}, answer
    logs = expect(project.cli("function", "logs", "Talks"), 0, "I was told {'n': 5}", "REPORT RequestId")
    assert "START RequestId" in logs.stdout
    expect(project.cli("function", "invoke", "Talks", "--payload", "-", stdin='{"fail": true}'), 3, "no good", "ValueError")
    one = expect(project.cli("function", "logs", "Talks", "--request", answer["request_id"]), 0, "I was told {'n': 5}")
    assert "no good" not in one.stdout
    expect(project.cli("function", "invoke", "Nobody"), 8, "Nobody")
    expect(project.cli("function", "logs", "Nobody"), 8)


def test_playbooks_are_linted_drawn_published_and_listed(project: Project) -> None:
    hello = project.place / "playbooks/hello.asl.json"
    expect(p.cli("playbook", "lint", hello), 0)
    broken = project.place / "broken.asl.json"
    broken.write_text('{\n "StartAt": "A",\n "States": {"A": {"Type": "Pass", "Next": "B"}}\n}\n')
    expect(p.cli("playbook", "lint", broken), 10, "broken.asl.json", "B")
    sarif = json.loads(expect(p.cli("playbook", "lint", broken, "-o", "sarif"), 10).stdout)
    assert sarif["version"] == "2.1.0" and sarif["runs"][0]["results"]
    json.loads(expect(p.cli("playbook", "lint", broken, "-o", "json"), 10).stdout)
    expect(p.cli("playbook", "lint", "/no/such.asl.json"), 8, "/no/such.asl.json")
    swallows = "def main(event, context):\n    try:\n        return 1 / 0\n    except Exception:\n        return {'statusCode': 500}\n"
    task = {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:Swallows", "Retry": [], "End": True}
    p.write_files(
        project.place,
        {
            "functions/Swallows/app.py": swallows,
            "functions/Swallows/function.yaml": "handler: app.main\nbehaviour: {idempotent: false}\n",
            "calls.asl.json": json.dumps({"StartAt": "A", "States": {"A": task}}),
        },
    )
    expect(p.cli("playbook", "lint", project.place / "calls.asl.json"), 10, "A10", "A11")
    expect(p.cli("playbook", "graph", hello), 0, "Greet")
    expect(p.cli("playbook", "graph", hello, "-o", "mermaid"), 0, "flowchart", "Greet")
    expect(p.cli("playbook", "graph", hello, "-o", "dot"), 0, "digraph")
    fresh = project.place / "fresh.asl.json"
    fresh.write_text('{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}')
    expect(project.cli("playbook", "publish", fresh), 0, "stateMachine:fresh")
    assert {"hello", "fresh", "fails"} <= {row["name"] for row in project.json("playbook", "list")}
    expect(project.cli("run", "start", "fresh", "--wait"), 0)
    expect(project.cli("playbook", "publish", broken), 1, "B")


def test_expressions_are_evaluated(project: Project) -> None:
    one = p.cli("eval", "--language", "jsonpath", "$.a[1:]", "--input", "-", stdin='{"a": [1, 2, 3]}')
    assert json.loads(expect(one, 0).stdout) == [2, 3]
    sums = p.cli("eval", "--language", "intrinsic", "States.MathAdd($.n, 2)", "--input", "-", stdin='{"n": 40}')
    assert expect(sums, 0).stdout == "42\n"
    match = p.cli("eval", "--language", "pattern", '{"source": [{"prefix": "aws."}]}', "--input", "-", stdin='{"source": "aws.ec2"}')
    assert expect(match, 0).stdout == "true\n"
    expect(p.cli("eval", "--language", "jsonpath", "$.a["), 1, "^")
    expect(p.cli("eval", "--language", "cobol", "$"), 2, "jsonpath")
    lines = ['{"id": 1, "expression": "$.x", "input": {"x": 7}}', "{nonsense", '{"id": "3", "expression": "$.y", "input_text": "{}"}']
    answers = [json.loads(a) for a in expect(p.cli("eval", "--language", "jsonpath", stdin="\n".join(lines) + "\n"), 0).stdout.splitlines()]
    assert answers[0] == {"id": 1, "result": 7}
    assert "error" in answers[1] and answers[2]["id"] == "3" and {"code", "message"} <= set(answers[2]["error"])


def test_playbook_tests_fail_with_a_reason(project: Project) -> None:
    wrong = project.place / "tests/wrong.test.yaml"
    wrong.write_text(
        "playbook: hello\ntests:\n  - name: expects too much\n    mock: {Greet: [{return: {a: 1}}]}\n    expect: {output: {a: 2}}\n"
    )
    try:
        expect(p.cli("test", cwd=project.place), 10, "expects too much", '{"a":1}', "1 passed, 1 failed")
        expect(p.cli("test", "tests/hello.test.yaml", cwd=project.place), 0)
        expect(p.cli("test", "tests/none.test.yaml", cwd=project.place), 8, "none.test.yaml")
    finally:
        wrong.unlink()


def test_the_audit_trail_is_exported_as_json_lines(project: Project) -> None:
    project.json("user", "add", "audited")
    entries = [json.loads(line) for line in expect(project.cli("audit", "export"), 0).stdout.splitlines()]
    assert any(e["action"] == "person.add" and e["subject"] == "audited" for e in entries), entries[-3:]
    sequences = [e["sequence"] for e in entries]
    assert sequences == sorted(set(sequences))
    for entry in entries:
        assert entry["time"] and entry["actor"] and entry["channel"] and entry["outcome"], entry


def test_env_prints_what_a_shell_understands(project: Project) -> None:
    printed = expect(project.cli("env"), 0).stdout
    keys = p.exports(printed)
    wanted = {"AWS_ENDPOINT_URL_SFN", "AWS_ENDPOINT_URL_EVENTBRIDGE", "AWS_ENDPOINT_URL_LAMBDA", "AWS_ACCESS_KEY_ID"}
    wanted |= {"AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_DISABLE_HOST_PREFIX_INJECTION"}
    assert set(keys) == wanted and keys["AWS_ENDPOINT_URL_SFN"] == project.server.url
    shell = subprocess.run(["sh", "-c", 'eval "$1" && echo "$AWS_ENDPOINT_URL_LAMBDA"', "sh", printed], capture_output=True, text=True)
    assert shell.stdout.strip() == project.server.url
    assert (project.server.data / "credentials.json").stat().st_mode & 0o777 == 0o600
    expect(project.cli("env", "--account", "999999999999"), 8, "999999999999")
    expect(p.cli("env", "--data", "/no/such/folder"), 8, "sortie serve")


def test_backup_restore_and_check(project: Project) -> None:
    project.json("run", "start", "hello", "--name", "kept")
    copy, other = project.server.folder / "copy.db", project.server.folder / "restored"
    copy.unlink(missing_ok=True)
    expect(project.cli("backup", copy), 0, "copy.db")
    expect(p.cli("restore", copy, "--data", other), 0)
    expect(p.cli("check", "--data", other), 0, "every invariant holds")
    expect(p.cli("restore", copy, "--data", other), 1, "already")
    rubbish = project.server.folder / "rubbish"
    rubbish.write_text("no store")
    expect(p.cli("restore", rubbish, "--data", project.server.folder / "third"), 1, "no backup")
    expect(p.cli("check", "--data", "/no/such/folder"), 8, "/no/such/folder")
    expect(project.cli("check"), 0, "every invariant holds")
    away = p.Server(project.server.folder / "elsewhere")
    away.folder.mkdir(exist_ok=True)
    away.data = other
    away.start()
    try:
        assert any(row["name"] == "kept" for row in away.json("run", "list"))
    finally:
        assert away.stop() == 0


def test_help_version_and_completion(project: Project) -> None:
    assert re.fullmatch(r"sortie \d+\.\d+\.\d+\S*\n", expect(p.cli("version"), 0).stdout)
    assert re.fullmatch(r"sortie \d+\.\d+\.\d+\S*\n", expect(p.cli("--version"), 0).stdout)
    expect(p.cli("--help"), 0, *COMMANDS)
    for command in COMMANDS:
        assert expect(p.cli(command, "--help"), 0).stderr == "", command
    for shell in ("bash", "zsh", "fish"):
        expect(p.cli("completion", shell), 0, "sortie", "approvals")
    script = p.cli("completion", "bash").stdout
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0


def test_wrong_words_are_usage_errors(project: Project) -> None:
    for words in (
        (),
        ("fly",),
        ("run",),
        ("run", "fly"),
        ("run", "list", "--no-such"),
        ("run", "show"),
        ("completion", "tcsh"),
        ("approve",),
    ):
        done = expect(p.cli(*words), 2)
        assert done.stdout == "" and done.stderr, words
        if words[-1:] == ("fly",):
            assert "'fly' is no command" in done.stderr, done.stderr
    project.json("run", "start", "hello")
    expect(project.cli("run", "list", "--columns", "name,nonsense"), 2, "there is no column 'nonsense'", "known: ")
    nowhere = project.place / "no-such-project"
    expect(p.cli("serve", "--project", nowhere), 8, "no project folder")
    assert not nowhere.exists()


def test_output_that_cannot_be_written_is_a_failure(project: Project) -> None:
    for words in (("run", "list"), ("run", "list", "-o", "json"), ("audit", "export"), ("version",), ("eval", "--language", "jsonata")):
        place = () if words[0] in ("version", "eval") else ("--data", project.server.data)
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [p.BINARY, *words, *map(str, place)],
                input='{"expression": "1"}',
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                env=p.clean_environment(),
            )
        assert done.returncode == 1 and "could not be written" in done.stderr, (words, done)
    closed = subprocess.run(["sh", "-c", f"'{p.BINARY}' version >&-"], env=p.clean_environment())
    assert closed.returncode == 0, closed


def test_a_backup_replaces_nothing_but_a_backup(project: Project) -> None:
    store, notes = project.server.data / "sortie.db", project.server.folder / "notes.txt"
    notes.write_text("mine")
    for target in (store, notes, "/dev/null", project.server.folder):
        expect(project.cli("backup", target), 1, "is not overwritten")
    assert notes.read_text() == "mine"
    copy = project.server.folder / "twice.db"
    expect(project.cli("backup", copy), 0)
    expect(project.cli("backup", copy), 0)
    beside = project.server.folder / "beside"
    beside.mkdir()
    (beside / "sortie.db-wal").write_text("left by somebody")
    expect(p.cli("restore", copy, "--data", beside), 1, "already")


def test_sighup_reads_the_project_again(project: Project) -> None:
    late = project.place / "playbooks" / "late.asl.json"
    late.write_text('{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}}')
    project.server.process.send_signal(signal.SIGHUP)
    p.until(lambda: any(row["name"] == "late" for row in project.json("playbook", "list")))
    late.unlink()
    project.server.process.send_signal(signal.SIGHUP)
    p.until(lambda: all(row["name"] != "late" for row in project.json("playbook", "list")))


def test_no_server_is_told_with_what_to_do(project: Project) -> None:
    with p.temporary_folder() as empty:
        expect(p.cli("run", "list", cwd=empty), 1, "sortie serve")
        expect(p.cli("run", "list", "--server", f"http://127.0.0.1:{p.free_port()}", cwd=empty), 1, "cannot be reached")
        expect(p.cli("run", "list", cwd=empty, SORTIE_SERVER=project.server.url), 4, "SORTIE_TOKEN")
        token = project.server.add_person("remote")
        expect(p.cli("run", "list", cwd=empty, SORTIE_SERVER=project.server.url, SORTIE_TOKEN=token), 0)


def test_the_server_ends_cleanly_and_says_so(project: Project) -> None:
    assert project.server.stop() == 0
    expect(project.cli("run", "list"), 1, "cannot be reached")
    expect(project.cli("check"), 0)


if __name__ == "__main__":
    with p.temporary_folder() as place:
        one = Project(place)
        try:
            p.main(globals(), one)
        finally:
            if one.server.process.poll() is None:
                one.server.kill()
