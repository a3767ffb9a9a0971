"""The stand-in of GitHub: one server on loopback that answers its API and git.

It admits a request, lets the operation answer, and keeps the record; what an operation does stands
in the file of its noun.
"""

import asyncio
import functools
import json
import re
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from aiohttp import web

from covend.demo import payloads
from covend.demo.github import (
    admission,
    apps,
    checks,
    comments,
    deliveries,
    git_http,
    graphql,
    hook,
    labels,
    moving,
    pulls,
    registering,
    repos,
    reviews,
    users,
)
from covend.demo.github.answers import Answer, Refused, refusal
from covend.demo.github.auth import ANONYMOUS, Credential, Kind
from covend.demo.github.conditional import tagged
from covend.demo.github.faults import COURSES, Faults, Planned
from covend.demo.github.keys import AppKey, demo_key
from covend.demo.github.pacing import forgive, limits, rate_headers
from covend.demo.github.routes import Call, Route
from covend.demo.github.state import Hosted, Request, State, Violation
from covend.demo.payloads.people import PERMISSIONS
from covend.demo.records import Account, App, PullRequest, Repository, Scene, Site
from covend.demo.repository import BareRepository, demo_repository

BODY_LIMIT = 64 * 1024 * 1024
WAIT_S = 10.0

Found = TypeVar("Found")

ROUTES: tuple[Route, ...] = (
    *apps.ROUTES,
    *registering.ROUTES,
    *hook.ROUTES,
    *deliveries.ROUTES,
    *users.ROUTES,
    *repos.ROUTES,
    *pulls.ROUTES,
    *reviews.ROUTES,
    *comments.ROUTES,
    *labels.ROUTES,
    *graphql.ROUTES,
    *checks.ROUTES,
    *git_http.ROUTES,
)
"""Everything the stand-in answers."""

_LONGEST_FIRST = sorted(ROUTES, key=lambda route: route.path.count("/"), reverse=True)
_WITH_SLASHES = ("ref", "basehead", "branch")
"""Path parameters that may hold slashes, because branches do."""


class Description(Protocol):
    """GitHub's word on what may be asked and answered (`description.Description` in tests)."""

    def request_fault(self, method: str, path: str, body: object) -> str | None: ...

    def response_fault(self, method: str, path: str, status: int, body: object) -> str | None: ...


