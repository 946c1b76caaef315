//! "CVAT for images 1.1" XML (<https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/>), streamed: boxes, ellipses, and the
//! bounding boxes of polygons and masks. An image's `subset` is its split.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::draft::{Draft, DraftImage, DraftObject, Sides};
use super::image_files::{ImageFiles, shortened};
use super::layout::{absolute, files_in, root_of};
use super::skipped::Place;
use super::xml::{Tag, XmlEvent, XmlReader};
use super::{Format, ReadOptions};
use crate::dataset::{DatasetError, ImportedDataset};
use crate::domain::{Cancel, Progress, Shape};
use crate::geometry::{BoundingBox, Ellipse};

/// CVAT for images 1.1.
#[derive(Debug)]
pub struct Cvat;

impl Format for Cvat {
    fn name(&self) -> &'static str {
        "cvat"
    }

    fn recognise(&self, path: &Path) -> Option<String> {
        if path.is_file() {
            return is_cvat_file(path).then(|| "an XML file with CVAT's <annotations>".to_owned());
        }
        let file = files_in(path, &["xml"]).ok()?.into_iter().find(|file| is_cvat_file(file))?;
        Some(format!("{} holds CVAT's <annotations>", file.file_name()?.to_string_lossy()))
    }

    fn read(
        &self,
        path: &Path,
        options: &ReadOptions,
        progress: &mut dyn FnMut(Progress),
        cancel: &Cancel,
    ) -> Result<ImportedDataset, DatasetError> {
        let path = absolute(path)?;
        let files = if path.is_file() { vec![path.clone()] } else { files_in(&path, &["xml"])? };
        let files: Vec<PathBuf> = files.into_iter().filter(|file| path.is_file() || is_cvat_file(file)).collect();
        if files.is_empty() {
            let problem =
                "no XML file with <annotations> in it: name the file that CVAT exported, e.g. annotations.xml";
            return Err(DatasetError::layout(&path, problem));
        }
        let mut draft = Draft::new(root_of(&path, options, &["annotations"])?, options);
        for (k, file) in files.iter().enumerate() {
            progress(Progress { what: "Reading annotations".into(), done: k as u64, total: files.len() as u64 });
            read_file(&mut draft, file, cancel)?;
        }
        draft.keep_split(options, Vec::new())?;
        draft.finish("cvat", options, progress, cancel)
    }
}

fn is_cvat_file(file: &Path) -> bool {
    let is_xml = file.extension().is_some_and(|e| e.eq_ignore_ascii_case("xml"));
    is_xml
        && super::json_values::head_of(file)
            .is_some_and(|head| String::from_utf8_lossy(&head).contains("<annotations>"))
}

/// Maximum nesting depth; real files have at most 6.
const DEEPEST: usize = 64;

/// An image being read.
struct OpenImage {
    name: String,
    split: Option<String>,
    declared: Option<(u32, u32)>,
    line: u32,
    objects: Vec<DraftObject>,
}

/// A shape whose attributes may follow.
struct OpenShape {
    class: String,
    shape: Result<(Shape, Option<Sides>), String>,
    ignored: bool,
    line: u32,
}

/// State between two events.
struct CvatFile<'a> {
    path: &'a Path,
    index: u32,
    open: Vec<String>,
    image: Option<OpenImage>,
    shape: Option<OpenShape>,
    /// Name of the attribute whose text is being read.
    attribute: Option<String>,
    text: String,
    files: ImageFiles,
    /// Number of unsupported shapes, by type.
    unused: BTreeMap<String, usize>,
}

