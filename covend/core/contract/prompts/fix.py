"""The built-in prompt `fix`: a small change that does what a comment asked for, committed and
explained.
"""

from __future__ import annotations

from covend.core.contract.prompts.common import ANSWER, DATA, PREVIOUS, REQUEST, SITUATION

_TASK = """\
You are asked to change code in a repository: to mend what the request below describes, and no more.

"""

_METHOD = """\
## How to work

1. Find out what is really wrong. Read the code and its history; where tests can be started without
   installing or fetching anything, reproduce the fault first.
2. Make the smallest change that mends the cause rather than the symptom. Keep the style of the code
   around it. No reformatting, no renaming, no new dependencies, nothing beside the request.
3. Add or adapt the test that would have caught it, where the project has tests for such code.
4. Read your own change once more (`git diff`) as a sceptical reviewer would. Take out what is not
   needed: debugging output, stray files, unrelated edits.
5. Commit it in this checkout with a message in the project's style, if you are able to commit. Do
   not push and do not open a pull request yourself.

Do not touch: workflows and other CI configuration, files with secrets, lock files, generated code,
unless the request is about just that.

## Your result

- `conclusion`: `success` if the change is made; `needs_input` if the request is unclear or asks for
  a decision that is not yours (then change nothing and ask one precise question in the summary);
  `failure` if it cannot be done, with the reason; `neutral` if there is nothing to change.
- `summary`: at most 200 words. What was wrong, what you changed and where (`path:line`), how you
  know that it works, what is left open.
- `pull_request`: a `title` of at most 70 characters, and a `body` of what changes and why, for
  somebody who has not read the request. Only when there is a change.

"""

TEMPLATE = "\n".join((_TASK + SITUATION, DATA, REQUEST + PREVIOUS + _METHOD + ANSWER))
