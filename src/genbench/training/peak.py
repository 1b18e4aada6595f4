"""What a device can do at most: the peaks of its arithmetic, measured, and of this process's memory."""

from __future__ import annotations

import resource
import sys
import time
from functools import cache

import torch
from torch import Tensor

LARGEST = 8192
LONG_ENOUGH = 0.01
"""Seconds of a product that is long enough to be timed."""
TYPES = {"16": torch.float16, "bf16": torch.bfloat16}


def peak_flops(device: torch.device, precision: str) -> float:
    """Floating-point operations a second of the fastest product of two square matrices, a multiply-add being two.

    `precision` is Lightning's name; a mixed one may compute in either of its types, and the faster counts. float32 is
    as `training.matmul_precision` has it, on CUDA TF32 also where convolutions may use it, which they may by default.
    Each is measured once a process, in some tenths of a second, without a random number.
    """
    products = torch.get_float32_matmul_precision()
    if device.type == "cuda" and products == "highest" and torch.backends.cudnn.allow_tf32:
        products = "high"
    return _measured(device, precision, products)


@cache
def _measured(device: torch.device, precision: str, products: str) -> float:
    bits, _, kind = precision.partition("-")
    types = {TYPES.get(bits, torch.float32)} | ({torch.float32} if kind == "mixed" else set())
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(products)
    try:
        return max(_fastest(device, dtype) for dtype in types)
    finally:
        torch.set_float32_matmul_precision(before)
        if device.type == "cuda":
            torch.cuda.empty_cache()


def _fastest(device: torch.device, dtype: torch.dtype) -> float:
    """Larger and larger matrices, until a product takes long enough."""
    best, size = 0.0, 256
    while True:
        # not constants, by which a GPU draws less power and clocks higher
        matrix = torch.linspace(-1.0, 1.0, size * size, device=device).view(size, size).to(dtype)
        seconds = min(_seconds(matrix) for _ in range(3))
        best = max(best, 2.0 * size**3 / seconds)
        if seconds >= LONG_ENOUGH or size == LARGEST:
            return best
        size *= 2


def _seconds(matrix: Tensor) -> float:
    _finish(matrix.device)
    start = time.perf_counter()
    torch.mm(matrix, matrix)
    _finish(matrix.device)
    return time.perf_counter() - start


def _finish(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def forget_peak_memory(device: torch.device) -> None:
    """Begins anew what `peak_memory` tells of a CUDA device."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> float:
    """GiB: the most that tensors held on a CUDA device, or elsewhere this process in main memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