fn read_file(draft: &mut Draft, path: &Path, cancel: &Cancel) -> Result<(), DatasetError> {
    let index = draft.file(path);
    let files = ImageFiles::new(&draft.root, ["images", "", "data"].map(PathBuf::from));
    let mut file = CvatFile {
        path,
        index,
        open: Vec::new(),
        image: None,
        shape: None,
        attribute: None,
        text: String::new(),
        files,
        unused: BTreeMap::new(),
    };
    let mut xml = XmlReader::open(path)?;
    loop {
        match xml.next()? {
            XmlEvent::Open { element, is_empty } => {
                if file.open.is_empty() && element.name != "annotations" {
                    let problem = format!(
                        "expected <annotations>, found <{}>: this is not a CVAT file",
                        shortened(&element.name)
                    );
                    return Err(xml.error(element.line, problem));
                }
                if element.name == "track" {
                    let problem = "this is CVAT's format for videos: export the task as \"CVAT for images 1.1\"";
                    return Err(xml.error(element.line, problem));
                }
                if file.open.len() >= DEEPEST {
                    return Err(xml.error(element.line, "the elements are nested too deeply"));
                }
                file.opened(&element, draft)?;
                file.open.push(element.name);
                if is_empty {
                    file.closed(draft)?;
                }
            }
            XmlEvent::Close => file.closed(draft)?,
            XmlEvent::Text(text) => file.text.push_str(&text),
            XmlEvent::End => break,
        }
        if cancel.is_cancelled() {
            return Err(DatasetError::Cancelled);
        }
    }
    if let Some(element) = file.open.last() {
        return Err(xml.error(xml.line(), format!("the file ends before </{element}>: copy it again")));
    }
    let unused: Vec<String> = file.unused.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    if !unused.is_empty() {
        draft.warnings.push(format!("Skipped shapes without a box: {}.", unused.join(", ")));
    }
    Ok(())
}

impl CvatFile<'_> {
    fn opened(&mut self, tag: &Tag, draft: &mut Draft) -> Result<(), DatasetError> {
        self.text.clear();
        match tag.name.as_str() {
            "image" => match tag.attribute("name") {
                Some(name) => {
                    let size = |key: &str| tag.attribute(key)?.trim().parse::<u32>().ok().filter(|&size| size > 0);
                    self.image = Some(OpenImage {
                        name: name.to_owned(),
                        split: tag.attribute("subset").map(str::to_owned).filter(|split| !split.is_empty()),
                        declared: size("width").zip(size("height")),
                        line: tag.line,
                        objects: Vec::new(),
                    });
                }
                None => draft.problems.report(self.path, Place::Line(tag.line), "<image> has no attribute name")?,
            },
            "box" | "polygon" | "ellipse" | "mask" if self.image.is_some() && tag.attribute("outside") != Some("1") => {
                let class = tag.attribute("label").map(|label| label.trim().to_owned()).unwrap_or_default();
                let shape = if class.is_empty() {
                    Err(format!("<{}> has no attribute label", tag.name))
                } else {
                    shape_of(tag)
                };
                self.shape = Some(OpenShape { class, shape, ignored: false, line: tag.line });
            }
            "polyline" | "points" | "cuboid" | "skeleton" | "tag" if self.image.is_some() => {
                *self.unused.entry(tag.name.clone()).or_insert(0) += 1;
            }
            "attribute" => self.attribute = tag.attribute("name").map(str::to_owned),
            _ => {}
        }
        Ok(())
    }

    fn closed(&mut self, draft: &mut Draft) -> Result<(), DatasetError> {
        let Some(element) = self.open.pop() else { return Ok(()) };
        let text = self.text.trim();
        match element.as_str() {
            "name" if self.open.last().is_some_and(|parent| parent == "label") && !text.is_empty() => {
                draft.classes.id(text);
            }
            "attribute" => {
                let marks = self
                    .attribute
                    .take()
                    .is_some_and(|name| ["ignored", "difficult", "iscrowd", "is_crowd"].contains(&name.as_str()));
                if let (true, Some(shape)) = (marks && ["true", "1"].contains(&text), &mut self.shape) {
                    shape.ignored = true;
                }
            }
            "box" | "polygon" | "ellipse" | "mask" => {
                let Some(OpenShape { class, shape, ignored, line }) = self.shape.take() else { return Ok(()) };
                let place = Place::Line(line);
                match (shape, &mut self.image) {
                    (Ok((shape, sides)), Some(image)) => {
                        let class = draft.classes.id(&class);
                        image.objects.push(DraftObject { class, shape, sides, ignored, place });
                    }
                    (Err(problem), _) => draft.problems.report(self.path, place, problem)?,
                    (Ok(_), None) => {}
                }
            }
            "image" => {
                let Some(image) = self.image.take() else { return Ok(()) };
                let place = Place::Line(image.line);
                if let Some(path) = draft.found(self.locate(&image), self.index, place)? {
                    let OpenImage { split, declared, objects, .. } = image;
                    draft.images.push(DraftImage { path, split, declared, file: self.index, objects });
                }
            }
            _ => {}
        }
        self.text.clear();
        Ok(())
    }

    /// Finds the image by name, or by name in the folder of its subset, as in project exports.
    fn locate(&mut self, image: &OpenImage) -> Result<super::image_files::Located, String> {
        use super::image_files::Located;
        match (self.files.locate(&image.name), &image.split) {
            (Ok(Located::Missing(path)), Some(split)) => match self.files.locate(&format!("{split}/{}", image.name)) {
                Ok(Located::Found(path)) => Ok(Located::Found(path)),
                _ => Ok(Located::Missing(path)),
            },
            (other, _) => other,
        }
    }
}

