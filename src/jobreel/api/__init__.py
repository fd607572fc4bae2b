"""The HTTP edge: parse, call the service, render. Knows no database, no worker and no setting of its own."""
