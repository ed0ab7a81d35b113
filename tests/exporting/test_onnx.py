"""What ONNX Runtime computes of an exported network is what Flax computes."""

import dataclasses
import importlib.util
import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rwejax import InputError, export_onnx, networks, spaces
from rwejax.exporting import onnx_package, predict
from rwejax.exporting.onnx_graph import make_model
from tests.exporting.test_card import card
from tests.exporting.test_package import GENOMES, random_variables
from tests.registered import compiled

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
pytest.importorskip("onnx", reason="the extra onnx is not installed")

SHAPE = (8, 8, 3)
IMAGES = np.random.default_rng(0).normal(size=(7, *SHAPE)).astype(np.float32)


def compute(model, images):
    return onnxruntime.InferenceSession(model).run(["logits"], {"images": images})[0]


@pytest.mark.parametrize("name", compiled(GENOMES))
def test_a_network_of_every_space(tmp_path, name):
    sizes, text = GENOMES[name]
    space = spaces.get(name, input_shape=SHAPE, **sizes)
    module = networks.build(space, space.from_string(text))
    variables = random_variables(module, 0, SHAPE)
    expected = np.asarray(jax.jit(module.apply)(variables, IMAGES))

    written = export_onnx(module, variables, SHAPE, card(SHAPE), tmp_path, IMAGES)

    assert np.std(expected) > 0.1
    for count in (1, 7):
        found = compute(tmp_path / "net.onnx", IMAGES[:count])
        np.testing.assert_allclose(found, expected[:count], rtol=1e-4, atol=1e-4)
    (difference,) = (value for metric, value in written.metrics.items() if metric.endswith("from Flax, 7 images"))
    assert difference == np.abs(found - expected).max()


def test_the_folder_can_be_used(tmp_path):
    space = spaces.get("macro", nodes=2, channels=4, input_shape=SHAPE)
    module = networks.build(space, space.from_string("macro:2:11-10-11"))
    variables = random_variables(module, 0, SHAPE)
    made = dataclasses.replace(card(SHAPE), classes=10, class_names=[])

    written = export_onnx(module, variables, SHAPE, made, tmp_path)

    files = {"net.onnx", "predict.py", "card.json", "README.md", "architecture.txt"}
    assert {path.name for path in tmp_path.iterdir()} == files
    assert any(metric.endswith("7 images of noise") for metric in written.metrics)
    facts = json.loads((tmp_path / "card.json").read_text())
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    assert {name: json.loads(fact) for name, fact in session.get_modelmeta().custom_metadata_map.items()} == facts
    assert [each.shape for each in (*session.get_inputs(), *session.get_outputs())] == [["N", *SHAPE], ["N", 10]]
    infer, known = predict.load(tmp_path)
    assert known == facts
    np.testing.assert_allclose(infer(IMAGES), module.apply(variables, IMAGES), rtol=1e-4, atol=1e-4)
    (tmp_path / "net.onnx").write_bytes(b"no network")
    with pytest.raises(predict.Unusable, match=r"net\.onnx is damaged"):
        predict.load(tmp_path)


def everything(x):
    """An operation for each rule, that of a user's space among them."""
    x = jnp.pad(x, ((0, 0), (1, 0), (0, 2), (0, 0)), constant_values=0.5)
    x = nn.avg_pool(x, (3, 2), (2, 2), "SAME") + nn.max_pool(x, (2, 2), (2, 2), ((0, 1), (0, 0)))
    gate = jax.nn.sigmoid(x.mean((1, 2), keepdims=True)) * jnp.ones_like(x)
    x = jnp.concatenate([gate * x, nn.gelu(x), nn.swish(-x)], -1)[:, 1:, ::2]
    kernel = jnp.sin(jnp.arange(54.0)).reshape(3, 3, 3, 2)[:, :2, :, [0, 1, 0]]
    y = jax.lax.conv_general_dilated(
        x, kernel, (1, 2), ((1, 1), (1, 0)), rhs_dilation=(1, 2), feature_group_count=3,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip
    y = jnp.square(y) / (1 + y**4) + jax.lax.rsqrt(1 + jnp.abs(y)) + jax.lax.stop_gradient(jnp.tanh(y))
    y = jnp.sqrt(jnp.exp(jnp.minimum(y, 1)) + 1) - jnp.log(y.min((1, 2), keepdims=True) ** 2 + 1)
    y = y.transpose(0, 3, 1, 2).reshape(len(y), -1)
    return y @ jnp.cos(jnp.arange(120.0)).reshape(-1, 10)[: y.shape[1]]


def test_every_rule():
    jitted = jax.jit(everything)
    model = make_model(jitted, SHAPE, "everything").SerializeToString()
    np.testing.assert_allclose(compute(model, IMAGES[:3]), jitted(IMAGES[:3]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        (lambda x: jnp.cumsum(x, 1), "cumsum"),
        (lambda x: x.reshape(-1, 3), "reshape"),
        (lambda x: x - x.max(0), "reduce_max"),
        (lambda x: jnp.einsum("nhwc,nhwd->ncd", x, x), "dot_general"),
        (
            lambda x: nn.max_pool(x[..., None], (2, 2, 2)),
            "reduce_window_max",
        ),
    ],
)
def test_an_operation_without_a_rule_is_named(operation, name):
    with pytest.raises(InputError, match=f"does {name} of .*, for which the export to ONNX has no rule"):
        make_model(operation, SHAPE, "odd")


def test_a_model_that_computes_something_else_is_not_written(tmp_path, monkeypatch):
    space = spaces.get("macro", nodes=2, channels=4, input_shape=SHAPE)
    module = networks.build(space, space.from_string("macro:2:11-10-11"))
    variables = random_variables(module, 0, SHAPE)

    class Wrong(nn.Module):
        def __call__(self, images):
            return images.mean((1, 2)) @ jnp.ones((3, 10))

    monkeypatch.setattr(onnx_package, "make_plain", lambda *_: Wrong())
    with pytest.raises(InputError, match="the logits of ONNX Runtime differ from Flax's by up to"):
        export_onnx(module, variables, SHAPE, card(SHAPE), tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs onnx and onnxruntime, not installed: pip install 'rwejax\[onnx\]'"):
        export_onnx(module, variables, SHAPE, card(SHAPE), tmp_path)
    assert not any(tmp_path.iterdir())
