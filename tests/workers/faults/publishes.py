from typing import Any

from jobreel.core.request import JobRequest
from jobreel.core.workspace import Workspace


def run(request: JobRequest, work: Workspace) -> dict[str, Any]:
    files = []
    for number in range(2):
        path = work.path(f"{number}.txt")
        path.write_text(f"file {number}")
        files.append({"url": work.publish(path, f"{work.job_id}_{number}.txt"), "a/b~c": number})
    return {"files": files}
