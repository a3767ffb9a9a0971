"""The commands about where covend is installed."""

from __future__ import annotations

import json

from tests.cli.operator_desk import Operator
from tests.web.test_admin_installations import know


async def test_installations_are_listed(operator: Operator) -> None:
    await know(operator.desk)
    done = await operator.run("installations")
    assert done.exit_code == 0
    head, row = done.stdout.splitlines()
    assert head.split() == ["INSTALLATION", "ACCOUNT", "STATE", "REPOSITORIES", "PERMISSIONS"]
    assert row.split() == ["5", "acme", "suspended", "-", "checks=write"]


async def test_no_name_of_an_account_moves_the_cursor(operator: Operator) -> None:
    await know(operator.desk, account="\x1b[2Jacme\u202e\r\nfake 6")
    done = await operator.run("installations")
    assert len(done.stdout.splitlines()) == 2
    assert not {"\x1b", "\r", "\u202e"} & set(done.stdout)
    told = (await operator.run("installations", "--json")).stdout
    assert not {"\x1b", "\r", "\u202e"} & set(told)


async def test_where_none_is_known_the_list_says_so(operator: Operator) -> None:
    done = await operator.run("installations")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "no installation yet" in done.stderr


async def test_forget_asks_before_it_deletes(operator: Operator) -> None:
    await know(operator.desk)
    asked = await operator.run("forget", "5")
    assert (asked.exit_code, asked.stdout) == (2, "")
    assert "installation 5 (acme) would be deleted: say so with --yes" in asked.stderr
    assert (await operator.desk.get("installations"))["items"][0]["forget_at"] is None
    done = await operator.run("forget", "5", "--yes", "--json")
    assert json.loads(done.stdout) == {"id": 5, "state": "forgetting"}
    row = (await operator.run("installations")).stdout.splitlines()[1]
    assert "forgetting" in row


async def test_forgetting_what_is_not_there_is_told(operator: Operator) -> None:
    done = await operator.run("forget", "7", "--yes")
    assert done.exit_code == 1
    assert "No installation 7 is known" in done.stderr


async def test_forgetting_by_an_accounts_name_is_refused_in_plain_words(operator: Operator) -> None:
    done = await operator.run("forget", "acme", "--yes")
    assert (done.exit_code, "number of an installation" in done.stderr) == (2, True)
