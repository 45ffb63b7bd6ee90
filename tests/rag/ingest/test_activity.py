from __future__ import annotations

import threading

import pytest

from rag.ingest.activity import Activity, Stopping, Working


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_time_left_follows_from_the_pace_so_far_without_the_pauses() -> None:
    clock = Clock()
    activity = Activity(clock)
    assert activity.now() is None
    with activity.working("reading"):
        assert activity.now() == Working("reading", 0.0, None, False)
        clock.now += 10
        activity.advance(0.25)
        assert activity.now() == Working("reading", 0.25, 30.0, False)
        activity.pause()
        clock.now += 1000
        assert activity.now() == Working("reading", 0.25, None, True)
        activity.resume()
        assert activity.now() == Working("reading", 0.25, 30.0, False)
    assert activity.now() is None


def test_work_within_work_is_told_instead_of_it() -> None:
    activity = Activity()
    with activity.working("reading"):
        activity.advance(0.5)
        with activity.working("rebuilding"):
            assert activity.now() == Working("rebuilding", 0.0, None, False)
        working = activity.now()
        assert working
        assert (working.what, working.share) == ("reading", 0.5)


def test_paused_work_waits_until_it_may_go_on_or_must_end() -> None:
    activity = Activity()
    activity.wait()
    ends: list[str] = []
    for end in (activity.resume, activity.stop):
        activity.pause()

        def work() -> None:
            try:
                activity.wait()
                ends.append("went on")
            except Stopping:
                ends.append("ended")

        thread = threading.Thread(target=work)
        thread.start()
        thread.join(0.05)
        assert thread.is_alive()
        end()
        thread.join(10)
        assert not thread.is_alive()
    assert ends == ["went on", "ended"]
    with pytest.raises(Stopping):
        activity.wait()
