"""Reviews and inline comments: all of a review is taken, or none of it.

https://docs.github.com/en/rest/pulls/reviews
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from covend.demo.github.answers import (
    BODY_MAX,
    Answer,
    not_found,
    require_short,
    unprocessable,
)
from covend.demo.github.hunks import Spot, hunk_until, spots
from covend.demo.github.routes import Call, get, in_thread, patch, post, put
from covend.demo.github.state import Hosted
from covend.demo.payloads import issues
from covend.demo.records import JsonObject, PullRequest, Review, ReviewComment
from covend.demo.repository import ChangedFile

DISMISSIBLE = ("APPROVED", "CHANGES_REQUESTED")
STATES = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}
"""What becomes of a review's `event`; without one the review stays a draft, PENDING."""

_COMMENT = "/repos/{owner}/{repo}/pulls/comments/{comment_id}"
_PULL = "/repos/{owner}/{repo}/pulls/{pull_number}"
_READ, _WRITE = ("pull_requests:read",), ("pull_requests:write",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an inline comment stands, once it is known to be in the diff."""

    path: str
    patch: str
    spot: Spot
    start: Spot | None = None


async def create_review(call: Call) -> Answer:
    """Write a review; one comment outside the diff refuses it all."""
    hosted = call.hosted
    pull = await in_thread(hosted.live_pull, call.number("pull_number"))
    commit = await _reviewed_commit(call, hosted, pull)
    wanted: Sequence[JsonObject] = call.fields.get("comments") or ()
    _require_valid(call, pull, wanted)
    files = await in_thread(hosted.diff, pull.base_sha, commit)
    places = [_place(files, each) for each in wanted]
    review = _review(call, hosted, pull, commit)
    comments = tuple(
        _comment(call, review, place, each["body"])
        for place, each in zip(places, wanted, strict=True)
    )
    review = replace(review, comments=comments)
    call.state.reviews.append(review)
    call.state.review_comments.extend(comments)
    return Answer(body=issues.review(call.state.site, hosted.repository, review))


async def dismiss_review(call: Call) -> Answer:
    """Dismiss a review that approves or asks for changes; what only comments cannot be."""
    old, message = _find_review(call), call.text("message")
    if not message.strip():
        raise unprocessable("Message can't be blank")
    if old.state not in DISMISSIBLE:
        raise unprocessable(f"Can not dismiss a {old.state.lower()} pull request review")
    new = replace(old, state="DISMISSED", dismissal=message)
    call.state.reviews[call.state.reviews.index(old)] = new
    return Answer(body=issues.review(call.state.site, call.hosted.repository, new))


async def reply_to_comment(call: Call) -> Answer:
    """Reply in a thread: to the comment that began it, never to another reply."""
    body = call.text("body")
    top = _find_comment(call)
    if top.number != _pull_number(call):
        raise not_found()
    if top.in_reply_to is not None:
        raise unprocessable("Replies to replies are not supported")
    require_short("PullRequestReviewComment", body)
    now = call.state.now()
    reply = replace(
        top,
        id=next(call.state.ids),
        author=call.caller,
        body=body,
        in_reply_to=top.id,
        association=call.state.association(call.hosted, call.caller),
        created_at=now,
        updated_at=now,
    )
    call.state.review_comments.append(reply)
    shown = issues.review_comment(call.state.site, call.hosted.repository, reply)
    return Answer(status=201, body=shown)


async def update_review_comment(call: Call) -> Answer:
    """Write an inline comment's text anew."""
    old, body = _find_comment(call), call.text("body")
    require_short("PullRequestReviewComment", body)
    new = replace(old, body=body, updated_at=call.state.now())
    call.state.review_comments[call.state.review_comments.index(old)] = new
    return Answer(body=issues.review_comment(call.state.site, call.hosted.repository, new))


async def list_reviews(call: Call) -> Answer:
    """List the reviews of a pull request, oldest first."""
    site, hosted = call.state.site, call.hosted
    return call.page(_reviews(call), lambda review: issues.review(site, hosted.repository, review))


async def show_review(call: Call) -> Answer:
    """Show one review."""
    review = _find_review(call)
    return Answer(body=issues.review(call.state.site, call.hosted.repository, review))


async def list_comments_of_review(call: Call) -> Answer:
    """List the inline comments of one review."""
    site, hosted = call.state.site, call.hosted
    return call.page(
        list(_find_review(call).comments),
        lambda comment: issues.review_comment(site, hosted.repository, comment),
    )


async def list_review_comments(call: Call) -> Answer:
    """List the inline comments of a pull request; `since` leaves out what is older."""
    site, hosted = call.state.site, call.hosted
    at = (hosted.full_name, _pull_number(call))
    since = call.query.get("since")
    start = datetime.fromisoformat(since) if since else None
    found = [
        each
        for each in call.state.review_comments
        if (each.repository, each.number) == at and (start is None or each.updated_at >= start)
    ]
    return call.page(found, lambda comment: issues.review_comment(site, hosted.repository, comment))


async def show_review_comment(call: Call) -> Answer:
    """Show one inline comment."""
    found = _find_comment(call)
    return Answer(body=issues.review_comment(call.state.site, call.hosted.repository, found))


def _find_comment(call: Call) -> ReviewComment:
    number = call.number("comment_id")
    found = next((each for each in call.state.review_comments if each.id == number), None)
    if found is None or found.repository != call.hosted.full_name:
        raise not_found()
    return found


def _pull_number(call: Call) -> int:
    number = call.number("pull_number")
    if number not in call.hosted.pulls:
        raise not_found()
    return number


def _reviews(call: Call) -> list[Review]:
    at = (call.hosted.full_name, _pull_number(call))
    return [each for each in call.state.reviews if (each.repository, each.number) == at]


def _find_review(call: Call) -> Review:
    number = call.number("review_id")
    found = next((each for each in _reviews(call) if each.id == number), None)
    if found is None:
        raise not_found()
    return found


async def _reviewed_commit(call: Call, hosted: Hosted, pull: PullRequest) -> str:
    wanted = call.fields.get("commit_id") or pull.head_sha
    sha = await in_thread(hosted.git.resolve, wanted)
    if sha is None:
        raise unprocessable("The commit_id is not part of the pull request")
    return sha


def _require_valid(call: Call, pull: PullRequest, comments: Sequence[JsonObject]) -> None:
    event, body = call.fields.get("event"), call.fields.get("body") or ""
    if event is not None and event not in STATES:
        raise unprocessable(f"Variable $event has an invalid value: {event}")
    if call.caller == pull.author and event in {"APPROVE", "REQUEST_CHANGES"}:
        verb = "approve" if event == "APPROVE" else "request changes on"
        raise unprocessable(f"Can not {verb} your own pull request")
    if event == "REQUEST_CHANGES" and not body:
        raise unprocessable("Body can't be blank for a review that requests changes")
    if event == "COMMENT" and not body and not comments:
        raise unprocessable("Body can't be blank")
    if any(len(text) > BODY_MAX for text in (body, *(each["body"] for each in comments))):
        raise unprocessable(f"Body is too long (maximum is {BODY_MAX} characters)")


def _place(files: Sequence[ChangedFile], wanted: JsonObject) -> Place:
    file = next((each for each in files if each.filename == wanted["path"]), None)
    if file is None or file.patch is None:
        raise unprocessable("Path could not be resolved")
    shown = list(spots(file.patch))
    end = _spot(shown, wanted)
    start = _start_spot(shown, wanted, end)
    return Place(path=file.filename, patch=file.patch, spot=end, start=start)


def _spot(shown: Sequence[Spot], wanted: JsonObject) -> Spot:
    if "line" in wanted:
        return _find_spot(shown, wanted["line"], wanted.get("side", "RIGHT"), "Line")
    found = [spot for spot in shown if spot.position == wanted.get("position")]
    if not found:
        raise unprocessable("Position could not be resolved")
    return found[-1]


def _start_spot(shown: Sequence[Spot], wanted: JsonObject, end: Spot) -> Spot | None:
    if wanted.get("start_line") is None:
        return None
    side = wanted.get("start_side") or end.side
    start = _find_spot(shown, wanted["start_line"], side, "Start line")
    if start.hunk != end.hunk:
        raise unprocessable("Start line must be part of the same hunk as the line.")
    if start.position >= end.position:
        raise unprocessable("Start line must precede the end line.")
    return start


def _find_spot(shown: Sequence[Spot], line: int, side: str, name: str) -> Spot:
    found = next((spot for spot in shown if (spot.line, spot.side) == (line, side)), None)
    if found is None:
        raise unprocessable(f"{name} could not be resolved")
    return found


def _review(call: Call, hosted: Hosted, pull: PullRequest, commit: str) -> Review:
    event = call.fields.get("event")
    return Review(
        id=next(call.state.ids),
        repository=hosted.full_name,
        number=pull.number,
        author=call.caller,
        body=call.fields.get("body") or "",
        state=STATES[event] if event else "PENDING",
        commit_id=commit,
        association=call.state.association(hosted, call.caller),
        submitted_at=call.state.now() if event else None,
    )


def _comment(call: Call, review: Review, place: Place, body: str) -> ReviewComment:
    now = call.state.now()
    return ReviewComment(
        id=next(call.state.ids),
        repository=review.repository,
        number=review.number,
        review_id=review.id,
        author=review.author,
        body=body,
        path=place.path,
        commit_id=review.commit_id,
        diff_hunk=hunk_until(place.patch, place.spot),
        position=place.spot.position,
        line=place.spot.line,
        side=place.spot.side,
        start_line=place.start.line if place.start else None,
        start_side=place.start.side if place.start else None,
        association=review.association,
        created_at=now,
        updated_at=now,
    )


ROUTES = (
    get(f"{_PULL}/reviews", list_reviews, *_READ),
    post(f"{_PULL}/reviews", create_review, *_WRITE),
    get(f"{_PULL}/reviews/{{review_id}}", show_review, *_READ),
    get(f"{_PULL}/reviews/{{review_id}}/comments", list_comments_of_review, *_READ),
    get(f"{_PULL}/comments", list_review_comments, *_READ),
    put(f"{_PULL}/reviews/{{review_id}}/dismissals", dismiss_review, *_WRITE),
    post(f"{_PULL}/comments/{{comment_id}}/replies", reply_to_comment, *_WRITE),
    get(_COMMENT, show_review_comment, *_READ),
    patch(_COMMENT, update_review_comment, *_WRITE),
)
