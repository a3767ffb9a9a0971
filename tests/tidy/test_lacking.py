from __future__ import annotations

from collections.abc import Callable

import pytest


def test_what_is_lacking_fails_a_test_in_ci(
    lacking: Callable[[str], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="strace is missing"):
        lacking("strace")


def test_what_is_lacking_skips_a_test_elsewhere(
    lacking: Callable[[str], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="strace is missing"):
        lacking("strace")
