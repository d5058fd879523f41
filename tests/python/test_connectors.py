"""The functions that speak to people's services, each against a stand-in that speaks its shapes: authentication, retries, nothing twice
after a crash, errors that a playbook can catch, event text within limits and never markup, and no secret in any error or log.
"""

from __future__ import annotations

import email
import email.policy
import hashlib
import hmac
import json
import re
import subprocess
import sys
import time
import urllib.request
from types import SimpleNamespace

import pytest
from conftest import ROOT, start
from sortie_actions import core, jira, mail, pagerduty, remote, servicenow, slack, webhook

HOSTILE = "<!channel> & \u202eevil\u200b </script> [~admin] {noformat} *b* " + "x" * 50_000


class Stand:
    """A stand-in of another service: what it received, and what it is to do wrong next."""

    def __init__(self, url: str, process: subprocess.Popen):
        self.url, self.process = url, process

    def fail(self, **fault) -> None:
        self.post("/faults", fault)

    def post(self, path: str, body: dict) -> None:
        urllib.request.urlopen(urllib.request.Request(self.url + path, data=json.dumps(body).encode()), timeout=10).read()

    def get(self, path: str) -> dict:
        with urllib.request.urlopen(self.url + path, timeout=10) as response:
            return json.loads(response.read())

    @property
    def received(self) -> list[dict]:
        return self.get("/received")["received"]


def stand(name: str, **env: str):
    """A fixture of its own process for each test: nothing is left over from another one."""

    @pytest.fixture
    def made(monkeypatch):
        process, url = start(sys.executable, str(ROOT / f"demo/{name}.py"), "--port", "0")
        for key, value in env.items():
            monkeypatch.setenv(key, value.format(url=url))
        yield Stand(url, process)
        process.terminate()
        process.wait(10)

    return made


jira_stand = stand("jira", JIRA_URL="{url}", JIRA_USER="bot@example.com", JIRA_API_TOKEN="jira-demo", JIRA_PROJECT="SEC")
servicenow_stand = stand("servicenow", SERVICENOW_URL="{url}", SERVICENOW_USER="sortie", SERVICENOW_PASSWORD="sortie-demo")
pagerduty_stand = stand("pagerduty", PAGERDUTY_URL="{url}", PAGERDUTY_ROUTING_KEY="pagerduty-demo-routing-key-000000")
webhook_stand = stand("pagerduty", WEBHOOK_URL="{url}/hook", WEBHOOK_SECRET="a-webhook-secret")
slack_stand = stand("slack", SLACK_API_URL="{url}/api", SLACK_ALERT_TOKEN="xoxb-demo", SLACK_ALERT_CHANNEL="C0TEAM")


@pytest.fixture(autouse=True)
def waited(monkeypatch):
    """No test waits: pauses move a clock of their own, and are written down."""
    pauses: list[float] = []
    monkeypatch.setattr(remote, "_pause", pauses.append)
    monkeypatch.setattr(remote, "_clock", lambda: 1000.0 + sum(pauses))
    monkeypatch.setattr(remote, "_tokens", {})
    return pauses


def attempt(number: int = 1) -> SimpleNamespace:
    """The context of one attempt; after a crash Sortie repeats the attempt under the same id."""
    return SimpleNamespace(aws_request_id=f"attempt-{number}", get_remaining_time_in_millis=lambda: 60_000)


def error_name(error: pytest.ExceptionInfo) -> str:
    return error.type.__name__


