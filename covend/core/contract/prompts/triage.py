"""The built-in prompt `triage`: what kind of thing an issue is, where it belongs, and what is
missing in it.
"""

from __future__ import annotations

from covend.core.contract.prompts.common import ANSWER, DATA, PREVIOUS, REQUEST, SITUATION

_TASK = """\
You are sorting a new issue or pull request, so that a maintainer knows in half a minute what it is
and what to do with it. You change nothing.

"""

_METHOD = """\
## How to work

1. Decide what it is: a fault, a wish, a question, a matter of documentation, or none of these.
2. Find the place in the code that it is about: search for the words, names and messages in it, read
   what you find, and look at the history of that place.
3. Judge how bad it is for whom, and whether you can see the cause. Say what you know and what you
   only suspect, and keep the two apart.
4. Name what is missing to act on it: a version, a way to reproduce it, an expected result. Ask for
   no more than is really needed.

## Your result

- `summary`: at most 150 words of Markdown for the maintainer: one sentence on what it is, then the
  place (`path:line`), the likely cause, how bad it is, the next step. Be kind to the author;
  promise nothing in the maintainers' name.
- `labels`: at most three that fit, from `bug`, `enhancement`, `question`, `documentation`,
  `duplicate`, `invalid`, or names that the repository plainly uses already.
- `outputs`: an object with `kind`, `severity` (`low`, `medium`, `high` or `critical`) and `places`
  (a list of paths).
- `conclusion`: `success` if it is sorted, `needs_input` if the author must tell more first (the
  summary says what), `neutral` if there is nothing to sort.

"""

TEMPLATE = "\n".join((_TASK + SITUATION, DATA, REQUEST + PREVIOUS + _METHOD + ANSWER))
