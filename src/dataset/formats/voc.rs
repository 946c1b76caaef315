//! Pascal VOC's XML, one file per image (<http://host.robots.ox.ac.uk/pascal/VOC/voc2012/devkit_doc.pdf>). Corners are pixel indices from
//! 1, both inclusive; `ImageSets/Main/*.txt` are the splits.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::batches::read_in_batches;
use super::cvat::rotated;
use super::draft::{Draft, DraftImage, DraftObject, Sides};
use super::image_files::{ImageFiles, Located, shortened};
use super::layout::{absolute, files_below, files_in, folders_in, images_below, root_of};
use super::skipped::{Place, Skipped, bad_file, bad_record};
use super::text_lines::{numbered, text_of};
use super::xml::{XmlEvent, XmlReader};
use super::{Format, ReadOptions};
use crate::dataset::{DatasetError, ImportedDataset};
use crate::domain::{Cancel, Progress, Shape, counted_as};
use crate::geometry::BoundingBox;

/// Pascal VOC.
#[derive(Debug)]
pub struct Voc;

const ANNOTATIONS: &str = "Annotations";

impl Format for Voc {
    fn name(&self) -> &'static str {
        "voc"
    }

    fn recognise(&self, path: &Path) -> Option<String> {
        if path.is_file() {
            return is_voc_file(path).then(|| "an XML file with <annotation>".to_owned());
        }
        let file = annotation_folders(path).ok()?.into_iter().find_map(voc_file_below)?;
        Some(format!("{} holds an <annotation>", file.strip_prefix(path).unwrap_or(&file).display()))
    }

    fn read(
        &self,
        path: &Path,
        options: &ReadOptions,
        progress: &mut dyn FnMut(Progress),
        cancel: &Cancel,
    ) -> Result<ImportedDataset, DatasetError> {
        let path = absolute(path)?;
        let mut draft = Draft::new(root_of(&path, options, &[ANNOTATIONS])?, options);
        let folders = if path.is_file() { Vec::new() } else { annotation_folders(&path)? };
        let mut files = if path.is_file() { vec![path.clone()] } else { Vec::new() };
        for folder in &folders {
            files.extend(files_below(folder, &["xml"])?);
        }
        if files.is_empty() {
            let problem = format!("no XML file in it or in {ANNOTATIONS}/: name the folder that holds {ANNOTATIONS}/");
            return Err(DatasetError::layout(&path, problem));
        }
        read_files(&mut draft, &files, options.voc_origin, progress, cancel)?;
        let mut known = Vec::new();
        for folder in folders.iter().filter(|folder| folder.ends_with(ANNOTATIONS)) {
            known.extend(read_splits(&mut draft, folder, options)?);
        }
        draft.keep_split(options, known)?;
        report_unannotated(&mut draft)?;
        draft.finish("voc", options, progress, cancel)
    }
}

/// Returns an annotation in the folder or below it: images in folders have theirs in folders of the same names.
fn voc_file_below(folder: PathBuf) -> Option<PathBuf> {
    const LOOKED_AT: usize = 256;
    let mut waiting = vec![folder];
    for _ in 0..LOOKED_AT {
        let folder = waiting.pop()?;
        let files = files_in(&folder, &["xml"]).unwrap_or_default();
        if let Some(found) = files.into_iter().take(3).find(|file| is_voc_file(file)) {
            return Some(found);
        }
        waiting.extend(folders_in(&folder).unwrap_or_default().into_iter().rev());
    }
    None
}

fn is_voc_file(file: &Path) -> bool {
    let is_xml = file.extension().is_some_and(|e| e.eq_ignore_ascii_case("xml"));
    is_xml
        && super::json_values::head_of(file).is_some_and(|head| String::from_utf8_lossy(&head).contains("<annotation>"))
}

/// Returns `Annotations/` of the folder or of its subfolders (`VOCdevkit/VOC2012`), or the folder itself.
fn annotation_folders(path: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let own = path.join(ANNOTATIONS);
    if own.is_dir() {
        return Ok(vec![own]);
    }
    let below: Vec<PathBuf> =
        folders_in(path)?.into_iter().map(|folder| folder.join(ANNOTATIONS)).filter(|folder| folder.is_dir()).collect();
    Ok(if below.is_empty() { vec![path.to_path_buf()] } else { below })
}

/// One file: its image, and its objects with class names instead of indices.
#[derive(Debug, Default)]
struct Annotated {
    /// As written: a name may begin with a space.
    filename: Option<String>,
    declared: Option<(u32, u32)>,
    objects: Vec<(String, DraftObject)>,
    bad: Vec<Skipped>,
    /// The file is not XML and is ignored.
    is_unusable: bool,
}

