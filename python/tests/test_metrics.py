"""Metrics of arrays, against closed forms and slow twins."""

import numpy as np
import pytest

import ganscope
from ganscope import metrics

# Sums of some thousand float64 products.
ROUNDING = 1e-9


@pytest.fixture
def rows():
    random = np.random.RandomState(0)
    mix = random.normal(size=(6, 6))
    return [(random.normal(size=(n, 6)) @ mix + shift).astype(np.float32) for n, shift in ((60, 0.3), (70, 0.0))]


def test_every_metric_of_the_catalog_is_a_function():
    functions = {
        "is": metrics.inception_score,
        "fid": metrics.frechet_distance,
        "sfid": metrics.spatial_frechet_distance,
        "kid": metrics.kernel_distance,
        "prdc": metrics.prdc,
        "prc": metrics.precision_recall,
        "clipped": metrics.clipped,
        "p-prc": metrics.probabilistic_precision_recall,
        "rarity": metrics.rarity,
        "vendi": metrics.vendi,
        "cmmd": metrics.clip_mmd,
        "mind": metrics.mind,
        "fd-infinity": metrics.frechet_distance_at_infinity,
        "mifid": metrics.memorization_informed_frechet_distance,
        "authpct": metrics.authenticity,
    }
    # The data-copying test compares three sets.
    assert functions.keys() | {"ct"} == ganscope.catalog()["metrics"].keys()
    assert {function.__name__ for function in functions.values()} <= set(metrics.__all__)


def test_the_frechet_distance_is_its_formula(rows):
    a, b = (x.astype(np.float64) for x in rows)
    covs = [np.cov(x, rowvar=False) for x in (a, b)]
    root = np.sqrt(np.linalg.eigvals(covs[0] @ covs[1]).astype(complex)).real.sum()
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(covs[0] + covs[1]) - 2 * root
    assert metrics.frechet_distance(*rows) == pytest.approx(expected, rel=ROUNDING)
    assert metrics.spatial_frechet_distance(*rows) == metrics.frechet_distance(*rows)


def test_the_kernel_distance_of_whole_sets_is_its_formula(rows):
    a, b = rows[0], rows[1][:60]
    kernel = lambda x, y: (x.astype(np.float64) @ y.astype(np.float64).T / 6 + 1) ** 3
    n = len(a)
    within = sum(k.sum() - np.trace(k) for k in (kernel(a, a), kernel(b, b))) / (n * (n - 1))
    expected = within - 2 * kernel(a, b).sum() / n**2
    found = metrics.kernel_distance(a, b, subsets=3, subset_size=60)
    assert found.mean == pytest.approx(expected, rel=ROUNDING)
    assert found.std == pytest.approx(0, abs=ROUNDING)


def test_the_inception_score_is_its_formula():
    logits = np.random.RandomState(1).normal(size=(40, 5)).astype(np.float32)
    p = np.exp(logits.astype(np.float64))
    p /= p.sum(1, keepdims=True)
    expected = np.exp((p * np.log(p / p.mean(0))).sum(1).mean())
    assert metrics.inception_score(logits, splits=1).mean == pytest.approx(expected, rel=ROUNDING)


def test_manifolds_are_counts_of_neighbors(rows):
    generated, reference = (x.astype(np.float64) for x in rows)
    distances = lambda x, y: np.sqrt(((x[:, None] - y[None]) ** 2).sum(-1))
    k = 5
    radius = lambda x: np.sort(distances(x, x), axis=1)[:, k]
    between = distances(reference, generated)
    inside = between < radius(reference)[:, None]
    found = metrics.prdc(*rows, nearest_k=k)
    assert found.precision == inside.any(0).mean()
    assert found.recall == (between < radius(generated)[None]).any(1).mean()
    assert found.density == pytest.approx(inside.sum() / (k * len(generated)), rel=ROUNDING)
    assert found.coverage == inside.any(1).mean()
    both = metrics.precision_recall(*rows, nearest_k=k)
    assert 0 < both.f_score <= 1 and both.precision == found.precision


def test_arrays_have_the_scores_of_images(generated, reference):
    options = {"extractor": "fashion-cnn"}
    features = [ganscope.features(images, **options) for images in (generated, reference)]
    logits = ganscope.features(generated, logits=True, **options)
    report = ganscope.score(generated, reference, ["is", "fid", "prc"], **options)
    assert metrics.frechet_distance(*features) == report["fid"]
    assert metrics.inception_score(logits) == (report["is"], report.score("is").std)
    assert metrics.precision_recall(*features)[0] == report["prc_precision"]


@pytest.mark.parametrize(
    ("wrong", "kind", "text"),
    [
        (np.zeros((5, 6), np.int64), TypeError, "int64"),
        (np.zeros(6), TypeError, "(N, dim)"),
        ([[1.0]], TypeError, "list"),
        (np.full((5, 6), np.nan), ValueError, "NaN in row 0"),
        (np.zeros((0, 6)), ValueError, "0"),
        (np.zeros((1, 6)), ValueError, "at least 2"),
        (np.zeros((5, 0)), ValueError, "dimension"),
        (np.zeros((5, 4)), ValueError, "4 dimensions, expected 6"),
    ],
)
def test_what_are_no_rows_is_refused(rows, wrong, kind, text):
    with pytest.raises(kind) as raised:
        metrics.frechet_distance(wrong, rows[1])
    assert isinstance(raised.value, ganscope.Error) and text in str(raised.value)


def test_options_out_of_range_are_refused(rows):
    with pytest.raises(ValueError, match="kid-subset-size"):
        metrics.kernel_distance(*rows, subset_size=1)
    with pytest.raises(ValueError, match="kid_subset_size="):
        metrics.kernel_distance(*rows)
    with pytest.raises(ValueError, match="seed"):
        metrics.kernel_distance(*rows, seed=-1)
    with pytest.raises(FileNotFoundError, match="no metric"):
        metrics.scores("fyd", *rows)


def test_metrics_of_two_sets_answer_to_a_shift(rows):
    near, far = rows[0], rows[0] + 3
    for distance in [metrics.clip_mmd, metrics.mind, metrics.memorization_informed_frechet_distance]:
        assert distance(near + 0.01, rows[1]) < distance(far, rows[1])
    assert metrics.clipped(rows[1], rows[1][::-1]).coverage > metrics.clipped(far, rows[1]).coverage
    assert metrics.probabilistic_precision_recall(far, rows[1]).precision < 0.5
    assert metrics.authenticity(rows[1] + 1e-4, rows[1]) < 50


def test_the_vendi_score_of_rows_in_two_directions_is_two():
    rows = np.array([[1, 0], [3, 0], [0, 2], [0, 5]], np.float32)
    assert metrics.vendi(rows) == pytest.approx((2, 2, 2), rel=1e-6)
