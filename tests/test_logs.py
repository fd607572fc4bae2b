"""What a log line may say."""

import subprocess
import sys

import pytest

TROUBLE = """
import sys, structlog
from jobreel import logs
logs.configure(sys.argv[1])

def call(download_headers):
    raise RuntimeError("trouble")

try:
    call({"Authorization": "Bearer very-secret"})
except RuntimeError:
    structlog.get_logger().exception("it went wrong", job="job-1")
"""


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_traceback_is_logged_without_the_values_it_went_through(form: str) -> None:
    done = subprocess.run([sys.executable, "-c", TROUBLE, form], capture_output=True, text=True, check=True)

    assert "it went wrong" in done.stderr
    assert "RuntimeError" in done.stderr
    assert "job-1" in done.stderr
    assert "very-secret" not in done.stderr
