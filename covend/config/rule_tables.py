"""The tables of rules: which events become which work, by whom, and what is seen of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, model_serializer

from covend.config.agent_tables import Budgets, SandboxName
from covend.config.base import OneOf, Table
from covend.config.values import (
    Duration,
    FilePath,
    Globs,
    Name,
    Text,
    flat,
    just_what_to_do,
    never_just_text,
    payload_values,
)

Permission = Literal["admin", "maintain", "write", "triage", "read"]
Admission = Literal["run", "hold", "refuse"]
Published = Literal[
    "check", "comment", "review", "pull_request", "reaction", "status", "labels", "callback"
]


class WhenTable(Table):
    """`rules.when`: one text is as good as a list of one."""

    repository: Globs | None = None
    """Globs of `repository.full_name`, `OWNER/NAME`; case does not matter, `*` does not cross the
    `/`.
    """
    base: Globs | None = None
    """Globs of the branch that a pull request is for, `pull_request.base.ref`; looked up for a
    comment.
    """
    head: Globs | None = None
    """Globs of the branch of a pull request, `pull_request.head.ref`, or a check's `head_branch`;
    looked up for a comment.
    """
    author: Globs | None = None
    """Globs of the login of who opened the pull request or issue, `user.login`; case does not
    matter.
    """
    sender: Globs | None = None
    """Globs of the login of who acts now, `sender.login`; case does not matter."""
    association: Globs | None = None
    """Globs of `author_association` of the comment, review, pull request or issue; case does not
    matter.
    """
    labels: Globs | None = None
    """Globs of the names of labels, `labels[].name`; case does not matter."""
    draft: bool | None = None
    """Whether it is a draft, `pull_request.draft`; looked up for a comment."""
    fork: bool | None = None
    """Whether its code is another repository's, `pull_request.head.repo`; looked up for a comment.
    """
    paths: Globs | None = None
    """Globs of changed paths, of which one that passes is enough: `commits[]` of a push, looked up
    for a pull request.
    """
    title: Globs | None = None
    """Globs of `title` of the pull request or issue, or a release's `name`."""
    body: Globs | None = None
    """Globs of `body` of the comment or review, else of the pull request, issue or release."""
    event: Globs | None = None
    """Globs of the event's name, `X-GitHub-Event`."""
    action: Globs | None = None
    """Globs of `action`."""
    conclusion: Globs | None = None
    """Globs of `conclusion` of a check run, check suite, workflow run or job, or of a task."""
    ref: Globs | None = None
    """Globs of `ref`, as sent or short (`main`), or a release's tag."""
    payload: (
        Annotated[
            dict[str, Annotated[list[str], BeforeValidator(payload_values), Field(min_length=1)]],
            BeforeValidator(flat, json_schema_input_type=dict[str, Any]),
        ]
        | None
    ) = None
    """Globs of any other field by its path: `{ "a.b.c" = "x" }`; a list on the way stands for each
    of its entries.
    """


class PromptTable(OneOf):
    """`rules.prompt`."""

    builtin: Literal["review", "fix", "triage", "answer"] | None = None
    """One that covend brings."""
    file: FilePath | None = None
    """A file with the template."""
    text: Text | None = None
    """The template itself."""


class TermsTable(Budgets):
    """One entry of `rules.trust`; a text alone is what to `do`."""

    do: Admission = "run"
    """Start the work, hold it until `covend approve`, or refuse it."""
    agent: Text | None = None
    """Another agent than the rule's."""
    sandbox: SandboxName | None = None
    """At least this sandbox, for the agent and its fallbacks."""

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> Any:
        return self.do if not self.changes() else handler(self)

    def changes(self) -> bool:
        """Say whether it is about more than what to do."""
        return any(
            getattr(self, name) is not None for name in TermsTable.model_fields.keys() - {"do"}
        )


Terms = Annotated[
    TermsTable, BeforeValidator(just_what_to_do, json_schema_input_type=Admission | TermsTable)
]


class TrustTable(Table):
    """`rules.trust`: a key for each degree of `core.model.Trust`."""

    admin: Terms | None = None
    """Who has the permission admin."""
    maintain: Terms | None = None
    """Who has the permission maintain."""
    write: Terms | None = None
    """Who has the permission write."""
    member: Terms | None = None
    """Owners, members and collaborators, as the webhook says."""
    first_time: Terms | None = None
    """Who has never contributed here, as the webhook says. Without a word: held."""
    none: Terms | None = None
    """Everybody else. Without a word: held."""
    fork: Terms | None = None
    """Whoever asks for work on a pull request whose code is another repository's. Without a word:
    held.
    """
    bot: Terms | None = None
    """An App or a bot, about anything else than a fork."""


class RuleTable(Budgets):
    """One `[[rules]]`."""

    name: Name
    """What the rule is called, also in the name of its check: `covend/NAME`."""
    on: list[Text] = Field(default=[])
    """Globs of `event.action` that it listens to; an event alone stands for all its actions. Also
    `command.VERB`, `checks.passed`, `task.completed`, `schedule.NAME` and `SENDER:EVENT`.
    """
    when: WhenTable = Field(default_factory=WhenTable)
    """What must hold besides; all clauses must."""
    allow: Annotated[list[Permission], Field(min_length=1)] | None = None
    """Permissions of which the actor must have one now. Without it anybody; with a command in `on`:
    admin, maintain or write.
    """
    trust: TrustTable = Field(default_factory=TrustTable)
    """What to do by who asks: a word, or a table. Without a word `fork`, `first_time` and `none`
    are held, and everybody else runs.
    """
    agent: Text
    """Which agent does the work."""
    prompt: Annotated[PromptTable, BeforeValidator(never_just_text)] | None = None
    """What the agent is asked; a template over the brief. claude and codex need one."""
    checkout: Literal["none", "base", "head", "merge"] = "head"
    """What the agent finds in its workspace: nothing, the base, the head, or the head merged into
    the base.
    """
    publish: list[Published] = Field(default=[])
    """What becomes visible of the work."""
    key: Text | None = None
    """A template: what counts as the same work. Without it rule, repository, subject and head."""
    supersede: bool = True
    """Whether a new head cancels queued and running work of this rule on the old one."""
    debounce: Duration = 0.0
    """How long a new task waits for further events."""
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = 0
    """Which goes first: the larger."""
