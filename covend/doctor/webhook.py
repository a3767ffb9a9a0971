"""Checks of the App's webhook: where it goes, whether it is signed, and what became of the last
deliveries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from covend.core.errors import GitHubError
from covend.core.hook_answers import cause_of
from covend.core.settings import Settings
from covend.doctor.finding import Finding, failed, good, warning
from covend.edges.github import app_look
from covend.edges.github.app_look import AppNow, HookNow, Try
from covend.edges.github.direct import Direct
from covend.edges.github.manifest import hook_url


async def about_webhook(settings: Settings, direct: Direct, app: AppNow) -> list[Finding]:
    """Ask for the webhook's settings and its log."""
    found: list[Finding] = []
    try:
        hook = await app_look.hook(direct)
        found += about_hook(settings.server.public_url, hook, app)
        if hook.url:
            found.append(about_tries(await app_look.tries(direct)))
    except GitHubError as error:
        found.append(failed("webhook", str(error), "try again later"))
    return found


def about_hook(public_url: str | None, hook: HookNow, app: AppNow) -> Iterable[Finding]:
    """Hold the webhook's settings against ours."""
    where = f"in the App's settings: {app.settings}"
    if not hook.url:
        yield failed("webhook", "the App has no webhook: nothing comes in", f"set its URL {where}")
        return
    wanted = None if public_url is None else hook_url(public_url)
    if not hook.has_secret:
        what = "the App's webhook has no secret: covend refuses what is not signed"
        yield failed("webhook", what, f"set it to what github.webhook_secrets has, {where}")
    elif wanted is not None and hook.url.rstrip("/") != wanted:
        what = f"webhooks go to {hook.url}, and server.public_url leads to {wanted}"
        yield failed("webhook", what, f"change server.public_url, or the URL {where}")
    elif not hook.is_verified:
        what = f"webhooks go to {hook.url}, and GitHub does not verify who answers there"
        yield warning("webhook", what, f"switch SSL verification on {where}")
    else:
        told = "" if wanted else " (server.public_url is not set, so nothing says that this is we)"
        yield good("webhook", f"webhooks go to {hook.url}{told}")


def about_tries(tries: Sequence[Try]) -> Finding:
    """Say what did not arrive of what the log has, each delivery by its newest try."""
    newest: dict[str, Try] = {}
    for each in tries:
        newest.setdefault(each.guid, each)
    if not newest:
        return good("webhook_deliveries", "GitHub has sent nothing in the last three days")
    lost = [each for each in newest.values() if not each.arrived]
    if not lost:
        return good("webhook_deliveries", f"the last {len(newest)} all arrived")
    last = lost[0]
    counts = Counter(each.status for each in lost)
    listed = ", ".join(f"{count} x {status}" for status, count in counts.most_common())
    cause = cause_of(last.status)
    told = (
        f"{len(lost)} of the last {len(newest)} did not arrive ({listed}), the last one"
        f" {_moment(last)}: {cause.why}"
    )
    fix = f"{cause.fix}; then `covend reconcile` fetches them"
    is_now = not next(iter(newest.values())).arrived
    return (failed if is_now else warning)("webhook_deliveries", told, fix)


def _moment(one: Try) -> str:
    if one.delivered_at is None:
        return "at an unknown moment"
    moment = datetime.fromtimestamp(one.delivered_at / 1000, UTC)
    return f"at {moment.isoformat(timespec='seconds').replace('+00:00', 'Z')}"
