"""Job types below `/v1/toolkit/`."""
