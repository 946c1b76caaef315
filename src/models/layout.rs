//! Converts a network's named outputs to boxes with classes and scores, in pixels of its input. Supports the layouts of common exporters;
//! outputs that match none, or several, are an error that lists their shapes.

use super::{Activation, BoxForm, Layout, OutputSettings};
use crate::geometry::{BoundingBox, NetworkPx};

/// Numbers in row-major order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Array {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// Outputs by name, in network order.
pub type Outputs = Vec<(String, Array)>;

/// A box predicted by the network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Raw {
    /// From 0.
    pub class: usize,
    pub score: f32,
    pub bbox: BoundingBox<NetworkPx>,
}

/// The decoded outputs of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Number of classes in the outputs; 0 if unknown.
    pub classes: usize,
    pub of_images: Vec<Vec<Raw>>,
}

/// More columns than this are boxes rather than classes: the largest class list in use has some 1,200 (LVIS).
const MOST_CLASSES: usize = 2000;

impl Array {
    fn rows(&self) -> impl Iterator<Item = &[f32]> {
        let columns = self.shape.last().copied().unwrap_or(0);
        self.values.chunks_exact(columns.max(1))
    }

    /// Returns the values of one image in a batch.
    fn of_image(&self, image: usize, images: usize) -> &[f32] {
        let each = self.values.len() / images.max(1);
        self.values.get(image * each..(image + 1) * each).unwrap_or(&[])
    }
}

/// Formats all names and shapes for messages: `output0 [1, 84, 8400]`.
pub fn shapes(outputs: &Outputs) -> String {
    outputs.iter().map(|(name, array)| format!("{name} {:?}", array.shape)).collect::<Vec<_>>().join(", ")
}

/// Detects the layout of the outputs. `named` is the number of named classes (0: none), `images` the batch size.
///
/// # Errors
///
/// The shapes match no layout, or two; the message says what to put in `model.toml`.
pub fn recognise(outputs: &Outputs, named: usize, images: usize) -> Result<Layout, String> {
    let has = |part: &str| find(outputs, &[part]).is_some();
    if has("pred_boxes") && has("logits") {
        return Ok(Layout::Detr);
    }
    if Four::find(outputs).is_some() {
        return Ok(Layout::Nms);
    }
    if Three::find(outputs).is_some() {
        return Ok(Layout::Torchvision);
    }
    let fits = match main_output(outputs).map(|array| array.shape.as_slice()) {
        Some([_, 7]) => vec![Layout::Nms],
        Some([batch, rows, columns]) if *batch == images => one_output(*rows, *columns, named),
        _ => Vec::new(),
    };
    match fits.as_slice() {
        [layout] => Ok(*layout),
        [] => Err(format!(
            "its outputs match no known layout: {}. Write `layout = \"...\"` into the model.toml next to it: torchvision (boxes [N, 4], labels [N], \
             scores [N]), yolov5 ([B, N, 5 + K]), yolov8 ([B, 4 + K, N] or [B, N, 4 + K]), nms ([B, N, 6], [N, 7] or num_dets, boxes, scores, \
             classes) or detr (logits [B, Q, K + 1], pred_boxes [B, Q, 4])",
            shapes(outputs)
        )),
        several => Err(format!(
            "its outputs match several layouts ({}): {}. Write the right one into the model.toml next to it as `layout = \"...\"`, or list its `classes`",
            several.iter().map(|layout| name_of(*layout)).collect::<Vec<_>>().join(", "),
            shapes(outputs)
        )),
    }
}

/// Returns the possible layouts of a single `[B, rows, columns]`.
fn one_output(rows: usize, columns: usize, named: usize) -> Vec<Layout> {
    if named > 0 {
        let mut fits = Vec::new();
        if rows == 4 + named || columns == 4 + named {
            fits.push(Layout::Yolov8);
        }
        if columns == 5 + named {
            fits.push(Layout::Yolov5);
        }
        if columns == 6 && fits.is_empty() {
            fits.push(Layout::Nms);
        }
        // One named class: [B, N, 6] is an objectness and a class, or a list after NMS, which is short.
        if columns == 6 && named == 1 && rows <= 1000 {
            fits = vec![Layout::Nms, Layout::Yolov5];
        }
        if columns == 6 && named == 2 && rows <= 1000 {
            fits = vec![Layout::Nms, Layout::Yolov8];
        }
        return fits;
    }
    let (few, many) = (rows.min(columns), rows.max(columns));
    if columns == 6 && rows <= 1000 {
        return vec![Layout::Nms];
    }
    // Channels before boxes is only YOLOv8; boxes before channels may be either.
    match few {
        5.. if few <= 4 + MOST_CLASSES && many > few => {
            if rows < columns || few == 5 {
                vec![Layout::Yolov8]
            } else {
                vec![Layout::Yolov5, Layout::Yolov8]
            }
        }
        _ => Vec::new(),
    }
}

