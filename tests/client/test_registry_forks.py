"""One registry shared by processes that were forked from one another, with all warnings as errors."""

import platform

import pytest

from tests.client.programs import run_program
from tests.client.talking_sidecar import TalkingSidecar, at


@pytest.fixture(autouse=True)
def two_instances(talking: TalkingSidecar) -> None:
    talking.services["web"] = [at(1), at(2)]


def test_a_registry_made_before_a_fork_serves_parent_and_children(talking: TalkingSidecar) -> None:
    run_program(
        "children = [child(lambda: eventually(lambda: ports() == [1, 2])) for _ in range(4)]\n"
        "assert ports() == [1, 2]\n"
        "assert all([ended_well(pid) for pid in children])\n",
        talking.path,
    )
    assert talking.accepted == 5


def test_a_registry_in_use_goes_on_in_parent_and_children(talking: TalkingSidecar) -> None:
    """The parent goes on with its connection; each child makes one of its own."""
    run_program(
        "assert ports() == [1, 2]\n"
        "def work():\n"
        "    assert threads() == []\n"
        "    assert ports() == [1, 2], 'the inherited snapshot answers at once'\n"
        "    eventually(lambda: web.snapshot.stale_since is None)\n"
        "    assert threads() == ['gossipreg']\n"
        "    assert registry.stats()['connects'] == 2\n"
        "assert all([ended_well(child(work)) for _ in range(8)])\n"
        "assert threads() == [], 'not before the next lookup'\n"
        "assert ports() == [1, 2]\n"
        "eventually(lambda: web.snapshot.stale_since is None)\n"
        "assert (registry.stats()['connects'], registry.stats()['losses']) == (1, 0)\n",
        talking.path,
    )
    assert talking.accepted == 9


def test_a_child_sends_nothing_on_the_inherited_connection(talking: TalkingSidecar) -> None:
    run_program(
        "from gossipreg.client.watching.watcher import WATCHER\n"
        "assert ports() == [1, 2]\n"
        "bell = {os.readlink(f'/proc/self/fd/{end}') for end in WATCHER._bell}\n"
        "assert len(bell) == 1 and bell <= descriptors()\n"
        "def work():\n"
        "    assert not any('socket' in name or name in bell for name in descriptors())\n"
        "assert all([ended_well(child(work)) for _ in range(4)])\n"
        "assert ports() == [1, 2]\n",
        talking.path,
    )
    assert [method for method, _ in talking.seen] == ["state", "watch"]


def test_changes_during_a_fork_are_not_lost(talking: TalkingSidecar) -> None:
    talking.adds_when_asked = True
    run_program(
        "assert ports() == [1, 2]\n"
        "for number in range(20):\n"
        "    assert ended_well(child(lambda: registry.service(f'ask-{os.getpid()}').instances))\n"
        "eventually(lambda: len(ports()) == 22)\n",
        talking.path,
    )


def test_a_fork_in_the_middle_of_lookups_of_many_threads(talking: TalkingSidecar) -> None:
    """Threads of the program's own: Python 3.12 warns of them, so warnings are off here."""
    run_program(
        "import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n"
        "stop, faults = threading.Event(), []\n"
        "def keep_asking(n):\n"
        "    number = 0\n"
        "    try:\n"
        "        while not stop.is_set():\n"
        "            number += 1\n"
        "            assert ports() == [1, 2]\n"
        "            assert registry.service(f'other-{n}-{number % 20}').instances == ()\n"
        "    except BaseException as error: faults.append(error)\n"
        "asking = [threading.Thread(target=keep_asking, args=(n,)) for n in range(8)]\n"
        "for thread in asking: thread.start()\n"
        "def work():\n"
        "    assert ports() == [1, 2]\n"
        "    assert registry.service('new').instances == ()\n"
        "for _ in range(8): assert ended_well(child(work))\n"
        "stop.set()\n"
        "for thread in asking: thread.join(60)\n"
        "assert not faults, faults\n"
        "eventually(lambda: web.snapshot.stale_since is None)\n",
        talking.path,
    )


