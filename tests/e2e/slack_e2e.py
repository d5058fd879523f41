#!/usr/bin/env python3
"""Approvals in Slack on the real program, against the stand-in that speaks Slack's shapes (demo/slack.py).

Posted with its planned changes, answered through signed posts, updated with the outcome; forged, stale, replayed and foreign posts,
users who are not linked or may not decide, double clicks, answers from Slack, console, API and CLI at the same instant, and kill -9 between
Slack's taking a message and our record of it. Every place a message can be lost at is in src/response/slack_desk_test.cpp.
"""

from __future__ import annotations

import contextlib
import html
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request

import product as p

sys.path.insert(0, str(p.ROOT / "demo"))
import slack as hand

SECRET, FORMER = "the-signing-secret", "the-former-secret"
APP, TEAM, CHANNEL = "A0SORTIE", "T0SORTIE", "C0INCIDENTS"


def config(api_url: str) -> str:
    return f"""aws: {{account: "123456789012", region: us-east-1}}
approvals:
  groups: {{ir-leads: [alice, bob]}}
  queues: [{{queue: approvals, policy: leads}}, {{queue: short, policy: short}}]
connectors:
  slack:
    api_url: {api_url}/api
    channel: {CHANNEL}
    app: {APP}
    team: {TEAM}
    token: env:SLACK_TOKEN
    signing_secret: env:SLACK_SECRET
    signing_secret_former: env:SLACK_FORMER
    people: {{U0ALICE: alice, U0BOB: bob, U0CAROL: carol}}
"""


POLICIES = """- {name: leads, from: [group:ir-leads], exclude: [initiator]}
- {name: short, from: [group:ir-leads], expires_after: 2s, on_expire: reject}
"""


def asks(queue: str, **more) -> str:
    change = {"resource": "eni-1", "what": "groups", "before": ["sg-web"], "after": ["sg-forensic <!channel>"]}
    body = {"title.$": "$.title", "plan": [{"action": "Isolate", "reversible": True, "changes": [change]}], "t.$": "$$.Task.Token"}
    url = f"https://sqs.us-east-1.amazonaws.com/123456789012/{queue}"
    ask = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": url, "MessageBody": body},
        "End": True,
        **more,
    }
    return json.dumps({"StartAt": "Ask", "States": {"Ask": ask}})


