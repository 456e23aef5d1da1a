"""Expected improvement: what a Gaussian process hopes to gain at a point."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
NEAREST, FARTHEST = 0.05, 20.0  # lengths over which losses vary, in unit cubes
LEAST_NOISE, MOST_NOISE = 1e-6, 1.0
FAR = -100.0
ROOT_TWO_PI = math.sqrt(2 * math.pi)


def gaussian_process(points: Array, losses: Array, seed: int) -> Any:
    """scikit-learn's Gaussian process through losses[n] at points[n, columns].

    The kernel is Matérn's of order 5/2 with a length for each column, and noise; both are
    fitted by maximum likelihood from a few starts. Snoek, Larochelle and Adams 2012,
    Practical Bayesian optimization of machine learning algorithms, section 3.1.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    lengths = np.full(points.shape[1], 0.5)
    kernel = ConstantKernel(1.0, (1e-2, 1e2)) * Matern(
        lengths, (NEAREST, FARTHEST), nu=2.5
    ) + WhiteKernel(1e-3, (LEAST_NOISE, MOST_NOISE))
    process = GaussianProcessRegressor(
        kernel, normalize_y=True, n_restarts_optimizer=1, random_state=seed
    )
    with warnings.catch_warnings():  # a length at its bound is a column without effect
        warnings.simplefilter("ignore", ConvergenceWarning)
        return process.fit(points, losses)


def believing(process: Any, points: Array, running: Array) -> Any:
    """The process as if at running[n, columns] its own means had been found.

    Ginsbourger, Le Riche and Carraro 2010, Kriging is well-suited to parallelize
    optimization, section 4.2: the kriging believer.
    """
    from sklearn.base import clone

    losses = process.predict(points)
    means = process.predict(running)
    fixed = clone(process).set_params(kernel=process.kernel_, optimizer=None)
    return fixed.fit(np.vstack([points, running]), np.append(losses, means))


def log_expected_improvement(mean: Array, deviation: Array, least: float) -> Array:
    """log E max(least - Y, 0) for Y normal with these means and deviations.

    With z = (least - mean) / deviation it is log deviation + log(φ(z) + z Φ(z)); far below
    0 the sum cancels, and Mills' ratio takes its place: Ament et al. 2023, Unexpected
    improvements to expected improvement, equation 9.

    >>> log_expected_improvement(np.array([0.0]), np.array([1.0]), 0.0).round(4)
    array([-0.9189])
    """
    z = (least - mean) / deviation
    return np.log(deviation) + _log_gain(z)


def _log_gain(z: Array) -> Array:
    """log(φ(z) + z Φ(z)), where z < -1 as log φ(z) + log(1 - |z| Φ(z) / φ(z))"""
    from scipy.special import erfcx, ndtr

    near, far = np.maximum(z, -1.0), np.minimum(z, -1.0)
    plain = np.log(np.exp(-0.5 * near * near) / ROOT_TWO_PI + near * ndtr(near))
    ratio = -far * (ROOT_TWO_PI / 2) * erfcx(-far / math.sqrt(2))
    # 1 - ratio = 1/z² - 3/z⁴ + 15/z⁶ - ..., where the subtraction would leave no digit
    series = np.log1p(-3 / far**2 + 15 / far**4) - 2 * np.log(-far)
    rest = np.where(far < FAR, series, np.log1p(-np.where(far < FAR, 0.0, ratio)))
    return np.where(z > -1, plain, -0.5 * z * z - math.log(ROOT_TWO_PI) + rest)
