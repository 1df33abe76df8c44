"""Numbers in bulk are the numbers that Python reads one by one, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.io.number_text import parse_floats, parse_indices

FAST = settings(max_examples=60, deadline=None)
SPELLINGS = ("{!r}", "{:.6f}", "{:.9g}", "{:+.3f}", "{:.17g}", "{:e}", "{:.1f}")
WHITE = (" ", "\n", "  ", "\t", " \n", ", ")


@FAST
@given(
    st.lists(st.tuples(st.floats(-1e9, 1e9), st.sampled_from(SPELLINGS), st.sampled_from(WHITE)), max_size=40)
)
def test_floats_are_correctly_rounded(items: list[tuple[float, str, str]]) -> None:
    words = [spelling.format(value) for value, spelling, _ in items]
    text = "".join(word + white for word, (*_, white) in zip(words, items))
    np.testing.assert_array_equal(parse_floats(text.encode()), np.array([float(word) for word in words]))


@pytest.mark.parametrize("text", ["1.", ".5", "-.25", "+3", "007", "-0", "1e5 2", "inf 1", "999999999999999"])
def test_odd_spellings(text: str) -> None:
    np.testing.assert_array_equal(parse_floats(text.encode()), [float(word) for word in text.split()])


@pytest.mark.parametrize("text", ["1.2.3", "1-2", "--1", ".", "-", "1 2 x", "1e", "0x10", "1,5x"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_floats((text + " 1.5 2.5" * 20).encode())


@FAST
@given(
    st.sampled_from(["{0}", "{0}/{1}", "{0}/{1}/{2}", "{0}//{2}"]),
    st.lists(st.integers(-(10**9), 10**9), min_size=3),
)
def test_indices_of_one_form(form: str, numbers: list[int]) -> None:
    rows = [(a, b, c) for a, b, c in zip(numbers, numbers[1:], numbers[2:])]
    found = parse_indices(" ".join(form.format(*row) for row in rows).encode())
    kept = [place for place in range(3) if f"{{{place}}}" in form]
    if len(form.format(*max(rows, key=lambda row: len(form.format(*row))))) <= 18:
        assert found is not None
    if found is not None:
        np.testing.assert_array_equal(found, np.array(rows)[:, kept])


@pytest.mark.parametrize("text", ["1/2 3", "1//2 3/4/5", "1/ 2/3", "/1 2/3", "1-2/3", "1/2/3/4", "-", "x"])
def test_indices_of_mixed_or_damaged_forms_are_left_to_the_slow_way(text: str) -> None:
    assert parse_indices(text.encode()) is None
