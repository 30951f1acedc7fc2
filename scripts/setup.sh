# The one set-up, sourced by the other scripts: `set_up` makes .venv in the project folder fit for use.
#
#   set_up          what gossipreg needs to run
#   set_up test     and what its tests need
#   set_up sim      or what plots of the simulations and sweeps over several machines need
#
# It needs `root`, the project folder. When all is as it was, it costs no process at all: a stamp in the .venv says for
# which folder, which Python and which pyproject.toml it was made, and is compared here with what is. Else the work is
# done under a lock, so that two started at once wait for each other. While it is being done the lock file is not empty:
# found so, the last set-up was interrupted, and the .venv is made anew from nothing.

say() { printf '%s: %s\n' "${0##*/}" "$1" >&2; }
fail() { say "$1"; exit 5; }

stamp_is_current() { # FILE
    local made_in made_with made_for wanted
    [[ -f $1 && -x $root/.venv/bin/python ]] || return 1
    { IFS= read -r made_in && IFS= read -r made_with && IFS= read -r -d '' made_for; } <"$1"
    IFS= read -r -d '' wanted <"$root/pyproject.toml"
    [[ $made_in -ef $root && $root/.venv/bin/python -ef $made_with && $made_for == "$wanted" ]]
}

find_python() { # sets `python`
    for python in python3 python3.14 python3.13 python3.12 python3.11; do
        command -v "$python" >/dev/null && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' && return
    done 2>/dev/null
    command -v python3 >/dev/null || fail "python3 is not installed: install Python 3.11 or newer"
    fail "python3 is $(python3 -c 'import platform; print(platform.python_version())'): install Python 3.11 or newer"
}

make_venv() {
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        fail "$python has no venv or no pip: install them (Debian and Ubuntu: apt install python3-venv)"
    "$python" -m venv --clear "$root/.venv" >&2 || fail "$python -m venv $root/.venv failed: see above"
}

write_stamp() { # FILE
    "$root/.venv/bin/python" -c 'import os, sys; print(os.path.realpath(sys.executable))' | {
        IFS= read -r interpreter
        printf '%s\n%s\n' "$root" "$interpreter"
        cat "$root/pyproject.toml"
    } >"$1.new" && mv "$1.new" "$1"
}

