"""The skills that read texts and write others: summaries, drafts, extraction, look-ups."""

from __future__ import annotations

from bot.dispatch import Handler
from bot.drafting import Templates
from bot.handlers.compare import Compare
from bot.handlers.extract import Extract
from bot.handlers.keeping import Keeping
from bot.handlers.lookup import LookUp
from bot.handlers.missed import Missed
from bot.handlers.reading import Reading
from bot.handlers.rewrite import Rewrite, Translate
from bot.handlers.summarise import Summarise
from bot.handlers.write import Write
from bot.voices import Voices
from rag.author import Author
from rag.drafts import Drafts
from rag.extraction import Extraction
from rag.lookup import Lookup
from rag.pipeline import RagPipeline
from rag.priority import Priority
from rag.summaries import Summaries


def text_skills(
    author: Author,
    priority: Priority,
    pipeline: RagPipeline,
    lookup: Lookup,
    reading: Reading,
    keeping: Keeping,
    templates: Templates,
    *,
    voices: Voices,
) -> list[Handler]:
    """Return their handlers."""
    summaries = Summaries(author, priority)
    drafts = Drafts(author, priority)
    return [
        Summarise(summaries, reading, keeping, voices=voices),
        Compare(summaries, reading, keeping, voices=voices),
        Missed(summaries, reading, keeping, voices=voices),
        Write(drafts, pipeline, templates, keeping, voices=voices),
        Rewrite(drafts, reading, keeping, voices=voices),
        Translate(drafts, reading, keeping, voices=voices),
        Extract(Extraction(author, priority), reading, keeping, voices=voices),
        LookUp(lookup, pipeline, reading, keeping, voices=voices),
    ]
