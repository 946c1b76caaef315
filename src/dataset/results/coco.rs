//! COCO's result list: `[{"image_id": 7, "category_id": 1, "bbox": [x, y, w, h], "score": 0.9}, ...]`, also as JSON lines, and ground truth
//! files for the names of its images and categories.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use super::{ClassKey, FoundRecord, ImageKey, Results, Unit};
use crate::dataset::DatasetError;
use crate::domain::{NOT_UTF_8, Shape, is_not_utf8, limits, read_text_bytes, text_bytes};
use crate::geometry::{BoundingBox, Ellipse};

/// Names of ids in a COCO ground truth file.
#[derive(Debug, Clone, Default)]
pub struct GroundTruthNames {
    pub images: BTreeMap<i64, GivenImage>,
    /// Category id -> name.
    pub categories: BTreeMap<i64, String>,
}

/// What a ground truth file says of an image id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GivenImage {
    /// Its `file_name`.
    pub name: String,
    /// Quarry's exports name the dataset: several may have an image of that name.
    pub dataset: Option<String>,
    /// Its `width` and `height`.
    pub size: Option<(u32, u32)>,
}

/// Reads the images and categories of a COCO ground truth file.
///
/// # Errors
///
/// The file cannot be read or contains neither images nor categories.
pub fn read_ground_truth_names(path: &Path) -> Result<GroundTruthNames, DatasetError> {
    let bytes = read_text_bytes(path, limits::TEXT)?;
    let value: Value = serde_json::from_slice(text_bytes(path, &bytes)?)
        .map_err(|error| bad_json(path, error.line().max(1), &error))?;
    let entries = |list: &str| value.get(list).and_then(Value::as_array).into_iter().flatten();
    let text = |entry: &Value, key: &str| Some(entry.get(key)?.as_str()?.to_owned());
    let id = |entry: &Value| whole(entry.get("id")?);
    let image = |entry: &Value| {
        let side = |key: &str| entry.get(key).and_then(whole).and_then(|side| u32::try_from(side).ok());
        let size = side("width").zip(side("height"));
        let given = GivenImage { name: text(entry, "file_name")?, dataset: text(entry, "dataset"), size };
        Some((id(entry)?, given))
    };
    let category = |entry: &Value| Some((id(entry)?, text(entry, "name")?));
    let names = GroundTruthNames {
        images: entries("images").filter_map(image).collect(),
        categories: entries("categories").filter_map(category).collect(),
    };
    if names.images.is_empty() && names.categories.is_empty() {
        let problem = "expected a COCO ground truth with `images` or `categories` (each with `id` and a name)";
        return Err(DatasetError::layout(path, problem));
    }
    Ok(names)
}

fn bad_json(path: &Path, line: usize, error: &serde_json::Error) -> DatasetError {
    if is_not_utf8(error) {
        return DatasetError::line(path, line, NOT_UTF_8);
    }
    DatasetError::line(path, line, format!("{error}; correct the JSON there"))
}

pub(super) fn read(path: &Path) -> Result<Results, DatasetError> {
    let bytes = read_text_bytes(path, limits::TEXT)?;
    let mut results = Results::new(vec![path.to_path_buf()], Unit::Pixels);
    let objects = Objects::new(text_bytes(path, &bytes)?);
    for object in objects {
        let (line, text) = object.map_err(|(line, problem)| DatasetError::line(path, line, problem))?;
        let record: Map<String, Value> = serde_json::from_slice(text)
            .map_err(|error| bad_json(path, line + error.line().saturating_sub(1), &error))?;
        if record.contains_key("images") || record.contains_key("annotations") {
            let problem = "this is a COCO dataset, not a list of detections. Give the result list here (records of `image_id`, \
                           `category_id`, `bbox` and `score`), and this file with --ground-truth";
            return Err(DatasetError::line(path, line, problem));
        }
        match detection(&record) {
            Ok((image, class, shape, score)) => {
                results.records.push(FoundRecord { file: 0, line: Some(line), image, class, shape, score });
            }
            Err(problem) => results.report(0, Some(line), problem),
        }
    }
    Ok(results)
}

type Detected = (ImageKey, ClassKey, Shape, Option<f64>);

fn detection(record: &Map<String, Value>) -> Result<Detected, String> {
    let text = |keys: &[&str]| keys.iter().find_map(|key| record.get(*key)?.as_str());
    let mut image = text(&["file_name", "filename", "image", "image_name"]).map(ImageKey::named).unwrap_or_default();
    match record.get("image_id") {
        Some(Value::String(name)) if image.name.is_none() => image = ImageKey::id_text(name),
        Some(value) => image.id = whole(value).or(image.id),
        None => {}
    }
    if image == ImageKey::default() {
        return Err("no `image_id` and no `file_name`: add one".to_owned());
    }
    // A name is more reliable than a number, which may be shifted against the project's.
    let name = text(&["category_name", "class_name"]).map(|name| ClassKey::Name(name.to_owned()));
    let class = match record.get("category_id") {
        _ if name.is_some() => name.unwrap_or(ClassKey::Unnamed),
        Some(Value::String(name)) => {
            name.trim().parse().map_or_else(|_| ClassKey::Name(name.clone()), ClassKey::Number)
        }
        Some(Value::Null) | None => {
            text(&["class", "label"]).map_or(ClassKey::Unnamed, |name| ClassKey::Name(name.to_owned()))
        }
        Some(value) => {
            ClassKey::Number(whole(value).ok_or_else(|| format!("`category_id` is {value}, not a whole number"))?)
        }
    };
    let score = match record.get("score").or_else(|| record.get("confidence")) {
        None | Some(Value::Null) => None,
        Some(value) => Some(number(value).ok_or_else(|| format!("the score is {value}, not a number"))?),
    };
    let bbox = record.get("bbox").ok_or("no `bbox`: add `[x, y, width, height]`")?;
    let [x, y, w, h] = numbers(bbox).ok_or_else(|| format!("`bbox` is {bbox}: expected `[x, y, width, height]`"))?;
    if w <= 0.0 || h <= 0.0 {
        return Err(format!("the box is {w} wide and {h} high; both must be above 0"));
    }
    let shape = match record.get("ellipse").and_then(numbers) {
        Some([cx, cy, ra, rb, theta]) => Shape::Ellipse(Ellipse::new(ra, rb, theta, cx, cy)),
        None => Shape::Rectangle(BoundingBox::from_xywh(x, y, w, h)),
    };
    Ok((image, class, shape, score))
}