fn read_files(
    draft: &mut Draft,
    files: &[PathBuf],
    origin: u8,
    progress: &mut dyn FnMut(Progress),
    cancel: &Cancel,
) -> Result<(), DatasetError> {
    const BATCH: usize = 1024;
    let mut finders: HashMap<PathBuf, ImageFiles> = HashMap::new();
    let read = |file: &Path| read_file(file, origin);
    let take = |file: &Path, annotated| add(draft, &mut finders, file, annotated);
    read_in_batches(files, BATCH, progress, cancel, read, take)
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
    let folder = file.parent().unwrap_or(file);
    let root = draft.root.clone();
    let finder = finders.entry(folder.to_path_buf()).or_insert_with(|| ImageFiles::new(&root, bases(&root, folder)));
    let stem = file.file_stem().map_or(String::new(), |stem| stem.to_string_lossy().into_owned());
    let name = annotated.filename.unwrap_or_else(|| stem.clone());
    // Tools that rename images often leave <filename> unchanged, and those that indent put spaces around it.
    let trimmed = name.trim();
    let exact = if name == trimmed { None } else { finder.locate(&name).ok() };
    let located = match exact {
        Some(Located::Found(path)) => Ok(Located::Found(path)),
        _ => finder.locate(trimmed),
    };
    let located = match located {
        Ok(Located::Missing(path)) => match finder.locate(&stem) {
            Ok(Located::Found(path)) => Ok(Located::Found(path)),
            _ => Ok(Located::Missing(path)),
        },
        other => other,
    };
    let index = draft.file(file);
    if let Some(path) = draft.found(located, index, Place::File)? {
        let objects = annotated
            .objects
            .into_iter()
            .map(|(class, object)| DraftObject { class: draft.classes.id(&class), ..object });
        let objects = objects.collect();
        draft.images.push(DraftImage { path, split: None, declared: annotated.declared, file: index, objects });
    }
    Ok(())
}

/// Returns the folders that `<filename>` may be relative to, for the annotations in `folder`.
fn bases(root: &Path, folder: &Path) -> Vec<PathBuf> {
    let relative = folder.strip_prefix(root).unwrap_or(Path::new(""));
    let above: PathBuf = relative.iter().take_while(|part| *part != ANNOTATIONS).collect();
    let below: PathBuf = relative.iter().skip_while(|part| *part != ANNOTATIONS).skip(1).collect();
    let images = |name: &str| above.join(name).join(&below);
    vec![
        images("JPEGImages"),
        images("images"),
        above.join("JPEGImages"),
        above.join("images"),
        relative.to_path_buf(),
        above,
        PathBuf::new(),
    ]
}

fn read_file(file: &Path, origin: u8) -> Annotated {
    let mut annotated = Annotated::default();
    let result = XmlReader::open(file).and_then(|mut xml| read_annotation(file, &mut xml, origin, &mut annotated));
    if let Err(error) = result {
        annotated.is_unusable = true;
        annotated.bad.push(bad_file(file, &error));
    }
    annotated
}

fn read_annotation(file: &Path, xml: &mut XmlReader, origin: u8, out: &mut Annotated) -> Result<(), DatasetError> {
    let root = Element::read(xml)?;
    if root.name != "annotation" {
        let problem =
            format!("expected <annotation>, found <{}>: this is not a Pascal VOC file", shortened(&root.name));
        return Err(xml.error(root.line, problem));
    }
    out.filename = root.child("filename").map(|name| name.text.clone()).filter(|name| !name.trim().is_empty());
    let size = |name: &str| root.child("size")?.child(name)?.text.trim().parse::<f64>().ok();
    // Some tools write 0 x 0 instead of the size.
    out.declared =
        size("width").zip(size("height")).map(|(w, h)| (w as u32, h as u32)).filter(|&(w, h)| w > 0 && h > 0);
    for object in root.children.iter().filter(|child| child.name == "object") {
        match read_object(object, origin) {
            Ok(read) => out.objects.push(read),
            Err((line, problem)) => out.bad.push(bad_record(file, Place::Line(line), problem)),
        }
    }
    Ok(())
}

