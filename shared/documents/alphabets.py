"""Letters beyond ASCII of languages, by the encodings of one byte a character that they are written in. Pure data."""

from dataclasses import dataclass

COMMON = frozenset("“”„‘’‚–—…•·°§©®™€£«»²³½×±¿¡\xa0")


@dataclass(frozen=True, slots=True)
class Alphabet:
    """The letters that a language, written in this encoding, has beyond ASCII, in lower case."""

    encoding: str
    letters: frozenset[str]
    weight: float = 1.0  # what a share of letters that fit counts

    @property
    def enough(self) -> float:
        """The least share that says that a text is in this language. Latin letters seldom stand for anything else."""
        return 0.75 if min(self.letters) < "\u0370" else 0.9


def _alphabets(encodings: str, *languages: str) -> list[Alphabet]:
    return [Alphabet(encoding, frozenset(letters)) for encoding in encodings.split() for letters in languages]


_GERMAN, _FRENCH, _SPANISH = "äöüßé", "àâæçéèêëîïôœùûüÿ", "áéíñóúü"
_PORTUGUESE, _ITALIAN, _NORDIC = "ãõáàâçéêíóôúü", "àèéìíòóùúî", "åäöæøé"
_DUTCH, _ICELANDIC = "éëïöüèáó", "áðéíóúýþæö"
_CATALAN = "àçèéíïòóúü"
_WESTERN = frozenset(_GERMAN + _FRENCH + _SPANISH + _PORTUGUESE + _ITALIAN + _NORDIC + _DUTCH + _ICELANDIC)
_RUSSIAN, _UKRAINIAN = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя", "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя"
_SERBIAN, _BELARUSIAN = "абвгдђежзијклљмнњопрстћуфхцчџш", "абвгдеёжзійклмнопрстуўфхцчшыьэюя"

# The first of those that fit equally is taken, so what is commonest stands first. Texts in several Western languages
# have the letters of all; that fits much, and so weighs less than one language.
ALPHABETS = (
    *_alphabets("cp1252", _GERMAN, _FRENCH, _SPANISH, _PORTUGUESE, _ITALIAN, _NORDIC, _DUTCH, _CATALAN),
    *_alphabets("cp1254", "çğıöşüâîû\u0307"),  # a dotted capital I becomes two in lower case
    *_alphabets("cp1252", _ICELANDIC),
    *_alphabets("cp1250 iso8859_2", "ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "čćđšž", "ăâîşţ"),
    *_alphabets("cp1257", "ąčęėįšųūž", "āčēģīķļņšūž", "äõöüšž"),
    *_alphabets(
        "cp1255", "אבגדהוזחטיכךלמםנןסעפףצץקרשת־₪\u200e\u200f"
    ),  # goes before small Russian letters, which are more
    *_alphabets("cp1251 koi8_u cp866", _RUSSIAN, _UKRAINIAN, _SERBIAN, _BELARUSIAN),
    *_alphabets("cp1253 iso8859_7", "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰ"),
    *_alphabets("cp1256", "پچژگک\u200c\u200dءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهوىيًٌٍَُِّْـ،؛؟"),
    Alphabet("cp1252", _WESTERN, 0.85),
)
