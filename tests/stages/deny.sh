# shellcheck shell=bash
# What the dependencies bring along, held against deny.toml. Needs nothing from the network but cargo-deny itself.

stage_deny() {
    if ! need_rust || ! need_deny; then
        skip deny 'no cargo-deny, see above'
        return
    fi
    step 'licences, bans and sources' 60 cargo deny --locked check --hide-inclusion-graph bans licenses sources || true
}

# Building it takes longer than all tests of the stage rust, so it is no part of the default run.
need_deny() {
    PATH=$peers/cargo/bin:$PATH
    command -v cargo-deny >/dev/null && return
    step 'install cargo-deny' 1800 cargo install --locked --version 0.20.2 --root "$peers/cargo" cargo-deny
}
