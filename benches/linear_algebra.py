#!/usr/bin/env python3
"""The Fréchet distance from statistics of 2048 dimensions: ganscope and its peers, in turns (see turns.py).

    python3 -m venv .venv && .venv/bin/pip install numpy scipy mkl
    cargo build --release -p ganscope-fid --example frechet
    taskset -c 0,1 .venv/bin/python benches/linear_algebra.py [--threads 2] [--rounds 7]

The peers take the square root of one covariance by its eigenvectors, and the eigenvalues of the product
with the other: NumPy (OpenBLAS), and dsyevd of MKL for both, whose products are NumPy's too.
SciPy's sqrtm, which pytorch-fid calls, is slow: `--peers numpy,mkl,sqrtm`.
"""
import argparse, ctypes, glob, os, sys

import turns

PROGRAM = "target/release/examples/frechet"


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peers", default="numpy,mkl")
    parser.add_argument("--program", default=PROGRAM, help="the example of ganscope-fid")
    parser.add_argument("--base", help="another build of it, as one more peer")
    parser.add_argument("--pause", type=float, default=0.2, help="seconds, until idle threads sleep")
    return parser.parse_args()


def covariance(np, seed, images):
    x = np.random.default_rng(seed).random((images, 2048)) * np.exp(-np.arange(2048) / 300)
    return np.cov(x, rowvar=False)


def distance(np, a, b, eigh, eigvalsh):
    values, vectors = eigh(a)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    return np.trace(a) + np.trace(b) - 2 * np.sqrt(eigvalsh(root @ b @ root).clip(0)).sum()


def mkl(np, threads):
    """`eigh` and `eigvalsh` of MKL."""
    library = ctypes.CDLL(sorted(glob.glob(os.path.join(sys.prefix, "lib", "libmkl_rt.so*")))[0])
    library.MKL_Set_Num_Threads(threads)

    def dsyevd(matrix, job):
        a, n = matrix.copy(), len(matrix)
        values = np.empty(n)
        pointer = lambda array: array.ctypes.data_as(ctypes.c_void_p)
        rows = 101  # row-major, LAPACK_ROW_MAJOR
        info = library.LAPACKE_dsyevd(rows, ctypes.c_char(job), ctypes.c_char(b"U"), n, pointer(a), n, pointer(values))
        assert info == 0, info
        return values, a

    return lambda a: dsyevd(a, b"V"), lambda a: dsyevd(a, b"N")[0]


def peers(names, images, threads):
    """Name and a function that runs once and returns its seconds and those of the processor."""
    import numpy as np
    a, b = covariance(np, 0, images), covariance(np, 1, images)
    if "numpy" in names:
        eigen = np.linalg.eigh, np.linalg.eigvalsh
        yield f"NumPy {np.__version__}, eigen", turns.timed(lambda: distance(np, a, b, *eigen))
    if "mkl" in names:
        eigen = mkl(np, threads)
        yield "MKL, dsyevd", turns.timed(lambda: distance(np, a, b, *eigen))
    if "sqrtm" in names:
        import scipy, scipy.linalg
        yield f"SciPy {scipy.__version__}, sqrtm", turns.timed(lambda: scipy.linalg.sqrtm(a @ b))


def main():
    a = arguments()
    os.environ["OMP_NUM_THREADS"] = str(a.threads)
    programs = {"ganscope": turns.Ganscope([a.program, str(a.images), "turns"], a.threads)}
    if a.base:
        programs["the other build"] = turns.Ganscope([a.base, str(a.images), "turns"], a.threads)
    programs.update(peers(a.peers.split(","), a.images, a.threads))
    title = f"Fréchet distance of 2048 dimensions, {a.threads} threads"
    turns.compare(title, programs, 1, a.rounds, a.pause, unit="distances/s")


if __name__ == "__main__":
    main()
