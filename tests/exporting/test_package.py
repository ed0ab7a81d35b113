import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from PIL import Image
from safetensors.numpy import load_file

import rwejax
from rwejax import Card, InputError, export, networks, spaces
from rwejax.exporting.package import write_source
from tests.registered import compiled

SHAPE = (16, 16, 3)
GENOMES = {
    "macro": ({"nodes": 3, "channels": 4}, "macro:3:0100-0010-1001"),
    "micro": (
        {"layers": 3, "channels": 4},
        "micro:6151-2072-7271-2463-2045-3021-2200-3011-4423-8125",
    ),
    "darts": (
        {"layers": 3, "channels": 4},
        "Genotype(normal=[('sep_conv_5x5', 1), ('skip_connect', 0), ('avg_pool_3x3', 1), ('skip_connect', 2), "
        "('skip_connect', 3), ('avg_pool_3x3', 2), ('skip_connect', 4), ('dil_conv_5x5', 2)], "
        "normal_concat=range(2, 6), reduce=[('avg_pool_3x3', 1), ('avg_pool_3x3', 0), ('dil_conv_3x3', 1), "
        "('max_pool_3x3', 2), ('skip_connect', 2), ('max_pool_3x3', 0), ('skip_connect', 1), ('skip_connect', 2)], "
        "reduce_concat=range(2, 6))",
    ),
    "nasbench201": (
        {"cells": 1, "channels": 4},
        "|skip_connect~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|none~0|nor_conv_1x1~1|skip_connect~2|",
    ),
    "nasbench_macro": ({"channels": 4}, "nasbench_macro:21-021-112"),
}
"""Small networks that together have every operation."""
MEAN, STD = (120.0, 115.0, 100.0), (60.0, 50.0, 70.0)
PIXELS = np.random.default_rng(0).integers(0, 256, (5, *SHAPE)).astype(np.uint8)
IMAGES = (PIXELS - np.float32(MEAN)) / np.float32(STD)
TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}

# What a user does in the exported folder, where rwejax cannot be imported: the page's own lines, and a training step.
READER = """
import json, os, re, sys
sys.modules["rwejax"] = sys.modules["jaxtyping"] = None
import jax
import numpy as np
jax.config.update("jax_disable_most_optimizations", True)
pixels, found = np.load(sys.argv[1]), {}
for folder in sys.argv[4:]:
    os.chdir(folder)
    sys.path.insert(0, folder)
    sys.modules.pop("network", None)
    scope = {"pixels": pixels}
    of_flax, of_stablehlo = re.findall("```python\\n(.*?)```", open("README.md").read(), re.DOTALL)
    exec(of_flax, scope)
    found |= {f"{folder}|flax": scope["logits"]}
    module, variables, images = scope["Network"](), scope["load"]("weights.safetensors"), scope["images"]
    logits, moved = jax.jit(lambda *given: module.apply(*given, train=True, mutable=["batch_stats"]))(variables, images)
    found |= {f"{folder}|train": logits}
    for path, leaf in jax.tree.leaves_with_path(moved):
        found |= {f"{folder}|moved|" + "/".join(each.key for each in path): leaf}
    fresh = jax.eval_shape(module.init, jax.random.key(0), images)
    found |= {f"{folder}|size": sum(leaf.size for leaf in jax.tree.leaves(fresh["params"]))}
    exec(of_stablehlo, scope)
    found |= {f"{folder}|stablehlo": scope["logits"]}
    if os.path.basename(folder) == "macro":  # of one network: each number of images is compiled anew
        found |= {f"{folder}|one": scope["network"].call(images[:1])}
        import predict
        assert predict.main([sys.argv[3], "--csv", folder + ".csv"]) == 0
    sys.path.pop(0)
np.savez(sys.argv[2], **found)
"""


class Exported(NamedTuple):
    module: networks.PlainNetwork
    variables: dict
    card: Card
    folder: Path
    found: dict


def random_variables(module, seed, shape=SHAPE):
    """Of about the size that training leaves: maps keep their variance."""
    generator = np.random.default_rng(seed)
    shapes = jax.eval_shape(module.init, jax.random.key(0), np.zeros((1, *shape), np.float32))

    def draw(path, leaf):
        name = path[-1].key
        if name in ("scale", "var"):
            return generator.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
        fan_in = np.prod(leaf.shape[1:-1] if "blocks" in name else leaf.shape[:-1])
        return (generator.normal(size=leaf.shape) * np.sqrt(2 / max(fan_in, 8))).astype(np.float32)

    return jax.tree.map_with_path(draw, {name: shapes[name] for name in ("params", "batch_stats")})


@pytest.fixture(scope="module")
def exported(request, tmp_path_factory):
    top = tmp_path_factory.mktemp("exported")
    asked = {"macro", "nasbench201"} | {
        item.callspec.params["name"]
        for item in request.session.items
        if "exported" in item.fixturenames and hasattr(item, "callspec")
    }
    made = {}
    for seed, (name, (sizes, text)) in enumerate(GENOMES.items()):
        if name not in asked:
            continue
        space = spaces.get(name, input_shape=SHAPE, **sizes)
        genome = space.from_string(text)
        module = networks.build(space, genome)
        costs = {each: int(getattr(space, each)(genome[None])[0]) for each in ("macs", "params")}
        card = Card(
            space=name,
            architecture=text,
            sizes=sizes,
            classes=space.classes,
            **costs,
            objectives={"loo_error": float("inf")},
            dataset="noise",
            mean=MEAN,
            std=STD,
            metrics={"test accuracy (%)": 10.0},
            provenance={"seed": seed},
        )
        variables = random_variables(module, seed)
        export(module, variables, SHAPE, card, top / name)
        made[name] = module, variables, card, top / name
    np.save(top / "pixels.npy", PIXELS)
    (top / "photographs").mkdir()
    for number, pixels in enumerate(PIXELS):
        Image.fromarray(pixels).save(top / "photographs" / f"{number}.png")
    results = top / "results.npz"
    given = [str(each) for each in (top / "pixels.npy", results, top / "photographs")]
    folders = [str(folder) for *_, folder in made.values()]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(
        [sys.executable, "-I", "-B", "-c", READER, *given, *folders],
        check=True,
        cwd=top,
        env=environment,
    )
    with np.load(results) as file:
        found = dict(file)

    def of(folder):
        return {
            name.removeprefix(f"{folder}|"): value for name, value in found.items() if name.startswith(f"{folder}|")
        }

    return {name: Exported(*each, of(each[-1])) for name, each in made.items()}


