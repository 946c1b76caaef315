//! The result of an annotation reader before any image is opened, and the second half of every import: hashes and measures images, converts
//! coordinates to pixels of the upright image, and reports invalid shapes.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::image_files::{Located, shortened};
use super::skipped::{Place, Problems};
use super::upright::Upright;
use super::{ExifRule, ReadOptions};
use crate::dataset::images::{Probe, SeenContent, probe_all};
use crate::dataset::imported::LeftOut;
use crate::dataset::{DatasetError, ImportedDataset, ImportedImage, ImportedObject};
use crate::domain::{Cancel, Progress, Shape, check_shape, check_sides, counted, counted_as, printable};

/// Class names in order of first occurrence.
#[derive(Debug, Default)]
pub(super) struct Classes {
    names: Vec<String>,
    index: HashMap<String, u32>,
}

impl Classes {
    pub fn id(&mut self, name: &str) -> u32 {
        if let Some(&known) = self.index.get(name) {
            return known;
        }
        let id = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.index.insert(name.to_owned(), id);
        id
    }
}

/// An object as in the file, not yet upright.
#[derive(Debug, Clone, Copy)]
pub(super) struct DraftObject {
    pub class: u32,
    /// In pixels, or in fractions of the image's width and height if [`Draft::fractions`] is set.
    pub shape: Shape,
    /// Set if `shape` is the box around a rotated rectangle.
    pub sides: Option<Sides>,
    pub ignored: bool,
    pub place: Place,
}

/// Two neighbouring sides of a rotated rectangle, as vectors in the unit of the shape: it may be too thin where the box around it is not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sides([(f64, f64); 2]);

impl Sides {
    /// Of a rectangle of this size before its rotation.
    pub fn of_size(width: f64, height: f64) -> Self {
        Self([(width, 0.0), (0.0, height)])
    }

    /// Of a rectangle with these corners, in order around it.
    pub fn of_corners([a, b, c, _]: [(f64, f64); 4]) -> Self {
        Self([(b.0 - a.0, b.1 - a.1), (c.0 - b.0, c.1 - b.1)])
    }

    /// Returns the lengths in pixels, if a unit is this many pixels.
    fn lengths(self, (x, y): (f64, f64)) -> (f64, f64) {
        let [width, height] = self.0.map(|(dx, dy)| (dx * x).hypot(dy * y));
        (width, height)
    }
}

/// An existing image named by the annotation.
#[derive(Debug)]
pub(super) struct DraftImage {
    /// Relative to the root.
    pub path: PathBuf,
    pub split: Option<String>,
    /// Width and height according to the annotation.
    pub declared: Option<(u32, u32)>,
    /// Index into [`Draft::files`] of its annotation file.
    pub file: u32,
    pub objects: Vec<DraftObject>,
}

/// A dataset after only its annotation files were read.
#[derive(Debug)]
pub(super) struct Draft {
    /// Absolute, links resolved.
    pub root: PathBuf,
    /// Whether the user named `root`, as the folder of the images.
    is_named: bool,
    pub classes: Classes,
    /// The annotation files.
    pub files: Vec<PathBuf>,
    pub images: Vec<DraftImage>,
    pub problems: Problems,
    /// Whether coordinates are fractions of the image's size.
    pub fractions: bool,
    /// Names of images that do not exist.
    pub missing: Vec<String>,
    /// Complete sentences.
    pub warnings: Vec<String>,
}

