"""Reads a draft as the task that would be made of it, for whoever asks what would hold it.

It is kept nowhere: what the store writes, `store.packing` says.
"""

from __future__ import annotations

from covend.core.model import Event, Moment, Task, TaskId
from covend.core.rules.verdicts import TaskDraft
from covend.core.states import TaskState

NO_TASK = TaskId("")


def task_of(draft: TaskDraft, event: Event, now: Moment) -> Task:
    """Give the task, queued, without an id."""
    return Task(
        id=NO_TASK,
        state=TaskState.QUEUED,
        reason="new",
        not_before_at=now,
        rule=draft.rule,
        agent=draft.agent,
        priority=draft.priority,
        key=draft.key,
        generation=1,
        policy=draft.policy,
        trust=draft.trust,
        event=draft.event,
        installation_id=event.installation_id,
        repository_id=event.repository_id,
        repository=event.repository,
        default_branch=event.default_branch,
        clone_url=event.clone_url,
        subject=draft.subject,
        command=draft.command,
        needs=draft.needs,
        delivery=event.delivery,
        attempts=0,
        failures=0,
        infrastructure_failures=0,
        created_at=now,
        updated_at=now,
        finished_at=None,
        conclusion=None,
        summary=None,
        error_code=None,
        error_message=None,
        cost_usd=None,
        repository_key=str(event.repository_id or event.repository or ""),
        actor=event.sender,
        subject_updated_at=event.subject_updated_at,
        parent=event.parent,
        depth=event.depth,
        fallbacks=draft.fallbacks,
        inputs=event.inputs,
    )
