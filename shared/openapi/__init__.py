"""The description of the HTTP API (OpenAPI 3.1), with the limits that hold in this deployment.

`/api/openapi.json` serves it. Tests hold it to the app's routes, and a running app to it.
"""

from shared.openapi.document import describe

__all__ = ["describe"]
