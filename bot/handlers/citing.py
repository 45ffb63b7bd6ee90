"""What the handlers that answer from documents share: events of the pipeline become replies."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace

from bot import messages
from bot.messages import Language, Reply, ReplyChunk, ReplyEvent, Sources, Status
from bot.phrases import counted, say
from rag import citations
from rag.pipeline import Event, Finished, Found, Partly, Progress, Sentence


def cited(citation: citations.Citation) -> messages.Citation:
    """Return a citation as the reply carries it."""
    return messages.Citation(
        citation.number,
        citation.document,
        citation.page,
        citation.section,
        citation.quote,
        citation.start,
        citation.end,
    )


async def replies(
    events: AsyncGenerator[Event, None],
    language: Language,
    model: str,
    *,
    whom: Mapping[Language, str] | None = None,
) -> AsyncGenerator[ReplyEvent, None]:
    """Yield a pipeline's events as the reply's.

    A refusal says what was searched, what came nearest and, where it is known, `whom` to ask.
    """
    chunks: list[ReplyChunk] = []
    numbers: dict[tuple[str, int, int], int] = {}
    # Who stops listening stops the model too, at once.
    async with aclosing(events):
        async for event in events:
            match event:
                case Found(found):
                    yield Status(say(language, "reading_sources", sources=_names(found, language)))
                    yield Sources(tuple(map(cited, found)))
                case Progress(done, total) if total > 1:
                    yield Status(say(language, "summarising", done=done, total=total), done, total)
                case Sentence(text, found):
                    chunks.append(_chunk(text if chunks else text.lstrip(), found, numbers))
                    yield chunks[-1]
                case Partly(read, of):
                    told = say(language, "read_partly", read=read, of=of)
                    chunks.append(ReplyChunk(f"\n\n{told}"))
                    yield chunks[-1]
                case Finished():
                    yield _reply(event, chunks, language, model, whom)


def _chunk(
    text: str, found: tuple[citations.Citation, ...], numbers: dict[tuple[str, int, int], int]
) -> ReplyChunk:
    """Number citations in the order in which the reader meets them; a quote keeps its number."""
    numbered = []
    for citation in found:
        place = (citation.document_id, citation.start, citation.end)
        number = numbers.setdefault(place, len(numbers) + 1)
        numbered.append(replace(cited(citation), number=number))
    return ReplyChunk(text, tuple(numbered))


def whom_to_ask(language: Language, whom: Mapping[Language, str] | None) -> str:
    """Return the sentence that says whom to ask instead, behind its space; empty for nobody."""
    return say(language, "ask_whom", whom=whom[language]) if whom else ""


def _reply(
    end: Finished,
    chunks: list[ReplyChunk],
    language: Language,
    model: str,
    whom: Mapping[Language, str] | None,
) -> Reply:
    if end.outcome == "refusal":
        text = say(language, "not_found")
        if end.searched:
            searched = counted(language, "documents", end.searched)
            text = say(language, "not_found_in", documents=searched)
        return Reply(
            "refusal",
            text + whom_to_ask(language, whom),
            language,
            model=model,
            timings_ms=end.timings_ms,
            nearest=tuple(map(cited, end.nearest)),
        )
    shown = {citation.number: citation for chunk in chunks for citation in chunk.citations}
    return Reply(
        "answer",
        "".join(chunk.text for chunk in chunks).strip(),
        language,
        tuple(chunks),
        tuple(shown[number] for number in sorted(shown)),
        model,
        end.timings_ms,
    )


def _names(found: tuple[citations.Citation, ...], language: Language) -> str:
    names = []
    for citation in found:
        page = say(language, "page", page=citation.page) if citation.page else ""
        names.append(citation.document + page)
    return ("、" if language == "zh" else ", ").join(dict.fromkeys(names))
