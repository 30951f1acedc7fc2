"""The registry for asyncio and trio: `async with gossipreg.aio.connect() as registry`. See `client/aio.py`."""

from gossipreg.client.aio import AsyncRegistry, AsyncService, connect

__all__ = ["AsyncRegistry", "AsyncService", "connect"]
