"""Finds what looks like a secret, within one line: tokens of well-known makers, credentials in
headers and in URLs.

A shape is its maker's prefix and as many characters as tell it from common words; a name such as
`MY_TOKEN=…` is no shape. Where each is described:

- GitHub `ghp_ gho_ ghu_ ghs_ ghr_ github_pat_`: https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github#githubs-token-formats
- Anthropic `sk-ant-…`: https://docs.anthropic.com/en/api/admin-api/apikeys/get-api-key
- OpenAI `sk-…`, `sk-proj-…`: https://platform.openai.com/docs/api-reference/authentication
- AWS `AKIA… ASIA…`: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
- Slack `xoxb- xoxp- xoxa- xoxr- xoxs-`: https://api.slack.com/concepts/token-types
- GitLab `glpat-`: https://docs.gitlab.com/security/tokens/#token-prefixes
- npm `npm_`: https://github.blog/2021-09-23-announcing-npms-new-access-token-format/
- PyPI `pypi-`: https://pypi.org/help/#apitoken
- Hugging Face `hf_`: https://huggingface.co/docs/hub/security-tokens
- Google `AIza…`: https://cloud.google.com/docs/authentication/api-keys
- JSON Web Tokens `eyJ….….`: RFC 7519
- `Authorization`: RFC 9110, 11.6.2, RFC 6750, RFC 7617; user information in URLs: RFC 3986, 3.2.1
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from covend.core.spans import Span

_TOKEN = re.compile(rb"[A-Za-z0-9_.\-]*+")
_CREDENTIAL = re.compile(rb"[A-Za-z0-9._~+/=\-]*+")

# Where a token may begin: not within a word. What JSON, a URL or a terminal's colours write before
# it may end in a letter or a digit, and is no word.
_ESCAPES = (
    rb"(?<=\\[nrtbf])|(?<=\\u[0-9A-Fa-f]{4})|(?<=%[0-9A-Fa-f]{2})"
    rb"|(?<=\[m)|(?<=[\[;][0-9]m)|(?<=[\[;][0-9]{2}m)"
)
_EDGE = re.compile(rb"(?<![A-Za-z0-9])|" + _ESCAPES)
# Where what is looked for may be long, so that one run of characters is read once.
_STRICT_EDGE = rb"(?:(?<![A-Za-z0-9_\-])|%b)" % _ESCAPES


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """One look for shapes that have a byte in common, to which the search can leap.

    The last group of `head` is what must not be shown, together with the `prefix` before it and the
    `run` after it. `head` consumes next to nothing, so that no shape hides another.
    """

    head: re.Pattern[bytes]
    run: re.Pattern[bytes] | None = _TOKEN
    prefix: re.Pattern[bytes] | None = None

    def spans(self, data: bytes, start: int, end: int) -> Iterator[Span]:
        """Give every place whose shape begins from `start` up to `end`."""
        last = Span(-1, -1)
        for head in self.head.finditer(data, start):
            begin = self._begin(data, head)
            if begin is None or not start <= begin < end:
                continue
            first, after = head.span(head.lastindex or 0)
            if after <= last.end:
                # Within one run every shape ends where the run does.
                continue
            last = Span(first if self.prefix is None else begin, after, self.run).grown(data)
            yield last

    def _begin(self, data: bytes, head: re.Match[bytes]) -> int | None:
        if self.prefix is None:
            return head.start()
        found = self.prefix.search(data, max(0, head.start() - _PREFIX_MAX), head.start())
        begin = head.start() if found is None else found.start()
        return begin if _EDGE.match(data, begin) else None


_PREFIX_MAX = 10
_HAS_DIGIT = rb"(?=[A-Za-z._~+/\-]{0,40}[0-9])"
_NO_WORD = rb"(?=[a-z_+/\-]{0,40}[A-Z0-9])"
_SCHEME = rb"(?i:basic|bearer|token|digest|negotiate|ntlm|apikey|aws4-hmac-sha256)"
_HEADER = (
    rb"z(?<=uthoriz)ation(?:\\{0,3}[\"'])?[ \t]{0,3}[:=,][ \t]{0,3}(?:b?\\{0,3}[\"'])?"
    rb"(?:%b[ ]{1,3}(?=([A-Za-z0-9._~+/=\-]{8}))|(?=(%b[A-Za-z0-9._~+/=\-]{16})))"
) % (_SCHEME, _HAS_DIGIT)
_SPOKEN = (
    rb"(?:earer[ ]{1,3}(?=(%b[A-Za-z0-9._~+/\-]{16}))|asic[ ]{1,3}(?=(%b[A-Za-z0-9+/]{16})))"
) % (_HAS_DIGIT, _NO_WORD)

_USER = _Shape(
    head=re.compile(
        rb"://(?:[^\s/:@\"'<>\\?#]{0,64}+:(?=([^\s/\"'<>\\]{1,256})@)"
        rb"|(?=([A-Za-z0-9_.\-]{20,256}+)@))"
    ),
    run=None,
)
_SHAPES = (
    _Shape(
        head=re.compile(
            rb"_(?:(?<=gh[pousr]_)(?=([A-Za-z0-9_.\-]{20}))"
            rb"|(?<=github_pat_)(?=([A-Za-z0-9_]{20}))"
            rb"|(?<=npm_)(?=([A-Za-z0-9]{30}))"
            rb"|(?<=hf_)(?=([A-Za-z0-9]{30})))"
        ),
        prefix=re.compile(rb"(?:gh[pousr]|github_pat|npm|hf)\Z"),
    ),
    _Shape(
        head=re.compile(
            rb"-(?<=(?:sk|x[baprs]|at|pi)-)(?:"
            rb"(?<=sk-)(?=((?:ant|proj|svcacct|admin|or)-[A-Za-z0-9_\-]{16}))"
            rb"|(?<=sk-)(?=(%b[A-Za-z0-9_\-]{20}))"
            rb"|(?<=xox[baprs]-)(?=([A-Za-z0-9\-]{10}))"
            rb"|(?<=glpat-)(?=([A-Za-z0-9_.\-]{20}))"
            rb"|(?<=pypi-)(?=(%b[A-Za-z0-9_\-]{32})))" % (_NO_WORD, _NO_WORD)
        ),
        prefix=re.compile(rb"(?:sk|xox[baprs]|glpat|pypi)\Z"),
    ),
    _Shape(
        head=re.compile(
            rb"I(?:(?<=A[KS]I)(?=(A[A-Z0-9]{16})(?![A-Za-z0-9]))"
            rb"|(?<=AI)(?=(za[A-Za-z0-9_\-]{30})))"
        ),
        prefix=re.compile(rb"A[KS]?\Z"),
    ),
    _Shape(
        head=re.compile(
            rb"J(?<=eyJ)(?<=%beyJ)(?=([A-Za-z0-9_\-]{8,600}+\.[A-Za-z0-9_\-]{8}))" % _STRICT_EDGE
        ),
        prefix=re.compile(rb"ey\Z"),
    ),
    _USER,
    _Shape(head=re.compile(_HEADER), run=_CREDENTIAL),
    _Shape(
        head=re.compile(_HEADER.replace(b"z(?<=uthoriz)ation", b"Z(?<=UTHORIZ)ATION")),
        run=_CREDENTIAL,
    ),
    _Shape(head=re.compile(rb"B" + _SPOKEN), run=_CREDENTIAL),
    _Shape(head=re.compile(rb"b" + _SPOKEN), run=_CREDENTIAL),
)
_SEARCHES = tuple(shape.head.search for shape in _SHAPES if shape is not _USER)


def suspects(data: bytes) -> bool:
    """Say, fast, whether to ask for `spans`; never False where there are any."""
    # Every line of the log comes here: a generator would be slow.
    for search in _SEARCHES:
        if search(data):
            return True
    return data.find(b"@") >= 0 and _USER.head.search(data) is not None


def spans(data: bytes, start: int, end: int) -> Iterator[Span]:
    """Give every place whose shape begins from `start` up to `end`."""
    for shape in _SHAPES:
        yield from shape.spans(data, start, end)
