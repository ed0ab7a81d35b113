"""The closed-form head: ridge regression on one-hot targets, and every score that its decomposition gives for free.

With standardised features Z (n, d), Z'Z = V diag(e) V' and A = Z V, the fit at strength s is A diag(1 / (e + s)) A'Y:
one decomposition serves every strength, the leave-one-out residuals [1] and the evidence of the Gaussian process whose
posterior mean is that fit [2].

[1] Allen, "The relationship between variable selection and data augmentation and a method for prediction",
    Technometrics 1974: the PRESS residual is the residual divided by one minus its leverage.
[2] Rasmussen and Williams, "Gaussian processes for machine learning", 2006, equation 2.30, with a linear kernel.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from rwejax.errors import InputError
from rwejax.evaluate.inputs import check_labels

# In units of the number of images: below the first, float32 rounding of the largest eigenvalues would dominate.
STRENGTHS = np.logspace(-5, 2, 15, dtype=np.float32)

Scalar = Float[Array, ""]


class RidgeScores(NamedTuple):
    """What one network's features are worth.

    Attributes:
        loo_error: leave-one-out error on all images, in %.
        validation_error: error in % on the validation images of the head fitted on the train images.
        loo_squared_error: leave-one-out squared error on all images, summed over the one-hot target's entries.
        log_evidence: log marginal likelihood of all targets, in nats an image and class; higher is better.
        failed: whether a feature is NaN or infinite; the other fields then are 100, 100, inf and -inf.
    """

    loo_error: Scalar
    validation_error: Scalar
    loo_squared_error: Scalar
    log_evidence: Scalar
    failed: Bool[Array, ""]


FAILED: dict[str, float] = {
    "loo_error": 100.0,
    "validation_error": 100.0,
    "loo_squared_error": np.inf,
    "log_evidence": -np.inf,
    "failed": True,
}
"""The scores of a network whose features are NaN or infinite, or that has none."""


class _Fit(NamedTuple):
    """A decomposed regression. `rotated` is A, `projected` A'Y; strengths are in units of the eigenvalues.

    With fewer images than features, `left` has the eigenvectors of ZZ' but for the constant one: A without its scale.
    """

    vectors: Float[Array, "d r"]
    values: Float[Array, " r"]
    rotated: Float[Array, "n r"]
    projected: Float[Array, "r k"]
    strengths: Float[Array, " strengths"]
    left: Float[Array, "n r"] | None


def ridge_scores(features: Float[Any, "n d"], labels: Int[Any, " n"], classes: int, train: int) -> RidgeScores:
    """Score the pooled features of one network.

    The validation error comes from a head that sees the train images alone, at the strength of its least leave-one-out
    squared error. The other scores use every image: leave-one-out error and squared error at the strength where the
    latter is least, the evidence at its own best strength and noise. Intercepts are never penalised.

    Args:
        features: one row an image, the train images first.
        labels: class of each image.
        classes: number of classes.
        train: number of train images; the rest are validation images.

    Returns:
        The scores.

    Raises:
        InputError: the features are no table, a label is none of the classes, or there are fewer than two train images
            or no validation images.
    """
    _check(features, labels, classes, train)
    failed = ~jnp.isfinite(features).all()
    features = jnp.where(failed, 0.0, features)
    targets = jax.nn.one_hot(labels, classes, dtype=features.dtype)

    fit = _decompose(features, targets)
    loo = _leave_one_out(fit, targets)
    squared = jnp.square(loo).sum(-1).mean(-1)
    best = squared.argmin()
    wrong = (targets - loo[best]).argmax(-1) != labels

    scores = RidgeScores(
        loo_error=100 * wrong.mean(dtype=features.dtype),
        validation_error=_validation_error(features, targets, labels, train),
        loo_squared_error=squared[best],
        log_evidence=_log_evidence(fit, targets).max(),
        failed=failed,
    )
    return RidgeScores(**{name: jnp.where(failed, FAILED[name], value) for name, value in scores._asdict().items()})


def _check(features: Any, labels: Any, classes: int, train: int) -> None:
    """Refuse what cannot be scored; of arrays that are being compiled only the shapes are known."""
    if np.ndim(features) != 2:
        raise InputError(f"features has shape {np.shape(features)}: give (images, features)")
    images = np.shape(features)[0]
    if not isinstance(labels, jax.core.Tracer):
        check_labels("labels", labels, images, classes)
    if not 2 <= train < images:
        raise InputError(f"train is {train} of {images} images: give 2 or more, and fewer than there are")


def constant_scores(labels: Int[np.ndarray, " n"], classes: int) -> dict[str, float]:
    """The scores of a head that knows the class frequencies and nothing of the images: the worst that is sensible.

    Errors are 100, not the error of the most frequent class, as is the field's custom for a hypervolume's reference.

    Args:
        labels: class of each image, from 0; two images or more, of two classes or more.
        classes: number of classes.

    Returns:
        The scores by the names and in the units of `RidgeScores`, without `failed`.
    """
    frequency = np.bincount(labels, minlength=classes) / len(labels)
    variance = float((frequency * (1 - frequency)).sum())
    log_evidence = -0.5 * (np.log(2 * np.pi * variance / classes) + 1)
    return {
        "loo_error": 100.0,
        "validation_error": 100.0,
        # Leaving an image out moves the mean away from it.
        "loo_squared_error": variance * (len(labels) / (len(labels) - 1)) ** 2,
        "log_evidence": float(log_evidence),
    }


def standardise_features(features: Float[Array, "n d"], by: Float[Array, "m d"]) -> Float[Array, "n d"]:
    """Features scaled to zero mean and unit standard deviation over some images.

    Args:
        features: one row an image.
        by: features of the images that give means and deviations; a feature that is constant there becomes 0.
    """
    mean, std = by.mean(0), by.std(0)
    constant = std <= 1e-6 * (jnp.abs(mean) + jnp.finfo(std.dtype).tiny)
    return jnp.where(constant, 0.0, (features - mean) / jnp.where(constant, 1.0, std))


def _decompose(features: Float[Array, "n d"], targets: Float[Array, "n k"]) -> _Fit:
    """Decompose Z'Z, or with fewer images than features ZZ', which has the same eigenvalues but for zeros."""
    z = standardise_features(features, features)
    if z.shape[0] < z.shape[1]:
        # Images of zero mean leave the constant vector without a feature; the mean is fitted apart, so the vector goes:
        # as the one of the largest eigenvalue, which is the last.
        gram = z @ z.T
        values, left = jnp.linalg.eigh(gram + (1 + jnp.trace(gram)) / len(z))
        values, left = jnp.maximum(values[:-1], 0.0), left[:, :-1]
        rotated = left * jnp.sqrt(values)
        null = values <= values.max() * jnp.finfo(values.dtype).eps
        vectors = z.T @ jnp.where(null, 0.0, left / jnp.sqrt(jnp.where(null, 1.0, values)))
    else:
        values, vectors = jnp.linalg.eigh(z.T @ z)
        values = jnp.maximum(values, 0.0)
        left, rotated = None, z @ vectors
    projected = rotated.T @ (targets - targets.mean(0))
    return _Fit(vectors, values, rotated, projected, jnp.asarray(STRENGTHS * len(z)), left)


def _leave_one_out(fit: _Fit, targets: Float[Array, "n k"]) -> Float[Array, "strengths n k"]:
    """Residual of each image when the head is fitted on all others, at each strength."""
    centred = targets - targets.mean(0)
    if fit.left is not None:
        kept = _kept(fit)
        residual = jnp.einsum("nr,sr,rk->snk", fit.left, kept, fit.left.T @ centred)
        return residual / jnp.einsum("nr,sr->sn", jnp.square(fit.left), kept)[..., None]
    shrinkage = 1 / (fit.values + fit.strengths[:, None])
    fitted = jnp.einsum("nd,sd,dk->snk", fit.rotated, shrinkage, fit.projected)
    leverage = 1 / len(targets) + jnp.einsum("nd,sd->sn", jnp.square(fit.rotated), shrinkage)
    return (centred - fitted) / (1 - leverage)[..., None]


def _kept(fit: _Fit) -> Float[Array, "strengths r"]:
    """What the penalty keeps away from the fit in each direction.

    A fit that passes through every image leaves nothing but rounding of what is one minus the explained part, so that
    must be summed up from these.
    """
    return fit.strengths[:, None] / (fit.values + fit.strengths[:, None])


def _validation_error(
    features: Float[Array, "n d"], targets: Float[Array, "n k"], labels: Int[Array, " n"], train: int
) -> Scalar:
    fit = _decompose(features[:train], targets[:train])
    squared = jnp.square(_leave_one_out(fit, targets[:train])).sum(-1).mean(-1)
    strength = fit.strengths[squared.argmin()]
    weights = fit.vectors @ (fit.projected / (fit.values + strength)[:, None])
    predicted = standardise_features(features[train:], features[:train]) @ weights + targets[:train].mean(0)
    return 100 * (predicted.argmax(-1) != labels[train:]).mean(dtype=features.dtype)


def _log_evidence(fit: _Fit, targets: Float[Array, "n k"]) -> Float[Array, " strengths"]:
    """Log marginal likelihood of the centred targets, a nat count an image and class, at the best noise."""
    n, classes = targets.shape
    centred = targets - targets.mean(0)
    if fit.left is not None:
        unexplained = jnp.square(fit.left.T @ centred).sum(1) * _kept(fit)
        noise = unexplained.sum(1) / (n * classes)
    else:
        explained = jnp.square(fit.projected).sum(1) / (fit.values + fit.strengths[:, None])
        noise = (jnp.square(centred).sum() - explained.sum(1)) / (n * classes)
    complexity = jnp.log1p(fit.values / fit.strengths[:, None]).sum(1) / n
    return -0.5 * (jnp.log(2 * jnp.pi * noise) + 1 + complexity)
