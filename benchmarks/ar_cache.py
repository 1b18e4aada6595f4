"""Autoregressive sampling with and without the key-value cache, at the 64 tokens of an 8x8 image.

    python benchmarks/ar_cache.py --images 100 --repeats 7

Both draw the same images from the same pixel_gpt on one thread, turn and turn about. The figures are
milliseconds per image, median over the repeats, and their ratio (the bar is 4).
"""

import argparse
import statistics
import time

import torch

from genbench.core import Condition, ImageSpec, SeededNoise
from genbench.core.pixels import to_uint8
from genbench.families.autoregressive import PixelGPT, TokenSampler

BAR = 4.0
SPEC = ImageSpec(1, 8, 8, num_classes=10, levels=17)


def draw(model: PixelGPT, images: int, cache: bool) -> tuple[float, torch.Tensor]:
    """Milliseconds per image by the wall clock, and the images uint8."""
    model.sampler = TokenSampler(cache=cache)
    noise, condition = SeededNoise(0, range(images)), Condition(torch.arange(images) % SPEC.num_classes)
    start = time.perf_counter()
    with torch.inference_mode():
        sample = model.sample(noise, condition)
    return (time.perf_counter() - start) * 1000.0 / images, to_uint8(sample, SPEC.levels)


def main() -> None:
    """Prints both times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100, help="images drawn at once (default 100)")
    parser.add_argument("--repeats", type=int, default=7, help="draws of each kind (default 7)")
    parser.add_argument("--width", type=int, default=64, help="the transformer's width (default 64)")
    parser.add_argument("--layers", type=int, default=4, help="its layers (default 4)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = PixelGPT(SPEC, TokenSampler(), width=arguments.width, layers=arguments.layers).eval()

    same = torch.equal(draw(model, arguments.images, True)[1], draw(model, arguments.images, False)[1])
    times = [
        (draw(model, arguments.images, True)[0], draw(model, arguments.images, False)[0])
        for _ in range(arguments.repeats)
    ]
    ratio = statistics.median(uncached / cached for cached, uncached in times)
    print(f"cached    {statistics.median(cached for cached, _ in times):8.3f} ms/image")
    print(f"uncached  {statistics.median(uncached for _, uncached in times):8.3f} ms/image")
    print(f"images    {'the same' if same else 'DIFFERENT'}")
    print(f"ratio     {ratio:8.1f}  (bar {BAR:.0f}: {'met' if ratio >= BAR else 'MISSED'})")


if __name__ == "__main__":
    main()
