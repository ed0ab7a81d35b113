"""What a process makes once, such as functions that are compiled: who asks for the same again gets the same."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


def kept(most: int) -> Callable[[Callable[_P, _T]], Callable[_P, _T]]:
    """As `functools.lru_cache`; but what cannot be hashed, such as a user's space with a list in it, is made each time.

    Args:
        most: results that are kept, those that were asked for last.
    """

    def decorate(make: Callable[_P, _T]) -> Callable[_P, _T]:
        remember = functools.lru_cache(most)(make)

        @functools.wraps(make)
        def call(*arguments: _P.args, **options: _P.kwargs) -> _T:
            try:
                hash((arguments, tuple(options.items())))
            except TypeError:
                return make(*arguments, **options)
            return remember(*arguments, **options)  # type: ignore[arg-type]  # all have just been hashed

        return call

    return decorate
