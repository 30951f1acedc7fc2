"""The end of a program, its signals and Ctrl-C: nothing hangs, and nothing is written to stderr."""

import pytest

from tests.client.programs import run_program
from tests.client.talking_sidecar import TalkingSidecar, at


@pytest.fixture(autouse=True)
def two_instances(talking: TalkingSidecar) -> None:
    talking.services["web"] = [at(1), at(2)]


@pytest.mark.parametrize(
    "last",
    ["", "registry.close()", "sys.exit(0)", "del registry, web", "web = None; import gc; gc.collect()",
     "registry.watch('web', lambda _: None)", "threading.Thread(target=lambda: ports()).start()"],
)  # fmt: skip
def test_a_program_that_used_a_registry_ends(talking: TalkingSidecar, last: str) -> None:
    run_program(f"assert ports() == [1, 2]\n{last}\n", talking.path)


def test_a_program_ends_while_its_sidecar_is_away(talking: TalkingSidecar) -> None:
    talking.end()
    run_program("web.use()\n", talking.path)


def test_a_program_ends_while_another_thread_waits(talking: TalkingSidecar) -> None:
    talking.silent = True
    run_program(
        "def look():\n"
        "    try: ports()\n"
        "    except NotSynced: pass\n"
        "threading.Thread(target=look, daemon=True).start()\n"
        "eventually(threads)\n",
        talking.path,
    )


def test_a_first_lookup_at_the_end_raises_not_synced(talking: TalkingSidecar) -> None:
    """A handler that was registered before gossipreg was imported runs after the watcher has been stopped."""
    run_program(
        "import atexit, subprocess\n"
        "code = '''\n"
        "import atexit, sys\n"
        "def late():\n"
        "    try: registry.service('late').instances\n"
        "    except NotSynced as error: print('late', type(error).__name__)\n"
        "    print('known', sorted(one.port for one in web.instances))\n"
        "atexit.register(late)\n"
        "import gossipreg\n"
        "from gossipreg import NotSynced\n"
        "registry = gossipreg.connect(sys.argv[1], timeout=30)\n"
        "web = registry.service('web')\n"
        "assert len(web.instances) == 2\n"
        "'''\n"
        "done = subprocess.run([sys.executable, '-W', 'error', '-c', code, path], capture_output=True, text=True)\n"
        "assert (done.stdout, done.stderr, done.returncode) == ('late NotSynced\\nknown [1, 2]\\n', '', 0), done\n",
        talking.path,
    )


def test_a_first_use_in_an_exit_handler_answers_or_raises_not_synced(talking: TalkingSidecar) -> None:
    """From Python 3.12 on no thread can be started then."""
    out = run_program(
        "import atexit\n"
        "def late():\n"
        "    try: print(ports())\n"
        "    except NotSynced: print('NotSynced')\n"
        "atexit.register(late)\n",
        talking.path,
    )
    assert out in ("[1, 2]\n", "NotSynced\n")


def test_a_first_use_without_room_for_a_thread_raises_not_synced(talking: TalkingSidecar) -> None:
    run_program(
        "def no_room(*_, **__): raise RuntimeError('can\\'t start new thread')\n"
        "kept, threading.Thread.start = threading.Thread.start, no_room\n"
        "began = time.monotonic()\n"
        "try: ports()\n"
        "except NotSynced: pass\n"
        "else: assert False\n"
        "assert time.monotonic() - began < 25\n"
        "threading.Thread.start = kept\n"
        "assert ports() == [1, 2]\n",
        talking.path,
    )


def test_without_descriptors_lookups_fail_until_there_are_some(talking: TalkingSidecar) -> None:
    """And what is known stays; it is logged, which is left out here."""
    run_program(
        "import logging, resource\n"
        "logging.disable()\n"
        "registry = gossipreg.connect(path, timeout=0.3)\n"
        "web = registry.service('web')\n"
        "def limited(number): resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "for free in range(3):\n"
        "    limited(3 + free)\n"
        "    try: ports()\n"
        "    except NotSynced as error: pass\n"
        "    else: assert False\n"
        "limited(soft)\n"
        "assert len(web.wait(2, timeout=30)) == 2\n",
        talking.path,
    )


def test_ctrl_c_ends_a_lookup_that_waits(talking: TalkingSidecar) -> None:
    talking.silent = True
    run_program(
        "threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "try: ports()\n"
        "except KeyboardInterrupt: pass\n"
        "else: assert False\n",
        talking.path,
    )


