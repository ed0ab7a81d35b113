"""The objectives of a search as data: what is minimised, how it is recorded, and how it is written.

A score comes from an estimator, which looks at images and random weights; a cost follows from the network alone. What
evaluations.jsonl records of either is in base units, such as multiply-adds or bytes; what a search minimises is in the
units of its objective, and negated where more is better.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from rwejax.errors import InputError, quoted


@dataclasses.dataclass(frozen=True)
class Objective:
    """One of the numbers that a search minimises.

    Attributes:
        name: its key in evaluations.jsonl and front.csv.
        label: how it is called on a screen or an axis.
        unit: of what is minimised and shown; empty for none.
        maximised: whether more is better.
        cost: whether it is a cost of the network, known without images and weights.
        scale: base units in one unit.
        units: words after a number in a limit, and the base units in each.

    Examples:
        >>> macs = COSTS["macs"]
        >>> macs.minimised(3e6), macs.write(3.0), macs.parse("300M")
        (3.0, 'multiply-adds 3.000 M', 300000000.0)
        >>> score("nwot").minimised(7.0), score("nwot").write(-7.0)
        (-7.0, 'nwot 7.0000')
    """

    name: str
    label: str
    unit: str = ""
    maximised: bool = False
    cost: bool = False
    scale: float = 1.0
    units: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def title(self) -> str:
        """The label with its unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    @property
    def axis(self) -> str:
        """The title of an axis of what is minimised, and that less of it is better."""
        return f"{'negative ' * self.maximised}{self.title}, lower is better"

    def minimised(self, recorded: Any) -> Any:
        """What a search minimises of recorded values; numbers or arrays."""
        return (-recorded if self.maximised else recorded) / self.scale

    def number(self, minimised: float) -> str:
        """A minimised value as it is shown, in the objective's unit and without its sign."""
        decimals = 2 if self.unit == "%" else 3 if self.cost else 4
        return f"{-minimised if self.maximised else minimised:.{decimals}f}"

    def write(self, minimised: float) -> str:
        """The label, the value and the unit of a minimised value."""
        return f"{self.label} {self.number(minimised)} {self.unit}".rstrip()

    def parse(self, text: str) -> float:
        """A limit in base units, from a text such as 300M or 5ms.

        Args:
            text: a number, and one of `units` or nothing.

        Raises:
            InputError: it is none.
        """
        found = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,18})?) ?([A-Za-z]{0,9})", text)
        if found is None or found[2] not in self.units:
            known = ", ".join(unit for unit in self.units if unit)
            raise InputError(
                f"{self.name} {quoted(text)} is no limit: give a number and one of {known}, such as {self._such}"
            )
        return float(found[1]) * self.units[found[2]]

    @property
    def _such(self) -> str:
        return {"macs": "300M", "params": "2M", "memory": "2MiB", "latency": "5ms"}[self.name]


_COUNTS = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9}
_BYTES = {"": 1.0, "B": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
_TIMES = {"": 1.0, "us": 1e-3, "ms": 1.0, "s": 1e3}

RWE_SCORES = {
    objective.name: objective
    for objective in (
        Objective("loo_error", "leave-one-out error", "%"),
        Objective("validation_error", "validation error", "%"),
        Objective("loo_squared_error", "leave-one-out squared error"),
        Objective("log_evidence", "log evidence", "nats an image and class", maximised=True),
    )
}
"""The scores of random-weight evaluation, any of which can rank."""

FORWARD_SCORES: dict[str, tuple[str, ...]] = {
    "rwe": tuple(RWE_SCORES),
    "rwe_softmax": ("rwe_softmax",),
    "rwf": ("rwf", "rwf_features", "rwf_codes"),
    "fit_path": ("fit_path", "fit_path_features", "fit_path_codes"),
    "nwot": ("nwot",),
}
"""The estimators that one pass forwards is enough for, any of them together, and the scores that each gives."""

_HEADS = ("rwe", "rwe_softmax")  # look at all images, the others at the calibration images alone


def seen_together(names: Sequence[str]) -> tuple[str, ...]:
    """The forward estimators that some of them leave next to no work for: their names, and the others'.

    The softmax head is trained, and so is none of them unless it is asked for.

    Args:
        names: of estimators; those that are not in `FORWARD_SCORES` are left out.

    Examples:
        >>> seen_together(("snip", "fit_path")), seen_together(("rwe",))
        (('fit_path', 'rwf', 'nwot'), ('rwe', 'rwf', 'fit_path', 'nwot'))
    """
    looks = tuple(name for name in names if name in FORWARD_SCORES)
    if not looks:
        return ()
    heads = _HEADS[:1] if set(looks) & set(_HEADS) else ()
    others = [name for name in FORWARD_SCORES if name not in _HEADS]
    return *looks, *(name for name in (*heads, *others) if name not in looks)


RACE_ERROR = Objective("race_error", "error on the first images", "%")
"""What a race records of every genome."""

TRAINED_ERROR = Objective("trained_error", "error when trained", "%")
"""What the front of a search is of, beside its costs, once its networks are trained: that on the validation images."""

COSTS = {
    objective.name: objective
    for objective in (
        Objective("macs", "multiply-adds", "M", cost=True, scale=1e6, units=_COUNTS),
        Objective("params", "parameters", "k", cost=True, scale=1e3, units=_COUNTS),
        Objective("memory", "activation memory", "KiB", cost=True, scale=2.0**10, units=_BYTES),
        Objective("latency", "latency", "ms", cost=True, units=_TIMES),
    )
}
"""What a network can cost: multiply-adds, parameters, peak bytes of activations for one image, and milliseconds."""

COMPLEXITY = ("macs", "params")
"""The costs that every record has, and that are also estimators, which look at no image and draw no weights."""


def score(name: str) -> Objective:
    """The objective of a recorded score; those that only estimators know have no unit, and more is better.

    Args:
        name: one of `RWE_SCORES`, race_error, or the name of an estimator.
    """
    known = {**RWE_SCORES, RACE_ERROR.name: RACE_ERROR}
    return known.get(name) or Objective(name, name, maximised=True)


def recorded(name: str) -> Objective:
    """The objective of a key of evaluations.jsonl: a cost or a score.

    Args:
        name: the key.
    """
    return COSTS.get(name) or score(name)
