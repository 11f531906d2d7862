"""Scores: the digits of the command line, whatever form a set has."""

import json

import numpy as np
import pytest
from PIL import Image

import ganscope
from conftest import SAMPLES, pictures

METRICS = ["is", "fid", "kid", "prdc", "prc"]
OPTIONS = {"extractor": "fashion-cnn", "kid_subset_size": 20, "kid_subsets": 5, "is_splits": 4}
FLAGS = ["--extractor", "fashion-cnn", "--kid-subset-size", 20, "--kid-subsets", 5, "--is-splits", 4]


def score(generated, reference, **options):
    return ganscope.score(generated, reference, METRICS, **{**OPTIONS, **options})


def test_digits_are_those_of_the_command_line(tmp_path, program, generated, reference):
    for name, images in (("a", generated), ("b", reference)):
        (tmp_path / name).mkdir()
        for i, image in enumerate(images):
            Image.fromarray(image).save(tmp_path / name / f"{i:04}.png")
    told = program(
        "score", tmp_path / "a", "--reference", tmp_path / "b", "--metrics", ",".join(METRICS), *FLAGS, "--json", "-"
    )
    fields = ("name", "value", "std", "standard_error", "interval")
    expected = [tuple(row[field] for field in fields) for row in told["scores"]]
    assert any(row[3] is not None for row in expected) and any(row[4] is not None for row in expected)
    files = sorted((tmp_path / "b").iterdir())
    for report in (
        score(tmp_path / "a", str(tmp_path / "b"), cache=False),
        score(generated, reference),
        score([Image.fromarray(image) for image in generated], files),
    ):
        assert [tuple(getattr(score, field) for field in fields) for score in report.scores] == expected
    assert json.loads(score(tmp_path / "a", tmp_path / "b").to_json())["scores"][0].keys() == told["scores"][0].keys()


def test_every_form_of_a_set_has_the_same_scores(tmp_path, generated, reference):
    expected = dict(score(generated, reference))
    np.save(tmp_path / "a.npy", generated)

    class Dlpack:
        def __dlpack__(self, **options):
            return generated.__dlpack__(**options)

        def __dlpack_device__(self):
            return generated.__dlpack_device__()

    class Array:
        def __array__(self, dtype=None, copy=None):
            return generated

    for form in (
        generated.transpose(0, 3, 1, 2),
        np.asfortranarray(generated),
        list(generated),
        list(generated.transpose(0, 3, 1, 2)),
        tmp_path / "a.npy",
        Dlpack(),
        Array(),
    ):
        assert dict(score(form, reference)) == expected


def test_features_are_sets_too(tmp_path, generated, reference):
    expected = dict(score(generated, reference))
    rows = [ganscope.features(images, extractor="fashion-cnn") for images in (generated, reference)]
    np.save(tmp_path / "a.npy", rows[0])
    np.savez(tmp_path / "b.npz", feats=rows[1].astype(np.float64))
    for a, b in ((rows[0], rows[1]), (tmp_path / "a.npy", tmp_path / "b.npz")):
        report = ganscope.score(a, b, ["fid", "kid", "prdc"], kid_subset_size=20, kid_subsets=5)
        assert dict(report) == {name: expected[name] for name in report}


def test_several_sets_have_a_report_each(generated, reference):
    reports = score({"small": generated, "equal": reference}, reference)
    assert list(reports) == ["small", "equal"]
    assert dict(reports["small"]) == dict(score(generated, reference))
    assert reports["equal"]["fid"] == 0.0
    assert reports["equal"].conditions["generated"][0]["images"] == 50
    for report in reports.values():
        assert [of["name"] for of in report.differences] == list(report)
        assert {pair["first"] for of in report.differences for pair in of["pairs"]} == {"small"}


def test_classes_have_scores_of_their_own(tmp_path, generated, reference):
    for name, images in (("a", generated), ("b", reference)):
        for i, image in enumerate(images):
            (tmp_path / name / f"class{i % 2}").mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(tmp_path / name / f"class{i % 2}" / f"{i:04}.png")
    report = ganscope.score(tmp_path / "a", tmp_path / "b", "fid", extractor="fashion-cnn", by_class=True, recursive=True)
    assert [found["class"] for found in report.classes] == ["class0", "class1"]
    assert [found["images"] for found in report.classes] == [len(generated) // 2] * 2
    assert score(generated, reference).classes == []


def test_a_report_tells_its_conditions(generated, reference):
    report = score(generated, reference)
    assert report.conditions["extractor"] == "fashion-cnn"
    assert report.score("fid").title == "FD (fashion-cnn)"
    assert set(report) >= {"is", "fid", "kid", "precision"}
    assert "FD (fashion-cnn)" in repr(report) and "<table>" in report._repr_html_()
    # What stands behind the plus-minus sign is the standard error, not the spread over splits.
    kid = report.score("kid")
    assert kid.std != kid.standard_error and f"± {kid.standard_error:.6f}" in repr(report)
    assert f"± {kid.standard_error:.6f}" in report._repr_html_() and f"{kid.std:.6f}" not in repr(report)
    assert any("bias" in text or "fewer" in text for text in report.warnings), report.warnings


def test_shipped_statistics_and_folders_are_found_by_name():
    report = ganscope.score(SAMPLES, "fashion-test", "fid", extractor="fashion-cnn")
    assert len(report) == 1 and report["fid"] > 0


def test_gray_images_have_one_channel_or_none(reference):
    gray = pictures(30, 3)[..., 0]
    colored = np.repeat(gray[..., None], 3, axis=-1)
    expected = dict(score(colored, reference))
    for form in (gray, gray[..., None], gray[:, None]):
        assert dict(score(form, reference)) == expected


def test_warnings_arrive_as_warnings(generated, reference):
    with pytest.warns(ganscope.ScoreWarning):
        score(generated, reference)


def test_statistics_merge_exactly(tmp_path, generated, reference):
    np.save(tmp_path / "a.npy", generated)
    parts = []
    for i in (1, 2, 3):
        parts.append(tmp_path / f"{i}.safetensors")
        ganscope.statistics(tmp_path / "a.npy", parts[-1], extractor="fashion-cnn", shard=f"{i}/3")
    assert ganscope.merge_statistics(parts, tmp_path / "all.safetensors") == 40
    facts = ganscope.statistics(generated, tmp_path / "whole.npz", extractor="fashion-cnn")
    assert facts["images"] == 40
    found = [
        ganscope.score(tmp_path / name, reference, "fid", extractor="fashion-cnn")["fid"]
        for name in ("all.safetensors", "whole.npz")
    ]
    expected = score(generated, reference)["fid"]
    # Sums of float64 in another order.
    assert np.allclose(found, expected, rtol=1e-9, atol=0)


def test_the_catalog_lists_what_can_be_asked_for():
    catalog = ganscope.catalog()
    assert "fid" in catalog["metrics"] and "fashion-cnn" in catalog["extractors"]
