"""`genbench play`."""

from __future__ import annotations

import socket

from omegaconf import DictConfig

from genbench.app.build import resolve
from genbench.app.device import pick_device
from genbench.app.player import Player
from genbench.app.validate import validate_config
from genbench.core import ConfigError
from genbench.run import Run


def run(config: DictConfig) -> None:
    """Serves a page on this machine that draws from a run, until it is stopped.

    Raises:
        ConfigError: the extra that brings the page is not installed, or the port is taken.
    """
    plain = resolve(config)
    validate_config(plain, "play")
    try:
        import uvicorn

        from genbench.app.page import page_of
    except ModuleNotFoundError as error:
        raise ConfigError(f"the page needs {error.name}: pip install 'genbench[demo]'") from error
    player = Player(Run.open(plain["run"]), plain["weights"], pick_device(plain["device"]))
    site = page_of(player)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", plain["port"]))
        except OSError as error:
            raise ConfigError(f"port={plain['port']} cannot be used ({error.strerror}): give another") from error
        print(f"http://127.0.0.1:{listener.getsockname()[1]} draws from {player.run.path}; Ctrl-C stops it", flush=True)
        server = uvicorn.Server(uvicorn.Config(site, log_level="warning"))
        server.run(sockets=[listener])
