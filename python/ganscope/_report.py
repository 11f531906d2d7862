"""Reports of scores."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Score(NamedTuple):
    """One number about a generated set."""

    name: str
    """Its name, as ``fid``."""
    title: str
    """Its name for people, as ``FID`` or ``FD (fashion-cnn)``."""
    value: float
    std: float | None
    """Standard deviation over splits or subsets, where the metric has any."""
    higher_is_better: bool
    standard_error: float | None
    """Standard error over other draws of equally many generated images, where it is known."""
    interval: list[float] | None
    """Ends of the 95 % confidence interval, where one holds."""

    def spread(self) -> str:
        """How sure it is: ``± 0.06``, the standard error, as ``ganscope score`` prints it; nothing if that is unknown."""
        return "" if self.standard_error is None else f"± {self.standard_error:.6f}"


class Report(Mapping[str, float]):
    """Scores of one generated set by name, as ``report["fid"]``, with the conditions they were taken under.

    Attributes:
        scores: the scores in order, each a :class:`Score`.
        classes: the scores of each class, as the JSON report has them, where they were asked for with ``by_class``.
        differences: for each score the letters of all generated sets and the differences of each pair with their
            p-values, where several sets were scored at once.
        conditions: everything that another run needs for the same numbers.
        warnings: what may mislead.
        summary: the conditions in a line.
    """

    def __init__(self, data: dict[str, Any], summary: str) -> None:
        self._data = data
        self.summary = summary
        self.scores = [Score(*(row[field] for field in Score._fields)) for row in data["scores"]]
        self.classes: list[dict[str, Any]] = data.get("classes", [])
        self.differences: list[dict[str, Any]] = data.get("differences", [])
        self.conditions: dict[str, Any] = data["conditions"]
        self.warnings: list[str] = data["warnings"]

    def __getitem__(self, name: str) -> float:
        return self.score(name).value

    def score(self, name: str) -> Score:
        """The score ``name`` with its spread."""
        for score in self.scores:
            if score.name == name:
                return score
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (score.name for score in self.scores)

    def __len__(self) -> int:
        return len(self.scores)

    def to_json(self) -> str:
        """The report as ``ganscope score --json`` writes it."""
        return json.dumps(self._data, indent=2, ensure_ascii=False)

    def __repr__(self) -> str:
        lines = []
        for score in self.scores:
            better = "higher" if score.higher_is_better else "lower"
            lines.append(f"{score.title}: {f'{score.value:.6f} {score.spread()}'.rstrip()} ({better} is better)")
        return "\n".join([*lines, self.summary])

    def _repr_html_(self) -> str:
        rows = []
        for score in self.scores:
            spread = score.spread()
            arrow = "↑" if score.higher_is_better else "↓"
            title = html.escape(score.title)
            rows.append(f"<tr><th>{title} {arrow}</th><td>{score.value:.6f}</td><td>{spread}</td></tr>")
        notes = "".join(f"<p>⚠ {html.escape(text)}</p>" for text in self.warnings)
        return f"<table>{''.join(rows)}</table><p>{html.escape(self.summary)}</p>{notes}"


def parts(text: str, summary: str, count: int) -> list[Report]:
    """A report of each of ``count`` sets."""
    data = json.loads(text)
    rows, sets = data["scores"], data["conditions"]["generated"]
    each = len(rows) // count
    reports = []
    for i in range(count):
        conditions = {**data["conditions"], "generated": [sets[i]]}
        classes = [row for row in data.get("classes", []) if row["generated"] == sets[i]["path"]]
        part = {**data, "scores": rows[i * each : (i + 1) * each], "conditions": conditions, "classes": classes}
        reports.append(Report(part, summary))
    return reports