fn number(value: &Value) -> Option<f64> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    number.is_finite().then_some(number)
}

fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| number(value).filter(|n| n.fract() == 0.0 && n.abs() < 9e15).map(|n| n as i64))
}

fn numbers<const N: usize>(value: &Value) -> Option<[f64; N]> {
    let numbers: Vec<f64> = value.as_array()?.iter().map(number).collect::<Option<_>>()?;
    numbers.try_into().ok()
}

/// Iterates over the objects of a list, or of concatenated objects, each with its first line: `serde_json` only reports the line of a
/// syntax error, but a record for an unknown image has to be reported with its line too.
struct Objects<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
    state: ListState,
}

#[derive(PartialEq)]
enum ListState {
    Start,
    /// In a list; an object or its end may come next.
    First,
    AfterComma,
    AfterObject,
    /// Without a list around them.
    Lines,
    End,
}

impl<'a> Objects<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, line: 1, state: ListState::Start }
    }

    /// Returns the next non-blank byte.
    fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.bytes.get(self.at).filter(|byte| byte.is_ascii_whitespace()) {
            self.line += usize::from(byte == b'\n');
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    fn object(&mut self) -> Result<(usize, &'a [u8]), (usize, String)> {
        let (start, line) = (self.at, self.line);
        let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
        while let Some(&byte) = self.bytes.get(self.at) {
            self.at += 1;
            self.line += usize::from(byte == b'\n');
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_text => escaped = true,
                b'"' => in_text = !in_text,
                b'{' | b'[' if !in_text => depth += 1,
                b'}' | b']' if !in_text => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Ok((line, self.bytes.get(start..self.at).unwrap_or_default()));
            }
        }
        Err(self.cut_off())
    }

    fn cut_off(&self) -> (usize, String) {
        (self.line, "the file is cut off here: it was written only in part. Write or copy it again".to_owned())
    }
}

impl<'a> Iterator for Objects<'a> {
    type Item = Result<(usize, &'a [u8]), (usize, String)>;

    fn next(&mut self) -> Option<Self::Item> {
        use ListState::{AfterComma, AfterObject, End, First, Lines, Start};
        loop {
            let byte = self.peek();
            self.state = match (&self.state, byte) {
                (End | Lines, None) => return None,
                (Start, Some(b'[')) => First,
                (First | AfterObject, Some(b']')) => End,
                (AfterObject, Some(b',')) => AfterComma,
                (Start | Lines, Some(b'{')) => {
                    self.state = Lines;
                    return Some(self.stopping_at_error());
                }
                (First | AfterComma, Some(b'{')) => {
                    self.state = AfterObject;
                    return Some(self.stopping_at_error());
                }
                (Start, None) => {
                    self.state = End;
                    return Some(Err((1, "the file is empty; a list without detections is `[]`".to_owned())));
                }
                (_, None) => {
                    self.state = End;
                    return Some(Err(self.cut_off()));
                }
                (_, Some(other)) => {
                    self.state = End;
                    self.at = self.bytes.len();
                    let problem = format!(
                        "found `{}` where a record `{{...}}` of a result list or its end is expected; correct the JSON there",
                        char::from(other).escape_default()
                    );
                    return Some(Err((self.line, problem)));
                }
            };
            self.at += 1;
        }
    }
}

impl<'a> Objects<'a> {
    fn stopping_at_error(&mut self) -> Result<(usize, &'a [u8]), (usize, String)> {
        let object = self.object();
        if object.is_err() {
            self.state = ListState::End;
        }
        object
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_come_with_their_lines_and_a_cut_list_is_told() {
        let check = |text: &str, lines: &[usize], problem: Option<&str>| {
            let found: Vec<_> = Objects::new(text.as_bytes()).collect();
            let good: Vec<usize> = found.iter().filter_map(|o| o.as_ref().ok().map(|(line, _)| *line)).collect();
            assert_eq!(good, lines, "{text}");
            let reported = found.iter().find_map(|o| o.as_ref().err().map(|(_, reported)| reported.clone()));
            assert_eq!(reported.is_some(), problem.is_some(), "{text}: {reported:?}");
            assert!(reported.unwrap_or_default().contains(problem.unwrap_or_default()), "{text}");
        };
        check("[]", &[], None);
        check(" [ ] \n", &[], None);
        check("[{\"a\": [1, {\"b\": \"}\\\"\"}]},\n\n {}]", &[1, 3], None);
        check("{}\n{}\n", &[1, 2], None);
        check("[{},\n{\"a\": 1", &[1], Some("cut off"));
        check("[{}", &[1], Some("cut off"));
        check("[{},", &[1], Some("cut off"));
        check("", &[], Some("empty"));
        check("[{} {}]", &[1], Some("found `{`"));
        check("[{},]", &[1], Some("found `]`"));
        check("[1]", &[], Some("found `1`"));
        check("[]]", &[], Some("found `]`"));
        check("{}]", &[1], Some("found `]`"));
    }
}
