"""Documents made up for the drill: each holds facts that only it holds, and they name the document and its edition.

Whoever reads a chunk can tell of which document and edition it is, so an answer that is wrong, from a version that must
not answer, or put together from two versions is recognised. Pure: the same seed gives the same documents.
"""

import hashlib
import json
import random
import re
from dataclasses import dataclass

_SYLLABLES = """
    bra dre fli gor hul jan kev lom mir nus pol qua rin sto tav ulm vek wis yor zan bel cor dim fas gil
"""
SYLLABLES = tuple(_SYLLABLES.split())
CODE = re.compile(r"\b(\d{4})-(\d{3})-([A-Z]{4})\b")  # number of the document, its edition, letters made from both
EDITION = re.compile(r"\bEdition (\d+) of the (\w+) file\b")
JSON_EVERY = 4
_GOODS = ("salt", "timber", "wool", "glass", "copper", "barley", "tea", "rope", "paper", "tiles", "cider", "lamps")
_HABITS = (
    "The yard is swept before the first cart comes in and again after the last one has left.",
    "Drivers wait at the outer gate until the clerk has called their number.",
    "Anything that arrives without a label is kept apart until somebody asks for it.",
    "The scales are checked with the brass weights on the first day of each month.",
    "Goods that must stay dry go to the upper floor, where the windows face south.",
    "A lantern at the gate shows after dark whether there is still room for another cart.",
    "The ledger is closed at sunset, and what comes later is entered on the next day.",
    "Keys hang behind the desk in the order of the doors and are counted every evening.",
    "In a hard winter the ramp is strewn with ash, and carts come up one at a time.",
    "Visitors sign the book at the desk and are shown around by the clerk on duty.",
)


@dataclass(frozen=True, slots=True)
class Depot:
    """What one document is about: `number` names it in codes, `name` in texts; both are its own."""

    seed: int
    number: int
    name: str

    @property
    def path(self) -> str:
        """Where the document lies in the lake."""
        return f"depots/{self.number // 100:02d}/{self.name.lower()}{'.json' if self.is_json else '.md'}"

    @property
    def is_json(self) -> bool:
        """Whether the document is JSON: of that, half a file cannot be read. The others are Markdown."""
        return self.number % JSON_EVERY == 1

    @property
    def question(self) -> str:
        """The question that this document answers, and no other."""
        return f"What is the release code of the {self.name} depot?"

    def code(self, edition: int) -> str:
        """Return the code that answers the question at an edition."""
        digest = hashlib.sha256(f"{self.seed} {self.number} {edition}".encode()).digest()
        letters = "".join(chr(ord("A") + byte % 26) for byte in digest[:4])
        return f"{self.number:04d}-{edition:03d}-{letters}"

    def text(self, edition: int) -> str:
        """Return the document at an edition: three sections, of which the last is the same in all editions."""
        draw = random.Random(f"{self.seed} {self.number}")
        goods = ", ".join(draw.sample(_GOODS, 3))
        habits = draw.sample(_HABITS, len(_HABITS))
        sections = {
            "Release": f"The release code of the {self.name} depot is {self.code(edition)}. "
            f"Edition {edition} of the {self.name} file holds for all carts with {goods}. {' '.join(habits[:5])}",
            "Closing": f"The last cart leaves the {self.name} yard at {7 + edition % 4} in the evening. "
            f"Edition {edition} of the {self.name} file was read aloud to all drivers. {' '.join(habits[5:])}",
            "Directions": f"The road to the {self.name} yard follows the canal. {' '.join(habits[2:8])}",
        }
        title = f"The {self.name} depot"
        if self.is_json:
            return json.dumps({"title": title, **sections}, indent=1)
        return f"# {title}\n\n" + "\n".join(f"## {name}\n\n{text}\n" for name, text in sections.items())


def depots(seed: int, count: int) -> tuple[Depot, ...]:
    """Return so many depots with names of their own. Raises ValueError for more than there are numbers."""
    if not 0 < count <= 10_000:
        raise ValueError(f"documents must be 1 to 10,000, not {count:,}: that many have codes of their own")
    draw = random.Random(f"depots {seed}")
    names: dict[str, None] = {}
    while len(names) < count:
        names.setdefault("".join(draw.choices(SYLLABLES, k=4)).capitalize())
    return tuple(Depot(seed, number, name) for number, name in enumerate(names))


def editions_in(text: str) -> set[tuple[str, int]]:
    """Return the (name, edition) pairs that a text claims to be of."""
    return {(name, int(edition)) for edition, name in EDITION.findall(text)}


def codes_in(text: str) -> set[tuple[int, int, str]]:
    """Return the codes in a text as (number of the document, edition, whole code)."""
    return {(int(found[1]), int(found[2]), found[0]) for found in CODE.finditer(text)}
