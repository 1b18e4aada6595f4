"""Rows into tables: numbers of different protocols never stand in one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genbench.benchmark.budgets import told
from genbench.benchmark.columns import Column, columns
from genbench.benchmark.deciding import Deciding, deciding, rank
from genbench.benchmark.footnotes import footnote
from genbench.benchmark.panel import panel, score_column
from genbench.benchmark.rows import Row, is_control, is_real, normalised


@dataclass(frozen=True)
class Table:
    """Rows that may be compared, best first by the score that decides, failures and then controls last."""

    data: str
    features: str | None
    protocol: str | None
    rows: list[Row]
    differs: str | None
    """What sets this table's protocol apart from the others'; None when there is one table."""

    @property
    def deciding(self) -> Deciding:
        """The score that ranks this table's models."""
        return deciding(self.rows)

    @property
    def columns(self) -> list[Column]:
        """The columns of the main table but for numbers that no row has; the scores of captions after the distance."""
        shown = columns(self.features)
        captioned = [score_column(key, self.features) for key in ("overall", "overall_held_out")]
        shown = [*shown[:4], *captioned, *shown[4:]]
        kept = [c for c in shown if not c.numeric or any(c.number(row) is not None for row in self.rows)]
        return kept if any(c.numeric for c in kept) else shown

    @property
    def panel(self) -> list[Column]:
        """The columns of the second table of the same rows; empty where no row has further scores."""
        return panel(self.scored, self.features)

    @property
    def scored(self) -> list[Row]:
        """The rows that have a judgement, controls too."""
        return [row for row in self.rows if row["status"] == "ok"]

    @property
    def judged(self) -> list[Row]:
        """Models with the score that decides, best first."""
        score = self.deciding
        return [row for row in self.rows if not is_control(row) and score.of(row) is not None]

    @property
    def controls(self) -> dict[str, Row]:
        """Judged control rows by model name: `real`, `noise`, ..."""
        return {row["model"]: row for row in self.scored if is_control(row)}

    @property
    def real(self) -> Row | None:
        """The control that judges real images, where it was judged under this protocol."""
        return next(filter(is_real, self.rows), None)

    @property
    def failed(self) -> list[Row]:
        """Rows whose training or judgement came to nothing."""
        return [row for row in self.rows if row["status"] == "failed"]

    @property
    def unjudged(self) -> list[Row]:
        """Rows that nobody has judged yet."""
        return [row for row in self.rows if row["status"] == "unjudged"]

    @property
    def title(self) -> str:
        return f"{self.data}, protocol {self.protocol or 'none'}"

    @property
    def panel_title(self) -> str:
        return f"{self.title}, quality panel"

    @property
    def flags(self) -> list[str]:
        """What makes some numbers of this table doubtful, each once."""
        return list(dict.fromkeys(flag for row in self.rows for flag in row["flags"]))

    @property
    def notes(self) -> list[str]:
        """What stands under this table: what the models had alike, what its ± is, and what is doubtful."""
        budget = told(self.rows)
        return [*([budget] if budget else []), footnote(self.scored, self.deciding.key), *self.flags]


def ranked(rows: Iterable[Row]) -> list[Row]:
    """Models, best first, then those without a result, then controls in the same order."""
    return sorted(rows, key=lambda row: (is_control(row), row["status"] != "ok", *rank(row), row["model"]))


def split(rows: Sequence[Row]) -> list[Table]:
    """One table per (data, features, protocol), largest first; a row without a result joins the first of its data."""
    rows = [normalised(row) for row in rows]
    groups: dict[tuple[str, str | None, str | None], list[Row]] = {}
    for row in rows:
        if row["protocol"] is not None or row["status"] == "ok":
            groups.setdefault((row["data"], row["features"], row["protocol"]), []).append(row)
    groups = dict(sorted(groups.items(), key=lambda item: -len(item[1])))
    for row in rows:
        if row["protocol"] is None and row["status"] != "ok":
            home = next((key for key in groups if key[0] == row["data"]), (row["data"], None, None))
            groups.setdefault(home, []).append(row)
    # where nothing was judged there is nothing to compare
    facts = {k: _facts(k, group) for k, group in groups.items() if any(row["status"] == "ok" for row in group)}
    others = {key: [other for k, other in facts.items() if k != key] for key in facts}
    return [
        Table(*key, ranked(group), _differs(facts[key], others[key]) if key in facts else None)
        for key, group in groups.items()
    ]


def _facts(key: tuple[str, str | None, str | None], rows: Sequence[Row]) -> dict[str, Any]:
    fields = dict(next((found for row in rows if (found := row.get("protocol_fields"))), {}))
    if isinstance(fields.get("sampler"), Mapping):
        fields["sampler"] = sampler_in_words(fields["sampler"])
    return {"data": key[0], "features": key[1], **flatten(fields)}


def sampler_in_words(fields: Mapping[str, Any]) -> str:
    """The class of a sampler and its settings, `DDIM, steps 50`."""
    settings = [f"{name} {value}" for name, value in flatten(fields).items() if name != "_target_"]
    return ", ".join([str(fields.get("_target_", "")).rsplit(".", 1)[-1], *settings]).removeprefix(", ")


def flatten(fields: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested fields as one level of dotted names."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _brief(value: Any) -> str:
    """A value as text, of a sha256 the first digits."""
    text = "nothing" if value is None else str(value)
    return text[:8] if len(text) == 64 else text


def _differs(own: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> str | None:
    if not others:
        return None
    parts = []
    for name in dict.fromkeys([*own, *(name for other in others for name in other)]):
        elsewhere = [other.get(name) for other in others if other.get(name) != own.get(name)]
        if elsewhere:
            values = ", ".join(dict.fromkeys(map(_brief, elsewhere)))
            parts.append(f"{name} = {_brief(own.get(name))} (elsewhere {values})")
    what = "; ".join(parts) or "fields that were not recorded"
    return f"not comparable with the other tables: {what}"
