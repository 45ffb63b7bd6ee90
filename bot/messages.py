"""The common language of platforms and handlers: plain data, standard library only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

Language = Literal["en", "zh"]
Outcome = Literal["answer", "refusal", "busy", "error"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier message of a conversation."""

    role: Literal["user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a request; its bytes stay with the platform until a handler asks."""

    name: str
    size: int | None
    """Bytes as the platform declares them; None if it doesn't say."""
    reference: str
    """What the platform's `Download` needs to fetch it: an address, a file id or a local path.

    Of a thread to `remember` it is always the same, so that marking it again finds its document.
    """


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """What a channel has chosen; by itself, what the configuration says."""

    language: Language | None = None
    """The language of all answers; None is that of each question."""
    tone: Literal["plain", "friendly", "formal"] = "plain"
    model: str | None = None
    """The chat model that answers instead of the usual one."""
    folders: frozenset[str] | None = None
    """The watched folders whose documents answer, of those that may be seen; None for all."""
    teach: Literal["anyone", "admins"] | frozenset[str] = "anyone"
    """Who may teach the bot, of those whom the configuration lets."""


@dataclass(frozen=True, slots=True)
class Request:
    """One thing that a person asked of the bot, whatever the platform."""

    id: str
    """The platform's own id of the event: the same event delivered twice has the same id."""
    platform: str
    command: str
    """Names the handler: one of `bot.commands`, upload, remember, open, picture, rate, case or
    recall; `stop` ends the request whose id is the text."""
    text: str
    user: str
    conversation: str
    """The thread, direct message or tab that earlier turns belong to."""
    scope: str
    """Where a file that comes with this request is granted."""
    audience: frozenset[str]
    """The scopes that the destination may see now, from the verified event."""
    language: Language | None = None
    """The interface language where the platform tells it; None means the text's own."""
    attachments: tuple[Attachment, ...] = ()
    history: tuple[Turn, ...] | None = None
    """Earlier turns where the platform keeps them; None means the bot remembers them itself."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of the command, as the command line names them (`k`, `rebuild`)."""
    address: Mapping[str, str] = field(default_factory=dict)
    """Where the adapter delivers the reply; nobody else reads it."""
    is_admin: bool = False
    """The platform says that this person administers the place, or the bot itself."""
    plain: bool = False
    """Said without a command: the skill that it asks for answers, if another than `ask` does."""
    around: Mapping[str, str] = field(default_factory=dict)
    """Where a plain message stands: `thread` and `channel` refer to what was said there, as an
    attachment does (of a channel, `/` and a time follow), if it may be read; `title` names it."""
    channel: ChannelSettings = ChannelSettings()
    """What the channel has chosen: `dispatch` says it, whatever an adapter does."""


@dataclass(frozen=True, slots=True)
class Citation:
    """A passage that supports a sentence: `quote` is `text[start:end]` of the document's text."""

    number: int
    document: str
    page: int | None
    section: str | None
    quote: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Status:
    """What the bot is doing now, in words; `done` of `total` where it can be counted."""

    text: str
    done: int | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Sources:
    """What retrieval found, shown while the answer is being written."""

    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class ReplyChunk:
    """A checked sentence of the answer with the passages that support it; never taken back."""

    text: str
    """Plain text, never markup; it carries the white space before the sentence."""
    citations: tuple[Citation, ...] = ()


@dataclass(frozen=True, slots=True)
class File:
    """A file that the bot gives back: a table, a picture of a chart."""

    name: str
    content: bytes
    about: str = ""
    """What a picture shows, in words."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The end of every request: an answer, a refusal, a "busy" or an error, in words."""

    outcome: Outcome
    text: str
    language: Language
    chunks: tuple[ReplyChunk, ...] = ()
    """The sentences of `text` where it is a generated answer; else empty."""
    citations: tuple[Citation, ...] = ()
    model: str | None = None
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    data: Any = None
    """The command's result as JSON, in the shape that the command line prints with `--json`."""
    nearest: tuple[Citation, ...] = ()
    """Of a refusal: a passage of each document that came nearest, to be looked at; no proof."""
    files: tuple[File, ...] = ()
    """What comes along; at most a few megabytes in all."""
    taken_for: str | None = None
    """The command that a plain message was taken for; a click has it answered as a question."""


ReplyEvent = Status | Sources | ReplyChunk | Reply

Handle = Callable[[Request], AsyncIterator[ReplyEvent]]
"""Answers a request: any number of events, of which exactly the last is a `Reply`; never raises."""

Forbids = Callable[[Request], Reply | None]
"""Returns why a person may not give a command; None where they may. Nothing is done yet."""

Download = Callable[[Attachment, Path, int], Awaitable[None]]
"""Writes an attachment's bytes to a path and stops with `AttachmentError` past so many bytes."""


class Fetched(Protocol):
    """How a server answered; the body was written only if `status` is 200."""

    @property
    def status(self) -> int:
        """Return the HTTP status."""
        ...

    @property
    def size(self) -> int:
        """Return how many bytes were written."""
        ...

    @property
    def html(self) -> bool:
        """Tell whether the body begins as a web page does, whatever the server calls it."""
        ...


class Fetch(Protocol):
    """The one way out to addresses that people or platforms give; `rag.fetch.Fetcher.fetch`."""

    async def __call__(
        self,
        url: str,
        path: Path,
        limit: int,
        *,
        origins: Collection[str] | None = None,
        own: Collection[str] = (),
        token: str | None = None,
    ) -> Fetched:
        """Write what stands at an address to a path; raise an error that a reply can explain.

        Only https at the `origins` ("https://files.slack.com") is asked, and what the configuration
        names as its `own`, which may also be http or in a private network. A bearer `token` goes to
        those and follows no redirect.
        """
        ...


class Posting(Protocol):
    """What a platform does about what people want posted later."""

    async def zone_of(self, user: str) -> str | None:
        """Return the IANA name of a person's time zone; None where the platform doesn't tell."""
        ...

    async def may_post(self, user: str, team: str, channel: str) -> bool | None:
        """Tell whether a person may post in a channel now; None where nobody can know just now."""
        ...

    async def post(self, event: Event) -> bool:
        """Take over something that is due; False while the platform isn't connected.

        Its kind is "due". One that is known already is taken over too, and changes nothing.
        """
        ...


class AttachmentError(Exception):
    """An attachment that cannot be had: `code` is a document error's code, `not_in_channel` or
    `nothing_said`; the text says why."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class PlatformError(Exception):
    """A platform refuses the bot; the text is one sentence that says what to do about it."""

    discreet = True
    """The text holds nothing that people wrote, so that it may be in the log."""


@dataclass(frozen=True, slots=True)
class Event:
    """What a platform told the bot, stored before it is acknowledged."""

    id: str
    """The platform's own: the same event delivered again has the same id."""
    platform: str
    team: str
    """The workspace or server, with its organisation where there is one."""
    channel: str
    kind: str
    """The adapter's own word for what this is: "message", "edited", "deleted", "command" …"""
    payload: Mapping[str, Any]
    """All that the adapter needs to work on the event after a restart, as JSON values."""
    message: str | None = None
    """The message that this is about: events with other ids but the same (platform, team, channel,
    message, edition) are the same event. None for commands and buttons."""
    edition: str = ""
    """Empty for what was first said; an edit's own stamp; "deleted" for the deletion."""
    starts: int = 0
    """How often a start of the bot has found this event unfinished."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far a reply has come on its platform."""

    request: str
    fresh: bool
    """It was begun just now. Else look before the first post: the message after those of `parts`
    may already stand there."""
    place: int = 0
    """Which of the places that the adapter offers the reply stands in."""
    parts: tuple[str, ...] = ()
    """The messages that it occupies, in order, as the adapter refers to them."""
    reply: Reply | None = None
    """The whole reply where it is written and only its delivery is unfinished."""
    done: bool = False
    """It stands there complete."""


class Inbox(Protocol):
    """Every event has exactly one outcome, whatever happens to the process.

    What a method changes is on disk when it returns; none of them blocks the event loop, and being
    cancelled doesn't undo them. Each raises what the database raises.
    """

    async def add(self, event: Event) -> bool:
        """Store an event; return False for one that is already known."""
        ...

    async def pending(self, platform: str) -> list[Event]:
        """Return the events that aren't done, oldest first; counts as one of their `starts`."""
        ...

    async def done(self, event: Event) -> None:
        """Say that an event needs no more work: its payload is deleted, its ids are kept."""
        ...

    async def begin(self, request: Request, event: Event, over: str | None = None) -> Delivery:
        """Return how far the reply to a request has come.

        With `over`, the id of an earlier request, a new reply takes over that reply's messages and
        question; the earlier one is done and forgotten.
        """
        ...

    async def posted(self, request: Request, place: int, parts: Sequence[str]) -> None:
        """Note the messages that a reply occupies."""
        ...

    async def answered(self, request: Request, reply: Reply) -> None:
        """Keep the whole reply until it is delivered."""
        ...

    async def delivered(self, request: Request) -> None:
        """Say that the reply stands there complete: its text is deleted."""
        ...

    async def replies_to(
        self, platform: str, team: str, channel: str, message: str
    ) -> list[Delivery]:
        """Return the replies to a question's message that weren't withdrawn or taken over."""
        ...

    async def withdraw(self, platform: str, request: str) -> None:
        """Say that a reply was deleted: it is done, and what was said is forgotten."""
        ...

    async def knows(self, platform: str, conversation: str) -> bool:
        """Tell whether the bot has replied in a conversation: it is in that thread."""
        ...

    async def heard(self, platform: str) -> list[tuple[str, str, str]]:
        """Return the team, the channel and the newest message known of it, of every channel."""
        ...
