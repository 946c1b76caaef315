//! torchvision's parameter names, old and new, and the tensors that a detector cannot take over from another.

use super::NamedArray;
use crate::domain::counted;

/// Arrays under the names that Quarry uses (torchvision's newest), and a message on each kind of change.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapted {
    pub arrays: Vec<NamedArray>,
    pub notes: Vec<String>,
    /// The prefixes of dropped tensors, which a detector initialises randomly.
    pub dropped: Vec<&'static str>,
}

/// Strips `module.`, renames torchvision's older names of the pyramid and the RPN head, and drops `num_batches_tracked`.
pub fn torchvision_names(arrays: Vec<NamedArray>) -> Adapted {
    let (mut wrapped, mut old, mut counters) = (0, 0, 0);
    let mut out = Vec::with_capacity(arrays.len());
    for mut array in arrays {
        if array.name.starts_with("module.") {
            array.name.drain(.."module.".len());
            wrapped += 1;
        }
        if array.name.ends_with(".num_batches_tracked") {
            counters += 1;
            continue;
        }
        if let Some(new) = respelled(&array.name) {
            array.name = new;
            old += 1;
        }
        out.push(array);
    }
    let mut notes = Vec::new();
    let mut note = |count: usize, text: &str| {
        if count > 0 {
            notes.push(format!("{}: {text}", counted(count, "tensor")));
        }
    };
    note(wrapped, "the prefix `module.` of a parallel training was taken off");
    note(counters, "`num_batches_tracked` was left out, frozen batch norm does not count");
    note(old, "torchvision's older names of the pyramid and the RPN head were renamed");
    Adapted { arrays: out, notes, dropped: Vec::new() }
}

/// Drops the heads whose shapes depend on the number of classes (`classes`, with background) or anchors per cell, if these differ; the
/// detector keeps its own.
pub fn drop_foreign_heads(arrays: Vec<NamedArray>, classes: usize, anchors_per_cell: usize) -> Adapted {
    let rows = |name: &str| arrays.iter().find(|a| a.name == name).and_then(|a| a.shape.first().copied());
    let their_classes = rows("roi_heads.box_predictor.cls_score.weight").unwrap_or(classes);
    let their_anchors = rows("rpn.head.cls_logits.weight").unwrap_or(anchors_per_cell);
    let mut notes = Vec::new();
    let mut dropped = Vec::new();
    if their_classes != classes {
        notes.push(format!(
            "the box predictor has {their_classes} classes where {classes} are wanted: it was replaced by a new one"
        ));
        dropped.push("roi_heads.box_predictor.");
    }
    if their_anchors != anchors_per_cell {
        notes.push(format!(
            "the RPN has {their_anchors} anchors a cell where {anchors_per_cell} are wanted: its outputs were replaced by new ones"
        ));
        dropped.extend(["rpn.head.cls_logits.", "rpn.head.bbox_pred."]);
    }
    let keep = |a: &NamedArray| !dropped.iter().any(|prefix| a.name.starts_with(prefix));
    Adapted { arrays: arrays.into_iter().filter(keep).collect(), notes, dropped }
}

/// Renames `backbone.fpn.inner_blocks.0.weight` -> `backbone.fpn.inner_blocks.0.0.weight`, `rpn.head.conv.weight` ->
/// `rpn.head.conv.0.0.weight`; `None` for every other name.
fn respelled(name: &str) -> Option<String> {
    let (stem, part) = name.rsplit_once('.')?;
    if part != "weight" && part != "bias" {
        return None;
    }
    if stem == "rpn.head.conv" {
        return Some(format!("{stem}.0.0.{part}"));
    }
    let level =
        ["backbone.fpn.inner_blocks.", "backbone.fpn.layer_blocks."].iter().find_map(|p| stem.strip_prefix(p))?;
    level.parse::<u32>().is_ok().then(|| format!("{stem}.0.{part}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, rows: usize) -> NamedArray {
        NamedArray::new(name, vec![rows], vec![0.0; rows])
    }

    #[test]
    fn both_spellings_end_in_the_new_one() {
        let check = |name: &str, expected: &str| {
            let adapted = torchvision_names(vec![named(name, 1)]);
            assert_eq!(adapted.arrays[0].name, expected);
            assert_eq!(adapted.notes.len(), usize::from(name != expected), "each change is said once");
        };
        check("backbone.fpn.inner_blocks.3.weight", "backbone.fpn.inner_blocks.3.0.weight");
        check("backbone.fpn.layer_blocks.0.bias", "backbone.fpn.layer_blocks.0.0.bias");
        check("backbone.fpn.layer_blocks.0.0.bias", "backbone.fpn.layer_blocks.0.0.bias");
        check("rpn.head.conv.weight", "rpn.head.conv.0.0.weight");
        check("rpn.head.conv.0.0.weight", "rpn.head.conv.0.0.weight");
        check("module.conv1.weight", "conv1.weight");
    }

    #[test]
    fn counters_are_dropped_and_said_in_one_line() {
        let adapted = torchvision_names(vec![named("bn1.num_batches_tracked", 1), named("bn2.num_batches_tracked", 1)]);
        assert!(adapted.arrays.is_empty());
        assert_eq!(adapted.notes.len(), 1, "{:?}", adapted.notes);
    }

    #[test]
    fn heads_of_another_number_of_classes_are_replaced() {
        let arrays =
            || vec![named("roi_heads.box_predictor.cls_score.weight", 91), named("rpn.head.cls_logits.weight", 3)];
        let adapted = drop_foreign_heads(arrays(), 2, 3);
        assert_eq!(adapted.arrays, [named("rpn.head.cls_logits.weight", 3)]);
        assert!(adapted.notes[0].contains("91 classes where 2"), "{:?}", adapted.notes);
        assert_eq!(drop_foreign_heads(arrays(), 91, 3).arrays.len(), 2);
        assert_eq!(drop_foreign_heads(arrays(), 91, 15).arrays.len(), 1);
    }
}
