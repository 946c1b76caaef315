//! WIDER FACE's text lists (<http://shuoyang1213.me/WIDERFACE/>): the image's name, the number of faces, and a line for each face:
//! `x y w h blur expression illumination invalid occlusion pose`. An image without faces has one line of zeros.

use std::path::{Path, PathBuf};

use super::draft::{Draft, DraftImage, DraftObject};
use super::image_files::{ImageFiles, Located, shortened};
use super::layout::{absolute, files_in, folders_in, root_of, split_in_name};
use super::skipped::Place;
use super::text_lines::{numbered, numbers, text_of};
use super::{Format, ReadOptions};
use crate::dataset::{DatasetError, ImportedDataset, is_image};
use crate::domain::{Cancel, Progress, Shape};
use crate::geometry::BoundingBox;

/// WIDER FACE.
#[derive(Debug)]
pub struct WiderFace;

const LISTS_FOLDER: &str = "wider_face_split";

impl Format for WiderFace {
    fn name(&self) -> &'static str {
        "wider"
    }

    fn recognise(&self, path: &Path) -> Option<String> {
        if path.is_file() {
            return is_list(path).then(|| "a list wider_face_..._bbx_gt.txt".to_owned());
        }
        let list = lists(path).ok()?.into_iter().next()?;
        Some(format!("{} is a list of WIDER FACE", list.strip_prefix(path).unwrap_or(&list).display()))
    }

    fn read(
        &self,
        path: &Path,
        options: &ReadOptions,
        progress: &mut dyn FnMut(Progress),
        cancel: &Cancel,
    ) -> Result<ImportedDataset, DatasetError> {
        let path = absolute(path)?;
        let files = if path.is_file() { vec![path.clone()] } else { lists(&path)? };
        if files.is_empty() {
            let problem = format!(
                "no list such as {LISTS_FOLDER}/wider_face_train_bbx_gt.txt in it: name the folder that holds it, or the list itself"
            );
            return Err(DatasetError::layout(&path, problem));
        }
        let mut draft = Draft::new(root_of(&path, options, &[LISTS_FOLDER])?, options);
        draft.classes.id("face");
        let mut splits = Vec::new();
        for file in files {
            let split = file.file_stem().and_then(|stem| split_in_name(&stem.to_string_lossy()));
            splits.extend(split.clone());
            if options.split.is_none() || split == options.split {
                read_list(&mut draft, &file, split.as_deref(), cancel)?;
            }
        }
        draft.keep_split(options, splits)?;
        draft.finish("wider", options, progress, cancel)
    }
}

fn is_list(file: &Path) -> bool {
    let name = file.file_name().map_or(String::new(), |name| name.to_string_lossy().to_lowercase());
    name.ends_with("bbx_gt.txt")
}

/// Returns the lists in the folder, in `wider_face_split/`, or in subfolders.
fn lists(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let mut found = files_in(folder, &["txt"])?;
    for below in folders_in(folder)?.iter().filter(|below| below.ends_with(LISTS_FOLDER)) {
        found.extend(files_in(below, &["txt"])?);
    }
    found.retain(|file| is_list(file));
    // train before val: an image in both belongs to the first.
    Ok(found)
}

fn read_list(draft: &mut Draft, file: &Path, split: Option<&str>, cancel: &Cancel) -> Result<(), DatasetError> {
    let text = text_of(file)?;
    let index = draft.file(file);
    let mut list = FaceList::new(&text, ImageFiles::new(&draft.root, bases(split)));
    while let Some((line, name)) = list.take() {
        if cancel.is_cancelled() {
            return Err(DatasetError::Cancelled);
        }
        let Some(count_line) = list.line() else {
            let problem = format!("the list ends before the number of faces of '{}'", shortened(name));
            draft.problems.report(file, Place::Line(line), problem)?;
            break;
        };
        let Some(count) = list.take_count() else {
            let problem = list.skip_without_count(name);
            draft.problems.report(file, Place::Line(count_line), problem)?;
            continue;
        };
        let objects = list.faces_of(name, (count_line, count), |line, problem| {
            draft.problems.report(file, Place::Line(line), problem)
        })?;
        if let Some(path) = draft.found(list.files.locate(name), index, Place::Line(line))? {
            let split = split.map(str::to_owned);
            draft.images.push(DraftImage { path, split, declared: None, file: index, objects });
        }
    }
    Ok(())
}

/// A list that is read from line to line.
struct FaceList<'a> {
    lines: Vec<(u32, &'a str)>,
    /// The index of the next line.
    at: usize,
    files: ImageFiles,
}

impl<'a> FaceList<'a> {
    fn new(text: &'a str, files: ImageFiles) -> Self {
        Self { lines: numbered(text).map(|(line, text)| (line as u32, text)).collect(), at: 0, files }
    }

    fn take(&mut self) -> Option<(u32, &'a str)> {
        let line = self.lines.get(self.at).copied();
        self.at += usize::from(line.is_some());
        line
    }

    /// Returns the number of the next line.
    fn line(&self) -> Option<u32> {
        self.lines.get(self.at).map(|(line, _)| *line)
    }

