#!/usr/bin/env bash
# Reproduces README's table of FDDB's evaluation: scripts/verify_fddb.sh FDDB REFERENCES [QUARRY]. FDDB is the folder as it ships. REFERENCES
# holds a folder for each detector: dets.txt (its detections on all ten folds) and what the official program wrote for them, DiscROC.txt
# and ContROC.txt. Both files are compared byte for byte; exit code 1 where one differs.
set -euo pipefail
fddb=$1
references=$2
quarry=${3:-quarry}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

annotations=("$fddb"/FDDB-folds/FDDB-fold-*-ellipseList.txt)
[ -e "${annotations[0]}" ] || { echo "verify-fddb: $fddb/FDDB-folds has no ellipse lists: FDDB= is the folder as FDDB ships" >&2; exit 2; }
# Image sizes from a table, where there is one, instead of from the images.
sizes=(--images-root "$fddb/originalPics")
[ ! -e "$fddb/image_sizes.tsv" ] || sizes=(--sizes "$fddb/image_sizes.tsv")

# The rate at up to COUNT false positives: rows are "rate false-positives", the highest rate first.
rate() { awk -v count="$2" '$2 <= count && ($1 >= best || !found) { best = $1; found = 1 } END { if (found && best > 0) printf "%.4f", best; else printf "–" }' "$1"; }

status=0 compared=0
printf '| reference | ROC rows | discrete TPR at 100 / 1000 FP | continuous | files |\n|---|---|---|---|---|\n'
for folder in "$references"/*/; do
    name=$(basename "$folder")
    if [ ! -e "$folder/dets.txt" ] || [ ! -e "$folder/DiscROC.txt" ]; then
        echo "verify-fddb: SKIPPED: $name: it needs dets.txt, DiscROC.txt and ContROC.txt" >&2
        continue
    fi
    "$quarry" evaluate fddb --annotations "${annotations[@]}" --detections "$folder/dets.txt" "${sizes[@]}" --out "$out/$name" >/dev/null
    files=identical
    for file in DiscROC.txt ContROC.txt; do
        cmp -s "$out/$name/$file" "$folder/$file" || { files="$file DIFFERS"; status=1; }
    done
    disc=$out/$name/DiscROC.txt cont=$out/$name/ContROC.txt
    printf '| %s | %s | %s / %s | %s / %s | %s |\n' "$name" "$(wc -l <"$disc")" "$(rate "$disc" 100)" "$(rate "$disc" 1000)" \
        "$(rate "$cont" 100)" "$(rate "$cont" 1000)" "$files"
    compared=$((compared + 1))
done
[ $compared -gt 0 ] || { echo "verify-fddb: nothing was compared: $references has no folder with dets.txt and DiscROC.txt" >&2; exit 2; }
exit $status