CREATE = {
    "jira": lambda: jira.create_jira_issue({"summary": "s", "severity": "HIGH", "correlation_id": "gd-1"}, attempt()),
    "servicenow": lambda: servicenow.create_servicenow_incident({"shortDescription": "s", "correlation_id": "gd-1"}, attempt()),
    "pagerduty": lambda: pagerduty.send_pagerduty_event({"summary": "s", "correlation_id": "gd-1"}, attempt()),
    "webhook": lambda: webhook.call_webhook({"payload": {"a": 1}, "correlation_id": "gd-1"}, attempt()),
    "slack": lambda: slack.send_slack_alert({"message": "m", "correlation_id": "gd-1"}, attempt()),
}
MAKES = {"jira": "/issue$", "servicenow": "POST .*table/incident", "pagerduty": "enqueue", "webhook": "/hook", "slack": "chat.postMessage"}
SECRET = {
    "jira": ("JIRA_API_TOKEN", "wrong-jira-token"),
    "servicenow": ("SERVICENOW_PASSWORD", "wrong-password"),
    "pagerduty": ("PAGERDUTY_ROUTING_KEY", "wrong-routing-key"),
    "slack": ("SLACK_ALERT_TOKEN", "wrong-slack-token"),
}
FAMILY = {"jira": "Ticket", "servicenow": "Ticket", "pagerduty": "Page", "webhook": "Webhook", "slack": "Slack"}
FINDS = ("jira", "servicenow", "slack")  # The others are told the key, and know a repetition themselves.


@pytest.fixture(params=sorted(CREATE))
def service(request):
    made = SimpleNamespace(name=request.param, stand=request.getfixturevalue(f"{request.param}_stand"), make=CREATE[request.param])
    made.made = lambda: (
        [c for c in made.stand.get("/calls")["calls"] if c["method"] == "chat.postMessage"] if made.name == "slack" else made.stand.received
    )
    return made


# ---------------------------------------------------------------------------------------- what all of them do


def test_a_rate_limit_is_waited_for_as_long_as_it_says(service, waited):
    service.stand.fail(status=429, retry_after=7, match=MAKES[service.name])
    assert service.make()["status"] == "changed" and 7.0 in waited
    assert len(service.made()) == 1


def test_a_long_rate_limit_is_left_to_the_playbook(service, waited):
    service.stand.fail(status=429, retry_after=3600, match=MAKES[service.name])
    with pytest.raises(remote.Throttled) as error:
        service.make()
    assert error_name(error) == f"{FAMILY[service.name]}.Throttled" and 3600.0 not in waited


def test_server_errors_are_tried_again_and_then_told(service, waited):
    service.stand.fail(status=503, match=MAKES[service.name])
    assert service.make()["status"] == "changed"
    service.stand.fail(status=500, count=50)
    with pytest.raises(remote.Unavailable) as error:
        service.make()
    assert error_name(error) == f"{FAMILY[service.name]}.Unavailable"
    assert sum(waited) < remote.BUDGET_S


@pytest.mark.parametrize("fault", [{"status": 504}, {"kind": "drop"}, {"kind": "slow"}, {"kind": "garbage"}])
def test_what_was_made_without_an_answer_is_not_made_again(service, fault, monkeypatch):
    if fault == {"kind": "slow"}:
        monkeypatch.setattr(remote, "REQUEST_S_MAX", 1.0)  # What the stand-in never answers is given up after this.
    service.stand.fail(**fault, after=True, match=MAKES[service.name])
    if fault == {"kind": "garbage"} and service.name == "pagerduty":
        with pytest.raises(remote.Unavailable):  # Whether it was taken is the playbook's to ask again, under the same key.
            service.make()
    assert service.make()["status"] == "changed"
    keys = {json.dumps(row.get("dedup_key") or (row.get("headers") or {}).get("x-sortie-delivery")) for row in service.made()}
    assert len(service.made()) == 1 if service.name in FINDS else len(keys) == 1


def test_an_attempt_that_is_repeated_after_a_crash_finds_what_the_first_one_made(service):
    first, again = service.make(), service.make()
    if service.name in FINDS:
        assert len(service.made()) == 1 and again == first | {"status": "already"}
    else:
        assert {row.get("dedup_key") or row["headers"]["x-sortie-delivery"] for row in service.made()} == {"gd-1"}


