//! Tests decoding: images that claim to be huge, and JPEGs with and without all of their data.

use std::path::Path;

use super::bombs::{bombs, jpeg};
use super::*;

fn decode(bytes: &[u8]) -> Result<image::RgbImage, String> {
    decode_rgb_bytes(bytes, Path::new("a.jpg")).map_err(|error| error.to_string())
}

fn is_whole(bytes: &[u8]) -> bool {
    let header = read_header(bytes, Path::new("a.jpg"));
    assert_eq!(header.is_ok(), decode(bytes).is_ok(), "an import and a run must agree");
    header.is_ok()
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dataset").join(name)).unwrap()
}

/// Returns the offset of the first scan's entropy-coded data.
fn first_scan(bytes: &[u8]) -> usize {
    bytes.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap()
}

#[test]
fn images_that_claim_to_be_huge_are_ordinary_errors() {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in bombs() {
        assert!(bytes.len() < 1000, "{name}");
        let path = dir.path().join(name);
        std::fs::write(&path, &bytes).unwrap();
        let message = decode_rgb(&path).unwrap_err().to_string();
        assert!(message.contains(name), "{message}");
        assert!(!message.contains("gave up"), "{message}");
    }
}

#[test]
fn a_refused_size_is_told_in_pixels_and_can_be_allowed() {
    let message = decode(&jpeg(0xC0, 40_000, 10_000)).unwrap_err();
    assert!(message.contains("40000 x 10000 pixels: 400 megapixels"), "{message}");
    assert!(message.contains("limit of 256") && message.contains("--max-megapixels"), "{message}");
    for name in ["square.png", "binary.ppm", "square.jpg", "screen.gif", "square.tif", "lossy.webp", "square.bmp"] {
        let bytes = bombs().into_iter().find(|bomb| bomb.0 == name).unwrap().1;
        let message = read_header(&bytes, Path::new(name)).unwrap_err().to_string();
        assert!(message.contains("megapixels, more than the limit of 256"), "{message}");
    }
    // Exactly 256 megapixels are allowed, but the file contains none of them.
    let message = decode(&jpeg(0xC0, 16_000, 16_000)).unwrap_err();
    assert!(message.contains("truncated"), "{message}");
}

#[test]
fn of_an_animation_the_first_frame_is_read() {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
    for grey in [200, 10] {
        encoder
            .encode_frame(image::Frame::new(image::RgbaImage::from_pixel(6, 4, image::Rgba([grey, grey, grey, 255]))))
            .unwrap();
    }
    drop(encoder);
    let picture = decode(&bytes).unwrap();
    assert_eq!((picture.dimensions(), picture.get_pixel(2, 2).0), ((6, 4), [200; 3]));
}

#[test]
fn only_regular_files_are_read_and_no_further_than_needed() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("a.jpg");
    std::fs::create_dir(&folder).unwrap();
    assert!(decode_rgb(&folder).unwrap_err().to_string().contains("a folder, not a file"));
    let sparse = dir.path().join("b.jpg");
    std::fs::File::create(&sparse).unwrap().set_len(1 << 30).unwrap();
    assert_eq!(read_image_file(&sparse).unwrap().len(), 16);
    assert!(decode_rgb(&sparse).unwrap_err().to_string().contains("not an image format that Quarry reads"));
}

/// Resizing would hold rows of floats: gigabytes, from a few kilobytes.
#[test]
fn a_side_longer_than_any_real_images_is_refused() {
    let strip =
        |width| format!("P5 {width} 1 255\n").into_bytes().into_iter().chain(vec![7; width]).collect::<Vec<u8>>();
    assert_eq!(decode(&strip(1 << 20)).unwrap().dimensions(), (1 << 20, 1));
    let message = decode(&strip((1 << 20) + 1)).unwrap_err();
    assert!(message.contains("1048577 x 1 pixels: a side has more than 1048576"), "{message}");
}

