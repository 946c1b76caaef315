//! Detections as a table with a header, separated by commas, semicolons or tabs. Columns are identified by common names.

use std::path::Path;

use csv::{ByteRecord, ReaderBuilder, StringRecord};

use super::{ClassKey, FoundRecord, ImageKey, Results, Unit};
use crate::dataset::DatasetError;
use crate::domain::{Shape, limits, printable, read_text};
use crate::geometry::BoundingBox;

/// Names come before ids, which need a ground truth file.
const IMAGE: [&str; 9] =
    ["file_name", "filename", "file", "image", "image_name", "path", "image_path", "image_id", "imageid"];
const CLASS: [&str; 8] =
    ["class", "class_name", "label", "category", "category_name", "class_id", "category_id", "labelname"];
const SCORE: [&str; 6] = ["score", "confidence", "conf", "probability", "prob", "scores"];

/// How four columns define a box.
#[derive(Debug, Clone, Copy)]
enum BoxForm {
    Corners,
    /// Top-left corner and size.
    CornerSize,
    CentreSize,
}

const BOXES: [([&str; 4], BoxForm); 12] = [
    (["x1", "y1", "x2", "y2"], BoxForm::Corners),
    (["xmin", "ymin", "xmax", "ymax"], BoxForm::Corners),
    (["x_min", "y_min", "x_max", "y_max"], BoxForm::Corners),
    (["left", "top", "right", "bottom"], BoxForm::Corners),
    (["xtl", "ytl", "xbr", "ybr"], BoxForm::Corners),
    (["xcenter", "ycenter", "width", "height"], BoxForm::CentreSize),
    (["x_center", "y_center", "width", "height"], BoxForm::CentreSize),
    (["cx", "cy", "w", "h"], BoxForm::CentreSize),
    (["x", "y", "w", "h"], BoxForm::CornerSize),
    (["x", "y", "width", "height"], BoxForm::CornerSize),
    (["left", "top", "width", "height"], BoxForm::CornerSize),
    (["bbox_x", "bbox_y", "bbox_w", "bbox_h"], BoxForm::CornerSize),
];

/// The columns of YOLOv5's `results.pandas().xyxy`.
const YOLOV5: [&str; 7] = ["xmin", "ymin", "xmax", "ymax", "confidence", "class", "name"];

struct Columns {
    image: usize,
    /// It has ids.
    is_id: bool,
    class: Option<usize>,
    score: Option<usize>,
    bbox: [usize; 4],
    form: BoxForm,
}

/// Whether a line is the header of such a table. An error says what a table of boxes lacks.
pub(super) fn is_header(line: &str) -> Result<bool, String> {
    let separator = char::from(separator(line));
    match columns(line.split(separator)) {
        Ok(_) => Ok(true),
        Err(Lacking { problem, has_boxes: true }) => Err(problem),
        Err(Lacking { has_boxes: false, .. }) => Ok(false),
    }
}

/// What a header lacks.
#[derive(Debug)]
struct Lacking {
    problem: String,
    has_boxes: bool,
}

pub(super) fn read(path: &Path) -> Result<Results, DatasetError> {
    let text = read_text(path, limits::TEXT)?;
    let header = text.lines().next().unwrap_or("");
    let mut reader = ReaderBuilder::new().delimiter(separator(header)).flexible(true).from_reader(text.as_bytes());
    let failed = |error: &csv::Error| {
        let line = error.position().map_or(1, |position| position.line() as usize);
        DatasetError::line(path, line, format!("{error}; correct the table there"))
    };
    let header: StringRecord = reader.headers().map_err(|error| failed(&error))?.clone();
    let columns = columns(header.iter()).map_err(|lacking| DatasetError::line(path, 1, lacking.problem))?;
    refuse_twice(&header, &columns).map_err(|problem| DatasetError::line(path, 1, problem))?;
    let mut results = Results::new(vec![path.to_path_buf()], Unit::Pixels);
    let mut row = ByteRecord::new();
    while reader.read_byte_record(&mut row).map_err(|error| failed(&error))? {
        let line = row.position().map_or(1, |position| position.line() as usize);
        let is_end = reader.is_done() || reader.position().byte() as usize >= text.len();
        if row.len() < header.len() && is_end && !text.ends_with('\n') {
            let problem = "the file is cut off here: it was written only in part. Write or copy it again";
            return Err(DatasetError::line(path, line, problem));
        }
        if row.len() != header.len() {
            let problem = format!("expected {} columns as in the header, found {}", header.len(), row.len());
            results.report(0, Some(line), problem);
            continue;
        }
        // The text is UTF-8, and so are its fields.
        let cell = |column: usize| row.get(column).and_then(|cell| std::str::from_utf8(cell).ok()).unwrap_or("").trim();
        match detection(&columns, cell) {
            Ok((image, class, shape, score)) => {
                results.records.push(FoundRecord { file: 0, line: Some(line), image, class, shape, score });
            }
            Err(problem) => results.report(0, Some(line), problem),
        }
    }
    Ok(results)
}

