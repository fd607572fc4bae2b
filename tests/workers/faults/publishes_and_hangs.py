import threading

from jobreel.core.request import JobRequest
from jobreel.core.workspace import Workspace


def run(request: JobRequest, work: Workspace) -> None:
    path = work.path("half.txt")
    path.write_text("half of the work")
    work.publish(path, "half.txt")
    work.report(0.5, "hang")
    threading.Event().wait()
