"""What trains networks during a search and at its end, on all of its hosts."""

import dataclasses
import json
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Int

from rwejax.data import Dataset
from rwejax.evaluate.population import PopulationTrainer, Recipe, describe_setting, measured
from rwejax.runtime import collectives
from rwejax.runtime.signals import uninterrupted
from rwejax.searching.observers import TrainingPlan
from rwejax.spaces import Macro, Space
from rwejax.storage.trainings import TrainedNetwork, Trainings


class NetworkTrainer:
    """Trains networks of a search, and plain CNNs, in the order that the first host gives; each host has one.

    Args:
        space: of the search, made for the images.
        dataset: the images.
        seed: of the search.
    """

    def __init__(self, space: Space, dataset: Dataset, seed: int) -> None:
        self._space, self._dataset, self._seed = space, dataset, seed
        self._trainers: dict[int | None, PopulationTrainer] = {}

    def of(self, channels: int | None = None) -> PopulationTrainer:
        """What trains networks of one space; each compiles once.

        Args:
            channels: of the plain CNN; None: networks of the search.
        """
        if channels not in self._trainers:
            shape, classes = self._space.input_shape, self._space.classes
            space = self._space if channels is None else Macro(2, channels, shape, classes)
            self._trainers[channels] = PopulationTrainer(space, self._dataset, Recipe(seed=self._seed))
        return self._trainers[channels]

    def setting(self, plan: TrainingPlan) -> dict[str, object]:
        """The first line of trainings.jsonl: where nothing is trained, with the minutes that would be needed.

        Args:
            plan: how networks are trained.
        """
        recipe = dataclasses.replace(self.of().recipe, epochs=plan.epochs)
        needed = {} if plan.epochs else {"minutes": plan.minutes}
        return describe_setting(self._space, self._dataset, recipe) | needed

    def train(
        self, genomes: Int[np.ndarray, "n genes"], epochs: int, channels: int | None = None
    ) -> Iterator[tuple[int, TrainedNetwork]]:
        """Train networks on all hosts; called on the first.

        Args:
            genomes: the networks, in canonical form.
            epochs: passes over the train images.
            channels: of plain CNNs; None: networks of the search.

        Yields:
            The number of a network, and what was measured of it.
        """
        collectives.text_of_first_host(json.dumps([genomes.tolist(), epochs, channels]))
        return measured(self.of(channels), genomes, epochs)

    def append(
        self,
        file: Trainings,
        genomes: Int[np.ndarray, "n genes"],
        roles: Sequence[str],
        channels: int | None = None,
        generation: int = 0,
    ) -> Iterator[TrainedNetwork]:
        """Train networks, and write each down as soon as it is finished; those that stand there are left out.

        Args:
            file: gets the lines, and says how many epochs.
            genomes: the networks, in canonical form.
            roles: what each is trained for.
            channels: of plain CNNs; None: networks of the search.
            generation: finished generations, for the lines.

        Yields:
            What was measured of each.
        """
        space = self.of(channels).space
        texts = [space.to_string(genome) for genome in genomes]
        missing = [n for n, text in enumerate(texts) if (roles[n], text) not in file.known]
        if not missing:
            return
        for number, found in self.train(genomes[missing], file.setting["epochs"], channels):
            network = dataclasses.replace(found, role=roles[missing[number]], generation=generation)
            with uninterrupted():
                file.append(network)
            yield network

    def end(self) -> None:
        """Tell the other hosts that no more networks are trained for now."""
        collectives.text_of_first_host("")

    def follow(self) -> None:
        """Train, with the first host, what that one trains until its `end`."""
        while text := collectives.text_of_first_host(""):
            genomes, epochs, channels = json.loads(text)
            for _ in measured(self.of(channels), np.array(genomes, np.int32), epochs):
                pass