def test_wrong_credentials_are_final_and_never_shown(service, monkeypatch, capsys, waited):
    if service.name not in SECRET:
        return  # A webhook is proved by its signature: see below.
    variable, wrong = SECRET[service.name]
    monkeypatch.setenv(variable, wrong)
    with pytest.raises(remote.Unauthorized) as error:
        service.make()
    assert error_name(error) == f"{FAMILY[service.name]}.Unauthorized" and not waited
    assert wrong not in str(error.value) and wrong not in capsys.readouterr().out


def test_a_secret_that_a_service_echoes_is_taken_out(monkeypatch):
    made = remote.Service(jira.Ticket, "https://example.com", None, secrets=["s3cret-token"])
    assert made.shown("bad header: Bearer s3cret-token") == "bad header: Bearer ***"


def test_answers_that_cannot_be_read_are_told(service):
    service.stand.fail(kind="garbage", count=50)
    if service.name == "webhook":
        assert service.make()["answer"] is None  # Whoever answers 2xx has taken it.
        return
    with pytest.raises(remote.Unavailable):
        service.make()


def test_a_service_that_cannot_be_reached_is_told_within_the_budget(service, waited):
    service.stand.process.kill()
    service.stand.process.wait(10)
    with pytest.raises(remote.Unavailable, match="refused"):
        service.make()
    assert sum(waited) < remote.BUDGET_S


def test_the_time_that_the_function_has_left_bounds_everything(jira_stand, waited):
    jira_stand.fail(status=500, count=50)
    short = SimpleNamespace(aws_request_id="a", get_remaining_time_in_millis=lambda: 4_000)
    with pytest.raises(remote.Unavailable):
        jira.create_jira_issue({"summary": "s", "correlation_id": "gd-1"}, short)
    assert sum(waited) <= 1.0


def test_credentials_do_not_follow_a_redirect_or_travel_in_the_clear(webhook_stand, monkeypatch):
    monkeypatch.setenv("WEBHOOK_URL", f"{webhook_stand.url}/moved")
    with pytest.raises(remote.Rejected, match="307"):
        CREATE["webhook"]()
    assert webhook_stand.received == []
    for bad in ("http://jira.example.com", "ftp://example.com", "file:///etc/passwd", "https://", "x"):
        monkeypatch.setenv("WEBHOOK_URL", bad)
        with pytest.raises(core.InvalidTarget):
            CREATE["webhook"]()


@pytest.mark.parametrize("key", [None, "", "a b", 'x" OR project = "HR', "x^ORstate=1", "k" * 101, 7, {"a": 1}])
def test_a_ticket_needs_a_key_that_cannot_change_a_query(key):
    for make in (
        lambda e: jira.create_jira_issue(e | {"summary": "s", "project": "SEC"}, attempt()),
        lambda e: servicenow.create_servicenow_incident(e | {"shortDescription": "s"}, attempt()),
        lambda e: pagerduty.send_pagerduty_event(e | {"summary": "s"}, attempt()),
    ):
        with pytest.MonkeyPatch.context() as patch:
            for name in ("JIRA", "SERVICENOW"):
                patch.setenv(f"{name}_URL", "https://example.com")
                patch.setenv(f"{name}_TOKEN", "t")
            patch.setenv("PAGERDUTY_ROUTING_KEY", "t")
            with pytest.raises(core.InvalidTarget, match="correlation_id"):
                make({"correlation_id": key})


# ---------------------------------------------------------------------------------------- Jira


def test_jira_gets_a_document_without_markup_within_its_limits(jira_stand):
    event = {
        "summary": f"a\nb {HOSTILE}",
        "description": f"first\nline\n\nsecond {HOSTILE}",
        "severity": "CRITICAL",
        "correlation_id": "gd-2",
    }
    answer = jira.create_jira_issue(event | {"labels": ["ir"]}, attempt())
    assert answer["number"] == "SEC-1" and answer["url"] == f"{jira_stand.url}/browse/SEC-1" and answer["undo"] == {"issue": "SEC-1"}
    fields = jira_stand.received[0]["fields"]
    assert len(fields["summary"]) <= 255 and "\n" not in fields["summary"] and "\u202e" not in fields["summary"]
    document = json.dumps(fields["description"], ensure_ascii=False)
    assert len(document) < 32_767 and "hardBreak" in document and "\u202e" not in document
    assert fields["labels"] == ["ir", "sortie:gd-2"] and fields["priority"] == {"name": "Highest"}


