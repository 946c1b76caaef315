//! The result of every importer: images with their objects, the class names, and a summary of what was found, what was skipped and which
//! records are bad.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::DatasetError;
use crate::domain::{Shape, check_shape, counted, counted_as, printable, printable_line, printable_path, shown_path};

/// One annotated object of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImportedObject {
    /// Index into [`ImportedDataset::classes`].
    pub class: u32,
    /// In pixels of the upright image (EXIF orientation applied), continuous: the top-left corner of the first pixel is 0, 0.
    pub shape: Shape,
    /// Excluded from training and from the counts (COCO's `iscrowd`, Pascal VOC's `difficult`, WIDER FACE's `invalid`).
    pub ignored: bool,
}

/// One image of a dataset with its annotated objects.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedImage {
    /// The name in the dataset's own lists, e.g. FDDB's `2002/08/11/big/img_591`; without lists the relative path.
    pub name: String,
    /// Relative to the dataset's root.
    pub path: PathBuf,
    /// blake3 of the file's bytes, lower-case hex.
    pub content_hash: String,
    /// Pixels after EXIF orientation.
    pub width: u32,
    pub height: u32,
    /// The split of the image: `train`, `val`, FDDB's folds `1` to `10`.
    pub split: Option<String>,
    /// Empty for an image without objects.
    pub objects: Vec<ImportedObject>,
}

/// A dataset as read from its folder; nothing is stored yet.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedDataset {
    /// The folder's name.
    pub name: String,
    /// The format's name: `coco`, `voc`, `fddb`, `folder`, `sample` ...
    pub kind: &'static str,
    /// Absolute path.
    pub root: PathBuf,
    /// Unique names in the dataset's own order. Empty if nothing is annotated.
    pub classes: Vec<String>,
    /// In the order of the dataset's own lists, or by path.
    pub images: Vec<ImportedImage>,
    pub summary: ImportSummary,
}

impl ImportedDataset {
    pub(super) fn new(
        kind: &'static str,
        root: PathBuf,
        classes: Vec<String>,
        mut images: Vec<ImportedImage>,
        mut left_out: LeftOut,
    ) -> Self {
        for image in &mut images {
            left_out.remove_invalid_shapes(image);
        }
        let name = root.file_name().map_or_else(|| kind.to_owned(), |name| name.to_string_lossy().into_owned());
        let summary = ImportSummary { format: kind.to_owned(), ..ImportSummary::of(&classes, &images, left_out) };
        Self { name, kind, root, classes, images, summary }
    }

    /// Updates the counts in the summary after objects or classes were changed.
    pub(super) fn with_counts_updated(self) -> Self {
        let Self { name, kind, root, classes, images, summary } = self;
        let counted = ImportSummary::of(&classes, &images, LeftOut::default());
        let ImportSummary {
            images: count,
            objects,
            faces,
            ignored,
            background_images,
            classes: of_classes,
            splits,
            ..
        } = counted;
        let summary = ImportSummary {
            images: count,
            objects,
            faces,
            ignored,
            background_images,
            classes: of_classes,
            splits,
            ..summary
        };
        Self { name, kind, root, classes, images, summary }
    }

    /// Returns the images of one split, without the reports on others. Fails if there is no such split.
    pub(super) fn only_split(self, wanted: &str) -> Result<Self, DatasetError> {
        let Self { name, kind, root, classes, mut images, summary } = self;
        if !summary.splits.contains_key(wanted) {
            let known = if summary.splits.is_empty() { "no splits".to_owned() } else { by_name(&summary.splits) };
            let problem = format!("there is no split `{wanted}`; it has {known}");
            return Err(DatasetError::layout(&root, problem));
        }
        images.retain(|image| image.split.as_deref() == Some(wanted));
        let ImportSummary { missing, unreadable, duplicates, bad_records, shapes, warnings, .. } = summary;
        let left_out = LeftOut { missing, unreadable, duplicates, bad_records, shapes, warnings };
        Ok(Self { name, ..Self::new(kind, root, classes, images, left_out) })
    }
}

/// A skipped or doubtful record of an annotation file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadRecord {
    /// As the user named it, or below that folder.
    #[serde(serialize_with = "shown_path")]
    pub file: PathBuf,
    /// From 1; `None` if the format has no lines (the record then identifies itself).
    pub line: Option<usize>,
    /// What is wrong and what to do, without the file's name.
    pub problem: String,
}

impl fmt::Display for BadRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", printable_path(&self.file), printable_line(&self.problem)),
            None => write!(f, "{}: {}", printable_path(&self.file), printable_line(&self.problem)),
        }
    }
}

/// What an importer had to skip.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    pub missing: Vec<String>,
    pub unreadable: Vec<(String, String)>,
    pub duplicates: Vec<(String, String)>,
    pub bad_records: Vec<BadRecord>,
    pub shapes: Vec<(String, String)>,
    pub warnings: Vec<String>,
}

impl LeftOut {
    /// Removes invalid objects from the image. Those that extend beyond its border are kept as annotated: training clips their boxes.
    fn remove_invalid_shapes(&mut self, image: &mut ImportedImage) {
        image.objects.retain(|object| match check_shape(&object.shape, image.width, image.height) {
            Ok(()) => true,
            Err(problem) => {
                self.shapes.push((image.name.clone(), problem.to_string()));
                false
            }
        });
    }
}

