"""The durable record: one ledger, two engines, one set of statements; and the folder of artifacts."""
