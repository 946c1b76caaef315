//! COCO's `instances` JSON (<https://cocodataset.org/#format-data>): one file, or a folder with one file per split. Files are streamed:
//! only one box per annotation is kept.

mod extent;
mod records;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use self::records::{AnnotationRecord, CategoryRecord, ImageRecord, Taker};
use super::draft::{Draft, DraftImage, DraftObject};
use super::image_files::{ImageFiles, shortened};
use super::json_lines::List;
use super::json_values::{Numbers, head_of};
use super::layout::{absolute, json_files, root_of, split_in_name};
use super::skipped::{Place, Skipped, bad_record};
use super::{Format, ReadOptions};
use crate::dataset::{DatasetError, ImportedDataset, LikeCorners};
use crate::domain::{Cancel, Progress, Shape, printable_path};
use crate::geometry::{BoundingBox, Ellipse};

/// COCO's `instances`.
#[derive(Debug)]
pub struct Coco;

impl Format for Coco {
    fn name(&self) -> &'static str {
        "coco"
    }

    fn recognise(&self, path: &Path) -> Option<String> {
        if path.is_file() {
            return looks_like_coco(path).then(|| "a JSON file with COCO's images and annotations".to_owned());
        }
        let file = annotation_files(path).ok()?.into_iter().next()?;
        Some(format!("{} has COCO's images and annotations", file.strip_prefix(path).unwrap_or(&file).display()))
    }

    fn read(
        &self,
        path: &Path,
        options: &ReadOptions,
        progress: &mut dyn FnMut(Progress),
        cancel: &Cancel,
    ) -> Result<ImportedDataset, DatasetError> {
        let path = absolute(path)?;
        let files = if path.is_file() { vec![path.clone()] } else { annotation_files(&path)? };
        if files.is_empty() {
            let problem = "no COCO file in it or in its annotations/: name the JSON file itself";
            return Err(DatasetError::layout(&path, problem));
        }
        let mut draft = Draft::new(root_of(&path, options, &["annotations"])?, options);
        let mut splits = Vec::new();
        let total = files.len() as u64;
        for (k, file) in files.iter().enumerate() {
            progress(Progress { what: "Reading annotations".into(), done: k as u64, total });
            let split = split_of(file, &path, files.len());
            splits.extend(split.clone());
            if options.split.is_none() || split.is_none() || split == options.split {
                read_file(file, split.as_deref(), &mut draft, cancel)?;
            }
        }
        draft.keep_split(options, splits)?;
        draft.finish("coco", options, progress, cancel)
    }
}

fn looks_like_coco(file: &Path) -> bool {
    let Some(head) = head_of(file) else { return false };
    let text = String::from_utf8_lossy(&head);
    let has = |key: &str| text.contains(&format!("\"{key}\""));
    text.trim_start().starts_with('{')
        && !has("shapes")
        && (has("images") || has("image_id") || has("categories") && has("annotations"))
}

