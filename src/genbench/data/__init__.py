"""Datasets, and how their images reach training and evaluation: as bytes, indexed by batch."""

from genbench.data.dataset import ImageDataset, Split
from genbench.data.images import Images, ImageTable, ResidentTable
from genbench.data.loader import TrainLoader
from genbench.data.order import BatchOrder

__all__ = ["BatchOrder", "ImageDataset", "ImageTable", "Images", "ResidentTable", "Split", "TrainLoader"]
