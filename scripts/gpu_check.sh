#!/usr/bin/env bash
# Checks Quarry on this machine's GPU, unattended, in under ten minutes: the tests of tests/detector_cuda, training and detection timed
# against torchvision, the loader's throughput; a table last.
#
#   scripts/gpu_check.sh                  build here, then check
#   scripts/gpu_check.sh --pack DIR       build here and put everything into DIR, to be copied to a GPU machine without Rust
#   DIR/scripts/gpu_check.sh              check with what was packed (libtorch: LIBTORCH, or fetched into DIR with python3-pip)
#   scripts/gpu_check.sh --dry            the same on the CPU with small sizes, to test the script
#
# QUARRY_PEER_PYTHON names a Python with torch and torchvision; without one torchvision's columns stay empty. Logs: gpu_check/ here.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
say() { printf 'gpu_check: %s\n' "$*" >&2; }

dry=0 pack=
case "${1:-}" in
--dry) dry=1 ;;
--pack) pack=${2:?"--pack needs a folder"} ;;
"") ;;
*) say "unknown option $1; see the head of this script"; exit 2 ;;
esac

programs=programs
build() { # DIR
    mkdir -p "$1"
    say "building (release) ..."
    cargo build --release --quiet || exit 1
    local found name
    found=$(cargo bench --quiet --no-run --message-format=json --bench detector_step --bench loader
        cargo test --quiet --release --no-run --message-format=json --test detector_cuda) || exit 1
    for name in detector_step loader detector_cuda; do
        cp "$(sed -n 's/.*"executable":"\([^"]*\/'$name'-[^"]*\)".*/\1/p' <<<"$found" | tail -1)" "$1/$name" || exit 1
    done
    local target=${CARGO_TARGET_DIR:-target}
    cp "$target/release/quarry" "$target/release/libquarry.so" "$1/" || exit 1
}

if [ -n "$pack" ]; then
    build "$pack/programs"
    mkdir -p "$pack/scripts"
    cp scripts/{gpu_check.sh,gpu_peer.py,experiment.sh,experiment_report.py,setup_libtorch.sh,pip.sh,libtorch_cpu.txt,libtorch_cuda.txt} "$pack/scripts/"
    say "copy $pack to the GPU machine and run scripts/gpu_check.sh there (experiments: QUARRY=programs/quarry JOBS=8 scripts/experiment.sh)"
    exit 0
fi
if [ ! -x programs/detector_cuda ]; then
    command -v cargo >/dev/null || { say "there is neither programs/ nor cargo. Make the first with --pack on another machine"; exit 1; }
    programs=${CARGO_TARGET_DIR:-target}/gpu_check
    build "$programs"
fi
if [ -z "${LIBTORCH:-}" ]; then
    # setup_libtorch.sh prints why it fails.
    QUARRY_CUDA=$([ $dry = 1 ] && echo auto || echo 1) scripts/setup_libtorch.sh || exit 1
    LIBTORCH=$PWD/.libtorch
fi
export LD_LIBRARY_PATH="$LIBTORCH/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"

logs=gpu_check
mkdir -p "$logs"
failed=0
start=$SECONDS

# Runs a program with a time limit in seconds and keeps its output; prints `ok` or how it ended.
run() { # LOG SECONDS COMMAND...
    local log=$logs/$1.log limit=$2 code=0
    shift 2
    timeout "$limit" "$@" >"$log" 2>&1 || code=$?
    case $code in
    0) echo ok ;;
    124) echo "no end within $limit s (see $log)"; return 1 ;;
    *) echo "FAILED with $code (see $log)"; return 1 ;;
    esac
}

say "quarry doctor"
run doctor 60 "$programs/quarry" doctor >/dev/null || failed=1
cat "$logs/doctor.log"

say "tests"
if [ $dry = 1 ]; then export QUARRY_DRY_CUDA=1; else export QUARRY_REQUIRE_CUDA=1; fi
tests=$(run tests $([ $dry = 1 ] && echo 600 || echo 240) "$programs/detector_cuda" --nocapture --test-threads 1) || failed=1

number() { sed -n "s/.*$2 \([0-9.]*\) s.*/\1/p" "$logs/$1.log" 2>/dev/null | tail -1; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (a != "" && b != "" && b > 0) printf "%.2f", a / b; else print "-" }'; }

peer=${QUARRY_PEER_PYTHON:-python3}
has_peer=0
"$peer" -c 'import torch, torchvision' 2>/dev/null && has_peer=1
[ $has_peer = 1 ] || say "$peer has no torchvision: only Quarry is timed (QUARRY_PEER_PYTHON names another Python)"

# network, shorter side, batch
if [ $dry = 1 ]; then cases=("torchvision 96 2" "torchvision 128 2" "resnet50-c4 96 2"); steps=2; else
    cases=("torchvision 600 8" "torchvision 1000 8" "resnet50-c4 600 8"); steps=20; fi
limit=$([ $dry = 1 ] && echo 300 || echo 60)
rows=()
for each in "${cases[@]}"; do
    read -r network side batch <<<"$each"
    name=$network-$side
    say "timing $name, batch $batch, bf16"
    run "quarry-$name" "$limit" "$programs/detector_step" "$network" "$side" "$batch" "$steps" 2 bf16 >/dev/null || failed=1
    if [ $has_peer = 1 ]; then
        run "torchvision-$name" "$limit" "$peer" scripts/gpu_peer.py "$network" "$side" "$batch" "$steps" >/dev/null || failed=1
    fi
    for what in step detect batch; do
        ours=$(number "quarry-$name" "$what") theirs=$(number "torchvision-$name" "$what")
        rows+=("$(printf '%-28s %-7s %10s %12s %7s' "$name, batch $batch" $what "${ours:--}" "${theirs:--}" "$(ratio "$ours" "$theirs")")")
    done
done

say "the loader"
loader=$(run loader "$limit" "$programs/loader" "${QUARRY_PICTURES:-}" $([ $dry = 1 ] && echo "1 6 sample" || echo "2 20 paper")) || failed=1

echo
echo "GPU check of $(date -u +%F), $((SECONDS - start)) s$([ $dry = 1 ] && echo ', DRY RUN ON THE CPU: no figure here says anything about a GPU')"
grep -h '^Device\|^GPUs\|^libtorch' "$logs/doctor.log"
echo "tests: $tests; $(grep -h '^test result' "$logs/tests.log" | sed 's/test result: //')"
grep -h '^SKIPPED' "$logs/tests.log"
printf '%-28s %-7s %10s %12s %7s\n' "seconds" "" Quarry torchvision ratio
printf '%s\n' "${rows[@]}"
echo "loader: $loader; $(tail -1 "$logs/loader.log")"
exit $failed
