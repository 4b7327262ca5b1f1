"""The drill: lose a region for real on one machine, recover in another one, and measure what that took and lost."""
