"""`python -m local.model_service --port N [--model extractive|FILE.gguf] [--api-key KEY]`."""

import sys
from pathlib import Path

from aiohttp import web

from local.model_service.app import ChatModel, ExtractiveChat, ModelService
from local.model_service.embedding import MiniLM
from local.serve import Arguments, log_to_stderr, serve


def main() -> int:
    """Run the service; returns the exit code."""
    parser = Arguments(prog="local.model_service", description="OpenAI-compatible local models")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 picks a free one")
    parser.add_argument("--model", default="extractive", help="extractive (the default), or the path of a GGUF file")
    parser.add_argument("--api-key", default="", help="key that callers must give; none by default")
    options = parser.parse_args()
    log_to_stderr()
    if options.model != "extractive" and not Path(options.model).is_file():
        print(f"model_service: --model {options.model!r} is neither 'extractive' nor a file", file=sys.stderr)
        return 2
    embedder = MiniLM()
    chat: ChatModel
    if options.model == "extractive":
        chat = ExtractiveChat(embedder)
    else:
        from local.model_service.gguf import GgufChat

        try:
            chat = GgufChat(Path(options.model))
        except ImportError:
            print("model_service: a GGUF file needs the package xllamacpp: pip install xllamacpp", file=sys.stderr)
            return 1

    async def make() -> web.Application:
        return ModelService(embedder, chat, options.api_key).application()

    return serve(make, options.port, "model_service")


if __name__ == "__main__":
    sys.exit(main())
