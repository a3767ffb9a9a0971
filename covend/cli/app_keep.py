"""Keeps what GitHub has made: the key and the webhook's secret in files of their own (0600), and
the App's number in the configuration. Shows none of the secrets, and overwrites nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from covend.cli.app_plan import Plan
from covend.cli.exits import NOT_FOUND, Failure
from covend.cli.new_files import NewFile, replace_text, write_all
from covend.config.put import put_app_id, put_public_url
from covend.edges.github.manifest import Made


def keep_key(plan: Plan, made: Made) -> None:
    """Write the key; raises Failure with what is left to do, where the disk refuses."""
    try:
        write_all([NewFile(path=plan.key_file, text=made.pem.reveal())])
    except OSError as error:
        message = (
            f"the App {made.slug} (app_id = {made.id}) is made, and its key could not be kept in"
            f" {plan.key_file}: {error.strerror}: make a new private key on {made.settings_page}"
        )
        raise Failure(NOT_FOUND, message) from error


def keep_secret(plan: Plan, made: Made) -> str:
    """Write GitHub's secret for the webhook, and say what was done, or is left to do."""
    if made.webhook_secret is None:
        return f"GitHub made no webhook secret: set one on {made.settings_page}"
    try:
        write_all([NewFile(path=plan.secret_file, text=f"{made.webhook_secret.reveal()}\n")])
    except OSError as error:
        told = f"the webhook's secret could not be kept in {plan.secret_file}: {error.strerror}"
        return f"{told}: set another one on {made.settings_page}"
    return f"the webhook's secret is in {plan.secret_file}"


def keep_number(plan: Plan, made: Made) -> str | None:
    """Put the App's number into the configuration; None where it is there, else the line that
    somebody has to write.
    """
    is_put = _put(plan, lambda text: put_app_id(text, made.id))
    return None if is_put else f"[github] app_id = {made.id}"


def keep_address(plan: Plan) -> str | None:
    """Put the public address into the configuration, where it has none; gives as `keep_number`."""
    if plan.settings.server.public_url is not None:
        return None
    is_put = _put(plan, lambda text: put_public_url(text, plan.public_url))
    return None if is_put else f'[server] public_url = "{plan.public_url}"'


def _put(plan: Plan, change: Callable[[str], str | None]) -> bool:
    """Whoever may not write the file puts it in by hand."""
    try:
        # As bytes: read as a text, every line would end in another way than it is written.
        changed = change(plan.config.read_bytes().decode())
        if changed is not None:
            replace_text(plan.config, changed)
    except (OSError, ValueError):
        return False
    return changed is not None
