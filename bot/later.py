"""What is posted later: reminders, scheduled questions and digests, made of their parts."""

from __future__ import annotations

from collections.abc import Mapping

from bot.dispatch import Handler
from bot.handlers.digest import Digest, WriteDigest
from bot.handlers.due import Answers, Due, Revoked, Scheduled
from bot.handlers.remind import Proposals, Remind
from bot.handlers.reminders import ManageReminders
from bot.messages import Posting
from bot.reminders import Reminders
from bot.reminding import Reminding
from rag.records import Records


class Later:
    """The parts; platforms that are connected add themselves to `postings` by name.

    `zone` is the IANA name of the time zone of whom nothing better is known of; `page` tells
    whether there is a page to post on.
    """

    def __init__(self, reminders: Reminders, records: Records, *, zone: str, page: bool) -> None:
        self.postings: dict[str, Posting] = {}
        self.reminders = reminders
        self.reminding = Reminding(reminders, self.postings)
        self._records = records
        self._proposals = Proposals(reminders, self.postings, zone=zone, page=page)

    def handlers(self, skills: Mapping[str, Answers]) -> list[Handler]:
        """Return what people ask for, and what is due; `skills` answer scheduled questions."""

        def clock() -> float:
            return self.reminders.clock()

        return [
            Remind(self._proposals, self._records),
            ManageReminders(self.reminders, self._proposals),
            Digest(self.reminders, self._proposals),
            WriteDigest(self._records),
            Due(clock),
            Scheduled(skills, clock),
            Revoked(self.reminders),
        ]