/// What was found, and what was skipped and why.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ImportSummary {
    /// The format's name.
    pub format: String,
    /// Why this format was detected, if it was not specified.
    pub recognised: Option<String>,
    pub images: usize,
    /// Including ignored ones.
    pub objects: usize,
    /// Number of objects of class `face`, under the key that scripts of the first version read.
    pub faces: usize,
    pub ignored: usize,
    /// Images without any object.
    pub background_images: usize,
    /// Number of objects by class, including ignored ones; includes classes without objects.
    pub classes: BTreeMap<String, usize>,
    /// Split -> images.
    pub splits: BTreeMap<String, usize>,
    /// Listed images that do not exist; skipped.
    pub missing: Vec<String>,
    /// Name and reason; skipped.
    pub unreadable: Vec<(String, String)>,
    /// Pairs of names whose files have the same bytes: the later one, then the earlier one.
    pub duplicates: Vec<(String, String)>,
    /// Image and reason for each object skipped because of an invalid shape (`domain/valid_shape.rs`).
    pub shapes: Vec<(String, String)>,
    /// Skipped records in file order.
    pub bad_records: Vec<BadRecord>,
    /// Complete sentences, ready to show.
    pub warnings: Vec<String>,
}

impl ImportSummary {
    fn of(class_names: &[String], images: &[ImportedImage], left_out: LeftOut) -> Self {
        let mut splits = BTreeMap::new();
        for split in images.iter().filter_map(|image| image.split.as_ref()) {
            match splits.get_mut(split) {
                Some(count) => *count += 1,
                None => drop(splits.insert(split.clone(), 1)),
            }
        }
        let mut counts = vec![0; class_names.len()];
        for object in images.iter().flat_map(|image| &image.objects) {
            if let Some(count) = counts.get_mut(object.class as usize) {
                *count += 1;
            }
        }
        let classes: BTreeMap<String, usize> = class_names.iter().cloned().zip(counts).collect();
        let LeftOut { missing, unreadable, duplicates, bad_records, shapes, warnings } = left_out;
        Self {
            format: String::new(),
            recognised: None,
            images: images.len(),
            objects: classes.values().sum(),
            faces: classes.get("face").copied().unwrap_or(0),
            ignored: images.iter().flat_map(|image| &image.objects).filter(|object| object.ignored).count(),
            background_images: images.iter().filter(|image| image.objects.is_empty()).count(),
            classes,
            splits,
            missing,
            unreadable,
            duplicates,
            bad_records,
            shapes,
            warnings,
        }
    }
}

/// Maximum number of classes and splits named in a summary before `…`.
const NAMES_SHOWN: usize = 20;

/// A few lines for a terminal or a window: counts first, then what was skipped, at most three names of each kind.
impl fmt::Display for ImportSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let only_faces = self.classes.len() == 1 && self.classes.contains_key("face");
        let object = if only_faces { "face" } else { "object" };
        write!(f, "{}, {}", counted(self.images, "image"), counted(self.objects, object))?;
        if self.ignored > 0 {
            write!(f, " ({} ignored)", self.ignored)?;
        }
        if let Some(why) = &self.recognised {
            write!(f, "\nRead as {}: {why}", self.format)?;
        }
        if !self.classes.is_empty() && !only_faces {
            write!(f, "\nClasses: {}", by_name(&self.classes))?;
        }
        if !self.splits.is_empty() {
            write!(f, "\nSplits: {}", by_name(&self.splits))?;
        }
        for warning in &self.warnings {
            write!(f, "\n{}", printable_line(warning))?;
        }
        listed(
            f,
            self.bad_records.len(),
            ["bad record, skipped", "bad records, skipped"],
            self.bad_records.iter(),
            "\n  ",
        )?;
        let described = |(name, why): &(String, String)| format!("{} ({})", printable(name), printable_line(why));
        listed(
            f,
            self.shapes.len(),
            ["object left out because of its shape", "objects left out because of their shape"],
            self.shapes.iter().map(described),
            " ",
        )?;
        let unreadable = self.unreadable.iter().map(described);
        listed(f, self.unreadable.len(), ["unreadable, left out"; 2], unreadable, " ")?;
        let same =
            self.duplicates.iter().map(|(later, earlier)| format!("{} = {}", printable(later), printable(earlier)));
        listed(f, self.duplicates.len(), ["with the same bytes as an earlier one"; 2], same, " ")
    }
}

/// Formats `car: 3, person: 12`; numbers (FDDB's folds) in numeric order.
fn by_name(counts: &BTreeMap<String, usize>) -> String {
    let mut sorted: Vec<(&String, &usize)> = counts.iter().collect();
    sorted.sort_by_key(|(name, _)| name.parse::<u32>().unwrap_or(u32::MAX));
    let shown: Vec<String> =
        sorted.iter().take(NAMES_SHOWN).map(|(name, count)| format!("{}: {count}", printable(name))).collect();
    let more = if counts.len() > NAMES_SHOWN { format!(", … ({} in all)", counts.len()) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

/// Returns the first three skipped entries.
fn listed(
    f: &mut fmt::Formatter<'_>,
    count: usize,
    [one, many]: [&str; 2],
    entries: impl Iterator<Item = impl fmt::Display>,
    before: &str,
) -> fmt::Result {
    if count == 0 {
        return Ok(());
    }
    write!(f, "\n{}:", counted_as(count, one, many))?;
    for (k, entry) in entries.take(3).enumerate() {
        write!(f, "{}{before}{entry}", if k > 0 && before == " " { "," } else { "" })?;
    }
    if count > 3 { write!(f, "{before}…") } else { Ok(()) }
}
