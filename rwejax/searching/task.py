"""What a search evaluates with, and what it chooses by: images, space, estimators, costs and algorithm."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from rwejax import data, spaces
from rwejax.errors import InputError
from rwejax.evaluate import estimators
from rwejax.evaluate.racing import Earlier, Race
from rwejax.evaluate.scoring import PopulationScorer, Scored
from rwejax.evolve import NSGA2, hypervolume
from rwejax.evolve.random_search import RandomSearch
from rwejax.runtime import collectives
from rwejax.runtime.device_kinds import kind_of
from rwejax.runtime.kept import kept
from rwejax.runtime.stopwatch import part
from rwejax.searching.config import SearchConfig
from rwejax.searching.costs import PopulationCosts
from rwejax.searching.images import describe_images, load_searched, sample
from rwejax.searching.records import Evaluation
from rwejax.searching.trained.trainer import NetworkTrainer


@kept(4)
def _algorithm(name: str, population_size: int, space: Any, archive_size: int) -> Any:
    """The algorithm, each object of which compiles anew."""
    make = NSGA2 if name == "nsga2" else RandomSearch
    return make(population_size, space, archive_size)


class Task:
    """What a run folder does not hold because it follows from the config: images, space, evaluator, algorithm.

    Args:
        config: the search; numbers of images may be left to what there is.
        meta: what meta.json of a run says that is resumed.

    Attributes:
        config: with the numbers of images and the precision that were chosen.
        images: what meta.json says of them.
        samples: some of them, to be looked at.
        summary: what a screen says of them.
        space: made for the images.
        costs: of the networks.
        trainer: trains networks.

    Raises:
        InputError: the images cannot be loaded or have changed, or the config does not go with them.
    """

    def __init__(self, config: SearchConfig, meta: Mapping[str, Any] | None = None) -> None:
        estimators.register_references(config.estimator or "")
        spaces.get(config.space, **config.sizes)  # a wrong name or option is answered before images are loaded
        # Every host sees for itself whether its images are those that the first one's folder describes.
        dataset = load_searched(config, json.loads(collectives.text_of_first_host(json.dumps(meta or {}))))
        config = data.settle(config, dataset)
        if config.precision == "auto":  # a search that is resumed on another device keeps its own
            config = dataclasses.replace(config, precision=kind_of(jax.local_devices()[0]).precision)
        self.config = config
        self.images, self.samples, self.summary = describe_images(dataset), sample(dataset), dataset.summary
        shape, classes = dataset.image_shape, dataset.classes
        self.space = spaces.get(config.space, input_shape=shape, classes=classes, **config.sizes)
        # A host that has other images would spoil the scores of all, and nobody would see it.
        if len(set(collectives.every_host(np.uint32(int(dataset.fingerprint[:8], 16))).tolist())) > 1:
            raise InputError(f"dataset {config.dataset!r} holds other images on one host than on another: copy it anew")
        if config.race_images and jax.process_count() > 1:
            raise InputError(
                f"race_images is {config.race_images} on several hosts: leave it out, or search on one host"
            )
        given: dict[str, Any] = {
            "seeds": config.seeds,
            "score": config.score,
            "genomes_per_program": config.genomes_per_program,
            "images_per_batch": config.images_per_batch,
            "calibration_images": config.calibration_images,
            "precision": config.precision,
        }
        self.objectives: PopulationScorer | Race = (
            Race(self.space, dataset, config.race_images, **given)
            if config.race_images
            else PopulationScorer(self.space, dataset, config.estimators, extras=config.extras, **given)
        )
        self.algorithm = _algorithm(config.algorithm, config.population_size, self.space, config.evaluations)
        self.params = self.algorithm.default_params
        # One key for all evaluations of a run: genomes of different generations must meet the same weights.
        self.key_evaluate, self.key_evolve = jax.random.split(jax.random.key(config.seed))
        self.costs = PopulationCosts(self.space, config)
        self.trainer = NetworkTrainer(self.space, dataset, config.seed)

    def first_state(self, genomes: Int[Any, "n genes"], objectives: Float[np.ndarray, "n m"]) -> Any:
        """The algorithm's state after the first generation.

        Args:
            genomes: the population, in canonical form.
            objectives: of them, to be minimised.
        """
        return self.algorithm.init(self.key_evolve, genomes, objectives.astype(np.float32), self.params)

    @part("ask")
    def ask(self, generation: int, state: Any) -> Int[np.ndarray, "n genes"]:
        """The genomes of a generation, in canonical form.

        Args:
            generation: counted from 0.
            state: the algorithm's, None before the first.
        """
        key = jax.random.fold_in(self.key_evolve, 2 * generation)
        if state is None:
            asked = self.algorithm.initial_population(key)
        else:
            asked, _ = self.algorithm.ask(key, state, self.params)
        return np.asarray(self.space.canonical(np.asarray(asked)))

    @part("evaluation")
    def evaluate(self, genomes: Int[np.ndarray, "n genes"], evaluations: Sequence[Evaluation] = ()) -> Scored:
        """Score the genomes of the first host, on all hosts.

        Args:
            genomes: of this host; those of another than the first do not matter.
            evaluations: the earlier ones, which in a race say who drops out.
        """
        genomes = collectives.every_host(np.asarray(genomes, np.int32))[0]
        if isinstance(self.objectives, Race):
            return self.objectives(self.key_evaluate, genomes, _earlier(evaluations, self.config.score))
        return self.objectives(self.key_evaluate, genomes)

    @part("tell")
    def tell(self, generation: int, state: Any, genomes: Int[Any, "n genes"], objectives: Float[Any, "n m"]) -> Any:
        """The algorithm's state after a generation.

        Args:
            generation: counted from 0.
            state: before it, None before the first.
            genomes: of the generation.
            objectives: of them, to be minimised.
        """
        # A low cost is no merit of a network that has no score.
        objectives = np.where(np.isfinite(objectives).all(1, keepdims=True), objectives, np.inf)
        if state is None:
            return self.first_state(genomes, objectives)
        key = jax.random.fold_in(self.key_evolve, 2 * generation + 1)
        told = self.algorithm.tell(key, genomes, objectives.astype(np.float32), state, self.params)[0]
        return jax.block_until_ready(told)  # what is still on its way would count as another part

    @part("tell")
    def reselect(self, state: Any, genomes: Int[Any, "n genes"], objectives: Float[Any, "n m"]) -> Any:
        """The algorithm's state with the survivors of all evaluations, whose objectives are other ones than before.

        Args:
            state: the algorithm's.
            genomes: of all evaluations so far.
            objectives: of them, as they are now.
        """
        # Padded, so that it is compiled once; what is NaN never survives.
        padded = np.full((self.config.evaluations, objectives.shape[1]), np.nan, np.float32)
        padded[: len(objectives)] = np.where(np.isfinite(objectives).all(1, keepdims=True), objectives, np.inf)
        every = np.concatenate([genomes, np.repeat(genomes[:1], len(padded) - len(genomes), axis=0)])
        return jax.block_until_ready(self.algorithm.reselect(every, padded, state))

    def compile_ahead(self, genomes: Int[np.ndarray, "n genes"]) -> None:
        """Compile what follows on the first evaluation, by calling it and throwing the results away.

        Args:
            genomes: any.
        """
        objectives = np.ones((len(genomes), len(self.config.objectives)))
        state = self.tell(0, None, genomes, objectives)
        self.ask(1, state)
        self.tell(1, state, genomes, objectives)
        if self.config.calibrate:
            self.reselect(state, genomes, objectives)
        self.hypervolume(objectives)

    def reference(self, objectives: Float[np.ndarray, "n m"]) -> tuple[float, ...] | None:
        """What the hypervolume is measured from; the first generation that has scores settles it, None before.

        Args:
            objectives: of all evaluations so far.
        """
        size, scores = self.config.population_size, objectives[:, : len(self.config.estimators)]
        for start in range(0, len(scores), size):
            if (worst := self.objectives.reference(scores[start : start + size])) is not None:
                return *worst, *self.costs.largest
        return None

    def hypervolume(self, objectives: Float[np.ndarray, "n m"]) -> float:
        """What the evaluations dominate; 0 before there is a reference.

        Args:
            objectives: of all evaluations so far.
        """
        reference = self.reference(objectives)
        if reference is None:
            return 0.0
        # Padded, so that it is compiled once.
        padded = np.full((self.config.evaluations, objectives.shape[1]), np.inf, np.float32)
        padded[: len(objectives)] = objectives
        return float(hypervolume(padded, np.array(reference, np.float32)))


def _earlier(evaluations: Sequence[Evaluation], score: str) -> Earlier:
    whole = [each.objectives[0] if np.isfinite(each.scores[score]) else np.inf for each in evaluations]
    first = [each.scores["race_error"] for each in evaluations]
    return Earlier(np.array(first, float), np.array(whole, float), np.array([each.macs for each in evaluations], float))
