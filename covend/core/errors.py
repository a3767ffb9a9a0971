"""Every error that covend raises on purpose: what failed, and who must act.

`CovendError.code` is stable and appears in answers, logs and metrics; the message says what is
wrong and,
where there is one, the mend. A message never carries a secret.
"""

from __future__ import annotations

from typing import ClassVar


class CovendError(Exception):
    """The root; `code` names the kind for programs, `str(error)` tells a person."""

    code: ClassVar[str] = "internal"

    def __init__(self, message: str = "", **details: object) -> None:
        """Keep the message (default: the class's own first line) and details for the answer."""
        default = (type(self).__doc__ or self.code).strip().splitlines()[0]
        super().__init__(message or default)
        self.details = details


class UserError(CovendError):
    """Whoever asked must ask differently."""

    code = "bad_request"


class NotFoundError(UserError):
    """There is no such thing."""

    code = "not_found"


class AmbiguousIdError(UserError):
    """The beginning of an id fits several things: give more of it."""

    code = "ambiguous_id"


class ConflictError(UserError):
    """The thing is not in a state that allows this."""

    code = "conflict"


class AlreadyEndedError(ConflictError):
    """The task has ended already: there is nothing to stop any more."""

    code = "already_ended"


class KeyReusedError(ConflictError):
    """This Idempotency-Key was used for another request: take a new one."""

    code = "key_reused"


class NotPermittedError(UserError):
    """The caller is not allowed to do this."""

    code = "not_permitted"


class ConfigError(UserError):
    """The configuration cannot be used."""

    code = "config"


class StoreError(CovendError):
    """The store cannot do this now; nothing was written."""

    code = "store_unavailable"


class StoreBusyError(StoreError):
    """Another program holds the database, or too much is waiting for it."""

    code = "store_busy"


class StoreFullError(StoreError):
    """The disk, or the database's size limit, is full."""

    code = "store_full"


class QueueFullError(StoreError):
    """The queue holds `limits.queue_max` tasks; try again later."""

    code = "queue_full"


class DrainingError(CovendError):
    """covend takes nothing in now; try again later."""

    code = "draining"


class StateDirectoryInUseError(StoreError):
    """Another covend already runs on this state directory."""

    code = "state_directory_in_use"


class ClaimLostError(CovendError):
    """The task's claim is not ours any more; whatever was done under it must be dropped."""

    code = "claim_lost"


class OutsideError(CovendError):
    """Something outside covend failed; the same request may work later."""

    code = "outside"


class GitHubError(OutsideError):
    """GitHub answered with an error, or not at all."""

    code = "github"


class GitError(OutsideError):
    """A git command failed."""

    code = "git"


class AgentError(OutsideError):
    """The agent could not be started or did not keep its contract."""

    code = "agent"


class AgentShortageError(AgentError):
    """This machine is out of something that a start needs: it may have it again."""

    code = "agent_shortage"


class AgentNotFoundError(AgentError):
    """The agent's program is not on its PATH, or cannot be executed."""

    code = "agent_not_found"


class AgentArgumentsError(AgentError):
    """The kernel takes no such arguments or environment."""

    code = "agent_arguments"


class TreeNotEmptyError(AgentError):
    """Processes of an agent outlive SIGKILL; `details["pids"]` names them."""

    code = "tree_not_empty"


class SandboxError(AgentError):
    """The sandbox that an agent is configured for cannot be had."""

    code = "sandbox"


class InvalidResultError(AgentError):
    """The agent's result file does not keep the contract."""

    code = "invalid_result"


class PromptError(UserError):
    """The prompt's template cannot be rendered."""

    code = "prompt"
