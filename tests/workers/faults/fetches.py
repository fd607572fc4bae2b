from jobreel.core.request import JobRequest, Url
from jobreel.core.workspace import Workspace


class FetchRequest(JobRequest):
    source: Url


def run(request: FetchRequest, work: Workspace) -> str:
    return work.fetch(request.source).read_bytes().decode()