class StandInGitHub:
    """GitHub on 127.0.0.1, for as long as the `async with` lasts.

        async with StandInGitHub() as github:
            till = github.host_till(directory / "till.git")
            ...
            await github.wait_for(lambda: github.state.reviews)

    `state` holds what was written, `faults` what shall go wrong. `clock` may be turned by hand;
    the stand-in itself never sleeps.
    """

    def __init__(
        self,
        *,
        app: App = payloads.COVEND,
        key: AppKey | None = None,
        installation_id: int = 1,
        permissions: Mapping[str, str] = PERMISSIONS,
        description: Description | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Prepare; with a `description`, requests and answers are held against it."""
        self.key = key or demo_key()
        self.faults = Faults()
        self.state = State(
            site=Site(),
            app=app,
            public_key=self.key.public,
            private_key=self.key.private,
            installation_id=installation_id,
            clock=clock,
            permissions=dict(permissions),
        )
        self.add_account(app.owner)
        self.add_account(app.bot)
        self._description = description
        self._runner = web.AppRunner(
            _application(self._serve, self._serve_by_id, self._serve_unknown),
            access_log=None,
            shutdown_timeout=1.0,
        )

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self.state.site = Site(api=url, web=url)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let held requests go and close."""
        self.faults.clear()
        await self._runner.cleanup()

    @property
    def api_url(self) -> str:
        """Where the REST API is; no slash at the end."""
        return self.state.site.api

    @property
    def violations(self) -> list[Violation]:
        """What did not fit GitHub's description; a good test ends with none."""
        return self.state.violations

    @property
    def requests(self) -> list[Request]:
        """Every request in the order of arrival."""
        return self.state.requests

    def clone_url(self, owner: str, repo: str) -> str:
        """Where git clones a repository from."""
        return f"{self.state.site.web}/{owner}/{repo}.git"

    def host(
        self,
        repository: Repository,
        git: BareRepository,
        *,
        pulls: tuple[PullRequest, ...] = (),
        roles: Mapping[str, str] | None = None,
    ) -> Hosted:
        """Host a repository; `roles` maps logins to admin, maintain, write, triage or read."""
        hosted = Hosted(repository, git, roles=dict(roles or {}))
        hosted.pulls |= {pull.number: pull for pull in pulls}
        self.state.hosted[repository.full_name.lower()] = hosted
        return hosted

    def host_till(self, path: Path, *, number: int = 7, private: bool = False) -> Hosted:
        """Host the demonstration's till with its pull request, its author and a maintainer."""
        git = demo_repository(path, number=number)
        pull = payloads.scan_pull(
            number=number,
            head_sha=git.commit_at(f"refs/pull/{number}/head"),
            base_sha=git.commit_at("refs/heads/main"),
            now=self.state.now(),
        )
        self.add_account(payloads.AUTHOR)
        self.add_account(payloads.MAINTAINER)
        roles = {payloads.MAINTAINER.login: "maintain", payloads.AUTHOR.login: "write"}
        return self.host(replace(payloads.TILL, private=private), git, pulls=(pull,), roles=roles)

    def add_account(self, account: Account) -> None:
        """Let a person, organization or bot exist."""
        self.state.accounts[account.login] = account

    def add_personal_token(self, token: str, account: Account, scopes: str | None = None) -> None:
        """Accept a personal access token, which may do everything, whatever its `scopes` say."""
        self.add_account(account)
        who = Credential(kind=Kind.USER, account=account, token=token, scopes=scopes)
        self.state.tokens[token] = who

    def rename(self, hosted: Hosted, name: str, *, owner: Account | None = None) -> None:
        """Let a repository be called otherwise from now on, as its old name redirects to."""
        moving.rename(self.state, hosted, name, owner)

    def scene(
        self,
        hosted: Hosted,
        number: int,
        *,
        serial: int,
        sender: Account = payloads.AUTHOR,
        text: str = "@covend review",
    ) -> Scene:
        """Set the scene for a webhook about a pull request as it is now; runs git."""
        return Scene(
            repository=hosted.repository,
            pull=hosted.live_pull(number),
            sender=sender,
            app=self.state.app,
            now=self.state.now(),
            serial=serial,
            installation_id=self.state.installation_id,
            site=self.state.site,
            text=text,
        )

    async def wait_for(self, predicate: Callable[[], Found], *, within_s: float = WAIT_S) -> Found:
        """Wait until a look at the state is truthy, and give what it saw.

        It is asked after every request. Raises TimeoutError with the last requests.
        """
        try:
            async with asyncio.timeout(within_s), self.state.changed:
                return await self.state.changed.wait_for(predicate)
        except TimeoutError:
            seen = [f"{each.method} {each.path} {each.status}" for each in self.requests[-20:]]
            raise TimeoutError(f"never came true; the last requests were {seen}") from None

    async def _serve(self, route: Route, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        at = await self._note(request, _parsed(request, body))
        fault = self.faults.take(request.method, request.path)
        if fault is not None:
            await fault.delay()
        answer = await self._answer(route, request, at, fault)
        await self._settle(at, answer, fault)
        return _drop(request) if answer is None else self._response(answer, at)

    async def _serve_by_id(self, request: web.Request) -> web.StreamResponse:
        """Serve what a redirect led to, as if it were asked for by its name."""
        try:
            path = moving.named_path(self.state, **request.match_info)
        except Refused:
            return await self._serve_unknown(request)
        found = moving.find_route(_LONGEST_FIRST, _WITH_SLASHES, request.method, path)
        if found is None:
            return await self._serve_unknown(request)
        route, params = found
        request.match_info.clear()
        request.match_info.update(params)
        return await self._serve(route, request)

    async def _serve_unknown(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        at = await self._note(request, _parsed(request, body))
        self._violate("route", request, "the stand-in has no such operation")
        answer = refusal(404, "Not Found")
        await self._settle(at, answer, None)
        return self._response(answer, at)

    async def _answer(
        self, route: Route, request: web.Request, at: int, fault: Planned | None
    ) -> Answer | None:
        """Answer a request, or fail it as scripted; None where the answer gets lost."""
        if fault is None:
            return await self._apply(route, request, at)
        course = COURSES[fault.kind]
        true = await self._apply(route, request, at) if course.applied else None
        await fault.linger()
        if not course.answered:
            return None
        reset_at = limits(self.state, self.requests[at].credential)["reset"]
        return fault.answer(reset_at) or true

    async def _apply(self, route: Route, request: web.Request, at: int) -> Answer:
        try:
            credential = admission.identify(self.state, request)
            self.requests[at] = replace(self.requests[at], credential=credential)
            admission.admit(self.state, route, request, credential)
            call = Call(
                state=self.state,
                credential=credential,
                path=request.path,
                params=dict(request.match_info),
                query=dict(request.query),
                headers=request.headers,
                body=self.requests[at].body,
            )
            self._require_described(route, request, call.body)
            answer = tagged(request.method, request.headers, credential, await route.answer(call))
            forgive(self.state, credential, answer)
        except Refused as refused:
            return refused.answer
        except Exception as error:  # noqa: BLE001 - a fault of the stand-in must show in the test
            self._violate("stand-in", request, repr(error))
            return refusal(500, "Server Error")
        self._check_answer(route, request, answer)
        return answer

    def _require_described(self, route: Route, request: web.Request, body: object) -> None:
        if self._description is None or isinstance(body, bytes):
            return
        fault = self._description.request_fault(route.method, route.path, body)
        if fault is not None:
            self._violate("request", request, fault)
            raise Refused(422, f"Invalid request. {fault}")

    def _check_answer(self, route: Route, request: web.Request, answer: Answer) -> None:
        if self._description is None or answer.body is None or isinstance(answer.body, bytes):
            return
        args = (route.method, route.path, answer.status, answer.body)
        fault = self._description.response_fault(*args)
        if fault is not None:
            self._violate("answer", request, fault)

    def _violate(self, where: str, request: web.Request, message: str) -> None:
        self.violations.append(
            Violation(where=where, method=request.method, path=request.path, message=message)
        )

    async def _note(self, request: web.Request, body: object) -> int:
        async with self.state.changed:
            at = len(self.requests)
            noted = Request(
                index=at,
                method=request.method,
                path=request.path,
                query=dict(request.query),
                body=body,
                headers=dict(request.headers),
                credential=ANONYMOUS,
            )
            self.requests.append(noted)
            return at

    async def _settle(self, at: int, answer: Answer | None, fault: Planned | None) -> None:
        async with self.state.changed:
            status = None if answer is None else answer.status
            kind = None if fault is None else fault.kind.value
            self.requests[at] = replace(self.requests[at], status=status, fault=kind)
            self.state.changed.notify_all()

    def _response(self, answer: Answer, at: int) -> web.Response:
        credential = self.requests[at].credential
        headers = rate_headers(self.state, credential) | dict(answer.headers)
        if isinstance(answer.body, bytes):
            return web.Response(body=answer.body, status=answer.status, headers=headers)
        body = b"" if answer.body is None else json.dumps(answer.body).encode()
        headers.setdefault("Content-Type", "application/json; charset=utf-8")
        return web.Response(body=body, status=answer.status, headers=headers)


def _application(
    serve: Callable[..., Any], serve_by_id: Callable[..., Any], serve_unknown: Callable[..., Any]
) -> web.Application:
    application = web.Application(client_max_size=BODY_LIMIT)
    for route in _LONGEST_FIRST:
        pattern = _pattern(route.path)
        application.router.add_route(route.method, pattern, functools.partial(serve, route))
    application.router.add_route("*", moving.BY_ID, serve_by_id)
    application.router.add_route("*", "/{path:.*}", serve_unknown)
    return application


def _pattern(path: str) -> str:
    names = "|".join(_WITH_SLASHES)
    return re.sub(rf"\{{({names})\}}", r"{\1:.+}", path)


def _parsed(request: web.Request, body: bytes) -> Any:
    if ".git/" in request.path:
        return body
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body.decode(errors="replace")


def _drop(request: web.Request) -> web.StreamResponse:
    """Close the connection with a reset, as a broken network does."""
    transport = request.transport
    if transport is not None:
        broken: socket.socket = transport.get_extra_info("socket")
        broken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()
