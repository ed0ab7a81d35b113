"""Downloading a public set that is not on disk, and saying in one sentence why that cannot be done.

TensorFlow Datasets is an extra, which `load_tfds` imports when a set is first looked into.
"""

import contextlib
import difflib
import importlib
import importlib.util
import io
import logging
import socket
import threading
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from rwejax.errors import InputError

PROBE_SECONDS = 3.0
WELL_KNOWN = "https://storage.googleapis.com"  # where most sets, and their metadata, are downloaded from
PACKAGES = ("tensorflow_datasets", "array_record", "importlib_resources")  # what reads a prepared set
PORTS = {"http": 80, "https": 443, "ftp": 21, "socks": 1080, "socks4": 1080, "socks5": 1080, "socks5h": 1080}


def load_tfds(name: str) -> ModuleType:
    """Imports TensorFlow Datasets, for a set that is about to be read.

    Args:
        name: of the set, for the error.

    Returns:
        The module `tensorflow_datasets`.

    Raises:
        InputError: it, or a package without which it reads nothing, is not installed.
    """
    missing = [package for package in PACKAGES if importlib.util.find_spec(package) is None]
    if missing:
        raise InputError(
            f"dataset {name!r} needs the package {missing[0]}, which is not installed: pip install 'rwejax[tfds]', "
            "or use 'digits' or 'folder:PATH'"
        )
    with quiet():
        return importlib.import_module("tensorflow_datasets")


def prepare(name: str, root: Path) -> Path:
    """Downloads a set and writes it below `root`, ready to be read without TensorFlow.

    What is cheap to find out comes first, what takes longest last: the name, the kind of data, the network (three
    seconds), TensorFlow, the download.

    Args:
        name: NAME, NAME/CONFIG or NAME:VERSION.
        root: the folder of all sets.

    Returns:
        The folder of the prepared set.

    Raises:
        InputError: any of these stands in the way.
    """
    builder = _builder(name, root)
    check_features(name, builder.info.features)
    where = f"dataset {name!r} is not prepared in {str(root)!r}"
    mend = f"point data_dir (--data-dir) or TFDS_DATA_DIR to a folder that holds {builder.info.full_name}"
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        raise InputError(
            f"{where} and has to be downloaded by hand: follow www.tensorflow.org/datasets/catalog/{builder.name}, "
            f"then {mend}"
        )
    url = next((url for url in builder.url_infos or () if urlsplit(url).scheme in PORTS), WELL_KNOWN)
    if not reachable(url):
        raise InputError(f"{where} and there is no network to download it from {urlsplit(url).hostname}: {mend}")
    if importlib.util.find_spec("tensorflow") is None:
        raise InputError(f"{where} and preparing it needs TensorFlow: pip install 'rwejax[prepare]', or {mend}")
    try:
        builder.download_and_prepare()
    except Exception as error:  # whatever the network, the disk and the code of some 250 sets can raise
        raise InputError(f"{where} and could not be prepared there ({why(error)}): try again, or {mend}") from error
    return Path(builder.data_dir)


def unknown(name: str) -> InputError:
    """The error for a name that means nothing, with the nearest ones that do."""
    names = ["digits"]
    if importlib.util.find_spec("tensorflow_datasets") is not None:  # else it is said only that the name means nothing
        with quiet():
            # The community's sets are listed on the network only.
            names += load_tfds(name).list_builders(with_community_datasets=False)
    close = difflib.get_close_matches(name.lower(), names)
    guess = f"did you mean {' or '.join(map(repr, close))}? Use" if close else "use"
    return InputError(f"dataset {name!r} is unknown: {guess} 'digits', 'folder:PATH' or a TensorFlow Datasets name")


def check_features(name: str, features: Any) -> None:
    """Refuses a set unless its features include one `image` and its class as `label`.

    Args:
        name: of the set, for the error.
        features: what TensorFlow Datasets says that a record holds.

    Raises:
        InputError: one of the two is missing, or is of another kind.
    """
    tfds = load_tfds(name)
    kinds = {"image": tfds.features.Image, "label": tfds.features.ClassLabel}
    if not isinstance(features, tfds.features.FeaturesDict) or not all(
        key in features and isinstance(features[key], kind) for key, kind in kinds.items()
    ):
        raise InputError(
            f"dataset {name!r} is no image classification set, which would have the features 'image' and 'label': "
            "choose another set"
        )


def reachable(url: str, seconds: float = PROBE_SECONDS) -> bool:
    """Whether the host of a URL, or the proxy that the environment prescribes for it, takes a connection in time.

    Args:
        url: its scheme, host and port count, what follows does not.
        seconds: how long to wait.
    """
    parts = urlsplit(url)
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    connected = threading.Event()

    def connect() -> None:
        with (
            contextlib.suppress(OSError, ValueError),
            socket.create_connection(
                (parts.hostname or "", parts.port or PORTS.get(parts.scheme, 80)), timeout=seconds
            ),
        ):
            connected.set()

    # A thread, because no timeout bounds the resolution of a name.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(seconds)
    return connected.is_set()


def why(error: Exception) -> str:
    """The first line of another library's message, to stand in brackets within our own."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    return line.rpartition('}": ')[2]  # TensorFlow Datasets puts all arguments of a builder in front


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps the banners, log lines and warnings of TensorFlow Datasets off the user's terminal."""
    logger = logging.getLogger("absl")
    level = logger.level
    silence = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence):
        warnings.simplefilter("ignore")
        try:
            logger.setLevel(logging.CRITICAL)
            yield
        finally:
            logger.setLevel(level)


def _builder(name: str, root: Path) -> Any:
    tfds = load_tfds(name)
    with quiet():
        if name.partition("/")[0].partition(":")[0] not in tfds.list_builders(with_community_datasets=False):
            raise unknown(name)
        try:
            return tfds.builder(name, data_dir=root, file_format="array_record")
        except Exception as error:  # the code of some 250 sets, of which some import what is not installed
            mend = "choose another version or set"
            if "No module named 'tensorflow'" in str(error):
                mend = "pip install 'rwejax[prepare]', or point data_dir (--data-dir) or TFDS_DATA_DIR to where it lies"
            raise InputError(
                f"dataset {name!r} is not prepared in {str(root)!r} and cannot be built by TensorFlow Datasets "
                f"({why(error)}): {mend}"
            ) from error
