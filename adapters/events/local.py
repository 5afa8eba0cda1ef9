"""Signals within one process. Between processes the records' own change signal is poured in."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator

from domain.event import FilesChanged, Signal, UploadMoved
from domain.ids import TenantId, UploadId


class _Listener:
    """One waiting reader; signals that it has not seen yet are merged, so it holds two at most."""

    def __init__(self, upload_id: UploadId | None) -> None:
        self.upload_id = upload_id
        self.waiting: dict[type[Signal], Signal] = {}
        self.wake = asyncio.Event()

    def offer(self, signal: Signal) -> None:
        if isinstance(signal, UploadMoved) and self.upload_id not in (None, signal.upload_id):
            return
        if isinstance(signal, FilesChanged) and self.upload_id is not None:
            return
        self.waiting[type(signal)] = signal
        self.wake.set()


class LocalEvents:
    """An event bus for the listeners of this process."""

    def __init__(self) -> None:
        self._listeners: dict[TenantId, set[_Listener]] = defaultdict(set)

    def publish(self, signal: Signal) -> None:
        for listener in self._listeners.get(signal.tenant_id, ()):
            listener.offer(signal)

    def wake_all(self) -> None:
        """Tell every listener to look again: something changed, nobody here knows what."""
        for tenant_id, listeners in self._listeners.items():
            for listener in listeners:
                if listener.upload_id is None:
                    listener.offer(FilesChanged(tenant_id))
                else:
                    listener.offer(UploadMoved(tenant_id, listener.upload_id))

    async def listen(self, tenant_id: TenantId, *, upload_id: UploadId | None = None) -> AsyncGenerator[Signal, None]:
        listener = _Listener(upload_id)
        self._listeners[tenant_id].add(listener)
        try:
            while True:
                await listener.wake.wait()
                listener.wake.clear()
                waiting, listener.waiting = listener.waiting, {}
                for signal in waiting.values():
                    yield signal
        finally:
            self._listeners[tenant_id].discard(listener)
            if not self._listeners[tenant_id]:
                del self._listeners[tenant_id]
