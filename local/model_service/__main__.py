"""`python -m local.model_service --port N [--model extractive|FILE.gguf] [--api-key KEY] [--faults] ...`."""

import sys
from pathlib import Path

from aiohttp import web

from local.model_service.app import ChatModel, ExtractiveChat, ModelService
from local.model_service.embedding import KEPT, MiniLM
from local.serve import Arguments, log_to_stderr, serve


def main() -> int:
    """Run the service; returns the exit code."""
    parser = Arguments(prog="local.model_service", description="OpenAI-compatible local models")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 picks a free one")
    parser.add_argument("--model", default="extractive", help="extractive (the default), or the path of a GGUF file")
    parser.add_argument("--api-key", default="", help="key that callers must give; none by default")
    parser.add_argument("--tokens-per-minute", type=int, default=0, help="quota of each model; none by default")
    parser.add_argument("--requests-per-minute", type=int, default=0, help="quota of each model; none by default")
    parser.add_argument("--vectors-kept", type=int, default=KEPT, help=f"{KEPT}; 0 computes each text every time")
    parser.add_argument("--faults", action="store_true", help="faults can be injected at /-/faults")
    options = parser.parse_args()
    if min(options.tokens_per_minute, options.requests_per_minute) < 0:
        parser.error("a quota must be 0, for none, or a number of at least 1")
    if options.vectors_kept < 0:
        parser.error(f"--vectors-kept must be a number of at least 0, not {options.vectors_kept}")
    log_to_stderr()
    if options.model != "extractive" and not Path(options.model).is_file():
        print(f"model_service: --model {options.model!r} is neither 'extractive' nor a file", file=sys.stderr)
        return 2
    embedder = MiniLM(options.vectors_kept)
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
        return ModelService(
            embedder,
            chat,
            options.api_key,
            tokens_per_minute=options.tokens_per_minute,
            requests_per_minute=options.requests_per_minute,
            faults=options.faults,
        ).application()

    return serve(make, options.port, "model_service")


if __name__ == "__main__":
    sys.exit(main())
