#!/usr/bin/env python3
"""The linear algebra of FID at 2048 dimensions in NumPy and SciPy, and the bare product of PRDC.

    pip install numpy scipy
    OMP_NUM_THREADS=2 python benches/linear_algebra.py
"""
import time

import numpy as np
import scipy.linalg

rng = np.random.default_rng(0)


def clock(name, run, runs):
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    print(f"{name}: {sorted(times)[runs // 2]:.3f} s", flush=True)


def covariance():
    x = rng.random((5000, 2048))
    return np.cov(x, rowvar=False)


def eigen(a, b):
    """The square root of `a`, then the eigenvalues of `sqrt(a) b sqrt(a)`."""
    values, vectors = np.linalg.eigh(a)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    return np.sqrt(np.linalg.eigvalsh(root @ b @ root).clip(0)).sum()


a, b = covariance(), covariance()
clock("eigh + eigvalsh", lambda: eigen(a, b), 3)
clock("sqrtm", lambda: scipy.linalg.sqrtm(a @ b), 1)
x, y = (rng.random((10_000, 2048), dtype=np.float32) for _ in range(2))
clock("10000 x 10000 x 2048 product, float32", lambda: x @ y.T, 5)
