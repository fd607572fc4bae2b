import pytest
from tests.jobs.workspace import FolderWorkspace

from jobreel.core.errors import InvalidRequest
from jobreel.jobs.toolkit.echo import EchoRequest, echo


@pytest.mark.parametrize("message", ["hello", 7, None, ["a", {"b": 1.5}], {}])
def test_any_message_comes_back_as_it_was(work: FolderWorkspace, message: object) -> None:
    assert echo(EchoRequest.parse({"message": message}), work) == message


def test_a_missing_message_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="`message` is required"):
        EchoRequest.parse({})
