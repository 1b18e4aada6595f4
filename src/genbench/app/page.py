"""The page of `genbench play`: what is chosen on the left, pictures on the right."""

from __future__ import annotations

import io
from base64 import b64encode

from fastapi import FastAPI
from nicegui import run, ui
from torch import Tensor

from genbench.app.player import MOST, Picture, Player
from genbench.app.verdicts import in_words
from genbench.core import GenbenchError
from genbench.core.grid import image_grid

WIDTH = 128
"""Pixels of a picture on the page."""

LEAST = {"guidance": 0.0, "steps": 1}
"""The smallest settings that mean something."""


def page_of(player: Player) -> FastAPI:
    """A web application of one page that draws from a run; everything it shows comes from this machine."""
    site = FastAPI()
    # loaded before the first visit, so that a run that cannot be is told at once
    model, title = player.model, f"genbench: {player.run.path.name}"

    @ui.page("/")
    def page() -> None:
        async def draw() -> None:
            numbers = {"pictures": count.value, "seed": seed.value}
            chosen = {name: field.value for name, field in settings.items()}
            if missing := [name for name, value in (numbers | chosen).items() if value is None]:
                ui.notify(f"{missing[0]} needs a number", type="negative")
                return
            button.disable()
            spinner.set_visibility(True)
            try:
                pictures = await run.io_bound(
                    player.draw, prompt.value or "", classes.value, chosen, int(count.value), int(seed.value)
                )
            except GenbenchError as error:
                ui.notify(str(error), type="negative", multi_line=True, timeout=20_000, close_button=True)
            else:
                # none where the page was closed meanwhile
                total.set_text(in_all(pictures or []))
                drawn.clear()
                with drawn:
                    hang(pictures or [])
            finally:
                spinner.set_visibility(False)
                button.enable()

        ui.page_title(title)
        ui.label(title).classes("text-h6")
        with ui.row().classes("w-full no-wrap items-start"):
            with ui.column().style("width: 280px; flex-shrink: 0"):
                prompt = ui.textarea("prompt").classes("w-full").on("keydown.enter.prevent", draw)
                prompt.set_visibility(model.reads_captions)
                labels: dict[int | None, str] = {None: "all in turn"}
                labels |= {k: str(k) for k in range(model.spec.num_classes)}
                classes = ui.select(labels, value=None, label="class").classes("w-full")
                classes.set_visibility(model.conditional and not model.reads_captions)
                settings = {
                    name: ui.number(name, value=value, min=LEAST[name], step=0.5 if name == "guidance" else 1).classes(
                        "w-full"
                    )
                    for name, value in player.settings.items()
                }
                count = ui.number("pictures", value=16, min=1, max=MOST, step=1).classes("w-full")
                count.props(f'hint="at most {MOST}"')
                seed = ui.number("seed", value=0, min=0, max=2**32 - 1, step=1).classes("w-full")
                with ui.row().classes("items-center"):
                    button = ui.button("draw", on_click=draw)
                    spinner = ui.spinner()
                    spinner.set_visibility(False)
                total = ui.label("")
            drawn = ui.row().classes("gap-2")

    ui.run_with(site, title=title)
    return site


def in_all(pictures: list[Picture]) -> str:
    """How many of the pictures show what was asked for; nothing where that cannot be judged."""
    right = [picture.verdict.ok for picture in pictures if picture.verdict and picture.verdict.ok is not None]
    return f"{sum(right)} of {len(right)} as asked" if right else ""


def hang(pictures: list[Picture]) -> None:
    """Puts the pictures on the page, what each was asked to show and whether it does below it."""
    for picture in pictures:
        with ui.column().classes("items-center gap-1").style(f"width: {WIDTH + 40}px"):
            ui.image(as_uri(picture.image)).style(f"width: {WIDTH}px; image-rendering: pixelated")
            ui.label(picture.asked).classes("text-xs text-center break-words")
            if picture.verdict is not None:
                ui.label(in_words(picture.verdict)).classes("verdict text-xs text-center")


def as_uri(image: Tensor) -> str:
    """A picture uint8 [C,H,W] as the address of a PNG."""
    buffer = io.BytesIO()
    image_grid(image[None], min_side=WIDTH).save(buffer, format="PNG")
    return f"data:image/png;base64,{b64encode(buffer.getvalue()).decode()}"
