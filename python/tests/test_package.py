"""The package as it is distributed: metadata, and a release that is optimized as the program is."""

import re
from importlib.metadata import metadata

from conftest import ROOT


def levels(path):
    """Optimization of each crate in the release profile of a manifest."""
    text = path.read_text()
    block = text[text.index("[profile.release]") :]
    return dict(re.findall(r"^(\S+)\.opt-level = (\d)$", block, re.M))


def test_the_release_profile_is_that_of_the_workspace():
    crates = set(re.findall(r'^name = "(.*)"$', (ROOT / "python" / "Cargo.lock").read_text(), re.M))
    expected = {name: level for name, level in levels(ROOT / "Cargo.toml").items() if name in crates}
    assert levels(ROOT / "python" / "Cargo.toml") == expected


def test_the_metadata_are_those_that_an_index_shows():
    found = metadata("ganscope")
    assert found["License-Expression"] == "MIT OR Apache-2.0"
    assert sorted(found.get_all("License-File")) == ["LICENSE-APACHE", "LICENSE-MIT"]
    assert found["Requires-Python"] == ">=3.10" and found["Summary"]
    assert "Typing :: Typed" in found.get_all("Classifier")
    assert any(url.startswith("Repository") for url in found.get_all("Project-URL"))
    assert "import ganscope" in found.get_payload()
