"""What the handlers would say, without models: in the language asked in, and in the bot's words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from bot.commands import COMMANDS
from bot.messages import Citation, Language, Reply, ReplyChunk, ReplyEvent, Request, Sources, Status
from bot.phrases import counted, say
from rag.language import language_of

_LEAVE = Citation(1, "handbook.pdf", 12, "Leave", "Everyone has 25 days of leave.", 0, 30)
_TRAVEL = Citation(1, "员工手册.docx", None, "差旅", "差旅费须在三十天内报销。", 0, 12)
_ANSWERS: dict[Language, tuple[Citation, tuple[ReplyChunk, ...]]] = {
    "en": (_LEAVE, (ReplyChunk("You have 25 days. ", (_LEAVE,)), ReplyChunk("Ask your lead."))),
    "zh": (_TRAVEL, (ReplyChunk("请在三十天内报销。", (_TRAVEL,)), ReplyChunk("需附发票。"))),
}
_SUMMARIES = {"en": "It is about leave: 25 days for everyone.", "zh": "讲的是差旅费的报销。"}
_FILES = ("handbook.pdf", "release-notes.md")


class Played:
    """Answers every request; `ahead` wait before a question, and while it is held it isn't done."""

    def __init__(self) -> None:
        self.ahead = 0
        self.busy = False
        self.holding: asyncio.Event | None = None
        self.forbidden: set[str] = set()
        """Commands that only admins may give."""
        self._stopped = False

    def forbids(self, request: Request) -> Reply | None:
        """Return why somebody may not give a command."""
        language = request.language or "en"
        if request.command not in self.forbidden or request.is_admin:
            return None
        return Reply("error", say(language, "not_allowed"), language)

    async def __call__(self, request: Request) -> AsyncIterator[ReplyEvent]:
        """Answer one request."""
        asks = request.command == "ask"
        language = language_of(request.text) if asks else request.language or "en"
        if request.command == "stop":
            self._stopped = True
            if self.holding:
                self.holding.set()
            yield Reply("answer", say(language, "stopping"), language)
            return
        *first, last = self._events(request, language)
        said: list[ReplyChunk] = []
        for event in first:
            if self.holding is not None and said:
                break  # the rest is what it is stopped before
            if isinstance(event, ReplyChunk):
                said.append(event)
            yield event
            await asyncio.sleep(0.03)
        if self.holding is not None and request.command not in ("rate", "sources"):
            await self.holding.wait()
        if asks and self._stopped:
            self._stopped = False
            kept = (*said, ReplyChunk(f"\n\n{say(language, 'stopped')}"))
            text = "".join(each.text for each in kept)
            yield Reply("answer", text, language, kept, kept[0].citations)
            return
        yield last

    def _events(self, request: Request, language: Language) -> list[ReplyEvent]:
        name = request.attachments[0].name if request.attachments else request.text
        match request.command:
            case "ask" if self.busy:
                return [Reply("busy", say(language, "busy"), language)]
            case "ask" if "moon" in request.text:
                documents = counted(language, "documents", len(_FILES))
                text = say(language, "not_found_in", documents=documents)
                nearest = _ANSWERS[language][0]
                refusal = Reply("refusal", text, language, nearest=(nearest,))
                return [Status(say(language, "searching")), refusal]
            case "ask" | "summarise" | "missed":
                return self._answer(request, language)
            case "extract":
                return [_extracted(name, language)]
            case "upload" | "learn" | "remember":
                return _receipt(name, language)
            case "open":
                about = {"document": "handbook.pdf", "page": 12, "section": "Leave"}
                text = f"**handbook.pdf** p. 12 · Leave\n\n> {_LEAVE.quote}"
                return [Reply("answer", text, language, data=about | {"text": _LEAVE.quote})]
            case "search":
                text = f"[1] handbook.pdf, p. 12 · Leave: “{_LEAVE.quote}”"
                return [Reply("answer", text, language)]
            case "forget":
                return [Reply("answer", _forgotten(language), language)]
            case "sources":
                rows = [{"id": f"d{n}", "document": file} for n, file in enumerate(_FILES)]
                return [Reply("answer", _listed(language), language, data=rows)]
            case "status":
                documents = counted(language, "documents", 2)
                passages = counted(language, "passages", 68)
                text = say(language, "status_known", documents=documents, passages=passages)
                return [Reply("answer", text, language)]
            case "rate":
                return [Reply("answer", say(language, "rated"), language)]
            case "help":
                zh = language == "zh"
                lines = [f"- `/{each.usage(language)}`: {each.about[zh]}" for each in COMMANDS]
                text = "\n\n".join([say(language, "help"), "\n".join(lines)])
                return [Reply("answer", text, language)]
        return [Reply("answer", say(language, "resumed"), language)]

    def _answer(self, request: Request, language: Language) -> list[ReplyEvent]:
        cited, sentences = _ANSWERS[language]
        if request.command in ("summarise", "missed"):
            sentences = (ReplyChunk(_SUMMARIES[language], (cited,)),)
        waiting = [Status(say(language, "waiting", ahead=self.ahead))] if self.ahead else []
        text = "".join(each.text for each in sentences)
        whole = Reply("answer", text, language, sentences, (cited,))
        return [*waiting, Sources((cited,)), *sentences, whole]


def _extracted(name: str, language: Language) -> Reply:
    said = "We meet at the pier at 9:30, bring the plan."
    cited = Citation(1, name, None, "Ann, 2026-11-20 12:00 UTC", said, 40, 84)
    head = say(language, "extracted_from", name=name)
    chunks = (ReplyChunk(head), ReplyChunk("\n- time: 9:30", (cited,)))
    return Reply("answer", "".join(each.text for each in chunks), language, chunks, (cited,))


def _receipt(name: str, language: Language) -> list[ReplyEvent]:
    reading = Status(say(language, "reading", name=name))
    if name.endswith("secret.pdf"):
        reason = say(language, "not_learned", name=name, reason=say(language, "encrypted"))
        row = {"document": None, "name": name, "state": "failed"}
        return [reading, Reply("error", reason, language, data=[row])]
    size = counted(language, "passages", 34)
    if name.endswith(".pdf"):
        size = say(language, "size", pages=counted(language, "pages", 12), passages=size)
    done = say(language, "learned", name=name, size=size)
    row = {"document": "d1", "name": name, "state": "ready"}
    progress = Status(say(language, "embedding", name=name, done=9, total=34), 9, 34)
    return [reading, progress, Reply("answer", done, language, data=[row])]


def _forgotten(language: Language) -> str:
    counts = {key: counted(language, key, 1) for key in ("versions", "files")}
    counts |= {key: counted(language, key, 34) for key in ("passages", "rows")}
    verified = say(language, "verified")
    return say(language, "forgotten", name="handbook.pdf", verified=verified, **counts)


def _listed(language: Language) -> str:
    passages = counted(language, "passages", 34)
    ready = say(language, "state_ready")
    return "\n".join(f"{file} · {passages} · {ready}" for file in _FILES)
