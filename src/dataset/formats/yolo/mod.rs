//! YOLO's text labels, with ultralytics' `data.yaml` (<https://docs.ultralytics.com/datasets/detect/>) or darknet's `classes.txt`. An image
//! with an empty or missing label file is a background image.

mod data_yaml;
mod labels;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use self::data_yaml::{DataYaml, MOST_CLASSES, SPLITS};
use self::labels::LabelForm;
pub(in crate::dataset) use self::labels::{box_of, box_of_polygon};
use super::draft::{Draft, DraftImage, DraftObject};
use super::image_files::{ImageFiles, Located, below_root, ends_of_absolute, shortened};
use super::layout::{absolute, files_in, folders_in, images_below, root_of, split_in_name};
use super::skipped::{Place, Skipped};
use super::text_lines::{numbered, text_of};
use super::{Format, ReadOptions};
use crate::dataset::{DatasetError, ImportedDataset};
use crate::domain::{Cancel, Progress};

/// YOLO's text labels.
#[derive(Debug)]
pub struct Yolo;

impl Format for Yolo {
    fn name(&self) -> &'static str {
        "yolo"
    }

    fn recognise(&self, path: &Path) -> Option<String> {
        if path.is_file() {
            return is_data_yaml(path).then(|| "a data.yaml with class names".to_owned());
        }
        if let Some(yaml) = yaml_in(path) {
            return Some(format!("{} has class names and splits", yaml.file_name()?.to_string_lossy()));
        }
        let labels = label_folders(path).find(|folder| files_in(folder, &["txt"]).is_ok_and(|files| !files.is_empty()));
        if let Some(folder) = labels {
            return Some(format!("{} has text labels", folder.strip_prefix(path).unwrap_or(&folder).display()));
        }
        let label = files_in(path, &["txt"]).ok()?.into_iter().find(|file| is_label_next_to_image(file))?;
        Some(format!("{} is a text label next to its image", label.file_name()?.to_string_lossy()))
    }

    fn read(
        &self,
        path: &Path,
        options: &ReadOptions,
        progress: &mut dyn FnMut(Progress),
        cancel: &Cancel,
    ) -> Result<ImportedDataset, DatasetError> {
        let path = absolute(path)?;
        let yaml_path = if path.is_file() { Some(path.clone()) } else { yaml_in(&path) };
        let mut draft = Draft::new(root_of(&path, options, &[])?, options);
        draft.fractions = true;
        let own_folder = if path.is_file() { path.parent().unwrap_or(&path) } else { &path };
        let yaml = yaml_path.as_deref().map(data_yaml::read).transpose()?;
        let has_keypoints = yaml.as_ref().is_some_and(|yaml| yaml.has_keypoints);
        let names = match &yaml {
            Some(yaml) => yaml.names.clone(),
            None => names_file(own_folder)?,
        };
        match (&yaml, &yaml_path) {
            (Some(yaml), Some(file)) if !yaml.splits.is_empty() => listed_images(&mut draft, yaml, file, options)?,
            _ => all_images(&mut draft, cancel)?,
        }
        draft.keep_split(options, Vec::new())?;
        let form = LabelForm { has_keypoints, classes: names.keys().max().map_or(MOST_CLASSES, |last| last + 1) };
        read_labels(&mut draft, own_folder, form, progress, cancel)?;
        name_classes(&mut draft, &names)?;
        draft.finish("yolo", options, progress, cancel)
    }
}

fn is_data_yaml(file: &Path) -> bool {
    let yaml = file.extension().is_some_and(|e| e.eq_ignore_ascii_case("yaml") || e.eq_ignore_ascii_case("yml"));
    yaml && super::json_values::head_of(file).is_some_and(|head| {
        let text = String::from_utf8_lossy(&head);
        text.lines()
            .any(|line| ["names", "\"names\"", "'names'"].iter().any(|key| line.starts_with(&format!("{key}:"))))
            || SPLITS.iter().any(|split| text.lines().any(|line| line.starts_with(&format!("{split}:"))))
    })
}

/// Returns `data.yaml`, or the first other YAML file with class names.
fn yaml_in(folder: &Path) -> Option<PathBuf> {
    let mut files = files_in(folder, &["yaml", "yml"]).ok()?;
    files.sort_by_key(|file| !file.file_stem().is_some_and(|stem| stem == "data" || stem == "dataset"));
    files.into_iter().find(|file| is_data_yaml(file))
}

