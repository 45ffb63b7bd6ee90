"""Every skill behind its contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from bot.app import App
from tests.bot.fakes import FakeChat
from tests.contracts.skill import SCOPE, Skill, SkillContract
from tests.doubles.site import Site, serving, tools
from tests.fakes import LineParser

NAME = "laptops.md"
LAPTOPS = "# Laptops\n\nA lost laptop is reported to security within one hour.\n"
SAYS = "A lost laptop is reported within one hour."
SKILLS = [
    Skill("summarise", NAME, LAPTOPS, text=NAME, says=SAYS),
    Skill("compare", NAME, LAPTOPS, text=f"{NAME}; {NAME}", says=SAYS),
    Skill(
        "missed",
        NAME,
        LAPTOPS,
        text="2h",
        says=SAYS,
        names=False,
        comes_along=True,
        of_channels=True,
    ),
    Skill(
        "write",
        NAME,
        LAPTOPS,
        text="A note about lost laptops",
        says=SAYS,
        options={"facts": "documents", "template": "email"},
        names=False,
    ),
    Skill("translate", NAME, LAPTOPS, text=NAME, says="笔记本电脑丢失须报告。", names=False),
    Skill("rewrite", NAME, LAPTOPS, text=NAME, says=SAYS, names=False),
    Skill(
        "extract",
        NAME,
        LAPTOPS,
        text=NAME,
        says='{"what": "lost laptop", "to whom": "security"}',
        options={"fields": "what, to whom"},
    ),
]

LATER = [
    Skill(
        command,
        NAME,
        LAPTOPS,
        text=text,
        says=says,
        streams=False,
        reads=False,
        names=False,
    )
    for command, text, says in (
        ("remind", "every Monday at 9 send the report", "send the report"),
        ("reminders", "", "Nothing stands"),
        ("digest", "every Monday at 9", "09:00"),
    )
]
SKILLS += LATER

ROOMS = Skill(
    "table",
    "rooms.csv",
    "Room,Seats\nEgret,16\nStork,10\n",
    text="How many seats are there?",
    says="SELECT sum(Seats) FROM rooms",
    options={"document": "rooms.csv"},
    streams=False,
    reads=False,
)

LOOKUP = Skill(
    "lookup",
    "/services/billing",
    "Billing is degraded since 09:40 because of card payments.\n",
    text="How is billing doing?",
    says="Billing is degraded since 09:40.",
    fills={"tool": "health", "service": "billing"},
    names=False,
)


class TestSkill(SkillContract):
    @pytest.fixture(params=SKILLS, ids=lambda skill: skill.command)
    def skill(self, request: pytest.FixtureRequest) -> Skill:
        skill: Skill = request.param
        return skill


class TestTable(SkillContract):
    @pytest.fixture
    def skill(self) -> Skill:
        return ROOMS

    @pytest.fixture
    def parser(self) -> LineParser | None:
        return None  # cells come out of the real sandbox


class TestLookup(SkillContract):
    @pytest.fixture
    def skill(self) -> Skill:
        return LOOKUP

    @pytest.fixture
    async def site(self) -> AsyncIterator[Site]:
        async for served in serving(Site()):
            served.says(LOOKUP.document, "text/plain")
            yield served

    @pytest.fixture
    def more(self, site: Site) -> Mapping[str, Any]:
        return {"tools": tools(site, scope=SCOPE)}

    @pytest.fixture
    def taught(self, bot: App, chat: FakeChat) -> App:
        chat.answer, chat.fills = LOOKUP.says, LOOKUP.fills
        return bot
