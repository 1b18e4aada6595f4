"""From configs to a judge, and from a run to its result."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch
from filelock import FileLock, Timeout
from tqdm import tqdm

from genbench.app.build import build, resolve
from genbench.app.neighbours import write_neighbours
from genbench.app.paths import cache_dir
from genbench.app.sheets import keep_sheets, sheets_are_there
from genbench.core import GenerativeModel, HasLikelihood, RunError, SeededNoise
from genbench.core.batch import Batch
from genbench.core.files import write_json
from genbench.core.pixels import to_float
from genbench.data.dataset import ImageDataset, Split
from genbench.evaluation import Judge, Protocol, Reference
from genbench.evaluation.minimum import require_enough
from genbench.evaluation.ranks import barrier, rank
from genbench.evaluation.sources import ModelSource, TableSource
from genbench.evaluation.store import ChunkStore
from genbench.features.files import sha256_of
from genbench.metrics import Metric
from genbench.metrics.base import REFERENCE, SAMPLES, TRAIN
from genbench.run import Run

NO_BITS: Mapping[str, Any] = {"bits_per_dim": None, "bits_per_dim_error": None, "likelihood": None}


class Variation(NamedTuple):
    """Another way to draw from a trained run: its name in a benchmark, and the sampler's config."""

    name: str
    sampler: Mapping[str, Any]


def make_judge(
    dataset: ImageDataset,
    config: Mapping[str, Any],
    batch: int = 250,
    progress: bool = True,
    device: torch.device | str = "cpu",
    sampler: Mapping[str, Any] | None = None,
    keep_images: bool = False,
) -> Judge:
    """The judge that `features`, `protocol`, `metric` and `reference` of a config describe.

    `sampler` is what the judged model was made to draw with instead of its own.

    Raises:
        ConfigError: an extractor that cannot judge this data, or whose weights are not at hand, or fewer images than
            the metrics take.
        DataError: reference statistics of another extractor.
    """
    extractor = build(config["features"]).to(device)
    extractor.check(dataset.spec)
    rules: Protocol = build(config["protocol"])
    metrics: dict[str, Metric] = build(config["metric"])
    images = any(metric.needs_images for metric in metrics.values())
    both, imported = any(metric.needs_splits for metric in metrics.values()), config.get("reference")
    counts = {SAMPLES: rules.samples}
    counts |= {} if imported else {REFERENCE: len(dataset.table(rules.reference))}
    counts |= {TRAIN: len(dataset.table("train"))} if both else {}
    require_enough(metrics, counts, extractor.width(dataset.spec))

    def read(split: Split) -> Reference:
        source = TableSource(dataset.table(split), f"{dataset.name} {split}")
        return Reference.read(source, extractor, batch, progress, cache_dir() / "features", images)

    reference = Reference.load(Path(imported), extractor) if imported else read(rules.reference)
    splits: dict[Split, Reference] = {}
    if both:
        names: tuple[Split, Split] = ("train", "test")
        splits = {name: reference if name == rules.reference and not imported else read(name) for name in names}
    captions = _captions(dataset, taught=any(metric.needs_captions for metric in metrics.values()))
    return Judge(
        dataset.spec, rules, extractor, metrics, reference, splits, captions, with_guide(sampler), keep_images, batch,
        progress,
    )  # fmt: skip


def _captions(dataset: ImageDataset, taught: bool) -> dict[Split, list[str]]:
    """The test captions of captioned data, and those of training where a metric asks what was `taught`."""
    splits: tuple[Split, ...] = ("train", "test") if taught else ("test",)
    found = {split: dataset.table(split).caption for split in splits if dataset.spec.captions}
    return {split: captions for split, captions in found.items() if captions is not None}


@contextmanager
def kept_draws(run: Run) -> Iterator[Path]:
    """A folder in the run that keeps what is drawn and extracted, until all judgements in the block are written.

    Raises:
        RunError: another evaluation of this run is at work, and would clear the folder under this one.
    """
    folder = run.results / ".draws"
    lock = FileLock(run.path / ".judging.lock")
    if rank() == 0:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise RunError(f"another process is judging {run.path}: wait for it") from None
    try:
        yield folder
        barrier()
        if rank() == 0:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        lock.release()