/// Returns `labels/`, `labels/train/` and `train/labels/`.
fn label_folders(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let below = |folder: &Path| folders_in(folder).unwrap_or_default();
    let labels = folder.join("labels");
    let inside = below(&labels);
    let siblings = below(folder).into_iter().map(|split| split.join("labels"));
    std::iter::once(labels).chain(inside).chain(siblings)
}

fn is_label_next_to_image(file: &Path) -> bool {
    let has_image = crate::dataset::IMAGE_EXTENSIONS
        .iter()
        .any(|e| file.with_extension(e).is_file() || file.with_extension(e.to_ascii_uppercase()).is_file());
    let form = LabelForm { has_keypoints: false, classes: MOST_CLASSES };
    has_image && labels::read(file, form).is_ok_and(|read| read.is_some_and(|(objects, _)| !objects.is_empty()))
}

/// Reads class names by index: from a YAML file's `names`, or one per line from any other text file.
///
/// # Errors
///
/// The file cannot be read, or is not such a list.
pub fn class_names(file: &Path) -> Result<BTreeMap<u32, String>, DatasetError> {
    if file.extension().is_some_and(|e| e.eq_ignore_ascii_case("yaml") || e.eq_ignore_ascii_case("yml")) {
        return Ok(data_yaml::read(file)?.names);
    }
    Ok(names_of_lines(&text_of(file)?))
}

/// Reads class names from a YAML file or a list in the folder of labels, or in its parent; empty if there is no such file.
///
/// # Errors
///
/// An existing file cannot be read.
pub fn class_names_near(folder: &Path) -> Result<BTreeMap<u32, String>, DatasetError> {
    let around = folder.parent().map(|above| if above.as_os_str().is_empty() { Path::new(".") } else { above });
    for place in [Some(folder), around].into_iter().flatten().filter(|place| place.is_dir()) {
        let names = match yaml_in(place) {
            Some(yaml) => data_yaml::read(&yaml)?.names,
            None => names_file(place)?,
        };
        if !names.is_empty() {
            return Ok(names);
        }
    }
    Ok(BTreeMap::new())
}

/// Parses one name per line. An empty line is a class without a name, so that the others keep their indices.
fn names_of_lines(text: &str) -> BTreeMap<u32, String> {
    let names = text.trim_end().lines().enumerate();
    names.map(|(k, name)| (k as u32, name.trim().to_owned())).filter(|(_, name)| !name.is_empty()).collect()
}

/// Reads names from `classes.txt` or a `.names` file, one per line; empty if there is no such file.
fn names_file(folder: &Path) -> Result<BTreeMap<u32, String>, DatasetError> {
    let places =
        [folder.to_path_buf(), folder.join("labels"), folder.join("labels/train"), folder.join("train/labels")];
    let mut files: Vec<PathBuf> = places.iter().map(|place| place.join("classes.txt")).collect();
    files.extend(files_in(folder, &["names"])?);
    let Some(file) = files.into_iter().find(|file| file.is_file()) else { return Ok(BTreeMap::new()) };
    Ok(names_of_lines(&text_of(&file)?))
}

/// Adds the images of the splits in `data.yaml`.
fn listed_images(
    draft: &mut Draft,
    yaml: &DataYaml,
    yaml_path: &Path,
    options: &ReadOptions,
) -> Result<(), DatasetError> {
    let root = draft.root.clone();
    let yaml_file = draft.file(yaml_path);
    let bases = bases(yaml, &root);
    let own = yaml_path.parent().unwrap_or(yaml_path);
    for split in SPLITS {
        let skipped = options.split.as_ref().is_some_and(|wanted| wanted != split && yaml.splits.contains_key(wanted));
        let Some(entries) = yaml.splits.get(split).filter(|_| !skipped) else { continue };
        for entry in entries {
            match place_of(&root, &bases, entry) {
                // The images are elsewhere (`--images`), their list is next to the YAML file.
                Err(_)
                    if own.join(entry.trim_start_matches("./")).is_file()
                        && below_root(own, Path::new(""), entry).is_ok() =>
                {
                    read_list(draft, &own.join(entry), Path::new(""), &bases, split)?;
                }
                Err(problem) => draft.problems.report(yaml_path, Place::File, format!("{split}: {problem}"))?,
                Ok(place) if root.join(&place).is_dir() => {
                    for path in images_below(&root, &place)? {
                        push(draft, Ok(Located::Found(path)), split, yaml_file, Place::File)?;
                    }
                }
                Ok(list) => read_list(draft, &root.join(&list), &list, &bases, split)?,
            }
        }
    }
    Ok(())
}

