"""Couplings: which noise is paired with which image."""

from abc import ABC, abstractmethod

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


class Coupling(ABC):
    """A reordering of a batch's noise; without one, noise and images are independent."""

    @abstractmethod
    def __call__(self, image: Tensor, eps: Tensor, label: Tensor | None) -> Tensor:
        """The noise [B,C,H,W] in the order of the images it is paired with."""


class OptimalTransport(Coupling):
    """The pairing of least squared distance within the batch (Pooladian et al. 2023; Tong et al. 2024).

    Conditional images are paired within their class, so that the noise of every class stays normal.
    """

    def __call__(self, image: Tensor, eps: Tensor, label: Tensor | None) -> Tensor:
        cost = torch.cdist(image.flatten(1).double(), eps.flatten(1).double()).square().cpu()
        order = torch.arange(len(image))
        classes = torch.zeros(len(image)) if label is None else label.cpu()
        for value in torch.unique(classes):
            (members,) = torch.nonzero(classes == value, as_tuple=True)
            _, partner = linear_sum_assignment(cost[members][:, members].numpy())
            order[members] = members[torch.from_numpy(partner)]
        return eps[order.to(eps.device)]
