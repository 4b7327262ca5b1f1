"""Schemas of chat and feedback. Pure."""

from shared import feedback
from shared.chat import filters
from shared.openapi.build import (
    ANYTHING,
    COUNT,
    FLAG,
    NUMBER,
    TEXT,
    TIME,
    Node,
    accepted,
    answered,
    described,
    list_of,
    map_of,
    nullable,
    one_of,
    ref,
)
from shared.settings import Settings


def chat_schemas(settings: Settings) -> dict[str, Node]:
    """Return the schemas by name, with the limits of `settings`."""
    return {
        "Message": _message(settings.chat_message_max_characters),
        "Filters": _filters(),
        "ChatRequest": _request(settings, streamed=False),
        "ChatStreamRequest": _request(settings, streamed=True),
        "Citation": _citation(),
        "Index": described(
            answered({"generation": TEXT, "region": TEXT}), "The generation of the index that was searched, and where."
        ),
        "ChatContext": _context(),
        "ChatReply": answered(
            {
                "message": answered({"role": one_of("assistant"), "content": TEXT}),
                "context": ref("ChatContext"),
                "sessionState": ANYTHING,
            }
        ),
        "ChatEvent": _event(),
        "Suggestions": answered({"questions": list_of(TEXT)}),
    }


def _request(settings: Settings, streamed: bool) -> Node:
    return accepted(
        {
            "messages": described(
                list_of(ref("Message"), minItems=1, maxItems=settings.chat_max_messages),
                "The conversation; the last message is the user's question.",
            ),
            "context": {
                "anyOf": [
                    accepted({"debug": FLAG, "follow_ups": FLAG, "filters": nullable(ref("Filters"))}),
                    {"type": "null"},
                ]
            },
            "sessionState": described(ANYTHING, "Comes back as it was given."),
            "stream": described({"type": "boolean", "enum": [streamed]}, "May be said; the route decides."),
        },
        ("messages",),
    )


def _message(longest: int) -> Node:
    """Return the schema of one turn: what a user says is not empty; what the assistant said comes back as it was."""
    said: Node = {"type": "string", "maxLength": longest}
    asked: Node = {**said, "pattern": r"\S", "minLength": 1}
    context = described({"type": ["object", "null"]}, "Of a reply that is sent back; not looked at.")
    kinds = [("user", asked), ("assistant", said)]
    return {
        "anyOf": [
            accepted({"role": one_of(role), "content": content, "context": context}, ("role", "content"))
            for role, content in kinds
        ]
    }


def _filters() -> Node:
    name = {"type": "string", "minLength": 1, "maxLength": filters.LONGEST}
    tags = {**map_of(name), "propertyNames": name, "maxProperties": filters.MOST_TAGS}
    return accepted(
        {
            "path": {
                "description": "The path of a document or of a folder, or a list of them: one must fit.",
                "anyOf": [name, list_of(name, minItems=1, maxItems=filters.MOST_PATHS), {"type": "null"}],
            },
            "tags": described(nullable(tags), "Names and values of the documents' metadata: all must fit."),
            "after": described(nullable(TEXT), "Written at or after this ISO date or time."),
            "before": described(nullable(TEXT), "Written before this ISO date or time."),
        }
    )


def _citation() -> Node:
    return answered(
        {
            "n": described({"type": "integer", "minimum": 1}, "The number of its markers [n] in the answer."),
            "document_id": TEXT,
            "path": TEXT,
            "title": TEXT,
            "heading": described(TEXT, "The headings above the passage, outermost first, joined by ' > '."),
            "page": nullable(COUNT),
            "pages": described(list_of(COUNT), "The pages on which its parts begin."),
            "ordinals": described(list_of(COUNT), "The first and the last part of the document that it is made of."),
            "version_id": described(TEXT, "The version of the document that the passage was taken from."),
            "last_modified": TIME,
            "newer_unreadable": described(TEXT, "Why a newer version is not shown; empty while this is it."),
            "snippet": TEXT,
            "passage": TEXT,
            "url": described(TEXT, "Opens the document at this version."),
            "also_in": described(list_of({"type": "object"}), "Other documents that say the same."),
        }
    )


