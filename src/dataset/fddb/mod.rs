//! Reads FDDB as distributed: `FDDB-folds/FDDB-fold-NN.txt`, `FDDB-folds/FDDB-fold-NN-ellipseList.txt` and `originalPics/NAME.jpg` (Jain
//! and Learned-Miller, UM-CS-2010-009). Ellipses stay ellipses.

mod lists;
mod tolerant;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

pub use lists::{AnnotatedName, ListedName, parse_ellipse_list, parse_name_list};

use super::folder::absolute_folder;
use super::images::{SeenContent, probe_all};
use super::imported::{BadRecord, LeftOut};
use super::{DatasetError, ImageFinder, ImportedDataset, ImportedImage, ImportedObject};
use crate::domain::{Cancel, Progress, Shape, limits};

/// The folder of the lists.
pub const FOLDS_FOLDER: &str = "FDDB-folds";
/// The folder of the images.
pub const IMAGES_FOLDER: &str = "originalPics";
/// The one class of FDDB.
pub const FACE: &str = "face";
/// FDDB has ten folds, numbered from 1.
const FOLDS: std::ops::RangeInclusive<u8> = 1..=10;

/// [`read_fddb`] that skips bad records of the lists and reports them with file and line in the summary.
pub fn read_fddb_tolerantly(
    dir: &Path,
    progress: &mut dyn FnMut(Progress),
    cancel: &Cancel,
) -> Result<ImportedDataset, DatasetError> {
    read(dir, false, progress, cancel)
}

/// Reads the dataset below `dir` in list order, fold by fold. Missing and unreadable images are skipped and reported in the summary; two
/// images with the same bytes are reported and both kept, as FDDB counts both.
///
/// Fails if a folder or list is missing, if lists contradict each other or themselves (with file and line), if no image exists, or when
/// `cancel` is set.
pub fn read_fddb(
    dir: &Path,
    progress: &mut dyn FnMut(Progress),
    cancel: &Cancel,
) -> Result<ImportedDataset, DatasetError> {
    read(dir, true, progress, cancel)
}

fn read(
    dir: &Path,
    strict: bool,
    progress: &mut dyn FnMut(Progress),
    cancel: &Cancel,
) -> Result<ImportedDataset, DatasetError> {
    let root = absolute_folder(dir, "name the folder that holds FDDB-folds/ and originalPics/")?;
    let mut left_out = LeftOut::default();
    let entries = read_lists(&root, (!strict).then_some(&mut left_out.bad_records))?;
    require_images_folder(&root)?;
    let finder = ImageFinder::new(&root.join(IMAGES_FOLDER));
    let (mut present, mut absent) = (Vec::new(), Vec::new());
    for mut entry in entries {
        match finder.find(&entry.name) {
            Some(file) => {
                entry.path = file.strip_prefix(&root).map_or(entry.path, Path::to_path_buf);
                present.push(entry);
            }
            None => absent.push(entry),
        }
    }
    report_missing(&root, present.len(), &absent, &mut left_out)?;
    let paths: Vec<&Path> = present.iter().map(|entry| entry.path.as_path()).collect();
    let probes = probe_all(&root, &paths, progress, cancel)?;
    let mut seen = SeenContent::default();
    let mut images = Vec::with_capacity(probes.len());
    for (entry, probe) in present.into_iter().zip(probes) {
        let probe = match probe {
            Ok(probe) => probe,
            Err(error) => {
                left_out.unreadable.push((entry.name, error.to_string()));
                continue;
            }
        };
        if let Some(earlier) = seen.earlier(&probe.content_hash, &entry.name) {
            left_out.duplicates.push((entry.name.clone(), earlier));
        }
        images.push(ImportedImage {
            name: entry.name,
            path: entry.path,
            content_hash: probe.content_hash,
            width: probe.width,
            height: probe.height,
            split: Some(entry.fold.to_string()),
            objects: entry.faces,
        });
    }
    Ok(ImportedDataset::new("fddb", root, vec![FACE.to_owned()], images, left_out))
}

/// One listed image.
struct Entry {
    name: String,
    /// Below the dataset's root; the distributed path until the file is found.
    path: PathBuf,
    fold: u8,
    faces: Vec<ImportedObject>,
}

/// `bad` receives skipped records; with `None` the first one is an error.
fn read_lists(root: &Path, mut bad: Option<&mut Vec<BadRecord>>) -> Result<Vec<Entry>, DatasetError> {
    let folder = root.join(FOLDS_FOLDER);
    if !folder.is_dir() {
        return Err(DatasetError::layout(
            root,
            format!(
                "no {FOLDS_FOLDER}/ in it: name the folder that holds {FOLDS_FOLDER}/ and {IMAGES_FOLDER}/ as FDDB ships them"
            ),
        ));
    }
    let mut entries = Vec::new();
    let mut first_listed = HashMap::new();
    for fold in FOLDS {
        let names = folder.join(format!("FDDB-fold-{fold:02}.txt"));
        let ellipses = folder.join(format!("FDDB-fold-{fold:02}-ellipseList.txt"));
        match (names.is_file(), ellipses.is_file()) {
            (false, false) => {}
            (true, true) => entries.extend(read_fold(fold, &names, &ellipses, &mut first_listed, bad.as_deref_mut())?),
            (there, _) => {
                let (there, missing) = if there { (&names, &ellipses) } else { (&ellipses, &names) };
                return Err(DatasetError::layout(
                    missing,
                    format!("the list is missing but {} exists: add the list or remove both", there.display()),
                ));
            }
        }
    }
    if let (true, Some(first)) = (entries.is_empty(), bad.as_ref().and_then(|bad| bad.first())) {
        let problem = format!("{} (and no other record of the lists can be used)", first.problem);
        return Err(DatasetError::line(&first.file, first.line.unwrap_or(1), problem));
    }
    if entries.is_empty() {
        return Err(DatasetError::layout(&folder, "no FDDB-fold-NN.txt (NN from 01 to 10) in it, or all are empty"));
    }
    Ok(entries)
}

