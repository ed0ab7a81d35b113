"""A search on a set of few images, with numbers that nobody gave."""

import dataclasses

from PIL import Image

from rwejax.searching.loop import resume, search
from rwejax.searching.observers import SearchObserver
from rwejax.searching.records import Run
from rwejax.storage.yaml_config import read_stored
from tests import fakes


class Listener(SearchObserver):
    def __init__(self):
        self.summaries = []

    def on_images(self, summary):
        self.summaries.append(summary)


def test_numbers_of_images_fit_what_is_there_and_are_written_down(tmp_path, monkeypatch):
    fakes.use(monkeypatch)
    for number in range(300):
        kind = tmp_path / "images" / str(number % 5)
        kind.mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16), number % 256).save(kind / f"{number}.bmp")
    config = dataclasses.replace(
        fakes.tiny(run_dir=tmp_path / "run", dataset=f"folder:{tmp_path / 'images'}"),
        train_images=None,
        validation_images=None,
        generations=2,
    )
    listener = Listener()
    search(config, [listener])
    assert listener.summaries[0].splitlines()[0] == "300 images in 5 classes: 192 train, 48 validation, 60 test"
    stored = read_stored(tmp_path / "run", Run.defaults)
    assert (stored.train_images, stored.validation_images) == (192, 48)
    resume(tmp_path / "run", [listener])
    assert len(listener.summaries) == 1
