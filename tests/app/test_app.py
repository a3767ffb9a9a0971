"""The composition root: what a start makes, what a failed one leaves, what a log never shows."""

from __future__ import annotations

import hmac
import io
import json
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from socket import create_server

import aiohttp
import anyio
import pytest

from covend import app
from covend.app import daemon, loops, running
from covend.core.errors import ConfigError, StateDirectoryInUseError, StoreError
from covend.core.outside import Source, SourceKind
from covend.core.redact import Redactor
from covend.core.secret import Secret
from covend.core.settings import GitHub, Settings, Store
from covend.demo.stage import WEBHOOK_SECRET, Stage, post, set_up
from covend.services.dispatcher import Dispatcher
from covend.telemetry import logs

WITHIN_S = 30.0


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with set_up(tmp_path) as stage:
        yield stage


@pytest.fixture
async def settings(stage: Stage) -> Settings:
    return stage.settings({})


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Catch what is logged, and give the handlers back."""
    root, stream = logging.getLogger(), io.StringIO()
    kept, level = list(root.handlers), root.level
    root.handlers.clear()
    yield stream
    root.handlers[:] = kept
    root.setLevel(level)


async def test_a_delivery_becomes_a_review(stage: Stage, settings: Settings) -> None:
    async with running(settings, os.environ) as daemon:
        status, _ = await post(
            daemon.addresses.public, *stage.signed("pull_request.opened", serial=1)
        )
        assert status == 202
        await stage.github.wait_for(lambda: stage.github.state.reviews)
    assert len(stage.github.state.reviews) == 1


async def test_what_a_restore_has_left_half_done_is_not_begun_on(settings: Settings) -> None:
    settings.state_dir.mkdir(exist_ok=True)
    ready = settings.state_dir / ".covend.db.restored"
    ready.touch()
    with pytest.raises(StoreError, match="run covend restore BACKUP --replace again"):
        async with running(settings, {}):
            pass
    assert not (settings.state_dir / "covend.db").exists()


async def test_covend_starts_without_github_where_others_send(settings: Settings) -> None:
    ci = Source(name="ci", kind=SourceKind.HMAC, secrets=(Secret("s" * 32),), header="x-signature")
    alone = replace(settings, github=GitHub(), sources={"ci": ci})
    async with running(alone, {}) as daemon:
        url = daemon.addresses.public
        body = b'{"event": "built"}'
        signature = hmac.digest(b"s" * 32, body, "sha256").hex()
        async with aiohttp.ClientSession() as session:
            headers = {"X-Signature": signature, "Content-Type": "application/json"}
            async with session.post(f"{url}/webhooks/ci", data=body, headers=headers) as answer:
                assert answer.status == 202
            path = f"{url}/webhooks/github"
            async with session.post(path, data=body, headers=headers) as answer:
                assert answer.status == 401


async def test_one_directory_has_one_covend(settings: Settings) -> None:
    async with running(settings, {}):
        with pytest.raises(StateDirectoryInUseError, match=str(os.getpid())):
            async with running(settings, {}):
                pytest.fail("a second one started")


async def test_a_failed_start_gives_everything_back(settings: Settings) -> None:
    with closing(create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        blocked = replace(settings, admin=replace(settings.admin, port=port))
        with pytest.raises(OSError, match=str(port)):
            async with running(blocked, {}):
                pytest.fail("it started without its address")
    async with running(settings, {}) as daemon:
        assert daemon.addresses.public.startswith("http://127.0.0.1:")


async def test_a_store_that_is_not_there_yet_is_refused(settings: Settings) -> None:
    elsewhere = replace(settings, store=Store(url="postgresql://nowhere/covend"))
    with pytest.raises(ConfigError, match="sqlite"):
        async with running(elsewhere, {}):
            pytest.fail("it started without a store")


async def test_the_admin_token_is_made_once_and_kept(settings: Settings) -> None:
    tokens = set()
    for _ in range(2):
        async with running(settings, {}) as daemon:
            tokens.add(daemon.addresses.admin_token.reveal())
    assert len(tokens) == 1
    assert (settings.state_dir / "admin.token").stat().st_mode & 0o777 == 0o600


async def test_no_secret_of_the_configuration_reaches_the_log(
    settings: Settings, log: io.StringIO
) -> None:
    logs.configure(stream=log, redact=Redactor(settings.secret_texts()).text)
    for secret in settings.secret_texts():
        logging.getLogger("covend.test").warning("it is %s", secret)
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert len(lines) == 2
    key = (settings.state_dir.parent / "app.pem").read_text().splitlines()[1:-1]
    assert not [line for line in (WEBHOOK_SECRET, *key) if line in log.getvalue()]


class Dead:
    """A service that dies."""

    def __init__(self, **_: object) -> None:
        """Take what any service takes."""

    async def run(self) -> None:
        raise RuntimeError("a fault of covend's own")


@pytest.mark.parametrize("service", ["Leases", "Ripening"])
async def test_covend_ends_with_its_first_dead_service_and_names_it(
    settings: Settings, log: io.StringIO, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    """It went on without that service, refused everything, and could not be stopped."""
    logs.configure(stream=log)
    monkeypatch.setattr(loops, service, Dead)
    with anyio.fail_after(WITHIN_S), pytest.raises(ExceptionGroup, match="unhandled") as raised:
        await app.serve(settings, {}, lambda: settings)
    assert raised.group_contains(RuntimeError, match="covend's own")
    assert '"service": "Dead"' in log.getvalue() or '"service":"Dead"' in log.getvalue()


async def test_covend_ends_with_its_dispatcher(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Dispatcher, "run", Dead.run)
    monkeypatch.setattr(daemon, "END_S", 0.1)
    with anyio.fail_after(WITHIN_S), pytest.raises(ExceptionGroup) as raised:
        await app.serve(settings, {}, lambda: settings)
    assert raised.group_contains(RuntimeError, match="covend's own")