fn read_object(object: &Element, origin: u8) -> Result<(String, DraftObject), (u32, String)> {
    let wrong = |element: &Element, problem: String| (element.line, problem);
    let class = object.child("name").map(|name| name.text.trim()).filter(|name| !name.is_empty());
    let class = class.ok_or_else(|| wrong(object, "the object has no <name>".to_owned()))?;
    let origin = f64::from(origin);
    // Both corners are pixels of the object: its right edge is one pixel further.
    let around =
        |[x1, y1, x2, y2]: [f64; 4]| BoundingBox::new(x1 - origin, y1 - origin, x2 - origin + 1.0, y2 - origin + 1.0);
    let (bbox, sides) = match (object.child("bndbox"), object.child("robndbox"), object.child("polygon")) {
        (Some(corners), ..) => (around(corners_of(corners)?), None),
        (None, Some(turned), _) => turned_box(turned, origin)?,
        (None, None, Some(polygon)) => (around(corners_of_polygon(polygon)?), None),
        (None, None, None) => {
            return Err(wrong(object, format!("'{}' has no <bndbox> and no <polygon>", shortened(class))));
        }
    };
    let difficult = object.child("difficult").map_or("0", |flag| flag.text.trim());
    let ignored = difficult == "1" || difficult.eq_ignore_ascii_case("true");
    let place = Place::Line(object.line);
    Ok((class.to_owned(), DraftObject { class: 0, shape: Shape::Rectangle(bbox), sides, ignored, place }))
}

/// Parses the number in the element `name` of `parent`; an error includes its line.
fn number_in(parent: &Element, name: &str) -> Result<f64, (u32, String)> {
    let element =
        parent.child(name).ok_or_else(|| (parent.line, format!("<{}> has no <{name}>", shortened(&parent.name))))?;
    number_of(element)
}

fn number_of(element: &Element) -> Result<f64, (u32, String)> {
    let (name, text) = (shortened(&element.name), element.text.trim());
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| (element.line, format!("{name} is '{}', not a finite number", shortened(text))))
}

/// Returns left, top, right and bottom pixel.
fn corners_of(corners: &Element) -> Result<[f64; 4], (u32, String)> {
    let number = |name: &str| number_in(corners, name);
    let (x1, y1, x2, y2) = (number("xmin")?, number("ymin")?, number("xmax")?, number("ymax")?);
    if x2 < x1 || y2 < y1 {
        let problem = format!("the corners {x1}, {y1} and {x2}, {y2} are not top left and bottom right");
        return Err((corners.line, problem));
    }
    Ok([x1, y1, x2, y2])
}

/// The same for `<x1>`, `<y1>`, `<x2>` ..., or for `<pt>` with `<x>` and `<y>`.
fn corners_of_polygon(polygon: &Element) -> Result<[f64; 4], (u32, String)> {
    let (mut xs, mut ys) = (Vec::new(), Vec::new());
    let points = polygon.children.iter().filter(|child| child.name == "pt");
    for element in points.flat_map(|point| &point.children).chain(&polygon.children) {
        match element.name.as_bytes() {
            [b'x', rest @ ..] if rest.iter().all(u8::is_ascii_digit) => xs.push(number_of(element)?),
            [b'y', rest @ ..] if rest.iter().all(u8::is_ascii_digit) => ys.push(number_of(element)?),
            _ => {}
        }
    }
    if xs.len() < 3 || xs.len() != ys.len() {
        let problem = format!("a polygon has at least 3 points, found {} x and {} y", xs.len(), ys.len());
        return Err((polygon.line, problem));
    }
    let least = |all: &[f64]| all.iter().copied().fold(f64::MAX, f64::min);
    let most = |all: &[f64]| all.iter().copied().fold(f64::MIN, f64::max);
    Ok([least(&xs), least(&ys), most(&xs), most(&ys)])
}

/// Returns the axis-aligned box around roLabelImg's `<robndbox>` (centre, size and angle in radians), and its sides.
fn turned_box(turned: &Element, origin: f64) -> Result<(BoundingBox, Option<Sides>), (u32, String)> {
    let number = |name: &str| number_in(turned, name);
    let (cx, cy, w, h) = (number("cx")? - origin, number("cy")? - origin, number("w")?, number("h")?);
    if w <= 0.0 || h <= 0.0 {
        return Err((turned.line, format!("<robndbox> is {w} wide and {h} high; both must be above 0")));
    }
    let bbox = rotated(&BoundingBox::from_xywh(cx - w / 2.0, cy - h / 2.0, w, h), number("angle")?);
    Ok((bbox, Some(Sides::of_size(w, h))))
}

/// A small XML tree.
#[derive(Debug, Default)]
struct Element {
    name: String,
    line: u32,
    text: String,
    children: Vec<Element>,
}

impl Element {
    const DEEPEST: usize = 32;

