"""The text form of genomes whose genes are digits, in one writing that no reader takes for a number.

    macro:4:0000000-0000000-1100001

The name of the space and, where texts of two sizes could be mistaken for each other, the size come first, then the
genes in groups. A table's reader drops the zeros in front of `000010`, YAML reads `010101` as octal, and JSON readers
make a float of `11000011010011010110`; a text that begins with a letter is a text to all of them, and no shell needs it
quoted. Earlier versions wrote the bare digits, which are still read.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Int

from rwejax.errors import InputError, quoted
from rwejax.spaces import literals

_QUOTED = 700  # characters of a genome that a sentence has room for
_LOOKED_AT = 2000  # characters by which it is guessed whose text it is

_FOREIGN = (
    (r"conv[13]x3?1?-bn-relu|maxpool3x3|\bmatrix\b.*\bops\b", "a cell of NAS-Bench-101, whose space is not here"),
    (r"\|\w+~\d", "a cell of NAS-Bench-201, as the space nasbench201 has it"),
    (r"Genotype\s*\(", "a genotype of cells, as the spaces darts, of four blocks, and micro, of five, have it"),
    (r"^\s*\d{1,4}(:\d{1,4}){2,}\s*$", "a network of the size space of NATS-Bench, which is not here"),
)
"""What a text that a space cannot read may be instead."""


def refuse(space: str, text: str, words: str, form: str) -> NoReturn:
    """Refuse a text, and say whose it is where that is known.

    Args:
        space: name of the space that cannot read it.
        text: what the user gave.
        words: what is wrong, as they follow the text in a sentence.
        form: what a text of the space looks like.

    Raises:
        InputError: always.
    """
    named = re.match(r"\s*(macro|micro|nasbench_macro):", text)
    own = {"nasbench201": r"\|", "darts": "Genotype", "micro": "Genotype"}.get(space)
    known = [
        each
        for pattern, each in _FOREIGN
        if not (own and own in pattern) and re.search(pattern, text[:_LOOKED_AT], re.S)
    ]
    if named and named[1] != space:
        words = f" is a text of the space {named[1]}"
    elif known:
        words = f" is {known[0]}"
    raise InputError(f"{space} genome {quoted(text, _QUOTED)}{words}; the form is {form}")


@dataclass(frozen=True)
class DigitText:
    """The text form of a space whose genes are digits.

    Attributes:
        space: its name, with which texts begin.
        groups: how many genes each group has.
        largest: the largest value of each gene.
        size: name and value of the option that decides how many genes there are; the value follows the space's name.
        gene: what a gene is called, several of them.
        nested: how other tools nest the genes in lists, as lengths: 3 stands for [0, 0, 0], (1, 2) for [[0], [0, 0]].
    """

    space: str
    groups: tuple[int, ...]
    largest: tuple[int, ...]
    size: tuple[str, int] | None = None
    gene: str = "digits"
    nested: tuple[Any, ...] = ()

    @property
    def prefix(self) -> str:
        """What texts begin with."""
        return f"{self.space}:" if self.size is None else f"{self.space}:{self.size[1]}:"

    @property
    def example(self) -> str:
        """The text of all zeros."""
        return self.write([0] * sum(self.groups))

    def write(self, genome: Iterable[Any]) -> str:
        """The text of a genome.

        Args:
            genome: (genes,) integers within their ranges.
        """
        digits = "".join(str(int(gene)) for gene in genome)
        ends = np.cumsum(self.groups).tolist()
        return self.prefix + "-".join(digits[end - size : end] for end, size in zip(ends, self.groups, strict=True))

    def read(self, text: str) -> Int[np.ndarray, " genes"]:
        """The genome of a text.

        Args:
            text: what `write` gives; or, as earlier versions wrote, the digits in one row or with a space between
                groups; or lists or tuples of them.

        Raises:
            InputError: it is none of these; one sentence says where it goes wrong, and shows the form.
        """
        if len(text) > literals.LONGEST:
            self._refuse(text, f" has {len(text)} characters")
        body = text.strip()
        if set("[(") & set(body):
            return self._of_lists(text)
        start = len(text) - len(text.lstrip())
        named = re.match(rf"{self.space}:(?:(\d+):)?", body)
        if named:
            size = None if self.size is None else str(self.size[1])
            if named[1] != size:
                self._refuse(text, f" has the size {named[1] or 'none'} in front, and the space {size or 'none'}")
            body, start = body[named.end() :], start + named.end()
        genes: list[int] = []
        ends, separated = set(np.cumsum(self.groups)[:-1].tolist()), True
        for place, character in enumerate(body, start + 1):
            if character in "- " and len(genes) in ends and not separated:
                separated = True
                continue
            largest = self.largest[min(len(genes), len(self.largest) - 1)]
            if character not in "0123456789"[: largest + 1]:
                self._refuse(text, f": character {place} is {character!r}, not {_choice(largest)}")
            genes.append(int(character))
            separated = False
        return self._genome(text, genes)

    def _of_lists(self, text: str) -> Int[np.ndarray, " genes"]:
        numpys = re.fullmatch(r"\s*\[([\d\s]+)\]\s*", text)  # as numpy prints an array
        try:
            value = [int(word) for word in numpys[1].split()] if numpys else literals.parse(text)
        except ValueError as error:
            self._refuse(text, f" {error}")
        if not isinstance(value, list | tuple) or isinstance(value, literals.Call):
            self._refuse(text, " is no list of numbers")
        genes = list(_leaves(value))
        for place, gene in enumerate(genes):
            largest = self.largest[min(place, len(self.largest) - 1)]
            if type(gene) is not int or not 0 <= gene <= largest:
                self._refuse(text, f": number {place + 1} is {quoted(str(gene))}, not {_choice(largest)}")
        if _lengths(value) not in (len(genes), self.groups, *self.nested):
            self._refuse(text, " nests its numbers in lists of other lengths than the space has")
        return self._genome(text, genes)

    def _genome(self, text: str, genes: Sequence[int]) -> Int[np.ndarray, " genes"]:
        if len(genes) != sum(self.groups):
            size = "" if self.size is None else f" where {self.size[0]} is {self.size[1]}"
            self._refuse(text, f" has {len(genes)} {self.gene}: {sum(self.groups)} are needed{size}")
        return np.array(genes, np.int32)

    def _refuse(self, text: str, words: str) -> NoReturn:
        refuse(self.space, text, words, self.example)


def _choice(largest: int) -> str:
    return f"{', '.join(map(str, range(largest)))} or {largest}"


def _leaves(value: Any) -> Iterable[Any]:
    if isinstance(value, list | tuple) and not isinstance(value, literals.Call):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def _lengths(value: Any) -> Any:
    """How lists are nested; see `DigitText.nested`."""
    if not any(isinstance(each, list | tuple) for each in value):
        return len(value)
    return tuple(_lengths(each) if isinstance(each, list | tuple) else None for each in value)
