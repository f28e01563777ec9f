# shellcheck shell=bash
# Installs what the stages need and the machine lacks. Each need_* fails, after saying so, when it cannot.

peers=$PWD/.peers
node=$peers/node
python=$peers/venv/bin/python
PATH=$PATH:/usr/sbin

# debian PACKAGE...: installs Debian packages; RUNLEVEL=1 keeps their services from starting.
debian() {
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "missing: Debian packages $*; only root can install them"
        return 1
    fi
    echo "installing $*"
    {
        apt-get update --quiet &&
            RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
                apt-get install --quiet --yes --no-install-recommends "$@"
    } >"$logs/apt.log" 2>&1 </dev/null || could_not apt
}

# could_not TOOL: says what the tool said.
could_not() {
    echo "$1 failed"
    show "$logs/$1.log"
    return 1
}

need_rust() {
    command -v cargo >/dev/null || { echo 'missing: cargo; see https://rustup.rs' && return 1; }
    command -v cc >/dev/null || debian gcc libc6-dev
}

need_nginx() {
    command -v nginx >/dev/null || debian nginx
}

# Debian keeps the programs of the server out of the way of those of its clients.
need_postgres() {
    command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || debian postgresql
}

# The npm packages bring a Node of their own: the suite needs 22, Debian 12 has 18.
need_node() {
    # npm writes the inner lock file last.
    cmp --silent tests/peers/package-lock.json "$peers/package-lock.json" &&
        [ -e "$peers/node_modules/.package-lock.json" ] && [ -e tests/peers/node_modules ] && [ -x "$node" ] && return
    command -v npm >/dev/null || debian npm || return
    echo 'installing npm packages into .peers/'
    mkdir -p "$peers"
    cp tests/peers/package.json tests/peers/package-lock.json "$peers/"
    (cd "$peers" && npm ci --ignore-scripts --no-audit --no-fund) >"$logs/npm.log" 2>&1 || could_not npm || return
    # npm 9, which Debian 12 has, does not link what optional packages bring.
    ln -sf "$peers"/node_modules/node-linux-*/bin/node "$node"
    # Scripts find packages beside themselves or further up.
    ln -sfn ../../.peers/node_modules tests/peers/node_modules
    "$node" --version >>"$logs/npm.log" 2>&1 || could_not npm
}

need_python() {
    cmp --silent tests/peers/requirements.txt "$peers/requirements.txt" && [ -x "$python" ] && return
    python3 -c 'import ensurepip, venv' 2>/dev/null || debian python3 python3-venv || return
    echo 'installing Python packages into .peers/venv/'
    rm -rf "$peers/venv"
    {
        python3 -m venv "$peers/venv" &&
            "$python" -m pip install --disable-pip-version-check --requirement tests/peers/requirements.txt
    } >"$logs/pip.log" 2>&1 || could_not pip || return
    cp tests/peers/requirements.txt "$peers/"
}
