from pathlib import Path

from jobreel.core.request import JobRequest
from jobreel.core.workspace import Published, Workspace


def run(request: JobRequest, work: Workspace) -> Published:
    """A child that was taken over tries to have a file of the server's published."""
    path = work.path("innocent.txt")
    path.symlink_to(Path("/etc/passwd"))
    return work.publish(path, "innocent.txt")
