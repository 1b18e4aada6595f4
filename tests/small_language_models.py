"""Language models of a few thousand random weights in Hugging Face's layout, made without a hub."""

from pathlib import Path
from typing import Any

import torch

WORDS = ["a", "red", "green", "blue", "small", "large", "circle", "square", "triangle", "above"]
SMALL = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
DECODER = {**SMALL, "num_key_value_heads": 1, "head_dim": 8, "max_position_embeddings": 64}
KINDS = ("bert", "clip_text", "clip", "t5", "llama", "qwen2", "gemma3")


def save_language_model(kind: str, folder: Path) -> Path:
    """Writes a model and its tokenizer as save_pretrained does."""
    torch.manual_seed(0)
    # Qwen's tokenizer is made by transformers whatever the folder says: bytes, nothing before or after them
    tokenizer = _bytes() if kind == "qwen2" else _words(pads=kind != "llama")
    _network(kind, len(tokenizer)).eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _words(pads: bool) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<s>", "</s>", "<unk>"]
    whole = Tokenizer(models.WordLevel({word: i for i, word in enumerate(special + WORDS)}, unk_token="<unk>"))
    whole.pre_tokenizer = pre_tokenizers.Whitespace()
    whole.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    named = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"} | ({"pad_token": "<pad>"} if pads else {})
    return PreTrainedTokenizerFast(tokenizer_object=whole, **named)


def _bytes() -> Any:
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import Qwen2Tokenizer

    return Qwen2Tokenizer(vocab={byte: i for i, byte in enumerate(sorted(ByteLevel.alphabet()))}, merges=[])


def _network(kind: str, vocabulary: int) -> Any:
    import transformers as t

    shared = {"vocab_size": vocabulary, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    if kind == "bert":
        return t.BertModel(t.BertConfig(**shared, **SMALL, max_position_embeddings=12))
    if kind == "t5":
        sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 3, "num_heads": 2}
        return t.T5ForConditionalGeneration(t.T5Config(**shared, **sizes, decoder_start_token_id=0))
    if kind in ("clip", "clip_text"):
        text = t.CLIPTextConfig(**shared, **SMALL, max_position_embeddings=12)
        sight = t.CLIPVisionConfig(**SMALL, image_size=8, patch_size=4)
        both = t.CLIPConfig(text_config=text.to_dict(), vision_config=sight.to_dict())
        return t.CLIPTextModel(text) if kind == "clip_text" else t.CLIPModel(both)
    if kind == "llama":
        return t.LlamaForCausalLM(t.LlamaConfig(**shared, **DECODER))
    if kind == "qwen2":
        return t.Qwen2ForCausalLM(t.Qwen2Config(**shared, **DECODER))
    return t.Gemma3ForCausalLM(t.Gemma3TextConfig(**shared, **DECODER, query_pre_attn_scalar=8))
