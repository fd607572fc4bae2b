"""The rules: jobs, their life, errors and contracts. Knows no SQL, no HTTP, no subprocess and no clock."""
