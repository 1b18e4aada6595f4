"""Backbones: tensors in, tensors out; no loss, no sampling."""
