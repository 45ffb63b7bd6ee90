"""Discord's chapter of the transcripts."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from typing import Any

from bot.adapters.discord.bot import Manners
from bot.messages import Reply, Status
from tests.doubles.discord_rest import Call
from tests.doubles.discord_running import LEAVE, Script, running
from tests.doubles.discord_wire import DiscordDouble

_ID = re.compile(r"\d{17,20}")


class Transcript:
    """What is done in a local Discord, and what the bot then sent there, as Markdown."""

    def __init__(self, double: DiscordDouble) -> None:
        self.double = double
        self.lines = ["## Discord", ""]
        self._seen = 0

    def scene(self, title: str) -> None:
        """Begin another situation."""
        self.lines += ["", f"### {title}", ""]

    def did(self, what: str) -> None:
        """Tell what somebody does."""
        self.lines += [f"**mei** {what}", ""]

    async def until(self, found: Callable[[], Any]) -> Any:
        """Wait for something, and tell all that the bot has sent meanwhile."""
        result = await self.double.until(found)
        for call in self.double.rest.calls[self._seen :]:
            self.lines += told(self.double, call)
        self._seen = len(self.double.rest.calls)
        return result


def told(double: DiscordDouble, call: Call) -> Iterator[str]:
    """Yield a call as people see what it does."""
    body = call.body if isinstance(call.body, dict) else {}
    where = place(double, call.path)
    if call.path.endswith("/typing"):
        yield f"*{where}: TeamGLM is typing…*\n"
    elif call.path.endswith("/threads"):
        yield f"*A thread opens: “{body['name']}”*\n"
    elif call.path.endswith("/callback"):
        yield from callback(body)
    elif call.method == "DELETE":
        yield f"*{where}: the answer is deleted*\n"
    elif "content" in body:
        verb = "**TeamGLM** (the same message)" if call.method == "PATCH" else "**TeamGLM**"
        yield f"{verb}, {where}:\n"
        yield from shown(body)


def callback(body: dict[str, Any]) -> Iterator[str]:
    """Yield the first answer to a command or a button."""
    data = body.get("data") or {}
    match body["type"]:
        case 5:
            yield "*TeamGLM is thinking…*\n"
        case 7:
            yield "**TeamGLM** (the same message):\n"
            yield from shown(data)
        case 4:
            yield f"**TeamGLM**, {'only mei sees it' if data.get('flags', 0) & 64 else 'to all'}:\n"
            yield from shown(data)
        case 8:
            yield "Suggestions: " + ", ".join(f"`{c['name']}`" for c in data["choices"]) + "\n"
        case 9:
            label = data["components"][0]
            yield f"A form opens, “{data['title']}”: {label.get('label')}: "
            yield f"`{label['component'].get('value', '')}`\n"


def shown(body: dict[str, Any]) -> Iterator[str]:
    """Yield a message's text, and below it its menu and buttons."""
    yield "\n".join(f"> {line}" for line in (body["content"] or "").split("\n"))
    controls = [c for row in body.get("components") or () for c in row["components"]]
    names = [
        f"▾ {c['placeholder']}"
        if c["type"] == 3
        else c.get("label") or (c.get("emoji") or {}).get("name", "")
        for c in controls
    ]
    if names:
        yield ">\n> " + " ".join(f"`{name}`" for name in names)
    yield ""


def place(double: DiscordDouble, path: str) -> str:
    """Return where a call's message stands, in words."""
    if not path.startswith("/channels/"):
        return "in answer"
    channel = double.backend.channels[int(_ID.findall(path)[0])]
    if channel.guild_id is None:
        return "in direct messages"
    return f"in the thread “{channel.name}”" if channel.is_thread else f"in #{channel.name}"


async def chapter() -> str:
    """Play every situation; return the chapter."""
    handle = Script(
        open=[Reply("answer", "**handbook.pdf** p. 12 · Leave\n\n> Everyone has 25 days.", "en")],
        rate=[Reply("answer", "Thank you.", "en")],
        stop=[Reply("answer", "Stopping.", "en")],
        forget=[Reply("answer", "Forgot handbook.pdf: 1 version and 34 passages removed.", "en")],
        summarise=[Reply("answer", "It is about leave. [1]", "en", citations=(LEAVE,))],
    )
    async with DiscordDouble() as double:
        transcript = Transcript(double)
        async with running(double, handle):
            transcript._seen = len(double.rest.calls)
            await _asking(transcript, handle)
            await _commands(transcript)
            await _files(transcript, handle)
        async with running(double, handle, manners=Manners(keep_files=False)):
            transcript._seen = len(double.rest.calls)
            await _offer(transcript)
    return "\n".join(transcript.lines).rstrip() + "\n"


