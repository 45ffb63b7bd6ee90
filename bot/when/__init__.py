"""When something shall be done, out of what people write, by a grammar: no model, and no guess.

A library that finds dates in any text (dateparser) takes what it doesn't understand for something
else; here, what isn't understood, or could mean two times, is asked back as `Unclear`.
"""

from bot.when.parsing import Said, read, read_when
from bot.when.times import is_zone, timetable
from bot.when.words import DAYS, Pieces, Unclear

__all__ = ["DAYS", "Pieces", "Said", "Unclear", "is_zone", "read", "read_when", "timetable"]