def test_the_networks_have_every_operation_of_every_space():
    known, used = set(), set()
    for name, (sizes, text) in GENOMES.items():
        space = spaces.get(name, input_shape=SHAPE, **sizes)
        kinds = [[(type(kind.module), each) for each, kind in group.kinds] for group in networks.network(space).groups]
        known.update(*kinds)
        used |= {kinds[row.group][row.kind] for row in networks.build(space, space.from_string(text)).rows}
    assert used == known


@pytest.mark.parametrize("name", compiled(GENOMES))
def test_all_that_is_written_computes_what_the_network_computes(exported, name):
    module, variables, _, _, found = exported[name]

    expected, (logits, moved) = jax.jit(
        lambda images: (
            module.apply(variables, images),
            module.apply(variables, images, train=True, mutable=["batch_stats"]),
        )
    )(IMAGES)

    assert np.std(expected) > 0.1
    np.testing.assert_allclose(found["flax"], expected, **TOLERANCE)
    np.testing.assert_allclose(found["stablehlo"], expected, **TOLERANCE)
    if "one" in found:
        np.testing.assert_allclose(found["one"], expected[:1], **TOLERANCE)
    np.testing.assert_allclose(found["train"], logits, **TOLERANCE)
    statistics = flatten_dict(moved, sep="/")
    assert {f"moved|{path}" for path in statistics} == {path for path in found if path.startswith("moved|")}
    for path, leaf in statistics.items():
        np.testing.assert_allclose(found[f"moved|{path}"], leaf, **TOLERANCE)


def test_the_written_command_predicts_what_the_network_does(exported):
    module, variables, _, folder, _ = exported["macro"]
    probabilities = np.asarray(jax.nn.softmax(jax.jit(module.apply)(variables, IMAGES)))

    with open(folder.with_name("macro.csv")) as file:
        rows = list(csv.DictReader(file))

    assert [row["file"] for row in rows] == [f"{number}.png" for number in range(len(PIXELS))]
    assert [int(row["class"]) for row in rows] == probabilities.argmax(1).tolist()
    np.testing.assert_allclose([float(row["probability"]) for row in rows], probabilities.max(1), rtol=1e-4)


@pytest.mark.parametrize("name", compiled(GENOMES))
def test_parameters_are_as_many_as_the_network_has(exported, name):
    _, variables, card, folder, found = exported[name]
    sizes = {path: leaf.size for path, leaf in load_file(folder / "weights.safetensors").items()}

    assert sizes == {path: leaf.size for path, leaf in flatten_dict(variables, sep="/").items()}
    assert found["size"] == sum(size for path, size in sizes.items() if path.startswith("params/")) == card.params


@pytest.mark.parametrize("name", compiled(GENOMES))
def test_the_folder_says_what_the_network_is(exported, name):
    _, _, card, folder, _ = exported[name]

    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "architecture.txt",
        "card.json",
        "network.py",
        "network.stablehlo",
        "predict.py",
        "weights.safetensors",
    }
    space = spaces.get(name, input_shape=SHAPE, **card.sizes)
    assert space.to_string(space.from_string((folder / "architecture.txt").read_text().strip())) == card.architecture
    facts = json.loads((folder / "card.json").read_text(), parse_constant=pytest.fail)
    told = {"image_shape": list(SHAPE), "mean": list(MEAN), "std": list(STD)}
    assert facts == {**vars(card), **told, "objectives": {"loo_error": None}}
    assert max(map(len, (folder / "network.py").read_text().splitlines())) <= 120
    assert str(Path(rwejax.__file__).parent).encode() not in (folder / "network.stablehlo").read_bytes()


def test_a_folder_that_holds_something_is_refused(exported, tmp_path):
    module, variables, card, _, _ = exported["macro"]
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty: give one that is missing or empty"):
        export(module, variables, SHAPE, card, tmp_path)
    with pytest.raises(InputError, match="cannot be written"):
        export(module, variables, SHAPE, card, tmp_path / "mine.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_what_cannot_be_exported_is_refused(exported, tmp_path):
    module, variables, card, _, _ = exported["macro"]
    others = exported["nasbench201"].variables
    with pytest.raises(InputError, match=r"variable 'params/.*' is not the network's"):
        export(module, others, SHAPE, card, tmp_path)
    with pytest.raises(InputError, match=r"variable 'batch_stats/.*' is not the network's"):
        export(module, {"params": variables["params"]}, SHAPE, card, tmp_path)
    with pytest.raises(InputError, match="no last linear layer"):
        write_source(module.clone(classes=0), SHAPE)
    space = spaces.get("nasbench201", cells=1, channels=4, input_shape=SHAPE)
    pooled = module.clone(network=networks.network(space, pool=2), rows=exported["nasbench201"].module.rows)
    with pytest.raises(InputError, match="pools to 2 x 2"):
        write_source(pooled, SHAPE)
    assert not any(tmp_path.iterdir())
