#!/usr/bin/env bash
# Measures how hard negatives raise the curves: for each seed one round 1, mined, then for each arm the rounds 2 to ROUNDS, all arms
# equally long. The arm `unreviewed` mines each of its rounds before the next; `confirmed` keeps its review of round 1.
#
#   scripts/experiment.sh FDDB BACKGROUND OUT
#
# Progress is read from the projects: the same command continues after any stop, and an interrupted round resumes
# from its last checkpoint. The arm `confirmed` waits until at least REVIEWED verdicts were given in OUT/seed-N with
# `quarry --project OUT/seed-N`; until then the script does everything else and reports what it waits for.
# Settings: SEEDS, ARMS, ROUNDS (3), STEPS (1200 a round), TEST_FOLD (8), TRAIN_FOLDS (all others), PRECISION (bf16 or f32; by what the
# processor can), REVIEWED, QUARRY (the binary), MORE_ARMS (further lines of the table below), JOBS (rounds at a time; 1). An ablation on
# fold 7:
#
#   TEST_FOLD=7 TRAIN_FOLDS="1 2 3 4 5 6" ARMS="none unreviewed mined-ohem giou" scripts/experiment.sh FDDB BACKGROUND ablation-7
set -euo pipefail

# The arms: name | hard negatives | settings of round.toml that differ from the preset's, as KEY=VALUE without spaces inside. They apply from
# round 2 on. All arms with unreviewed hard negatives are mined between rounds.
arms_table='
none          | none       |
unreviewed    | unreviewed |
confirmed     | confirmed  |
ohem          | none       | sampler.kind="ohem"
all-background | unreviewed | sampler.bg_iou=[0.0,0.5]
large         | unreviewed | sampler.batch_per_image=128
quarter       | unreviewed | sampler.forced_fraction=0.25
by-loss       | unreviewed | sampler.forced_fraction=0.25 sampler.forced_order="loss"
mined-ohem    | unreviewed | sampler.kind="mined-ohem" sampler.forced_fraction=0.25
ema           | unreviewed | ema=0.998
focal         | unreviewed | sampler.focal_gamma=1.0
light         | unreviewed | sampler.background_weight=0.5
giou          | unreviewed | sampler.box_loss="giou" sampler.box_weight=5.0
remined       | unreviewed | mine_every=300 mine_images=300
'"${MORE_ARMS:-}"
fddb=${1:?the folder of FDDB} background=${2:?a folder of images without faces} out=${3:?where the projects go}
seeds=${SEEDS:-1 2 3} arms=${ARMS:-none unreviewed ohem confirmed} rounds=${ROUNDS:-3}
steps=${STEPS:-1200} reviewed=${REVIEWED:-200} test_fold=${TEST_FOLD:-8} train_folds=${TRAIN_FOLDS:-} jobs=${JOBS:-1}
quarry=${QUARRY:-$(dirname "$0")/../target/release/quarry}
quarry=$(realpath "$quarry")
mkdir -p "$out"
precision=${PRECISION:-$(grep -qm1 -E 'avx512_bf16|amx_bf16' /proc/cpuinfo && echo bf16 || echo f32)}

# arm_field NAME COLUMN: the hard negatives (2) or the settings (3) of an arm; ends the script if the table lacks it.
arm_field() {
    awk -F '|' -v name="$1" -v column="$2" '
        { gsub(/^[ \t]+|[ \t]+$/, "", $1) }
        $1 == name { gsub(/^[ \t]+|[ \t]+$/, "", $column); print $column; found = 1; exit }
        END { if (!found) { print "experiment.sh: the arms have no `" name "`" > "/dev/stderr"; exit 1 } }' <<<"$arms_table"
}

for arm in $arms; do
    arm_field "$arm" 2 >/dev/null
done

# settings SEED INIT HARD_NEGATIVES [KEY=VALUE...]: round.toml. All rounds of the experiment share everything but these.
settings() {
    cat <<TOML
preset = "cpu"
iterations = $steps
test_folds = [$test_fold]
seed = $1
init = "$2"
hard_negatives = "$3"
evaluate_every = 0
checkpoint_every = 100
detector.precision = "$precision"
TOML
    # shellcheck disable=SC2086 # a list of numbers
    [ -z "$train_folds" ] || echo "train_folds = [$(printf '%s, ' $train_folds)]"
    shift 3
    local setting
    for setting in "$@"; do
        echo "${setting%%=*} = ${setting#*=}"
    done
}

