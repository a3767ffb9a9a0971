"""Events about the App itself.

https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from covend.demo.payloads import people
from covend.demo.payloads.signing import HOOK_ID
from covend.demo.records import JsonObject, Scene, moment


def ping(scene: Scene) -> JsonObject:
    """Build the `ping` of a new hook."""
    hook_url = f"{scene.site.api}/app/hook"
    hook = {
        "type": "App",
        "id": HOOK_ID,
        "name": "web",
        "active": True,
        "app_id": scene.app.id,
        "events": list(people.EVENTS),
        "config": {
            "content_type": "json",
            "url": "https://covend.example.org/webhooks/github",
            "insecure_ssl": "0",
        },
        "updated_at": moment(scene.now),
        "created_at": moment(scene.now),
        "deliveries_url": f"{hook_url}/deliveries",
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
