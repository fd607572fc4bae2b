import threading

from jobreel.core.request import JobRequest
from jobreel.core.workspace import Workspace


def run(request: JobRequest, work: Workspace) -> None:
    work.report(0.5, "hang")
    threading.Event().wait()