def _context() -> Node:
    return answered(
        {
            "citations": list_of(ref("Citation")),
            "answered": described(FLAG, "Whether the answer stands on a passage."),
            "index": ref("Index"),
            "model": TEXT,
            "timings": described(map_of(NUMBER), "Milliseconds by stage."),
            "query": described(TEXT, "What was searched for."),
            "refused": nullable(described(TEXT, "Why there is no answer: nothing_found, content_filter, empty.")),
            "truncated": described(FLAG, "Whether the answer ended at a limit of tokens or time."),
            "checks": described(map_of(COUNT), "How many sentences the check found supported, repaired, and so on."),
            "unsupported": described(list_of(TEXT), "Sentences that no passage supports; [?] follows them."),
            "usage": described(map_of(COUNT), "Tokens of the chat model's calls, as it counts them."),
            "follow_ups": described(list_of(TEXT), "Further questions, where they were asked for."),
            "debug": described({"type": "object"}, "How the passages were found, where that was asked for."),
        },
        optional=("query", "refused", "truncated", "checks", "unsupported", "usage", "follow_ups", "debug"),
    )


def _event() -> Node:
    """Return the schema of one line of a streamed reply."""
    opening = answered({"citations": list_of(ref("Citation")), "index": ref("Index"), "query": TEXT})
    piece = answered({"role": TEXT, "content": TEXT}, optional=("role",))
    kinds = [
        described(
            answered({"delta": answered({"role": one_of("assistant")}), "context": opening}),
            "First: the passages that were found.",
        ),
        described(answered({"delta": piece}), "Then: pieces of the answer."),
        described(
            answered(
                {"delta": piece, "context": ref("ChatContext"), "sessionState": ANYTHING, "done": {"const": True}}
            ),
            "Last: the citations that were used.",
        ),
        described(answered({"error": _told()}), "Or last: what failed after the first line."),
    ]
    return {"anyOf": kinds}


def _told() -> Node:
    """Return the schema of an error in a stream: a problem, with code and message beside its other members."""
    texts = dict.fromkeys(("type", "title", "detail", "code", "message"), TEXT)
    return answered({**texts, "status": {"type": "integer"}, "retry_after": COUNT}, optional=("retry_after",))


def feedback_schemas() -> dict[str, Node]:
    """Return the schemas of feedback by name."""
    name = {"type": "string", "maxLength": feedback.NAME_CHARACTERS}
    text = {"type": "string", "maxLength": feedback.TEXT_CHARACTERS}
    number = {"type": "integer", "minimum": 1}
    passage = accepted(
        {
            "n": described(number, "The passage's number in the answer."),
            **dict.fromkeys(("path", "version_id", "document_id", "heading"), name),
            "page": nullable(number),
            "passage": text,
        },
        ("n",),
    )
    rating = nullable(one_of(*feedback.RATINGS))
    answer_id = {"type": "string", "pattern": "^[A-Za-z0-9_-]{16,64}$"}
    given: dict[str, Node] = {
        "id": described(answer_id, "Made up by the caller, one an answer; rating it again replaces the rating."),
        "rating": described(rating, "null withdraws the rating."),
        **dict.fromkeys(("question", "answer", "query"), text),
        "comment": {"type": "string", "maxLength": feedback.COMMENT_CHARACTERS},
        **dict.fromkeys(("generation", "model"), name),
        "passages": list_of(ref("RatedPassage"), maxItems=feedback.MOST_PASSAGES),
    }
    return {
        "RatedPassage": passage,
        "Feedback": accepted(given, ("id", "rating")),
        "Rating": answered({"id": TEXT, "rating": rating}),
        "FeedbackEntry": answered({**given, "rating": one_of(*feedback.RATINGS), "region": TEXT, "at": TIME}),
    }
