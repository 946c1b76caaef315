//! Image sizes from file headers. Must not decode pixels.

use std::collections::HashMap;
use std::path::Path;

use rayon::prelude::*;

use super::EvaluateError;
use crate::dataset::photograph_file;
use crate::evaluation::fddb_text::ImageSizes;

/// The sizes of the named images below `root`, from their headers.
pub(super) fn read_headers<'a>(root: &Path, names: impl Iterator<Item = &'a str>) -> Result<ImageSizes, EvaluateError> {
    let names: Vec<&str> = names.collect();
    let sizes: Result<HashMap<_, _>, _> =
        names.par_iter().map(|name| Ok(((*name).to_owned(), size(root, name)?))).collect();
    sizes
}

fn size(root: &Path, name: &str) -> Result<(u32, u32), EvaluateError> {
    let failed = |problem: String| EvaluateError::ImageSize { name: name.to_owned(), root: root.to_owned(), problem };
    let path = photograph_file(root, name).ok_or_else(|| {
        failed(format!("no file {name}.jpg (or .png, .ppm, .bmp); is this the folder that image names start from?"))
    })?;
    let reader = image::ImageReader::open(path).and_then(image::ImageReader::with_guessed_format);
    let reader = reader.map_err(|e| failed(e.to_string()))?;
    let (width, height) = reader.into_dimensions().map_err(|e| failed(e.to_string()))?;
    if width == 0 || height == 0 { Err(failed("the image has no pixels".to_owned())) } else { Ok((width, height)) }
}
