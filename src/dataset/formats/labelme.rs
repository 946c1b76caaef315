//! labelme's JSON (<https://github.com/wkentaro/labelme>), one file per image: rectangles, circles, and the bounding boxes of polygons.

use std::collections::{BTreeMap, HashMap};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess};
use serde_json::Value;

use super::batches::read_in_batches;
use super::draft::{Draft, DraftImage, DraftObject, Sides};
use super::image_files::{ImageFiles, Located, shortened};
use super::json_lines::List;
use super::json_values::{OneRecord, Record, Scalar, head_of, json_error};
use super::layout::{absolute, files_below, files_in, folders_in, root_of, split_in_name};
use super::skipped::{Place, Skipped, bad_file, bad_record};
use super::{Format, ReadOptions};
use crate::dataset::{DatasetError, ImportedDataset};
use crate::domain::{Cancel, Progress, Shape, limits, read_text_bytes, text_bytes};
use crate::geometry::{BoundingBox, Ellipse};

/// labelme.
#[derive(Debug)]
pub struct Labelme;

impl Format for Labelme {
    fn name(&self) -> &'static str {
        "labelme"
    }

    fn recognise(&self, path: &Path) -> Option<String> {
        if path.is_file() {
            return is_labelme_file(path).then(|| "a JSON file with labelme's shapes".to_owned());
        }
        let folders = std::iter::once(path.to_path_buf()).chain(folders_in(path).ok()?);
        let file = folders
            .filter_map(|folder| files_in(&folder, &["json"]).ok())
            .find_map(|files| files.into_iter().take(3).find(|file| is_labelme_file(file)))?;
        Some(format!("{} has labelme's shapes", file.strip_prefix(path).unwrap_or(&file).display()))
    }

    fn read(
        &self,
        path: &Path,
        options: &ReadOptions,
        progress: &mut dyn FnMut(Progress),
        cancel: &Cancel,
    ) -> Result<ImportedDataset, DatasetError> {
        let path = absolute(path)?;
        let files = if path.is_file() { vec![path.clone()] } else { files_below(&path, &["json"])? };
        if files.is_empty() {
            return Err(DatasetError::layout(&path, "no JSON file in it: name the folder of labelme's files"));
        }
        let mut draft = Draft::new(root_of(&path, options, &[])?, options);
        read_files(&mut draft, &files, progress, cancel)?;
        draft.keep_split(options, Vec::new())?;
        draft.finish("labelme", options, progress, cancel)
    }
}

fn is_labelme_file(file: &Path) -> bool {
    let is_json = file.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
    is_json
        && head_of(file).is_some_and(|head| {
            let text = String::from_utf8_lossy(&head);
            text.contains("\"shapes\"") && text.trim_start().starts_with('{')
        })
}

#[derive(Debug, Default)]
struct LabelmeFile {
    image_path: Scalar,
    width: Scalar,
    height: Scalar,
    shapes: Option<Value>,
}

