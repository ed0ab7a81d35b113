"""What files may say: JSON and cells of CSV against a type, by msgspec, with every mistake in one short sentence."""

import json
import math
import re
import sys
from typing import Annotated, Any, TypeVar

import msgspec

from rwejax.errors import abridged, quoted

T = TypeVar("T")

Natural = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""From 0; what a float64 can count."""

Positive = Annotated[int, msgspec.Meta(ge=1, le=2**53)]

Number = Annotated[float, msgspec.Meta(ge=-sys.float_info.max, le=sys.float_info.max)]
"""A finite one."""

Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e12)]

Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]

Text = Annotated[str, msgspec.Meta(max_length=2**16)]


def parse_json(text: bytes) -> Any:
    """What strict JSON says: UTF-8, finite numbers, and each key once.

    Args:
        text: the JSON.

    Raises:
        ValueError: it is no such thing.
    """
    try:
        return json.loads(
            text.decode("utf-8"), object_pairs_hook=_distinct, parse_constant=_finite, parse_float=_finite
        )
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def convert(content: Any, kind: type[T], strict: bool = True) -> T:
    """Content as a type says; what the type does not name is left out.

    Args:
        content: of `parse_json`, or texts.
        kind: a type that msgspec knows.
        strict: whether a text stays one and is no number.

    Raises:
        ValueError: the content is not of this type.
    """
    try:
        return msgspec.convert(content, kind, strict=strict)
    except msgspec.ValidationError as error:
        what, _, where = str(error).replace("`", "").partition(" - at $")
        where = re.sub(r"^\.", "", where)
        raise ValueError(abridged(f"{where}: {what}" if where else what, 200)) from error
    except (RecursionError, OverflowError) as error:
        raise ValueError("it is nested too deeply or holds too large a number") from error


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"it has the key {quoted(next(name for name in names if names.count(name) > 1))} twice")
    return found


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{quoted(text)} is no finite number")
    return value
