from __future__ import annotations

import jwt

from covend.core.scopes import WRITE_CHECKS
from covend.core.secret import Secret
from covend.core.settings import GitHub
from covend.edges.github.auth import AppAuth, open_auth
from tests.edges.github.github_world import INSTALLATION, REPOSITORY, World


async def test_every_token_that_is_made_or_handed_out_is_told(world: World) -> None:
    told: list[str] = []
    settings = GitHub(
        app_id=world.github.state.app.id,
        private_key=Secret(world.github.key.private),
        api_url=world.github.api_url,
    )
    now = world.covend_clock.now
    auth = open_auth(
        settings, world.session, now, world.observe, wall=world.clock.now, learn=told.append
    )
    assert isinstance(auth, AppAuth)
    token = await auth.token_for(INSTALLATION, REPOSITORY, WRITE_CHECKS)
    assert await auth.token_for(INSTALLATION, REPOSITORY, WRITE_CHECKS) == token
    app_token, handed = told
    assert handed == token
    claims = jwt.decode(app_token, options={"verify_signature": False})
    assert claims["iss"] == str(world.github.state.app.id)
    assert auth.app_token() in told
