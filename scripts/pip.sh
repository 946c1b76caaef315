# Sourced by the set-up scripts: messages, and finding pip.

say() { printf 'setup: %s\n' "$*" >&2; }

# Prints the Python whose pip can be used; ends the script with advice where there is none.
require_pip() { # WHAT
    local python
    python=$(command -v python3 || command -v python || true)
    if [ -z "$python" ] || ! "$python" -m pip --version >/dev/null 2>&1; then
        say "Python's pip is needed to fetch $1: install python3-pip, then run this again."
        exit 1
    fi
    echo "$python"
}
