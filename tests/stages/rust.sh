# shellcheck shell=bash
# What cargo alone can tell.

stage_rust() {
    if ! need_rust; then
        skip rust 'no Rust, see above'
        return
    fi
    step format 60 cargo fmt --all --check -- --color never || true
    step lints 900 cargo clippy --workspace --all-targets --locked -- -D warnings || true
    cargo_tests tests -- --show-output
    skipped_tests
    RUSTDOCFLAGS='-D warnings' step documentation 600 cargo doc --workspace --no-deps --locked || true
}

# skipped_tests: a test that lacks what it reads prints `skipped: why` and passes.
skipped_tests() {
    local why
    while IFS= read -r why; do
        skip test "$why"
    done < <(sed -n 's/^skipped: //p' "$logs/tests.log" | sort -u)
}
