import subprocess
import sys

from jobreel.core.request import JobRequest
from jobreel.core.workspace import Workspace


def run(request: JobRequest, work: Workspace) -> str:
    """One that leaves the process group, and says who it is through the scratch folder's name."""
    code = "import os, time; os.setsid(); time.sleep(600)"
    subprocess.Popen([sys.executable, "-c", code, f"left-by-{request.id}"], close_fds=True)
    return "left"
