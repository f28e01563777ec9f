# shellcheck shell=bash
# What cargo alone can tell.

stage_rust() {
    if ! need_rust; then
        skip rust 'no Rust, see above'
        return
    fi
    step format 60 cargo fmt --all --check -- --color never || true
    step lints 900 cargo clippy --workspace --all-targets --locked -- -D warnings || true
    cargo_tests
    RUSTDOCFLAGS='-D warnings' step documentation 600 cargo doc --workspace --no-deps --locked || true
}

# cargo_tests: counts every single test; a test that lacks what it reads prints `skipped: why` and passes.
cargo_tests() {
    local log=$logs/tests.log before=$failed start=$SECONDS why line status=0
    timeout --kill-after=10 1200 cargo test --workspace --no-fail-fast --locked -- --show-output >"$log" 2>&1 || status=$?
    while read -ra line; do
        passed=$((passed + line[3])) failed=$((failed + line[5])) skipped=$((skipped + line[7]))
    done < <(grep '^test result:' "$log")
    while IFS= read -r why; do
        skip test "$why"
    done < <(sed -n 's/^skipped: //p' "$log" | sort -u)
    if [ "$status" -eq 0 ]; then
        printf 'ok tests (%d s)\n' $((SECONDS - start))
    elif [ "$failed" -eq "$before" ]; then
        fail tests "cargo test ended with $status and blames no test" "$log"
    else
        grep --no-group-separator -A 3 '^thread .* panicked at' "$log" || true
        printf 'FAIL tests, see %s\n' "$log"
    fi
}
