//! Small datasets in temporary folders, and their import formatted as plain text.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use image::{ImageFormat, Rgb, RgbImage};
use quarry::dataset::formats::{ReadOptions, format_named};
use quarry::dataset::{DatasetError, ImportedDataset};
use quarry::domain::{Cancel, Shape};

/// A folder filled by a test.
pub struct Set {
    folder: tempfile::TempDir,
}

impl Set {
    /// Images of 100 x 80 pixels at these paths, each with different bytes.
    pub fn new(images: &[&str]) -> Self {
        let set = Self { folder: tempfile::tempdir().unwrap() };
        for (k, image) in images.iter().enumerate() {
            set.image(image, 100, 80, k as u8);
        }
        set
    }

    pub fn image(&self, path: &str, width: u32, height: u32, shade: u8) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let image = RgbImage::from_pixel(width, height, Rgb([shade, 0, 0]));
        image.save_with_format(path, ImageFormat::Png).unwrap();
    }

    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) -> &Self {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    pub fn path(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.folder.path().to_path_buf() } else { self.folder.path().join(path) }
    }

    pub fn read(&self, format: &str, path: &str) -> Result<ImportedDataset, DatasetError> {
        self.read_with(format, path, &ReadOptions::default())
    }

    pub fn read_with(&self, format: &str, path: &str, options: &ReadOptions) -> Result<ImportedDataset, DatasetError> {
        read(format, &self.path(path), options)
    }
}

pub fn read(format: &str, path: &Path, options: &ReadOptions) -> Result<ImportedDataset, DatasetError> {
    format_named(format).unwrap().read(path, options, &mut |_| {}, &Cancel::new())
}

/// Formats a line for each image and each object: `name [split]`, then `class x1 y1 x2 y2`, `ellipse` and `ignored` if applicable.
pub fn text(dataset: &ImportedDataset) -> String {
    let mut text = String::new();
    for image in &dataset.images {
        let split = image.split.as_ref().map_or(String::new(), |split| format!(" [{split}]"));
        writeln!(text, "{}{split}", image.name).unwrap();
        for object in &image.objects {
            let b = object.shape.bounding_box();
            let ellipse = if matches!(object.shape, Shape::Ellipse(_)) { " ellipse" } else { "" };
            let ignored = if object.ignored { " ignored" } else { "" };
            let round = |v: f64| (v * 1000.0).round() / 1000.0;
            let class = &dataset.classes[object.class as usize];
            writeln!(
                text,
                "  {class} {} {} {} {}{ellipse}{ignored}",
                round(b.x1),
                round(b.y1),
                round(b.x2),
                round(b.y2)
            )
            .unwrap();
        }
    }
    text
}

/// Fails with both texts if the import is not `expected`; leading spaces in `expected` are ignored.
pub fn check(dataset: &ImportedDataset, expected: &str) {
    let lines = |text: &str| {
        text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect::<Vec<_>>()
    };
    assert_eq!(lines(&text(dataset)), lines(expected), "{:#?}", dataset.summary);
}

/// Formats the bad records as `file:line: problem` with the file name only.
pub fn bad(dataset: &ImportedDataset) -> Vec<String> {
    let records = dataset.summary.bad_records.iter();
    records
        .map(|record| {
            let name = record.file.file_name().unwrap().to_string_lossy().into_owned();
            match record.line {
                Some(line) => format!("{name}:{line}: {}", record.problem),
                None => format!("{name}: {}", record.problem),
            }
        })
        .collect()
}

/// Each of `expected` is a prefix or a part of the bad record at its index.
pub fn check_bad(dataset: &ImportedDataset, expected: &[&str]) {
    let found = bad(dataset);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(expected.split(" ... ").all(|part| found.contains(part)), "no {expected:?} in {found:?}");
    }
}
