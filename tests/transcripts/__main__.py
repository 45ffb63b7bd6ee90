"""`python -m tests.transcripts` writes docs/transcripts.md anew, a chapter for each platform."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import re
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "transcripts.md"
CHAPTERS = ("slack", "discord")
HEAD = """# Transcripts

What people see on each platform. This page is made by `python -m tests.transcripts` from what the
local Slack and the local Discord of the tests recorded; the answers are scripted, everything around
them is the bot's. Lines that replace each other are one message that is edited.
"""


async def main() -> None:
    """Write every chapter that there is."""
    parts = [HEAD]
    for name in CHAPTERS:
        module = f"tests.transcripts.{name}"
        if importlib.util.find_spec(module):
            parts.append(await importlib.import_module(module).chapter())
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(parts))
    DOCUMENT.write_text(text, encoding="utf-8")


asyncio.run(main())
