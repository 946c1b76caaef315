//! The overlays of an image: each status has its own colour and dashes.

use crate::app::command::{Layers, Pick};
use crate::app::theme;
use crate::app::widgets::marks::{Mark, MarkStyle};
use crate::domain::{AnnotationSource, Class, ClassId, FalsePositiveKind, Shape};
use crate::workflow::inspect::{Change, ErrorKind, OpenedImage, Side, Status};

/// Maximum number of labels.
const LABELS_MAX: usize = 120;

/// Returns the style of a detection.
pub fn status_style(status: Status) -> MarkStyle {
    let style = |color, width, dash, fill| MarkStyle { color, width, dash, fill };
    match status {
        Status::TruePositive => style(theme::GOOD, 1.8, None, 0.0),
        Status::FalsePositive(FalsePositiveKind::Background) => style(theme::CANDIDATE, 2.0, Some((8.0, 4.0)), 0.10),
        Status::FalsePositive(FalsePositiveKind::Localisation) => style(theme::WARNING, 2.0, Some((14.0, 5.0)), 0.06),
        Status::FalsePositive(FalsePositiveKind::Classification) => {
            style(theme::WRONG_CLASS, 2.0, Some((4.0, 3.0)), 0.10)
        }
        Status::FalsePositive(FalsePositiveKind::Both) => style(theme::ADDED, 2.0, Some((3.0, 6.0)), 0.08),
        Status::FalsePositive(FalsePositiveKind::Duplicate) => style(theme::DETECTION, 1.6, Some((2.0, 3.0)), 0.0),
        Status::Ignored => style(theme::WEAK, 1.2, Some((2.0, 5.0)), 0.0),
    }
}

pub const MISSED: MarkStyle = MarkStyle { color: theme::ERROR, width: 2.4, dash: None, fill: 0.16 };
const IGNORED_OBJECT: MarkStyle = MarkStyle { color: theme::WEAK, width: 1.2, dash: Some((6.0, 6.0)), fill: 0.0 };

pub fn status_text(status: Status) -> &'static str {
    match status {
        Status::TruePositive => "True positive",
        Status::FalsePositive(FalsePositiveKind::Background) => "False positive: background",
        Status::FalsePositive(FalsePositiveKind::Localisation) => "False positive: badly placed",
        Status::FalsePositive(FalsePositiveKind::Classification) => "False positive: wrong class",
        Status::FalsePositive(FalsePositiveKind::Both) => "False positive: badly placed, wrong class",
        Status::FalsePositive(FalsePositiveKind::Duplicate) => "False positive: duplicate",
        Status::Ignored => "Ignored",
    }
}

pub fn class_name(classes: &[Class], class: ClassId) -> &str {
    classes.iter().find(|known| known.id == class).map_or("?", |known| known.name.as_str())
}

/// Returns the overlays of one side of an image, each with the selection for a click. The selected one comes first, then detections by
/// score.
pub fn marks(
    opened: &OpenedImage,
    side_number: usize,
    layers: Layers,
    (picked, change): (Option<Pick>, Option<Change>),
    classes: &[Class],
) -> Vec<(Pick, Mark)> {
    let Some(side) = opened.sides.get(side_number) else { return Vec::new() };
    let is_wanted = |pick: Pick| match change {
        Some(change) if opened.sides.len() > 1 => is_of_change(opened, pick, change),
        _ => true,
    };
    let mut marks = Vec::new();
    for (place, judged) in side.judged.detections.iter().enumerate() {
        let pick = Pick::Detection(side_number, place);
        let emphasised = picked == Some(pick);
        let is_error = matches!(judged.status, Status::FalsePositive(_));
        if !(emphasised || (layers.shows(judged.status) && (!is_error || is_wanted(pick)))) {
            continue;
        }
        let label = (emphasised || (layers.labels && marks.len() < LABELS_MAX)).then(|| {
            let score = format!("{:.2}", judged.detection.score);
            if classes.len() > 1 { format!("{} {score}", class_name(classes, judged.detection.class)) } else { score }
        });
        let shape = judged
            .detection
            .ellipse
            .filter(|_| judged.status == Status::TruePositive)
            .map_or(Shape::Rectangle(judged.detection.bbox), Shape::Ellipse);
        let mut style = status_style(judged.status);
        if let Some(verdict) = side.verdict(place) {
            style.color = theme::verdict(Some(verdict));
        }
        marks.push((pick, Mark { shape, style, label, emphasised }));
    }
    if layers.ground_truth {
        let objects = object_marks(side, side_number, picked, classes, is_wanted);
        let is_seen = |pick: &Pick| match *pick {
            Pick::Object(_, place) if !layers.promoted => {
                side.judged.objects.get(place).is_some_and(|o| o.annotation.source != AnnotationSource::Promoted)
            }
            _ => true,
        };
        marks.extend(objects.into_iter().filter(|(pick, _)| is_seen(pick)));
        let of_others = |source| source == AnnotationSource::Promoted && !layers.promoted;
        for (place, row) in side.corrected.iter().enumerate().filter(|(_, row)| !row.state.deleted) {
            if of_others(row.source) {
                continue;
            }
            let pick = Pick::Corrected(side_number, place);
            let (color, emphasised) = (theme::ground_truth(row.source), picked == Some(pick));
            let style = MarkStyle { color, width: 1.6, dash: Some((6.0, 4.0)), fill: 0.0 };
            let label = emphasised.then(|| "corrected".to_owned());
            marks.push((pick, Mark { shape: row.state.shape, style, label, emphasised }));
        }
    }
    marks
}

fn object_marks(
    side: &Side,
    side_number: usize,
    picked: Option<Pick>,
    classes: &[Class],
    is_wanted: impl Fn(Pick) -> bool,
) -> Vec<(Pick, Mark)> {
    let objects = side.judged.objects.iter().enumerate().filter_map(|(place, object)| {
        let pick = Pick::Object(side_number, place);
        let is_missed = side.was_run && object.is_missed();
        if is_missed && !is_wanted(pick) && picked != Some(pick) {
            return None;
        }
        let style = if is_missed {
            MISSED
        } else if object.annotation.ignored {
            IGNORED_OBJECT
        } else {
            let color = theme::ground_truth(object.annotation.source);
            MarkStyle { color, width: 1.2, dash: None, fill: 0.0 }
        };
        let class = if classes.len() > 1 { class_name(classes, object.annotation.class) } else { "object" };
        let emphasised = picked == Some(pick);
        let label = if is_missed { Some(format!("missed {class}")) } else { emphasised.then(|| class.to_owned()) };
        Some((pick, Mark { shape: object.annotation.shape, style, label, emphasised }))
    });
    objects.collect()
}

/// Whether an error has this change. Errors of both rounds are shown on both sides.
fn is_of_change(opened: &OpenedImage, pick: Pick, change: Change) -> bool {
    let (is_missed, side, place) = match pick {
        Pick::Detection(side, place) => (false, side, place),
        Pick::Object(side, place) => (true, side, place),
        // Not an error of a round.
        Pick::Corrected(..) => return true,
    };
    let is_at = |kind: ErrorKind, at: u32| (kind == ErrorKind::Missed) == is_missed && at as usize == place;
    let of = |wanted: Change| opened.changes.iter().any(|c| c.change == wanted && is_at(c.error.kind, c.error.place));
    match (change, side) {
        (Change::Fixed, 0) => of(Change::Fixed),
        (Change::New | Change::Still, 1) => of(change),
        // On the first side an error is either fixed or still there.
        (Change::Still, 0) => !of(Change::Fixed),
        _ => false,
    }
}