pub fn name_of(layout: Layout) -> &'static str {
    match layout {
        Layout::Torchvision => "torchvision",
        Layout::Yolov5 => "yolov5",
        Layout::Yolov8 => "yolov8",
        Layout::Nms => "nms",
        Layout::Detr => "detr",
    }
}

/// Decodes the detections of every image in a batch (`named` classes have names, 0: none): above the threshold, after NMS if the network
/// has none built in.
///
/// # Errors
///
/// The outputs do not have this layout.
pub fn read(
    outputs: &Outputs,
    layout: Layout,
    settings: &OutputSettings,
    size: (u32, u32),
    named: usize,
    images: usize,
) -> Result<Found, String> {
    let unfit = || format!("its outputs are not of the layout `{}`: {}", name_of(layout), shapes(outputs));
    let reader = Reader { settings, size, named, unit: settings.normalised };
    let mut found = match layout {
        Layout::Torchvision => {
            // The export has no batch axis: one image per run.
            let three = Three::find(outputs).filter(|_| images == 1).ok_or_else(unfit)?;
            reader.listed(three.boxes, three.scores, three.classes, None, 1, settings.first_class.unwrap_or(1))
        }
        Layout::Nms => match Four::find(outputs) {
            Some(four) => {
                let first = settings.first_class.unwrap_or(0);
                reader.listed(four.boxes, four.scores, four.classes, Some(four.counts), images, first)
            }
            None => reader.nms_rows(main_output(outputs).ok_or_else(unfit)?, images).ok_or_else(unfit)?,
        },
        Layout::Yolov5 => reader.yolo(main_output(outputs).ok_or_else(unfit)?, 5, images).ok_or_else(unfit)?,
        Layout::Yolov8 => reader.yolo(main_output(outputs).ok_or_else(unfit)?, 4, images).ok_or_else(unfit)?,
        Layout::Detr => reader.detr(outputs, images).ok_or_else(unfit)?,
    };
    if found.of_images.len() != images {
        return Err(unfit());
    }
    if let Some(score) =
        found.of_images.iter().flatten().map(|raw| raw.score).find(|score| !(0.0..=1.0).contains(score))
    {
        return Err(format!(
            "it gives a score of {score}, outside 0 to 1: the layout `{}` does not fit, or the scores are logits (set output.activation)",
            name_of(layout)
        ));
    }
    if matches!(layout, Layout::Yolov5 | Layout::Yolov8) {
        for of_image in &mut found.of_images {
            *of_image = suppressed(std::mem::take(of_image), settings.nms_iou, settings.max_detections);
        }
    }
    Ok(found)
}

struct Reader<'a> {
    settings: &'a OutputSettings,
    size: (u32, u32),
    named: usize,
    unit: Option<bool>,
}