@contextlib.contextmanager
def stand_in():
    process = subprocess.Popen(
        [sys.executable, str(p.ROOT / "demo/slack.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "SLACK_APP": APP},
    )
    try:
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.wait(10)


class Desk:
    def __init__(self, server: p.Server, slack: str):
        self.server, self.slack = server, slack
        self.tokens = {name: server.add_person(name) for name in ("alice", "bob", "carol")}

    def calls(self, method: str = "") -> list[dict]:
        with urllib.request.urlopen(f"{self.slack}/calls", timeout=10) as response:
            return [c for c in json.loads(response.read())["calls"] if not method or c["method"] == method]

    def fail_next(self, **fault) -> None:
        body = json.dumps(fault).encode()
        urllib.request.urlopen(urllib.request.Request(f"{self.slack}/faults", data=body), timeout=10).read()

    def ask(self, title: str, playbook: str = "contain", by: str = "bob") -> dict:
        """Starts an execution that asks; answers the approval and its message in Slack."""
        path = self.server.folder / f"{time.time_ns()}.json"
        path.write_text(json.dumps({"title": title}))
        arn = self.server.json("run", "start", playbook, "--input", str(path), SORTIE_TOKEN=self.tokens[by])["arn"]

        def posted():
            return [c for c in self.calls("chat.postMessage") if html.escape(title, quote=False) in c["body"]["text"]]

        message = p.until(posted, told="the approval was not posted")[0]
        found = [a for a in self.server.json("approvals", "list") if a["execution_arn"] == arn]
        return {"arn": arn, "id": found[0]["id"], "message": message}

    def buttons(self, asked: dict) -> dict[str, str]:
        actions = next(b for b in asked["message"]["body"]["blocks"] if b["type"] == "actions")
        return {e["action_id"]: e["value"] for e in actions["elements"] if "value" in e}

    def order(self, user: str, **more) -> dict:
        url = f"{self.server.url}/slack/interactivity"
        return {"url": url, "secret": SECRET, "app": APP, "team": TEAM, "user": user, "channel": CHANNEL, **more}

    def whispers(self, user: str) -> list[str]:
        return [c["body"]["text"] for c in self.calls("chat.postEphemeral") if c["body"]["user"] == user]

    def updated(self, asked: dict, word: str) -> dict:
        def done():
            return [c for c in self.calls("chat.update") if c["ts"] == asked["message"]["ts"] and word in json.dumps(c["body"])]

        return p.until(done, told=f"the message was not updated with {word}")[0]

    def approval(self, asked: dict) -> dict:
        return self.server.json("approvals", "show", asked["id"])

    def session(self, name: str) -> dict[str, str]:
        """The headers of a page that `name` has logged in to."""
        body = json.dumps({"token": self.tokens[name]}).encode()
        request = urllib.request.Request(f"{self.server.url}/v1/session", data=body, headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as response:
            cookie = response.headers["Set-Cookie"].partition(";")[0]
        page = urllib.request.Request(f"{self.server.url}/v1/session", headers={"Cookie": cookie})
        with urllib.request.urlopen(page, timeout=10) as response:
            return {"Cookie": cookie, "X_Sortie_CSRF": json.loads(response.read())["csrf"], "Content_Type": "application/json"}


def test_the_plan_is_posted_and_a_linked_leader_decides_in_a_dialog(desk: Desk) -> None:
    asked = desk.ask("Isolate <!here> i-1")
    whole = json.dumps(asked["message"]["body"])
    assert "sg-forensic &lt;!channel&gt;" in whole and "<!here>" not in whole and "can be undone" in whole, whole
    assert asked["message"]["body"]["channel"] == CHANNEL
    began = time.monotonic()
    assert hand.press(desk.order("U0ALICE", value=desk.buttons(asked)["approve"])) == (200, "")
    assert time.monotonic() - began < 3, "Slack waits three seconds"
    dialog = p.until(lambda: desk.calls("views.open"), told="no dialog")[-1]["body"]["view"]
    assert "sg-web" in json.dumps(dialog) and dialog["private_metadata"] == desk.buttons(asked)["approve"]
    short = hand.submit(desk.order("U0ALICE", metadata=dialog["private_metadata"], reason=" "))
    assert short[0] == 200 and json.loads(short[1])["response_action"] == "errors", short
    assert desk.approval(asked)["status"] == "PENDING"
    done = hand.submit(desk.order("U0ALICE", metadata=dialog["private_metadata"], reason="seen it"))
    assert done == (200, '{"response_action":"clear"}'), done
    decision = desk.approval(asked)["decision"]
    assert (decision["by"], decision["decision"], decision["channel"]) == ("alice", "approved", "slack"), decision
    closed = desk.updated(asked, "APPROVED")["body"]
    assert not [b for b in closed["blocks"] if b["type"] == "actions"] and "seen it" in json.dumps(closed)
    outcome = closed["blocks"][1]["text"]["text"]
    assert outcome.startswith(f"*APPROVED* by *alice* in slack at {decision['at'][:10]}"), outcome
    trail = [json.loads(line) for line in desk.server.cli("audit", "export").stdout.splitlines()]
    seen = [e["action"] for e in trail if e["subject"] == asked["id"] and e["actor"] == "person:alice" and e["outcome"] == "done"]
    assert seen == ["approval.review", "approval.decide"], seen


def test_what_is_not_slacks_word_is_refused(desk: Desk) -> None:
    asked = desk.ask("Forge me")
    value = desk.buttons(asked)["approve"]
    submit = {"metadata": value, "reason": "forged reason"}
    assert hand.submit(desk.order("U0ALICE", **submit) | {"secret": "wrong"})[0] == 401
    assert hand.submit(desk.order("U0ALICE", **submit, time=time.time() - 400))[0] == 401
    assert hand.submit(desk.order("U0ALICE", **submit, time=time.time() + 400))[0] == 401
    assert hand.submit(desk.order("U0ALICE", **submit, signature="v0=" + "0" * 64))[0] == 401
    assert hand.submit(desk.order("U0ALICE", **submit) | {"app": "A0OTHER"})[0] == 403
    assert hand.submit(desk.order("U0ALICE", **submit) | {"team": "T0OTHER"})[0] == 403
    assert desk.server.http("POST", "/slack/interactivity", b"payload={}")[0] == 401
    assert desk.approval(asked)["status"] == "PENDING"
    # The former secret is good during a rotation.
    assert hand.submit(desk.order("U0ALICE", **submit) | {"secret": FORMER})[0] == 200
    assert desk.approval(asked)["status"] == "APPROVED"


def test_a_replayed_post_does_nothing(desk: Desk) -> None:
    asked = desk.ask("Replay me")
    order = desk.order("U0ALICE", value=desk.buttons(asked)["approve"], time=time.time())
    kept = time.time_ns
    hand.time.time_ns = lambda: 42  # The same bytes twice.
    try:
        assert [hand.press(order)[0], hand.press(order)[0]] == [200, 401]
    finally:
        hand.time.time_ns = kept


def test_who_is_not_linked_or_may_not_decide_is_told_so_privately(desk: Desk) -> None:
    asked = desk.ask("Not yours")
    value = desk.buttons(asked)["approve"]
    for user, word in (("U0NOBODY", "not linked"), ("U0CAROL", "ir-leads"), ("U0BOB", "start")):
        assert hand.press(desk.order(user, value=value))[0] == 200
        told = p.until(lambda user=user: desk.whispers(user), told=f"{user} was told nothing")[-1]
        assert word in told, (user, told)
        answer = json.loads(hand.submit(desk.order(user, metadata=value, reason="let me in"))[1])
        assert answer["response_action"] == "errors", answer
    assert desk.approval(asked)["status"] == "PENDING"
    trail = [json.loads(line) for line in desk.server.cli("audit", "export").stdout.splitlines()]
    refused = [e for e in trail if e["subject"] == asked["id"] and e["outcome"] == "refused"]
    assert len(refused) >= 6 and any((e.get("details") or {}).get("slack_user") == "U0NOBODY" for e in refused), refused


def decide_at_once(desk: Desk, asked: dict, page: dict[str, str]) -> list[tuple[str, bool]]:
    """Four ways to decide let go at the same moment, and which of them were told that they did."""
    value, answers, ready = desk.buttons(asked)["reject"], [], threading.Barrier(4)
    path, body = f"/v1/approvals/{asked['id']}/decision", json.dumps({"decision": "approve", "reason": "all at once"}).encode()
    token = desk.tokens["alice"]
    bearer = {"Authorization": f"Bearer {token}", "Content_Type": "application/json"}
    words = ("approve", asked["id"], "--reason", "from the cli")
    ways = {
        "slack": lambda: "clear" in hand.submit(desk.order("U0ALICE", metadata=value, reason="from slack"))[1],
        "console": lambda: desk.server.http("POST", path, body, **page)[0] == 200,
        "api": lambda: desk.server.http("POST", path, body, **bearer)[0] == 200,
        "cli": lambda: desk.server.cli(*words, SORTIE_TOKEN=token).returncode == 0,
    }

    def answer(name: str) -> None:
        ready.wait()
        answers.append((name, ways[name]()))

    threads = [threading.Thread(target=answer, args=(name,)) for name in ways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == len(ways), answers
    return answers


def test_one_answer_counts_when_slack_console_api_and_cli_answer_at_once(desk: Desk) -> None:
    page = desk.session("alice")
    for turn in range(3):
        asked = desk.ask(f"All at once, {turn}")
        won = [name for name, done in decide_at_once(desk, asked, page) if done]
        decided = desk.approval(asked)
        assert won == [decided["decision"]["channel"]], (won, decided["decision"])
        desk.updated(asked, decided["status"])


def test_a_double_click_opens_two_dialogs_and_decides_once(desk: Desk) -> None:
    asked, before = desk.ask("Twice"), len(desk.calls("views.open"))
    value = desk.buttons(asked)["approve"]
    posts = [hand.press(desk.order("U0ALICE", value=value)) for _ in range(2)]
    assert posts == [(200, ""), (200, "")], posts
    p.until(lambda: len(desk.calls("views.open")) == before + 2, told="no two dialogs")
    first = hand.submit(desk.order("U0ALICE", metadata=value, reason="once"))
    second = hand.submit(desk.order("U0ALICE", metadata=value, reason="twice"))
    assert "clear" in first[1] and json.loads(second[1])["response_action"] == "errors", (first, second)
    assert desk.approval(asked)["decision"]["reason"] == "once"


def test_what_was_answered_is_durable(desk: Desk) -> None:
    asked = desk.ask("Kill me now")
    order = desk.order("U0ALICE", metadata=desk.buttons(asked)["approve"], reason="before the crash", time=int(time.time()))
    kept = time.time_ns
    hand.time.time_ns = lambda: 43  # The same bytes twice.
    try:
        assert "clear" in hand.submit(order)[1]
        desk.server.kill()
        desk.server.start()
        assert hand.submit(order)[0] == 401, "a post is taken once, whatever happened in between"
    finally:
        hand.time.time_ns = kept
    assert desk.approval(asked)["decision"]["reason"] == "before the crash"
    desk.updated(asked, "APPROVED")


def test_a_crash_between_the_post_and_its_record_makes_no_second_message(desk: Desk) -> None:
    desk.fail_next(kind="slow", after=True, match="chat.postMessage")
    asked = desk.ask("Lost answer")  # Slack has it and does not answer: nobody here knows where it is.
    desk.server.kill()
    desk.server.start()
    p.until(lambda: desk.calls("conversations.history"), told="the channel was not asked")
    assert "clear" in hand.submit(desk.order("U0ALICE", metadata=desk.buttons(asked)["approve"], reason="found again"))[1]
    desk.updated(asked, "APPROVED")
    assert len([c for c in desk.calls("chat.postMessage") if "Lost answer" in c["body"]["text"]]) == 1


def test_what_is_stopped_or_asked_anew_is_updated(desk: Desk) -> None:
    stopped = desk.ask("Stop me")
    desk.server.json("run", "stop", stopped["arn"], "--reason", "not needed", SORTIE_TOKEN=desk.tokens["bob"])
    desk.updated(stopped, "CANCELLED")
    first = desk.ask("Ask me anew", "again")
    again = p.until(lambda: [c for c in desk.calls("chat.postMessage") if "anew" in c["body"]["text"]][1:], told="not asked anew")[0]
    closed = desk.updated(first, "EXPIRED")["body"]
    assert not [b for b in closed["blocks"] if b["type"] == "actions"], "nobody can press the old one"
    assert [b for b in again["body"]["blocks"] if b["type"] == "actions"]
    desk.server.json("run", "stop", first["arn"], "--reason", "enough", SORTIE_TOKEN=desk.tokens["bob"])


def test_an_expired_one_is_updated_and_its_button_says_so(desk: Desk) -> None:
    asked = desk.ask("Too late", "hurry")
    desk.updated(asked, "EXPIRED")
    assert hand.press(desk.order("U0ALICE", value=desk.buttons(asked)["approve"]))[0] == 200
    assert p.until(lambda: [w for w in desk.whispers("U0ALICE") if "xpired" in w or "decided" in w.lower()], told="nothing was said")


def test_slack_being_away_and_a_restart_lose_nothing(desk: Desk) -> None:
    asked = desk.ask("Before the restart")
    desk.fail_next(status=429, count=2)
    later = desk.ask("While Slack limits us")
    assert len([c for c in desk.calls("chat.postMessage") if "While Slack" in c["body"]["text"]]) == 1
    desk.server.kill()
    desk.server.start()
    assert len([c for c in desk.calls("chat.postMessage") if "Before the restart" in c["body"]["text"]]) == 1
    for one in (asked, later):
        assert hand.submit(desk.order("U0ALICE", metadata=desk.buttons(one)["approve"], reason="after the restart"))[0] == 200
        desk.updated(one, "APPROVED")


if __name__ == "__main__":
    with stand_in() as slack_url, p.temporary_folder() as folder:
        project = {
            "sortie.yaml": config(slack_url),
            "policies/leads.yaml": POLICIES,
            "playbooks/contain.asl.json": asks("approvals"),
            "playbooks/hurry.asl.json": asks("short"),
            "playbooks/again.asl.json": asks("approvals", TimeoutSeconds=2, Retry=[{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1}]),
        }
        p.write_files(folder / "project", project)
        one = p.Server(folder, folder / "project", SLACK_TOKEN="xoxb-test", SLACK_SECRET=SECRET, SLACK_FORMER=FORMER).start()
        try:
            p.main(globals(), Desk(one, slack_url))
        finally:
            if one.process.poll() is None:
                one.kill()