def test_children_of_children_are_served_too(talking: TalkingSidecar) -> None:
    run_program(
        "def generation(n):\n"
        "    assert ports() == [1, 2]\n"
        "    eventually(lambda: web.snapshot.stale_since is None)\n"
        "    if n: assert ended_well(child(lambda: generation(n - 1)))\n"
        "    assert ports() == [1, 2]\n"
        "generation(3)\n",
        talking.path,
    )


def test_a_callback_may_fork(talking: TalkingSidecar) -> None:
    run_program(
        "done = threading.Event(); found = []\n"
        "def callback(snapshot):\n"
        "    import warnings\n"
        "    with warnings.catch_warnings():\n"
        "        warnings.simplefilter('ignore', DeprecationWarning)\n"
        "        found.append(ended_well(child(lambda: None)))\n"
        "    done.set()\n"
        "watch = registry.watch('web', callback)\n"
        "assert done.wait(30)\n"
        "watch.close()\n"
        "assert found[0]\n"
        "eventually(lambda: web.snapshot.stale_since is None)\n",
        talking.path,
    )


FUTEX = {"x86_64": 202, "aarch64": 98}
"""The number of the system call in which a thread waits for a lock, on each kind of machine."""


@pytest.mark.skipif(platform.machine() not in FUTEX, reason=f"the number of futex is not known on {platform.machine()}")
def test_a_fork_without_hooks_is_noticed_at_the_next_stale_lookup(talking: TalkingSidecar) -> None:
    """As programs in C do it that embed Python. It comes while the watcher's thread sleeps in `poll`: at other moments
    that thread may hold a lock of the interpreter, and then nothing in the child can go on."""
    run_program(
        "import ctypes\n"
        "from pathlib import Path\n"
        "assert ports() == [1, 2]\n"
        "[watcher] = [one.native_id for one in threading.enumerate() if one.name == 'gossipreg']\n"
        "call = Path(f'/proc/self/task/{watcher}/syscall')\n"
        f"eventually(lambda: call.read_text().split()[0] not in ('running', '{FUTEX[platform.machine()]}'))\n"
        "pid = ctypes.PyDLL(None).fork()\n"
        "if pid == 0:\n"
        "    code = 1\n"
        "    try:\n"
        "        assert registry.service('new').instances == ()\n"
        "        eventually(lambda: web.snapshot.stale_since is None)\n"
        "        code = 0\n"
        "    finally: os._exit(code)\n"
        "assert ended_well(pid)\n"
        "assert registry.service('more').instances == ()\n"
        "assert registry.stats()['losses'] == 0\n",
        talking.path,
    )


def test_a_multiprocessing_pool_is_served(talking: TalkingSidecar) -> None:
    run_program(
        "import multiprocessing\n"
        "def look(_): return ports()\n"
        "assert ports() == [1, 2]\n"
        "with multiprocessing.get_context('fork').Pool(4) as pool:\n"
        "    assert pool.map_async(look, range(16)).get(60) == [[1, 2]] * 16\n"
        "    pool.close(); pool.join()\n"
        "assert ports() == [1, 2]\n".replace(
            "with multi", "import warnings; warnings.simplefilter('ignore', DeprecationWarning)\nwith multi"
        ),
        talking.path,
    )


def test_subprocesses_do_not_stop_the_watcher(talking: TalkingSidecar) -> None:
    run_program(
        "import subprocess\n"
        "assert ports() == [1, 2]\n"
        "thread = threading.enumerate()[-1]\n"
        "out = subprocess.run(['ls', '/proc/self/fd'], capture_output=True, text=True).stdout.split()\n"
        "assert len(out) == 4, out\n"
        "assert thread.is_alive() and threads() == ['gossipreg']\n",
        talking.path,
    )
