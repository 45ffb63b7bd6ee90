"""A watched folder: what is put in, changed, renamed and taken out."""

from __future__ import annotations

from tests.e2e.bot import Bot, documents

QUESTION = "What is the kettle on the third floor called?"


def id_of(bot: Bot, name: str) -> str | None:
    return next((row["id"] for row in bot.json("sources") if row["document"] == name), None)


def kettle(name: str) -> str:
    return f"# The tea kitchen\n\nThe kettle on the third floor is called {name}.\n"


def test_a_file_is_known_while_it_is_there_and_as_it_is(bot: Bot) -> None:
    bot.put("kettle.md", kettle("Humphrey"))
    reply = bot.answer(QUESTION)
    assert "Humphrey" in reply["text"]
    assert documents(reply) == {"kettle.md"}
    assert reply["citations"][0]["section"] == "The tea kitchen"
    first = id_of(bot, "kettle.md")

    bot.put("kettle.md", kettle("Ottoline"), "updated")
    reply = bot.answer(QUESTION)
    assert "Ottoline" in reply["text"]
    assert "Humphrey" not in bot.found("kettle Humphrey", "-k", "20")

    bot.rename("kettle.md", "tea.md")
    assert id_of(bot, "tea.md") == first
    assert id_of(bot, "kettle.md") is None
    assert [hit["document"] for hit in bot.json("search", QUESTION, "-k", "1")] == ["tea.md"]

    bot.take("tea.md")
    assert id_of(bot, "tea.md") is None
    assert "Ottoline" not in bot.found(QUESTION, "-k", "20")


def test_a_quote_is_what_stands_in_the_document(bot: Bot) -> None:
    text = "茶室的规定\n\n三楼的水壶叫青瓷。每周三由郭鸣清洗。\n\n二楼没有水壶。\n"
    bot.put("水壶.txt", text)
    reply = bot.answer("三楼的水壶叫什么？")
    assert documents(reply) == {"水壶.txt"}
    for citation in reply["citations"]:
        assert citation["quote"] == text[citation["start"] : citation["end"]]
    bot.take("水壶.txt")


def test_a_document_is_forgotten_until_its_file_changes(bot: Bot) -> None:
    bot.put("sofa.md", "The sofa in the lobby is turquoise.\n")
    receipt = bot.json("forget", "sofa.md")
    assert receipt["document"]
    assert receipt["verified"] is True
    assert bot.json("index")["added"] == 0
    assert "turquoise" not in bot.found("sofa in the lobby", "-k", "20")
    assert "sofa" in bot.command("forget", "sofa.md").sentence()
    bot.put("sofa.md", "The sofa in the lobby is vermilion.\n", "added|updated")
    assert "vermilion" in bot.found("sofa in the lobby")
    bot.take("sofa.md")


def test_a_file_outside_is_learned_on_demand(bot: Bot) -> None:
    file = bot.data.parent / "parrot.md"
    file.write_text("The parrot of the harbour master is called Quill.\n", encoding="utf-8")
    assert bot.json("index", file)["added"] == 1
    assert bot.json("index", file)["unchanged"] == 1
    assert "Quill" in bot.found("What is the parrot called?")
    assert bot.json("forget", "parrot.md")["verified"] is True
    assert "Quill" not in bot.found("What is the parrot called?", "-k", "20")
