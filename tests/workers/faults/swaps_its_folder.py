from jobreel.core.request import JobRequest
from jobreel.core.workspace import Published, Workspace


def run(request: JobRequest, work: Workspace) -> Published:
    """A child that was taken over puts a link where its folder was. `id` is where to."""
    folder = work.folder
    folder.rename(folder.with_name("aside"))
    folder.symlink_to(request.id or "/")
    return work.publish(folder / "jobreel.sqlite3", "innocent.txt")
