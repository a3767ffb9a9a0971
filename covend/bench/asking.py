"""Work that shows itself on every surface of GitHub: its configuration, its agents, and the signed
webhooks that ask for it.

Each round is about a repository of its own, so that no listing grows with the number of rounds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from covend.demo import payloads
from covend.demo.github.state import Hosted
from covend.demo.payloads import on_pulls
from covend.demo.records import Issue, JsonObject, Repository, ReviewComment, Scene
from covend.demo.repository import demo_repository
from covend.demo.stage import NUMBER, WEBHOOK_SECRET, Stage

Hook = tuple[bytes, Mapping[str, str]]
SERIALS = 20
"""Of one round: a serial makes the ids of what a webhook tells of."""
PUSH_AFTER = 3
"""Rounds after which one more commit comes to a pull request."""
FIX_EVERY = 4
"""Rounds of which one proposes commits: that takes a checkout."""
ANNOTATIONS = 60
"""More than one request of a check run may bring."""

CONFIG = """\
state_dir = "{folder}/state"

[server]
listen = "127.0.0.1:{port}"

[admin]
listen = "127.0.0.1:{admin_port}"

[github]
app_id = {app_id}
private_key = {{ file = "app.pem" }}
webhook_secrets = [{{ file = "webhook.secret" }}]
api_url = "{api_url}"
mention = "covend"

[limits]
lease = "1h"

# A kill is not the agents' fault, and here there are more of them than anybody should bear.
[safeguards]
crash_loop = {{ failures = 100000 }}
circuit = {{ failures = 100000 }}

[agents.reviewer]
preset = "command"
command = ["/bin/sh", "{folder}/reviewer.sh"]
timeout = "1h"
retry = {{ attempts = 100, infrastructure = 100, base = "1s", max = "1s" }}

[agents.scanner]
preset = "command"
command = ["/bin/sh", "{folder}/scanner.sh"]
timeout = "1h"
retry = {{ attempts = 100, infrastructure = 100, base = "1s", max = "1s" }}

[agents.fixer]
preset = "command"
command = ["/bin/sh", "{folder}/fixer.sh"]
timeout = "1h"
retry = {{ attempts = 100, infrastructure = 100, base = "1s", max = "1s" }}

[[rules]]
name = "review"
on = ["pull_request.opened", "pull_request.synchronize"]
agent = "reviewer"
prompt = {{ builtin = "review" }}
checkout = "none"
publish = ["check", "status", "comment", "review", "labels", "reaction"]

[[rules]]
name = "scan"
on = ["pull_request.opened"]
agent = "scanner"
prompt = {{ builtin = "review" }}
checkout = "none"
publish = ["check"]

[[rules]]
name = "triage"
on = ["issues.opened"]
agent = "reviewer"
prompt = {{ builtin = "triage" }}
checkout = "none"
publish = ["comment", "labels", "reaction"]

[[rules]]
name = "ask"
on = ["command.ask"]
allow = ["admin", "maintain", "write"]
agent = "reviewer"
prompt = {{ builtin = "answer" }}
checkout = "none"
publish = ["review", "reaction"]

