"""`python -m local.search_service --port N --data DIR [--api-key KEY --query-key KEY --faults]`."""

import gc
import sys
from pathlib import Path

from aiohttp import web

from local.search_service.app import SearchApp
from local.search_service.service import SearchService
from local.serve import Arguments, log_to_stderr, serve


def main() -> int:
    """Run the service; returns the exit code."""
    parser = Arguments("search_service", "Azure AI Search's REST API, locally")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 picks a free one")
    parser.add_argument("--data", type=Path, required=True, help="folder that keeps indexes and documents")
    parser.add_argument(
        "--api-key", "--admin-key", dest="api_key", default="", help="admin key that callers must give; none by default"
    )
    parser.add_argument("--query-key", default="", help="key that may only query")
    parser.add_argument("--faults", action="store_true", help="faults can be injected at /-/faults")
    options = parser.parse_args()
    log_to_stderr()

    async def make() -> web.Application:
        gc.disable()  # what is loaded stays: to look through it for garbage would take an eighth of the start
        service = SearchService(options.data)
        gc.freeze()
        gc.enable()
        app = SearchApp(service, options.api_key, options.query_key, options.faults).application()

        async def close(_: web.Application) -> None:
            service.close()

        app.on_cleanup.append(close)
        return app

    return serve(make, options.port, "search_service")


if __name__ == "__main__":
    sys.exit(main())
