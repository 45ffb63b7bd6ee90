"""Slack's chapter of the transcripts."""

from __future__ import annotations

import asyncio
import html
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from bot.adapters.slack.work import Habits
from tests.bot.adapters.slack.bot import Bot, finished
from tests.doubles.slack import Message, SlackDouble
from tests.transcripts.played import Played


class Transcript:
    """What is done in a local Slack, and what then stands there, as Markdown."""

    def __init__(self, slack: SlackDouble) -> None:
        self.slack = slack
        self.lines = ["## Slack", ""]
        self._calls = self._responses = self._views = 0

    def scene(self, title: str) -> None:
        """Begin another situation."""
        self.lines += [f"### {title}", ""]

    def did(self, what: str, who: str = "ann") -> None:
        """Tell what somebody does."""
        self.lines += [f"**{who}** {what}", ""]

    def acknowledged(self, answer: dict[str, Any] | None, who: str = "ann") -> None:
        """Tell what a command is acknowledged with."""
        self.lines += [f"**TeamGLM**, only {who} sees it:", ""]
        self.lines += [f"> {line}" for line in (answer or {})["text"].split("\n")] + [""]

    def skip(self) -> None:
        """Leave out what the bot has sent since the last time."""
        kept = list(self.lines)
        self.told()
        self.lines = kept

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
            over = " (in place of the last)" if response["replace_original"] else ""
            self._message(f"**TeamGLM**, only one person sees it{over}", blocks, *said)
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
        slack.people["U0ANN"] = {"real_name": "Ann"}
        slack.locales["U0LIN"] = "zh-CN"
        page, played = Transcript(slack), Played()
        async with _running(slack, played, Habits(prompts=("How many days of leave?",))):
            await _questions(slack, page, played)
            await _chinese(slack, page)
            await _private(slack, page)
            await _commands(slack, page)
            await _shortcuts(slack, page)
            await _files(slack, page)
            await _home(slack, page)
        async with _running(slack, played, Habits(keep_files="ask")):
            await _offer(slack, page, played)
    return "\n".join(page.lines)


@asynccontextmanager
async def _running(slack: SlackDouble, played: Played, habits: Habits) -> AsyncIterator[None]:
    """Run an adapter that is connected."""
    before = slack.connections
    bot = Bot(slack, played, habits=habits, forbids=played.forbids)
    task = asyncio.create_task(bot.adapter.run())
    await slack.until(lambda: slack.connections > before)
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _answered(
    slack: SlackDouble, page: Transcript, thread: str | None, said: str = "Sources:"
) -> Message:
    message = await finished(slack, thread, said)
    page.told()
    return message


async def _questions(slack: SlackDouble, page: Transcript, played: Played) -> None:
    page.scene("A mention in a channel, when others are waiting")
    played.ahead = 2
    page.did("in #general: `@TeamGLM How many days of leave?`")
    ts = await slack.mention("How many days of leave?")
    answer = await _answered(slack, page, ts)
    played.ahead = 0

    page.scene("A citation")
    page.did("clicks `[1] handbook.pdf, p. 12`")
    await slack.click(answer, "cite:1")
    await page.until(lambda: slack.views)

    page.scene("Rating an answer")
    page.did("clicks 👍")
    await slack.click(answer, "rate", value="up Ev1")
    await page.until(lambda: slack.responses)

    page.scene("Regenerating an answer")
    page.did("clicks `Regenerate`")
    edits = slack.count("chat.update")
    await slack.click(answer, "again")
    await slack.until(lambda: slack.count("chat.update") > edits)
    await page.until(lambda: "Sources" in answer.markdown)

    page.scene("Editing the question")
    page.did("edits it to `@TeamGLM How far is the moon?`")
    await slack.edit(ts, f"<@{slack.bot_user}> How far is the moon?")
    await page.until(lambda: "can't find" in answer.markdown)

    page.scene("Deleting the question")
    page.did("deletes the question")
    await slack.delete(ts)
    await page.until(lambda: answer.deleted)

    page.scene("Going on in the thread, without a mention")
    page.did("in #general: `@TeamGLM How many days of leave?`, and then: `And for part-timers?`")
    ts = await slack.mention("How many days of leave?")
    await finished(slack, ts)
    page.skip()
    await slack.say("And for part-timers?", thread_ts=ts)
    await slack.until(lambda: len(slack.in_thread(ts)) == 2)
    follow_up = slack.in_thread(ts)[1]
    await page.until(lambda: "Sources" in follow_up.markdown and not follow_up.streaming)

    page.scene("Stopping an answer")
    played.holding = asyncio.Event()
    page.did("in #general: `@TeamGLM How many days of leave?`")
    ts = await slack.mention("How many days of leave?")
    growing = await slack.reply(lambda said: "25 days" in said, ts)
    page.told()
    page.did("presses Slack's stop button")
    await slack.press_stop(growing)
    await page.until(lambda: "Stopped." in growing.markdown)
    played.holding = None

    page.scene("When too many ask")
    played.busy = True
    page.did("in #general: `@TeamGLM How many days of leave?`")
    await _answered(slack, page, await slack.mention("How many days of leave?"), "Please ask again")
    played.busy = False


async def _chinese(slack: SlackDouble, page: Transcript) -> None:
    page.scene("A question in Chinese")
    page.did("in #general: `@TeamGLM 差旅费多久内报销？`", who="lin")
    ts = await slack.mention("差旅费多久内报销？", user="U0LIN")
    await _answered(slack, page, ts, "来源")

    page.scene("Help, in the language of one's Slack")
    page.did("`/glm help`", who="lin")
    ack = await slack.command("/glm", "help", user="U0LIN")
    page.acknowledged(ack, "lin")


