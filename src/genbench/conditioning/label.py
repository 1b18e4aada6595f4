"""Class labels as embeddings, with a learned "no label" for guidance."""

import torch
from torch import Tensor, nn

from genbench.core import ConfigError, ImageSpec, Noise


class LabelEmbedding(nn.Module):
    """Embeds labels int64 [B] as [B,dim]; an absent label is embedded as the learned null class.

    Raises:
        ConfigError: conditional on data without labels.
    """

    def __init__(self, spec: ImageSpec, conditional: bool, dim: int) -> None:
        super().__init__()
        if conditional and not spec.num_classes:
            raise ConfigError(
                "model.conditional=true needs labels, but this data has none: use model.conditional=false"
            )
        self.null = spec.num_classes if conditional else 0
        self.table = nn.Embedding(self.null + 1, dim)

    def forward(self, label: Tensor | None, batch: int) -> Tensor:
        if label is None or self.null == 0:
            label = torch.full((batch,), self.null, device=self.table.weight.device)
        out: Tensor = self.table(label)
        return out

    def drop(self, label: Tensor | None, noise: Noise, probability: float) -> Tensor | None:
        """Labels with each replaced by the null class with the given probability (Ho & Salimans 2022)."""
        if label is None or probability == 0.0 or self.null == 0:
            return label
        return torch.where(noise.uniform() < probability, self.null, label)
