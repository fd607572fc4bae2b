from jobreel.core.request import JobRequest
from jobreel.core.workspace import Workspace


def run(request: JobRequest, work: Workspace) -> None:
    eaten = []
    while True:
        eaten.append(b"x" * 10_000_000)
        if len(eaten) > 40:
            import threading

            threading.Event().wait()  # 400 MB is over the test's limit; the machine is spared
