"""The objectives of a search by name, and how they are written."""

RWE_SCORES = {
    "loo_error": "leave-one-out error (%)",
    "validation_error": "validation error (%)",
    "loo_squared_error": "leave-one-out squared error",
    "log_evidence": "log evidence (nats an image and class)",
}
"""The scores of random-weight evaluation that can rank, and how they are written."""

COMPLEXITY = ("macs", "params")
"""The estimators that look at no image and draw no weights; every record has their numbers anyway."""


def label(score: str) -> str:
    """How a recorded score is written on a screen or an axis."""
    return RWE_SCORES.get(score, score)
