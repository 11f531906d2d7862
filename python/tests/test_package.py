"""The package as it is distributed: what it is built from, and its metadata."""

import shutil
import subprocess
from importlib.metadata import metadata

import pytest
from conftest import ROOT


def features(*selection):
    """Crates and their features as cargo compiles them for a selection of packages."""
    tree = ["cargo", "tree", "--locked", "--offline", "--prefix", "none", "--no-dedupe", "-f", "{p} {f}"]
    found = subprocess.run([*tree, *selection], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(found.stdout.splitlines())


@pytest.mark.skipif(shutil.which("cargo") is None, reason="cargo is not installed")
def test_the_library_of_the_workspace_serves_the_package_too():
    package = features("-p", "ganscope-python", "-e", "normal,build")
    assert package <= features("--workspace", "-e", "normal,build,dev")


def test_the_metadata_are_those_that_an_index_shows():
    found = metadata("ganscope")
    assert found["License-Expression"] == "MIT OR Apache-2.0"
    assert sorted(found.get_all("License-File")) == ["LICENSE-APACHE", "LICENSE-MIT"]
    assert found["Requires-Python"] == ">=3.10" and found["Summary"]
    assert "Typing :: Typed" in found.get_all("Classifier")
    assert any(url.startswith("Repository") for url in found.get_all("Project-URL"))
    assert "import ganscope" in found.get_payload()
