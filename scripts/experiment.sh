#!/usr/bin/env bash
# Measures how hard negatives raise the curves: for each seed one round 1, mined, then for each arm the rounds 2 to ROUNDS, all arms
# equally long. The arm `unreviewed` mines each of its rounds before the next; `confirmed` keeps its review of round 1.
#
#   scripts/experiment.sh FDDB BACKGROUND OUT
#
# Progress is read from the projects: the same command continues after any stop, and an interrupted round resumes
# from its last checkpoint. The arm `confirmed` waits until at least REVIEWED verdicts were given in OUT/seed-N with
# `quarry --project OUT/seed-N`; until then the script does everything else and reports what it waits for.
# Settings: SEEDS, ARMS, ROUNDS (3), STEPS (1200 a round), PRECISION (bf16 or f32; by what the processor can), REVIEWED, QUARRY (the binary).
set -euo pipefail
fddb=${1:?the folder of FDDB} background=${2:?a folder of images without faces} out=${3:?where the projects go}
seeds=${SEEDS:-1 2 3} arms=${ARMS:-none unreviewed ohem confirmed} rounds=${ROUNDS:-3}
steps=${STEPS:-1200} reviewed=${REVIEWED:-200}
quarry=${QUARRY:-$(dirname "$0")/../target/release/quarry}
quarry=$(realpath "$quarry")
mkdir -p "$out"
precision=${PRECISION:-$(grep -qm1 -E 'avx512_bf16|amx_bf16' /proc/cpuinfo && echo bf16 || echo f32)}

# settings SEED INIT HARD_NEGATIVES SAMPLER: round.toml. All rounds of the experiment share everything but these.
settings() {
    cat <<TOML
preset = "cpu"
iterations = $steps
test_folds = [8]
seed = $1
init = "$2"
hard_negatives = "$3"
evaluate_every = 0
checkpoint_every = 100
[sampler]
kind = "$4"
[detector]
precision = "$precision"
TOML
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
    "$quarry" "$@" --project "$project" --json >"$project.$name.part" 2>>"$project.$name.log"
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
    local negatives=$2 sampler=random
    [ "$2" = ohem ] && negatives=none sampler=ohem
    settings "$(($1 + 100 * ($3 - 1)))" previous "$negatives" "$sampler"
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
        [ "$2" = unreviewed ] && mine "$project" $((round - 1))
        later_settings "$1" "$2" "$round" >"$project.round-$round.toml"
        train "$project" "$round" "$project.round-$round.toml"
    done
}

for seed in $seeds; do
    project="$out/seed-$seed"
    if [ ! -e "$project.toml" ]; then
        [ -e "$project" ] || "$quarry" new "$project"
        "$quarry" import fddb "$fddb" --project "$project"
        "$quarry" import folder "$background" --project "$project"
        settings "$seed" backbone none random >"$project.toml"
    fi
    train "$project" 1 "$project.toml"
    mine "$project" 1
    for arm in none unreviewed ohem; do
        prepare "$seed" "$arm"
    done
done
for seed in $seeds; do
    for arm in $arms; do
        later_rounds "$seed" "$arm"
    done
done
