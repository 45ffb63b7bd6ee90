"""Discord's chapter of the transcripts."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from typing import Any

from simcord.enums import ChannelType

from bot.adapters.discord.bot import Manners
from tests.bot.inboxes import MemoryInbox
from tests.doubles.discord_rest import Call
from tests.doubles.discord_running import running
from tests.doubles.discord_wire import DiscordDouble
from tests.transcripts.played import Played

_ESCAPED = re.compile(r"\\([^\w\s])")
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

    def skip(self) -> None:
        """Leave out what the bot has sent since the last time."""
        self._seen = len(self.double.rest.calls)

    def whole(self, place: Any, count: int = 1, said: str = "Sources:") -> Callable[[], Any]:
        """Return what tells whether so many answers stand complete in a place."""

        def found() -> Any:
            kept = [m for m in self.double.said(place) if said in m.content]
            return kept if len(kept) == count else None

        return found

    async def shown(self, interaction: Any, said: str = "") -> Any:
        """Wait for the whole answer to a command or button."""

        def found() -> Any:
            message = self.double.person.shown(interaction)
            looking = message and ("Looking…" in message.content or "正在查找" in message.content)
            return message if message and not looking and said in message.content else None

        return await self.until(found)

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
            alone = " (only mei sees what comes)" if data.get("flags", 0) & 64 else ""
            yield f"*TeamGLM is thinking…*{alone}\n"
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
    text = _ESCAPED.sub(r"\1", body["content"] or "")
    yield "\n".join(f"> {line}".rstrip() for line in text.split("\n"))
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
    played, inbox = Played(), MemoryInbox()
    async with DiscordDouble() as double:
        transcript = Transcript(double)
        async with running(double, played, inbox=inbox, forbids=played.forbids):
            transcript.skip()
            await _asking(transcript, played)
            await _chinese(transcript)
            await _commands(transcript)
            await _menus(transcript)
            await _files(transcript)
        options: dict[str, Any] = {"manners": Manners(keep_files=False, forum_posts=True)}
        async with running(double, played, inbox=inbox, forbids=played.forbids, **options):
            transcript.skip()
            await _offer(transcript, played)
            await _forum(transcript)
    return "\n".join(transcript.lines).rstrip() + "\n"


async def _asking(transcript: Transcript, played: Played) -> None:
    double, person = transcript.double, transcript.double.person
    transcript.scene("A mention in a channel, when others are waiting")
    played.ahead, played.holding = 2, asyncio.Event()
    transcript.did("in #general: `@TeamGLM How many days of leave?`")
    question = person.ask(double.channel, "How many days of leave?")
    await transcript.until(lambda: [m for m in double.said(question.id) if "25" in m.content])
    played.ahead = 0
    played.holding.set()
    (answer,) = await transcript.until(transcript.whole(question.id))
    played.holding = None

    transcript.scene("Opening a source")
    transcript.did("chooses *[1] handbook.pdf p. 12* in the menu")
    opened = person.pick(answer, answer.components[0]["components"][0]["options"][0]["value"])
    await transcript.until(lambda: person.shown(opened))

    transcript.scene("Going on in the thread, without a mention")
    thread = double.backend.channels[question.id]
    transcript.did("in the thread: `And for juniors?`")
    person.say(thread, "And for juniors?")
    await transcript.until(transcript.whole(thread, 2))

    transcript.scene("Rating an answer")
    transcript.did("presses 👍")
    rated = person.press(answer, "👍")
    await transcript.until(lambda: person.shown(rated))

    transcript.scene("Regenerating an answer")
    transcript.did("presses *Regenerate*")
    person.press(answer, "Regenerate")
    await double.until(lambda: "Sources:" not in answer.content)
    await transcript.until(lambda: "Sources:" in answer.content)

    transcript.scene("An edited question")
    transcript.did("edits the question to `@TeamGLM How far is the moon?`")
    person.edit(question, f"{double.mention} How far is the moon?")
    await transcript.until(lambda: "can't find" in answer.content)

    transcript.scene("A deleted question")
    transcript.did("deletes the question")
    person.delete(question)
    await transcript.until(lambda: answer not in double.said(thread))

    transcript.scene("Stopping, in direct messages")
    played.holding = asyncio.Event()
    transcript.did("in direct messages: `How many days of leave?`")
    person.say(person.direct, "How many days of leave?")
    (growing,) = await transcript.until(
        lambda: [m for m in double.said(person.direct) if "25" in m.content]
    )
    transcript.did("presses *Stop*")
    person.press(growing, "Stop")
    await transcript.until(lambda: "Stopped." in growing.content)
    played.holding = None

    transcript.scene("When too many ask")
    played.busy = True
    transcript.did("in direct messages: `How many days of leave?`")
    person.say(person.direct, "How many days of leave?")
    await transcript.until(
        lambda: [m for m in double.said(person.direct) if "ask again" in m.content]
    )
    played.busy = False


async def _chinese(transcript: Transcript) -> None:
    double, person = transcript.double, transcript.double.person
    transcript.scene("A question in Chinese, and a command of somebody whose Discord is Chinese")
    transcript.did("in #general: `@TeamGLM 差旅费多久内报销？`")
    question = person.ask(double.channel, "差旅费多久内报销？")
    await transcript.until(transcript.whole(question.id, said="来源"))
    transcript.did("`/help`")
    person.locale = "zh-CN"
    await transcript.shown(person.slash(double.channel, "help"))
    person.locale = "en-US"


async def _commands(transcript: Transcript) -> None:
    double, person = transcript.double, transcript.double.person
    transcript.scene("Asking privately, and sharing")
    transcript.did("in #general: `/ask question: How many days of leave?`")
    asked = person.slash(double.channel, "ask", question="How many days of leave?")
    answer = await transcript.shown(asked, "Sources:")
    transcript.did("presses *Share to channel*")
    await transcript.shown(person.press(answer, "Share to channel"))

    transcript.scene("Commands whose answers only one person sees")
    for name, options in (
        ("search", {"words": "leave"}),
        ("sources", {}),
        ("status", {}),
        ("forget", {"document": "handbook.pdf"}),
        ("help", {}),
    ):
        given = " ".join(f"{key}: {value}" for key, value in options.items())
        transcript.did(f"`/{name} {given}`".replace(" `", "`"))
        await transcript.shown(person.slash(double.channel, name, **options))

    transcript.scene("A command with suggestions")
    transcript.did("types `/summarise document: rel`")
    typed = person.type(double.channel, "summarise", "document", "rel")
    await transcript.until(lambda: typed.autocomplete_choices)

    transcript.scene("What did I miss")
    transcript.did("`/missed since: 2h`")
    missed = person.slash(double.channel, "missed", since="2h")
    await transcript.shown(missed, "Sources:")

    transcript.scene("Values out of the thread around")
    thread = person.start_thread(double.channel, "The pier")
    person.say(thread, "We meet at the pier at 9:30, bring the plan.")
    transcript.did("in the thread “The pier”: `/extract fields: time`")
    extracted = person.slash(thread, "extract", fields="time")
    await transcript.shown(extracted, "9:30")

    transcript.scene("Learning a web page")
    transcript.did("`/learn link: https://example.org/faq`")
    learned = person.slash(double.channel, "learn", link="https://example.org/faq")
    await transcript.shown(learned, "ready")


async def _menus(transcript: Transcript) -> None:
    double, person = transcript.double, transcript.double.person
    transcript.scene("Summarising a message's file from its menu")
    message = person.say(double.channel, "Our report", files=[("report.png", b"1")])
    transcript.did("chooses *Apps, Summarise* on a message with `report.png`")
    chosen = person.choose(double.channel, "Summarise", message)
    await transcript.shown(chosen, "Sources:")

    transcript.scene("Asking about a message")
    message = person.say(double.channel, "Does anybody know how many days of leave we have?")
    transcript.did("chooses *Apps, Ask about this* on a message")
    chosen = person.choose(double.channel, "Ask about this", message)
    await transcript.until(lambda: chosen.modal)

    transcript.scene("Remembering a thread")
    thread = person.start_thread(double.channel, "The pier", message)
    said = person.say(thread, "We keep it.")
    transcript.did("chooses *Apps, Remember this thread* in the thread “The pier”")
    await transcript.shown(person.choose(thread, "Remember this thread", said), "ready")


async def _files(transcript: Transcript) -> None:
    double, person = transcript.double, transcript.double.person

    def receipts(said: str) -> Callable[[], Any]:
        return lambda: [m for m in double.said(double.channel) if said in m.content]

    transcript.scene("A file in a channel")
    transcript.did("posts `handbook.pdf` in #general")
    person.say(double.channel, "our handbook", files=[("handbook.pdf", b"%PDF-1.7")])
    found = await transcript.until(receipts("handbook.pdf: 12 pages"))
    transcript.did("presses *Forget handbook.pdf*")
    await transcript.shown(person.press(found[0], "Forget handbook.pdf"))

    transcript.scene("A file that can't be read")
    transcript.did("posts `secret.pdf` in #general")
    person.say(double.channel, "", files=[("secret.pdf", b"%PDF-1.7")])
    await transcript.until(receipts("password"))


async def _offer(transcript: Transcript, played: Played) -> None:
    double, person = transcript.double, transcript.double.person
    transcript.scene("A file, where files are kept on a button (`keep_files: ask`)")
    transcript.did("posts `plan.pdf` in #general")
    person.say(double.channel, "the plan", files=[("plan.pdf", b"%PDF-1.7")])
    offers = await transcript.until(
        lambda: [m for m in double.said(double.channel) if "plan.pdf" in m.content and m.components]
    )
    transcript.did("presses *Keep*, where only admins may teach (`teach: admins`)")
    played.forbidden = {"upload"}
    await transcript.shown(person.press(offers[0], "Keep"))
    played.forbidden = set()
    transcript.did("presses *No, thanks*")
    person.press(offers[0], "No, thanks")
    await transcript.until(lambda: "didn't keep" in offers[0].content)


async def _forum(transcript: Transcript) -> None:
    double, person = transcript.double, transcript.double.person
    transcript.scene("A post in a forum (`forum_posts: true`)")
    forum = double.add_channel("questions", kind=ChannelType.FORUM)
    transcript.did("opens the post *Leave* in #questions: `How many days of leave?`")
    thread, _ = person.post(forum, "Leave", "How many days of leave?")
    await transcript.until(transcript.whole(thread))
