//! Label Studio's JSON (<https://labelstud.io/guide/export>): a list of tasks, in the full form or `JSON_MIN`. Coordinates are percent
//! of the image.

use std::collections::BTreeMap;
use std::fmt;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::Value;

use super::draft::{Draft, DraftImage, DraftObject, Sides};
use super::image_files::{ImageFiles, Located, shortened};
use super::json_lines::List;
use super::json_values::{head_of, json_error};
use super::layout::{absolute, files_in, root_of};
use super::skipped::{Place, Skipped, bad_record};
use super::{Format, ReadOptions};
use crate::dataset::{DatasetError, ImportedDataset};
use crate::domain::{Cancel, Progress, Shape, begin_text, counted_as, limits, open_regular};
use crate::geometry::{BoundingBox, Ellipse};

/// Label Studio.
#[derive(Debug)]
pub struct LabelStudio;

impl Format for LabelStudio {
    fn name(&self) -> &'static str {
        "label-studio"
    }

    fn recognise(&self, path: &Path) -> Option<String> {
        if path.is_file() {
            return is_task_list(path).then(|| "a JSON list of Label Studio's tasks".to_owned());
        }
        let file = files_in(path, &["json"]).ok()?.into_iter().find(|file| is_task_list(file))?;
        Some(format!("{} is a list of Label Studio's tasks", file.file_name()?.to_string_lossy()))
    }

    fn read(
        &self,
        path: &Path,
        options: &ReadOptions,
        progress: &mut dyn FnMut(Progress),
        cancel: &Cancel,
    ) -> Result<ImportedDataset, DatasetError> {
        let path = absolute(path)?;
        let files = if path.is_file() { vec![path.clone()] } else { files_in(&path, &["json"])? };
        let files: Vec<PathBuf> = files.into_iter().filter(|file| path.is_file() || is_task_list(file)).collect();
        if files.is_empty() {
            return Err(DatasetError::layout(
                &path,
                "no JSON list of tasks in it: name the file that Label Studio exported",
            ));
        }
        let mut draft = Draft::new(root_of(&path, options, &[])?, options);
        draft.fractions = true;
        for file in &files {
            read_file(&mut draft, file, cancel)?;
        }
        draft.keep_split(options, Vec::new())?;
        draft.finish("label-studio", options, progress, cancel)
    }
}

fn is_task_list(file: &Path) -> bool {
    let is_json = file.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
    is_json
        && head_of(file).is_some_and(|head| {
            let text = String::from_utf8_lossy(&head);
            let has = |key: &str| text.contains(&format!("\"{key}\""));
            let is_other = has("image_id") || has("bbox") || has("coordinates");
            text.trim_start().starts_with('[') && (has("data") || has("image")) && !is_other
        })
}

/// A task, before its image is searched.
struct Task {
    index: u32,
    image: String,
    declared: Option<(u32, u32)>,
    objects: Vec<(String, DraftObject)>,
}

fn read_file(draft: &mut Draft, file: &Path, cancel: &Cancel) -> Result<(), DatasetError> {
    let (opened, size) = open_regular(file)?;
    if size > limits::TEXT {
        return Err(DatasetError::layout(
            file,
            format!("the file has {size} bytes; Quarry reads up to {}", limits::TEXT),
        ));
    }
    let mut reader = BufReader::with_capacity(1 << 18, opened);
    begin_text(file, &mut reader)?;
    let mut json = serde_json::Deserializer::from_reader(reader);
    let (mut tasks, mut bad, mut ignored) = (Vec::new(), Vec::new(), Ignored::default());
    let each = |index: u32, value: Value| {
        if !cancel.is_cancelled() {
            ignored.several += usize::from(finished(&value).len() > 1);
            ignored.predicted += usize::from(is_predicted_only(&value));
            match task(file, index, &value, &mut bad, &mut ignored) {
                Ok(task) => tasks.push(task),
                Err(problem) => bad.push(bad_record(file, Place::Record(List::Tasks, index), problem)),
            }
        }
    };
    EachValue(each).deserialize(&mut json).and_then(|()| json.end()).map_err(|error| json_error(file, &error))?;
    if cancel.is_cancelled() {
        return Err(DatasetError::Cancelled);
    }
    draft.problems.add_all(bad)?;
    draft.warnings.extend(ignored.warnings());
    let index = draft.file(file);
    let root = draft.root.clone();
    let mut files = ImageFiles::new(&root, ["images", "", "data"].map(PathBuf::from));
    for task in tasks {
        let place = Place::Record(List::Tasks, task.index);
        if let Some(path) = draft.found(locate(&mut files, &task.image), index, place)? {
            let objects = task.objects.into_iter();
            let objects =
                objects.map(|(class, object)| DraftObject { class: draft.classes.id(&class), ..object }).collect();
            draft.images.push(DraftImage { path, split: None, declared: task.declared, file: index, objects });
        }
    }
    Ok(())
}

