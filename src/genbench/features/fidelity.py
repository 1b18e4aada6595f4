"""Our extractors inside torch-fidelity, so that its own evaluation can run over them."""

import hashlib
import json
from typing import Any

from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY, register_feature_extractor

from genbench.features.base import FeatureExtractor


def register(extractor: FeatureExtractor) -> str:
    """The name under which `torch_fidelity.calculate_metrics(feature_extractor=...)` finds `extractor`.

    The name holds the identity's hash, because torch-fidelity's cache of features knows an extractor by name alone.
    """
    identity = json.dumps(extractor.identity(), sort_keys=True)
    name = f"{extractor.name}-{hashlib.sha256(identity.encode()).hexdigest()[:10]}"
    if name not in FEATURE_EXTRACTORS_REGISTRY:
        register_feature_extractor(name, _adapter(extractor))
    return name


def _adapter(extractor: FeatureExtractor) -> type[FeatureExtractorBase]:
    class Adapter(FeatureExtractorBase):  # type: ignore[misc]  # torch-fidelity has no types
        def __init__(self, name: str, features_list: list[str], **kwargs: Any) -> None:
            super().__init__(name, features_list)
            self.extractor = extractor

        @staticmethod
        def get_provided_features_list() -> tuple[str, ...]:
            return ("features", "logits")

        @staticmethod
        def get_default_feature_layer_for_metric(metric: str) -> str:
            return "logits" if metric == "isc" else "features"

        @staticmethod
        def can_be_compiled() -> bool:
            return False

        def forward(self, image: Tensor) -> tuple[Tensor, ...]:
            out = self.extractor(image)
            return tuple(out[name] for name in self.features_list)

    return Adapter
