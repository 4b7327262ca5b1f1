"""The rebuild as a discrete-event model: fitted on measured rebuilds, then asked about lakes that no laptop holds."""