def test_jira_without_priorities_still_gets_its_issue(jira_stand):
    answer = jira.create_jira_issue({"project": "PLAIN", "summary": "s", "severity": "LOW", "correlation_id": "gd-1"}, attempt())
    assert answer["number"] == "PLAIN-1"
    with pytest.raises(remote.Rejected, match="valid project") as error:
        jira.create_jira_issue({"project": "NONE", "summary": "s", "correlation_id": "gd-1"}, attempt())
    assert error_name(error) == "Ticket.Rejected"


def test_an_index_that_lags_is_waited_for_before_an_issue_is_made_again(jira_stand, waited):
    jira_stand.post("/lag", {"searches": 1})
    jira_stand.fail(status=502, after=True, match="/issue$")
    assert CREATE["jira"]()["status"] == "changed" and len(jira_stand.received) == 1
    assert sum(waited) >= 3, "the second look comes after the index had time"


def test_jira_is_changed_commented_and_moved_once(jira_stand):
    issue = CREATE["jira"]()["number"]
    event = {"issue": issue, "comment": f"seen {HOSTILE}", "status": "in progress", "summary": "new", "severity": "LOW"}
    jira_stand.fail(kind="drop", after=True, match="/comment")
    assert jira.update_jira_issue(event, attempt(2))["status"] == "changed"
    jira.update_jira_issue(event, attempt(2))
    row = jira_stand.received[0]
    assert len(row["comments"]) == 1 and row["fields"]["status"]["name"] == "In Progress" and row["fields"]["summary"] == "new"
    assert jira.update_jira_issue({"issue": issue, "status": "In Progress"}, attempt(3))["status"] == "already"
    jira.update_jira_issue({"issue": issue, "comment": event["comment"]}, attempt(4))
    assert len(jira_stand.received[0]["comments"]) == 2, "another attempt says it anew"
    with pytest.raises(remote.Rejected, match="it can to Done, To Do"):
        jira.update_jira_issue({"issue": issue, "status": "Nowhere"}, attempt())
    with pytest.raises(remote.NotFound) as error:
        jira.update_jira_issue({"issue": "SEC-99", "comment": "c"}, attempt())
    assert error_name(error) == "Ticket.NotFound"
    for bad in ({"issue": "../x", "comment": "c"}, {"issue": issue}, {"issue": issue, "fields": [1]}):
        with pytest.raises(core.InvalidTarget):
            jira.update_jira_issue(bad, attempt())


def test_undoing_an_issue_closes_it_with_a_reason(jira_stand):
    record = CREATE["jira"]()
    undo = {"mode": "undo", "record": record, "reason": "false positive"}
    jira_stand.fail(status=503, after=True, match="/transitions")
    assert jira.create_jira_issue(undo, attempt())["status"] == "changed"
    assert jira.create_jira_issue(undo, attempt())["status"] == "already"
    row = jira_stand.received[0]
    assert row["fields"]["status"]["name"] == "Done" and "false positive" in json.dumps(row["comments"]) and len(row["comments"]) == 1
    with pytest.raises(core.InvalidTarget, match="record"):
        jira.create_jira_issue({"mode": "undo", "record": {"action": "SendEmail", "undo": {}}}, attempt())


def test_data_center_speaks_version_2_with_a_personal_token(jira_stand, monkeypatch):
    monkeypatch.setenv("JIRA_API_VERSION", "2")
    monkeypatch.setenv("JIRA_TOKEN", "jira-demo-token")
    CREATE["jira"]()
    assert CREATE["jira"]()["status"] == "already"
    jira.update_jira_issue({"issue": "SEC-1", "comment": "{noformat} [~admin]"}, attempt())
    assert jira_stand.received[0]["comments"][0]["body"] == "{noformat}\n(noformat} [~admin]\n{noformat}"


