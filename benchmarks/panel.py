"""The panel FID + IS + KID + precision/recall: genbench against torch-fidelity's own, the reference cached by both.

    python benchmarks/panel.py --data cifar10.npz --images 1000 --features 10000 --fast bfloat16 channels_last
    python benchmarks/panel.py --statistics-only 50000

Both judge the same images over the same Inception (random weights unless --weights names a file; a random network
costs the same) at equal numerics, in the same batches. The first part times the whole panel, the second the statistics
alone on as many random features as a real evaluation has, where torch-fidelity is slowest. Each --fast setting is timed
in turn with both, and what it does to the scores is printed. --statistics-only takes no images and no peer: it prints
what our statistics of so many features take, in seconds and in memory. Figures are seconds and ratios of one run.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import torch
import torch_fidelity
from torch import Tensor
from torch_fidelity import feature_extractor_inceptionv3 as fidelity_inception
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from genbench.core import ImageSpec
from genbench.data.images import ResidentTable
from genbench.evaluation import Judge, Protocol, Reference
from genbench.evaluation.sources import TableSource
from genbench.features import Inception
from genbench.features.files import sha256_of
from genbench.metrics import (
    Evidence,
    FeatureTable,
    FrechetDistance,
    InceptionScore,
    KernelDistance,
    Metric,
    PrecisionRecall,
)

FAST: dict[str, dict[str, object]] = {
    "bfloat16": {"precision": "bfloat16"},
    "channels_last": {"channels_last": True},
    "compile": {"compile": True},
    "channels_last_compile": {"channels_last": True, "compile": True},
    "all": {"precision": "bfloat16", "channels_last": True, "compile": True},
}
THEIRS = {
    "fd": "frechet_inception_distance",
    "is": "inception_score_mean",
    "kid": "kernel_inception_distance_mean",
    "precision": "precision",
    "recall": "recall",
}


class Bytes(torch.utils.data.Dataset[Tensor]):
    """Uint8 images as torch-fidelity reads them."""

    def __init__(self, image: Tensor) -> None:
        self.image = image

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, index: int) -> Tensor:
        return self.image[index]


def images(path: Path | None, n: int) -> tuple[Tensor, Tensor]:
    """Two sets of n uint8 RGB images: of an archive, or random ones."""
    if path is None:
        both = torch.randint(0, 256, (2 * n, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    else:
        both = torch.from_numpy(np.load(path)["x"][: 2 * n]).permute(0, 3, 1, 2).contiguous()
    return both[:n], both[n : 2 * n]


def random_weights(path: Path) -> None:
    """Writes an Inception that was never trained."""
    torch.manual_seed(0)
    network = fidelity_inception.FeatureExtractorInceptionV3
    with (
        mock.patch.object(fidelity_inception, "load_state_dict_from_url", return_value={}),
        mock.patch.object(network, "load_state_dict"),
    ):
        net = network("random", ["2048"])
    for module in net.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            # torch's own start would shrink every image to the same features
            torch.nn.init.kaiming_normal_(module.weight)
    torch.save(net.state_dict(), path)


def panel(n: int) -> tuple[Protocol, dict[str, Metric]]:
    """Our panel, with torch-fidelity's constants."""
    size = min(1000, n)
    metrics: dict[str, Metric] = {
        "fd": FrechetDistance(),
        "is": InceptionScore(10),
        "kid": KernelDistance(100, size),
        "precision_recall": PrecisionRecall(3),
    }
    return Protocol("panel", samples=n, kid_subset_size=size), metrics


def timed(what: Callable[[], dict[str, float]]) -> tuple[float, dict[str, float]]:
    """Seconds by the wall clock, and the scores."""
    start = time.perf_counter()
    scores = what()
    return time.perf_counter() - start, scores


def theirs(a: Tensor, b: Tensor, weights: Path, cache: Path, batch: int, cuda: bool) -> dict[str, float]:
    """torch-fidelity's panel; the features of `b` are in its cache from the second call on."""
    found = torch_fidelity.calculate_metrics(
        input1=Bytes(a), input2=Bytes(b), input2_cache_name="reference", cache_root=str(cache), cache=True,
        fid=True, isc=True, kid=True, prc=True, kid_subset_size=min(1000, len(a)), batch_size=batch, cuda=cuda,
        feature_extractor="inception-v3-compat", feature_extractor_weights_path=str(weights), verbose=False,
        save_cpu_ram=True,
    )  # fmt: skip
    return {key: float(found[name]) for key, name in THEIRS.items()}


def ours(judge: Judge, a: Tensor) -> dict[str, float]:
    """The same through a judge whose reference is at hand."""
    result = judge.evaluate(TableSource(ResidentTable(a), "samples"))
    return {key: float(result[key]) for key in THEIRS}


def random_features(n: int, dims: int = 2048) -> Evidence:
    """Normal features of n samples and n reference images, and logits of as many classes as Inception's."""
    generator = torch.Generator().manual_seed(0)
    samples, reference = (
        FeatureTable(torch.randn(n, dims, generator=generator), logits, None, False)
        for logits in (torch.randn(n, 1008, generator=generator), torch.zeros(n, 0))
    )
    return Evidence(samples, reference, reference.moments)


