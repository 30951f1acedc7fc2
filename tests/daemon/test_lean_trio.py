"""trio as `join` loads it: less is run at the start, and all of it is there when it is used."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gossipreg.daemon.lean_trio import LATER
from tests.client.node.certificates import write_certificates

ROOT = Path(__file__).parents[2]
LEAN = "from gossipreg.daemon.lean_trio import load_trio; load_trio(); "
RUN = "import sys; print([name for name in {names!r} if type(sys.modules.get(name)).__name__ == 'module'])"


def printed(program: str, *arguments: str, path: Path = ROOT) -> str:
    """What this program prints, in a process of its own: trio is loaded in this one."""
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {[str(path), str(ROOT)]}\n{program}", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout.rstrip("\n")


def test_nothing_that_is_for_later_is_run() -> None:
    missing = {"ast", "string", "ssl", "subprocess", "pathlib", "tempfile", "_hashlib"}
    assert printed(LEAN + RUN.format(names=sorted(LATER | missing))) == "[]"


def test_without_it_all_of_that_is_run() -> None:
    assert printed("import trio; " + RUN.format(names=sorted(LATER))) == str(sorted(LATER))


@pytest.mark.parametrize("module", ["trio", "trio.lowlevel"])
def test_every_name_of_trio_is_found(module: str) -> None:
    shown = (
        f"import json; m = sys.modules[{module!r}]; names = json.loads(sys.argv[1]); "
        "print(json.dumps({name: getattr(getattr(m, name), '__qualname__', '') for name in names}))"
    )
    names = json.loads(printed(f"import trio, json; print(json.dumps(dir(sys.modules[{module!r}])))"))
    names = [name for name in names if name != "__getattr__"]
    assert len(names) > 40
    found = json.loads(printed(LEAN + shown, json.dumps(names)))
    assert found == json.loads(printed("import trio; " + shown, json.dumps(names)))


def test_a_name_that_trio_does_not_have_is_an_error() -> None:
    program = "\ntry: import trio; trio.nonsense\nexcept AttributeError as error: print(error)"
    assert printed(LEAN + program) == "module 'trio' has no attribute 'nonsense'"


def test_what_trio_was_given_meanwhile_is_gone_afterwards() -> None:
    asked = (
        "import inspect, ctypes.util, logging, platform; print(inspect.signature(int.__add__), "
        "ctypes.util.find_library('nonsense'), type(logging.getLogger('a')).__name__, platform.python_implementation())"
    )
    assert printed(LEAN + asked) == printed(asked) == "(self, value, /) None Logger CPython"


def test_what_trio_logs_is_logged() -> None:
    program = """if True:
        import logging, sys, trio
        logging.basicConfig(stream=sys.stdout, format="%(name)s %(levelname)s %(exc_info)s")
        class Broken(trio.abc.Instrument):
            def before_run(self): raise ValueError("broken")
        async def main(): pass
        trio.run(main, instruments=[Broken()])
    """
    logged = printed(LEAN + "\n" + program).splitlines()
    assert logged[0].startswith("trio.abc.Instrument ERROR (<class 'ValueError'>, ValueError('broken')")


def test_threads_have_the_names_that_trio_gives_them() -> None:
    asked = (
        "import trio; name = lambda: open('/proc/thread-self/comm').read().strip(); "
        "print(trio.run(trio.to_thread.run_sync, name))"
    )
    assert printed(LEAN + asked) == printed(asked) != "python"


def test_tls_works_over_a_trio_loaded_so(tmp_path: Path) -> None:
    write_certificates(tmp_path)
    program = """if True:
        import ssl, trio
        from trio.testing import memory_stream_pair
        server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        client = ssl.create_default_context(cafile="ca.pem")
        server.load_cert_chain("server.pem", "key.pem")
        async def main():
            one, other = memory_stream_pair()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.SSLStream(one, server, server_side=True).send_all, b"sealed")
                print(await trio.SSLStream(other, client, server_hostname="billing.example").receive_some())
        trio.run(main)
    """
    program = program.replace("ca.pem", f"{tmp_path}/ca.pem").replace('"server.pem"', f'"{tmp_path}/server.pem"')
    assert printed(LEAN + "\n" + program.replace('"key.pem"', f'"{tmp_path}/key.pem"')) == "b'sealed'"


def test_two_threads_that_need_a_module_both_find_it_complete() -> None:
    program = """if True:
        import threading, inspect
        start, found = threading.Barrier(8), []
        def ask():
            start.wait()
            found.append(inspect.unwrap)  # it stands in the middle of the file
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(len(found), type(inspect).__name__)
    """
    assert printed(LEAN + "\n" + program) == "8 module"


def package(folder: Path, init: str, **modules: str) -> Path:
    (folder / "trio").mkdir()
    for name, text in {"__init__": init, **modules}.items():
        (folder / "trio" / f"{name}.py").write_text(text)
    return folder


FALLBACKS = {
    "a class extends it": ("from ._ssl import Stream\nclass Own(Stream): pass", {}),
    "it is called": ("from ._ssl import Stream\nstream = Stream()", {}),
    "code of another module uses it": ("from . import _more", {"_more": "from ._ssl import Stream"}),
}


@pytest.mark.parametrize("release", FALLBACKS)
def test_another_release_is_loaded_in_the_usual_way(release: str, tmp_path: Path) -> None:
    init, modules = FALLBACKS[release]
    folder = package(tmp_path, init, _ssl="class Stream: pass", **modules)
    seen = "import trio._ssl; print(type(trio._ssl).__name__, trio._ssl.Stream(), [*vars(trio)])"
    usual = printed("import trio; " + seen, path=folder)
    assert printed(LEAN + seen, path=folder).partition(" at 0x")[0] == usual.partition(" at 0x")[0]


def test_an_error_of_trio_itself_is_shown(tmp_path: Path) -> None:
    folder = package(tmp_path, "raise RuntimeError('broken')")
    with pytest.raises(subprocess.CalledProcessError):
        printed(LEAN, path=folder)


def test_a_circle_of_imports_sees_what_there_is_so_far(tmp_path: Path) -> None:
    circle = "first = 1\nfrom trio import _path\nseen = _path.seen\nlast = 2"
    other = "from trio import _ssl\nseen = _ssl.first, hasattr(_ssl, 'last')"
    folder = package(tmp_path, "from ._ssl import last\nfrom ._path import other", _ssl=circle, _path=other)
    assert printed(LEAN + "import trio; print(trio._ssl.seen, trio.last)", path=folder) == "(1, False) 2"


def test_a_module_that_cannot_be_run_says_so_each_time(tmp_path: Path) -> None:
    folder = package(tmp_path, "from ._ssl import Stream", _ssl="raise ImportError('no OpenSSL')")
    program = "import trio\nfor _ in 'ab':\n  try: trio.Stream\n  except ImportError as error: print(error)"
    assert printed(LEAN + "\n" + program, path=folder) == "no OpenSSL\nno OpenSSL"
