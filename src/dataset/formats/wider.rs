//! WIDER FACE's text lists (<http://shuoyang1213.me/WIDERFACE/>): the image's name, the number of faces, and a line for each face:
//! `x y w h blur expression illumination invalid occlusion pose`. An image without faces has one line of zeros.

use std::path::{Path, PathBuf};

use super::draft::{Draft, DraftImage, DraftObject};
use super::image_files::{ImageFiles, shortened};
use super::layout::{absolute, files_in, folders_in, root_of, split_in_name};
use super::skipped::Place;
use super::text_lines::{numbers, text_of};
use super::{Format, ReadOptions};
use crate::dataset::{DatasetError, ImportedDataset};
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
    let root = draft.root.clone();
    let mut files = ImageFiles::new(&root, bases(split));
    let mut lines =
        text.lines().enumerate().map(|(k, line)| (k + 1, line.trim())).filter(|(_, line)| !line.is_empty()).peekable();
    while let Some((line, name)) = lines.next() {
        if cancel.is_cancelled() {
            return Err(DatasetError::Cancelled);
        }
        let Some((count_line, text)) = lines.next() else {
            let problem = format!("the list ends before the number of faces of '{}'", shortened(name));
            draft.problems.report(file, Place::Line(line as u32), problem)?;
            break;
        };
        // Without its count the start of the next image is unknown.
        let count: usize = text.parse().map_err(|_| {
            let problem = format!(
                "expected the number of faces of '{}', found '{}': the line after a name holds a count",
                shortened(name),
                shortened(text)
            );
            DatasetError::line(file, count_line, problem)
        })?;
        let mut objects = Vec::new();
        for _ in 0..count {
            let Some((line, text)) = lines.next_if(|(_, text)| is_face(text)) else {
                let problem = format!("'{}' has fewer face lines than its count, {count}", shortened(name));
                draft.problems.report(file, Place::Line(count_line as u32), problem)?;
                break;
            };
            let place = Place::Line(line as u32);
            match face(text) {
                Ok((bbox, ignored)) => {
                    objects.push(DraftObject { class: 0, shape: Shape::Rectangle(bbox), ignored, place });
                }
                Err(problem) => draft.problems.report(file, place, problem)?,
            }
        }
        if count == 0 {
            lines.next_if(|(_, text)| {
                numbers(text).is_ok_and(|values| values.len() >= 4 && values.iter().all(|v| *v == 0.0))
            });
        }
        while let Some((line, text)) = lines.next_if(|(_, text)| is_face(text)) {
            let problem =
                format!("'{}' is one face more than the count of '{}', {count}", shortened(text), shortened(name));
            draft.problems.report(file, Place::Line(line as u32), problem)?;
        }
        if let Some(path) = draft.found(files.locate(name), index, Place::Line(line as u32))? {
            draft.images.push(DraftImage {
                path,
                split: split.map(str::to_owned),
                declared: None,
                file: index,
                objects,
            });
        }
    }
    Ok(())
}

/// A line of numbers; image names end in an extension.
fn is_face(text: &str) -> bool {
    let mut words = text.split_ascii_whitespace();
    words.by_ref().take(4).filter(|word| word.parse::<f64>().is_ok()).count() >= 2
        && !crate::dataset::is_image(Path::new(text))
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