def peak_gib() -> float:
    """The most memory that this process ever had, in GiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def ours_alone(n: int) -> None:
    """Prints what our statistics of random features take, a metric at a time, and the most memory up to there."""
    print(f"before any features: {peak_gib():.2f} GiB")
    evidence = random_features(n)
    dims = evidence.samples.features.shape[1]
    print(f"samples and reference of {n} x {dims} features: {peak_gib():.2f} GiB")
    for name, metric in panel(n)[1].items():
        seconds = timed(lambda metric=metric: {k: s.value or 0.0 for k, s in metric(evidence).items()})[0]  # type: ignore[misc]
        print(f"{name:>17}  {seconds:8.2f} s  {peak_gib():6.2f} GiB at most so far", flush=True)


def metrics_alone(n: int) -> None:
    """Times the statistics alone on random features."""
    evidence = random_features(n)
    a, logits, dims = evidence.samples.features, evidence.samples.logits, evidence.samples.features.shape[1]
    assert evidence.reference is not None
    b, size = evidence.reference.features, min(1000, n)
    known = fid_features_to_statistics(b)  # torch-fidelity keeps it with the reference, as we do
    peers: dict[str, Callable[[], object]] = {
        "fd": lambda: fid_statistics_to_metric(fid_features_to_statistics(a), known, verbose=False),
        "is": lambda: isc_features_to_metric(logits),
        "kid": lambda: kid_features_to_metric(a, b, kid_subsets=100, kid_subset_size=size, verbose=False),
        "precision_recall": lambda: prc_features_to_metric(a, b, save_cpu_ram=True, verbose=False),
    }
    print(f"\nstatistics of {n} x {dims} features, seconds (ours with standard errors)")
    total = [0.0, 0.0]
    for name, metric in panel(n)[1].items():
        own = timed(lambda metric=metric: {k: s.value or 0.0 for k, s in metric(evidence).items()})[0]  # type: ignore[misc]
        peer = timed(lambda name=name: {"": 0.0} if peers[name]() else {})[0]  # type: ignore[misc]
        total = [total[0] + own, total[1] + peer]
        print(f"{name:>17}  genbench {own:8.2f}  torch-fidelity {peer:8.2f}  ratio {peer / own:6.2f}")
    print(f"{'all':>17}  genbench {total[0]:8.2f}  torch-fidelity {total[1]:8.2f}  ratio {total[1] / total[0]:6.2f}")


def _moved(scores: dict[str, float], others: dict[str, float]) -> str:
    return ", ".join(f"{key} {scores[key] - others[key]:+.1e} of {others[key]:.5g}" for key in THEIRS)


def main() -> None:
    """Prints seconds, ratios and score differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="npz of uint8 images under x, such as CIFAR-10 (default: noise)")
    parser.add_argument("--weights", type=Path, help="Inception's weights (default: random ones)")
    parser.add_argument("--images", type=int, default=1000, help="samples and reference images each (default 1000)")
    parser.add_argument("--features", type=int, default=10_000, help="rows of the statistics part (default 10000)")
    parser.add_argument("--batch", type=int, default=64, help="images at once (default 64)")
    parser.add_argument("--rounds", type=int, default=3, help="alternating repetitions, of which medians (default 3)")
    parser.add_argument("--fast", nargs="*", choices=sorted(FAST), default=[], help="fast settings to time")
    parser.add_argument("--statistics-only", type=int, metavar="N", help="time and memory of our statistics alone")
    arguments = parser.parse_args()
    if arguments.statistics_only is not None:
        ours_alone(arguments.statistics_only)
        return
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    samples, reference = images(arguments.data, arguments.images)
    protocol, metrics = panel(arguments.images)
    spec = ImageSpec(3, *samples.shape[2:])
    with tempfile.TemporaryDirectory() as folder:
        weights = arguments.weights or Path(folder, "inception.pth")
        if arguments.weights is None:
            random_weights(weights)

        def judge(**settings: object) -> Judge:
            extractor = Inception(weights, sha256_of(weights), **settings).to(device)  # type: ignore[arg-type]
            known = Reference.read(TableSource(ResidentTable(reference), "reference"), extractor, arguments.batch)
            return Judge(spec, protocol, extractor, metrics, known, batch=arguments.batch)

        def run_theirs() -> dict[str, float]:
            return theirs(samples, reference, weights, Path(folder, "cache"), arguments.batch, device.type == "cuda")

        # the first call of each pays for compilation and fills torch-fidelity's cache of the reference
        judges = {"exact": judge(), **{name: judge(**FAST[name]) for name in arguments.fast}}
        runs: dict[str, Callable[[], dict[str, float]]] = {"torch-fidelity": run_theirs}
        runs |= {name: partial(ours, each, samples) for name, each in judges.items()}
        for run in runs.values():
            run()
        rounds = [{name: timed(run) for name, run in runs.items()} for _ in range(arguments.rounds)]
        extraction = timed(lambda: {"": float(len(judges["exact"].table(TableSource(ResidentTable(samples), ""), 0)))})[
            0
        ]
        print(f"panel on {arguments.images} images, reference cached, {device}, medians of {arguments.rounds} rounds")
        expected, exact = rounds[0]["torch-fidelity"][1], rounds[0]["exact"][1]
        for name in runs:
            seconds = statistics.median(each[name][0] for each in rounds)
            ratios = [
                statistics.median(each[peer][0] / each[name][0] for each in rounds)
                for peer in ("torch-fidelity", "exact")
            ]
            print(f"{name:>22} {seconds:8.1f} s, {ratios[0]:.2f} times torch-fidelity's speed, {ratios[1]:.2f} exact's")
        print(f"of exact, extraction {extraction:.1f} s")
        print("exact - torch-fidelity: " + _moved(exact, expected))
        for name in arguments.fast:
            print(f"{name} - exact: " + _moved(rounds[0][name][1], exact))
    metrics_alone(arguments.features)


if __name__ == "__main__":
    main()
