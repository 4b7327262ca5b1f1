"""Checks of the infrastructure code: everything that can be proved about it without a subscription."""
