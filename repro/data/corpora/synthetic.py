"""Text without end, made from a seed: for sizes of model that no text at hand is long enough for.

It shows how fast and how exactly a study runs. It is no language, and what a study finds on it is about this text
alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from repro.config.checks import within
from repro.config.registries import CORPORA
from repro.data.corpora.corpus import Corpus, Document

MAKING = 1
"""How it is made; part of the identity."""
WORDS, TOPICS, SUCCESSORS = 8192, 64, 8
LENGTH, AT_ONCE = 512, 1024
"""Words of a document, and documents that are made side by side."""
FOLLOWS = 0.65
"""How often a word is one of the few that its predecessor likes; else it is drawn from the document's topic."""
STOPS = 0.07
"""How often a sentence ends after a word."""


@CORPORA.register("synthetic")
@dataclass(frozen=True, kw_only=True)
class Synthetic(Corpus):
    """Made-up words in Zipf's proportions, of a topic to a document, each with a few likely successors."""

    label = "synthetic text"
    licence = "made on the spot: nobody's"

    megabytes: int = within(1, 10**6, 32)
    """Text, in 10^6 characters, up to a thousand documents more; a longer one begins as a shorter one does."""
    text_seed: int = within(0, 2**63 - 1, 0)
    """Decides words, topics and text. Not the run's seed."""

    def documents(self, cache: Path) -> Iterator[Document]:
        source = _Source(self.text_seed)
        made = number = 0
        while made < self.megabytes * 10**6:
            for text in source.documents():
                yield Document(text, f"synthetic document {number}")
                made, number = made + len(text), number + 1

    def identity(self) -> dict[str, object]:
        sizes = [WORDS, TOPICS, SUCCESSORS, LENGTH, AT_ONCE, FOLLOWS, STOPS]
        shape = {"making": MAKING, "sizes": sizes, "seed": self.text_seed, "megabytes": self.megabytes}
        return {"synthetic": shape}


class _Source:
    """Draws documents. Of numpy's generator it takes uniform numbers alone, whose bits numpy keeps."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.Generator(np.random.Philox(seed))
        self._zipf = np.cumsum(1 / np.arange(1, WORDS + 1))
        self._zipf /= self._zipf[-1]
        names = [name for name in map(_word, range(2 * WORDS)) if len(name) > 1][:WORDS]
        self._words = [[name, f"{name}.", name.capitalize(), f"{name.capitalize()}."] for name in names]
        # A topic has its own order of words, from the most frequent one on; the first ones are common to all.
        orders = np.argsort(self._random.random((TOPICS, WORDS - 64)), axis=1) + 64
        common = np.broadcast_to(np.arange(64), (TOPICS, 64))
        self._topics = np.concatenate([common, orders], axis=1)
        self._successors = self._ranks((WORDS, SUCCESSORS))

    def _ranks(self, shape: tuple[int, ...]) -> NDArray[np.int64]:
        return np.searchsorted(self._zipf, self._random.random(shape))

    def documents(self) -> Iterator[str]:
        """The next ones."""
        topics = (self._random.random(AT_ONCE) * TOPICS).astype(np.int64)
        fresh = self._topics[topics, self._ranks((LENGTH, AT_ONCE))]
        follows = self._random.random((LENGTH, AT_ONCE)) < FOLLOWS
        # The first of the likely ones is taken half the time, the second a quarter, ...
        halves = 1 - 0.5 ** np.arange(1, SUCCESSORS)
        likely = np.searchsorted(halves, self._random.random((LENGTH, AT_ONCE)), side="right")
        words = fresh
        for place in range(1, LENGTH):
            liked = self._successors[words[place - 1], likely[place]]
            words[place] = np.where(follows[place], liked, fresh[place])
        ends = self._random.random((LENGTH, AT_ONCE)) < STOPS
        ends[-1] = True
        starts = np.concatenate([np.ones((1, AT_ONCE), bool), ends[:-1]])
        forms = ends + 2 * starts
        for document, form in zip(words.T.tolist(), forms.T.tolist(), strict=True):
            yield " ".join(self._words[word][how] for word, how in zip(document, form, strict=True))


def _word(number: int) -> str:
    """A word of its own for each number: short ones first, as syllables."""
    syllables = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
    word = ""
    while number:
        number, place = divmod(number - 1, len(syllables))
        word = syllables[place] + word
    return word