impl Draft {
    pub fn new(root: PathBuf, options: &ReadOptions) -> Self {
        Self {
            root,
            is_named: options.images.is_some(),
            classes: Classes::default(),
            files: Vec::new(),
            images: Vec::new(),
            problems: Problems::new(options.strict),
            fractions: false,
            missing: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Adds an annotation file and returns its index.
    pub fn file(&mut self, path: &Path) -> u32 {
        self.files.push(path.to_path_buf());
        self.files.len() as u32 - 1
    }

    /// Returns the annotation file with this index.
    #[expect(clippy::indexing_slicing, reason = "`file` returned the index")]
    pub fn path_of(&self, file: u32) -> &Path {
        &self.files[file as usize]
    }

    /// Returns the path found by [`super::image_files::ImageFiles::locate`]; `None` if the image is missing or the name was reported.
    pub fn found(
        &mut self,
        located: Result<Located, String>,
        file: u32,
        place: Place,
    ) -> Result<Option<PathBuf>, DatasetError> {
        let path = self.path_of(file).to_owned();
        match located {
            Ok(Located::Found(path)) => Ok(Some(path)),
            Ok(Located::Missing(expected)) => {
                if self.problems.is_strict() {
                    let problem = format!("the image {} does not exist", self.root.join(&expected).display());
                    self.problems.report(&path, place, problem)?;
                }
                self.missing.push(name_of(&expected));
                Ok(None)
            }
            Err(problem) => self.problems.report(&path, place, problem).map(|()| None),
        }
    }

    /// Keeps only the split `options.split`, if set. `known` are further splits of the dataset. Fails if there is no such split.
    pub fn keep_split(&mut self, options: &ReadOptions, known: Vec<String>) -> Result<(), DatasetError> {
        let Some(wanted) = &options.split else { return Ok(()) };
        let splits: BTreeSet<String> =
            self.images.iter().filter_map(|image| image.split.clone()).chain(known).collect();
        if !splits.contains(wanted) {
            let splits: Vec<String> = splits.into_iter().collect();
            let there =
                if splits.is_empty() { "it has no splits".to_owned() } else { format!("it has {}", splits.join(", ")) };
            return Err(DatasetError::layout(&self.root, format!("there is no split `{wanted}`; {there}")));
        }
        self.images.retain(|image| image.split.as_ref() == Some(wanted));
        Ok(())
    }

    /// Reads the images in parallel and creates the dataset.
    pub fn finish(
        mut self,
        kind: &'static str,
        options: &ReadOptions,
        progress: &mut dyn FnMut(Progress),
        cancel: &Cancel,
    ) -> Result<ImportedDataset, DatasetError> {
        self.keep_first_listings();
        self.report_missing()?;
        let paths: Vec<&Path> = self.images.iter().map(|image| image.path.as_path()).collect();
        let probes = probe_all(&self.root, &paths, progress, cancel)?;
        let mut left_out = LeftOut { missing: std::mem::take(&mut self.missing), ..LeftOut::default() };
        let mut seen = SeenContent::default();
        let mut images = Vec::with_capacity(self.images.len());
        let mut other_sizes = OtherSizes::default();
        for (draft, probe) in std::mem::take(&mut self.images).into_iter().zip(probes) {
            let name = name_of(&draft.path);
            let probe = match probe {
                Ok(probe) => probe,
                Err(error) if options.strict => return Err(error),
                Err(error) => {
                    left_out.unreadable.push((name, error.to_string()));
                    continue;
                }
            };
            if let Some(earlier) = seen.earlier(&probe.content_hash, &name) {
                left_out.duplicates.push((name.clone(), earlier));
            }
            other_sizes.look(&name, &draft, &probe);
            let objects = self.objects(&draft, &probe, options.exif)?;
            let Probe { content_hash, width, height, .. } = probe;
            images.push(ImportedImage {
                name,
                path: draft.path,
                content_hash,
                width,
                height,
                split: draft.split,
                objects,
            });
        }
        if let (true, Some((name, why))) = (images.is_empty(), left_out.unreadable.first()) {
            return Err(DatasetError::layout(
                &self.root,
                format!("cannot read any of its images; the first, {name}: {why}"),
            ));
        }
        left_out.warnings = std::mem::take(&mut self.warnings);
        left_out.warnings.extend(other_sizes.warning());
        left_out.bad_records = self.problems.into_records();
        Ok(ImportedDataset::new(kind, self.root, self.classes.names, images, left_out))
    }

    /// An image listed several times, in another split or file, is only kept at its first listing.
    fn keep_first_listings(&mut self) {
        let mut first: HashMap<PathBuf, Option<String>> = HashMap::with_capacity(self.images.len());
        let mut again = Vec::new();
        self.images.retain(|image| {
            let earlier = first.get(&image.path);
            if let Some(split) = earlier {
                again.push((name_of(&image.path), split.clone(), image.split.clone()));
                return false;
            }
            first.insert(image.path.clone(), image.split.clone());
            true
        });
        if let Some((name, one, other)) = again.first() {
            let split = |split: &Option<String>| split.clone().unwrap_or_else(|| "none".to_owned());
            self.warnings.push(format!(
                "{} listed first; the first is {name} (splits {} and {}).",
                counted_as(
                    again.len(),
                    "image is listed more than once and is read where it is",
                    "images are listed more than once and are read where they are"
                ),
                split(one),
                split(other)
            ));
        }
    }

    fn report_missing(&mut self) -> Result<(), DatasetError> {
        let listed = self.missing.len() + self.images.len();
        match (self.missing.first(), self.images.is_empty()) {
            (Some(first), false) => self.warnings.push(format!(
                "{} of {listed} listed images {} left out; the first is {first}.",
                self.missing.len(),
                if self.missing.len() == 1 { "is missing and was" } else { "are missing and were" }
            )),
            (Some(first), true) => {
                let advice = if self.is_named {
                    "--images takes the folder that these names are relative to: another one, or one above or below"
                } else {
                    "Name the folder of the images with --images DIR"
                };
                let none = match listed {
                    1 => "the only listed image does not exist: it".to_owned(),
                    _ => format!("none of the {listed} listed images exists; the first"),
                };
                let problem = format!("{none} is '{}'. {advice}", printable(first));
                return Err(DatasetError::layout(&self.root, problem));
            }
            (None, true) => {
                let problem = match std::mem::take(&mut self.problems).into_records().split_first() {
                    Some((first, rest)) => {
                        format!(
                            "no usable image is listed; {}, the first: {first}",
                            counted(1 + rest.len(), "bad record")
                        )
                    }
                    None => "the annotation lists no image".to_owned(),
                };
                return Err(DatasetError::layout(self.files.first().unwrap_or(&self.root), problem));
            }
            (None, false) => {}
        }
        Ok(())
    }

    fn objects(
        &mut self,
        draft: &DraftImage,
        probe: &Probe,
        rule: ExifRule,
    ) -> Result<Vec<ImportedObject>, DatasetError> {
        let size = (probe.width, probe.height);
        let upright = Upright::of(rule, probe.exif_orientation, size, draft.declared);
        let scale = if self.fractions { upright.annotated_size(size) } else { (1.0, 1.0) };
        let mut objects = Vec::with_capacity(draft.objects.len());
        for object in &draft.objects {
            let shape = upright.shape(object.shape.scaled(scale.0, scale.1));
            let sides = object.sides.map(|sides| sides.lengths(scale));
            let checked = check_shape(&shape, probe.width, probe.height);
            match checked.and_then(|()| sides.map_or(Ok(()), |(width, height)| check_sides(width, height))) {
                Ok(()) => objects.push(ImportedObject { class: object.class, shape, ignored: object.ignored }),
                Err(problem) => {
                    let b = shape.bounding_box();
                    let problem = format!(
                        "the object at x {:.1}, y {:.1} of {}: {problem}",
                        b.x1,
                        b.y1,
                        shortened(&name_of(&draft.path))
                    );
                    let file = self.path_of(draft.file).to_owned();
                    self.problems.report(&file, object.place, problem)?;
                }
            }
        }
        Ok(objects)
    }
}

/// Returns the path with `/`, as the image's name in the project.
pub(super) fn name_of(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

/// Counts images whose size differs from the annotation.
#[derive(Default)]
struct OtherSizes {
    count: usize,
    first: Option<String>,
}

impl OtherSizes {
    fn look(&mut self, name: &str, draft: &DraftImage, probe: &Probe) {
        let Some((w, h)) = draft.declared else { return };
        if (w, h) == (probe.width, probe.height) || (h, w) == (probe.width, probe.height) {
            return;
        }
        self.count += 1;
        self.first.get_or_insert_with(|| {
            format!("{name} is {} x {} pixels, its annotation says {w} x {h}", probe.width, probe.height)
        });
    }

    fn warning(self) -> Option<String> {
        let first = self.first?;
        Some(format!(
            "{} {} another size than the annotation says, so boxes may be wrong; the first: {first}.",
            self.count,
            if self.count == 1 { "image has" } else { "images have" }
        ))
    }
}
