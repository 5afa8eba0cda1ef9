"""A server that is killed and started again, at one address: clients come through a network that finds the new one."""

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.network import Network
from tests.support.product_server import ServerProcess


class MortalServer:
    """
    From `with` to its end there is a server, but for the moments between two lives.

    Attributes:
        network: Between clients and the server.
        deaths: How often it was killed.
    """

    def __init__(self, data_dir: Path, **environ: str) -> None:
        self._data_dir, self._environ = data_dir, environ
        self._lock = threading.Lock()
        self.deaths = 0

    def __enter__(self) -> Self:
        self._server = ServerProcess(self._data_dir, **self._environ)
        self.network = Network(self._server.url).__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.network.__exit__(kind, error, at)
        self._server.close()

    @property
    def url(self) -> str:
        """Where the server is for clients."""
        return self.network.url

    @property
    def own_url(self) -> str:
        """Where this life of the server says that it is, as its links do."""
        return self._server.url

    def die_and_live(self) -> None:
        """Kill it, start another on what it left, and lead the network there."""
        with self._lock:
            self._server.kill()
            self.network.lead_to(None)  # its port may be anybody's now
            self.deaths += 1
            self._server = ServerProcess(self._data_dir, **self._environ)
            self.network.lead_to(self._server.url)
