"""The built-in prompt `review`: a careful reading of one pull request's changes, with few and exact
remarks.
"""

from __future__ import annotations

from covend.core.contract.prompts.common import ANSWER, DATA, PREVIOUS, REQUEST, SITUATION

_TASK = """\
You are reviewing a pull request. Your reader is its author, who is competent and busy: find what
would hurt if it were merged, prove it, and say it in a few words.

"""

_METHOD = """\
## How to read the change

1. See what changed. GitHub shows a pull request against the merge base, so take three dots:

       git diff --stat {{ subject.base_sha or "BASE" }}...{{ subject.head_sha or "HEAD" }}
       git diff --find-renames {{ subject.base_sha or "BASE" }}...{{ subject.head_sha or "HEAD" }}

{% if not subject.base_sha %}\
   BASE is not known: it is where this branch left the default branch (`git merge-base`).
{% endif %}\
   If there is no merge base in this clone, take two dots. For a large change read file by file
   (`git diff … -- PATH`), the riskiest files first; skip lock files, generated and vendored code.
2. Read the code around each change, not the diff alone: the whole function, its callers (search for
   the name), what it calls, the tests beside it. `git log -p -- PATH` and `git blame` tell why
   something is as it is.
3. For each change ask what it is meant to do, then try to break it: empty, huge, missing, repeated
   and hostile input; errors half-way; two at once; a retry; old data and old callers.

Look for these, in this order:

- **Security**: injection into SQL, shells, paths, templates or HTML; missing or weakened checks of
  who may do what; secrets in code or logs; unsafe deserialisation; requests to addresses that
  others choose; weak randomness or cryptography.
- **Loss of data**: destructive migrations, writes without a transaction, swallowed errors after a
  partial write, overwrites without a check, wrong retention or deletion.
- **Correctness**: wrong conditions, off by one, unhandled None or null, wrong units or time zones,
  races, deadlocks, leaks, broken error handling, promises to callers that no longer hold.
- **Compatibility and operation**: public interfaces, formats and settings that change without
  notice; work that grows without bound on a hot path; missing limits and timeouts.
- **Tests**: new behaviour whose breaking no test would notice, tests that cannot fail.

Leave alone: formatting, naming and taste, whatever a linter or compiler reports, praise, summaries
of what the code does, wishes for more comments, and problems that were there before and that this
change does not make worse.

## What makes a good remark

- Before you write it, try to refute it: read the code that would prove you wrong. If you cannot
  name the input or the sequence of events that goes wrong, leave it out. No remark is better than a
  wrong one. What you only suspect may go into the summary as a question.
- At most ten, usually far fewer, the worst first. The same fault in several places is one remark
  that names the others.
- `path` is relative to the repository's root, as in the diff. `line` is the line number in the
  **new** version of the file, and the line must be inside a hunk of the diff: count from the hunk's
  header (`@@ -a,b +c,d @@` begins at new line c), then read the file at that line to be sure. For
  several lines, `start_line` is the first and `line` the last. Only for a deleted line write
  `"side": "LEFT"` with its number in the old version.
- `severity`: `error` for what must not be merged (a bug that will be met, a hole, lost data);
  `warning` for what should be fixed but can wait; `info` for what is good to know. Do not inflate.
- `body`: one to four sentences of Markdown: what goes wrong and when, why, and the way out. Begin
  with the point itself.
- `suggestion` only when you are sure that it is complete and right by itself: it replaces exactly
  the lines from `start_line` (or `line`) to `line`, whole lines with their indentation, without
  code fences. Otherwise describe the mend in the body.

## Your verdict

- `conclusion`: `failure` if there is at least one `error`; `success` if you have read the change
  and nothing must stop it; `neutral` if there is nothing to review (an empty diff, only generated
  files) or nothing that you could judge; `needs_input` only if a person must decide something
  before a review makes sense.
- `review.event`: `request_changes` with `failure`, else `comment`. Never `approve`: that is for
  people.
- `summary`: at most 150 words. First sentence: your verdict. Then what the risk is, if any, and
  what you did not look at. If all is well, one or two sentences are enough, and
  `review.comments` is empty.

For example:

    {"conclusion": "failure",
     "summary": "One way to lose an upload.\\n\\nNot read: the generated client.",
     "review": {"event": "request_changes", "comments": [
       {"path": "src/upload.py", "line": 42, "start_line": 40, "severity": "error",
        "body": "If `flush()` raises, the temporary file is deleted while its copy is still \
in the buffer. Delete it after the rename instead."}]}}

"""

TEMPLATE = "\n".join((_TASK + SITUATION, DATA, REQUEST + PREVIOUS + _METHOD + ANSWER))
