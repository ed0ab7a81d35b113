import jax
import numpy as np
import optax
import pytest

from rwejax.evaluate.population.recipe import optimiser
from rwejax.training.config import TrainConfig

torch = pytest.importorskip("torch", reason="PyTorch comes with the extra bench: pip install 'rwejax[bench]'")


@pytest.mark.parametrize("grad_clip", [0.0, 0.7])
def test_the_optimiser_is_pytorchs(grad_clip):
    """SGD with momentum and weight decay, after gradients are clipped, over a cosine."""
    steps = 7
    generator = np.random.default_rng(0)
    weights = [generator.normal(size=shape) for shape in ((3, 4), (5,))]
    gradients = [[generator.normal(size=each.shape) for each in weights] for _ in range(steps)]
    config = TrainConfig(learning_rate=0.3, momentum=0.9, weight_decay=0.01, grad_clip=grad_clip)

    theirs = [torch.nn.Parameter(torch.from_numpy(each.copy())) for each in weights]
    sgd = torch.optim.SGD(theirs, 0.3, 0.9, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, steps)
    for each in gradients:
        for parameter, gradient in zip(theirs, each, strict=True):
            parameter.grad = torch.from_numpy(gradient.copy())
        if grad_clip:
            torch.nn.utils.clip_grad_norm_(theirs, grad_clip)
        sgd.step()
        schedule.step()

    ours = jax.tree.map(np.float32, weights)
    transformation = optimiser(config, steps)
    state = transformation.init(ours)
    for each in gradients:
        updates, state = transformation.update(jax.tree.map(np.float32, each), state, ours)
        ours = optax.apply_updates(ours, updates)

    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other.detach().numpy(), atol=1e-5)
