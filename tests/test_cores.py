"""Work on all cores."""

import threading
import time
from functools import partial

import pytest

from mien.cores import AHEAD, at_once, cores


def test_results_come_in_the_order_of_their_tasks_and_from_several_threads() -> None:
    meeting = threading.Barrier(2)  # both have to be under way at the same time

    def meet(number: int) -> int:
        if cores() > 1 and number < 2:
            meeting.wait(30)
        time.sleep(0.02 * (number % 3))
        return number

    assert list(at_once(partial(meet, number) for number in range(9))) == list(range(9))


def test_few_tasks_are_taken_before_their_results_are() -> None:
    taken = 0

    def tasks():
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield partial(int, number)

    results = at_once(tasks())
    assert next(results) == 0
    assert taken <= AHEAD * cores() + 1
    results.close()
    assert taken <= AHEAD * cores() + 1


def test_a_mistake_of_a_task_is_raised_where_its_result_would_come() -> None:
    results = at_once([partial(int, "1"), partial(int, "one"), partial(int, "3")])
    assert next(results) == 1
    with pytest.raises(ValueError, match="one"):
        next(results)
