"""A real language model from a GGUF file, served through xllamacpp (an optional package)."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from local.model_service.protocol import ChatRequest

CONTEXT_TOKENS = 8_192


class GgufChat:
    """Chat by the model in a GGUF file. Loading takes seconds and as much memory as the file has bytes."""

    description = "language model from a local GGUF file"

    def __init__(self, path: Path) -> None:
        """Load the model. Raises ImportError when xllamacpp is not installed."""
        import xllamacpp  # not a dependency: only who serves a GGUF file needs it

        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(path)
        parameters.n_ctx = CONTEXT_TOKENS
        self.name = path.stem
        self._server: Any = xllamacpp.Server(parameters)

    async def reply(self, request: ChatRequest) -> AsyncGenerator[str]:
        """Yield the answer as the model writes it. A consumer that stops stops the model at its next token."""
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        stopped = False

        def take(event: Any) -> bool:
            for choice in event.get("choices", []) if isinstance(event, dict) else []:
                text = choice.get("delta", {}).get("content")
                if text:
                    loop.call_soon_threadsafe(pieces.put_nowait, text)
            return stopped

        def run() -> None:
            body = {
                "messages": [{"role": role, "content": text} for role, text in request.messages],
                "stream": True,
                "max_tokens": request.max_tokens or 512,
                "temperature": 0.0,
            }
            try:
                self._server.handle_chat_completions(body, take)
            finally:
                with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
                    loop.call_soon_threadsafe(pieces.put_nowait, None)

        work = asyncio.create_task(asyncio.to_thread(run))
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
            await work
        finally:
            stopped = True
