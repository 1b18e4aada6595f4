"""Pictures: the right areas, soft edges, the same for ever."""

import hashlib

import numpy as np
import pytest
import torch
from difficulties import NAMES, difficulty

from genbench.shapes import Object, render, scene_of
from genbench.shapes.outlines import OUTLINES
from genbench.shapes.palette import COLOURS, nearest


@pytest.mark.parametrize("shape", OUTLINES)
@pytest.mark.parametrize("radius", [2.8, 6.0, 12.0])
def test_areas_are_those_of_geometry(shape, radius):
    closed = {
        "circle": np.pi, "square": 3.24, "triangle": 3 * 3**0.5 * 0.62**2, "diamond": 2 * 1.25**2,
        # Tietze's constant of the regular pentagram with circumradius 1
        "star": 1.4**2 * 1.1225699, "cross": 2 * (2.2 * 0.74) - 0.74**2,
    }[shape]  # fmt: skip
    rng = np.random.default_rng(0)
    centres = rng.uniform(0.45, 0.55, (20, 2))
    image = render([[Object(shape, "white", x, y, radius / 64)] for x, y in centres], 64)
    areas = image[:, 0].double().sum((1, 2)) / COLOURS["white"][0]
    assert OUTLINES[shape].area == pytest.approx(closed, rel=1e-6)
    assert float(areas.mean()) == pytest.approx(closed * radius**2, rel=0.08 if radius < 6 else 0.02)


@pytest.mark.parametrize("shape", OUTLINES)
def test_shapes_are_drawn_about_their_centroid_and_within_their_box(shape):
    thing = Object(shape, "white", 0.52, 0.47, 0.2)
    light = render([[thing]], 64)[0, 0].double()
    middle = torch.arange(64).double() + 0.5
    assert float(light.sum(0) @ middle / light.sum()) / 64 == pytest.approx(0.52, abs=2e-3)
    assert float(light.sum(1) @ middle / light.sum()) / 64 == pytest.approx(0.47, abs=2e-3)
    rows, columns = light.sum(1).nonzero(), light.sum(0).nonzero()
    extent = [float(x) for x in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)]
    assert extent == pytest.approx([64 * edge for edge in thing.box], abs=1.5)


@pytest.mark.parametrize("name", NAMES)
def test_edges_are_soft_and_inside_is_pure(name):
    rules = difficulty(name)
    scenes = [scene_of(rules, "train", index) for index in range(200)]
    image = render([scene.objects for scene in scenes], rules.side)
    assert image.shape == (200, 3, rules.side, rules.side)
    _, amount = nearest(image.permute(0, 2, 3, 1).numpy().astype(np.float32), tuple(COLOURS))
    assert float((amount < 0.01).mean()) > 0.5
    edges = float(((amount > 0.05) & (amount < 0.95)).mean())
    assert 0.01 < edges < 0.2


def test_a_picture_does_not_depend_on_its_neighbours_or_on_the_day():
    rules = difficulty("shapes")
    objects = [scene_of(rules, "train", index).objects for index in range(40)]
    alone = torch.cat([render([each], 16) for each in objects])
    assert torch.equal(alone, render(objects, 16))
    captions = [scene_of(rules, "train", index).caption for index in range(40)]
    # the pictures of this version: a change here changes every result, so raise data.shapes.VERSION with it
    assert hashlib.sha256(" ".join(captions).encode()).hexdigest()[:8] == "70efb00c"
    assert int(alone.sum(dtype=torch.int64)) == pytest.approx(631474, abs=20)  # a float32 may round the other way


def test_no_two_colours_are_alike():
    palette = np.array(list(COLOURS.values()), dtype=float)
    palette /= np.linalg.norm(palette, axis=1, keepdims=True)
    angles = np.degrees(np.arccos((palette @ palette.T - 2 * np.eye(len(palette))).clip(-1, 1)))
    assert angles.min() > 19.0
    which, amount = nearest(np.array([COLOURS["blue"]], np.float32) / 2, tuple(COLOURS))
    assert list(COLOURS)[int(which[0])] == "blue"
    assert float(amount[0]) == pytest.approx(0.5)
