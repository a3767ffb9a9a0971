"""Who covend is on GitHub where it is nobody there: other senders alone are configured.

Refuses whatever would need GitHub, in words for whoever has configured it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from covend.edges.github.courier import Places
from covend.edges.github.errors import Refused
from covend.edges.github.tokens import Token
from covend.edges.github.wire import Answer, Question

WHY = "covend is nobody on GitHub: [github] has neither an App nor a token"


class NoAuth:
    """`Auth` without an App and without a token."""

    def __init__(self) -> None:
        """Nothing is kept."""
        self.places = Places()

    @property
    def app_id(self) -> None:
        """See `Auth.app_id`."""
        return

    async def token_for(
        self,
        installation: int | None,  # noqa: ARG002 (there is nothing to choose by)
        repository: str | int,  # noqa: ARG002
        permissions: Mapping[str, str],  # noqa: ARG002
    ) -> str:
        """See `Auth.token_for`: always refused."""
        raise Refused(WHY, status=0)

    async def installation_of(self, repository: str) -> None:
        """See `Auth.installation_of`: always refused."""
        raise Refused(f"{repository}: {WHY}", status=0)

    def forget(self, token: str) -> bool:  # noqa: ARG002 (there is none)
        """See `Auth.forget`."""
        return False

    def take_idle(self) -> Sequence[Token]:
        """See `Auth.take_idle`."""
        return ()

    def close(self) -> Sequence[Token]:
        """See `Auth.close`."""
        return ()

    async def as_app(self, question: Question) -> Answer:
        """See `Auth.as_app`: always refused."""
        raise Refused(f"{question.operation}: {WHY}", status=0)

    async def own_login(self) -> str:
        """See `Auth.own_login`: nobody's."""
        return ""