impl Reader<'_> {
    fn bbox(&self, values: &[f32], form: BoxForm, normalised: bool) -> BoundingBox<NetworkPx> {
        let (sx, sy) =
            if self.unit.unwrap_or(normalised) { (f64::from(self.size.0), f64::from(self.size.1)) } else { (1.0, 1.0) };
        let at = |n: usize| f64::from(values.get(n).copied().unwrap_or(f32::NAN));
        let (a, b, c, d) = (at(0) * sx, at(1) * sy, at(2) * sx, at(3) * sy);
        match self.settings.boxes.unwrap_or(form) {
            BoxForm::Xyxy => BoundingBox::new(a, b, c, d),
            BoxForm::Cxcywh => BoundingBox::new(a - c / 2.0, b - d / 2.0, a + c / 2.0, b + d / 2.0),
        }
    }

    /// NaN is kept: it is refused with the other impossible scores.
    fn keeps(&self, score: f32) -> bool {
        score >= self.settings.score_threshold || score.is_nan()
    }

    /// Decodes boxes, scores and classes from separate arrays.
    fn listed(
        &self,
        boxes: &Array,
        scores: &Array,
        classes: &Array,
        counts: Option<&Array>,
        images: usize,
        first: i64,
    ) -> Found {
        let of_images = (0..images).map(|image| {
            let boxes = boxes.of_image(image, images).chunks_exact(4);
            let rest = scores.of_image(image, images).iter().zip(classes.of_image(image, images));
            let count =
                counts.map_or(usize::MAX, |counts| counts.of_image(image, images).first().map_or(0, |n| *n as usize));
            let raw = boxes.zip(rest).take(count).filter_map(|(values, (score, class))| {
                let class = usize::try_from(*class as i64 - first).ok()?;
                Some(Raw { class, score: *score, bbox: self.bbox(values, BoxForm::Xyxy, false) })
            });
            raw.filter(|raw| self.keeps(raw.score)).collect()
        });
        Found { classes: 0, of_images: of_images.collect() }
    }

    fn nms_rows(&self, array: &Array, images: usize) -> Option<Found> {
        let first = self.settings.first_class.unwrap_or(0);
        let raw = |bbox: &[f32], score: f32, class: f32| {
            let class = usize::try_from(class as i64 - first).ok()?;
            self.keeps(score).then(|| Raw { class, score, bbox: self.bbox(bbox, BoxForm::Xyxy, false) })
        };
        let mut of_images = vec![Vec::new(); images];
        match array.shape.as_slice() {
            [_, 7] => {
                for row in array.rows() {
                    let of_image = of_images.get_mut(row[0] as usize)?;
                    of_image.extend(raw(&row[1..5], row[6], row[5]));
                }
            }
            [batch, _, 6] if *batch == images => {
                for (image, of_image) in of_images.iter_mut().enumerate() {
                    let rows = array.of_image(image, images).chunks_exact(6);
                    of_image.extend(rows.filter_map(|row| raw(&row[..4], row[4], row[5])));
                }
            }
            _ => return None,
        }
        Some(Found { classes: 0, of_images })
    }

    /// Decodes rows of centre, size, (objectness,) class scores, with the last two axes in either order.
    fn yolo(&self, array: &Array, before: usize, images: usize) -> Option<Found> {
        let [batch, rows, columns] = array.shape.as_slice() else { return None };
        // The channel axis matches the number of named classes, otherwise it is the shorter one; YOLOv5 has channels last.
        let expected = before + self.named;
        let is_transposed = before == 4
            && if *columns == expected {
                *rows == expected && rows < columns
            } else {
                *rows == expected || rows < columns
            };
        let (channels, places) = if is_transposed { (*rows, *columns) } else { (*columns, *rows) };
        if *batch != images || channels <= before || array.values.len() != images * channels * places {
            return None;
        }
        let of_images = (0..images).map(|image| {
            let values = array.of_image(image, images);
            let at = |place: usize, channel: usize| {
                if is_transposed { values[channel * places + place] } else { values[place * channels + channel] }
            };
            let mut found = Vec::new();
            for place in 0..places {
                let objectness = if before == 5 { at(place, 4) } else { 1.0 };
                if !self.keeps(objectness) {
                    continue;
                }
                let scores = (before..channels).map(|channel| at(place, channel) * objectness);
                let Some((class, score)) = scores.enumerate().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))
                else {
                    continue;
                };
                if self.keeps(score) {
                    let values = [at(place, 0), at(place, 1), at(place, 2), at(place, 3)];
                    found.push(Raw { class, score, bbox: self.bbox(&values, BoxForm::Cxcywh, false) });
                }
            }
            found
        });
        Some(Found { classes: channels - before, of_images: of_images.collect() })
    }

    fn detr(&self, outputs: &Outputs, images: usize) -> Option<Found> {
        let (logits, boxes) = (find(outputs, &["logits"])?, find(outputs, &["pred_boxes"])?);
        let [batch, _, columns] = logits.shape.as_slice() else { return None };
        if *batch != images || *columns == 0 || boxes.values.len() / 4 != logits.values.len() / columns {
            return None;
        }
        let activation = self.settings.activation.unwrap_or(Activation::Softmax);
        let classes = if activation == Activation::Softmax { columns - 1 } else { *columns };
        let of_images = (0..images).map(|image| {
            let rows = logits.of_image(image, images).chunks_exact(*columns);
            let rows = rows.zip(boxes.of_image(image, images).chunks_exact(4));
            let raw = rows.filter_map(|(row, values)| {
                let (class, score) = best(&probabilities(row, activation)[..classes])?;
                self.keeps(score).then(|| Raw { class, score, bbox: self.bbox(values, BoxForm::Cxcywh, true) })
            });
            raw.collect()
        });
        Some(Found { classes, of_images: of_images.collect() })
    }
}

