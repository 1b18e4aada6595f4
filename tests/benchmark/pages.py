"""A page read back, and pictures and curves to put into it."""

import base64
import io
from html.parser import HTMLParser

import numpy as np
from PIL import Image

LOADING = {"src", "href", "srcset", "poster", "data", "action", "xlink:href"}


class Page(HTMLParser):
    """Collects what a browser would load, what is shown and what assistive technology reads."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.loads, self.images, self.ids, self.labels, self.text = [], [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append((tag, values))
        self.loads += [value for name, value in attrs if name in LOADING]
        self.ids += [values["id"]] if "id" in values else []
        self.labels += [values["aria-label"]] if tag == "svg" else []
        self.images += [values] if tag == "img" else []

    def handle_data(self, data):
        self.text.append(data)

    def count(self, tag):
        return sum(name == tag for name, _ in self.tags)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def decoded(image):
    head, data = image["src"].split(",", 1)
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def digits(n, channels=1, size=8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, channels), dtype=np.uint8)


def curve(fd=4.0, names=("loss",)):
    training = [
        {"images": i, "seconds": i / 100, **dict.fromkeys(names, 1 / i), "grad_norm": 1} for i in range(10, 201, 10)
    ]
    return [*training, {"images": 100, "fd": 2 * fd, "accuracy": 0.5}, {"images": 200, "fd": fd, "accuracy": 0.9}]


def png(width, height, seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, format="PNG")
    return buffer.getvalue()
