from __future__ import annotations

import pytest

from bot.turns import Buckets, Full, Ticket, Turns


def turns(slots: int = 1, waiting: int = 10, waiting_each: int = 5) -> Turns:
    return Turns(slots, waiting=waiting, waiting_each=waiting_each)


def order(line: Turns, running: Ticket, waiting: list[Ticket]) -> list[Ticket]:
    """Return who gets the turn, one after the other."""
    served = []
    while waiting:
        line.leave(running)
        [running] = [ticket for ticket in waiting if not ticket.ahead]
        waiting = [ticket for ticket in waiting if ticket is not running]
        served.append(running)
    return served


def test_a_free_turn_is_given_at_once() -> None:
    line = turns(slots=2)
    assert [line.join("a").ahead, line.join("a").ahead, line.join("a").ahead] == [0, 0, 2]
    assert (line.running, line.waiting) == (2, 1)


def test_people_take_turns_however_much_one_of_them_asks() -> None:
    line = turns()
    running = line.join("flood")
    flood = [line.join("flood") for _ in range(4)]
    others = [line.join("ann"), line.join("ben")]
    assert [ticket.ahead for ticket in others] == [1, 2]
    assert [ticket.ahead for ticket in flood] == [3, 4, 5, 6]
    assert order(line, running, [*flood, *others]) == [*others, *flood]


def test_who_had_a_turn_longest_ago_is_next() -> None:
    line = turns()
    running = line.join("ann")
    first = [line.join(user) for user in ("ben", "ann", "cleo")]
    assert order(line, running, first) == [first[0], first[2], first[1]]


def test_the_place_in_the_line_is_told_when_it_changes() -> None:
    line = turns()
    running, second, third = (line.join(user) for user in "abc")
    assert [second.ahead, third.ahead] == [1, 2]
    for ticket in (second, third):
        ticket.changed.clear()
    line.leave(running)
    assert [second.ahead, third.ahead] == [0, 1]
    assert second.changed.is_set()
    assert third.changed.is_set()


def test_who_gives_up_lets_the_others_move_up() -> None:
    line = turns()
    line.join("a")
    second, third = line.join("b"), line.join("c")
    line.leave(second)
    assert third.ahead == 1


def test_the_line_is_bounded_in_all_and_for_each() -> None:
    line = turns(waiting=3, waiting_each=2)
    for _ in range(3):
        line.join("flood")
    with pytest.raises(Full):
        line.join("flood")
    line.join("ann")
    with pytest.raises(Full):
        line.join("ben")
    assert line.waiting == 3


def test_a_bucket_lets_so_many_through_and_fills_again() -> None:
    now = 0.0
    buckets = Buckets(2, lambda: now)
    assert [buckets.wait("a"), buckets.wait("a")] == [0, 0]
    assert buckets.wait("a") == pytest.approx(30)
    assert buckets.wait("b") == 0
    now = 10.0
    assert buckets.wait("a") == pytest.approx(20)
    now = 30.0
    assert buckets.wait("a") == 0
    assert buckets.wait("a") == pytest.approx(30)
    now = 1000.0
    assert [buckets.wait("a"), buckets.wait("a")] == [0, 0]
    assert buckets.wait("a") > 0
