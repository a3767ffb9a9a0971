"""One operation of the API: where it is, what permission it needs, who answers it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPMethod
from typing import Any, ParamSpec, TypeVar

from covend.demo.github.answers import Answer, Refused, cut, invalid, page
from covend.demo.github.auth import Credential
from covend.demo.github.state import Hosted, State
from covend.demo.records import Account, JsonObject

Item = TypeVar("Item")
Given = ParamSpec("Given")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One admitted request: what its operation needs to answer it."""

    state: State
    credential: Credential
    path: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any

    @property
    def hosted(self) -> Hosted:
        """The repository in the path."""
        return self.state.find(f"{self.params['owner']}/{self.params['repo']}")

    @property
    def caller(self) -> Account:
        """The account under which the caller writes."""
        assert self.credential.account is not None, "only operations with a token ask"
        return self.credential.account

    @property
    def fields(self) -> JsonObject:
        """The body as an object; anything else is refused."""
        if not isinstance(self.body, dict):
            raise Refused(400, "Problems parsing JSON")
        return self.body

    def text(self, name: str) -> str:
        """Read a field of the body that must be there and be a string."""
        value = self.fields.get(name)
        if not isinstance(value, str):
            raise invalid("Request", name, "missing_field")
        return value

    def number(self, name: str) -> int:
        """Read a number from the path."""
        text = self.params[name]
        if not (text.isascii() and text.isdigit()):
            raise Refused(404, "Not Found")
        return int(text)

    def page(self, items: list[Item], build: Callable[[Item], Any]) -> Answer:
        """Answer the wanted page of a list."""
        return page(self._url, self.query, items, build)

    def counted_page(self, name: str, items: list[Item], build: Callable[[Item], Any]) -> Answer:
        """Answer the wanted page below a key, beside `total_count`."""
        shown, headers = cut(self._url, self.query, items)
        body = {"total_count": len(items), name: [build(item) for item in shown]}
        return Answer(body=body, headers=headers)

    @property
    def _url(self) -> str:
        return f"{self.state.site.api}{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An operation; `path` is the template of GitHub's description, word for word.

    `needs` lists permissions as `name:level`, of which one is enough; empty means any token.
    """

    method: HTTPMethod
    path: str
    answer: Callable[[Call], Awaitable[Answer]]
    needs: tuple[str, ...] = ()


Operation = Callable[[Call], Awaitable[Answer]]


def get(path: str, answer: Operation, *needs: str) -> Route:
    return Route(method=HTTPMethod.GET, path=path, answer=answer, needs=needs)


def post(path: str, answer: Operation, *needs: str) -> Route:
    return Route(method=HTTPMethod.POST, path=path, answer=answer, needs=needs)


def patch(path: str, answer: Operation, *needs: str) -> Route:
    return Route(method=HTTPMethod.PATCH, path=path, answer=answer, needs=needs)


def put(path: str, answer: Operation, *needs: str) -> Route:
    return Route(method=HTTPMethod.PUT, path=path, answer=answer, needs=needs)


def delete(path: str, answer: Operation, *needs: str) -> Route:
    return Route(method=HTTPMethod.DELETE, path=path, answer=answer, needs=needs)


async def in_thread(
    function: Callable[Given, Made], *args: Given.args, **kwargs: Given.kwargs
) -> Made:
    """Run git off the loop, so that the stand-in stays quick for others."""
    return await asyncio.to_thread(function, *args, **kwargs)
