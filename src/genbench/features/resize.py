"""How evaluators bring images to Inception's 299x299: each convention is another metric."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

Convention = Literal["tf1", "clean", "antialias", "pytorch"]

SIDE = (299, 299)
CONVENTIONS: dict[Convention, str] = {
    "tf1": "TF1 bilinear to 299, (bytes - 128) / 128",
    "clean": "antialiased bicubic to 299 clipped to 0..255, (bytes - 128) / 128",
    "antialias": "antialiased bilinear to 299, (bytes - 128) / 128",
    "pytorch": "bilinear to 299, bytes / 127.5 - 1",
}
"""What each does, in the words of a protocol."""


def to_inception(image: Tensor, convention: Convention) -> Tensor:
    """Float32 [B,3,299,299] in about [-1,1] of uint8 images [B,3,H,W].

    `tf1`: torch-fidelity and ADM, whose TF1 kernel aligns corners of pixels and does not antialias.
    `clean`: clean-fid, Pillow's bicubic over float channels (Parmar et al. 2022, section 3).
    `antialias`: torchmetrics from 1.8 on. `pytorch`: pytorch-fid, without antialias and with its own range.
    """
    x = image.float()
    if convention == "pytorch":
        return 2.0 * F.interpolate(x / 255.0, SIDE, mode="bilinear", align_corners=False) - 1.0
    if convention == "tf1":
        x = interpolate_bilinear_2d_like_tensorflow1x(x, SIDE, align_corners=False)
    elif convention == "clean":
        # with antialias torch's bicubic is Pillow's: the same kernel, a = -1/2, widened alike, and as there in doubles
        x = F.interpolate(image.double(), SIDE, mode="bicubic", align_corners=False, antialias=True)
        x = x.clamp(0.0, 255.0).float()
    else:
        x = F.interpolate(x, SIDE, mode="bilinear", align_corners=False, antialias=True)
    return (x - 128.0) / 128.0
