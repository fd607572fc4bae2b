import sys

from jobreel.core.request import JobRequest
from jobreel.core.workspace import Workspace


def run(request: JobRequest, work: Workspace) -> None:
    while True:
        sys.stderr.write("the same line again and again\n" * 1000)