def test_an_oauth_client_gets_a_token_and_keeps_it(jira_stand, monkeypatch):
    monkeypatch.delenv("JIRA_USER")
    monkeypatch.setenv("JIRA_TOKEN_URL", f"{jira_stand.url}/oauth/token")
    monkeypatch.setenv("JIRA_CLIENT_ID", "sortie")
    monkeypatch.setenv("JIRA_CLIENT_SECRET", "jira-demo-secret")
    CREATE["jira"]()
    jira_stand.fail(status=400, match="/oauth/token")
    assert CREATE["jira"]()["status"] == "already", "no second token is asked for"
    monkeypatch.setattr(remote, "_tokens", {})
    with pytest.raises(remote.Unauthorized):
        CREATE["jira"]()


# ---------------------------------------------------------------------------------------- ServiceNow


def test_servicenow_gets_text_within_its_limits(servicenow_stand):
    event = {"shortDescription": f"a\nb {HOSTILE}", "description": HOSTILE, "severity": "CRITICAL", "correlation_id": "gd-2"}
    answer = servicenow.create_servicenow_incident(event | {"fields": {"assignment_group": "ir", "correlation_id": "other"}}, attempt())
    row = servicenow_stand.received[0]
    assert answer["number"] == row["number"] and row["correlation_id"] == "gd-2" and row["assignment_group"] == "ir"
    assert len(row["short_description"]) <= 160 and "\n" not in row["short_description"] and len(row["description"]) <= 4_000
    assert (row["urgency"], row["impact"], row["priority"]) == ("1", "1", "1")


def test_servicenow_by_oauth(servicenow_stand, monkeypatch):
    monkeypatch.delenv("SERVICENOW_USER")
    monkeypatch.setenv("SERVICENOW_CLIENT_ID", "sortie")
    monkeypatch.setenv("SERVICENOW_CLIENT_SECRET", "wrong-client-secret")
    with pytest.raises(remote.Unauthorized) as error:
        CREATE["servicenow"]()
    assert "wrong-client-secret" not in str(error.value)
    monkeypatch.setenv("SERVICENOW_CLIENT_SECRET", "sortie-demo-secret")
    assert CREATE["servicenow"]()["status"] == "changed"


def test_servicenow_is_changed_noted_and_resolved_once(servicenow_stand):
    made = CREATE["servicenow"]()
    event = {"number": made["number"], "work_note": "isolated", "comment": "we are on it", "state": "in progress"}
    servicenow_stand.fail(kind="drop", after=True, match="PATCH")
    assert servicenow.update_servicenow_incident(event, attempt(2))["status"] == "changed"
    assert servicenow.update_servicenow_incident(event, attempt(2))["status"] == "already"
    row = servicenow_stand.received[0]
    assert row["work_notes"].count("isolated") == 1 and row["comments"].count("we are on it") == 1 and row["state"] == "2"
    servicenow.update_servicenow_incident({"sys_id": made["sys_id"], "state": "resolved", "reason": "contained"}, attempt(3))
    row = servicenow_stand.received[0]
    assert (row["state"], row["close_notes"]) == ("6", "contained") and row["close_code"]
    with pytest.raises(remote.NotFound):
        servicenow.update_servicenow_incident(event | {"number": "INC9999999"}, attempt())
    for bad in ({"number": "INC1^ORactive=true", "state": "new"}, {"number": made["number"]}, {"number": "INC1", "state": "gone"}):
        with pytest.raises((core.InvalidTarget, remote.NotFound)):
            servicenow.update_servicenow_incident(bad, attempt())


def test_undoing_an_incident_closes_it(servicenow_stand):
    record = CREATE["servicenow"]()
    undo = {"mode": "undo", "record": record, "reason": "false positive"}
    assert servicenow.create_servicenow_incident(undo, attempt())["status"] == "changed"
    assert servicenow.create_servicenow_incident(undo, attempt())["status"] == "already"
    row = servicenow_stand.received[0]
    assert (row["state"], row["close_notes"]) == ("7", "false positive")


