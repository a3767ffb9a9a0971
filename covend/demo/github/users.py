"""Accounts and the caller's own rate limit.

https://docs.github.com/en/rest/users
"""

from covend.demo.github.answers import Answer, Refused, not_found
from covend.demo.github.auth import Kind
from covend.demo.github.pacing import limits
from covend.demo.github.routes import Call, get
from covend.demo.payloads import people
from covend.demo.records import EPOCH, Account, JsonObject, Site, moment


async def show_caller(call: Call) -> Answer:
    """Show the person behind a personal token; an App has none."""
    if call.credential.kind is not Kind.USER:
        raise Refused(403, "Resource not accessible by integration")
    return Answer(body=_profile(call.state.site, call.caller))


async def show_user(call: Call) -> Answer:
    """Show an account by its login."""
    found = call.state.accounts.get(call.params["username"])
    if found is None:
        raise not_found()
    return Answer(body=_profile(call.state.site, found))


async def show_rate_limit(call: Call) -> Answer:
    """Show what is left of the hour."""
    core = limits(call.state, call.credential)
    search = core | {"limit": 30, "used": 0, "remaining": 30}
    return Answer(body={"resources": {"core": core, "search": search}, "rate": core})


def _profile(site: Site, account: Account) -> JsonObject:
    absent = ("name", "company", "blog", "location", "email", "hireable", "bio")
    return {
        **people.user(site, account),
        "user_view_type": "public",
        **dict.fromkeys(absent),
        "public_repos": 1,
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "created_at": moment(EPOCH),
        "updated_at": moment(EPOCH),
    }


ROUTES = (
    get("/user", show_caller),
    get("/users/{username}", show_user),
    get("/rate_limit", show_rate_limit),
)
