import json
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import jax
import jax.export
import numpy as np
import pytest
from safetensors.numpy import load_file

import rwejax
from rwejax import Card, InputError, export, networks, spaces

SHAPE = (16, 16, 3)
OPTIONS = {
    "macro": {"nodes": 3},
    "micro": {"layers": 3},
    "darts": {"layers": 3},
    "nasbench201": {"cells": 1},
    "nasbench_macro": {},
}
"""With their genomes, whose operations are together all that the spaces have."""
MEAN, DEVIATION = (120.0, 115.0, 100.0), (60.0, 50.0, 70.0)
PIXELS = np.random.default_rng(0).integers(0, 256, (5, *SHAPE)).astype(np.uint8)
IMAGES = (PIXELS - np.float32(MEAN)) / np.float32(DEVIATION)
TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}

READER = """
import json, os, re, sys
sys.modules["rwejax"] = sys.modules["jaxtyping"] = None
import jax
import numpy as np
jax.config.update("jax_disable_most_optimizations", True)
pixels, found = np.load(sys.argv[1]), {}
for folder in sys.argv[3:]:
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
    found |= {f"{folder}|stablehlo": scope["logits"], f"{folder}|one": scope["network"].call(images[:1])}
    sys.path.pop(0)
np.savez(sys.argv[2], **found)
"""
