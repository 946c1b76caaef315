# Shared by the comparisons with other programs; sourced by scripts/bench_*.sh. Sets `python` and `peer`.
# QUARRY_PEER_PYTHON names a Python that already has the packages.

# set_up NAME VENV "MODULES, THAT, ARE, IMPORTED" PACKAGES...: the peers' Python, and Quarry's side of the comparison.
set_up() {
    local name=$1 venv=$2 modules=$3
    shift 3
    say() { printf '%s: %s\n' "$name" "$*" >&2; }
    python=${QUARRY_PEER_PYTHON:-}
    if [ -z "$python" ]; then
        python=$venv/bin/python
        if ! "$python" -c "import $modules" 2>/dev/null; then
            say "installing $* into $venv ..."
            python3 -m venv "$venv"
            "$python" -m pip install --quiet --disable-pip-version-check "$@"
        fi
    fi
    say "building Quarry's side ..."
    peer=$(cargo bench --quiet --bench torchvision_peer --no-run --message-format=json ${QUARRY_PEER_CARGO:-} |
        sed -n 's/.*"executable":"\([^"]*torchvision_peer[^"]*\)".*/\1/p' | tail -1)
    [ -x "$peer" ] || { say "cargo built no torchvision_peer"; exit 1; }
}