async def _private(slack: SlackDouble, page: Transcript) -> None:
    page.scene("Asking privately, regenerating, sharing")
    page.did("`/ask How many days of leave?`")
    seen = len(slack.responses)
    page.acknowledged(await slack.command("/ask", "How many days of leave?"))
    await page.until(lambda: len(slack.responses) > seen)
    page.did("clicks `Regenerate`")
    await slack.click(slack.responses[-1], "again")
    await page.until(lambda: len(slack.responses) > seen + 2)
    page.did("clicks `Share to channel`")
    await slack.click(slack.responses[-1], "share")
    await _answered(slack, page, None)

    page.scene("A form")
    page.did("`/ask`, without a question")
    shown = len(slack.views)
    await slack.command("/ask")
    await page.until(lambda: len(slack.views) > shown)


async def _commands(slack: SlackDouble, page: Transcript) -> None:
    page.scene("Commands whose answers only one person sees")
    for text in ("search leave", "sources", "status", "forget handbook.pdf"):
        page.did(f"`/glm {text}`")
        seen = len(slack.responses)
        await slack.command("/glm", text)
        await page.until(lambda seen=seen: len(slack.responses) > seen)  # type: ignore[misc]

    page.scene("Summarising a document")
    page.did("`/summarise handbook.pdf`")
    seen = len(slack.messages)
    await slack.command("/summarise", "handbook.pdf")
    await page.until(
        lambda: len(slack.messages) > seen and "Sources" in slack.messages[-1].markdown
    )

    page.scene("What did I miss")
    await slack.say("The pier is closed until Monday")
    page.did("`/glm missed 2h`")
    seen = len(slack.responses)
    await slack.command("/glm", "missed 2h")
    await page.until(lambda: len(slack.responses) > seen)

    page.scene("A command that needs more opens a form")
    page.did("`/glm extract`")
    opened = len(slack.views)
    await slack.command("/glm", "extract")
    await page.until(lambda: len(slack.views) > opened)

    page.scene("Values out of a thread, which a message's link names")
    root = await slack.say("We meet at the pier at 9:30, bring the plan.")
    link = f"https://team.slack.com/archives/C0GENERAL/p{root.replace('.', '')}"
    page.did(f"`/glm extract {link} fields=time`")
    seen = len(slack.messages)
    await slack.command("/glm", f"extract <{link}> fields=time")
    await page.until(
        lambda: len(slack.messages) > seen and "Sources" in slack.messages[-1].markdown
    )

    page.scene("Learning a web page")
    page.did("`/glm learn https://example.org/faq`")
    await slack.command("/glm", "learn https://example.org/faq")
    await page.until(lambda: "ready" in slack.messages[-1].text)

    page.scene("Help")
    page.did("`/glm help`")
    page.acknowledged(await slack.command("/glm", "help"))


async def _shortcuts(slack: SlackDouble, page: Transcript) -> None:
    page.scene("Shortcuts on a message")
    root = await slack.say("We have to decide about the pier")
    page.did("chooses *Summarise* on the message `We have to decide about the pier`")
    await slack.shortcut("summarise", root)
    await _answered(slack, page, root)
    page.did("chooses *Remember this thread*")
    await slack.shortcut("remember", root)
    await _answered(slack, page, root, "ready")
    page.did("chooses *Ask about this*")
    shown = len(slack.views)
    await slack.shortcut("ask_about", root)
    await page.until(lambda: len(slack.views) > shown)


async def _files(slack: SlackDouble, page: Transcript) -> None:
    page.scene("A file")
    page.did("posts handbook.pdf in #general")
    file = slack.add_file("handbook.pdf", b"%PDF", "application/pdf")
    ts = await slack.say("", files=[file])
    receipt = await _answered(slack, page, ts, "ready")
    page.did("clicks `Forget handbook.pdf`, and is asked whether she is sure")
    await slack.click(receipt, "forget")
    await page.until(lambda: "Forgot" in receipt.text)

    page.scene("A file that can't be read")
    page.did("posts secret.pdf in #general")
    file = slack.add_file("secret.pdf", b"%PDF", "application/pdf")
    await _answered(slack, page, await slack.say("", files=[file]), "password")


async def _home(slack: SlackDouble, page: Transcript) -> None:
    page.scene("The agent's pane and the home page")
    page.did("opens the app's messages, then its home")
    await slack.open_home("messages")
    await page.until(lambda: slack.prompts)
    await slack.open_home("home")
    await page.until(lambda: slack.homes)


async def _offer(slack: SlackDouble, page: Transcript, played: Played) -> None:
    page.scene("Where files are kept on a button (`keep_files: ask`), by admins (`teach: admins`)")
    played.forbidden = {"upload"}
    slack.people["U0LIN"] = {"is_admin": True}
    page.did("posts plan.pdf in #general", who="lin")
    file = slack.add_file("plan.pdf", b"%PDF", "application/pdf")
    ts = await slack.say("", files=[file], user="U0LIN")
    offer = await _answered(slack, page, ts, "plan.pdf")
    page.did("clicks the button, who is no admin")
    seen = len(slack.responses)
    await slack.click(offer, "keep")
    await page.until(lambda: len(slack.responses) > seen)
    page.did("clicks it", who="lin")
    await slack.click(offer, "keep", user="U0LIN")
    await page.until(lambda: "已就绪" in offer.text)
