"""Slack's chapter of the transcripts."""

from __future__ import annotations

import asyncio
import html
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

from bot.adapters.slack.work import Habits
from bot.messages import Citation, Reply, ReplyChunk, ReplyEvent, Request, Sources, Status
from tests.bot.adapters.slack.bot import Bot, finished
from tests.doubles.slack import Message, SlackDouble

LEAVE = Citation(1, "handbook.pdf", 12, "Leave", "Everyone has 25 days of leave.", 0, 30)
SENTENCES = (ReplyChunk("You have 25 days. ", (LEAVE,)), ReplyChunk("Ask your lead first."))


async def script(request: Request) -> AsyncIterator[ReplyEvent]:
    """Say what the handlers would, without models."""
    match request.command:
        case "ask":
            yield Status("2 ahead of you …")
            await asyncio.sleep(0.05)
            yield Sources((LEAVE,))
            await asyncio.sleep(0.05)
            for sentence in SENTENCES:
                yield sentence
                await asyncio.sleep(0.05)
            text = "".join(sentence.text for sentence in SENTENCES)
            yield Reply("answer", text, "en", SENTENCES, (LEAVE,))
        case "upload":
            name = request.attachments[0].name
            yield Status(f"{name}: reading")
            await asyncio.sleep(0.05)
            row = {"document": "d1", "name": name, "state": "ready"}
            yield Reply("answer", f"{name}: 12 pages, 34 passages, ready", "en", data=[row])
        case "forget":
            yield Reply("answer", "Forgot travel.pdf: 1 version and 34 passages removed.", "en")
        case "open":
            found = {"document": "handbook.pdf", "page": 12, "section": "Leave"}
            yield Reply("answer", "…", "en", data=found | {"text": LEAVE.quote})
        case "status":
            yield Reply("answer", "I know 2 documents with 68 passages here.", "en")
        case "sources":
            yield Reply("answer", "handbook.pdf · 34 passages · ready", "en", data=[])
        case _:
            yield Reply("answer", "Done.", "en")


class Transcript:
    """What is done in a local Slack, and what then stands there, as Markdown."""

    def __init__(self, slack: SlackDouble) -> None:
        self.slack = slack
        self.lines = ["## Slack", ""]
        self._calls = self._responses = self._views = 0

    def scene(self, title: str) -> None:
        """Begin another situation."""
        self.lines += [f"### {title}", ""]

    def did(self, what: str) -> None:
        """Tell what somebody does."""
        self.lines += [f"**ann** {what}", ""]

    async def until(self, found: Callable[[], Any]) -> None:
        """Wait for something, and tell all that people have seen meanwhile."""
        await self.slack.until(found)
        self.told()

    def told(self) -> None:
        """Tell what the bot has sent since the last time."""
        for call in self.slack.calls[self._calls :]:
            self._called(call.method, call.args)
        self._calls = len(self.slack.calls)
        for response in self.slack.responses[self._responses :]:
            blocks = response.get("blocks")
            said = [] if blocks else [response["text"]]
            self._message("**TeamGLM**, only ann sees it", blocks, *said)
        self._responses = len(self.slack.responses)
        for view in self.slack.views[self._views :]:
            self.lines += [f"A window opens, “{view['title']['text']}”:", ""]
            self._quoted([words(block) for block in view["blocks"]])
        self._views = len(self.slack.views)

    def _called(self, method: str, args: dict[str, Any]) -> None:
        match method:
            case "chat.startStream" | "chat.appendStream" | "chat.stopStream":
                more = "" if method == "chat.startStream" else " (the same message goes on)"
                said = []
                for chunk in args.get("chunks") or ():
                    task = chunk["type"] == "task_update"
                    mark = "✓" if chunk.get("status") == "complete" else "⋯"
                    said.append(f"{mark} {chunk['title']}" if task else chunk["text"])
                if said or args.get("blocks"):
                    self._message(f"**TeamGLM**, in the thread{more}", args.get("blocks"), *said)
            case "chat.postMessage":
                where = "in the thread" if args.get("thread_ts") else "in the channel"
                self._message(f"**TeamGLM**, {where}", args["blocks"])
            case "chat.update":
                self._message("**TeamGLM** (the same message)", args["blocks"])
            case "chat.delete":
                self.lines += ["*The answer is deleted.*", ""]
            case "assistant.threads.setSuggestedPrompts":
                prompts = " ".join(f"`{each['title']}`" for each in args["prompts"])
                self.lines += [f"Suggested: {prompts}", ""]
            case "views.publish":
                self.lines += ["The home page:", ""]
                self._quoted([words(block) for block in args["view"]["blocks"]])

    def _message(self, who: str, blocks: list[dict[str, Any]] | None, *said: str) -> None:
        self.lines += [f"{who}:", ""]
        self._quoted([*said, *(words(block) for block in blocks or ())] if blocks else [*said])

    def _quoted(self, parts: list[str]) -> None:
        text = html.unescape("\n\n".join(part for part in parts if part)).replace("\u200b", "")
        self.lines += [f"> {line}".rstrip() for line in text.split("\n")] + [""]


