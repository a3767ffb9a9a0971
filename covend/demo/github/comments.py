"""Issues, their comments and reactions.

https://docs.github.com/en/rest/issues/comments
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from covend.demo.github.answers import Answer, Refused, not_found, require_short
from covend.demo.github.routes import Call, Route, delete, get, patch, post
from covend.demo.payloads import issues
from covend.demo.records import Issue, IssueComment, Reaction

_ISSUE = "/repos/{owner}/{repo}/issues/{issue_number}"
_COMMENT = "/repos/{owner}/{repo}/issues/comments/{comment_id}"
_READ = ("issues:read", "pull_requests:read")
_WRITE = ("issues:write", "pull_requests:write")


async def show_issue(call: Call) -> Answer:
    """Show an issue, or the issue side of a pull request."""
    shown = issues.issue(call.state.site, call.hosted.repository, find_issue(call))
    return Answer(body=shown)


async def list_comments(call: Call) -> Answer:
    """List comments, oldest first; `since` leaves out what was not touched since then."""
    site, hosted, number = call.state.site, call.hosted, find_issue(call).number
    since = call.query.get("since")
    start = datetime.fromisoformat(since) if since else None
    found = [
        each
        for each in call.state.comments
        if (each.repository, each.number) == (hosted.full_name, number)
        and (start is None or each.updated_at >= start)
    ]
    return call.page(found, lambda each: issues.issue_comment(site, hosted.repository, each))


async def create_comment(call: Call) -> Answer:
    """Write a comment."""
    body, now = call.text("body"), call.state.now()
    require_short("IssueComment", body)
    comment = IssueComment(
        id=next(call.state.ids),
        repository=call.hosted.full_name,
        number=find_issue(call).number,
        author=call.caller,
        app=call.credential.app,
        body=body,
        association=call.state.association(call.hosted, call.caller),
        created_at=now,
        updated_at=now,
    )
    call.state.comments.append(comment)
    return Answer(status=201, body=_shown(call, comment))


async def show_comment(call: Call) -> Answer:
    """Show one comment."""
    return Answer(body=_shown(call, _comment(call)))


async def update_comment(call: Call) -> Answer:
    """Write a comment's text anew."""
    old, body = _comment(call), call.text("body")
    require_short("IssueComment", body)
    new = replace(old, body=body, updated_at=call.state.now())
    call.state.comments[call.state.comments.index(old)] = new
    return Answer(body=_shown(call, new))


async def delete_comment(call: Call) -> Answer:
    """Remove a comment."""
    call.state.comments.remove(_comment(call))
    return Answer(status=204)


async def list_reactions(call: Call) -> Answer:
    """List the reactions to a comment, oldest first; `content` leaves out all others."""
    wanted = call.query.get("content")
    found = [each for each in _reactions(call) if wanted in {None, each.content}]
    return call.page(found, lambda each: issues.reaction(call.state.site, each))


async def create_reaction(call: Call) -> Answer:
    """React; the same reaction of the same account is there once, then answered with 200.

    The comment is taken to be there: that of a sample payload never was.
    """
    content = call.text("content")
    if content not in issues.CONTENTS:
        raise Refused(422, "Validation Failed")
    mine = [
        each for each in _reactions(call) if (each.author, each.content) == (call.caller, content)
    ]
    if mine:
        return Answer(body=issues.reaction(call.state.site, mine[0]))
    subject, number = _subject(call)
    given = Reaction(
        id=next(call.state.ids),
        repository=call.hosted.full_name,
        subject=subject,
        subject_id=number,
        author=call.caller,
        content=content,
        created_at=call.state.now(),
    )
    call.state.reactions.append(given)
    return Answer(status=201, body=issues.reaction(call.state.site, given))


async def delete_reaction(call: Call) -> Answer:
    """Take a reaction back."""
    number = call.number("reaction_id")
    found = [each for each in _reactions(call) if each.id == number]
    if not found:
        raise not_found()
    call.state.reactions.remove(found[0])
    return Answer(status=204)


def find_issue(call: Call) -> Issue:
    """Find the issue in the path, or the issue side of a pull request, or refuse with 404."""
    hosted, number = call.hosted, call.number("issue_number")
    if number in hosted.issues:
        return hosted.issues[number]
    pull = hosted.pulls.get(number)
    if pull is None:
        raise not_found()
    return Issue(
        number=number,
        id=pull.id + 400_000_000,
        title=pull.title,
        body=pull.body,
        author=pull.author,
        association=pull.association,
        state=pull.state,
        is_pull_request=True,
        labels=pull.labels,
        created_at=pull.created_at,
        updated_at=pull.updated_at,
    )


def _comment(call: Call) -> IssueComment:
    number = call.number("comment_id")
    found = next((each for each in call.state.comments if each.id == number), None)
    if found is None or found.repository != call.hosted.full_name:
        raise not_found()
    return found


def _shown(call: Call, comment: IssueComment) -> dict[str, object]:
    return issues.issue_comment(call.state.site, call.hosted.repository, comment)


def _subject(call: Call) -> tuple[str, int]:
    if "issue_number" in call.params:
        return "issue", find_issue(call).number
    kind = "review_comment" if "/pulls/comments/" in call.path else "comment"
    return kind, call.number("comment_id")


def _reactions(call: Call) -> list[Reaction]:
    at = (call.hosted.full_name, *_subject(call))
    return [r for r in call.state.reactions if (r.repository, r.subject, r.subject_id) == at]


def _reaction_routes(subject: str, needs: Sequence[str]) -> tuple[Route, ...]:
    path = f"/repos/{{owner}}/{{repo}}/{subject}/reactions"
    write = tuple(f"{name}:write" for name in needs)
    return (
        get(path, list_reactions),
        post(path, create_reaction, *write),
        delete(f"{path}/{{reaction_id}}", delete_reaction, *write),
    )


ROUTES = (
    get(_ISSUE, show_issue, *_READ),
    get(f"{_ISSUE}/comments", list_comments, *_READ),
    post(f"{_ISSUE}/comments", create_comment, *_WRITE),
    get(_COMMENT, show_comment, *_READ),
    patch(_COMMENT, update_comment, *_WRITE),
    delete(_COMMENT, delete_comment, *_WRITE),
    *_reaction_routes("issues/comments/{comment_id}", ("issues", "pull_requests")),
    *_reaction_routes("issues/{issue_number}", ("issues", "pull_requests")),
    *_reaction_routes("pulls/comments/{comment_id}", ("pull_requests",)),
)
