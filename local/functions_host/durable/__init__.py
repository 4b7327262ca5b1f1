"""Durable Functions: Microsoft's in-memory backend, its work dispatched to the app, and the management API."""