def words(node: Any) -> str:
    """Return what people read in blocks; buttons stand between backquotes."""
    if isinstance(node, list):
        return " ".join(filter(None, map(words, node)))
    if not isinstance(node, dict):
        return ""
    match node.get("type"):
        case "button":
            return f"`{node['text']['text']}`"
        case "feedback_buttons":
            return "`👍` `👎`"
        case "divider":
            return "———"
        case "input":
            return f"{node['label']['text']}: `{node['element']['type'].replace('_', ' ')}`"
        case "markdown" | "text" | "plain_text":
            return str(node["text"])
    return words(node.get("text")) or words(node.get("elements"))


async def chapter() -> str:
    """Return the chapter."""
    async with SlackDouble() as slack:
        bot = Bot(slack, script, habits=Habits(prompts=("How many days of leave?",)))
        task = asyncio.create_task(bot.adapter.run())
        await slack.until(lambda: slack.connections)
        page = Transcript(slack)
        await _scenes(slack, page)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    return "\n".join(page.lines)


async def _answered(slack: SlackDouble, page: Transcript, thread: str | None) -> Message:
    message = await finished(slack, thread)
    page.told()
    return message


async def _scenes(slack: SlackDouble, page: Transcript) -> None:
    page.scene("A mention in a channel")
    page.did("in #general: `@TeamGLM How many days of leave?`")
    ts = await slack.mention("How many days of leave?")
    answer = await _answered(slack, page, ts)

    page.scene("A citation")
    page.did("clicks `[1] handbook.pdf, p. 12`")
    await slack.click(answer, "cite:1")
    await page.until(lambda: slack.views)

    page.scene("Going on in the thread, without a mention")
    page.did("in the thread: `And for part-timers?`")
    before = len(slack.in_thread(ts))
    await slack.say("And for part-timers?", thread_ts=ts)
    await slack.until(lambda: len(slack.in_thread(ts)) > before)
    follow_up = slack.in_thread(ts)[-1]
    await page.until(lambda: "Sources" in follow_up.markdown and not follow_up.streaming)

    page.scene("Deleting the question")
    page.did("deletes the question")
    await slack.delete(ts)
    await page.until(lambda: answer.deleted)

    page.scene("Asking privately, and sharing")
    page.did("`/ask How many days of leave?`")
    ack = await slack.command("/ask", "How many days of leave?")
    page.lines += [f"**TeamGLM**, only ann sees it: {(ack or {})['text']}", ""]
    await page.until(lambda: slack.responses)
    page.did("clicks `Share to channel`")
    await slack.click(slack.responses[-1], "share")
    await _answered(slack, page, None)

    page.scene("A file")
    page.did("posts travel.pdf in #general")
    file = slack.add_file("travel.pdf", b"%PDF", "application/pdf")
    ts = await slack.say("", files=[file])
    receipt = await finished(slack, ts, "34 passages")
    page.told()
    page.did("clicks `Forget travel.pdf`, and is asked whether she is sure")
    await slack.click(receipt, "forget")
    await page.until(lambda: "Forgot" in receipt.text)

    page.scene("A form")
    page.did("`/ask`, without a question")
    shown = len(slack.views)
    await slack.command("/ask")
    await page.until(lambda: len(slack.views) > shown)

    page.scene("The agent's pane and the home page")
    page.did("opens the app's messages, then its home")
    await slack.open_home("messages")
    await page.until(lambda: slack.prompts)
    await slack.open_home("home")
    await page.until(lambda: slack.homes)

    page.scene("Help")
    page.did("`/glm help`")
    ack = await slack.command("/glm", "help")
    page.lines += ["**TeamGLM**, only ann sees it:", ""]
    page.lines += [f"> {line}" for line in (ack or {})["text"].split("\n")] + [""]
