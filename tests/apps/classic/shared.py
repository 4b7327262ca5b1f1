"""A module of the app's own that has the same name as a package of the host's project."""

NAME = "the app's own"
