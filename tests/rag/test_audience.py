import pytest

from rag.audience import Audience, InvalidScope, check_scope

SCOPES = ["public", "folder:规章", "slack:E1:T1:C1", "discord:1:2"]


@pytest.mark.parametrize("scope", SCOPES)
def test_a_place_that_documents_are_granted_to_is_a_scope(scope: str) -> None:
    assert check_scope(scope) == scope
    assert Audience.of([scope]).sees(scope)


@pytest.mark.parametrize(
    "scope",
    [
        "",
        "Public",
        "public:x",
        "folder",
        "folder:",
        "slack:T1:C1",
        "slack:E1::C1",
        "discord:1",
        "discord:1:2:3",
        "telegram:1",
        ":",
        "*",
        "slack:E1:T1:C1\n",
        "folder:\x00",
        "public\n",
    ],
)
def test_anything_else_is_refused_by_name(scope: str) -> None:
    with pytest.raises(InvalidScope, match="is not a scope"):
        check_scope(scope)
    with pytest.raises(InvalidScope):
        Audience.of(["public", scope])


def test_an_audience_sees_its_own_scopes_only() -> None:
    audience = Audience.of(["public", "slack:E1:T1:C1"])
    assert audience.sees("public")
    assert not audience.sees("slack:E1:T1:C2")
    assert not any(Audience.of([]).sees(scope) for scope in SCOPES)


def test_audiences_of_the_same_scopes_are_one() -> None:
    one = Audience.of(["public", "discord:1:2"])
    assert len({one, Audience.of(["discord:1:2", "public", "public"])}) == 1
