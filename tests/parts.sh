# For the scripts that do one thing after another: runs each, notes its time, and sums up.
# shellcheck shell=sh

parts_table=
parts_failed=
parts_started=$(date +%s)

# part NAME COMMAND...: goes on whatever comes of it.
part() {
    part_name=$1
    shift
    printf '\n== %s\n' "$part_name"
    part_started=$(date +%s)
    if "$@"; then
        part_result=passed
    else
        part_result=FAILED
        parts_failed="$parts_failed, $part_name"
    fi
    parts_table="$parts_table$(printf '%6s s  %-7s %s' \
        "$(($(date +%s) - part_started))" "$part_result" "$part_name")
"
}

# needed NAME COMMAND...: a part without which the others make no sense.
needed() {
    part "$@"
    if [ -n "$parts_failed" ]; then sum_up; fi
}

# Prints the table and ends the script.
sum_up() {
    printf '\n%s' "$parts_table"
    total=$(($(date +%s) - parts_started))
    if [ -n "$parts_failed" ]; then
        echo "$0: FAILED in $total s: ${parts_failed#, }"
        exit 1
    fi
    echo "$0: all passed in $total s"
    exit 0
}
