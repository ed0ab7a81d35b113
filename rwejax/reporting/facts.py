"""What every page says of its run: what was run, on what, where the seconds went, and what to type next."""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from rwejax.config import RunConfig
from rwejax.console import duration
from rwejax.data.summary import summarise
from rwejax.runtime.invocation import invocation
from rwejax.storage.meta import Meta
from rwejax.version import __version__


class Command(NamedTuple):
    """Something to type next.

    Attributes:
        purpose: what it does.
        line: to be copied.
    """

    purpose: str
    line: str


class Bar(NamedTuple):
    """A value of several that are compared.

    Attributes:
        name: of what.
        text: the value as it is written.
        percent: of a whole bar.
    """

    name: str
    text: str
    percent: float


def command(purpose: str, name: str, *words: object) -> Command:
    """A command line that calls rwejax the way the user has.

    Args:
        purpose: what it does.
        name: the subcommand.
        words: what follows it.
    """
    return Command(purpose, invocation(name, *words))


def options(config: RunConfig, defaults: RunConfig) -> list[tuple[str, str, bool]]:
    """Each field of a config as its flag, its value, and whether that is another one than by default.

    Args:
        config: of the run.
        defaults: of its kind.
    """

    def all_fields() -> Iterator[tuple[str, str, bool]]:
        for field in dataclasses.fields(config):  # type: ignore[arg-type]
            value = getattr(config, field.name)
            if field.name != "run_dir":
                yield f"--{field.name.replace('_', '-')}", str(value), value != getattr(defaults, field.name)

    return list(all_fields())


def origin(meta: Meta) -> list[tuple[str, str]]:
    """Versions, machine and times, by name.

    Args:
        meta: what meta.json says.
    """
    known: dict[str, Any] = dict(meta)
    machine = " ".join(str(known[name]) for name in ("devices", "device") if name in known)
    facts = {
        "started": known.get("start_time"),
        "resumed": ", ".join(known.get("resume_times", [])),
        "device": machine,
        "system": known.get("system"),
        "Python": known.get("python"),
        **known.get("versions", {}),
        "this page": f"rwejax {__version__}, {datetime.now(UTC).isoformat(sep=' ', timespec='minutes')}",
    }
    return [(name, str(value)) for name, value in facts.items() if value]


def images(meta: Meta, config: Any) -> list[str]:
    """What the images are, in lines.

    Args:
        meta: what meta.json says.
        config: has train_images and validation_images.
    """
    if "classes" not in meta:
        return []
    counts = {"train": config.train_images, "validation": config.validation_images}
    lines = []
    if all(counts.values()):
        lines = summarise(meta["classes"], counts, "", meta.get("class_counts", ())).splitlines()
    if "image_shape" in meta:
        lines.append(f"{' x '.join(map(str, meta['image_shape']))} pixels and channels")
    return lines


def classes(meta: Meta) -> list[tuple[str, int | None]]:
    """Names of classes, and how many images each has, if that is known.

    Args:
        meta: what meta.json says.
    """
    names, counts = meta.get("class_names", []), meta.get("class_counts", [])
    return [(name, counts[label] if len(counts) == len(names) else None) for label, name in enumerate(names)]


def bars_of_seconds(parts: Sequence[tuple[str, float]]) -> list[Bar]:
    """Seconds as bars, the longest first; what took none is left out.

    Args:
        parts: names and seconds.
    """
    total = sum(seconds for _, seconds in parts)
    ordered = sorted((part for part in parts if part[1] > 0), key=lambda part: -part[1])
    return [
        Bar(name, f"{duration(seconds)}, {100 * seconds / total:.0f} %", 100 * seconds / ordered[0][1])
        for name, seconds in ordered
    ]


def relative(path: Path, beside: Path) -> str | None:
    """The way from a page to another file, as a link has it; None where there is no such file.

    Args:
        path: the file.
        beside: the page.
    """
    if not path.exists():
        return None
    return quote(os.path.relpath(path, beside.parent).replace(os.sep, "/"))
