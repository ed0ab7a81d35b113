"""What compiled text is counted as: a kept one by hand, a pass for this machine, and passes for accelerators."""

import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from benchmarks.parts import compilers
from benchmarks.parts.hlo import Instruction, Module
from benchmarks.parts.lowered import LOWERINGS
from benchmarks.parts.schedule import Chunks, PopulationSchedule
from rwejax import data, spaces
from rwejax.errors import InputError
from rwejax.evaluate import estimators
from rwejax.evaluate.forward import ForwardPass
from rwejax.runtime.device_kinds import DeviceKind

FOLDER = Path(__file__).parents[1] / "benchmarks"
TINY = ["--nodes=2", "--channels=4", "--genomes=3", "--images=30", "--image-size=8"]

TEXT = """\
HloModule jit_call, is_scheduled=true

%fused (p: f32[4]) -> f32[4] {
  %p = f32[4]{0} parameter(0)
  ROOT %neg = f32[4]{0} negate(%p)
}

%inner (i: s32[]) -> s32[] {
  %i = s32[]{:T(128)} parameter(0)
  %mapped = f32[4]{0:T(128)} fusion(%i), kind=kLoop, calls=%fused, backend_config={"estimated_cycles":"10"}
  ROOT %add.1 = s32[]{:T(128)} add(%i, %i)
}

%below_five (i.1: s32[]) -> pred[] {
  %five = s32[] constant(5)
  %i.1 = s32[] parameter(0)
  ROOT %lt = pred[] compare(%i.1, %five), direction=LT
}

%more (c: s32[]) -> pred[] {
  %c = s32[] parameter(0)
  ROOT %less = pred[] fusion(%c), kind=kLoop, calls=%fused
}

%two_sources (a: f32[4]) -> f32[4] {
  %a = f32[4] parameter(0)
  %joined = f32[4] fusion(%a), calls=%fused, metadata={op_name="f/nodes1/while/body/Mix/cond/branch_1_fun/c"}
  ROOT %gemm = (f32[4], s8[9]) custom-call(%joined), custom_call_target="__cublas$gemm"
}

%one_source (b: f32[4]) -> f32[4] {
  %b = f32[4] parameter(0)
  ROOT %same = f32[4] copy(%b), metadata={op_name="f/nodes1/while/body/Mix/cond/branch_0_fun/read"}
}

%body (s: s32[]) -> s32[] {
  %s = s32[] parameter(0)
  %mixed = f32[4] conditional(%s, %s, %s), true_computation=%two_sources, false_computation=%one_source, MIX
  %looped = s32[] while(%s), condition=%below_five, body=%inner, metadata={op_name="f/nodes1/while/body/gather"}
  ROOT %next = s32[] add(%s, %s)
}

%step (t: s32[]) -> s32[] {
  %t = s32[] parameter(0)
  %start = (f32[4], f32[4], u32[]) copy-start(%t)
  ROOT %done = f32[4] copy-done(%start)
}

ENTRY %main (x: s32[]) -> s32[] {
  %x = s32[] parameter(0)
  %rows = s32[] while(%x), condition=%more, body=%body, metadata={op_name="f/nodes1/while"}
  %batches = s32[] while(%x), condition=%more, body=%step, backend_config={"known_trip_count":{"n":"3"}}
  ROOT %ended = s32[] while(%x), condition=%more, body=%step, metadata={op_name="f/eigh/while"}
}
""".replace("MIX", 'metadata={op_name="f/nodes1/while/body/Mix/cond"}')


class Known:
    """Seven chunks, two of which mix."""

    def turns(self, path, where):
        return (7.0, "rows") if path == "f/nodes1/while" else None

    def shares(self, path, branches, where):
        assert (path, branches, where) == ("f/nodes1/while/body/Mix/cond", 2, "rows")
        return [(5 / 7, "alone"), (2 / 7, "mixing")]


def test_a_kept_text_is_counted_as_by_hand():
    run = Module(TEXT).run(Known(), "/eigh")
    assert {name: round(count, 6) for name, count in run.kernels.items()} == {
        "fusion": 2 + 7 * 5 + 8 + 2,  # joined, mapped, the conditions of the two loops that nobody has counted
        "__cublas$gemm": 2,
        "copy": 5,
        "copy-start": 3 + 1,
    }
    assert (run.turns, run.branches) == (8 + 2, 7)
    assert run.cycles == 7 * 5 * 10
    assert run.without_estimate == pytest.approx(run.kernels.total() - 35)
    assert run.inside == 1 + 2
    assert run.guessed == {"f/eigh/while"}


def test_results_are_as_large_as_their_tiles():
    def written(shape, name="fusion.1"):
        return Instruction(name, shape, "fusion", "", "").written

    assert written("f32[4,400]{1,0}") == (6400, 6400)
    assert written("bf16[400,7,3]{0,2,1:T(8,128)(2,1)}") == (2 * 400 * 7 * 3, 2 * 512 * 8 * 7)
    assert written("(u32[5]{0:T(128)S(1)}, pred[2,3]{1,0:T(4,128)})") == (20 + 6, 512 + 4 * 128)
    assert written("s32[]") == (4, 4)
    assert written("f32[9]{0}", "loop_dynamic_update_slice_fusion.3") == (0, 0)


