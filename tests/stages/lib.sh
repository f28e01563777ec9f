# shellcheck shell=bash
# What all stages share: counting, steps with a log each, and processes that never outlive the run.

logs=$PWD/target/test-logs
passed=0 failed=0 skipped=0

# run_stage NAME: runs `stage_NAME` and says what came of it and how long it took.
run_stage() {
    local before=("$passed" "$failed" "$skipped") start=$SECONDS
    printf '\n== %s\n' "$1"
    "stage_$1"
    stop_all
    printf -- '-- %s: %d passed, %d failed, %d skipped in %d s\n' "$1" $((passed - before[0])) \
        $((failed - before[1])) $((skipped - before[2])) $((SECONDS - start))
}

# finish: prints the line that the run ends with; fails when anything failed.
finish() {
    stop_all
    printf '\n%d passed, %d failed' "$passed" "$failed"
    if [ "$skipped" -gt 0 ]; then printf ', %d skipped' "$skipped"; fi
    printf '\n'
    [ "$failed" -eq 0 ]
}

pass() {
    passed=$((passed + 1))
}

# fail NAME REASON [LOG]: counts a failure and shows the end of the log.
fail() {
    failed=$((failed + 1))
    printf 'FAIL %s: %s\n' "$1" "$2"
    [ -z "${3-}" ] || show "$3"
}

# show LOG: the end of it.
show() {
    printf '  ... %s\n' "$1"
    tail -n 30 "$1" | sed 's/^/  | /'
}

# skip NAME WHY: where nobody reads along, what is skipped silently rots.
skip() {
    if [ "${CI-}" = true ]; then
        fail "$1" "skipped although CI=true: $2"
    else
        skipped=$((skipped + 1))
        printf 'skip %s: %s\n' "$1" "$2"
    fi
}

# step NAME SECONDS COMMAND...: one command that passes or fails, in its own log.
step() {
    local name=$1 limit=$2 log=$logs/${1// /-}.log start=$SECONDS
    shift 2
    if timeout --kill-after=10 "$limit" "$@" >"$log" 2>&1; then
        pass
        printf 'ok %s (%d s)\n' "$name" $((SECONDS - start))
    else
        fail "$name" "\`$*\` failed or took longer than $limit s" "$log"
        return 1
    fi
}

# cargo_tests NAME ARGUMENT...: runs tests of the workspace and counts every single one. Always of the whole workspace, so that
# nothing is built again with other features.
cargo_tests() {
    local name=$1 log=$logs/$1.log before=$failed start=$SECONDS line status=0
    shift
    timeout --kill-after=10 1200 cargo test --workspace --no-fail-fast --locked "$@" >"$log" 2>&1 || status=$?
    while read -ra line; do
        passed=$((passed + line[3])) failed=$((failed + line[5])) skipped=$((skipped + line[7]))
    done < <(grep '^test result:' "$log")
    if [ "$status" -eq 0 ]; then
        printf 'ok %s (%d s)\n' "$name" $((SECONDS - start))
    elif [ "$failed" -eq "$before" ]; then
        fail "$name" "cargo test ended with $status and blames no test" "$log"
    else
        grep --no-group-separator -A 3 '^thread .* panicked at' "$log" || true
        printf 'FAIL %s, see %s\n' "$name" "$log"
    fi
}

# tally WHERE FILE: counts the lines `ok NAME`, `FAIL NAME: reason` and `n/a NAME: why` that a peer printed.
tally() {
    local where=$1 file=$2 line ok=0 start_failed=$failed absent=()
    while IFS= read -r line; do
        case $line in
            'ok '*) ok=$((ok + 1)) && pass ;;
            'FAIL '*) line=${line#FAIL } && fail "$where ${line%%:*}" "${line#*: }" ;;
            'n/a '*) line=${line#n/a } && absent+=("${line%%:*}") ;;
        esac
    done <"$file"
    if [ $((ok + failed - start_failed)) -eq 0 ]; then
        fail "$where" 'reported nothing' "$file"
    fi
    printf '%s: %d ok, %d failed%s\n' "$where" "$ok" $((failed - start_failed)) "${absent:+, n/a: ${absent[*]}}"
}

names=() pids=()

# start NAME COMMAND...: a process in the background and in a group of its own; its output goes to NAME.log.
start() {
    local name=$1
    shift
    : >"$logs/$name.log"
    setsid "$@" >"$logs/$name.log" 2>&1 </dev/null &
    names+=("$name") pids+=($!)
}

# started NAME PATTERN: waits for a line in the log of the newest process that matches an extended regular
# expression and leaves its first group in $REPLY.
started() {
    local name=$1 pattern=$2 log=$logs/$1.log pid=${pids[-1]} end=$((SECONDS + 20))
    while [ $SECONDS -lt $end ]; do
        REPLY=$(sed -nE "s#$pattern#\\1#p" "$log" | head -n 1)
        [ -z "$REPLY" ] || return 0
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.05
    done
    fail "start $name" 'did not say where it listens' "$log"
    return 1
}

# survived WHERE FAILED: fails for each process that died or panicked, however right its answers were, and shows the
# logs of all when more has failed than the FAILED from before.
survived() {
    local i before=$2
    for i in "${!pids[@]}"; do
        kill -0 "${pids[$i]}" 2>/dev/null || fail "$1 ${names[$i]}" 'did not outlive the tests'
        # The second is what `anypod up` says of a pod that died.
        if grep -qE 'panicked at|starting it again' "$logs/${names[$i]}.log"; then
            fail "$1 ${names[$i]}" 'panicked, or one of its pods died'
        fi
    done
    if [ "$failed" -gt "$before" ]; then
        for i in "${names[@]}"; do show "$logs/$i.log"; done
    fi
}

# stop_all: SIGTERM, then, for what does not obey, SIGKILL to its whole group, and a failure.
stop_all() {
    local i end=$((SECONDS + 15))
    [ ${#pids[@]} -eq 0 ] || kill -TERM "${pids[@]}" 2>/dev/null || true
    for i in "${!pids[@]}"; do
        while kill -0 "${pids[$i]}" 2>/dev/null; do
            if [ $SECONDS -ge $end ]; then
                fail "stop ${names[$i]}" 'had to be killed: it still ran 15 s after SIGTERM' "$logs/${names[$i]}.log"
                break
            fi
            sleep 0.05
        done
        kill -KILL -- "-${pids[$i]}" 2>/dev/null || true
        wait "${pids[$i]}" 2>/dev/null || true
    done
    names=() pids=()
}

# free_port: leaves in $REPLY a port of 127.0.0.1 below the ephemeral range on which nobody listens.
free_port() {
    while REPLY=$((20000 + RANDOM % 12000)) && (: <"/dev/tcp/127.0.0.1/$REPLY") 2>/dev/null; do :; done
}
