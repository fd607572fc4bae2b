from jobreel.core.errors import NoAudio
from jobreel.core.request import JobRequest
from jobreel.core.workspace import Workspace


def run(request: JobRequest, work: Workspace) -> None:
    work.log("looked for sound")
    raise NoAudio("The file has no sound.", step="probe", hint="Send one that has.")