def test_a_signal_handler_may_look_up_names(talking: TalkingSidecar) -> None:
    """It interrupts lookups of known and of new names at any place."""
    run_program(
        "count = [0]\n"
        "def handler(*_):\n"
        "    count[0] += 1\n"
        "    assert ports() == [1, 2]\n"
        "    assert registry.service(f'from-handler-{count[0] % 50}').instances == ()\n"
        "signal.signal(signal.SIGALRM, handler)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)\n"
        "for number in range(300):\n"
        "    assert ports() == [1, 2]\n"
        "    assert registry.service(f'name-{number}').instances == ()\n"
        "eventually(lambda: count[0] > 20)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0)\n",
        talking.path,
    )


def test_a_handler_that_interrupts_a_waiting_lookup_may_look_up(talking: TalkingSidecar) -> None:
    run_program(
        "found = []\n"
        "signal.signal(signal.SIGALRM, lambda *_: found.append(ports()))\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.2)\n"
        "try: web.wait(3, timeout=1)\n"
        "except NotSynced: pass\n"
        "assert found == [[1, 2]], found\n",
        talking.path,
    )


def test_the_watcher_takes_no_signals(talking: TalkingSidecar) -> None:
    """The main thread's sleep is interrupted although another thread sleeps too."""
    run_program(
        "assert ports() == [1, 2]\n"
        "class Alarm(Exception): pass\n"
        "def handler(*_): raise Alarm\n"
        "signal.signal(signal.SIGALRM, handler)\n"
        "for _ in range(20):\n"
        "    signal.setitimer(signal.ITIMER_REAL, 0.01)\n"
        "    try: threading.Event().wait(60)\n"
        "    except Alarm: pass\n"
        "    else: assert False\n"
        "task = next(one for one in threading.enumerate() if one.name == 'gossipreg')\n"
        "with open(f'/proc/self/task/{task.native_id}/status') as file: status = file.read()\n"
        "blocked = int(next(line for line in status.splitlines() if line.startswith('SigBlk')).split()[1], 16)\n"
        "assert blocked >> (signal.SIGALRM - 1) & 1 and blocked >> (signal.SIGTERM - 1) & 1\n",
        talking.path,
    )


def test_sigterm_ends_a_program_at_once(talking: TalkingSidecar) -> None:
    run_program("assert ports() == [1, 2]\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(60)\n", talking.path,
                exit_code=-15)  # fmt: skip


def test_a_slow_callback_does_not_hold_the_end_of_the_program_for_ever(talking: TalkingSidecar) -> None:
    run_program(
        "from gossipreg.client.watching import watcher\n"
        "watcher.STOP_S = 0.2\n"
        "entered = threading.Event()\n"
        "def callback(_): entered.set(); time.sleep(600)\n"
        "registry.watch('web', callback)\n"
        "assert entered.wait(30)\n",
        talking.path,
    )


@pytest.mark.parametrize("files", [0, 40])
def test_descriptors_closed_behind_its_back_are_made_anew(talking: TalkingSidecar, files: int) -> None:
    """Files that the program opens then have the same numbers, and stay untouched. It is logged, which is left out."""
    run_program(
        "import logging, warnings\n"
        "logging.disable()\n"
        "warnings.simplefilter('ignore', DeprecationWarning)  # the old thread sleeps on: a fork may warn of it\n"
        "assert ports() == [1, 2]\n"
        "os.closerange(3, 4096)\n"
        f"kept = [os.open(path + '.txt', os.O_RDWR | os.O_CREAT) for _ in range({files})]\n"
        "assert registry.service('other').instances == ()\n"
        "eventually(lambda: ports() == [1, 2] and registry.stats()['synced'] and not registry.stats()['stale'])\n"
        "assert ended_well(child(lambda: eventually(lambda: ports() == [1, 2])))\n"
        "os.closerange(3, 4096)\n"
        "assert ended_well(child(lambda: eventually(lambda: ports() == [1, 2])))\n"
        f"kept += [os.open(path + '.txt', os.O_RDWR | os.O_CREAT) for _ in range({files})]\n"
        "assert registry.service('third').instances == ()\n"
        f"assert all(os.fstat(one).st_size == 0 for one in kept[{files}:])\n",
        talking.path,
    )


def test_closed_descriptors_are_noticed_although_nothing_is_asked(talking: TalkingSidecar) -> None:
    run_program(
        "import logging\n"
        "logging.disable()\n"
        "seen = []\n"
        "registry.watch('web', lambda snapshot: seen.append(snapshot.stale_since is None))\n"
        "assert ports() == [1, 2]\n"
        "os.closerange(3, 4096)\n"
        "kept = [os.open('/dev/null', os.O_RDWR) for _ in range(20)]\n"
        "eventually(lambda: False in seen and seen[-1])\n"
        "assert ports() == [1, 2]\n"
        "assert {os.readlink(f'/proc/self/fd/{one}') for one in kept} == {'/dev/null'}\n"
        "registry.close()\n"
        "assert {os.readlink(f'/proc/self/fd/{one}') for one in kept} == {'/dev/null'}\n",
        talking.path,
    )
