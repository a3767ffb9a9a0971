"""Conditional reads: an answer that the caller has already is not sent again.

https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests-if-appropriate
"""

import hashlib
import json
from collections.abc import Mapping

from covend.demo.github.answers import Answer
from covend.demo.github.auth import Credential

_OK, NOT_MODIFIED = 200, 304


def tagged(method: str, asked: Mapping[str, str], credential: Credential, answer: Answer) -> Answer:
    """Give a good answer to a GET its ETag, or nothing but that where the caller named it.

    As GitHub's it depends on who asks: with another token the same thing has another tag.
    """
    if method != "GET" or answer.status != _OK or isinstance(answer.body, bytes):
        return answer
    seen = json.dumps([credential.token, answer.headers.get("Link"), answer.body])
    etag = f'W/"{hashlib.sha256(seen.encode()).hexdigest()}"'
    if asked.get("If-None-Match") == etag:
        return Answer(status=NOT_MODIFIED, headers={"ETag": etag})
    return Answer(
        status=_OK,
        body=answer.body,
        headers={**answer.headers, "ETag": etag, "Vary": "Accept, Authorization"},
    )
