import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from genbench.app import cli
from genbench.core import ConfigError, DataError
from genbench.core.pixels import to_float
from genbench.data.digits import Digits
from genbench.features import DomainClassifier
from genbench.features.classifier import Architecture, ClassifierNet
from genbench.features.fit import accuracy, augment, default_epochs, fit_classifier
from genbench.features.fitted import fitted


def bars(n: int, side: int, channels: int = 1, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Noisy images of class 0 with a bright upper half, of class 1 with a bright lower one."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.arange(n) % 2
    image = torch.randint(0, 90, (n, channels, side, side), generator=generator)
    for i, k in enumerate(label.tolist()):
        image[i, :, k * side // 2 : (k + 1) * side // 2] += 120
    return image.byte(), label


@pytest.mark.parametrize(("side", "channels"), [(4, 1), (9, 3), (50, 1)])
def test_any_size_is_learned(side: int, channels: int) -> None:
    net = fit_classifier(*bars(64, side, channels), 2, epochs=10)
    assert accuracy(net, *bars(40, side, channels, seed=1)) >= 0.95
    assert not any(p.requires_grad for p in net.parameters())
    assert not net.training


def test_the_same_seed_gives_the_same_bits_and_leaves_random_stream_and_threads_alone() -> None:
    image, label = bars(40, 8)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        first = fit_classifier(image, label, 2, epochs=2).state_dict()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)
    with torch.no_grad():
        second = fit_classifier(image, label, 2, epochs=2).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = fit_classifier(image, label, 2, epochs=2, seed=1).state_dict()
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_epochs_follow_the_number_of_images() -> None:
    assert [default_epochs(n) for n in (10, 1437, 60_000, 10**7)] == [80, 80, 4, 1]


def test_images_are_augmented_in_proportion_to_their_size() -> None:
    torch.manual_seed(0)
    small, large = (torch.full((200, 1, side, side), 1.0) for side in (8, 32))
    # the mean of a white image falls by the black that moves in, and by half the noise above white
    moved = [float(augment(image).mean()) for image in (small, large)]
    assert moved[0] == pytest.approx(moved[1], abs=0.04)
    assert 0.6 < moved[0] < 0.9
    assert float(augment(large).amin()) == -1.0


def test_large_images_are_looked_at_whole() -> None:
    net = ClassifierNet(Architecture(1, 100, 70, 3)).eval()
    assert net.arch.looked_at == (25, 18)
    image = torch.zeros(1, 1, 100, 70, requires_grad=True)
    net(image + torch.rand(1, 1, 100, 70))[1].sum().backward()
    assert image.grad is not None
    assert float((image.grad != 0).float().mean()) > 0.9


@pytest.mark.parametrize(
    ("image", "label", "classes", "message"),
    [
        (torch.zeros(2, 1, 8, 8), torch.zeros(2).long(), 2, r"uint8 images \[N,C,H,W\], these are float32"),
        (torch.zeros(2, 8, 8).byte(), torch.zeros(2).long(), 2, r"these are uint8 \[2, 8, 8\]"),
        (torch.zeros(0, 1, 8, 8).byte(), torch.zeros(0).long(), 2, "0 images"),
        (torch.zeros(2, 1, 8, 8).byte(), torch.zeros(3).long(), 2, r"2 images with labels of shape \[3\]"),
        (torch.zeros(2, 1, 8, 8).byte(), torch.tensor([0, 2]), 2, "labels from 0 to 2 do not fit 2 classes"),
    ],
)
def test_what_cannot_be_fitted_is_refused(image: Tensor, label: Tensor, classes: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit_classifier(image, label, classes)


def test_images_too_small_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"3x8 pixels.*at least 4x4"):
        fit_classifier(torch.zeros(4, 1, 3, 8).byte(), torch.zeros(4).long(), 2)


def test_a_fit_is_kept_found_again_and_never_overwritten(tmp_path: Path) -> None:
    train, test, path = bars(40, 8), bars(20, 8, seed=1), tmp_path / "deep" / "bars.safetensors"
    record, now = fitted(path, "bars", train, test, 2, epochs=5)
    content = path.read_bytes()
    assert now
    assert fitted(path, "bars", train, test, 2, epochs=5) == (record, False)
    judge = DomainClassifier(weights=path)
    hits = judge(test[0])["logits"].argmax(1) == test[1]
    assert judge.record["test_accuracy"] == pytest.approx(float(hits.double().mean()), abs=1e-6)
    changed = (train[0], 1 - train[1])
    for wrong, said in (
        ({"train": changed}, "another train_sha256"),
        ({"epochs": 6}, "another recipe"),
        ({"data": "others"}, "another data"),
    ):
        settings = {"data": "bars", "train": train, "test": test, "classes": 2, "epochs": 5} | wrong
        with pytest.raises(ConfigError, match=f"{said}: give another out=FILE"):
            fitted(path, **settings)
    assert path.read_bytes() == content
    path.unlink()
    fitted(path, "bars", train, test, 2, epochs=5)
    assert path.read_bytes() == content
    path.write_bytes(content[:-4])
    with pytest.raises(ConfigError, match="exists and is no classifier"):
        fitted(path, "bars", train, test, 2, epochs=5)
    assert path.read_bytes() == content[:-4]


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    monkeypatch.setattr(sys, "argv", ["genbench", "features", "fit", *arguments])
    try:
        return cli.main()
    except SystemExit as stop:
        return stop.code


def test_the_command_fits_any_labelled_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GENBENCH_COMMAND", "")
    monkeypatch.chdir(tmp_path)
    image, label = bars(80, 8)
    np.savez("mine.npz", arr_0=image.permute(0, 2, 3, 1).numpy(), arr_1=label.numpy())
    data = ("data=npz", "data.train=mine.npz", "data.name=mine")
    assert command(monkeypatch, *data, "epochs=12") == 0
    out = capsys.readouterr().out
    assert out.startswith("features/mine.safetensors: fitted; ")
    assert "features=domain features.weights=features/mine.safetensors" in out
    judge = DomainClassifier(weights="features/mine.safetensors")
    assert (judge.name, judge.classifies) == ("mine", True)
    assert judge.record["test_accuracy"] >= 0.9
    assert command(monkeypatch, *data, "epochs=12") == 0
    assert "fitted before, nothing to do" in capsys.readouterr().out


def test_the_command_refuses_what_it_cannot_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GENBENCH_COMMAND", "")
    monkeypatch.chdir(tmp_path)
    np.savez("bare.npz", arr_0=bars(20, 8)[0].permute(0, 2, 3, 1).numpy())
    for arguments, said in (
        ((), "error: a classifier needs data to be fitted to: give data=..."),
        (("data=npz", "data.train=bare.npz"), "error: npz has no labels"),
        (("data=digits", "epocs=1"), "error: 'epocs' is no key of features fit: did you mean epochs?"),
    ):
        code = command(monkeypatch, *arguments)
        assert said in f"{code}{capsys.readouterr().err}"
    assert list(tmp_path.glob("**/*.safetensors")) == []


@pytest.mark.slow
def test_the_shipped_weights_are_what_the_command_makes() -> None:
    """The tensors agree closely on any machine, and bit for bit on the one they were made on."""
    splits = [Digits().table(split) for split in ("train", "test")]
    train, test = (split.take(range(len(split))) for split in splits)
    assert train.label is not None
    assert test.label is not None
    net, shipped = fit_classifier(train.image, train.label, 10), DomainClassifier()
    assert net.arch == shipped.arch
    assert accuracy(net, test.image, test.label) == pytest.approx(shipped.record["test_accuracy"], abs=0.01)
    agree = (net(to_float(test.image))[1].argmax(1) == shipped(test.image)["logits"].argmax(1)).double().mean()
    assert float(agree) >= 0.98