fn separator(header: &str) -> u8 {
    let count = |separator: u8| header.bytes().filter(|byte| *byte == separator).count();
    [b',', b';', b'\t'].into_iter().max_by_key(|separator| (count(*separator), *separator == b',')).unwrap_or(b',')
}

fn columns<'a>(header: impl Iterator<Item = &'a str>) -> Result<Columns, Lacking> {
    let plain = |name: &str| name.trim().trim_matches('"').to_ascii_lowercase().replace([' ', '-'], "_");
    let header: Vec<String> = header.map(plain).collect();
    let find = |name: &str| header.iter().position(|column| column == name);
    let any = |names: &[&str]| names.iter().find_map(|name| find(name));
    let bbox = BOXES.iter().find_map(|(names, form)| {
        let found: Vec<usize> = names.iter().filter_map(|name| find(name)).collect();
        Some((<[usize; 4]>::try_from(found).ok()?, *form))
    });
    let is_yolov5 = YOLOV5.iter().all(|name| find(name).is_some());
    let Some(image) = any(&IMAGE) else {
        let own = if is_yolov5 {
            ". This is the table that YOLOv5's `results.pandas()` makes for each image: add a column `image` with the image's name to each, and \
             write all into one file"
        } else {
            ""
        };
        let problem = format!("the header names no image column; it may be called {}{own}", IMAGE.join(", "));
        return Err(Lacking { problem, has_boxes: bbox.is_some() });
    };
    let (bbox, form) = bbox.ok_or_else(|| {
        let problem = "the header names no box; its columns may be called x1, y1, x2, y2, or xmin, ymin, xmax, ymax, or x, y, width, height \
                       (upper left corner), or cx, cy, w, h (centre)";
        Lacking { problem: problem.to_owned(), has_boxes: false }
    })?;
    // Its `class` is a number, and a name says more.
    let class = if is_yolov5 { find("name") } else { any(&CLASS) };
    let is_id = header.get(image).is_some_and(|name| matches!(name.as_str(), "image_id" | "imageid"));
    Ok(Columns { image, is_id, class, score: any(&SCORE), bbox, form })
}

/// Refuses two columns with the same name, which are ambiguous.
fn refuse_twice(header: &StringRecord, columns: &Columns) -> Result<(), String> {
    let used = [Some(columns.image), columns.class, columns.score].into_iter().flatten().chain(columns.bbox);
    let mut names = used.filter_map(|at| header.get(at));
    let is_twice =
        |name: &&str| header.iter().filter(|other| other.trim().eq_ignore_ascii_case(name.trim())).count() > 1;
    names.find(is_twice).map_or(Ok(()), |name| {
        Err(format!("the header names `{}` twice: rename one of the columns", printable(name.trim())))
    })
}

type Detected = (ImageKey, ClassKey, Shape, Option<f64>);

fn detection<'a>(columns: &Columns, cell: impl Fn(usize) -> &'a str) -> Result<Detected, String> {
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    let image = cell(columns.image);
    if image.is_empty() {
        return Err("the image's cell is empty".to_owned());
    }
    let class = match columns.class.map(&cell) {
        None | Some("") => ClassKey::Unnamed,
        Some(text) => text.parse().map_or_else(|_| ClassKey::Name(text.to_owned()), ClassKey::Number),
    };
    let score = match columns.score.map(&cell) {
        None | Some("") => None,
        Some(text) => Some(number(text).ok_or_else(|| format!("the score '{text}' is not a finite number"))?),
    };
    let mut values = [0.0; 4];
    for (value, column) in values.iter_mut().zip(columns.bbox) {
        let text = cell(column);
        *value = number(text).ok_or_else(|| format!("'{text}' is not a finite number"))?;
    }
    let [a, b, c, d] = values;
    let (width, height) = match columns.form {
        BoxForm::Corners if c < a || d < b => {
            return Err(format!("the corners {a}, {b} and {c}, {d} are not top left and bottom right"));
        }
        BoxForm::Corners => (c - a, d - b),
        BoxForm::CornerSize | BoxForm::CentreSize => (c, d),
    };
    if width <= 0.0 || height <= 0.0 {
        return Err(format!("the box is {width} wide and {height} high; both must be above 0"));
    }
    let bbox = match columns.form {
        BoxForm::Corners => BoundingBox::new(a, b, c, d),
        BoxForm::CornerSize => BoundingBox::from_xywh(a, b, c, d),
        BoxForm::CentreSize => BoundingBox::from_xywh(a - c / 2.0, b - d / 2.0, c, d),
    };
    let image = if columns.is_id { ImageKey::id_text(image) } else { ImageKey::named(image) };
    Ok((image, class, Shape::Rectangle(bbox), score))
}
