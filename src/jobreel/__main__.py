"""`python -m jobreel` is the command `jobreel`."""

from jobreel.cli import main

main()
