"""Classification accuracy score."""

from __future__ import annotations

import torch

from genbench.core import DataError
from genbench.core.pixels import to_float
from genbench.features.fit import fit_classifier
from genbench.metrics.base import Evidence, Metric, Score, Scores

BLOCK = 512


class ClassificationAccuracyScore(Metric):
    """`cas`: accuracy on the test images of a classifier that saw only samples, in [0,1] (Ravuri and Vinyals 2019).

    The classifier is the small one of `genbench features fit`, trained on the samples and the labels they were asked
    for with one seed; compare with its accuracy when trained on real images. Trains for minutes. None where samples or
    test images have no labels or their pixels were not kept. No error: each draw needs a new classifier.

    Raises:
        DataError: samples and test images of different shapes.
    """

    keys = ("cas",)
    needs_splits = True
    needs_images = True
    needs_labels = True

    def __call__(self, evidence: Evidence) -> Scores:
        samples, test = evidence.samples, evidence.test
        if test is None or samples.label is None or samples.image is None or test.label is None or test.image is None:
            return {"cas": Score(None)}
        if samples.image.shape[1:] != test.image.shape[1:]:
            raise DataError(
                f"samples of shape {tuple(samples.image.shape[1:])} cannot be compared with test images of shape "
                f"{tuple(test.image.shape[1:])} (channels, height, width): give samples of the data's shape"
            )
        classes = 1 + int(max(samples.label.max(), test.label.max()))
        classifier = fit_classifier(samples.image, samples.label, classes, seed=0)
        hits = 0
        with torch.no_grad():
            for image, label in zip(torch.split(test.image, BLOCK), torch.split(test.label, BLOCK), strict=True):
                hits += int((classifier(to_float(image))[1].argmax(1) == label).sum())
        return {"cas": Score(hits / len(test))}
