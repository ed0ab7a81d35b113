import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwejax.runtime import stopwatch
from rwejax.runtime.stopwatch import Stopwatch, part


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def wait(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(stopwatch.time, "perf_counter", clock)
    return clock


def test_a_part_inside_another_counts_for_itself_alone(clock):
    watch = Stopwatch()
    clock.wait(100)  # before it runs
    with watch:
        clock.wait(1)
        with part("evaluation"):
            clock.wait(2)
            with part("planning"):
                clock.wait(4)
            clock.wait(8)
        clock.wait(16)
        assert watch.lap() == {"other": 17, "evaluation": 10, "planning": 4}
        clock.wait(32)
        assert watch.lap() == {"other": 32}


def test_a_part_ends_with_an_exception(clock):
    watch = Stopwatch()

    @part("tell")
    def fail():
        clock.wait(1)
        raise ValueError("broken")

    with watch:
        for _ in range(2):
            with pytest.raises(ValueError, match="broken"):
                fail()
            clock.wait(5)
        assert watch.lap() == {"tell": 2, "other": 10}


def test_other_threads_and_other_times_do_not_count(clock):
    watch = Stopwatch()

    def work():
        with part("ask"):
            clock.wait(1)

    with watch:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    work()
    with watch:
        assert "ask" not in watch.lap()


# A list is a part with these inside it, a number so many seconds.
@given(st.recursive(st.integers(0, 9), lambda inside: st.lists(inside, max_size=4), max_leaves=20))
def test_parts_add_up_to_all_of_the_time(tree):
    clock = Clock()

    def work(tree, depth):
        if isinstance(tree, int):
            clock.wait(tree)
            return
        with part(str(depth)):
            for each in tree:
                work(each, depth + 1)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stopwatch.time, "perf_counter", clock)
        watch = Stopwatch()
        with watch:
            work(tree, 0)
            assert sum(watch.lap().values()) == clock.now
