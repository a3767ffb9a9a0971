"""What events share: the end of a payload, the head's commit, the checks that were concluded."""

from dataclasses import replace

from covend.demo.payloads import people, repositories
from covend.demo.payloads.scene import CI, fresh_sha
from covend.demo.records import CheckRun, CommitStatus, JsonObject, Scene, moment


def around(scene: Scene) -> JsonObject:
    """Build what nearly every event ends with."""
    built = {"repository": repositories.repository(scene.site, scene.repository)}
    owner = scene.repository.owner
    if owner.kind == "Organization":
        built["organization"] = _organization(scene)
    built["sender"] = people.user(scene.site, scene.sender)
    built["installation"] = people.installation_stub(scene.installation_id)
    return built


def _organization(scene: Scene) -> JsonObject:
    owner = scene.repository.owner
    url = f"{scene.site.api}/orgs/{owner.login}"
    paths = ("repos", "events", "hooks", "issues")
    return {
        "login": owner.login,
        "id": owner.id,
        "node_id": people.user(scene.site, owner)["node_id"],
        "url": url,
        **{f"{path}_url": f"{url}/{path}" for path in paths},
        "members_url": f"{url}/members{{/member}}",
        "public_members_url": f"{url}/public_members{{/member}}",
        "avatar_url": f"https://avatars.githubusercontent.com/u/{owner.id}?v=4",
        "description": "Everything for a shop",
    }


def email(scene: Scene) -> str:
    """Give the sender's address as GitHub hides it."""
    return f"{scene.sender.id}+{scene.sender.login}@users.noreply.github.com"


def head_commit(scene: Scene) -> JsonObject:
    """Build the commit at the head, as webhooks carry it."""
    who = {"name": scene.sender.login, "email": email(scene)}
    return {
        "id": scene.pull.head_sha,
        "tree_id": fresh_sha("tree", scene.pull.head_sha),
        "message": scene.pull.title,
        "timestamp": moment(scene.now),
        "author": who,
        "committer": dict(who),
    }


def concluded_run(scene: Scene) -> CheckRun:
    """Describe our own check on the head, after it found something."""
    return CheckRun(
        id=21_000_000_000 + scene.serial,
        repository=scene.repository.full_name,
        name="covend / review",
        head_sha=scene.pull.head_sha,
        app=scene.app,
        suite_id=18_000_000_000 + scene.serial,
        head_branch=scene.pull.head_ref,
        status="completed",
        conclusion="failure",
        started_at=scene.now,
        completed_at=scene.now,
        title="One finding",
        summary="One finding in 3 files.",
    )


def passed_run(scene: Scene) -> CheckRun:
    """Describe a check of somebody else's on the head, which has passed."""
    run = concluded_run(scene)
    return replace(
        run, app=CI, name="test", conclusion="success", title="Passed", summary="All tests pass."
    )


def passed_status(scene: Scene) -> CommitStatus:
    """Describe a status of somebody else's on the head, which has passed."""
    return CommitStatus(
        id=31_000_000_000 + scene.serial,
        repository=scene.repository.full_name,
        sha=scene.pull.head_sha,
        state="success",
        author=CI.bot,
        context="preview",
        description="The preview is up",
        created_at=scene.now,
    )