/// Returns the folders that entries may be relative to: `path`, or the root if `path` does not exist.
fn bases(yaml: &DataYaml, root: &Path) -> Vec<PathBuf> {
    let given = yaml.path.as_deref().and_then(|path| below_root(root, Path::new(""), path).ok());
    given.into_iter().filter(|path| root.join(path).is_dir()).chain([PathBuf::new()]).collect()
}

/// Resolves an entry to a folder or list relative to the root. Roboflow writes `../train/images` for `train/images`, which ultralytics
/// accepts too.
fn place_of(root: &Path, bases: &[PathBuf], entry: &str) -> Result<PathBuf, String> {
    let own = entry.trim_start_matches("../");
    let mut problem = None;
    for name in [entry, own] {
        for base in bases {
            match below_root(root, base, name) {
                Ok(path) if root.join(&path).exists() => return Ok(path),
                Ok(path) => problem = Some(format!("'{}' does not exist", shortened(&path.to_string_lossy()))),
                Err(error) => drop(problem.get_or_insert(error)),
            }
        }
    }
    // An absolute path from another computer: use the longest suffix that exists here.
    if let Some(place) = ends_of_absolute(entry).find_map(|end| {
        let below = |base| below_root(root, base, end).ok().filter(|path| root.join(path).exists());
        bases.iter().find_map(|base| below(base))
    }) {
        return Ok(place);
    }
    if entry != own {
        return Err(format!("'{}' is not in the dataset's folder", shortened(entry)));
    }
    Err(problem.unwrap_or_else(|| format!("'{}' does not exist", shortened(entry))))
}

/// Reads a text list: one image per line, relative to `path`, or to the list if the line starts with `./`.
fn read_list(draft: &mut Draft, file: &Path, list: &Path, bases: &[PathBuf], split: &str) -> Result<(), DatasetError> {
    let text = text_of(file)?;
    let index = draft.file(file);
    let own = list.parent().unwrap_or(Path::new("")).to_path_buf();
    let root = draft.root.clone();
    let mut relative = ImageFiles::new(&root, std::iter::once(own.clone()).chain(bases.iter().cloned()));
    let mut files = ImageFiles::new(&root, bases.iter().cloned().chain([own]));
    for (line, name) in numbered(&text) {
        let files = if name.starts_with("./") { &mut relative } else { &mut files };
        let located = match (files.locate(name), name.trim_start_matches("./").strip_prefix("images/")) {
            // With `--images` the root may be what the list calls `images/`.
            (Ok(Located::Missing(path)), Some(inside)) => match files.locate(inside) {
                Ok(Located::Found(path)) => Ok(Located::Found(path)),
                _ => Ok(Located::Missing(path)),
            },
            (located, _) => located,
        };
        push(draft, located, split, index, Place::Line(line as u32))?;
    }
    Ok(())
}

fn push(
    draft: &mut Draft,
    located: Result<Located, String>,
    split: &str,
    file: u32,
    place: Place,
) -> Result<(), DatasetError> {
    if let Some(path) = draft.found(located, file, place)? {
        let split = Some(split.to_owned());
        draft.images.push(DraftImage { path, split, declared: None, file, objects: Vec::new() });
    }
    Ok(())
}

/// Adds every image below the root; folders named `train`, `val` or `test` are its splits.
fn all_images(draft: &mut Draft, cancel: &Cancel) -> Result<(), DatasetError> {
    if cancel.is_cancelled() {
        return Err(DatasetError::Cancelled);
    }
    for path in images_below(&draft.root, Path::new(""))? {
        let mut folders = path.parent().into_iter().flat_map(Path::iter);
        let split = folders.find_map(|name| split_in_name(&name.to_string_lossy()));
        draft.images.push(DraftImage { path, split, declared: None, file: 0, objects: Vec::new() });
    }
    Ok(())
}