fn best(scores: &[f32]) -> Option<(usize, f32)> {
    scores.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))
}

fn probabilities(logits: &[f32], activation: Activation) -> Vec<f32> {
    match activation {
        Activation::Sigmoid => logits.iter().map(|x| 1.0 / (1.0 + (-x).exp())).collect(),
        Activation::Softmax => {
            let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let powers: Vec<f32> = logits.iter().map(|x| (x - highest).exp()).collect();
            let sum: f32 = powers.iter().sum();
            powers.iter().map(|power| power / sum).collect()
        }
    }
}

/// Applies NMS per class: of two boxes that overlap by more than `limit`, removes the lower-scored one.
fn suppressed(mut found: Vec<Raw>, limit: f64, most: usize) -> Vec<Raw> {
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Raw> = Vec::new();
    for raw in found {
        if kept.len() == most {
            break;
        }
        let is_covered = kept.iter().any(|other| other.class == raw.class && other.bbox.iou(&raw.bbox) > limit);
        if !is_covered {
            kept.push(raw);
        }
    }
    kept
}

/// Returns the array whose name contains one of `parts`.
fn find<'a>(outputs: &'a Outputs, parts: &[&str]) -> Option<&'a Array> {
    let has = |name: &str| parts.iter().any(|part| name.to_ascii_lowercase().contains(part));
    outputs.iter().find(|(name, _)| has(name)).map(|(_, array)| array)
}

/// Returns the output with the boxes when there are others (mask prototypes, feature maps): the first with two or three axes.
fn main_output(outputs: &Outputs) -> Option<&Array> {
    outputs.iter().map(|(_, array)| array).find(|array| matches!(array.shape.len(), 2 | 3))
}

/// `boxes [N, 4]`, `scores [N]`, `labels [N]`.
struct Three<'a> {
    boxes: &'a Array,
    scores: &'a Array,
    classes: &'a Array,
}

impl<'a> Three<'a> {
    /// Matches by name, otherwise by shape (exporters number the outputs). Of two lists of N, labels are integers and scores are within 0
    /// to 1.
    fn find(outputs: &'a Outputs) -> Option<Self> {
        let boxes = outputs.iter().map(|(_, array)| array).find(|array| matches!(array.shape.as_slice(), [_, 4]))?;
        let count = boxes.shape[0];
        let is_list = |array: &&'a Array| array.shape == [count];
        let named = |parts: &[&str]| find(outputs, parts).filter(is_list);
        if let (Some(scores), Some(classes)) = (named(&["score"]), named(&["label", "class"])) {
            return Some(Self { boxes, scores, classes });
        }
        let mut lists = outputs.iter().map(|(_, array)| array).filter(is_list);
        match (lists.next(), lists.next(), lists.next()) {
            (Some(first), Some(second), None) => {
                let is_whole = |array: &Array| array.values.iter().all(|value| *value >= 1.0 && value.fract() == 0.0);
                if is_whole(first) || !is_whole(second) {
                    // torchvision's order: boxes, labels, scores.
                    Some(Self { boxes, classes: first, scores: second })
                } else {
                    Some(Self { boxes, classes: second, scores: first })
                }
            }
            _ => None,
        }
    }
}

/// `num_dets [B, 1]`, boxes `[B, N, 4]`, scores `[B, N]`, classes `[B, N]` (TensorRT's EfficientNMS).
struct Four<'a> {
    counts: &'a Array,
    boxes: &'a Array,
    scores: &'a Array,
    classes: &'a Array,
}

impl<'a> Four<'a> {
    fn find(outputs: &'a Outputs) -> Option<Self> {
        let counts = find(outputs, &["num"])?;
        let boxes = find(outputs, &["box"]).filter(|array| matches!(array.shape.as_slice(), [_, _, 4]))?;
        let (scores, classes) = (find(outputs, &["score"])?, find(outputs, &["class", "label"])?);
        let is_fitting = scores.values.len() * 4 == boxes.values.len() && classes.values.len() == scores.values.len();
        is_fitting.then_some(Self { counts, boxes, scores, classes })
    }
}
