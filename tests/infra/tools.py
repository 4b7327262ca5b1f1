"""The programs that check infrastructure code, from the environment of their own that `make setup` makes."""

from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
TOOLS = ROOT / ".tools" / "infra" / "bin"


def tool(name: str) -> str:
    """Return the path of a program. Raises FileNotFoundError with the way out."""
    found = TOOLS / name
    if not found.exists():
        raise FileNotFoundError(f"{found} is missing; `bash local/setup.sh .venv` installs it (requirements-infra.txt)")
    return str(found)
