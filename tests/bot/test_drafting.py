"""Templates: those that ship, and a team's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.drafting import Templates
from rag.language import language_of

SHIPPED = ["announcement", "email", "outline", "report"]


@pytest.mark.parametrize("name", SHIPPED)
def test_every_template_that_ships_is_there_in_both_languages(name: str) -> None:
    for language in ("en", "zh"):
        text = Templates(None).text(name, language)
        assert text is not None
        assert language_of(text) == language


def test_a_team_adds_its_own_and_replaces_others_by_files(tmp_path: Path) -> None:
    templates = Templates(tmp_path)
    assert templates.names() == SHIPPED
    (tmp_path / "minutes.txt").write_text("Who was there", encoding="utf-8")
    (tmp_path / "minutes.zh.txt").write_text("出席人员", encoding="utf-8")
    (tmp_path / "email.md").write_text("Our own", encoding="utf-8")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    assert templates.names() == sorted([*SHIPPED, "minutes"])
    assert templates.text("minutes", "zh") == "出席人员"
    assert templates.text("minutes", "en") == "Who was there"
    assert templates.text("email", "en") == "Our own"


@pytest.mark.parametrize("name", ["no-such", "", "..", "../secret", "/etc/passwd", "email.zh"])
def test_a_name_is_never_a_path(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.md").write_text("hidden", encoding="utf-8")
    (tmp_path / "templates").mkdir()
    assert Templates(tmp_path / "templates").text(name, "en") is None


def test_a_folder_that_is_not_there_is_no_harm(tmp_path: Path) -> None:
    assert Templates(tmp_path / "absent").names() == SHIPPED
