#!/usr/bin/env bash
# Summarises the failures in a log of `cargo test`: each failed test with its binary and its panic, build errors, killed binaries; the names last.
# Usage: scripts/failures.sh LOG [LINES_PER_FAILURE]
set -euo pipefail
awk -v most="${2:-25}" '
    function show(line) { print (length(line) > 1500 ? substr(line, 1, 1500) "…" : line) }
    /^ *(Running|Doc-tests) / { binary = $0; sub(/^ */, "", binary); sub(/ \(target.*/, "", binary) }
    # One failed test: its panic and the lines below it, without its earlier output.
    /^---- .* stdout ----$/ {
        name = $2; for (i = 3; i < NF - 1; i++) name = name " " $i
        names[++count] = name "  [" binary "]"
        print ""; print "FAILED " names[count]
        left = 0; inside = 1; next
    }
    /^failures:$/ || /^test result:/ { inside = 0; left = 0 }
    inside && /panicked at|^Error: |^error/ { left = most }
    # Failures outside of tests: a build error, a binary that was killed, a panic of the set-up.
    !inside && /^(error(\[E[0-9]+\])?: |make: \*\*\*|Caused by:)/ { left = most > 12 ? 12 : most }
    left > 0 { if ($0 != "" || !blank) show($0); blank = ($0 == ""); left-- }
    /^test result: FAILED/ { results[++failed] = $0 "  [" binary "]" }
    /has been running for over/ { slow[++slows] = $0 }
    END {
        print ""
        for (i = 1; i <= slows && i <= 10; i++) print slow[i]
        for (i = 1; i <= failed; i++) print results[i]
        print count + 0 " failed tests:"
        for (i = 1; i <= count; i++) print "    FAILED " names[i]
    }
' "$1"
