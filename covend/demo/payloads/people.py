"""Accounts, Apps and installations as GitHub writes them.

https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from datetime import datetime
from types import MappingProxyType

from covend.demo.records import Account, App, JsonObject, Repository, Site, moment, node_id

PERMISSIONS = MappingProxyType(
    {
        "checks": "write",
        "contents": "write",
        "issues": "write",
        "metadata": "read",
        "pull_requests": "write",
        "statuses": "write",
    }
)
"""What the demonstration's App was granted."""

EVENTS = (
    "check_run",
    "check_suite",
    "issue_comment",
    "issues",
    "pull_request",
    "pull_request_review",
    "pull_request_review_comment",
    "push",
    "release",
    "status",
    "workflow_run",
)
"""What the demonstration's App subscribed to."""

_USER_URLS = (
    ("followers_url", "/followers"),
    ("following_url", "/following{/other_user}"),
    ("gists_url", "/gists{/gist_id}"),
    ("starred_url", "/starred{/owner}{/repo}"),
    ("subscriptions_url", "/subscriptions"),
    ("organizations_url", "/orgs"),
    ("repos_url", "/repos"),
    ("events_url", "/events{/privacy}"),
    ("received_events_url", "/received_events"),
)


def user(site: Site, account: Account) -> JsonObject:
    """Build the short form of an account (GitHub's `simple-user`)."""
    url = f"{site.api}/users/{account.login}"
    page = account.login if account.kind != "Bot" else f"apps/{account.login.removesuffix('[bot]')}"
    return {
        "login": account.login,
        "id": account.id,
        "node_id": node_id(account.kind, account.id),
        "avatar_url": f"https://avatars.githubusercontent.com/u/{account.id}?v=4",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{site.web}/{page}",
        **{name: f"{url}{path}" for name, path in _USER_URLS},
        "type": account.kind,
        "site_admin": False,
    }


def app(site: Site, made_by: App, created_at: datetime) -> JsonObject:
    """Build a GitHub App."""
    return {
        "id": made_by.id,
        "slug": made_by.slug,
        "node_id": node_id("App", made_by.id),
        "owner": user(site, made_by.owner),
        "name": made_by.name,
        "description": "Runs coding agents for webhooks",
        "external_url": "https://covend.example.org",
        "html_url": f"{site.web}/apps/{made_by.slug}",
        "created_at": moment(created_at),
        "updated_at": moment(created_at),
        "permissions": dict(PERMISSIONS),
        "events": list(EVENTS),
    }


def installation_stub(installation_id: int) -> JsonObject:
    """Build what most events carry of the installation."""
    return {"id": installation_id, "node_id": node_id("IntegrationInstallation", installation_id)}


def installation(site: Site, installation_id: int, made_by: App, owner: Account) -> JsonObject:
    """Build an installation on all repositories of `owner`, without its moments."""
    return {
        "id": installation_id,
        "account": user(site, owner),
        "repository_selection": "selected",
        "access_tokens_url": f"{site.api}/app/installations/{installation_id}/access_tokens",
        "repositories_url": f"{site.api}/installation/repositories",
        "html_url": f"{site.web}/settings/installations/{installation_id}",
        "app_id": made_by.id,
        "app_slug": made_by.slug,
        "target_id": owner.id,
        "target_type": owner.kind,
        "permissions": dict(PERMISSIONS),
        "events": list(EVENTS),
        "single_file_name": None,
        "suspended_at": None,
        "suspended_by": None,
    }


def repository_stub(repository: Repository) -> JsonObject:
    """Build what installation events carry of a repository."""
    return {
        "id": repository.id,
        "node_id": node_id("Repository", repository.id),
        "name": repository.name,
        "full_name": repository.full_name,
        "private": repository.private,
    }
