#!/usr/bin/env bash
# The proof that hard negatives raise the curves: for each seed one round 1, mined, then one round 2 per arm, all arms equally long.
#
#   scripts/experiment.sh FDDB BACKGROUND OUT        (make experiment FDDB=... BACKGROUND=... OUT=...)
#
# Every stage leaves a mark and is skipped when it is there; a round that was cut off goes on from its last checkpoint: the same
# command continues after any stop. The arm `confirmed` waits until at least REVIEWED verdicts were given in OUT/seed-N with
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

# stage NAME PROJECT COMMAND...: once only, timed, its report beside the project. A round that was cut off is resumed.
stage() {
    local name=$1 project=$2
    shift 2
    [ -e "$project.$name.json" ] && return
    echo "$(date +%H:%M:%S) $(basename "$project"): $name"
    local begun=$SECONDS
    if [ "$1" = train ] && [ -e "$project.$name.begun" ] && "$quarry" train --project "$project" --resume --json \
        >"$project.$name.part" 2>>"$project.$name.log"; then
        :
    else
        touch "$project.$name.begun"
        "$quarry" "$@" --project "$project" --json >"$project.$name.part" 2>>"$project.$name.log"
    fi
    echo "$((SECONDS - begun))" >>"$project.$name.seconds"
    mv "$project.$name.part" "$project.$name.json"
}

verdicts() {
    "$quarry" status --project "$1" --json | python3 -c '
import json, sys
r = json.load(sys.stdin)["rounds"][0]
print(r["confirmed"] + r["rejected"] + r["missed_faces"])'
}

# round_2 SEED ARM: a copy of the seed's project after round 1, trained on.
round_2() {
    local from="$out/seed-$1" project="$out/seed-$1-$2" negatives=$2 sampler=random
    [ "$2" = ohem ] && negatives=none sampler=ohem
    if [ "$2" = confirmed ] && [ "$(verdicts "$from")" -lt "$reviewed" ]; then
        echo "seed $1, confirmed: $(verdicts "$from") of $reviewed verdicts; review with: quarry --project $from"
        return
    fi
    if [ ! -e "$project" ]; then
        rm -rf "$project.copy"
        cp -r "$from" "$project.copy"
        mv "$project.copy" "$project"
        { settings "$1"; printf 'init = "previous"\nhard_negatives = "%s"\n[sampler]\nkind = "%s"\n' "$negatives" "$sampler"; } >"$project.toml"
    fi
    stage round-2 "$project" train --config "$project.toml"
}

for seed in $seeds; do
    project="$out/seed-$seed"
    if [ ! -e "$project" ]; then
        "$quarry" new "$project"
        "$quarry" import fddb "$fddb" --project "$project"
        "$quarry" import folder "$background" --project "$project"
        { settings "$seed"; printf 'hard_negatives = "none"\n'; } >"$project.toml"
    fi
    stage round-1 "$project" train --config "$project.toml"
    stage mine "$project" mine
done
for seed in $seeds; do
    for arm in $arms; do
        round_2 "$seed" "$arm"
    done
done