/// Visits the values of a list one by one.
struct EachValue<F>(F);

impl<'de, F: FnMut(u32, Value)> DeserializeSeed<'de> for EachValue<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(u32, Value)> Visitor<'de> for EachValue<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of tasks")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        let mut index = 0;
        while let Some(value) = list.next_element()? {
            (self.0)(index, value);
            index += 1;
        }
        Ok(())
    }
}

fn finished(task: &Value) -> Vec<&Value> {
    let all = task["annotations"].as_array().or_else(|| task["completions"].as_array());
    all.map_or(Vec::new(), |all| all.iter().filter(|one| !one["was_cancelled"].as_bool().unwrap_or(false)).collect())
}

fn is_predicted_only(task: &Value) -> bool {
    finished(task).is_empty() && task["predictions"].as_array().is_some_and(|predictions| !predictions.is_empty())
}

/// What is ignored in a file's tasks.
#[derive(Default)]
struct Ignored {
    /// Tasks with several annotations.
    several: usize,
    /// Tasks with predictions but without an annotation.
    predicted: usize,
    /// Number of unsupported regions, by type.
    unused: BTreeMap<String, usize>,
}

impl Ignored {
    fn warnings(self) -> Vec<String> {
        let Self { several, predicted, unused } = self;
        let mut warnings = Vec::new();
        if several > 0 {
            warnings.push(format!(
                "{} several annotations; the last of each is read.",
                counted_as(several, "task has", "tasks have")
            ));
        }
        if predicted > 0 {
            warnings.push(format!(
                "{} predictions and no annotation; predictions are not read: submit them in Label Studio first.",
                counted_as(predicted, "task has", "tasks have")
            ));
        }
        if !unused.is_empty() {
            let unused: Vec<String> = unused.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            warnings.push(format!("Skipped regions without a box: {}.", unused.join(", ")));
        }
        warnings
    }
}

fn task(file: &Path, index: u32, value: &Value, bad: &mut Vec<Skipped>, ignored: &mut Ignored) -> Result<Task, String> {
    let Some(fields) = value.as_object() else { return Err("expected an object {...}".to_owned()) };
    let data = value["data"].as_object().unwrap_or(fields);
    let named = ["image", "img", "image_url", "url"].iter().find_map(|key| data.get(*key)?.as_str());
    let any = || data.values().filter_map(Value::as_str).find(|text| crate::dataset::is_image(Path::new(text)));
    let image = named.or_else(any).ok_or("its data has no image")?.to_owned();
    // In the short form the regions are in the task itself, under the name of the label control.
    let is_region = |region: &Value| region["width"].is_number() || region["radiusX"].is_number();
    let short = || fields.values().filter_map(Value::as_array).find(|list| list.iter().any(is_region));
    let regions = match finished(value).last() {
        Some(annotation) if annotation["result"].is_null() => {
            return Err("its annotation has no `result`: this is not Label Studio's form".to_owned());
        }
        Some(annotation) => annotation["result"].as_array(),
        None => short(),
    };
    let mut task = Task { index, image, declared: None, objects: Vec::new() };
    for (k, region) in regions.into_iter().flatten().enumerate() {
        let size = |key: &str| region[key].as_f64().filter(|&size| size >= 1.0).map(|size| size as u32);
        task.declared = task.declared.or(size("original_width").zip(size("original_height")));
        match object(region, index) {
            Ok(Some(read)) => task.objects.push(read),
            Ok(None) => {
                if let Some(kind) = region["type"].as_str().filter(|kind| kind.ends_with("labels")) {
                    *ignored.unused.entry(shortened(kind)).or_insert(0) += 1;
                }
            }
            Err(problem) => {
                bad.push(bad_record(file, Place::Record(List::Tasks, index), format!("region {k}: {problem}")));
            }
        }
    }
    Ok(task)
}