/// Returns possible paths of an image's label file, relative or absolute, most likely first.
fn label_candidates(root: &Path, own_folder: &Path, image: &Path) -> Vec<PathBuf> {
    let text = image.with_extension("txt");
    let mut found = Vec::new();
    let parts: Vec<_> = text.iter().collect();
    let swapped: Option<PathBuf> = parts
        .iter()
        .rposition(|part| *part == "images" || *part == "JPEGImages")
        .map(|at| parts.iter().enumerate().map(|(k, part)| if k == at { "labels".as_ref() } else { *part }).collect());
    if let Some(swapped) = &swapped {
        found.push(root.join(swapped));
    } else if root.file_name().is_some_and(|name| name == "images") {
        found.push(root.with_file_name("labels").join(&text));
    }
    found.extend([root.join(&text), root.join("labels").join(&text)]);
    if own_folder != root {
        found.extend(swapped.map(|swapped| own_folder.join(swapped)));
        found.extend([own_folder.join("labels").join(&text), own_folder.join(&text)]);
    }
    found
}

type Labels = (PathBuf, Vec<DraftObject>, Vec<Skipped>);

/// Reads the label files of all images in parallel.
fn read_labels(
    draft: &mut Draft,
    own_folder: &Path,
    form: LabelForm,
    progress: &mut dyn FnMut(Progress),
    cancel: &Cancel,
) -> Result<(), DatasetError> {
    const BATCH: usize = 1024;
    let root = draft.root.clone();
    let read = |image: &DraftImage| -> Result<Option<Labels>, DatasetError> {
        for candidate in label_candidates(&root, own_folder, &image.path) {
            if let Some((objects, bad)) = labels::read(&candidate, form)? {
                return Ok(Some((candidate, objects, bad)));
            }
        }
        Ok(None)
    };
    let mut labelled = 0;
    let total = draft.images.len();
    for start in (0..total).step_by(BATCH) {
        if cancel.is_cancelled() {
            return Err(DatasetError::Cancelled);
        }
        let end = total.min(start + BATCH);
        let batch: Vec<Option<Labels>> =
            draft.images.par_iter().skip(start).take(BATCH).map(read).collect::<Result<_, _>>()?;
        for (k, labels) in batch.into_iter().enumerate() {
            let Some((file, objects, bad)) = labels else { continue };
            labelled += 1;
            let file = draft.file(&file);
            if let Some(image) = draft.images.get_mut(start + k) {
                (image.file, image.objects) = (file, objects);
            }
            draft.problems.add_all(bad)?;
        }
        progress(Progress { what: "Reading annotations".into(), done: end as u64, total: total as u64 });
    }
    if labelled == 0 && total > 0 {
        draft.warnings.push(format!(
            "No label file was found for any of {total} images, so all are background images: labels of images/a.jpg are looked for in labels/a.txt and next to the image."
        ));
    }
    Ok(())
}

/// Maps class indices in the files to those of the draft.
fn name_classes(draft: &mut Draft, names: &BTreeMap<u32, String>) -> Result<(), DatasetError> {
    let used = draft.images.iter().flat_map(|image| &image.objects).map(|object| object.class).max();
    let names: BTreeMap<u32, String> = if names.is_empty() {
        if used.is_some() {
            draft.warnings.push(
                "The classes have no names (no data.yaml, no classes.txt): they are called by their numbers.".into(),
            );
        }
        (0..used.map_or(0, |last| last + 1)).map(|k| (k, k.to_string())).collect()
    } else {
        names.clone()
    };
    let mut first: BTreeMap<&str, u32> = BTreeMap::new();
    for (&k, name) in &names {
        if let Some(first) = first.insert(name, k) {
            draft.warnings.push(format!(
                "Classes {first} and {k} are both called '{}': they are read as one class.",
                shortened(name)
            ));
        }
    }
    let ids: BTreeMap<u32, u32> = names.iter().map(|(&k, name)| (k, draft.classes.id(name))).collect();
    let mut images = std::mem::take(&mut draft.images);
    for image in &mut images {
        let objects = std::mem::take(&mut image.objects);
        for mut object in objects {
            if let Some(&id) = ids.get(&object.class) {
                object.class = id;
                image.objects.push(object);
            } else {
                let file = draft.path_of(image.file).to_owned();
                draft.problems.report(&file, object.place, format!("class {} has no name", object.class))?;
            }
        }
    }
    draft.images = images;
    Ok(())
}
