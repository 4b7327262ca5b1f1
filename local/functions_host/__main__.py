"""`python -m local.functions_host start --port 7071`, in a function app's folder."""

import argparse
import sys
from pathlib import Path


def main() -> int:
    """Run the host; returns the exit code."""
    parser = argparse.ArgumentParser(prog="local.functions_host", description="run the function app in this folder")
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("start", help="load the app and serve it until SIGTERM or Ctrl-C")
    start.add_argument("-p", "--port", type=int, help="port on 127.0.0.1, 7071 by default; 0 picks a free one")
    start.add_argument("--cors", default="", help="origins whose pages may call the app, separated by commas, or '*'")
    start.add_argument("--cors-credentials", action="store_true", help="let those pages send cookies")
    options = parser.parse_args()
    if options.port is not None and not 0 <= options.port <= 65535:
        parser.error(f"--port {options.port} is not a port")
    from local.functions_host.host import run  # a wrong argument is reported before all that is loaded

    return run(Path.cwd(), options.port, tuple(options.cors.split(",")), options.cors_credentials)


if __name__ == "__main__":
    sys.exit(main())
