"""Frozen language models: every kind by one code, their masks, layers, lengths, cache, and what is refused."""

import logging
from pathlib import Path

import pytest
import torch
from torch import Tensor

from genbench.conditioning.text import minilm
from genbench.conditioning.text.hugging_face import HuggingFaceEncoder
from genbench.core import ConfigError
from small_language_models import KINDS, save_language_model

CPU = torch.device("cpu")
SHORT, LONG = "a red circle", "a small green square above a large blue triangle"


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory):
    """The folder of a kind of language model."""
    return {k: save_language_model(k, tmp_path_factory.mktemp(k)) for k in KINDS}.__getitem__


def alone(encoder: HuggingFaceEncoder, caption: str) -> Tensor:
    return encoder.encode([caption], CPU)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_states_are_those_of_the_captions_own_tokens_whatever_stands_beside_it(kind: str, folder_of) -> None:
    encoder = HuggingFaceEncoder(str(folder_of(kind)))
    together = encoder.encode([SHORT, LONG], CPU)
    # the words, a beginning and an end; for Qwen the letters
    lengths = [len(SHORT), len(LONG)] if kind == "qwen2" else [5, 11]
    assert [tuple(s.shape) for s in together] == [(n, 16) for n in lengths]
    for states, caption in zip(together, (SHORT, LONG), strict=True):
        torch.testing.assert_close(states, alone(encoder, caption), atol=1e-5, rtol=0)
    tokens = encoder.read([SHORT, LONG, SHORT], CPU)
    assert tokens.mask.sum(1).tolist() == [*lengths, lengths[0]]
    assert not tokens.states[0, lengths[0] :].any()
    torch.testing.assert_close(tokens.states[0], tokens.states[2], atol=0, rtol=0)
    torch.testing.assert_close(tokens.states[1], together[1], atol=0.02, rtol=0.01)  # bfloat16


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_layer_is_the_models_output_and_others_its_hidden_states(kind: str, folder_of) -> None:
    import transformers

    folder = folder_of(kind)
    network = {
        "t5": transformers.T5EncoderModel,
        "clip": transformers.CLIPTextModel,
        "clip_text": transformers.CLIPTextModel,
    }.get(kind, transformers.AutoModel)
    model = network.from_pretrained(folder).eval()
    encoder = HuggingFaceEncoder(str(folder))
    read = encoder.tokenizer([LONG], return_tensors="pt")
    asked = {"input_ids": read["input_ids"], "attention_mask": read["attention_mask"]}
    with torch.no_grad():
        out = model(**asked, output_hidden_states=True)
    torch.testing.assert_close(alone(encoder, LONG), out.last_hidden_state[0])
    for layer in (0, -2):
        found = alone(HuggingFaceEncoder(str(folder), layer=layer), LONG)
        torch.testing.assert_close(found, out.hidden_states[layer][0])
    with pytest.raises(ConfigError, match=r"text_encoder\.layer=4: the model has hidden states -4 to 3"):
        HuggingFaceEncoder(str(folder), layer=4)


def test_long_captions_are_cut_with_one_warning(folder_of, caplog: pytest.LogCaptureFixture) -> None:
    encoder = HuggingFaceEncoder(str(folder_of("bert")), length=50)
    assert encoder.length == 12  # its positions
    with caplog.at_level(logging.WARNING):
        states = encoder.encode([" ".join(["red"] * n) for n in (10, 11, 30)], CPU)
        encoder.encode([" ".join(["blue"] * 40)], CPU)
    assert [len(s) for s in states] == [12, 12, 12]
    (record,) = caplog.records
    assert "cut to the 12 tokens that this text encoder takes; the first such has 13" in record.getMessage()


def test_a_caption_is_read_once(folder_of, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, asked = HuggingFaceEncoder(str(folder_of("bert"))), []
    read = encoder.encode
    monkeypatch.setattr(encoder, "encode", lambda captions, device: asked.extend(captions) or read(captions, device))
    first = encoder.read([SHORT, LONG, SHORT], CPU)
    again = encoder.read([LONG, "a circle", SHORT], CPU)
    assert asked == [SHORT, LONG, "a circle"]
    torch.testing.assert_close(again.states[2, :5], first.states[0, :5], atol=0, rtol=0)


def test_the_oldest_are_forgotten_when_the_memory_is_full(folder_of) -> None:
    encoder = HuggingFaceEncoder(str(folder_of("bert")))
    encoder.memory = 2 * 5 * 16 * 2  # two captions of three words, in bfloat16
    captions = [f"a {colour} circle" for colour in ("red", "green", "blue")]
    assert encoder.read(captions, CPU).mask.sum().item() == 15
    assert list(encoder._known) == captions[1:]


def test_weights_stay_on_disk_until_a_caption_is_new(folder_of) -> None:
    source = HuggingFaceEncoder(str(folder_of("bert")))
    source.read([SHORT], CPU)
    encoder = HuggingFaceEncoder(str(folder_of("bert")))
    encoder.remember(source._known)
    encoder.read([SHORT], CPU)
    assert "network" not in vars(encoder)
    encoder.read([LONG], CPU)
    assert not any(parameter.requires_grad for parameter in encoder.network.parameters())


def test_other_weights_are_refused(folder_of) -> None:
    found = HuggingFaceEncoder(str(folder_of("bert"))).sha256
    HuggingFaceEncoder(str(folder_of("bert")), sha256=found)
    with pytest.raises(ConfigError, match=f"have sha256 .*, and text_encoder.sha256={found} is asked for"):
        HuggingFaceEncoder(str(folder_of("t5")), sha256=found)


@pytest.mark.parametrize(
    ("file", "missing"), [("config.json", "config.json"), ("model.safetensors", "model"), ("tokenizer.json", "token")]
)
def test_a_folder_that_lacks_a_file_names_it(file: str, missing: str, folder_of, tmp_path: Path) -> None:
    for path in folder_of("bert").iterdir():
        if path.name != file:
            (tmp_path / path.name).symlink_to(path)
    with pytest.raises(ConfigError, match=rf"{tmp_path} holds no {missing}.*put it there"):
        HuggingFaceEncoder(str(tmp_path))


def test_weights_that_do_not_fill_the_model_are_refused(folder_of, tmp_path: Path) -> None:
    for path in folder_of("bert").iterdir():
        source = folder_of("clip_text") / path.name if path.name == "model.safetensors" else path
        (tmp_path / path.name).symlink_to(source)
    with pytest.raises(ConfigError, match=r"do not fill the model of its config\.json: .* is missing"):
        HuggingFaceEncoder(str(tmp_path)).read([SHORT], CPU)


def test_a_name_that_is_not_in_the_cache_says_where_to_put_what() -> None:
    message = r"model=no/such is neither a folder nor in the cache .*: give text_encoder\.model=FOLDER with config"
    with pytest.raises(ConfigError, match=message) as refused:
        HuggingFaceEncoder("no/such")
    assert "text_encoder=minilm" in str(refused.value)
    assert "text_encoder.download=true" in str(refused.value)


def test_minilm_comes_from_its_package_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    if minilm.find_spec(minilm.PACKAGE) is not None:
        encoder = minilm.MiniLM()
        tokens = encoder.read(["a red circle", "a blue square", "a crimson disc"], CPU)
        assert tokens.states.shape == (3, 5, 384)
        with pytest.raises(ConfigError, match=r"text_encoder\.sha256=0000"):
            minilm.MiniLM(sha256="0000")
    monkeypatch.setattr(minilm, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'genbench\[text\]'"):
        minilm.MiniLM()