    fn text(&self, at: usize) -> Option<&'a str> {
        self.lines.get(at).map(|(_, text)| *text)
    }

    fn count(&self, at: usize) -> Option<usize> {
        self.text(at)?.parse().ok()
    }

    /// Returns the count here; `None` if there is none, or if the line is rather the name of the next image, which may be a number.
    fn take_count(&mut self) -> Option<usize> {
        let count = self.count(self.at)?;
        if count > 0 && self.names_image(self.at) && !self.names_image(self.at + 1) {
            return None;
        }
        self.at += 1;
        Some(count)
    }

    /// Skips the faces of an image without a count, and returns the problem.
    fn skip_without_count(&mut self, name: &str) -> String {
        let found = self.text(self.at).unwrap_or_default();
        // The line in place of the count does not belong to the next image.
        if !is_face(found) && !is_image(Path::new(found)) && !self.starts_entry(self.at) {
            self.at += 1;
        }
        while self.take_face().is_some() {}
        format!(
            "expected the number of faces of '{}', found '{}': the line after a name holds a count",
            shortened(name),
            shortened(found)
        )
    }

    /// Returns the faces after a count, and gives `report` the lines of bad ones.
    fn faces_of(
        &mut self,
        name: &str,
        (count_line, count): (u32, usize),
        mut report: impl FnMut(u32, String) -> Result<(), DatasetError>,
    ) -> Result<Vec<DraftObject>, DatasetError> {
        let mut objects = Vec::new();
        for _ in 0..count {
            let Some((line, text)) = self.take_face() else {
                report(count_line, format!("'{}' has fewer face lines than its count, {count}", shortened(name)))?;
                break;
            };
            match face(text) {
                Ok((bbox, ignored)) => {
                    let (shape, place) = (Shape::Rectangle(bbox), Place::Line(line));
                    objects.push(DraftObject { class: 0, shape, sides: None, ignored, place });
                }
                Err(problem) => report(line, problem)?,
            }
        }
        if count == 0 && self.text(self.at).is_some_and(is_zeros) {
            self.at += 1;
        }
        while let Some((line, text)) = self.take_face() {
            let problem =
                format!("'{}' is one face more than the count of '{}', {count}", shortened(text), shortened(name));
            report(line, problem)?;
        }
        Ok(objects)
    }

    fn take_face(&mut self) -> Option<(u32, &'a str)> {
        if !self.text(self.at).is_some_and(is_face) || self.starts_entry(self.at) {
            return None;
        }
        self.take()
    }

    /// Whether an image's name and count are here: names without an extension may look like faces, or like counts.
    fn starts_entry(&mut self, at: usize) -> bool {
        let Some(count) = self.count(at + 1) else { return false };
        if self.names_image(at) {
            return true;
        }
        // The number is the name of the next image.
        if self.names_image(at + 1) {
            return false;
        }
        // The image is missing: whether the lines after its count fit.
        match (count, self.text(at + 2)) {
            _ if !self.text(at).is_some_and(is_face) => true,
            (0, None) => true,
            (0, Some(_)) => self.count(at + 2).is_none() || self.count(at + 3).is_some(),
            (_, next) => next.is_some_and(is_face),
        }
    }

    /// Whether the name of an image that exists is here, and a count after it.
    fn names_image(&mut self, at: usize) -> bool {
        let Some(name) = self.text(at).filter(|_| self.count(at + 1).is_some()) else { return false };
        matches!(self.files.locate(name), Ok(Located::Found(_)))
    }
}

/// Whether it looks like a face: numbers that are not the name of an image file.
fn is_face(text: &str) -> bool {
    let mut words = text.split_ascii_whitespace();
    words.by_ref().take(4).filter(|word| word.parse::<f64>().is_ok()).count() >= 2 && !is_image(Path::new(text))
}

/// Whether it is the line in place of no face.
fn is_zeros(text: &str) -> bool {
    numbers(text).is_ok_and(|values| values.len() >= 4 && values.iter().all(|value| *value == 0.0))
}

/// Parses the box, and whether the face is marked as invalid.
fn face(text: &str) -> Result<(BoundingBox, bool), String> {
    let values = numbers(text).map_err(|word| format!("'{}' is not a finite number", shortened(word)))?;
    let (&[x, y, w, h] | &[x, y, w, h, _, _, _, _, ..]) = values.as_slice() else {
        return Err(format!(
            "expected `x y w h blur expression illumination invalid occlusion pose`, found {} numbers",
            values.len()
        ));
    };
    if w <= 0.0 || h <= 0.0 {
        return Err(format!("the box is {w} wide and {h} high; both must be above 0"));
    }
    Ok((BoundingBox::from_xywh(x, y, w, h), values.get(7).is_some_and(|invalid| *invalid == 1.0)))
}

/// Returns the folders that names may be relative to.
fn bases(split: Option<&str>) -> Vec<PathBuf> {
    let split = split.unwrap_or("train");
    let folder = format!("WIDER_{split}");
    [
        format!("{folder}/images"),
        format!("{folder}/{folder}/images"),
        format!("{split}/images"),
        format!("images/{split}"),
        "images".into(),
        folder,
        String::new(),
    ]
    .map(PathBuf::from)
    .to_vec()
}
