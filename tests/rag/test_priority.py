import threading

import pytest

from rag.priority import Priority


class Background:
    """Gives way in a thread, as ingestion does between batches."""

    def __init__(self, priority: Priority) -> None:
        self.done = threading.Event()
        self.entered = threading.Event()
        self.thread = threading.Thread(target=self.work, args=(priority,), daemon=True)
        self.thread.start()
        self.entered.wait()

    def work(self, priority: Priority) -> None:
        self.entered.set()
        priority.give_way()
        self.done.set()


def test_background_work_goes_on_at_once_where_nobody_asks() -> None:
    Priority().give_way()


def test_background_work_waits_until_the_last_question_is_answered() -> None:
    priority = Priority()
    with priority.question():
        with priority.question():
            work = Background(priority)
        assert not work.done.wait(0.05)
    assert work.done.wait(10)
    work.thread.join()


def test_a_question_that_fails_no_longer_holds_background_work_back() -> None:
    priority = Priority()
    with pytest.raises(RuntimeError), priority.question():
        raise RuntimeError
    priority.give_way()


def test_questions_never_wait_for_one_another() -> None:
    priority = Priority()
    with priority.question():
        inner = threading.Thread(target=lambda: priority.question().__enter__())
        inner.start()
        inner.join(10)
        assert not inner.is_alive()


def test_what_needs_a_quiet_moment_is_done_in_one_or_not_at_all() -> None:
    priority = Priority()
    done: list[str] = []
    with priority.question():
        assert not priority.when_quiet(lambda: done.append("early"), timeout=0.01)
    assert priority.when_quiet(lambda: done.append("now"))
    assert done == ["now"]
