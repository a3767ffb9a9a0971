"""Attends to what people say to covend itself: who may say it is looked up live, then it is done,
and acknowledged where it was said.

Refuses bots, strangers and whoever cannot be asked about, without a word. What was said is attended
to until it is ended in the store: a crash between the deed and its end does nothing twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import anyio
import orjson

from covend.core.audit import Way, Wish
from covend.core.commanding import BUILT_IN, CommandWish, Verb, allowed_for, meant_by
from covend.core.effects.acknowledge import Reaction, acknowledge_wish
from covend.core.effects.replies import help_text, nothing_text, status_text, unknown_text
from covend.core.errors import GitHubError, NotPermittedError, StoreError, UserError
from covend.core.model import EffectId, Task
from covend.edges.github.client import GitHubClient
from covend.edges.github.errors import RateLimited, Refused
from covend.edges.github.permissions import permission_of
from covend.services.auditing import Auditing
from covend.services.clock import Clock
from covend.services.operations import Operations
from covend.services.side_by_side import SideBySide
from covend.services.waiting_longer import as_long_again
from covend.services.wakeups import Wakeups
from covend.store.protocol import Commands
from covend.telemetry.logs import Log, about

AT_ONCE = 8
LOOK_EVERY_S = 15.0
STORE_WAIT_S = 1.0
GIVE_UP_MS = 24 * 3_600_000
TASKS_MAX = 200
"""Tasks of one subject that a command looks at, the newest."""
FAULT = "fault"
RULE_MAX = 64
"""Characters of a word that may be a rule's name."""
ON_TASKS = frozenset({Verb.RETRY, Verb.CANCEL, Verb.APPROVE})
CHANGING = ON_TASKS | {Verb.PAUSE, Verb.RESUME}

Verbs = Callable[[], Sequence[str]]
"""The verbs that the rules in force listen to."""
log = Log("commanding")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """How a command ends: its state and reason in the store, and how it is answered."""

    state: str = "done"
    reason: str
    reaction: Reaction
    words: str = ""


ROUTED = Heard(reason="routed", reaction=Reaction.SEEN)
DONE = Heard(reason="done", reaction=Reaction.DONE)


