"""`python -m local run`: the commands for one machine."""

import argparse
import os
import sys
from pathlib import Path

from local import capacity, rebuild
from local.models import MODELS, ModelFault, named_model
from local.region import EMBEDDING_DIMENSIONS, ROOT, ModelChoice
from local.run import Options, run

MODEL_HELP = f"a GGUF file or one of {', '.join(MODELS)} to answer with; default: the extractive stand-in"


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local", description="Warmlake on one machine")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("run", help="start a region and follow a folder of documents")
    command.add_argument("--port", type=int, default=7071, help="port of the app (default 7071)")
    command.add_argument("--lake", type=Path, default=ROOT / "sample-lake", help="folder with the documents")
    command.add_argument("--data", type=Path, default=ROOT / ".data", help="folder that keeps everything")
    command.add_argument("--model", default="", help=MODEL_HELP)
    command.add_argument("--verbose", action="store_true", help="show every line of every service")
    command.add_argument("--faults", action="store_true", help="search, lake and model can be made to fail on purpose")
    capacity.add_command(commands)
    rebuild.add_command(commands)
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] != ["run"]:  # the drill takes seconds to load: who starts a region does not wait for it
        from local.drill import command as drill

        drill.add_command(commands)
    options = parser.parse_args(given)
    if "act" in options:
        return int(options.act(options))
    model = _model(options.model)
    if isinstance(model, str):
        print(f"warmlake: {model}", file=sys.stderr)
        return 2
    return run(Options(options.port, options.lake, options.data, model, options.verbose, options.faults))


def _model(path: str) -> ModelChoice | str:
    """Return the model to use, or what is wrong with the choice."""
    endpoint = os.environ.get("OPENAI_ENDPOINT", "")
    if path in MODELS and not endpoint:
        try:
            path = str(named_model(path, lambda line: print(f"warmlake: {line}", flush=True)))
        except ModelFault as fault:
            return str(fault)
    if path and not Path(path).is_file():
        return f"MODEL {path!r} is neither a file nor one of {', '.join(MODELS)}; give the path of a GGUF file"
    if not endpoint:
        return ModelChoice(path=str(Path(path).resolve()) if path else "")
    names = ("OPENAI_MODEL", "OPENAI_EMBEDDING_MODEL", "EMBEDDING_DIMENSIONS")
    missing = [name for name in names if not os.environ.get(name)]
    if missing:
        return f"OPENAI_ENDPOINT is set, so {', '.join(missing)} must be set too"
    dimensions = os.environ["EMBEDDING_DIMENSIONS"]
    if not dimensions.isdecimal():
        return f"EMBEDDING_DIMENSIONS must be a number such as {EMBEDDING_DIMENSIONS}, not {dimensions!r}"
    return ModelChoice(
        endpoint=endpoint,
        api_key=os.environ.get("OPENAI_API_KEY", ""),
        chat=os.environ["OPENAI_MODEL"],
        embedding=os.environ["OPENAI_EMBEDDING_MODEL"],
        dimensions=int(dimensions),
    )


if __name__ == "__main__":
    sys.exit(main())
