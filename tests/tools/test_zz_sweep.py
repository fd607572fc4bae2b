import pytest, gc
from dataclasses import replace
from jobreel.core.errors import SourceUnreachable
from jobreel.tools.net import Door
from tests.tools.servers import serving, silent
from tests.tools.test_net import LIMITS, OPEN
pytestmark = pytest.mark.anyio
@pytest.fixture
def anyio_backend(): return "asyncio"
DOOR = Door(OPEN)
@pytest.mark.parametrize("ms", [0,0.2,0.4,0.6,0.8,1,1.2,1.4,1.6,1.8,2,2.2,2.4,2.6,2.8,3,3.3,3.6,4,4.5,5,6,8,10])
async def test_x(ms, tmp_path):
    async with serving(silent) as server:
        with pytest.raises(SourceUnreachable) as f:
            await DOOR.fetch(server.url(scheme="http"), tmp_path / "source", replace(LIMITS, total_seconds=ms/1000))
    if "longer" not in f.value.message:
        import traceback; print("".join(traceback.format_exception(f.value)))
        assert 0