class Commanding:
    """Works on commands whose time has come, of one subject one after the other."""

    def __init__(
        self,
        *,
        commands: Commands,
        operations: Operations,
        github: GitHubClient,
        clock: Clock,
        wakeups: Wakeups,
        key: bytes,
        verbs: Verbs,
        auditing: Auditing,
    ) -> None:
        """Ask for permissions through `github`; sign the markers of answers with `key`; note in
        `auditing` what is to change something.
        """
        self._commands = commands
        self._operations = operations
        self._github = github
        self._clock = clock
        self._wakeups = wakeups
        self._key = key
        self._verbs = verbs
        self._auditing = auditing
        self._deeds: Mapping[Verb, Callable[[CommandWish], Awaitable[Heard]]] = {
            Verb.STATUS: self._status,
            Verb.RETRY: partial(self._on_tasks, Verb.RETRY, operations.retry),
            Verb.CANCEL: partial(self._on_tasks, Verb.CANCEL, operations.cancel),
            Verb.APPROVE: partial(self._on_tasks, Verb.APPROVE, operations.approve),
            Verb.PAUSE: self._pause,
            Verb.RESUME: self._resume,
            Verb.HELP: self._help,
        }

    async def run(self) -> None:
        """Attend until cancelled."""
        async with anyio.create_task_group() as group:
            talks = SideBySide(group, at_once=AT_ONCE, bell=self._wakeups.commands)
            while True:
                try:
                    await self.attend_due(talks)
                    pause = await self._pause_s()
                except StoreError as error:
                    log.error("commands cannot be read", code=error.code, error=str(error))
                    pause = STORE_WAIT_S
                await self._wakeups.commands.wait(pause)

    async def attend_due(self, talks: SideBySide) -> int:
        """Start to attend to the commands that are due; say how many that is.

        The key is the subject: what was said second there is done second.
        """
        due = await self._commands.due(now=self._clock.now(), limit=talks.limit)
        return sum(
            talks.start(_subject(wish), partial(self._attend, wish), partial(self._put_off, wish))
            for wish in due
        )

    async def _attend(self, wish: CommandWish) -> None:
        with about(delivery=wish.delivery, verb=wish.command.verb, actor=wish.command.actor):
            try:
                heard = ROUTED if wish.is_wanted else await self._hear(wish)
            except GitHubError as error:
                await self._postpone(wish, error)
            else:
                await self._end(wish, heard)

    async def _hear(self, wish: CommandWish) -> Heard:
        """Do what is wished, where whoever wishes it may; GitHubError where nobody knows yet."""
        verb = wish.command.verb
        if (why := await self._why_not(wish)) is not None:
            return _refused(why)
        if verb not in BUILT_IN:
            words = unknown_text(verb, self._verbs())
            return Heard(reason="unknown_verb", reaction=Reaction.PUZZLED, words=words)
        try:
            return await self._do(Verb(verb), wish)
        except UserError as error:
            return _nothing(Verb(verb), "", [str(error)])

    async def _do(self, verb: Verb, wish: CommandWish) -> Heard:
        if verb not in CHANGING:
            return await self._deeds[verb](wish)
        async with self._auditing.noting(_noted(verb, wish)) as noted:
            heard = await self._deeds[verb](wish)
            if heard is not DONE:
                noted.outcome = heard.reason
            return heard

    # --- who may ------------------------------------------------------------------------------

    async def _why_not(self, wish: CommandWish) -> str | None:
        """Give a stable reason why a command is not heard; None where it is."""
        if wish.is_bot:
            return "bot"
        if not wish.repository or wish.subject_number is None:
            return "no_subject"
        try:
            permission = await permission_of(
                self._github, wish.installation_id, wish.repository, wish.command.actor
            )
        except Refused as error:
            log.warning("a permission is not told", code=error.code, error=str(error))
            return "permission_unknown"
        return None if permission in allowed_for(wish.command.verb) else "not_permitted"

    # --- the verbs ----------------------------------------------------------------------------

    async def _on_tasks(
        self, verb: Verb, deed: Callable[..., Awaitable[Task]], wish: CommandWish
    ) -> Heard:
        """Do it to each task that is meant; one that has moved meanwhile keeps from no other."""
        rule = _rule_in(wish)
        tasks = await self._commands.tasks_on(wish, limit=TASKS_MAX)
        meant = meant_by(verb, tasks, rule=rule, asked_at=wish.created_at)
        errors = []
        for task in meant.tasks:
            try:
                await deed(task.id, by=_by(wish))
            except UserError as error:
                log.warning("not done to one task", task=task.id, error=str(error))
                errors.append(str(error))
        if meant.is_so or len(errors) < len(meant.tasks):
            return DONE
        return _nothing(verb, rule, errors)

    async def _status(self, wish: CommandWish) -> Heard:
        tasks = await self._commands.tasks_on(wish, limit=TASKS_MAX)
        return _told(status_text(tasks, self._clock.now()))

    async def _help(self, wish: CommandWish) -> Heard:  # noqa: ARG002 - all are told the same
        return _told(help_text(self._verbs()))

    async def _pause(self, wish: CommandWish) -> Heard:
        await self._operations.pause(_scope(wish), by=_by(wish))
        return DONE

    async def _resume(self, wish: CommandWish) -> Heard:
        try:
            await self._operations.resume(_scope(wish), by=_by(wish))
        except NotPermittedError as error:
            return replace(_refused("paused_by_operator"), words=str(error))
        return DONE

    # --- the end ------------------------------------------------------------------------------

    async def _end(self, wish: CommandWish, heard: Heard) -> None:
        drafts = acknowledge_wish(wish, heard.reaction, key=self._key, words=heard.words)
        effects = [(EffectId(self._clock.new_id()), draft) for draft in drafts]
        is_ended = await self._commands.end(
            wish.delivery,
            state=heard.state,
            reason=heard.reason,
            effects=effects,
            now=self._clock.now(),
        )
        if is_ended:
            log.info("attended to", state=heard.state, reason=heard.reason)
            self._wakeups.effects.wake()

    async def _postpone(self, wish: CommandWish, error: GitHubError) -> None:
        """Wait for about as long as it has waited already; after a day refuse."""
        now = self._clock.now()
        if now - wish.created_at > GIVE_UP_MS:
            await self._end(wish, _refused("look_up_failed"))
            return
        until = (
            error.retry_at
            if isinstance(error, RateLimited)
            else as_long_again(wish.created_at, now)
        )
        log.warning("a look-up failed", code=error.code, error=str(error), until=until)
        await self._commands.postpone(wish.delivery, reason=f"look_up: {error.code}", until=until)

    async def _put_off(self, wish: CommandWish) -> None:
        """Let others go first after a fault of covend's own; after a day give up."""
        now = self._clock.now()
        if now - wish.created_at > GIVE_UP_MS:
            await self._end(wish, _refused(FAULT))
        else:
            until = as_long_again(wish.created_at, now)
            await self._commands.postpone(wish.delivery, reason=FAULT, until=until)

    async def _pause_s(self) -> float:
        now = self._clock.now()
        due = await self._commands.next_due_at(now)
        return LOOK_EVERY_S if due is None else min(LOOK_EVERY_S, max(0.01, (due - now) / 1000))


def _noted(verb: Verb, wish: CommandWish) -> Wish:
    """Write down who has said what, and where; the rest of the comment is the delivery's."""
    details = {"delivery": wish.delivery, "comment": wish.command.comment_id}
    if verb in ON_TASKS and (rule := _rule_in(wish)):
        details["rule"] = rule[:RULE_MAX]
    return Wish(
        who=_by(wish),
        way=Way.COMMENT,
        address=None,
        client=None,
        verb=verb,
        target=f"{wish.repository}#{wish.subject_number}" if verb in ON_TASKS else _scope(wish),
        details=orjson.dumps(details).decode(),
    )


def _refused(reason: str) -> Heard:
    return Heard(state="refused", reason=reason, reaction=Reaction.REFUSED)


def _nothing(verb: Verb, rule: str, errors: Sequence[str]) -> Heard:
    words = nothing_text(verb, rule, errors)
    return Heard(reason="nothing_to_do", reaction=Reaction.PUZZLED, words=words)


def _told(words: str) -> Heard:
    return Heard(reason="done", reaction=Reaction.DONE, words=words)


def _subject(wish: CommandWish) -> str:
    return f"{wish.repository_key}#{wish.subject_number}"


def _scope(wish: CommandWish) -> str:
    return f"repository:{wish.repository}"


def _by(wish: CommandWish) -> str:
    return f"@{wish.command.actor}"


def _rule_in(wish: CommandWish) -> str:
    """The first word after the verb; "" where there is none."""
    return next(iter(wish.command.text.split()), "")