# round_field PROJECT ROUND EXPRESSION: a field of round `r` in `quarry status`; empty if there is no such round.
round_field() {
    "$quarry" status --project "$1" --json | python3 -c "
import json, sys
for r in json.load(sys.stdin)['rounds']:
    if r['round'] == $2:
        print($3)"
}

# timed PROJECT NAME COMMAND...: writes its report next to the project and appends to its times and its log.
timed() {
    local project=$1 name=$2
    shift 2
    echo "$(date +%H:%M:%S) $(basename "$project"): $name"
    local begun=$SECONDS
    if ! "$quarry" "$@" --project "$project" --json >"$project.$name.part" 2>>"$project.$name.log"; then
        echo "experiment.sh: $(basename "$project"): $name failed; see $project.$name.log" >&2
        exit 1
    fi
    echo "$((SECONDS - begun))" >>"$project.$name.seconds"
    mv "$project.$name.part" "$project.$name.json"
}

# train PROJECT ROUND SETTINGS: finished rounds are kept, unfinished ones resumed.
train() {
    case $(round_field "$1" "$2" "r['state']") in
        trained | mined) ;;
        '') timed "$1" "round-$2" train --config "$3" ;;
        *) timed "$1" "round-$2" train --resume ;;
    esac
}

# mine PROJECT ROUND: mines a round unless it is mined already.
mine() {
    [ "$(round_field "$1" "$2" "r['state']")" = mined ] || timed "$1" mine mine
}

verdicts() {
    round_field "$1" 1 "r['confirmed'] + r['rejected'] + r['missed_faces']"
}

# later_settings SEED ARM ROUND: another seed in each round: the same images in another order, and other sizes and flips.
later_settings() {
    local negatives more
    negatives=$(arm_field "$2" 2)
    more=$(arm_field "$2" 3)
    # shellcheck disable=SC2086 # a list of settings
    settings "$(($1 + 100 * ($3 - 1)))" previous "$negatives" $more
}

# prepare SEED ARM: a copy of the seed's project after round 1. All arms but `confirmed` are copied before anybody reviews: missed
# faces and rejected candidates are part of that arm alone.
prepare() {
    local from="$out/seed-$1" project="$out/seed-$1-$2"
    # The settings are written last: they mark the project as complete.
    if [ ! -e "$project.toml" ]; then
        rm -rf "$project"
        cp -r "$from" "$project"
        later_settings "$1" "$2" 2 >"$project.toml"
    fi
}

# later_rounds SEED ARM: trains rounds 2 to ROUNDS.
later_rounds() {
    local from="$out/seed-$1" project="$out/seed-$1-$2"
    if [ "$2" = confirmed ]; then
        if [ "$(verdicts "$from")" -lt "$reviewed" ]; then
            echo "seed $1, confirmed: $(verdicts "$from") of $reviewed verdicts; review with: quarry --project $from"
            return
        fi
        prepare "$1" confirmed
    fi
    train "$project" 2 "$project.toml"
    for round in $(seq 3 "$rounds"); do
        [ "$(arm_field "$2" 2)" = unreviewed ] && mine "$project" $((round - 1))
        later_settings "$1" "$2" "$round" >"$project.round-$round.toml"
        train "$project" "$round" "$project.round-$round.toml"
    done
}

# first_round SEED: imports, trains and mines the round that the arms share, and copies it for each of them.
first_round() {
    local seed=$1 project="$out/seed-$1" arm
    if [ ! -e "$project.toml" ]; then
        [ -e "$project" ] || "$quarry" new "$project"
        "$quarry" import fddb "$fddb" --project "$project"
        "$quarry" import folder "$background" --project "$project"
        settings "$seed" backbone none >"$project.toml"
    fi
    train "$project" 1 "$project.toml"
    mine "$project" 1
    for arm in none unreviewed ohem $arms; do
        [ "$arm" = confirmed ] || prepare "$seed" "$arm"
    done
}

# start COMMAND...: runs it now, or in the background as soon as fewer than JOBS run.
started=()
start() {
    if [ "$jobs" = 1 ]; then
        "$@"
        return
    fi
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do sleep 1; done
    "$@" &
    started+=($!)
}

# finish: waits for all; ends the script if one failed.
finish() {
    local failed=0 pid
    for pid in "${started[@]}"; do wait "$pid" || failed=1; done
    started=()
    [ $failed = 0 ] || exit 1
}
trap 'trap - INT TERM; kill 0' INT TERM

for seed in $seeds; do start first_round "$seed"; done
finish
for arm in $arms; do
    for seed in $seeds; do start later_rounds "$seed" "$arm"; done
done
finish
