"""The scenarios of a drill: each says what happens, and what must then be shown."""