    /// Parses the file's root element.
    fn read(xml: &mut XmlReader) -> Result<Self, DatasetError> {
        let mut open: Vec<Self> = Vec::new();
        loop {
            let line = xml.line();
            let closed = match xml.next()? {
                XmlEvent::Open { element, is_empty } => {
                    let element = Self { name: element.name, line: element.line, ..Self::default() };
                    if open.len() >= Self::DEEPEST {
                        return Err(xml.error(element.line, "the elements are nested too deeply"));
                    }
                    if is_empty {
                        element
                    } else {
                        open.push(element);
                        continue;
                    }
                }
                XmlEvent::Close => match open.pop() {
                    Some(element) => element,
                    None => return Err(xml.error(line, "a closing tag without an opening tag")),
                },
                XmlEvent::Text(text) => {
                    if let Some(element) = open.last_mut() {
                        element.text.push_str(&text);
                    }
                    continue;
                }
                XmlEvent::End => {
                    let problem = match open.last() {
                        Some(element) => format!("the file ends before </{}>: copy it again", element.name),
                        None => "the file holds no element".to_owned(),
                    };
                    return Err(xml.error(line, problem));
                }
            };
            match open.last_mut() {
                Some(parent) => parent.children.push(closed),
                None => return Ok(closed),
            }
        }
    }

    fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }
}

/// Reads `ImageSets/Main/*.txt` next to `folder` and assigns the images' splits. Returns the names of the splits.
fn read_splits(draft: &mut Draft, folder: &Path, options: &ReadOptions) -> Result<Vec<String>, DatasetError> {
    let sets = folder.with_file_name("ImageSets").join("Main");
    if !sets.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = files_in(&sets, &["txt"])?;
    let rank = |file: &PathBuf| match file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).as_deref() {
        Some("train") => 0,
        Some("val") => 1,
        Some("test") => 2,
        Some("trainval") => 4,
        _ => 3,
    };
    files.sort_by_key(|file| (rank(file), file.clone()));
    let mut by_stem: HashMap<String, usize> = HashMap::new();
    for (k, image) in draft.images.iter().enumerate() {
        let annotation = draft.path_of(image.file);
        if let Some(stem) = annotation.strip_prefix(folder).ok().map(|path| path.with_extension("")) {
            by_stem.insert(super::draft::name_of(&stem), k);
        }
    }
    let mut known = Vec::new();
    for file in files {
        let text = text_of(&file)?;
        if is_class_list(&text) {
            continue;
        }
        let split = file.file_stem().map_or(String::new(), |stem| stem.to_string_lossy().into_owned());
        for (line, written) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let name = written.trim();
            // A name may begin with a space.
            let of_name = |name: &str| by_stem.get(&name.replace('\\', "/"));
            match of_name(written).or_else(|| of_name(name)) {
                Some(&k) => {
                    if let Some(image) = draft.images.get_mut(k) {
                        image.split.get_or_insert_with(|| split.clone());
                    }
                }
                // Its image may be missing, which was already reported.
                None if [written, name].iter().any(|name| folder.join(format!("{name}.xml")).is_file()) => {}
                None if options.split.as_ref().is_none_or(|wanted| *wanted == split) => {
                    let problem = format!("'{}' has no XML file in {ANNOTATIONS}/", shortened(name));
                    draft.problems.report(&file, Place::Line(line), problem)?;
                }
                None => {}
            }
        }
        known.push(split);
    }
    Ok(known)
}

/// `car_train.txt` says for each image whether it contains a car: -1, 0 or 1 in a second column.
fn is_class_list(text: &str) -> bool {
    let mut lines = numbered(text).peekable();
    lines.peek().is_some()
        && lines.all(|(_, line)| {
            line.rsplit_once(char::is_whitespace).is_some_and(|(_, last)| ["-1", "0", "1"].contains(&last))
        })
}

/// Reports images in the annotated folders that no XML file names.
fn report_unannotated(draft: &mut Draft) -> Result<(), DatasetError> {
    let images = draft.root.join("JPEGImages");
    if images.is_dir() && draft.images.iter().all(|image| image.path.starts_with("JPEGImages")) {
        let there = images_below(&draft.root, Path::new("JPEGImages"))?.len();
        let used = draft.images.len();
        if there > used {
            draft.warnings.push(format!(
                "{} left out.",
                counted_as(
                    there - used,
                    "image in JPEGImages/ has no annotation that is read, and was",
                    "images in JPEGImages/ have no annotation that is read, and were"
                )
            ));
        }
    }
    Ok(())
}