def test_an_instance_that_ignores_the_condition_does_not_give_us_another_ones_incident(monkeypatch):
    monkeypatch.setenv("SERVICENOW_URL", "https://example.com")
    monkeypatch.setenv("SERVICENOW_TOKEN", "t")
    made = remote.Service(servicenow.Ticket, "https://example.com")
    rows = {"result": [{"number": "INC1", "sys_id": "a" * 32, "correlation_id": "someone-else"}]}
    monkeypatch.setattr(remote.Service, "call", lambda *_, **__: remote.Answer(200, json.dumps(rows)))
    assert servicenow._find(made, "correlation_id", "gd-1") is None


# ---------------------------------------------------------------------------------------- PagerDuty, webhooks


def test_pagerduty_opens_acknowledges_and_resolves_one_alert(pagerduty_stand):
    details = {"finding": {"type": "C2"}, "text": HOSTILE, **{f"k{i}": i for i in range(100)}}
    event = {"summary": HOSTILE, "severity": "CRITICAL", "source": "i-0abc", "details": details, "correlation_id": "gd-1"}
    record = pagerduty.send_pagerduty_event(event, attempt())
    pagerduty.send_pagerduty_event({"event_action": "acknowledge", "correlation_id": "gd-1"}, attempt())
    pagerduty.send_pagerduty_event({"mode": "undo", "record": record}, attempt())
    opened, acknowledged, resolved = pagerduty_stand.received
    assert [row["event_action"] for row in (opened, acknowledged, resolved)] == ["trigger", "acknowledge", "resolve"]
    assert {row["dedup_key"] for row in (opened, acknowledged, resolved)} == {"gd-1"}
    assert opened["payload"]["severity"] == "critical" and len(opened["payload"]["custom_details"]) <= 50
    assert len(json.dumps(opened)) < 512_000
    with pytest.raises(core.InvalidTarget):
        pagerduty.send_pagerduty_event(event | {"event_action": "snooze"}, attempt())


def test_a_webhook_is_signed_over_time_and_body_and_each_try_anew(webhook_stand):
    webhook_stand.fail(status=503)
    answer = webhook.call_webhook({"payload": {"text": HOSTILE}, "event": "incident", "correlation_id": "gd-1"}, attempt())
    assert answer["answer"] == {"taken": True} and answer["delivery"] == "gd-1"
    row = webhook_stand.received[0]
    stamp, sent = row["headers"]["x-sortie-timestamp"], row["headers"]["x-sortie-signature"]
    assert abs(int(stamp) - time.time()) < 60 and row["headers"]["x-sortie-event"] == "incident"
    expected = hmac.new(b"a-webhook-secret", f"{stamp}.{row['body']}".encode(), hashlib.sha256).hexdigest()
    assert sent == f"sha256={expected}"
    for bad in ({}, {"payload": "x"}, {"payload": {"a": "x" * 300_000}}):
        with pytest.raises(core.InvalidTarget):
            webhook.call_webhook(bad, attempt())


def test_without_a_key_the_attempt_is_the_key(webhook_stand):
    for number in (1, 1, 2):
        webhook.call_webhook({"payload": {"a": 1}}, attempt(number))
    assert [row["headers"]["x-sortie-delivery"] for row in webhook_stand.received] == ["attempt-1", "attempt-1", "attempt-2"]


# ---------------------------------------------------------------------------------------- Slack


def test_slack_gets_no_markup_within_its_limits(slack_stand):
    slack.send_slack_alert({"severity": "CRITICAL", "title": HOSTILE, "message": HOSTILE, "thread_ts": "1.2"}, attempt())
    body = slack_stand.get("/calls")["calls"][-1]["body"]
    assert "<!" not in json.dumps(body) and len(body["text"]) <= 4_000 and body["thread_ts"] == "1.2"
    header, section = body["blocks"]
    assert len(header["text"]["text"]) <= 150 and len(section["text"]["text"]) <= 3_000
    for size in range(10, 60):
        cut = slack.escape("<&>" * 40, size)
        assert len(cut) <= size and not re.sub(r"&(lt|gt|amp);| \.\.\.", "", cut), "never cut inside of an entity"


