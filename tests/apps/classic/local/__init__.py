"""A package of the app's own that has the same name as one of the host's project."""

NAME = "the app's own"
