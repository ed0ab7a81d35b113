"""Whether a search was worth it: the trained errors of what it has found, beside random networks and a plain CNN."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from rwejax.searching.front import FINALIST, PLAIN, RANDOM
from rwejax.storage.trainings import TrainedNetwork

_LEAST_PAIRS = 3


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The finalists beside what they have to beat. Errors are those on the validation images, in %.

    Attributes:
        found: mean error of the finalists that a random network was trained beside.
        random: mean error of these random networks.
        pairs: how many they are.
        better: pairs in which the finalist has the lower error.
        standard_error: of the difference of the means, in points: from the spread of the pairs' differences, or from
            the number of images, whichever is larger.
        plain: the plain CNN, and the best finalist that is not larger, or the smallest; None where there is none.
    """

    found: float
    random: float
    pairs: int
    better: int
    standard_error: float
    plain: tuple[TrainedNetwork, TrainedNetwork] | None

    @property
    def beats_chance(self) -> bool | None:
        """Whether the finalists are better than random networks; False if they are worse, None if neither is clear.

        Clear is a difference of two standard errors in three pairs or more.
        """
        if self.pairs < _LEAST_PAIRS or not abs(self.random - self.found) > 2 * self.standard_error:
            return None
        return self.found < self.random

    @property
    def sentences(self) -> tuple[str, ...]:
        """The same in words."""
        return tuple(sentence for sentence in (self._on_chance(), self._on_plain()) if sentence)

    def _on_chance(self) -> str:
        if not self.pairs:
            return ""
        said = {
            True: "the search beats chance",
            False: "chance beats the search",
            None: "the search cannot be told from chance",
        }[self.beats_chance]
        number = f"{self.pairs} random network{'s' * (self.pairs != 1)} of the front's sizes"
        facts = f"{self.found:.1f} % error on average, where {number} have {self.random:.1f} %"
        gain = f"{self.random - self.found:+.1f} +- {self.standard_error:.1f} points"
        return f"{said}: {facts}, {gain}, better in {self.better} of {self.pairs}"

    def _on_plain(self) -> str:
        if self.plain is None:
            return ""
        plain, finalist = self.plain
        gain = plain.validation_error - finalist.validation_error
        doubt = 2 * math.hypot(plain.standard_error, finalist.standard_error)
        said = "beats" if gain > doubt else "loses to" if gain < -doubt else "is level with"
        found, other = (f"{_error(each)} with {each.macs / 1e6:.3g} M multiply-adds" for each in (finalist, plain))
        return f"it {said} a plain CNN: {found}, where that has {other}"


def judge(trained: Sequence[TrainedNetwork]) -> Verdict:
    """Hold the finalists against what they have to beat.

    Each random network is compared with a finalist of its own, so that sizes are alike; those that have diverged are
    left out.

    Args:
        trained: all networks that were trained at the end of a search.
    """
    from scipy.optimize import linear_sum_assignment  # takes a quarter of a second to import

    finalists, random, plain = (
        [each for each in trained if each.role == role and math.isfinite(each.validation_error)]
        for role in (FINALIST, RANDOM, PLAIN)
    )
    rows, columns = linear_sum_assignment(np.abs(_sizes(finalists)[:, None] - _sizes(random)))
    found, found_error = _errors([finalists[row] for row in rows])
    chance, chance_error = _errors([random[column] for column in columns])
    pairs, ahead = len(rows), chance - found
    spread = ahead.std(ddof=1) if pairs > 1 else 0.0
    doubt = math.sqrt((found_error**2 + chance_error**2).mean()) if pairs else math.nan
    return Verdict(
        found=float(found.mean()) if pairs else math.nan,
        random=float(chance.mean()) if pairs else math.nan,
        pairs=pairs,
        better=int((ahead > 0).sum()),
        standard_error=float(max(spread, doubt) / math.sqrt(max(pairs, 1))),
        plain=_beside(plain[0], finalists) if plain and finalists else None,
    )


def _errors(networks: Sequence[TrainedNetwork]) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Errors, and their standard errors."""
    measured = [(each.validation_error, each.standard_error) for each in networks]
    errors, standard_errors = np.array(measured, float).reshape(-1, 2).T
    return errors, standard_errors


def _sizes(networks: Sequence[TrainedNetwork]) -> Float[np.ndarray, " n"]:
    return np.log(np.maximum([each.macs for each in networks], 1)) if networks else np.zeros(0)


def _beside(plain: TrainedNetwork, finalists: Sequence[TrainedNetwork]) -> tuple[TrainedNetwork, TrainedNetwork]:
    smaller = [each for each in finalists if each.macs <= plain.macs]
    best = min(smaller, key=lambda each: each.validation_error, default=min(finalists, key=lambda each: each.macs))
    return plain, best


def _error(network: TrainedNetwork) -> str:
    return f"{network.validation_error:.1f} +- {network.standard_error:.1f} %"
