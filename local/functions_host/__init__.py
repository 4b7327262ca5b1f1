"""A local host for Python function apps: Microsoft's worker library and durable backend behind local triggers."""