/// Returns the COCO files of a folder: in it, in `annotations/`, or one in each subfolder (`train/_annotations.coco.json`). Captions and
/// keypoints are skipped if there are instances.
fn annotation_files(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let name = |file: &PathBuf| file.file_name().map_or(String::new(), |name| name.to_string_lossy().to_lowercase());
    let others = ["captions_", "person_keypoints_", "image_info_", "panoptic_", "stuff_"];
    for depth in [0, 1] {
        let mut found = json_files(folder, depth)?;
        if found.iter().any(|file| name(file).starts_with("instances")) {
            found.retain(|file| name(file).starts_with("instances"));
        }
        found.retain(|file| !others.iter().any(|other| name(file).starts_with(other)) && looks_like_coco(file));
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

/// Returns `train` for `instances_train2017.json` and `train/_annotations.coco.json`; the file's own name if several have no split word.
fn split_of(file: &Path, path: &Path, files: usize) -> Option<String> {
    let stem = file.file_stem()?.to_string_lossy().into_owned();
    let folder = file.parent().filter(|folder| *folder != path).and_then(Path::file_name);
    let folder = folder.and_then(|name| split_in_name(&name.to_string_lossy()));
    split_in_name(&stem).or(folder).or((files > 1).then_some(stem))
}

fn read_file(file: &Path, split: Option<&str>, draft: &mut Draft, cancel: &Cancel) -> Result<(), DatasetError> {
    let mut taken = Taken::new(file);
    let lists = records::read(file, &mut taken, cancel)?;
    let missing_list = match (lists.images, lists.categories || taken.annotations.is_empty()) {
        (false, _) => Some("images"),
        (true, false) => Some("categories"),
        (true, true) => None,
    };
    if let Some(list) = missing_list {
        let problem = format!("it has no list `{list}`: name a COCO file with images, annotations and categories");
        return Err(DatasetError::layout(file, problem));
    }
    if lists.images && !lists.annotations {
        draft.warnings.push(format!("{} has no annotations: all of its images are without objects.", file.display()));
    }
    taken.move_into(draft, split)
}

/// Returns the folders that `file_name` may be relative to.
fn bases(file: &Path, split: Option<&str>, root: &Path) -> Vec<PathBuf> {
    let own = file.parent().and_then(|folder| folder.strip_prefix(root).ok()).map(Path::to_path_buf);
    let stem = file.file_stem().map_or(String::new(), |stem| stem.to_string_lossy().into_owned());
    let dated = stem.rsplit('_').next().unwrap_or("").to_owned();
    let mut bases = Vec::new();
    bases.extend(own.filter(|own| !own.ends_with("annotations")));
    for name in [dated.as_str(), split.unwrap_or("")].into_iter().filter(|name| !name.is_empty()) {
        bases.extend([PathBuf::from(name), Path::new("images").join(name), Path::new(name).join("images")]);
    }
    bases.extend(["images", "JPEGImages", "data", ""].map(PathBuf::from));
    bases
}

/// An image record, before its file is searched.
struct TakenImage {
    name: String,
    declared: Option<(u32, u32)>,
    split: Option<String>,
    index: u32,
    objects: Vec<DraftObject>,
}

/// An annotation waiting for its image and category, which may follow later in the file.
struct TakenAnnotation {
    id: Option<i64>,
    image: i64,
    category: i64,
    object: DraftObject,
}

/// Number of annotations per chunk.
const PART: usize = 1 << 16;

/// The records of one file.
struct Taken<'a> {
    file: &'a Path,
    images: Vec<TakenImage>,
    image_of: HashMap<i64, u32>,
    /// In chunks, each of which is freed once its objects are assigned to images.
    annotations: Vec<Vec<TakenAnnotation>>,
    categories: Vec<(i64, String)>,
    bad: Vec<Skipped>,
}

impl<'a> Taken<'a> {
    fn new(file: &'a Path) -> Self {
        let (images, image_of, annotations, categories) = Default::default();
        Self { file, images, image_of, annotations, categories, bad: Vec::new() }
    }

    fn bad(&mut self, list: List, index: u32, problem: impl Into<String>) {
        self.bad.push(bad_record(self.file, Place::Record(list, index), problem.into()));
    }

    #[expect(clippy::indexing_slicing, reason = "`image_of` holds indices into `images`")]
    fn move_into(mut self, draft: &mut Draft, split: Option<&str>) -> Result<(), DatasetError> {
        let file = draft.file(self.file);
        let mut classes: HashMap<i64, u32> = HashMap::new();
        let mut ids: HashMap<&str, i64> = HashMap::new();
        for (id, name) in &self.categories {
            if let Some(first) = ids.insert(name, *id) {
                draft.warnings.push(format!(
                    "{}: categories {first} and {id} are both called '{}': they are read as one class.",
                    printable_path(self.file),
                    shortened(name)
                ));
            }
            classes.insert(*id, draft.classes.id(name));
        }
        let annotations = std::mem::take(&mut self.annotations);
        let (mut taken, mut corners) = (TakenIds::new(&annotations), LikeCorners::default());
        for TakenAnnotation { id, image, category, mut object } in annotations.into_iter().flatten() {
            let Place::Record(list, index) = object.place else { continue };
            if let Some(id) = id.filter(|&id| taken.is_again(id)) {
                self.bad(list, index, format!("id {id} is taken by an earlier annotation: give each its own id"));
                continue;
            }
            match (self.image_of.get(&image), classes.get(&category)) {
                (None, _) => self.bad(list, index, format!("image_id {image} is in no record of `images`")),
                (_, None) => self.bad(list, index, format!("category_id {category} is in no record of `categories`")),
                (Some(&image), Some(&class)) => {
                    object.class = class;
                    let image = &mut self.images[image as usize];
                    corners.look(image.declared, &object.shape);
                    image.objects.push(object);
                }
            }
        }
        draft.problems.add_all(self.bad)?;
        draft.warnings.extend(corners.warning(self.file));
        let mut files = ImageFiles::new(&draft.root, bases(self.file, split, &draft.root));
        for image in self.images {
            let place = Place::Record(List::Images, image.index);
            if let Some(path) = draft.found(files.locate(&image.name), file, place)? {
                let split = image.split.or_else(|| split.map(str::to_owned));
                let TakenImage { declared, objects, .. } = image;
                draft.images.push(DraftImage { path, split, declared, file, objects });
            }
        }
        Ok(())
    }
}

/// The annotation ids seen so far. Most files have them in ascending order, which excludes duplicates and needs no storage.
struct TakenIds(Option<HashSet<i64>>);

impl TakenIds {
    fn new(annotations: &[Vec<TakenAnnotation>]) -> Self {
        let ids = annotations.iter().flatten().filter_map(|annotation| annotation.id);
        Self((!ids.is_sorted_by(|a, b| a < b)).then(HashSet::new))
    }

    /// Whether this id was seen before.
    fn is_again(&mut self, id: i64) -> bool {
        self.0.as_mut().is_some_and(|ids| !ids.insert(id))
    }
}

const NO_OBJECT: &str = "expected an object {...}";

impl Taker for Taken<'_> {
    fn image(&mut self, index: u32, record: Option<ImageRecord>) {
        let Some(record) = record else { return self.bad(List::Images, index, NO_OBJECT) };
        let Some(id) = record.id.id() else {
            return self.bad(List::Images, index, format!("id is {}; expected an integer", record.id));
        };
        let Some(name) = record.file_name.text().map(str::to_owned) else {
            return self.bad(List::Images, index, format!("file_name is {}; expected text", record.file_name));
        };
        if self.image_of.contains_key(&id) {
            let problem = format!("id {id} is taken by an earlier image; '{}' is skipped", shortened(&name));
            return self.bad(List::Images, index, problem);
        }
        let declared = record.width.size().zip(record.height.size());
        if declared.is_none() && !(record.width.is_missing() && record.height.is_missing()) {
            let (width, height) = (&record.width, &record.height);
            let problem = format!("width is {width} and height is {height}; expected integers above 0");
            return self.bad(List::Images, index, problem);
        }
        self.image_of.insert(id, self.images.len() as u32);
        let split = record.split.text().map(str::to_owned);
        self.images.push(TakenImage { name, declared, split, index, objects: Vec::new() });
    }

    fn annotation(&mut self, index: u32, record: Option<AnnotationRecord>) {
        const LIST: List = List::Annotations;
        let Some(record) = record else { return self.bad(LIST, index, NO_OBJECT) };
        let Some(image) = record.image_id.id() else {
            return self.bad(LIST, index, format!("image_id is {}; expected an integer", record.image_id));
        };
        let Some(category) = record.category_id.id() else {
            let hint = record
                .other_form
                .map_or(String::new(), |form| format!(". The file holds {form}: import COCO's file of instances"));
            return self.bad(LIST, index, format!("category_id is {}; expected an integer{hint}", record.category_id));
        };
        match shape_of(&record) {
            Err(problem) => self.bad(LIST, index, problem),
            Ok(shape) => {
                let ignored = record.is_crowd || record.ignore;
                let object = DraftObject { class: 0, shape, sides: None, ignored, place: Place::Record(LIST, index) };
                let taken = TakenAnnotation { id: record.id.id(), image, category, object };
                match self.annotations.last_mut().filter(|part| part.len() < PART) {
                    Some(part) => part.push(taken),
                    None => self.annotations.push(vec![taken]),
                }
            }
        }
    }

    fn category(&mut self, index: u32, record: Option<CategoryRecord>) {
        const LIST: List = List::Categories;
        let Some(record) = record else { return self.bad(LIST, index, NO_OBJECT) };
        let Some(id) = record.id.id() else {
            return self.bad(LIST, index, format!("id is {}; expected an integer", record.id));
        };
        match record.name.text().map(str::trim).filter(|name| !name.is_empty()) {
            None => self.bad(LIST, index, format!("name is {}; expected text", record.name)),
            Some(_) if self.categories.iter().any(|(known, _)| *known == id) => {
                self.bad(LIST, index, format!("id {id} is taken by an earlier category"));
            }
            Some(name) => self.categories.push((id, name.to_owned())),
        }
    }
}

fn shape_of(record: &AnnotationRecord) -> Result<Shape, String> {
    if let Some(Numbers(Some(values))) = &record.ellipse
        && let &[ra, rb, theta, cx, cy] = values.as_slice()
    {
        return Ok(Shape::Ellipse(Ellipse::new(ra, rb, theta, cx, cy)));
    }
    match &record.bbox {
        Some(Numbers(Some(values))) => match *values.as_slice() {
            [_, _, w, h] if w <= 0.0 || h <= 0.0 => Err(format!("bbox is {w} wide and {h} high; both must be above 0")),
            [x, y, w, h] => Ok(Shape::Rectangle(BoundingBox::from_xywh(x, y, w, h))),
            _ => Err(format!("bbox has {} numbers; expected 4: x, y, width, height", values.len())),
        },
        Some(Numbers(None)) => Err("bbox is not a list of 4 finite numbers".to_owned()),
        None => match record.extent.bounding_box() {
            Some(bbox) => Ok(Shape::Rectangle(bbox)),
            None => Err("it has no bbox and no segmentation with an area".to_owned()),
        },
    }
}
