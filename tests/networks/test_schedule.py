"""In which order rows run, and which of them together."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rwejax.networks.program import ABSENT
from rwejax.networks.schedule import RowTable, together

KINDS = 3


@st.composite
def tables(draw):
    """Rows of a group that reads itself and one row of another group, number 0."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count, inputs = draw(st.integers(0, 60)), draw(st.integers(1, 3))
    numbers = 1 + np.arange(count)
    sources = [np.where(random.random(inputs) < 0.5, random.integers(0, n, inputs), ABSENT) for n in numbers]
    for row in sources:
        row[0] = max(row[0], 0)
    columns = [random.integers(0, high, count) for high in (5, KINDS, 2)]  # genomes, kinds and slots
    sources = np.array(sources, int).reshape(count, inputs)
    return RowTable(numbers, *columns, (sources != ABSENT).sum(1), sources)


@given(
    rows=tables(),
    sizes=st.lists(st.integers(1, 16), min_size=1, max_size=3, unique=True).map(lambda sizes: sorted(sizes)[::-1]),
    one_slot=st.lists(st.booleans(), min_size=KINDS, max_size=KINDS),
)
@settings(max_examples=100, deadline=None)
def test_chunks_hold_rows_that_can_run_together_when_their_sources_are_there(rows, sizes, one_slot):
    found = together(rows, sizes, True, np.array(one_slot))
    assert sorted(found.rows.number) == rows.number.tolist()
    chunk_of = {0: -1} | dict(zip(found.rows.number.tolist(), found.chunk_of_row.tolist(), strict=True))
    for number, sources in zip(found.rows.number, found.rows.sources, strict=True):
        assert all(chunk_of[source] < chunk_of[number] for source in sources[sources != ABSENT])
    chunks = np.split(np.arange(len(rows.number)), found.begins[1:-1]) if len(rows.number) else []
    for chunk in chunks:
        kinds, slots, fan_ins = found.rows.kind[chunk], found.rows.slot[chunk], found.rows.fan_in[chunk]
        assert len(set(kinds)) == len(set(fan_ins)) == 1
        assert not one_slot[kinds[0]] or len(set(slots)) == 1
    lengths = np.diff(found.begins)
    for number, (first, end) in enumerate(zip(found.runs, found.runs[1:], strict=False)):
        size = sizes[number % len(sizes)]
        assert (lengths[first:end] <= size).all()
        if size != sizes[-1]:
            assert (lengths[first:end] >= 0.7 * size).all(), "a larger chunk is nearly full"
    assert (len(found.runs) - 1) % len(sizes) == 0 or len(sizes) == 1
    assert found.runs[-1] == len(lengths)
