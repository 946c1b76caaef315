//! Reads upright image sizes from file headers.

use std::collections::HashMap;
use std::path::Path;

use rayon::prelude::*;

use super::EvaluateError;
use crate::dataset::{ImageFinder, read_image_file, read_size};
use crate::evaluation::fddb_text::ImageSizes;

/// Returns the sizes of the named images below `root`, from their headers.
pub(super) fn read_headers<'a>(root: &Path, names: impl Iterator<Item = &'a str>) -> Result<ImageSizes, EvaluateError> {
    let names: Vec<&str> = names.collect();
    let finder = ImageFinder::new(root);
    let sizes: Result<HashMap<_, _>, _> =
        names.par_iter().map(|name| Ok(((*name).to_owned(), size(&finder, root, name)?))).collect();
    sizes
}

fn size(finder: &ImageFinder, root: &Path, name: &str) -> Result<(u32, u32), EvaluateError> {
    let failed = |problem: String| EvaluateError::ImageSize { name: name.to_owned(), root: root.to_owned(), problem };
    let path = finder.find(name).ok_or_else(|| {
        failed(format!("no file {name}.jpg (or .png, .ppm, .bmp); is this the folder that image names start from?"))
    })?;
    let bytes = read_image_file(&path).map_err(|e| failed(e.to_string()))?;
    let header = read_size(&bytes, &path).map_err(|e| failed(e.to_string()))?;
    Ok((header.width, header.height))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A JPEG of 32 x 16 pixels whose EXIF orientation rotates it.
    fn on_its_side() -> Vec<u8> {
        let mut jpeg = std::io::Cursor::new(Vec::new());
        image::RgbImage::new(32, 16).write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
        let jpeg = jpeg.into_inner();
        let exif = b"\xFF\xE1\0\x22Exif\0\0MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        [&jpeg[..2], &exif[..], &jpeg[2..]].concat()
    }

    #[test]
    fn sizes_are_upright_and_need_no_whole_file() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = on_its_side();
        std::fs::write(dir.path().join("turned.jpg"), &bytes).unwrap();
        std::fs::write(dir.path().join("cut.jpg"), &bytes[..bytes.len() - 2]).unwrap();
        std::fs::write(dir.path().join("text.jpg"), "no picture").unwrap();
        let sizes = read_headers(dir.path(), ["turned", "cut"].into_iter()).unwrap();
        assert_eq!((sizes["turned"], sizes["cut"]), ((16, 32), (16, 32)));
        for name in ["text", "gone"] {
            let message = read_headers(dir.path(), std::iter::once(name)).unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
    }
}
