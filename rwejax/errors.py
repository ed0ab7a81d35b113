"""The one exception that speaks to the user."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one sentence that names the input, says what is wrong with it and how to mend it. Scripts print it
    and leave with exit code 2; a library user catches it as a `ValueError`.
    """
