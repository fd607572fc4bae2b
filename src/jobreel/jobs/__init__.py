"""Job types. One file is one job type: its request, its handler, its registration. Copy `toolkit/echo.py`."""
