"""An example or two of each command, for its `--help` and for the man page."""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "serve": ("covend serve --config /etc/covend/covend.toml",),
    "check": ("covend check", "covend check --show-origin", "covend check --json | jq .errors"),
    "doctor": ("covend doctor",),
    "init": ("covend init", "covend init --yes"),
    "app": ("covend app create --url https://covend.example.org", "covend app test"),
    "app create": (
        "covend app create --url https://covend.example.org",
        "covend app create --url https://covend.example.org --no-browser",
    ),
    "app test": ("covend app test", "covend app test --json | jq .delivery"),
    "demo": ("covend demo", "covend demo --once"),
    "explain": (
        "covend explain --pr acme/widgets#7",
        "covend explain payload.json --event pull_request",
    ),
    "trigger": ("covend trigger pull_request.opened --repo acme/widgets --number 7",),
    "deliveries": (
        "covend deliveries --state ignored",
        "covend deliveries --event push --json | jq '.items[].reason'",
    ),
    "tasks": (
        "covend tasks --state queued",
        "covend tasks --subject acme/widgets#7",
        "covend tasks --since 1d --json | jq '.items[].cost_usd'",
    ),
    "show": ("covend show 019a", "covend show 0b0f6ee4-8d5c-4d5f-9f3f-4d1f0a9f7c11"),
    "logs": ("covend logs -f 019a",),
    "effects": ("covend effects --state failed", "covend effects --task 019a"),
    "safeguards": ("covend safeguards",),
    "installations": ("covend installations",),
    "forget": ("covend forget 4711",),
    "cancel": ("covend cancel 019a --why 'wrong branch'",),
    "retry": ("covend retry 019a", "covend retry --effect 019b"),
    "approve": ("covend approve 019a",),
    "replay": (
        "covend replay 0b0f6ee4-8d5c-4d5f-9f3f-4d1f0a9f7c11",
        "covend replay --since 7d --rule review --dry-run",
    ),
    "reconcile": ("covend reconcile --since 3d",),
    "unblock": ("covend unblock acme/widgets#7",),
    "wait": ("covend wait 019a --timeout 15m",),
    "pause": ("covend pause", "covend pause --rule review --why 'too noisy'"),
    "resume": ("covend resume", "covend resume --rule review"),
    "drain": ("covend drain",),
    "top": ("covend top", "covend top --once", "covend top --json | jq .stats.tasks"),
    "events": ("covend events", "covend events --kind move --json | jq .to"),
    "audit": ("covend audit", "covend audit --verb cancel --who operator"),
    "backup": ("covend backup /var/backups/covend",),
    "restore": ("covend restore /var/backups/covend",),
    "verify": ("covend verify",),
    "schema": ("covend schema > covend.schema.json",),
    "completion": (
        "covend completion bash > ~/.local/share/bash-completion/completions/covend",
        "covend completion zsh > ~/.zfunc/_covend",
        "covend completion fish > ~/.config/fish/completions/covend.fish",
    ),
    "version": ("covend version --json",),
}
"""By the command's name; a command without one has its own in its file."""