def with_guide(sampler: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """A sampler's config that says which weights it is guided by, wherever they lie."""
    if not sampler or not sampler.get("guidance_run"):
        return sampler
    worse = Run.open(Path(sampler["guidance_run"]))
    return {**sampler, "guidance_run": worse.path.name, "guidance_sha256": sha256_of(worse.weights_of("ema"))}


def judge_run(
    run: Run,
    model: GenerativeModel,
    dataset: ImageDataset,
    judge: Judge,
    draws: Path,
    likelihood: Mapping[str, Any] | None = None,
    bits: bool = True,
    variation: Variation | None = None,
) -> dict[str, Any]:
    """The result of a run under a judge's protocol, from its folder when it has been judged before.

    `draws` keeps what is drawn and extracted, so that an interrupted judgement goes on, and further judges of the
    same samples draw nothing. `likelihood` is what the model was given instead of its own: the result holds the last
    one asked for, and samples judged before are not judged again for it, nor bits that another result of the run has.
    Without `bits` none are computed: the result has those that are known, and asking again adds them.
    `variation` is what a benchmark gave the model to draw with beside its own sampler; it has a result of its own.
    """
    path = run.result_path(judge.hash, variation and variation.name)
    kept = read_result(path) if path.is_file() else {}
    if variation is not None and kept and kept.get("sampler") != with_guide(variation.sampler):
        # the benchmark has given this name to another way to draw
        kept = {}
    bits_by = {
        "likelihood": likelihood or resolve(run.config).get("likelihood"),
        "weights": judge.protocol.weights,
        "images": dataset.table("test").fingerprint(),
    }
    scored = kept and judge.metrics.keys() <= set(kept.get("metrics", ()))
    if scored and (not bits or kept.get("bits_by") == bits_by) and sheets_are_there(run, kept):
        return kept
    source, store = _drawn(run, model, judge, draws, variation)
    result = kept if scored else _judged(run, source, store, dataset, judge, kept, path)
    result["variation"] = variation and variation.name
    if rank() == 0:
        found = _known_bits(run, bits_by)
        if found is None and bits:
            found = bits_per_dim(model, dataset, judge.progress)
        if found is not None:
            result |= found | {"bits_by": bits_by}
        elif "bits_by" not in result:
            result |= NO_BITS
        write_json(path, result)  # what is judged is safe before anything else is drawn
        result |= keep_sheets(run, source, store.home.name, dataset, judge)
        write_json(path, result)
    return result


def _known_bits(run: Run, bits_by: Mapping[str, Any]) -> dict[str, Any] | None:
    """The bits that another result of the run has by the same likelihood: they depend on no sampler or protocol."""
    for path in sorted(run.results.glob("*.json")):
        with suppress(RunError):
            other = read_result(path)
            if other.get("bits_by") == bits_by:
                return {key: other[key] for key in ("bits_per_dim", "bits_per_dim_error", "likelihood")}
    return None


def _drawn(
    run: Run, model: GenerativeModel, judge: Judge, draws: Path, variation: Variation | None
) -> tuple[ModelSource, ChunkStore]:
    """What is drawn from, and where that is kept, addressed by all that decides the images."""
    own = resolve(run.config)["sampler"] if variation is None else variation.sampler
    rounding, weights = judge.protocol.rounding, sha256_of(run.weights_of(judge.protocol.weights))
    drawn_by = {"weights": weights, "sampler": judge.sampler or with_guide(own), "rounding": rounding}
    if model.reads_captions:
        drawn_by["captions"] = judge.fields["captions"]["test"]
    source = ModelSource(model, run.path.name, rounding=rounding, prompts=judge.prompts)
    return source, ChunkStore(draws, drawn_by)


def _judged(
    run: Run,
    source: ModelSource,
    store: ChunkStore,
    dataset: ImageDataset,
    judge: Judge,
    kept: Mapping[str, Any],
    path: Path,
) -> dict[str, Any]:
    """What the judge says of the run's samples, added to what is kept."""
    # the first draw of a process pays for what later ones find ready: it is made off the clock
    warm_up = ModelSource(source.model, "warm-up", prompts=judge.prompts)
    warm_up.draw(0, range(min(judge.batch, judge.protocol.samples)))
    result = merged(kept, {**judge.evaluate(source, store), "metrics": sorted(judge.metrics)})
    samples, train = judge.table(source, 0, store), judge.split("train")
    result["sampler"], result["weights"] = store.content["sampler"], judge.protocol.weights
    result["data"] = dataset.name
    if rank() == 0 and train is not None:
        write_neighbours(path.with_suffix(".neighbours.png"), samples, source, train, dataset.table("train"))
    return result


def merged(kept: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of the same images under the same hash: a score that is not judged again is not lost."""

    def over(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
        return {**old, **{key: value for key, value in new.items() if value is not None or key not in old}}

    if not kept:
        return dict(found)
    repeats = [over(old, new) for old, new in zip(kept["repeats"], found["repeats"], strict=True)]
    metrics = sorted({*kept.get("metrics", ()), *found["metrics"]})
    return over(kept, found) | {"repeats": repeats, "metrics": metrics}


def read_result(path: Path) -> dict[str, Any]:
    """A result that was written before.

    Raises:
        RunError: it cannot be read.
    """
    try:
        result: dict[str, Any] = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise RunError(f"cannot read the result {path} ({error}): delete it and judge again") from error
    return result


@torch.no_grad()
def bits_per_dim(model: GenerativeModel, dataset: ImageDataset, progress: bool, batch: int = 250) -> dict[str, Any]:
    """Mean bits per dimension of the test split, the error over its images, the kind; None without a likelihood."""
    table, device = dataset.table("test"), next(model.parameters()).device
    bits, kind = [], None
    model.eval()
    for start in tqdm(range(0, len(table), batch), desc="likelihood", leave=False, disable=not progress):
        images = table.take(range(start, min(start + batch, len(table)))).to(device)
        whole = Batch(to_float(images.image, dataset.spec.levels), images.label, images.caption, images.index)
        noise = SeededNoise(0, images.index.tolist(), device)
        found = model.likelihood(whole, noise) if isinstance(model, HasLikelihood) else None
        if found is None:
            return dict(NO_BITS)
        bits.append(found.bits_per_dim.double().cpu())
        kind = found.kind
    every = torch.cat(bits)
    error = float(every.std()) / math.sqrt(len(every))
    return {"bits_per_dim": float(every.mean()), "bits_per_dim_error": error, "likelihood": kind}
