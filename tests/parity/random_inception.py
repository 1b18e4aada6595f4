"""Fixed random weights and images that every library gets."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch_fidelity import feature_extractor_inceptionv3 as fidelity

SIDE = 20


@dataclass(frozen=True)
class Weights:
    """A state dict of Inception with random weights: its tensors, its file and the file's sum."""

    state: dict[str, Tensor]
    path: Path
    sha256: str


def make_weights(folder: Path) -> Weights:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fidelity, "load_state_dict_from_url", lambda *args, **kwargs: {})
        patch.setattr(fidelity.FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        net = fidelity.FeatureExtractorInceptionV3("random", ["2048"])
    generator = torch.Generator().manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, generator=generator)
    net.fc.weight *= 30.0  # predictions that differ enough for an inception score above one
    path = folder / "random.pth"
    torch.save(net.state_dict(), path)
    return Weights(net.state_dict(), path, hashlib.sha256(path.read_bytes()).hexdigest())


def make_images(n: int, seed: int, low: int = 0) -> Tensor:
    """Uint8 [n,3,20,20]: noise, over a ramp in every second image, so that resizing matters."""
    noise = torch.randint(low, 140, (n, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(seed))
    ramp = (torch.arange(n) % 2)[:, None, None, None] * torch.arange(SIDE) * 6
    return (noise + ramp).to(torch.uint8)
