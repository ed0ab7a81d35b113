"""Tables of results as pandas data frames. pandas is an extra, and imported when a frame is asked for."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rwejax.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def make_dataframe(columns: Mapping[str, Any]) -> "pd.DataFrame":
    """A data frame; columns of texts have the dtype string.

    Args:
        columns: sequences or arrays of equal length, by name.

    Raises:
        InputError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise InputError("to_dataframe needs pandas, which is not installed: pip install 'rwejax[pandas]'") from error
    texts = {name: "string" for name, values in columns.items() if len(values) and isinstance(values[0], str)}
    return pd.DataFrame(dict(columns)).astype(texts)
