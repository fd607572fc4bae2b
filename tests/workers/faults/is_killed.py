import ctypes
import signal

from jobreel.core.request import JobRequest
from jobreel.core.workspace import Workspace


def run(request: JobRequest, work: Workspace) -> None:
    """A real fault: as head of a PID namespace, only the kernel can kill it from inside."""
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    ctypes.string_at(0)
