from jobreel.core.request import JobRequest
from jobreel.core.workspace import Workspace
from jobreel.workers import messages
from jobreel.workers.child import ChildWorkspace
from jobreel.workers.messages import Place


def run(request: JobRequest, work: Workspace) -> None:
    """A child that was taken over: it names a file that it never handed over."""
    assert isinstance(work, ChildWorkspace)
    work._pipe.say(messages.Succeeded("null", (Place("", "no such token"),)))
