"""What previews measure, against our own metrics and closed forms over the same rows."""

import pytest
import torch
from torch import Tensor, nn
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

from genbench.core import DataError
from genbench.metrics.frechet import frechet
from genbench.metrics.moments import Moments
from genbench.training.probe import Probe


class Linear(nn.Module):
    """A fixed projection of the pixels, counting the images it is shown; logits say class 0..K-1 by the first pixel."""

    def __init__(self, classes: int = 4, sharpness: float = 200.0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(7)
        self.weight = nn.Parameter(torch.randn(48, 12, generator=generator), requires_grad=False)
        self.classes, self.sharpness, self.seen = classes, sharpness, 0

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        self.seen += len(image)
        one_hot = torch.arange(self.classes) == image[:, 0, 0, :1] % max(self.classes, 1)
        return {"features": image.flatten(1).float() / 255 @ self.weight, "logits": self.sharpness * one_hot.float()}


def images(n: int, seed: int, low: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(low, 256, (n, 3, 4, 4), generator=generator, dtype=torch.uint8)


REAL, FAKE = images(600, 1), images(500, 2, low=40)


def rows(image: Tensor) -> Tensor:
    return Linear()(image)["features"]


@pytest.mark.parametrize("batch", [100, 250, 600])
def test_fd_is_our_own_over_the_same_rows(batch: int) -> None:
    own = frechet(Moments.of(rows(FAKE)), Moments.of(rows(REAL)))
    assert Probe(Linear(), REAL, batch)(FAKE)["fd"] == pytest.approx(own, rel=1e-4)


def test_kid_of_one_subset_of_everything_is_torch_fidelitys() -> None:
    real, fake = REAL[:200], FAKE[:200]
    reference = kid_features_to_metric(
        rows(fake), rows(real), kid_subsets=1, kid_subset_size=200, verbose=False, rng_seed=3
    )
    probe = Probe(Linear(), real)
    assert probe(fake)["kid"] == pytest.approx(reference[KEY_METRIC_KID_MEAN], rel=1e-5)
    assert probe.kid.subset_size == 200


def test_is_of_classes_in_equal_shares_and_of_none() -> None:
    sure = Probe(Linear(classes=2), REAL)(FAKE)["is"]
    assert 1.95 < sure <= 2.0 + 1e-9  # shares of 100 fair coins
    assert Probe(Linear(sharpness=0.0), REAL)(FAKE)["is"] == pytest.approx(1.0, abs=1e-9)
    assert Probe(Linear(classes=0), REAL)(FAKE).keys() == {"fd", "kid"}


def test_numbers_depend_on_the_images_alone() -> None:
    probe = Probe(Linear(), REAL)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = probe(FAKE)
    assert torch.equal(torch.get_rng_state(), before)
    other = probe(images(500, 3))
    torch.manual_seed(6)
    assert probe(FAKE) == first != other
    assert Probe(Linear(), REAL)(FAKE) == first


def test_real_images_pass_the_extractor_once_and_generated_ones_once_for_all_metrics() -> None:
    extractor = Linear()
    probe = Probe(extractor, REAL)
    assert extractor.seen == 601  # one tells the width
    for calls in (1, 2, 3):
        probe(FAKE)
        assert extractor.seen == 601 + 500 * calls


def test_too_few_images_are_refused() -> None:
    with pytest.raises(DataError, match="at least 2 real images, here are 1"):
        Probe(Linear(), REAL[:1])
    with pytest.raises(DataError, match="expected 250 or more"):
        Probe(Linear(), REAL)(FAKE[:100])
