"""Job types below `/v1/video/`."""
