"""The one mutation and the one question of GitHub's GraphQL API that covend has a use for: folding
a review away, and asking whether it is.

It does not read GraphQL: it knows the fields by their names, and what it does not know it refuses.
https://docs.github.com/en/graphql/reference/mutations#minimizecomment
"""

import re
from dataclasses import replace

from covend.demo.github.answers import Answer
from covend.demo.github.routes import Call, post
from covend.demo.records import JsonObject, Review, node_id

CLASSIFIERS = ("ABUSE", "DUPLICATE", "OFF_TOPIC", "OUTDATED", "RESOLVED", "SPAM")
_MINIMIZE = re.compile(r"^mutation\b.*\bminimizeComment\(.*\bclassifier: ?(\w+)", re.DOTALL)
_IS_MINIMIZED = re.compile(r"^(query\b.*)?\{\s*node\(.*\bisMinimized\b", re.DOTALL)
_NEED = "pull_requests:write"


async def answer_graphql(call: Call) -> Answer:
    """Answer with 200 and `errors` where something is wrong, as GraphQL does."""
    document, variables = call.text("query"), call.fields.get("variables") or {}
    minimize = _MINIMIZE.search(document)
    if minimize is None and _IS_MINIMIZED.search(document) is None:
        return _errors("undefinedField", "the stand-in knows no such field")
    if minimize is not None and minimize[1] not in CLASSIFIERS:
        return _errors(
            "argumentLiteralsIncompatible", f"{minimize[1]} is no ReportedContentClassifier"
        )
    review = _find(call, variables.get("id"))
    if review is None:
        message = f"Could not resolve to a node with the global id of '{variables.get('id')}'"
        return _errors("NOT_FOUND", message)
    if minimize is None:
        return Answer(body={"data": {"node": {"isMinimized": review.minimized is not None}}})
    if not _may(call, review):
        return _errors("FORBIDDEN", "Resource not accessible by integration")
    minimized = replace(review, minimized=minimize[1])
    call.state.reviews[call.state.reviews.index(review)] = minimized
    shown = {"minimizedComment": {"isMinimized": True}}
    return Answer(body={"data": {"minimizeComment": shown}})


def _find(call: Call, wanted: object) -> Review | None:
    return next(
        (each for each in call.state.reviews if node_id("PullRequestReview", each.id) == wanted),
        None,
    )


def _may(call: Call, review: Review) -> bool:
    reach = call.credential.repositories
    return call.credential.allows(_NEED) and (reach is None or review.repository in reach)


def _errors(kind: str, message: str) -> Answer:
    error: JsonObject = {"type": kind, "message": message}
    return Answer(body={"data": None, "errors": [error]})


ROUTES = (post("/graphql", answer_graphql),)
