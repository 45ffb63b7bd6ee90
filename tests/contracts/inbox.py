"""What every `Inbox` must do; a test class inherits it and brings the fixture `inbox`."""

from __future__ import annotations

from dataclasses import replace

from bot.messages import Citation, Event, Inbox, Reply, ReplyChunk, Request

CITED = Citation(1, "手册.pdf", 3, "Leave", "Ten days.", 0, 9)
ANSWER = Reply(
    "answer", "十天。", "zh", (ReplyChunk("十天。", (CITED,)),), (CITED,), "m", {"total": 1.5}, [1]
)
SAID = Event("E1", "slack", "T", "C", "message", {"text": "怎么请假？", "files": []}, "1.1")
ASKED = Request("E1", "slack", "ask", "怎么请假？", "U", "T:C:1.1", "s", frozenset({"public"}))


class InboxContract:
    """The contract of `bot.messages.Inbox`."""

    async def test_an_event_is_known_by_its_id_and_by_its_message(self, inbox: Inbox) -> None:
        assert await inbox.add(SAID)
        assert not await inbox.add(SAID)
        assert not await inbox.add(replace(SAID, id="E2"))
        assert not await inbox.add(replace(SAID, message="other"))
        assert await inbox.pending("slack") == [replace(SAID, starts=1)]

    async def test_what_differs_in_one_thing_is_another_event(self, inbox: Inbox) -> None:
        changes = [
            {},
            {"platform": "discord"},
            {"team": "T2"},
            {"channel": "C2"},
            {"message": "1.2"},
            {"edition": "1.3"},
            {"edition": "deleted"},
        ]
        for number, change in enumerate(changes):
            assert await inbox.add(replace(SAID, id=f"E{number}", **change))  # type: ignore[arg-type]

    async def test_events_without_a_message_are_told_apart_by_id(self, inbox: Inbox) -> None:
        command = replace(SAID, kind="command", message=None)
        assert await inbox.add(command)
        assert await inbox.add(replace(command, id="E2"))
        assert not await inbox.add(command)

    async def test_what_is_not_done_is_pending_in_order(self, inbox: Inbox) -> None:
        events = [replace(SAID, id=f"E{n}", message=f"{n}") for n in range(3)]
        for event in events:
            await inbox.add(event)
        await inbox.add(replace(SAID, platform="discord"))
        await inbox.done(events[1])
        assert [event.id for event in await inbox.pending("slack")] == ["E0", "E2"]
        assert [event.starts for event in await inbox.pending("slack")] == [2, 2]
        assert not await inbox.add(events[1])

    async def test_a_reply_is_resumed_where_it_was(self, inbox: Inbox) -> None:
        begun = await inbox.begin(ASKED, SAID)
        assert (begun.fresh, begun.parts, begun.reply, begun.done) == (True, (), None, False)
        await inbox.posted(ASKED, 1, ["C/1", "C/2"])
        await inbox.answered(ASKED, ANSWER)
        again = await inbox.begin(ASKED, SAID)
        assert (again.fresh, again.place, again.parts) == (False, 1, ("C/1", "C/2"))
        assert again.reply is not None
        assert (again.reply.text, again.reply.chunks) == (ANSWER.text, ANSWER.chunks)
        await inbox.delivered(ASKED)
        done = await inbox.begin(ASKED, SAID)
        assert (done.done, done.reply, done.parts) == (True, None, ("C/1", "C/2"))

    async def test_the_replies_to_a_message_are_found(self, inbox: Inbox) -> None:
        upload = replace(ASKED, id="E1:upload", command="upload")
        for asked in (upload, ASKED):
            await inbox.begin(asked, SAID)
        await inbox.begin(replace(ASKED, id="E9"), replace(SAID, id="E9", message="9.9"))
        found = await inbox.replies_to("slack", "T", "C", "1.1")
        assert sorted(reply.request for reply in found) == ["E1", "E1:upload"]
        assert await inbox.replies_to("slack", "T2", "C", "1.1") == []
        assert await inbox.replies_to("discord", "T", "C", "1.1") == []

    async def test_a_reply_that_takes_over_has_the_messages_and_the_question(
        self, inbox: Inbox
    ) -> None:
        await inbox.begin(ASKED, SAID)
        await inbox.posted(ASKED, 1, ["C/1"])
        await inbox.delivered(ASKED)
        edited = replace(SAID, id="E2", edition="2.2")
        again = replace(ASKED, id="E2")
        begun = await inbox.begin(again, edited, over="E1")
        assert (begun.fresh, begun.place, begun.parts, begun.done) == (True, 1, ("C/1",), False)
        button = replace(SAID, id="E3", kind="button", message=None)
        await inbox.begin(replace(ASKED, id="E3"), button, over="E2")
        [found] = await inbox.replies_to("slack", "T", "C", "1.1")
        assert (found.request, found.parts) == ("E3", ("C/1",))
        assert (await inbox.begin(ASKED, SAID)).done
        assert (await inbox.begin(again, edited, over="E1")).done

    async def test_a_withdrawn_reply_is_done_and_stays_so(self, inbox: Inbox) -> None:
        await inbox.begin(ASKED, SAID)
        await inbox.posted(ASKED, 0, ["C/1"])
        await inbox.withdraw("slack", "E1")
        await inbox.posted(ASKED, 0, ["C/1", "C/2"])
        await inbox.answered(ASKED, ANSWER)
        assert await inbox.replies_to("slack", "T", "C", "1.1") == []
        gone = await inbox.begin(ASKED, SAID)
        assert (gone.done, gone.parts, gone.reply) == (True, (), None)

    async def test_the_bot_knows_the_conversations_that_it_is_in(self, inbox: Inbox) -> None:
        assert not await inbox.knows("slack", "T:C:1.1")
        await inbox.begin(ASKED, SAID)
        assert await inbox.knows("slack", "T:C:1.1")
        assert not await inbox.knows("slack", "T:C:1.2")
        assert not await inbox.knows("discord", "T:C:1.1")
        await inbox.withdraw("slack", "E1")
        assert not await inbox.knows("slack", "T:C:1.1")

    async def test_the_newest_message_of_every_channel_is_known(self, inbox: Inbox) -> None:
        assert await inbox.heard("slack") == []
        later = replace(SAID, id="E2", message="2.2")
        elsewhere = replace(SAID, id="E3", channel="C2", message="1.5")
        for event in (SAID, later, elsewhere, replace(SAID, id="E4", message=None)):
            await inbox.add(event)
        await inbox.done(SAID)
        assert sorted(await inbox.heard("slack")) == [("T", "C", "2.2"), ("T", "C2", "1.5")]
        assert await inbox.heard("discord") == []
