"""Each skill that reads, over real files of many formats: what it says and the place it cites.

The files are public ones beside the repository. The played model says what stands in them, so that
proof, citations and pages are real.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from bot.app import App
from bot.messages import Reply
from tests.bot.fakes import FakeChat, request
from tests.bot.handlers.conftest import Ask, Send
from tests.bot.handlers.test_learn import Trusting
from tests.doubles.site import Site, serving
from tests.fakes import LineParser
from tests.rag.ingest.files import SHARED

DOCUMENTS = SHARED / "documents"
PAPER = "u__pdf__layout-parser-paper-fast.pdf"
ORDER = "m__movie-theater-booking-2024.pdf"
RESUME = "pp__issue-71-duplicate-chars.pdf"
SLIDES = "m__test.pptx"
BULLETS = "u__fake-power-point.pptx"
HANDBOOK = "u__handbook-1p.docx"
BLOG = "m__test_blog.html"
ANTHEM = "g__zh_gbk_meta.html"
PANTHERS = "g__zh_utf16le_bom.txt"

pytestmark = pytest.mark.skipif(not DOCUMENTS.exists(), reason=f"no public files at {DOCUMENTS}")


@dataclass(frozen=True)
class Case:
    """A skill over files: what is asked, what the model says, and what is cited, in that order."""

    command: str
    files: tuple[str, ...]
    says: str
    cites: tuple[tuple[str, int | None, str], ...]
    """Of each sentence a file, its page and a fact that the passage has."""
    text: str = ""
    """Instead of the files' names."""
    options: Mapping[str, Any] = field(default_factory=dict)


GAP = "This paper introduces LayoutParser, an open-source library for the usage of DL in DIA."
RESULT = "The tuned gpt-3.5-turbo vastly outperforms untuned gpt-4 in accuracy (92% vs. 70%)."
EASY = "The tuned gpt-3.5-turbo vastly outperformed untuned gpt-4 in accuracy (90% vs. 70%)."
AGENTS = "AutoGen is an open-source framework to build LLM applications via multiple agents."
TRUSTEE = "The United States Trustee appoints and supervises standing trustees."
SANG = "女神卡卡献唱了国歌。"
DEFENCE = "黑豹队的防守只丢了 308分，在联赛中排名第六。"
CASES = [
    Case(
        "summarise",
        (PAPER,),
        f"{GAP} Customized training is often required to achieve a desirable detection accuracy.",
        ((PAPER, 1, "open-source library"), (PAPER, 2, "desirable detection accuracy")),
    ),
    Case("summarise", (ANTHEM,), SANG, ((ANTHEM, None, "献唱了国歌"),)),
    Case("summarise", (HANDBOOK,), TRUSTEE, ((HANDBOOK, None, "standing trustees"),)),
    Case(
        "compare",
        (SLIDES, BLOG),
        f"{AGENTS} {RESULT}",
        ((SLIDES, 2, "multiple agents"), (BLOG, None, "92% vs. 70%")),
    ),
    Case(
        "extract",
        (ORDER,),
        json.dumps({"order": "2024-12-5678", "customer ID": "CUST-98765"}),
        ((ORDER, 1, "2024-12-5678"), (ORDER, 1, "CUST-98765")),
        options={"fields": "order, customer ID"},
    ),
    Case(
        "extract",
        (RESUME,),
        json.dumps({"认证": "3com 认证网络大师", "时间": "2019年05月"}, ensure_ascii=False),
        ((RESUME, 2, "3com"), (RESUME, 2, "2019年05月")),
        options={"fields": "认证, 时间"},
    ),
    Case(
        "write",
        (HANDBOOK,),
        TRUSTEE,
        ((HANDBOOK, None, "standing trustees"),),
        text="Who appoints standing trustees?",
        options={"facts": "documents", "template": "email"},
    ),
    Case(
        "write",
        (PANTHERS,),
        DEFENCE,
        ((PANTHERS, None, "308分"),),
        text="黑豹队的防守",
        options={"facts": "documents", "template": "report"},
    ),
    Case(
        "translate",
        (ANTHEM,),
        "Lady Gaga sang the anthem; Marlee Matlin interpreted it in American Sign Language (ASL).",
        ((ANTHEM, None, "献唱了国歌"),),
        options={"language": "en"},
    ),
    Case(
        "translate",
        (BULLETS,),
        "添加项目符号幻灯片。",
        ((BULLETS, 1, "Find the bullet slide layout"),),
        options={"language": "zh"},
    ),
]


@pytest.fixture
def parser() -> LineParser | None:
    return None  # the real one


def cites(reply: Reply, document: str, page: int | None, fact: str) -> bool:
    """Tell whether a reply cites a passage of a document's page that has a fact."""
    return any(
        (citation.document, citation.page) == (document, page)
        and "".join(fact.split()) in "".join(citation.quote.split())
        for citation in reply.citations
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.command}-{case.files[0]}")
async def test_a_skill_says_what_a_real_file_says_and_where(
    case: Case, ask: Ask, send: Send, chat: FakeChat
) -> None:
    chat.answer = case.says
    files = tuple(send(name, (DOCUMENTS / name).read_bytes()) for name in case.files)
    _, taught = await ask(request("", "upload", attachments=files))
    assert [row["state"] for row in taught.data] == ["ready"] * len(files)
    text = case.text or "; ".join(case.files)
    _, reply = await ask(request(text, case.command, options=case.options))
    assert reply.outcome == "answer", reply.text
    for document, page, fact in case.cites:
        assert cites(reply, document, page, fact), (reply.text, reply.citations)
    said = json.loads(case.says).values() if case.command == "extract" else [case.says]
    assert all(str(each) in reply.text for each in said)


async def test_a_question_is_answered_from_a_real_page(bot: App, ask: Ask, chat: FakeChat) -> None:
    chat.answer, page = EASY, "https://site.test/blog"
    async for site in serving(Site()):
        site.says((DOCUMENTS / BLOG).read_text(encoding="utf-8"), "text/html")
        bot.pages._fetcher = Trusting(site.address)
        _, reply = await ask(request(f"Which tuned model wins over gpt-4? {page}", "lookup"))
    assert reply.outcome == "answer", reply.text
    assert EASY in reply.text
    assert cites(reply, page, None, "90% vs. 70%")
