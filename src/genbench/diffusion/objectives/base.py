"""The contract of an objective."""

from abc import ABC, abstractmethod

from torch import Tensor


class Objective(ABC):
    """A prediction target; alpha and sigma broadcast against images [B,C,H,W]."""

    @abstractmethod
    def target(self, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """What the network should output for x_t = alpha x0 + sigma eps."""

    @abstractmethod
    def weight(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Weight of the squared error."""

    @abstractmethod
    def to_denoised(self, output: Tensor, xt: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """The image x0 that a network output stands for."""