/// Returns the class and shape of a region; `None` for choices, text and other values without a position.
fn object(region: &Value, index: u32) -> Result<Option<(String, DraftObject)>, String> {
    let value = if region["value"].is_object() { &region["value"] } else { region };
    let kinds = ["rectanglelabels", "ellipselabels", "polygonlabels", "labels"];
    let Some(label) = kinds.iter().find_map(|kind| value[kind].as_array()?.first()) else { return Ok(None) };
    let label = label.as_str().map(str::trim).filter(|label| !label.is_empty()).ok_or("its label is not text")?;
    let number = |key: &str| -> Result<f64, String> {
        let number = value[key]
            .as_f64()
            .ok_or_else(|| format!("{key} is {}, expected a number", shortened(&value[key].to_string())))?;
        Ok(number / 100.0)
    };
    let angle = value["rotation"].as_f64().unwrap_or(0.0).to_radians();
    let mut sides = None;
    let shape = if value["ellipselabels"].is_array() || value["radiusX"].is_number() {
        Shape::Ellipse(Ellipse::new(number("radiusX")?, number("radiusY")?, angle, number("x")?, number("y")?))
    } else if let Some(points) = value["points"].as_array() {
        let pairs: Option<Vec<(f64, f64)>> =
            points.iter().map(|p| Some((p[0].as_f64()? / 100.0, p[1].as_f64()? / 100.0))).collect();
        let pairs =
            pairs.filter(|pairs| pairs.len() >= 3).ok_or("points is not a list of at least 3 pairs of numbers")?;
        around(&pairs)
    } else {
        let (x, y, w, h) = (number("x")?, number("y")?, number("width")?, number("height")?);
        if w <= 0.0 || h <= 0.0 {
            return Err(format!("it is {w} wide and {h} high; both must be above 0"));
        }
        sides = (angle != 0.0).then(|| Sides::of_size(w, h));
        let aspect = region["original_width"].as_f64().zip(region["original_height"].as_f64());
        turned(x, y, w, h, angle, aspect.map_or(1.0, |(width, height)| width / height))
    };
    let ignored = region.pointer("/meta/ignored").and_then(Value::as_bool).unwrap_or(false);
    let place = Place::Record(List::Tasks, index);
    Ok(Some((label.to_owned(), DraftObject { class: 0, shape, sides, ignored, place })))
}

/// Returns the axis-aligned box around a rectangle rotated about its top-left corner; `aspect` is the image's width divided by its height.
fn turned(x: f64, y: f64, w: f64, h: f64, angle: f64, aspect: f64) -> Shape {
    if angle == 0.0 {
        return Shape::Rectangle(BoundingBox::from_xywh(x, y, w, h));
    }
    let (sin, cos) = angle.sin_cos();
    let corner = |dx: f64, dy: f64| (x + dx * cos - dy * sin / aspect, y + dx * sin * aspect + dy * cos);
    around(&[corner(0.0, 0.0), corner(w, 0.0), corner(0.0, h), corner(w, h)])
}

fn around(points: &[(f64, f64)]) -> Shape {
    let least = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).fold(f64::MAX, f64::min);
    let most = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).fold(f64::MIN, f64::max);
    Shape::Rectangle(BoundingBox::new(least(|p| p.0), least(|p| p.1), most(|p| p.0), most(|p| p.1)))
}

/// `data.image` is a path or a URL: `/data/upload/3/1a2b3c4d-name.jpg`, `/data/local-files/?d=folder/name.jpg`, `s3://bucket/name.jpg`.
/// Tries ever shorter suffixes of it.
fn locate(files: &mut ImageFiles, image: &str) -> Result<Located, String> {
    let after_query = image.split_once("?d=").map(|(_, path)| path);
    let path = after_query.unwrap_or(image).split("://").last().unwrap_or(image).trim_start_matches('/').to_owned();
    let base = path.rsplit('/').next().unwrap_or(&path).to_owned();
    // Uploads are prefixed with 8 hexadecimal digits.
    let unhashed =
        base.split_once('-').filter(|(hash, _)| hash.len() == 8 && hash.bytes().all(|b| b.is_ascii_hexdigit()));
    let mut tries = vec![path.clone(), base.clone()];
    tries.extend(unhashed.map(|(_, name)| name.to_owned()));
    let decoded: Vec<String> = tries.iter().filter_map(|name| percent_decoded(name)).collect();
    tries.extend(decoded);
    let mut first = None;
    for name in tries.iter().filter(|name| !name.is_empty()) {
        match files.locate(name) {
            Ok(Located::Missing(path)) => drop(first.get_or_insert(Ok(Located::Missing(path)))),
            Err(problem) if name == &path => return Err(problem),
            Err(problem) => drop(first.get_or_insert(Err(problem))),
            found => return found,
        }
    }
    first.unwrap_or_else(|| Err("its data has no image".to_owned()))
}

/// `None` if nothing is encoded.
fn percent_decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return None;
    }
    let bytes = text.as_bytes();
    let (mut out, mut k) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(&byte) = bytes.get(k) {
        let code =
            (byte == b'%').then(|| text.get(k + 1..k + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok())).flatten();
        out.push(code.unwrap_or(byte));
        k += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8(out).ok()
}
