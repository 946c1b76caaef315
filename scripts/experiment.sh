#!/usr/bin/env bash
# The proof that hard negatives raise the curves: for each seed one round 1, mined, then one round 2 per arm, all arms equally long.
#
#   scripts/experiment.sh FDDB BACKGROUND OUT
#
# What is done is asked of the projects themselves: the same command continues after any stop, and a round that was cut off goes on
# from its last checkpoint. The arm `confirmed` waits until at least REVIEWED verdicts were given in OUT/seed-N with
# `quarry --project OUT/seed-N`; until then the script does everything else and says what it waits for.
# Settings: SEEDS, ARMS, STEPS, REVIEWED, QUARRY (the binary).
set -euo pipefail
fddb=${1:?the folder of FDDB} background=${2:?a folder of photographs without faces} out=${3:?where the projects go}
seeds=${SEEDS:-1 2 3} arms=${ARMS:-none unreviewed ohem confirmed} steps=${STEPS:-700} reviewed=${REVIEWED:-200}
quarry=${QUARRY:-$(dirname "$0")/../target/release/quarry}
quarry=$(realpath "$quarry")
mkdir -p "$out"

# settings SEED: the part of round.toml that all rounds of the experiment share.
settings() {
    printf 'preset = "cpu"\niterations = %s\ntest_folds = [8]\nseed = %s\ncheckpoint_every = 100\n' "$steps" "$1"
}

# round_field PROJECT ROUND EXPRESSION: something of a round `r` in `quarry status`; nothing where there is no such round.
round_field() {
    "$quarry" status --project "$1" --json | python3 -c "
import json, sys
for r in json.load(sys.stdin)['rounds']:
    if r['round'] == $2:
        print($3)"
}

# timed PROJECT NAME COMMAND...: its report beside the project, its seconds and its log added to.
timed() {
    local project=$1 name=$2
    shift 2
    echo "$(date +%H:%M:%S) $(basename "$project"): $name"
    local begun=$SECONDS
    "$quarry" "$@" --project "$project" --json >"$project.$name.part" 2>>"$project.$name.log"
    echo "$((SECONDS - begun))" >>"$project.$name.seconds"
    mv "$project.$name.part" "$project.$name.json"
}

# train PROJECT ROUND: what is trained stays, what was begun goes on, nothing is begun twice.
train() {
    case $(round_field "$1" "$2" "r['state']") in
        trained | mined) ;;
        '') timed "$1" "round-$2" train --config "$1.toml" ;;
        *) timed "$1" "round-$2" train --resume ;;
    esac
}

verdicts() {
    round_field "$1" 1 "r['confirmed'] + r['rejected'] + r['missed_faces']"
}

# round_2 SEED ARM: a copy of the seed's project after round 1, trained on.
round_2() {
    local from="$out/seed-$1" project="$out/seed-$1-$2" negatives=$2 sampler=random
    [ "$2" = ohem ] && negatives=none sampler=ohem
    if [ "$2" = confirmed ] && [ "$(verdicts "$from")" -lt "$reviewed" ]; then
        echo "seed $1, confirmed: $(verdicts "$from") of $reviewed verdicts; review with: quarry --project $from"
        return
    fi
    # The settings come last: they say that the project is complete.
    if [ ! -e "$project.toml" ]; then
        rm -rf "$project"
        cp -r "$from" "$project"
        { settings "$1"; printf 'init = "previous"\nhard_negatives = "%s"\n[sampler]\nkind = "%s"\n' "$negatives" "$sampler"; } >"$project.toml"
    fi
    train "$project" 2
}

for seed in $seeds; do
    project="$out/seed-$seed"
    if [ ! -e "$project.toml" ]; then
        [ -e "$project" ] || "$quarry" new "$project"
        "$quarry" import fddb "$fddb" --project "$project"
        "$quarry" import folder "$background" --project "$project"
        { settings "$seed"; printf 'hard_negatives = "none"\n'; } >"$project.toml"
    fi
    train "$project" 1
    [ "$(round_field "$project" 1 "r['state']")" = mined ] || timed "$project" mine mine
done
for seed in $seeds; do
    for arm in $arms; do
        round_2 "$seed" "$arm"
    done
done