def test_a_bot_that_may_not_read_the_channel_still_posts(slack_stand, monkeypatch, capsys):
    monkeypatch.setenv("SLACK_ALERT_TOKEN", "xoxb-blind")
    assert CREATE["slack"]()["status"] == "changed"
    assert "missing_scope" in capsys.readouterr().out


def test_an_incoming_webhook_takes_the_message_and_its_address_is_a_secret(slack_stand, monkeypatch, capsys):
    monkeypatch.delenv("SLACK_ALERT_TOKEN")
    monkeypatch.setenv("SLACK_WEBHOOK_URL", f"{slack_stand.url}/services/T1/B1/abcdef")
    slack_stand.fail(status=429)
    slack.send_slack_alert({"severity": "CRITICAL", "title": "t", "message": "<!channel> & more"})
    assert slack_stand.received[-1]["text"] == "[CRITICAL] t\n&lt;!channel&gt; &amp; more"
    monkeypatch.setenv("SLACK_WEBHOOK_URL", f"{slack_stand.url}/services/T1-wrong/abcdef")
    with pytest.raises(remote.NotFound, match="no_team") as error:
        slack.send_slack_alert({"message": "m"})
    assert error_name(error) == "Slack.NotFound" and "abcdef" not in str(error.value) + capsys.readouterr().out


# ---------------------------------------------------------------------------------------- e-mail


@pytest.fixture
def smtp_stand(monkeypatch):
    process, url = start(sys.executable, str(ROOT / "demo/smtp.py"))
    made = Stand(url, process)
    place = made.get("/smtp")
    settings = {"HOST": "127.0.0.1", "PORT": str(place["port"]), "USER": "sortie", "PASSWORD": "smtp-demo", "CA_FILE": place["ca"]}
    for name, value in settings.items():
        monkeypatch.setenv(f"SMTP_{name}", value)
    monkeypatch.setenv("EMAIL_FROM", "sortie@example.com")
    yield made
    process.terminate()
    process.wait(10)


MAIL = {
    "to": "ana@example.com",
    "cc": ["raj@example.com"],
    "subject": "Isolated",
    "text": "It is contained.\n.\n",
    "correlation_id": "gd-1",
}


def test_mail_goes_over_tls_with_an_id_that_follows_from_the_key(smtp_stand):
    answer = mail.send_email(MAIL, attempt())
    assert mail.send_email(MAIL, attempt(2))["message_id"] == answer["message_id"]
    assert mail.send_email(MAIL | {"correlation_id": "gd-2"}, attempt())["message_id"] != answer["message_id"]
    row = smtp_stand.received[0]
    message = email.message_from_string(row["message"], policy=email.policy.default)
    assert row["to"] == ["ana@example.com", "raj@example.com"] and message["Message-ID"] == answer["message_id"]
    assert message["Message-ID"].endswith("@example.com>") and message["Cc"] == "raj@example.com"
    assert message.get_content().split() == ["It", "is", "contained.", "."] and message["Auto-Submitted"] == "auto-generated"


@pytest.mark.parametrize(
    "more",
    [
        {"subject": "Hi\r\nBcc: evil@example.com"},
        {"subject": "Hi\nX: y"},
        {"to": "ana@example.com\r\nBcc: evil@example.com"},
        {"to": ["ana@example.com", "x y@example.com"]},
        {"to": "Ana <ana@example.com>, evil@example.com"},
        {"to": []},
        {"cc": [7]},
        {"to": ["a@example.com"] * 60},
        {"text": ""},
    ],
)
def test_headers_cannot_be_added_and_addresses_are_addresses(smtp_stand, more):
    with pytest.raises(core.InvalidTarget):
        mail.send_email(MAIL | more, attempt())
    assert smtp_stand.received == []


