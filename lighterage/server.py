"""The process that serves: socket, uvicorn and what is tuned about both."""

import asyncio
import contextlib
import ctypes
import gc
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn

from lighterage.assembly import Product, build_app, open_product, running_jobs
from lighterage.exchange import Exchange
from lighterage.gauges import keep_sampling
from lighterage.heads import HeadBounds, bounded_by, parse_hosts
from lighterage.metrics import Board, Meters
from lighterage.processes import supervise
from lighterage.settings import Settings, SettingsError

BACKLOG = 2048
SHUTDOWN_SECONDS = 20  # for answers that are under way; bodies of uploads end at once
GARBAGE_ALLOCATIONS = 10_000  # between two searches for garbage; by default 700, which took 4 % of a small upload
WEBSOCKET_MESSAGE_BYTES_MAX = 1_000_000

# glibc's mallopt (malloc.h). Bodies come in pieces of 64 to 256 KiB; by default every one is given back to the kernel
# and asked for again, which is a third of an upload's CPU time. All three are needed.
_MALLOPT = {-1: 16 * 2**20, -3: 8 * 2**20, -2: 2**20}  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_TOP_PAD


class Server(uvicorn.Server):
    """uvicorn, which says when it takes requests, and on a signal first lets the uploads record what they have."""

    def __init__(self, config: uvicorn.Config, *, on_start: Callable[[], None], on_exit: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start
        self._on_exit = on_exit

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # uvicorn raises the signal again when it is done, which would end the process with every adapter still open.
        self._on_exit()
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def open_socket(settings: Settings, *, port: int | None = None, is_shared: bool = False) -> socket.socket:
    """
    Listen on an address.

    Args:
        port: Another one than the settings name.
        is_shared: With other sockets of this user that share it, too.

    Raises:
        SettingsError: It is taken, or not ours.
    """
    port = settings.port if port is None else port
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind((settings.host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        message = f"cannot listen on {settings.host}:{port}: {error.strerror}. "
        raise SettingsError(
            message + "Choose another LIGHTERAGE_PORT (0 takes a free one) or LIGHTERAGE_HOST."
        ) from error
    return listening


def address_of(listening: socket.socket) -> str:
    """Give the URL under which this machine reaches the socket."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 (compared)
    return f"http://{host}:{port}"


def tune_allocator() -> None:
    """Keep freed memory for the next piece of a body. Nothing happens where the C library is not glibc."""
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        for parameter, value in _MALLOPT.items():
            mallopt(parameter, value)


def tune_collector() -> None:
    """Leave out of every search for garbage what is here to stay: all that the libraries made."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_ALLOCATIONS)


async def serve(
    settings: Settings,
    listening: socket.socket,
    *,
    greet: Callable[[Product, str | None], None],
    is_first: bool = True,
    meters: Meters | None = None,
) -> None:
    """
    Serve until a signal ends it.

    Args:
        listening: Is closed in the end.
        greet: Called once requests are taken, with the administrator's password if one was made just now.
        is_first: Among the processes at this address: it makes the administrator, and sees to maintenance.
        meters: Where this process counts, if others at this address do too.
    """
    with contextlib.closing(listening):
        async with open_product(settings, address=address_of(listening), meters=meters) as product:
            password = await product.ensure_admin() if is_first else None
            stopping = asyncio.Event()

            def stop() -> None:
                product.services.uploads.stop_receiving()
                stopping.set()

            config = uvicorn.Config(
                Exchange(build_app(product, stopping=stopping)),
                http=bounded_by(_head_bounds(settings)),
                ws="websockets-sansio",
                ws_per_message_deflate=False,
                ws_max_size=WEBSOCKET_MESSAGE_BYTES_MAX,
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            )
            server = Server(
                config,
                on_start=lambda: greet(product, password),
                on_exit=stop,
            )
            tune_collector()
            async with running_jobs(product) if is_first else contextlib.nullcontext():
                sampling = asyncio.create_task(keep_sampling(meters)) if meters is not None else None
                try:
                    await server.serve(sockets=[listening])
                finally:
                    if sampling is not None:
                        sampling.cancel()


def _head_bounds(settings: Settings) -> HeadBounds:
    return HeadBounds(
        bytes_max=settings.head_kib_max * 1024,
        seconds=settings.head_seconds,
        hosts=parse_hosts(settings.allowed_hosts),
    )


def run(settings: Settings, *, greet: Callable[[Product, str | None], None]) -> None:
    """Serve, in this process or in as many as the settings name."""
    if settings.processes == 1:
        _run(settings, open_socket(settings), greet=greet)
        return
    # Alone at first: two servers that share an address by mistake would each answer every other request.
    with contextlib.closing(open_socket(settings)) as probe:
        port = probe.getsockname()[1]

    board = Board(settings.processes)

    def work(number: int, is_ready: Callable[[], None]) -> None:
        def greet_once(product: Product, password: str | None) -> None:
            is_ready()
            if number == 0:
                greet(product, password)

        listening = open_socket(settings, port=port, is_shared=True)
        meters = Meters(board, board.row(number))
        _run(settings, listening, greet=greet_once, is_first=number == 0, meters=meters)

    supervise(settings.processes, work)


def _run(
    settings: Settings,
    listening: socket.socket,
    *,
    greet: Callable[[Product, str | None], None],
    is_first: bool = True,
    meters: Meters | None = None,
) -> None:
    import uvloop

    tune_allocator()
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, listening, greet=greet, is_first=is_first, meters=meters))
    signal.signal(signal.SIGINT, signal.SIG_DFL)
