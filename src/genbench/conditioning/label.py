"""Class labels as embeddings, with a learned "no label" for guidance."""

import torch
from torch import Tensor, nn

from genbench.core import ConfigError, ImageSpec, Noise


class LabelEmbedding(nn.Module):
    """Embeds labels int64 [B] as [B,dim]; an unconditional model embeds every image alike.

    `nullable` adds a learned null class, the embedding of images without a label. It means something only
    where labels are dropped in training; without it a conditional model refuses to do without labels.

    Raises:
        ConfigError: conditional on data without labels, or labels missing where they are needed.
    """

    def __init__(self, spec: ImageSpec, conditional: bool, dim: int, nullable: bool = False) -> None:
        super().__init__()
        if conditional and not spec.num_classes:
            captions = ", or model=text_to_image, which reads its captions" if spec.captions else ""
            raise ConfigError(
                f"model.conditional=true needs labels, but this data has none: use model.conditional=false{captions}"
            )
        self.conditional, self.nullable = conditional, nullable
        self.null = spec.num_classes if conditional else 0
        self.table = nn.Embedding(self.null + (nullable or not conditional), dim)

    def forward(self, label: Tensor | None, batch: int) -> Tensor:
        """Embeddings of `label`, or of `batch` images without labels."""
        if label is None or not self.conditional:
            if self.conditional and not self.nullable:
                raise ConfigError(
                    "this model was trained on labels, never without, and none were given: give labels, "
                    "or train with model.conditional=false"
                )
            label = torch.full((batch,), self.null, device=self.table.weight.device)
        out: Tensor = self.table(label)
        return out

    def drop(self, label: Tensor | None, noise: Noise, probability: float) -> Tensor | None:
        """Labels with each replaced by the null class with the given probability (Ho & Salimans 2022, alg. 1)."""
        if label is None or probability == 0.0 or not self.conditional:
            return label
        return torch.where(noise.uniform() < probability, self.null, label)