venv_fits() { # whole, and its Python still there, new enough and the one that it was made with
    [[ ! -s $root/.venv.lock ]] &&
        "$root/.venv/bin/python" -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

set_up() { # [test | sim]
    local stamp=$root/.venv/.set-up${1:+-$1} python
    stamp_is_current "$stamp" && return
    root=$(cd -P -- "$root" && pwd) && [[ -e $root/pyproject.toml ]] ||
        fail "there is no pyproject.toml in $root: start this from a checkout of the project"
    find_python
    exec 9>>"$root/.venv.lock" || fail "cannot write in $root: the set-up needs to, once"
    if ! "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)' 2>/dev/null; then
        say "waiting for another set-up of $root/.venv..."
        "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)' || fail "cannot lock $root/.venv.lock"
    fi
    if ! stamp_is_current "$stamp"; then
        local mask
        mask=$(umask)
        umask 022 # a .venv made under umask 077 can be used by its maker alone, not by a service's user
        install_all "$@"
        umask "$mask"
    fi
    exec 9>&-
}

mend_opentelemetry() { # xds-protos has older files under the names of those of opentelemetry-proto, and pip installs
    # both in an order of its own: those that tests read spans with go over the others
    local python=$root/.venv/bin/python
    "$python" -c 'import importlib.metadata as m; m.version("opentelemetry-proto")' 2>/dev/null || return 0
    "$python" -c 'from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope' 2>/dev/null && return
    "$python" -m pip install --quiet --disable-pip-version-check --no-compile --force-reinstall --no-deps \
        opentelemetry-proto >&2 || fail "pip could not install opentelemetry-proto again: see above"
}

install_all() { # [test | sim]
    if venv_fits; then
        say "updating .venv to pyproject.toml (some seconds)..."
        echo "being updated" >"$root/.venv.lock"
    else
        say "setting up .venv (first use, about 20 s)..."
        echo "being made" >"$root/.venv.lock"
        make_venv
    fi
    PIP_USER=0 "$root/.venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
        --editable "$root${1:+[$1]}" >&2 || fail "pip could not install what pyproject.toml asks for: see above"
    mend_opentelemetry
    # On all cores, which pip does not. So the first start need not; also where PYTHONDONTWRITEBYTECODE would keep every
    # later one from doing so.
    "$root/.venv/bin/python" -m compileall -qq -j 0 "$root/gossipreg" "$root"/.venv/lib/python3*/site-packages || true
    write_stamp "$root/.venv/.set-up"
    [[ -z ${1-} ]] || write_stamp "$root/.venv/.set-up-$1"
    : >"$root/.venv.lock"
    say ".venv is ready"
}

need_tools() { # [COMMAND:PACKAGE...] what tests with several hosts on one machine, and with spin, use, or these; where it
    # cannot be had, the tests say so and are skipped
    local tool missing=()
    (($#)) || set -- ip:iproute2 nft:nftables dig:bind9-dnsutils spin:spin gcc:gcc
    for tool in "$@"; do
        command -v "${tool%:*}" >/dev/null || missing+=("${tool#*:}")
    done
    ((${#missing[@]})) && [[ $EUID == 0 ]] && command -v apt-get >/dev/null || return 0
    say "installing ${missing[*]}..."
    { apt-get install -qq -y "${missing[@]}" || { apt-get update -qq && apt-get install -qq -y "${missing[@]}"; }; } \
        >/dev/null 2>&1 </dev/null || say "could not install ${missing[*]}: tests that need them are skipped"
}

need_peer() { # PACKAGE: the program of that name, out of Debian's package into .venv/peers: installed, it would be started
    command -v "$1" >/dev/null && return
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 0
    say "fetching $1 from Debian..."
    (
        mkdir -p "$root/.venv/peers" && cd "$root/.venv/peers" || exit
        apt-get download -qq "$1" || { [[ $EUID == 0 ]] && apt-get update -qq && apt-get download -qq "$1"; } || exit
        dpkg-deb -x "$1"_*.deb . && rm "$1"_*.deb
    ) >/dev/null 2>&1 </dev/null || say "could not fetch $1"
}

need_postgres() { # a server for tests of programs with an outbox; unpacked, since Debian starts one that is installed
    command -v postgres >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || need_peers postgresql
}

need_npm() { # PACKAGE@VERSION...: these of npm into .venv/peers/node_modules, with what they need; nothing of them is run
    local package missing=()
    command -v npm >/dev/null || { say "npm is not there: tests with ${*} are skipped"; return 0; }
    for package; do
        [[ -d $root/.venv/peers/node_modules/${package%@*} ]] || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    say "fetching ${missing[*]} from npm..."
    mkdir -p "$root/.venv/peers"
    npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$root/.venv/peers" "${missing[@]}" \
        >/dev/null 2>&1 </dev/null || say "could not fetch ${missing[*]}: tests that need them are skipped"
}

need_axe() { # what finds faults of the page for people with other means than eyes and mouse
    need_npm axe-core@4.14.1
}

need_browser() { # Chromium, for the page, and what its tests run in it
    need_tools chromium:chromium npm:npm
    need_axe
}

need_pip() { # NAME PACKAGE...: these of PyPI into a virtual environment of their own, .venv/peers/NAME
    local folder=$root/.venv/peers/$1
    [[ ! -e $folder/.complete ]] || return 0
    say "fetching ${*:2} from PyPI..."
    mkdir -p "$root/.venv/peers"
    {
        "$root/.venv/bin/python" -m venv --clear "$folder" && "$folder/bin/pip" install --quiet "${@:2}" && touch "$folder/.complete"
    } >/dev/null 2>&1 </dev/null || say "could not fetch ${*:2}: tests that need them are skipped"
}

need_peers() { # PACKAGE...: Debian's packages with all that they need, unpacked into .venv/peers, so that nothing is started
    local package missing=() folder=$root/.venv/peers
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || { say "no apt-get: only what is installed"; return 0; }
    for package; do
        [[ -e $folder/.unpacked/$package ]] || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    say "fetching ${missing[*]} from Debian..."
    (
        mkdir -p "$folder/.unpacked" "$folder/.debs/partial" && cd "$folder" || exit
        fetch() {
            apt-get install -qq -y --download-only --no-install-recommends -o Debug::NoLocking=1 \
                -o Dir::Cache::archives="$folder/.debs" "${missing[@]}"
        }
        fetch || { [[ $EUID == 0 ]] && apt-get update -qq && fetch; } || exit
        for package in .debs/*.deb; do dpkg-deb -x "$package" . || exit; done
        for folder in bin sbin lib; do # where they are links, as on all systems of today
            [[ ! -d $folder ]] || { mkdir -p "usr/$folder" && cp -a "$folder/." "usr/$folder/" && rm -r "$folder"; } || exit
        done
        rm -r .debs && cd .unpacked && touch "${missing[@]}"
    ) >/dev/null 2>&1 </dev/null || say "could not fetch ${missing[*]}: what needs them is left out"
}