#[cfg(unix)]
#[test]
fn a_file_far_larger_than_its_pixels_is_refused_before_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let pixels = image::RgbImage::from_pixel(8, 8, image::Rgb([90; 3]));
    for name in ["a.png", "a.bmp", "a.ppm", "a.tif", "a.webp", "a.gif", "a.jpg"] {
        let file = dir.path().join(name);
        pixels.save(&file).unwrap();
        assert_eq!(decode_rgb(&file).unwrap().dimensions(), (8, 8), "{name}");
        // A hole, which takes no space on the disk.
        let hole = |bytes| std::fs::File::options().write(true).open(&file).unwrap().set_len(bytes).unwrap();
        hole(2 << 30);
        let message = read_image_file(&file).unwrap_err().to_string();
        assert!(message.contains(name) && message.contains("far more than"), "{message}");
        assert!(message.contains("8 x 8 pixels") != (name == "a.jpg"), "{message}");
    }
}

/// Data after the end marker, or a missing end marker, is no reason to skip an image.
#[test]
fn a_jpeg_is_whole_when_its_scans_are() {
    for name in ["baseline.jpg", "progressive.jpg", "restarts.jpg", "grey.jpg"] {
        let whole = fixture(name);
        assert_eq!(whole[whole.len() - 2..], [0xFF, 0xD9], "{name}");
        let expected = decode(&whole).unwrap();
        let without_end = &whole[..whole.len() - 2];
        let first = first_scan(&whole);
        let tails: [&[u8]; 6] =
            [b"", &[0; 3000], &whole, b"MotionPhoto_Data\xFF\xE1\xFF\xFF\xFF", &[0xFF; 9], &[0xFF, 0x02, 0xFF, 0xC0]];
        for tail in tails {
            let mut bytes = [&whole, tail].concat();
            assert_eq!(decode(&bytes).as_ref(), Ok(&expected), "{name}: after the end marker: {tail:x?}");
            bytes = [without_end, tail].concat();
            let found = decode(&bytes);
            assert_eq!(found.as_ref(), Ok(&expected), "{name}: instead of the end marker: {tail:x?}");
            // The same tail does not replace missing data, not even an end marker.
            for cut in [first + 40, usize::midpoint(first, whole.len()), whole.len() - 12] {
                // A few bytes of text may look like the last few bytes of data: this cannot be detected.
                if cut < whole.len() - 12 || tail.first() != Some(&b'M') {
                    assert!(!is_whole(&[&whole[..cut], tail].concat()), "{name} cut at {cut}: {tail:x?}");
                }
                assert!(
                    !is_whole(&[&whole[..cut], &[0xFF, 0xD9], tail].concat()),
                    "{name} cut at {cut} and ended: {tail:x?}"
                );
            }
        }
    }
}

#[test]
fn a_jpeg_cut_anywhere_within_its_scans_is_truncated() {
    for name in ["baseline.jpg", "progressive.jpg", "restarts.jpg", "grey.jpg"] {
        let whole = fixture(name);
        let mut last_cut = 0;
        for length in 3..whole.len() - 2 {
            if read_header(&whole[..length], Path::new("a.jpg")).is_err() {
                last_cut = length;
            }
        }
        // The last byte may only contain padding.
        assert!(
            last_cut + 4 >= whole.len() - 2,
            "{name}: cut at {} of {} was taken for whole",
            last_cut + 1,
            whole.len()
        );
        for length in 3..=last_cut {
            let error = read_header(&whole[..length], Path::new("a.jpg")).map(|_| length).unwrap_err().to_string();
            assert!(error.contains("a.jpg"), "{name} {length}: {error}");
        }
    }
}

#[test]
fn the_walk_never_panics_on_damaged_jpegs() {
    for name in ["baseline.jpg", "progressive.jpg", "restarts.jpg"] {
        let whole = fixture(name);
        for at in 2..whole.len() {
            for value in [0x00, 0xFF, whole[at] ^ 0x10] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                super::jpeg::completeness(&bytes);
            }
        }
    }
}
