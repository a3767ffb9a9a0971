"""How much a caller may ask: so many requests an hour, and so many writes a minute.

https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
"""

import uuid
from email.utils import format_datetime

from covend.demo.github.answers import Answer, Refused
from covend.demo.github.auth import Credential, Kind
from covend.demo.github.conditional import NOT_MODIFIED
from covend.demo.github.state import State

WINDOW_S = 3_600
MINUTE_S = 60
SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes."


def limits(state: State, credential: Credential) -> dict[str, int]:
    """Count what a caller has asked in this hour against the primary limit."""
    hour = _window(state, WINDOW_S)
    used, limit = state.spent[_caller(credential), hour], state.requests_per_hour
    reset = (hour + 1) * WINDOW_S
    return {"limit": limit, "used": used, "remaining": max(limit - used, 0), "reset": reset}


def require_within(state: State, credential: Credential, method: str) -> None:
    """Refuse what is beyond a limit, and count what is not.

    GitHub's own number of writes a minute is about 80; here it is none unless a test sets it.
    """
    hour = _caller(credential), _window(state, WINDOW_S)
    if state.spent[hour] >= state.requests_per_hour:
        spent = {"X-RateLimit-Remaining": "0"}
        raise Refused(403, "API rate limit exceeded for installation.", headers=spent)
    state.spent[hour] += 1
    if method == "GET" or state.writes_per_minute is None:
        return
    minute = _caller(credential), _window(state, MINUTE_S)
    if state.written[minute] >= state.writes_per_minute:
        raise Refused(403, SECONDARY, headers={"Retry-After": str(MINUTE_S)})
    state.written[minute] += 1


def forgive(state: State, credential: Credential, answer: Answer) -> None:
    """A caller who has the answer already has not used up a request."""
    if answer.status == NOT_MODIFIED:
        state.spent[_caller(credential), _window(state, WINDOW_S)] -= 1


def rate_headers(state: State, credential: Credential) -> dict[str, str]:
    """Make the headers that every answer of the API carries."""
    left = limits(state, credential)
    counted = {f"X-RateLimit-{name.title()}": str(n) for name, n in left.items()}
    request_id = uuid.uuid4().hex.upper()
    scopes = {} if credential.scopes is None else {"X-OAuth-Scopes": credential.scopes}
    return {
        **counted,
        **scopes,
        "Date": format_datetime(state.now(), usegmt=True),
        "X-RateLimit-Resource": "core",
        "X-GitHub-Request-Id": f"{request_id[:4]}:{request_id[4:10]}:{request_id[10:16]}",
        "X-GitHub-Api-Version-Selected": "2022-11-28",
        "Server": "github.com",
    }


def _window(state: State, seconds: int) -> int:
    return int(state.clock().timestamp()) // seconds


def _caller(credential: Credential) -> str:
    """All tokens of an installation share its limits, and so do those of a person."""
    if credential.kind is Kind.USER and credential.account is not None:
        return credential.account.login
    return credential.kind
