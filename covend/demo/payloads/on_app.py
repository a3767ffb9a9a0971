"""Events about the App itself.

https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from datetime import datetime

from covend.demo.payloads import people
from covend.demo.payloads.signing import HOOK_ID
from covend.demo.records import App, JsonObject, Scene, Site, moment


def ping(scene: Scene) -> JsonObject:
    """Build the `ping` of a new hook."""
    return ping_of(scene.site, scene.app, scene.now)


def ping_of(
    site: Site, app: App, now: datetime, *, url: str = "https://covend.example.org/webhooks/github"
) -> JsonObject:
    """Build the `ping` of an App's new hook."""
    hook = {
        "type": "App",
        "id": HOOK_ID,
        "name": "web",
        "active": True,
        "app_id": app.id,
        "events": list(people.EVENTS),
        "config": {"content_type": "json", "url": url, "insecure_ssl": "0"},
        "updated_at": moment(now),
        "created_at": moment(now),
        "deliveries_url": f"{site.api}/app/hook/deliveries",
    }
    return {"zen": "Keep it logically awesome.", "hook_id": HOOK_ID, "hook": hook}


def installation_created(scene: Scene) -> JsonObject:
    """Build `installation.created` on the scene's repository."""
    shown = people.installation(
        scene.site, scene.installation_id, scene.app, scene.repository.owner
    )
    at = int(scene.now.timestamp())
    return {
        "action": "created",
        "installation": shown | {"created_at": at, "updated_at": at},
        "repositories": [people.repository_stub(scene.repository)],
        "requester": None,
        "sender": people.user(scene.site, scene.sender),
    }
