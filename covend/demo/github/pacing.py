"""The headers with which GitHub tells a caller how much of its hour is left."""

import uuid

from covend.demo.github.state import State

LIMIT = 5_000
WINDOW_S = 3_600


def limits(state: State) -> dict[str, int]:
    """Count this hour's requests against the primary limit of 5,000."""
    used = len(state.requests)
    reset = (int(state.clock().timestamp()) // WINDOW_S + 1) * WINDOW_S
    return {"limit": LIMIT, "used": used, "remaining": max(LIMIT - used, 0), "reset": reset}


def rate_headers(state: State) -> dict[str, str]:
    """Make the headers that every answer of the API carries."""
    counted = {f"X-RateLimit-{name.title()}": str(n) for name, n in limits(state).items()}
    request_id = uuid.uuid4().hex.upper()
    return {
        **counted,
        "X-RateLimit-Resource": "core",
        "X-GitHub-Request-Id": f"{request_id[:4]}:{request_id[4:10]}:{request_id[10:16]}",
        "X-GitHub-Api-Version-Selected": "2022-11-28",
        "Server": "github.com",
    }
