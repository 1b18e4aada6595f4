"""`protocol=crosswalk`: one sample set under the conventions of four evaluators, through the command itself."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_inception import Weights

from genbench.app.cli import dispatch


@pytest.mark.slow
def test_the_crosswalk_shows_one_sample_set_under_four_conventions(
    weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (18, 16, 16, 3), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", image)
    np.savez(tmp_path / "theirs.npz", image[:8] // 2)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["genbench"])
    dispatch([
        "evaluate", "protocol=crosswalk", "samples=theirs.npz", "data=npz", "data.train=data.npz",
        f"features.weights={weights.path}", f"features.sha256={weights.sha256}", "protocol.samples=8",
        "protocol.is_splits=2", "protocol.kid_subset_size=4", "batch_size=8",
    ])  # fmt: skip
    found = [json.loads(path.read_text()) for path in tmp_path.glob("theirs.*.json")]
    assert len({result["protocol"] for result in found}) == 4
    assert len({result["protocol_fields"]["extractor"]["preprocessing"] for result in found}) == 3
    printed = capsys.readouterr().out
    for name in ("torch_fidelity", "clean_fid", "torchmetrics", "adm"):
        assert name in printed
    by_convention = {json.dumps(r["protocol_fields"]["extractor"]): r["fd"] for r in found}
    assert len(set(by_convention.values())) == 3
    # ADM's features are torch-fidelity's; its scores differ in the inception score's shuffle alone
    same = [r["fd"] for r in found if r["protocol_fields"]["extractor"]["preprocessing"].count("TF1")]
    assert same[0] == same[1]