/// Returns the shape, and the sides of a box that may be rotated.
fn shape_of(tag: &Tag) -> Result<(Shape, Option<Sides>), String> {
    // Degrees, clockwise on the screen, about the centre.
    let rotation = if tag.attribute("rotation").is_some() { tag.number("rotation")?.to_radians() } else { 0.0 };
    match tag.name.as_str() {
        "ellipse" => {
            let (rx, ry) = (tag.number("rx")?, tag.number("ry")?);
            Ok((Shape::Ellipse(Ellipse::new(rx, ry, rotation, tag.number("cx")?, tag.number("cy")?)), None))
        }
        "polygon" => points(tag.attribute("points").unwrap_or_default()).map(|bbox| (Shape::Rectangle(bbox), None)),
        "mask" => {
            let (left, top) = (tag.number("left")?, tag.number("top")?);
            let bbox = BoundingBox::from_xywh(left, top, tag.number("width")?, tag.number("height")?);
            Ok((Shape::Rectangle(bbox), None))
        }
        _ => {
            let (x1, y1, x2, y2) = (tag.number("xtl")?, tag.number("ytl")?, tag.number("xbr")?, tag.number("ybr")?);
            if x2 <= x1 || y2 <= y1 {
                return Err(format!("the corners {x1}, {y1} and {x2}, {y2} are not top left and bottom right"));
            }
            let bbox = rotated(&BoundingBox::new(x1, y1, x2, y2), rotation);
            Ok((Shape::Rectangle(bbox), Some(Sides::of_size(x2 - x1, y2 - y1))))
        }
    }
}

/// Returns the axis-aligned box around `b` rotated about its centre by `angle` in radians.
pub(super) fn rotated(b: &BoundingBox, angle: f64) -> BoundingBox {
    if angle == 0.0 {
        return *b;
    }
    let (sin, cos) = (angle.sin().abs(), angle.cos().abs());
    let (w, h) = (b.width() * cos + b.height() * sin, b.width() * sin + b.height() * cos);
    let (cx, cy) = b.center();
    BoundingBox::from_xywh(cx - w / 2.0, cy - h / 2.0, w, h)
}

/// Parses `x,y;x,y;x,y`.
fn points(text: &str) -> Result<BoundingBox, String> {
    let (mut x1, mut y1, mut x2, mut y2, mut count) = (f64::MAX, f64::MAX, f64::MIN, f64::MIN, 0);
    for point in text.split(';').filter(|point| !point.trim().is_empty()) {
        let number = |word: &str| word.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        let pair = point.split_once(',').and_then(|(x, y)| number(x).zip(number(y)));
        let (x, y) = pair.ok_or_else(|| format!("'{}' of points is not `x,y`", shortened(point)))?;
        (x1, y1, x2, y2, count) = (x1.min(x), y1.min(y), x2.max(x), y2.max(y), count + 1);
    }
    if count < 3 {
        return Err(format!("a polygon has at least 3 points, found {count}"));
    }
    Ok(BoundingBox::new(x1, y1, x2, y2))
}