/// File and line where a name was first listed.
type FirstListed = HashMap<String, (PathBuf, usize)>;

fn read_fold(
    fold: u8,
    names: &Path,
    ellipses: &Path,
    first: &mut FirstListed,
    mut bad: Option<&mut Vec<BadRecord>>,
) -> Result<Vec<Entry>, DatasetError> {
    let (names_bytes, ellipses_bytes) = (read_bytes(names)?, read_bytes(ellipses)?);
    let (listed, annotated_names) = match bad.as_deref_mut() {
        None => (parse_name_list(names, &names_bytes)?, parse_ellipse_list(ellipses, &ellipses_bytes)?),
        Some(bad) => {
            let listed = tolerant::name_list(names, &names_bytes, bad)?;
            let annotated = tolerant::ellipse_list(ellipses, &ellipses_bytes, &listed, bad)?;
            (listed, annotated)
        }
    };
    let mut annotated: HashMap<String, AnnotatedName> = HashMap::new();
    for entry in annotated_names {
        annotated.insert(entry.name.clone(), entry);
    }
    let mut report = |path: &Path, line: usize, problem: String| match bad.as_deref_mut() {
        None => Err(DatasetError::line(path, line, problem)),
        Some(bad) => {
            bad.push(BadRecord { file: path.to_path_buf(), line: Some(line), problem });
            Ok(())
        }
    };
    let mut entries = Vec::with_capacity(listed.len());
    for ListedName { name, line } in listed {
        if let Some((path, earlier)) = first.get(&name) {
            let problem =
                format!("'{name}' is listed twice, first at {}:{earlier}: remove one of them", path.display());
            report(names, line, problem)?;
            annotated.remove(&name);
            continue;
        }
        first.insert(name.clone(), (names.to_path_buf(), line));
        let Some(found) = annotated.remove(&name) else {
            let problem =
                format!("'{name}' has no entry in {}: add it (with 0 faces if it has none)", file_name(ellipses));
            report(names, line, problem)?;
            continue;
        };
        let face = |e| ImportedObject { class: 0, shape: Shape::Ellipse(e), ignored: false };
        let path = Path::new(IMAGES_FOLDER).join(format!("{name}.jpg"));
        entries.push(Entry { name, path, fold, faces: found.ellipses.into_iter().map(face).collect() });
    }
    let mut extra: Vec<AnnotatedName> = annotated.into_values().collect();
    extra.sort_by_key(|extra| extra.line);
    for extra in extra {
        let problem = format!("'{}' is not listed in {}: add it there or remove it here", extra.name, file_name(names));
        report(ellipses, extra.line, problem)?;
    }
    Ok(entries)
}

fn file_name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, DatasetError> {
    let bytes = crate::domain::read_text_bytes(path, limits::TEXT);
    bytes.map_err(std::io::Error::from).map_err(DatasetError::io("read", path))
}

fn require_images_folder(root: &Path) -> Result<(), DatasetError> {
    if root.join(IMAGES_FOLDER).is_dir() {
        return Ok(());
    }
    let problem = format!("{FOLDS_FOLDER}/ is there but no {IMAGES_FOLDER}/: unpack FDDB's images next to the lists");
    Err(DatasetError::layout(root, problem))
}

fn report_missing(root: &Path, present: usize, absent: &[Entry], left_out: &mut LeftOut) -> Result<(), DatasetError> {
    let Some(first) = absent.first() else { return Ok(()) };
    let listed = present + absent.len();
    if present == 0 {
        let problem = format!(
            "none of the {listed} listed images exists, the first is {}: unpack FDDB's images into it",
            first.path.display()
        );
        return Err(DatasetError::layout(&root.join(IMAGES_FOLDER), problem));
    }
    let mut folds: BTreeMap<u8, usize> = BTreeMap::new();
    for entry in absent {
        *folds.entry(entry.fold).or_insert(0) += 1;
    }
    let folds: Vec<String> = folds.iter().map(|(fold, count)| format!("{count} of fold {fold}")).collect();
    left_out.warnings.push(format!(
        "{} of {listed} listed images {} left out: {}; the first is {}.",
        absent.len(),
        if absent.len() == 1 { "is missing and was" } else { "are missing and were" },
        folds.join(", "),
        first.path.display()
    ));
    left_out.missing = absent.iter().map(|entry| entry.name.clone()).collect();
    Ok(())
}
