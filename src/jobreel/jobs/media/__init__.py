"""Job types below `/v1/media/`."""