async def _asking(transcript: Transcript, handle: Script) -> None:
    double, person = transcript.double, transcript.double.person

    def whole(place: Any, count: int = 1) -> Callable[[], Any]:
        def found() -> Any:
            said = [m for m in double.said(place) if "Sources:" in m.content]
            return said if len(said) == count else None

        return found

    transcript.scene("A mention in a channel")
    transcript.did("in #general: `@TeamGLM How many days of leave?`")
    handle.holding = asyncio.Event()
    question = person.ask(double.channel, "How many days of leave?")
    await transcript.until(lambda: double.said(question.id))
    handle.holding.set()
    (answer,) = await transcript.until(whole(question.id))
    handle.holding = None

    transcript.scene("Opening a source")
    transcript.did("chooses *[1] handbook.pdf p. 12* in the menu")
    opened = person.pick(answer, answer.components[0]["components"][0]["options"][0]["value"])
    await transcript.until(lambda: person.shown(opened))

    transcript.scene("Going on in the thread, without a mention")
    thread = double.backend.channels[question.id]
    transcript.did("in the thread: `And for juniors?`")
    person.say(thread, "And for juniors?")
    await transcript.until(whole(thread, 2))

    transcript.scene("Rating an answer")
    transcript.did("presses 👍")
    rated = person.press(answer, "👍")
    await transcript.until(lambda: person.shown(rated))

    transcript.scene("An edited question")
    handle.scripts["ask"], kept = [Reply("answer", "Juniors have 20.", "en")], handle.scripts["ask"]
    transcript.did("edits the question to `@TeamGLM And for juniors?`")
    person.edit(question, f"{double.mention} And for juniors?")
    await transcript.until(lambda: "Juniors" in answer.content)
    handle.scripts["ask"] = kept

    transcript.scene("A deleted question")
    transcript.did("deletes the question")
    person.delete(question)
    await transcript.until(lambda: answer not in double.said(thread))

    transcript.scene("A place in the queue, and stopping")
    handle.holding = asyncio.Event()
    handle.scripts["ask"] = [Status("2 ahead of you …"), Reply("answer", "Stopped.", "en")]
    transcript.did("in direct messages: `How many days of leave?`")
    person.say(person.direct, "How many days of leave?")
    (growing,) = await transcript.until(
        lambda: [m for m in double.said(person.direct) if "ahead" in m.content]
    )
    transcript.did("presses *Stop*")
    person.press(growing, "Stop")
    handle.holding.set()
    await transcript.until(lambda: growing.content == "Stopped.")
    handle.holding = None
    handle.scripts["ask"] = kept


async def _commands(transcript: Transcript) -> None:
    double, person = transcript.double, transcript.double.person

    def answered(interaction: Any) -> Callable[[], Any]:
        def found() -> Any:
            message = person.shown(interaction)
            return message if message and "Looking" not in message.content else None

        return found

    transcript.scene("Asking privately, and sharing")
    transcript.did("in #general: `/ask question: How many days of leave?`")
    asked = person.slash(double.channel, "ask", question="How many days of leave?")

    def whole() -> Any:
        message = person.shown(asked)
        return message if message and "Sources:" in message.content else None

    answer = await transcript.until(whole)
    transcript.did("presses *Share to channel*")
    shared = person.press(answer, "Share to channel")
    await transcript.until(answered(shared))

    transcript.scene("A command with suggestions")
    transcript.did("types `/summarise document: rel`")
    typed = person.type(double.channel, "summarise", "document", "rel")
    await transcript.until(lambda: typed.autocomplete_choices)

    transcript.scene("Summarising a message's file from its menu")
    message = person.say(double.channel, "Our report", files=[("report.png", b"1")])
    transcript.did("chooses *Apps, Summarise* on a message with `report.png`")
    await transcript.until(answered(person.choose(double.channel, "Summarise", message)))

    transcript.scene("Asking about a message")
    message = person.say(double.channel, "Does anybody know how many days of leave we have?")
    transcript.did("chooses *Apps, Ask about this* on a message")
    chosen = person.choose(double.channel, "Ask about this", message)
    await transcript.until(lambda: chosen.modal)


async def _files(transcript: Transcript, handle: Script) -> None:
    double, person = transcript.double, transcript.double.person
    transcript.scene("A file in a channel")
    transcript.did("posts `handbook.pdf` in #general")
    handle.holding = asyncio.Event()
    person.say(double.channel, "our handbook", files=[("handbook.pdf", b"%PDF-1.7")])
    await transcript.until(lambda: [m for m in double.said(double.channel) if "1/12" in m.content])
    handle.holding.set()
    receipts = await transcript.until(
        lambda: [m for m in double.said(double.channel) if "34 passages" in m.content]
    )
    transcript.did("presses *Forget handbook.pdf*")
    forgotten = person.press(receipts[0], "Forget handbook.pdf")
    await transcript.until(lambda: person.shown(forgotten))


async def _offer(transcript: Transcript) -> None:
    double, person = transcript.double, transcript.double.person
    transcript.scene("A file, where files are kept on a button (`keep_files: ask`)")
    transcript.did("posts `plan.pdf` in #general")
    person.say(double.channel, "the plan", files=[("plan.pdf", b"%PDF-1.7")])
    offers = await transcript.until(
        lambda: [m for m in double.said(double.channel) if "plan.pdf" in m.content and m.components]
    )
    transcript.did("presses *No, thanks*")
    person.press(offers[0], "No, thanks")
    await transcript.until(lambda: "didn't keep" in offers[0].content)
