"""How torch computes while a training lasts, put back afterwards: what comes next in the process is judged as ever."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def numerics(matmul_precision: str) -> Iterator[None]:
    """Products of float32 matrices in torch's `matmul_precision`: highest, high (TF32) or medium (bfloat16).

    Lightning leaves `deterministic=true` set for the process, so that is put back as well.
    """
    products, benchmark = torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark
    mode = torch.get_deterministic_debug_mode()
    torch.set_float32_matmul_precision(matmul_precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(products)
        torch.set_deterministic_debug_mode(mode)
        torch.backends.cudnn.benchmark = benchmark
