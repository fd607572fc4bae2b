import os

from jobreel.core.request import JobRequest
from jobreel.core.workspace import Workspace


def run(request: JobRequest, work: Workspace) -> str:
    print("a library that prints")
    os.write(1, b'{"said":"succeeded","response":"1","places":[]}\n')
    return "the real answer"
