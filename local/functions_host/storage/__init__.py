"""Storage queues and blobs: triggers, input bindings and output bindings."""
