"""What git's own words tell about a failure: worth another try, refused for good, or a repository
that is broken.

The one place that knows how git (2.30 to 2.51, LC_ALL=C, https://github.com/git/git) words them;
what it does not know is `OTHER`, and is neither tried again nor mended.
"""

from __future__ import annotations

import re
from enum import StrEnum

from covend.core.errors import GitError


class Fault(StrEnum):
    """Who or what was at fault."""

    PASSING = "passing"
    """The network or the machine, at this moment: the same command may work a little later."""
    REFUSED = "refused"
    """The forge will not give this, now or later."""
    BROKEN = "broken"
    """What lies on this disk cannot be read as a repository."""
    OVERDUE = "overdue"
    """It took longer than it may; another try would take as long."""
    OTHER = "other"


_WORDS: tuple[tuple[Fault, re.Pattern[str]], ...] = (
    (
        Fault.REFUSED,
        re.compile(
            r"returned error: (?:401|403|404|410|451)|Authentication failed|could not read Username"
            r"|[Rr]epository .*not found|not our ref|unadvertised object|couldn't find remote ref"
            r"|does not appear to be a git repository|transport '.*' not allowed"
        ),
    ),
    (
        Fault.PASSING,
        re.compile(
            r"returned error: (?:408|425|429|5\d\d)|Could not resolve|Couldn't connect"
            r"|Failed to connect|Connection (?:refused|reset|timed out)"
            r"|Operation (?:timed out|too slow)"
            r"|(?:Empty reply|transfer closed|Recv failure|Send failure|RPC failed|early EOF)"
            r"|(?:SSL_ERROR_SYSCALL|gnutls_handshake|GnuTLS recv error|SSL_connect|SSL_read)"
            r"|remote end hung up|unexpected disconnect|expected flush after"
            r"|Resource temporarily unavailable|Cannot allocate memory|Too many open files"
        ),
    ),
    (
        Fault.BROKEN,
        re.compile(
            r"^(?:fatal|error): (?:"
            r"not a git repository|invalid gitfile|bad config|object file .* is empty"
            r"|(?:loose|packed) object .* is corrupt|bad packed object|inflate: |unable to unpack "
            r"|packfile .* (?:cannot be|claims|does not|is not|signature|index|size)"
            r"|file .* (?:is far too short|is not a GIT packfile|is too small)|index file .* is "
            r"|(?:wrong|non-monotonic) index|[Cc]ould not read |unable to read (?:tree|sha1 file)"
            r"|bad object|bad tree object|bad ref|missing blob"
            r"|unable to (?:resolve|find) [0-9a-f]{40}"
            r"|.* did not send all necessary objects|pack has \d+ unresolved delta"
            r"|refs/covend/\S+: invalid|.*: not a valid (?:SHA1|object)"
            r"|unable to normalize alternate|.*index-pack (?:died|failed)"
            r")",
            re.MULTILINE,
        ),
    ),
)


def fault_in(said: str) -> Fault:
    """Tell the kind of fault from what git printed; what the other side says of itself is passed
    over.
    """
    own = "\n".join(line for line in said.splitlines() if not line.startswith("remote:"))
    return next((fault for fault, words in _WORDS if words.search(own)), Fault.OTHER)


def fault_of(error: GitError) -> Fault:
    """Tell the kind of fault of an error that `git` raised."""
    fault = error.details.get("fault")
    return fault if isinstance(fault, Fault) else Fault.OTHER