[[rules]]
name = "fix"
on = ["command.fix"]
allow = ["admin", "maintain", "write"]
agent = "fixer"
prompt = {{ builtin = "fix" }}
checkout = "head"
publish = ["pull_request", "reaction"]
"""


def _remark(line: int) -> JsonObject:
    return {"path": "src/till/basket.py", "line": line, "body": f"Look at line {line}."}


_REVIEW = {
    "summary": "Looked at, once.",
    "review": {"comments": [_remark(30)]},
    "labels": ["seen", "till"],
}
_SCAN = {"review": {"comments": [_remark(line + 1) for line in range(ANNOTATIONS)]}}
_COMMIT = """\
echo "$COVEND_TASK" > fixed.txt
git add fixed.txt
git -c user.name=fixer -c user.email=fixer@covend.invalid commit --quiet --message "Fix it"
"""
_FIX = {"summary": "Fixed, once.", "pull_request": {"title": "Fix it"}}


def write_agents(folder: Path) -> None:
    """Write what the configuration starts: shell scripts that each write one result."""
    for name, result, before in (
        ("reviewer", _REVIEW, ""),
        ("scanner", _SCAN, ""),
        ("fixer", _FIX, _COMMIT),
    ):
        answer = orjson.dumps({"conclusion": "neutral", **result}).decode()
        text = f"set -e\ncat > /dev/null\n{before}cat > \"$COVEND_RESULT\" <<'END'\n{answer}\nEND\n"
        (folder / f"{name}.sh").write_text(text, "utf-8")


class Asking:
    """The rounds, in order."""

    def __init__(self, stage: Stage) -> None:
        """Host nothing yet."""
        self._stage = stage
        self._rounds: list[Hosted] = []

    async def hooks(self) -> Sequence[Hook]:
        """Begin the next round, and give the webhooks that tell of it; runs git."""
        number = len(self._rounds)
        hosted = await asyncio.to_thread(self._host, number)
        self._rounds.append(hosted)
        hooks = await asyncio.to_thread(self._begin, hosted, number * SERIALS)
        if number >= PUSH_AFTER:
            earlier = self._rounds[number - PUSH_AFTER]
            hooks.append(await asyncio.to_thread(self._push, earlier, number * SERIALS))
        return hooks

    def _host(self, number: int) -> Hosted:
        github = self._stage.github
        repository = _repository(number)
        bare = demo_repository(self._stage.folder / f"{repository.name}.git", number=NUMBER)
        pull = payloads.scan_pull(
            number=NUMBER,
            head_sha=bare.commit_at(f"refs/pull/{NUMBER}/head"),
            base_sha=bare.commit_at("refs/heads/main"),
            now=github.state.now(),
        )
        roles = {payloads.MAINTAINER.login: "maintain", payloads.AUTHOR.login: "write"}
        return github.host(repository, bare, pulls=(pull,), roles=roles)

    def _begin(self, hosted: Hosted, serial: int) -> list[Hook]:
        opened = self._scene(hosted, serial)
        issue, thread = self._scene(hosted, serial + 1), self._scene(hosted, serial + 2)
        told = on_pulls.issue_opened(issue)
        told["issue"]["author_association"] = "MEMBER"
        hosted.issues[told["issue"]["number"]] = _issue_of(told["issue"], issue)
        remark = on_pulls.review_comment_created(thread)
        self._stage.github.state.review_comments.append(_remark_of(remark["comment"], thread))
        hooks = [
            _sign("pull_request", on_pulls.pull_request("opened", opened)),
            _sign("issues", told),
            _sign("pull_request_review_comment", remark),
            self._said(hosted, serial + 3, "@covend help"),
            self._said(hosted, serial + 4, "@covend ask"),
        ]
        if (serial // SERIALS) % FIX_EVERY == 0:
            hooks.append(self._said(hosted, serial + 5, "@covend fix"))
        return hooks

    def _said(self, hosted: Hosted, serial: int, text: str) -> Hook:
        return _sign("issue_comment", on_pulls.issue_comment(self._scene(hosted, serial, text)))

    def _push(self, hosted: Hosted, serial: int) -> Hook:
        before = hosted.git.commit_at(f"refs/pull/{NUMBER}/head")
        hosted.git.push(NUMBER, {"src/till/more.py": f"MORE = {serial}\n"}, "More")
        payload = on_pulls.pull_request("synchronize", self._scene(hosted, serial + 6))
        return _sign("pull_request", payload | {"before": before})

    def _scene(self, hosted: Hosted, serial: int, text: str = "@covend help") -> Scene:
        return self._stage.github.scene(
            hosted, NUMBER, serial=serial, sender=payloads.MAINTAINER, text=text
        )


def _repository(number: int) -> Repository:
    return replace(payloads.TILL, name=f"till-{number}", id=payloads.TILL.id + number + 1)


def _issue_of(shown: Mapping[str, Any], scene: Scene) -> Issue:
    return Issue(
        number=shown["number"],
        id=shown["id"],
        title=shown["title"],
        body=shown["body"],
        author=scene.sender,
        created_at=scene.now,
        updated_at=scene.now,
    )


def _remark_of(shown: Mapping[str, Any], scene: Scene) -> ReviewComment:
    return ReviewComment(
        id=shown["id"],
        repository=scene.repository.full_name,
        number=scene.pull.number,
        review_id=shown["pull_request_review_id"],
        author=scene.sender,
        body=shown["body"],
        path=shown["path"],
        commit_id=shown["commit_id"],
        diff_hunk=shown["diff_hunk"],
        position=1,
        line=1,
        created_at=scene.now,
        updated_at=scene.now,
    )


def _sign(name: str, payload: JsonObject) -> Hook:
    body = payloads.encode(payload)
    return body, payloads.signed(body, WEBHOOK_SECRET, name, str(uuid4()))
