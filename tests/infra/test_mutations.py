"""Deliberately broken copies of the templates: every one is caught, for its own reason."""

import pytest

from tests.infra.mutations import MUTATIONS, Mutation, mutated, surviving


def test_there_are_enough_and_each_is_another() -> None:
    """At least thirty mutations, each with a name of its own."""
    assert len(MUTATIONS) >= 30
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS)
    print(f"{len(MUTATIONS)} mutations")


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name.replace(" ", "-"))
def test_mutation_is_caught(mutation: Mutation) -> None:
    """The broken template has a fault that names what was broken."""
    assert surviving(mutation) == ""


def test_a_mutation_that_changes_nothing_is_an_error() -> None:
    """A mutation whose text is gone from the templates would pass for ever: it raises instead."""
    with pytest.raises(ValueError, match="does not contain"):
        mutated(Mutation("x", "lake.bicep", "no such text", "", ""))


def test_an_unbroken_copy_survives() -> None:
    """A change without a meaning is not caught: the checks do not simply refuse everything."""
    harmless = Mutation("a comment", "lake.bicep", "// The lake:", "// Our lake:", "anything")
    assert surviving(harmless) == "a comment: not caught (no fault at all)"