impl Record for LabelmeFile {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "imagePath" => self.image_path = map.next_value()?,
            "imageWidth" => self.width = map.next_value()?,
            "imageHeight" => self.height = map.next_value()?,
            "shapes" => self.shapes = Some(map.next_value()?),
            // Mainly `imageData`, the whole image in base64.
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Annotated {
    name: Option<String>,
    declared: Option<(u32, u32)>,
    objects: Vec<(String, DraftObject)>,
    bad: Vec<Skipped>,
    /// Number of unsupported shapes, by type.
    unused: BTreeMap<String, usize>,
    is_unusable: bool,
}

fn read_files(
    draft: &mut Draft,
    files: &[PathBuf],
    progress: &mut dyn FnMut(Progress),
    cancel: &Cancel,
) -> Result<(), DatasetError> {
    const BATCH: usize = 256;
    let mut unused: BTreeMap<String, usize> = BTreeMap::new();
    let mut finders: HashMap<PathBuf, ImageFiles> = HashMap::new();
    let take = |file: &Path, mut annotated: Annotated| {
        for (kind, count) in std::mem::take(&mut annotated.unused) {
            *unused.entry(kind).or_insert(0) += count;
        }
        add(draft, &mut finders, file, annotated)
    };
    read_in_batches(files, BATCH, progress, cancel, read_file, take)?;
    if !unused.is_empty() {
        let unused: Vec<String> = unused.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        draft.warnings.push(format!("Skipped shapes without a box: {}.", unused.join(", ")));
    }
    Ok(())
}

fn add(
    draft: &mut Draft,
    finders: &mut HashMap<PathBuf, ImageFiles>,
    file: &Path,
    annotated: Annotated,
) -> Result<(), DatasetError> {
    draft.problems.add_all(annotated.bad)?;
    if annotated.is_unusable {
        return Ok(());
    }
    let root = draft.root.clone();
    let own = file.parent().and_then(|folder| folder.strip_prefix(&root).ok()).map(Path::to_path_buf);
    let stem = file.file_stem().map_or(String::new(), |stem| stem.to_string_lossy().into_owned());
    let name = annotated.name.unwrap_or_else(|| stem.clone());
    let files = finders.entry(own.clone().unwrap_or_default()).or_insert_with(|| {
        let bases: Vec<PathBuf> = own.clone().into_iter().chain(["images".into(), PathBuf::new()]).collect();
        ImageFiles::new(&root, bases)
    });
    let located = match files.locate(&name) {
        Ok(Located::Found(path)) => Ok(Located::Found(path)),
        // The image may have been moved next to its file, under its own name or the file's.
        other => {
            let own_name = name.rsplit(['/', '\\']).next().unwrap_or(&name);
            let stem = other.is_ok().then_some(stem.as_str());
            let nearby = std::iter::once(own_name).chain(stem).find_map(|name| match files.locate(name) {
                Ok(Located::Found(path)) => Some(Located::Found(path)),
                _ => None,
            });
            nearby.map_or(other, Ok)
        }
    };
    let index = draft.file(file);
    if let Some(path) = draft.found(located, index, Place::File)? {
        let objects = annotated.objects.into_iter();
        let objects =
            objects.map(|(class, object)| DraftObject { class: draft.classes.id(&class), ..object }).collect();
        let split = own.and_then(|own| own.iter().find_map(|part| split_in_name(&part.to_string_lossy())));
        draft.images.push(DraftImage { path, split, declared: annotated.declared, file: index, objects });
    }
    Ok(())
}

fn read_file(file: &Path) -> Annotated {
    let mut annotated = Annotated::default();
    let read = || -> Result<Option<LabelmeFile>, DatasetError> {
        let bytes = read_text_bytes(file, limits::TEXT)?;
        let mut json = serde_json::Deserializer::from_reader(BufReader::new(text_bytes(file, &bytes)?));
        let read = OneRecord::default().deserialize(&mut json).and_then(|read| json.end().map(|()| read));
        read.map_err(|error| json_error(file, &error))
    };
    match read() {
        Ok(Some(LabelmeFile { image_path, width, height, shapes: Some(Value::Array(shapes)) })) => {
            annotated.name = image_path.text().map(str::to_owned);
            annotated.declared = width.size().zip(height.size());
            for (k, shape) in shapes.iter().enumerate() {
                add_shape(file, k as u32, shape, &mut annotated);
            }
        }
        Ok(_) => {
            annotated.is_unusable = true;
            let problem = "it has no list `shapes`: this is not a labelme file".to_owned();
            annotated.bad.push(bad_record(file, Place::File, problem));
        }
        Err(error) => {
            annotated.is_unusable = true;
            annotated.bad.push(bad_file(file, &error));
        }
    }
    annotated
}

fn add_shape(file: &Path, index: u32, shape: &Value, annotated: &mut Annotated) {
    let place = Place::Record(List::Shapes, index);
    let mut bad = |problem: String| annotated.bad.push(bad_record(file, place, problem));
    let Some(class) = shape["label"].as_str().map(str::trim).filter(|label| !label.is_empty()) else {
        return bad("it has no label".to_owned());
    };
    let points: Option<Vec<(f64, f64)>> = shape["points"]
        .as_array()
        .and_then(|points| points.iter().map(|point| Some((point[0].as_f64()?, point[1].as_f64()?))).collect());
    let Some(points) = points else { return bad("points is not a list of pairs of numbers".to_owned()) };
    let kind = shape["shape_type"].as_str().unwrap_or("polygon");
    let found = match (kind, points.as_slice()) {
        ("rectangle", &[(x1, y1), (x2, y2)]) => Shape::Rectangle(BoundingBox::new(x1, y1, x2, y2)),
        // The centre and a point on the circle.
        ("circle", &[(cx, cy), (x, y)]) => {
            let radius = (x - cx).hypot(y - cy);
            Shape::Ellipse(Ellipse::new(radius, radius, 0.0, cx, cy))
        }
        ("rectangle" | "circle", points) => {
            return bad(format!("a {kind} has 2 points, found {}", points.len()));
        }
        ("polygon" | "rotation" | "oriented_rectangle", points) if points.len() >= 3 => box_of(points),
        ("polygon", points) => return bad(format!("a polygon has at least 3 points, found {}", points.len())),
        // The corners of a mask.
        ("mask", points) if points.len() == 2 => box_of(points),
        (other, _) => return *annotated.unused.entry(shortened(other)).or_insert(0) += 1,
    };
    let sides = match (kind, points.as_slice()) {
        ("rotation" | "oriented_rectangle", &[a, b, c, d]) => Some(Sides::of_corners([a, b, c, d])),
        _ => None,
    };
    let flags = &shape["flags"];
    let ignored = ["ignored", "difficult", "iscrowd"].iter().any(|flag| flags[flag].as_bool().unwrap_or(false));
    annotated.objects.push((class.to_owned(), DraftObject { class: 0, shape: found, sides, ignored, place }));
}

fn box_of(points: &[(f64, f64)]) -> Shape {
    let least = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).fold(f64::MAX, f64::min);
    let most = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).fold(f64::MIN, f64::max);
    Shape::Rectangle(BoundingBox::new(least(|p| p.0), least(|p| p.1), most(|p| p.0), most(|p| p.1)))
}