def test_hostile_text_stays_in_its_place(smtp_stand):
    subject = "\u202eevil\u200b " + "s" * 2_000
    mail.send_email(MAIL | {"subject": subject, "text": HOSTILE + "\r\n.\r\nMAIL FROM:<x@example.com>\r\n"}, attempt())
    assert len(smtp_stand.received) == 1
    message = email.message_from_string(smtp_stand.received[0]["message"], policy=email.policy.default)
    assert len(message["Subject"]) <= 250 and message["Subject"].startswith("evil") and message.get_content_type() == "text/plain"


def test_mail_goes_to_the_domains_that_are_named_only(smtp_stand, monkeypatch):
    monkeypatch.setenv("EMAIL_DOMAINS", "example.com, example.org")
    mail.send_email(MAIL, attempt())
    with pytest.raises(core.InvalidTarget, match=r"evil\.example"):
        mail.send_email(MAIL | {"cc": "x@evil.example"}, attempt())


def test_mail_is_tried_again_for_4xx_and_told_for_5xx(smtp_stand, waited):
    smtp_stand.fail(reply="451 4.3.0 later")
    assert mail.send_email(MAIL, attempt())["status"] == "changed" and waited
    smtp_stand.fail(after=True)
    mail.send_email(MAIL, attempt())
    ids = [email.message_from_string(row["message"])["Message-ID"] for row in smtp_stand.received]
    assert len(ids) == 3 and len(set(ids)) == 1, "a repetition after a lost answer has the same id"
    smtp_stand.fail(reply="554 5.7.1 refused by policy")
    with pytest.raises(remote.Rejected, match="554") as error:
        mail.send_email(MAIL, attempt())
    assert error_name(error) == "Email.Rejected"
    answer = mail.send_email(MAIL | {"cc": "nobody@example.com"}, attempt())
    assert list(answer["refused"]) == ["nobody@example.com"]
    with pytest.raises(remote.Rejected):
        mail.send_email(MAIL | {"to": "nobody@example.com", "cc": []}, attempt())


def test_a_mail_servers_password_and_certificate_are_checked(smtp_stand, monkeypatch, capsys):
    monkeypatch.setenv("SMTP_PASSWORD", "wrong-mail-password")
    with pytest.raises(remote.Unauthorized) as error:
        mail.send_email(MAIL, attempt())
    assert error_name(error) == "Email.Unauthorized" and "wrong-mail-password" not in str(error.value) + capsys.readouterr().out
    monkeypatch.setenv("SMTP_PASSWORD", "smtp-demo")
    monkeypatch.delenv("SMTP_CA_FILE")
    with pytest.raises(remote.Unauthorized, match="not trusted"):
        mail.send_email(MAIL, attempt())
    monkeypatch.setenv("SMTP_SECURITY", "none")
    with pytest.raises(core.InvalidTarget, match="without TLS"):
        mail.send_email(MAIL, attempt())
    assert smtp_stand.received == []


def test_a_mail_server_that_is_away_is_told_within_the_budget(smtp_stand, waited):
    smtp_stand.process.kill()
    smtp_stand.process.wait(10)
    with pytest.raises(remote.Unavailable) as error:
        mail.send_email(MAIL, attempt())
    assert error_name(error) == "Email.Unavailable" and sum(waited) < remote.BUDGET_S


def test_mail_through_ses(account, monkeypatch):
    monkeypatch.setenv("EMAIL_FROM", "sortie@example.com")
    monkeypatch.setenv("EMAIL_TRANSPORT", "ses")
    with pytest.raises(remote.RemoteError) as error:
        mail.send_email(MAIL, attempt())
    assert error_name(error) == "Email.Rejected", "the sender is not verified"
    account.client("ses").verify_email_identity(EmailAddress="sortie@example.com")
    assert mail.send_email(MAIL, attempt())["status"] == "changed"
