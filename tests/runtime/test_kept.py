"""What a process makes once."""

from rwejax.runtime.kept import kept


def test_the_same_is_made_once_and_the_oldest_is_forgotten():
    made = []
    make = kept(2)(lambda *arguments, **options: made.append((arguments, options)) or object())
    first = make(1, size=2)
    assert make(1, size=2) is first
    assert make(1, size=3) is not first
    make(2)
    assert make(1, size=2) is not first
    assert len(made) == 4


def test_what_cannot_be_hashed_is_made_each_time():
    make = kept(2)(lambda values: [*values])
    assert make([1, 2]) == [1, 2]
    assert make([1, 2]) is not make([1, 2])
    assert make((1, 2)) is make((1, 2))
