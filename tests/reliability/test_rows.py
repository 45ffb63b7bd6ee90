from __future__ import annotations

from pathlib import Path

import pytest

from tests.reliability import rows
from tests.reliability.report import table
from tests.reliability.rows import cases


def test_a_sample_is_a_few_tries_with_the_same_chances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "FULL", False)
    tries = [case.chance.random() for case in cases("X1", "tries", full=100, sample=3)]
    assert len(tries) == 3
    again = [case.chance.random() for case in cases("X1", "tries", full=100, sample=3)]
    assert again == tries


def test_a_full_run_goes_on_after_the_last_case_that_held(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(rows, "FULL", True)
    monkeypatch.setattr(rows, "RESULTS", tmp_path)
    seen = []
    for case in cases("X1", "tries", full=4, sample=1):
        if case.number == 2:
            break  # as a failed assertion leaves it
        seen.append(case.number)
    assert "| X1 | tries | 2 | 4 |" in table(tmp_path)
    seen += [case.number for case in cases("X1", "tries", full=4, sample=1)]
    assert seen == [0, 1, 2, 3]
    assert "| X1 | tries | 4 | 4 |" in table(tmp_path)
