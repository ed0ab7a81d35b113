"""What a page says of a network."""

import json

from rwejax import Card
from rwejax.exporting.card import describe_flax, preprocessing, to_json, to_markdown

NAMES = ["ant", "bee | wasp", "cat"]


def card(shape, cropped=False, names=NAMES):
    return Card(
        space="macro",
        architecture="1",
        sizes={},
        classes=len(names),
        macs=1,
        params=1,
        objectives={},
        dataset="folder:insects",
        mean=(1.0,) * shape[2],
        std=(2.0,) * shape[2],
        metrics={},
        provenance={},
        class_names=names,
        cropped=cropped,
        preprocessing=preprocessing(shape, cropped),
    )


def test_names_of_classes():
    shape = (8, 8, 1)
    facts = json.loads(to_json(card(shape), shape))
    assert facts["class_names"] == NAMES
    assert facts["preprocessing"]["mode"] == "L"
    page = to_markdown(card(shape), shape, describe_flax(card(shape), shape, ["cpu"]))
    assert "| 1 | bee \\| wasp |" in page
    many = to_markdown(card(shape, names=[f"kind{i}" for i in range(150)]), shape, "")
    assert "| 99 | kind99 |\n| | and 50 more, in card.json |" in many
    assert "kind100" not in many


def test_a_page_shows_the_drawing_that_is_beside_it():
    shape = (8, 8, 1)
    assert to_markdown(card(shape), shape, "").count("](network.svg)") == 0
    assert to_markdown(card(shape), shape, "", "network.svg").count("](network.svg)") == 1
