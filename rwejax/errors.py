"""The one exception that speaks to the user, and how it quotes what it was given."""

from typing import Any

_LONGEST_MESSAGE = 1000
_LONGEST_QUOTE = 80


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one sentence that names the input, says what is wrong with it and how to mend it; one that would
    fill a screen is abridged in the middle. Scripts print it and leave with exit code 2; a library user catches it as
    a `ValueError`.

    Args:
        message: the sentence.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(abridged(message, _LONGEST_MESSAGE))


def quoted(value: Any, longest: int = _LONGEST_QUOTE) -> str:
    """A value as Python writes it, abridged.

    Args:
        value: of any type, and of any size.
        longest: characters of a text.

    Examples:
        >>> quoted("knee"), quoted("x" * 1000)[:9], len(quoted("x" * 1000)), quoted([[0] * 9] * 9)
        ("'knee'", "'xxxxxxxx", 80, 'a list of 9')
    """
    if isinstance(value, str):
        # Only what is shown is escaped, which may make it longer.
        return abridged(repr(value if len(value) <= longest else value[:longest] + value[-longest:]), longest)
    if isinstance(value, bytes):
        return abridged(repr(value[:longest]), longest)
    if isinstance(value, list | tuple | dict | set):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, int) and abs(value) > 10**_LONGEST_QUOTE:
        return f"an integer of {value.bit_length()} bits"
    return abridged(repr(value), _LONGEST_QUOTE)


def abridged(text: str, longest: int) -> str:
    """A text, or its two ends.

    Args:
        text: the text.
        longest: characters that it may have.

    Examples:
        >>> abridged("abcdefghij", 9), abridged("abc", 9)
        ('abc...hij', 'abc')
    """
    if len(text) <= longest:
        return text
    kept = longest - 3
    return f"{text[: kept - kept // 2]}...{text[-(kept // 2) :]}"
