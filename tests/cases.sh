# cases.sh: for test scripts. Source it, then call ok and fail, or one of the checks below; the
# script ends with cases_end, whose status says whether a case failed.

cases_failed=0
MALV=${MALV:-build/host/malv}

# ok CASE
ok() {
    printf 'ok %s\n' "$1"
}

# fail CASE WHY
fail() {
    printf 'FAIL %s: %s\n' "$1" "$2"
    cases_failed=$((cases_failed + 1))
}

# run_captured COMMAND...: sets status, stdout and stderr.
run_captured() {
    local folder
    folder=$(mktemp -d)
    status=0
    "$@" >"$folder/out" 2>"$folder/err" </dev/null || status=$?
    stdout=$(cat "$folder/out")
    stderr=$(cat "$folder/err")
    rm -rf "$folder"
}

# expect CASE STATUS STDERR_PATTERN COMMAND...: the command ends with that status and its standard
# error matches the extended regular expression ("" matches anything).
expect() {
    local case=$1 want=$2 pattern=$3
    shift 3
    run_captured timeout 300 "$@"
    if [ "$status" != "$want" ]; then
        fail "$case" "status $status, not $want; it said: $stderr"
    elif [ -n "$pattern" ] && ! grep -Eq -- "$pattern" <<<"$stderr"; then
        fail "$case" "it should say \"$pattern\"; it said: $stderr"
    else
        ok "$case"
    fi
}

# expect_output CASE STDOUT_PATTERN COMMAND...: status 0 and that on standard output.
expect_output() {
    local case=$1 pattern=$2
    shift 2
    run_captured timeout 300 "$@"
    if [ "$status" != 0 ]; then
        fail "$case" "status $status; it said: $stderr"
    elif ! grep -Eq -- "$pattern" <<<"$stdout"; then
        fail "$case" "it should print \"$pattern\"; it printed: $stdout"
    else
        ok "$case"
    fi
}

# prints CASE TEXT COMMAND...: the command succeeds and its output is this text.
prints() {
    local case=$1 text=$2
    shift 2
    run_captured timeout 300 "$@"
    if [ "$status" = 0 ] && [ "$stdout" = "$text" ]; then
        ok "$case"
    else
        fail "$case" "status $status; it said: $(head -c 300 <<<"$stdout$stderr")"
    fi
}

cases_end() {
    exit $((cases_failed > 0))
}
