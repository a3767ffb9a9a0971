"""What can go wrong between covend and GitHub, told apart by what the caller may do next.

No message carries a token: each is made of the operation's name, the status, and GitHub's own
words.
"""

# The names are answers to "what became of it?", not faults of this program.
# ruff: noqa: N818

from __future__ import annotations

from covend.core.errors import GitHubError
from covend.core.model import Moment


class Unreachable(GitHubError):
    """GitHub was not reached, or a question got no answer: nothing was changed there."""

    code = "github_unreachable"


class OutcomeUnknown(GitHubError):
    """A change was sent and no usable answer came: look it up before it is sent again."""

    code = "github_outcome_unknown"


class RateLimited(GitHubError):
    """GitHub asks to wait; nothing was changed there. `retry_at` is in ms UTC."""

    code = "github_rate_limited"

    def __init__(self, message: str, *, retry_at: Moment) -> None:
        """Keep the moment before which nothing more should be sent."""
        super().__init__(message, retry_at=retry_at)
        self.retry_at = retry_at


class Unauthorized(GitHubError):
    """GitHub does not accept the App's key or the token, also after a fresh one was fetched."""

    code = "github_unauthorized"


class BadAnswer(GitHubError):
    """GitHub's answer is too large, no JSON, or lacks what it must have."""

    code = "github_bad_answer"


class TooManyPages(GitHubError):
    """A list has more pages than covend reads, so that nothing follows from what is missing."""

    code = "github_too_many_pages"


class Refused(GitHubError):
    """GitHub refused the request for good; the same one will not work later."""

    code = "github_refused"

    def __init__(self, message: str, *, status: int) -> None:
        """Keep the status; 0 where covend itself refused to send."""
        super().__init__(message, status=status)
        self.status = status


class NotFound(Refused):
    """There is no such thing, or covend may not know that there is."""

    code = "github_not_found"


class MissingPermission(Refused):
    """The App or token lacks a permission; `permission` names it where GitHub did."""

    code = "github_permission"

    def __init__(self, message: str, *, permission: str) -> None:
        """Keep what is missing, as `checks=write`; "" where GitHub does not say."""
        super().__init__(message, status=403)
        self.permission = permission