def test_chunks_are_split_by_what_they_are():
    chunks = Chunks(np.array([0, 1, 1, 0]), np.array([1, 1, 2, 3]))
    (share, zeros), (other, ones), (nothing, none) = chunks.split(chunks.kind, 3)
    assert (share, other, nothing) == (0.5, 0.5, 0)
    assert (zeros.fan_in.tolist(), ones.fan_in.tolist(), none.fan_in.tolist()) == ([1, 3], [1, 2], [])


@pytest.mark.parametrize(
    ("name", "sizes", "estimator"),
    [
        pytest.param("macro", {"nodes": 3}, "fit_path", marks=pytest.mark.slow),
        ("nasbench201", {"cells": 1}, "rwe"),
    ],
)
def test_loops_of_a_pass_turn_as_often_as_its_program_has_chunks(name, sizes, estimator):
    """By this machine's compiler: paths are those of the source, whoever compiles."""
    dataset = data.load("digits", train=40, validation=20, image_size=8)
    space = spaces.get(name, channels=4, input_shape=dataset.image_shape, **sizes)
    kind = DeviceKind("gpu", "made up", 2**30)
    forward = ForwardPass(
        space,
        dataset,
        [estimators.FORWARD[estimator]],
        calibration_images=20,
        images_per_batch=10,
        devices=jax.devices()[:1],
        kind=kind,
    )
    genomes = np.asarray(space.canonical(space.sample(jax.random.key(0), 5)))
    exported = forward.export(5, ["cpu"])
    ((_, program, _),) = forward.programs(genomes)
    shapes = [jax.ShapeDtypeStruct(each.shape, each.dtype) for each in exported.in_avals]
    arguments, _ = jax.tree.unflatten(exported.in_tree, shapes)
    text = jax.jit(exported.call).lower(*arguments).compile().as_text()
    run = Module(text).run(PopulationSchedule(forward.network, program, kind, forward.heads_at_once), "/heads")

    passes, networks = 1 + len(forward.images.batches), int(program.features)
    groups = math.ceil(networks / forward.heads_at_once)
    # A loop is looked at once more than it turns: those of heads, of a group's rounds, of a run's chunks.
    sizes, tables = len(kind.chunk_sizes), program.rows.values()
    looked = groups + 1 + passes * sum(int(rows.rounds) * (1 + sizes) + 1 + int(rows.chunks) for rows in tables)
    if estimator == "fit_path":
        # Heads that are fitted together wait for the network with the most ReLUs.
        most = np.maximum.reduceat(program.codes.counts[:networks], np.arange(0, networks, forward.heads_at_once))
        looked += int((-(-most // kind.codes_at_once)).sum()) + most.size
    assert run.turns == pytest.approx(looked)
    assert run.branches > 0
    assert not run.guessed


@pytest.mark.parametrize("name", LOWERINGS)
def test_what_is_called_beside_the_pass_lowers_for_accelerators(name):
    dataset = data.load("digits", train=40, validation=20, image_size=8)
    space = spaces.get("macro", nodes=2, channels=4, input_shape=dataset.image_shape)
    genomes = np.asarray(space.canonical(np.asarray(space.sample(jax.random.key(0), 4))))
    for platform in ("cuda", "tpu"):
        exported = LOWERINGS[name](space, dataset, genomes, platform)
        assert exported.platforms == (platform,)
        assert len(exported.in_avals) > 1


@pytest.mark.parametrize("platform", compilers.TARGETS)
def test_a_small_pass_compiles_for_a_device_that_is_not_here(platform, tmp_path):
    target = compilers.TARGETS[platform]
    if importlib.util.find_spec(target.package) is None:
        pytest.skip(f"needs {target.package}: {target.install}")
    output = tmp_path / "compiled.json"
    command = [sys.executable, FOLDER / "compiled.py", "--platform", platform, "--estimator", "rwe", *TINY]
    # A TPU's compiler ends the process at options of XLA that it does not know.
    kept = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    environment = kept | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([*command, "--output", output], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text())
    compiled = found["functions"]["pass"]
    assert "does_not_compile" not in compiled, compiled
    chunks = sum(found["population"]["chunks"].values())
    assert compiled["turns_decided"] >= chunks
    assert compiled["kernels"] > 3 * chunks
    assert compiled["argument_bytes"] >= compiled["unpadded_argument_bytes"] > 0
    assert ("estimated_seconds" in compiled) == (platform == "tpu")


def test_a_missing_compiler_is_named_with_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"'cuda' has no compiler here, .* pip install 'rwejax\[cuda12\]'"):
        compilers.check_compiler("cuda")
    with pytest.raises(InputError, match="'tpu' has no compiler here, for libtpu is missing: pip install libtpu"):
        compilers.check_compiler("tpu")
