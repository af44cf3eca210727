"""The learning rate over the updates."""

import math


def _inverse_sqrt(step: int, warmup: int, total: int) -> float:
    return math.sqrt(warmup / step)


def _cosine(step: int, warmup: int, total: int) -> float:
    done = (step - warmup) / max(total - warmup, 1)
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def _linear(step: int, warmup: int, total: int) -> float:
    return max(total - step, 0) / max(total - warmup, 1)


def _constant(step: int, warmup: int, total: int) -> float:
    return 1.0


SCHEDULES = {
    "inverse_sqrt": _inverse_sqrt,
    "cosine": _cosine,
    "linear": _linear,
    "constant": _constant,
}


def rate_at(schedule: str, step: int, warmup: int, total: int) -> float:
    """Return the part of the largest learning rate that an update has.

    Parameters
    ----------
    schedule : {"inverse_sqrt", "cosine", "linear", "constant"}
        The first is of Vaswani et al. (2017), arXiv:1706.03762, the second of
        Loshchilov and Hutter (2017), arXiv:1608.03983, without restarts.
    step : int
        Number of the update, from 1.
    warmup : int
        Updates over which the rate rises to its largest.
    total : int
        All updates.
    """
    if step <= warmup:
        return step / warmup
    return SCHEDULES[schedule](step, warmup, total)
