//! Reading datasets: valid ones, invalid ones, and images of every colour type.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[path = "support/exif.rs"]
mod exif;

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use proptest::prelude::*;
use quarry::dataset::{
    DatasetError, ImportedDataset, decode_rgb, decode_rgb_bytes, fddb, read_fddb, read_folder, read_header,
};
use quarry::domain::{Cancel, Progress, Shape};

use exif::with_orientation;

fn import(dir: &Path) -> Result<ImportedDataset, DatasetError> {
    read_fddb(dir, &mut |_| {}, &Cancel::new())
}

fn import_folder(dir: &Path) -> Result<ImportedDataset, DatasetError> {
    read_folder(dir, &mut |_| {}, &Cancel::new())
}

/// Left half red, right half blue.
fn two_colours(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, _| if x < width / 2 { Rgb([220, 30, 30]) } else { Rgb([30, 30, 220]) })
}

fn encode(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn jpeg(width: u32, height: u32) -> Vec<u8> {
    encode(&two_colours(width, height).into(), ImageFormat::Jpeg)
}

/// An FDDB dataset with one fold, given lists, and images `a/1` (24 x 16) and `a/2` (20 x 30).
struct TinyFddb {
    folder: tempfile::TempDir,
}

impl TinyFddb {
    fn new(names: &str, ellipses: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("FDDB-folds")).unwrap();
        fs::create_dir_all(folder.path().join("originalPics/a")).unwrap();
        let tiny = Self { folder };
        tiny.write("FDDB-folds/FDDB-fold-03.txt", names.as_bytes());
        tiny.write("FDDB-folds/FDDB-fold-03-ellipseList.txt", ellipses.as_bytes());
        tiny.write("originalPics/a/1.jpg", &jpeg(24, 16));
        tiny.write("originalPics/a/2.jpg", &jpeg(20, 30));
        tiny
    }

    fn good() -> Self {
        Self::new("a/1\na/2\n", "a/1\n1\n5.5 4 1.5 12 8  1\na/2\n0\n")
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        fs::write(self.path(path), bytes).unwrap();
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn import(&self) -> Result<ImportedDataset, DatasetError> {
        import(self.folder.path())
    }
}

#[test]
fn a_good_fddb_keeps_ellipses_folds_sizes_and_hashes() {
    let tiny = TinyFddb::good();
    let dataset = tiny.import().unwrap();
    assert_eq!(dataset.kind, "fddb");
    assert!(dataset.root.is_absolute());
    let [first, second] = dataset.images.as_slice() else { panic!("{:?}", dataset.images) };
    assert_eq!((first.name.as_str(), first.width, first.height), ("a/1", 24, 16));
    assert_eq!((first.split.as_deref(), dataset.classes.as_slice()), (Some("3"), ["face".to_owned()].as_slice()));
    assert_eq!(first.content_hash, blake3::hash(&jpeg(24, 16)).to_hex().to_string());
    let Shape::Ellipse(e) = first.objects[0].shape else { panic!("{:?}", first.objects) };
    assert_eq!((e.ra, e.rb, e.theta, e.cx, e.cy), (5.5, 4.0, 1.5, 12.0, 8.0));
    assert_eq!((second.objects.len(), second.path.as_path()), (0, Path::new("originalPics/a/2.jpg")));
    assert_eq!((dataset.summary.images, dataset.summary.objects, dataset.summary.splits["3"]), (2, 1, 2));
    assert!(dataset.root.join(&second.path).is_file());
}

#[test]
fn lists_written_on_windows_read_the_same() {
    let names = "\u{FEFF}a/1\r\na/2\r\n\r\n";
    let tiny = TinyFddb::new(names, "\u{FEFF}a/1\r\n1\r\n5.5 4 1.5 12 8  1\r\na/2 \r\n0");
    assert_eq!(tiny.import().unwrap().images, TinyFddb::good().import().unwrap().images);
}

#[test]
fn bad_lists_are_refused_with_file_and_line() {
    let check = |names: &str, ellipses: &str, place: &str, words: &str| {
        let error = TinyFddb::new(names, ellipses).import().unwrap_err().to_string();
        assert!(error.contains(place), "no {place:?} in {error}");
        assert!(error.contains(words), "no {words:?} in {error}");
    };
    let (names, face) = ("a/1\na/2\n", "5 4 1.5 12 8 1");
    let ellipses = "FDDB-fold-03-ellipseList.txt";
    let at = |line: usize| format!("{ellipses}:{line}: ");
    // A wrong count, too large and too small, at the end and in the middle.
    check(names, &format!("a/1\n2\n{face}\na/2\n0\n"), &at(4), "is the count right?");
    check(names, &format!("a/1\n1\n{face}\n{face}\na/2\n0\n"), &at(4), "the count before it is too small");
    check(names, &format!("a/1\n0\na/2\n2\n{face}\n"), &at(3), "face 2 of the 2 that 'a/2' should have");
    check(names, "a/1\n0\na/2\n", &at(3), "ends before the face count of 'a/2'");
    check(names, "a/1\n99999999999999\n", &at(1), "face 1 of the 99999999999999");
    // Non-numbers.
    check(names, "a/1\none\na/2\n0\n", &at(2), "found 'one'");
    check(names, "a/1\n-1\na/2\n0\n", &at(2), "found '-1'");
    check(names, "a/1\n1\n5 4 x 12 8 1\na/2\n0\n", &at(3), "theta of face 1 of the 1 of 'a/1' is 'x'");
    check(names, "a/1\n1\n5 4 nan 12 8 1\na/2\n0\n", &at(3), "'nan', which is not a number");
    check(names, "a/1\n1\n5 4 0 12 1e999 1\na/2\n0\n", &at(3), "cy of face 1");
    check(names, "a/1\n1\n5 0 0 12 8 1\na/2\n0\n", &at(3), "must be above 0");
    check(names, "a/1\n1\n5 4 0\na/2\n0\n", &at(3), "expected `ra rb theta cx cy 1`");
    // Listed twice, in either list; listed in only one of them.
    check("a/1\na/2\na/1\n", "a/1\n0\na/2\n0\n", "FDDB-fold-03.txt:3: ", "'a/1' is listed twice, first at line 1");
    check(names, "a/1\n0\na/1\n0\n", &at(3), "'a/1' is listed twice, first at line 1");
    check(names, "a/1\n0\n", "FDDB-fold-03.txt:2: ", "'a/2' has no entry in");
    check("a/1\n", "a/1\n0\na/2\n0\n", &at(3), "'a/2' is not listed in");
    // Names outside the folder.
    check("../1\n", "../1\n0\n", "FDDB-fold-03.txt:1: ", "leaves the dataset's folder");
    check("/etc/1\n", "/etc/1\n0\n", "FDDB-fold-03.txt:1: ", "leaves the dataset's folder");
}

#[test]
fn an_image_listed_in_two_folds_is_refused_with_both_places() {
    let tiny = TinyFddb::good();
    tiny.write("FDDB-folds/FDDB-fold-04.txt", b"a/2\n");
    tiny.write("FDDB-folds/FDDB-fold-04-ellipseList.txt", b"a/2\n0\n");
    let error = tiny.import().unwrap_err().to_string();
    assert!(
        error.contains("FDDB-fold-04.txt:1: 'a/2' is listed twice") && error.contains("FDDB-fold-03.txt:2"),
        "{error}"
    );
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_line() {
    let tiny = TinyFddb::good();
    tiny.write("FDDB-folds/FDDB-fold-03.txt", b"a/1\na/\xFF\n");
    let error = tiny.import().unwrap_err().to_string();
    assert!(error.contains("FDDB-fold-03.txt:2: the text is not UTF-8"), "{error}");
}

#[test]
fn missing_folders_and_lists_say_what_to_do() {
    let tiny = TinyFddb::good();
    let check =
        |error: DatasetError, words: &str| assert!(error.to_string().contains(words), "no {words:?} in {error}");
    check(import(&tiny.path("nowhere")).unwrap_err(), "name the folder that holds FDDB-folds/ and originalPics/");
    check(import(&tiny.path("originalPics")).unwrap_err(), "no FDDB-folds/ in it");
    check(import_folder(&tiny.path("nowhere")).unwrap_err(), "does not exist or is not a folder");
    check(import_folder(&tiny.path("FDDB-folds")).unwrap_err(), "no images in this folder");
    fs::remove_file(tiny.path("FDDB-folds/FDDB-fold-03-ellipseList.txt")).unwrap();
    check(tiny.import().unwrap_err(), "FDDB-fold-03-ellipseList.txt: the list is missing but");
    fs::remove_file(tiny.path("FDDB-folds/FDDB-fold-03.txt")).unwrap();
    check(tiny.import().unwrap_err(), "no FDDB-fold-NN.txt");
    let tiny = TinyFddb::good();
    fs::remove_dir_all(tiny.path("originalPics")).unwrap();
    check(tiny.import().unwrap_err(), "no originalPics/");
    fs::create_dir(tiny.path("originalPics")).unwrap();
    check(tiny.import().unwrap_err(), "none of the 2 listed images exists");
}

#[test]
fn missing_and_truncated_pictures_are_left_out_and_told() {
    let names = "a/1\na/2\na/3\n";
    let tiny = TinyFddb::new(names, "a/1\n1\n5 4 1.5 12 8 1\na/2\n0\na/3\n0\n");
    let whole = jpeg(20, 30);
    tiny.write("originalPics/a/2.jpg", &whole[..whole.len() * 2 / 3]);
    let summary = tiny.import().unwrap().summary;
    assert_eq!((summary.images, summary.objects), (1, 1));
    assert_eq!(summary.missing, ["a/3"]);
    assert!(summary.warnings[0].contains("1 of 3 listed images is missing"), "{:?}", summary.warnings);
    let [(name, why)] = summary.unreadable.as_slice() else { panic!("{summary:?}") };
    assert!(name == "a/2" && why.contains("originalPics/a/2.jpg") && why.contains("truncated"), "{why}");
    let shown = summary.to_string();
    assert!(
        shown.contains("1 image, 1 face") && shown.contains("1 unreadable") && shown.contains("missing"),
        "{shown}"
    );
}

#[test]
fn a_plain_folder_is_walked_and_what_cannot_be_used_is_told() {
    let tiny = TinyFddb::good();
    tiny.write("originalPics/a/3.PNG", &encode(&two_colours(5, 6).into(), ImageFormat::Png));
    tiny.write("originalPics/a/copy.jpeg", &jpeg(20, 30));
    tiny.write("originalPics/a/empty.jpg", b"");
    tiny.write("originalPics/a/text.png", b"hello");
    tiny.write("originalPics/a/notes.txt", b"hello");
    tiny.write("originalPics/.hidden.jpg", b"x");
    let mut seen = Vec::new();
    let dataset = read_folder(&tiny.path("originalPics"), &mut |p: Progress| seen.push(p), &Cancel::new()).unwrap();
    let names: Vec<&str> = dataset.images.iter().map(|image| image.name.as_str()).collect();
    assert_eq!(names, ["a/1.jpg", "a/2.jpg", "a/3.PNG"]);
    assert!(dataset.images.iter().all(|image| image.objects.is_empty() && image.split.is_none()));
    let summary = dataset.summary;
    assert_eq!(summary.duplicates, [("a/copy.jpeg".to_owned(), "a/2.jpg".to_owned())]);
    let unreadable: Vec<&str> = summary.unreadable.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(unreadable, ["a/empty.jpg", "a/text.png"]);
    assert!(summary.warnings[0].contains("1 file that is no image"), "{:?}", summary.warnings);
    let last = seen.last().unwrap();
    assert_eq!((last.done, last.total), (6, 6));
}

#[test]
fn a_set_cancel_flag_ends_an_import() {
    let tiny = TinyFddb::good();
    let cancel = Cancel::new();
    cancel.cancel();
    let fddb = read_fddb(tiny.folder.path(), &mut |_| {}, &cancel);
    assert!(matches!(fddb, Err(DatasetError::Cancelled)));
    assert!(matches!(read_folder(tiny.folder.path(), &mut |_| {}, &cancel), Err(DatasetError::Cancelled)));
}

#[test]
fn every_colour_type_becomes_rgb() {
    let picture = DynamicImage::from(two_colours(32, 16));
    let check = |picture: DynamicImage, format: ImageFormat, expected: [u8; 3]| {
        let rgb = decode_rgb_bytes(&encode(&picture, format), Path::new("picture")).unwrap();
        assert_eq!(rgb.dimensions(), (32, 16));
        let found = rgb.get_pixel(4, 8).0;
        assert!(found.iter().zip(expected).all(|(&a, b)| a.abs_diff(b) <= 12), "{format:?} {found:?} {expected:?}");
    };
    let (red, grey) = ([220, 30, 30], [70, 70, 70]);
    check(picture.clone(), ImageFormat::Jpeg, red);
    check(picture.to_luma8().into(), ImageFormat::Jpeg, grey);
    check(picture.to_luma16().into(), ImageFormat::Png, grey);
    check(picture.to_luma_alpha8().into(), ImageFormat::Png, grey);
    check(picture.to_rgba8().into(), ImageFormat::Png, red);
    check(picture.to_rgb16().into(), ImageFormat::Png, red);
    check(picture.to_rgba8().into(), ImageFormat::WebP, red);
    check(picture.to_rgb8().into(), ImageFormat::Bmp, red);
    check(picture.to_rgb8().into(), ImageFormat::Tiff, red);
}

#[test]
fn a_cmyk_jpeg_becomes_rgb() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dataset/cmyk.jpg");
    let [r, g, b] = decode_rgb(&path).unwrap().get_pixel(10, 8).0;
    assert!(r.abs_diff(200) < 12 && g.abs_diff(40) < 12 && b.abs_diff(40) < 12, "{r} {g} {b}");
}

#[test]
fn exif_orientation_turns_the_picture_and_its_size() {
    // The position of the red half (stored left) in the upright image: (orientation, size, a red pixel, a blue pixel).
    let cases = [
        (1, (32, 16), (4, 8), (28, 8)),
        (2, (32, 16), (28, 8), (4, 8)),
        (3, (32, 16), (28, 8), (4, 8)),
        (4, (32, 16), (4, 8), (28, 8)),
        (5, (16, 32), (8, 4), (8, 28)),
        (6, (16, 32), (8, 4), (8, 28)),
        (7, (16, 32), (8, 28), (8, 4)),
        (8, (16, 32), (8, 28), (8, 4)),
    ];
    for (orientation, size, red, blue) in cases {
        let bytes = with_orientation(&jpeg(32, 16), orientation);
        let header = read_header(&bytes, Path::new("turned")).unwrap();
        let picture = decode_rgb_bytes(&bytes, Path::new("turned")).unwrap();
        assert_eq!((header.width, header.height), size, "orientation {orientation}");
        assert_eq!(picture.dimensions(), size, "orientation {orientation}");
        assert!(picture.get_pixel(red.0, red.1).0[0] > 150, "orientation {orientation}");
        assert!(picture.get_pixel(blue.0, blue.1).0[2] > 150, "orientation {orientation}");
    }
}

#[test]
fn a_jpeg_cut_anywhere_is_an_error_that_names_the_file() {
    let whole = with_orientation(&jpeg(64, 48), 6);
    assert!(decode_rgb_bytes(&whole, Path::new("whole.jpg")).is_ok());
    // The end marker itself contains no pixels.
    for length in 0..whole.len() - 3 {
        let error = decode_rgb_bytes(&whole[..length], Path::new("cut.jpg")).unwrap_err().to_string();
        assert!(error.contains("cut.jpg") && error.contains("opy it again") || length < 3, "{length}: {error}");
        assert!(read_header(&whole[..length], Path::new("cut.jpg")).is_err(), "{length}");
    }
}

proptest! {
    #[test]
    fn parsers_never_panic_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = fddb::parse_name_list(Path::new("p"), &bytes);
        let _ = fddb::parse_ellipse_list(Path::new("p"), &bytes);
        let _ = read_header(&bytes, Path::new("p"));
        let _ = decode_rgb_bytes(&bytes, Path::new("p"));
    }

    #[test]
    fn parsers_never_panic_on_nearly_good_lists(text in "(a/[12]\n|[0-3]\n|-?[0-9.e]{1,9}|[ \n]|1 1 1 1 1 1\n|\u{FEFF}|\u{3000}){0,30}") {
        let _ = fddb::parse_name_list(Path::new("p"), text.as_bytes());
        let _ = fddb::parse_ellipse_list(Path::new("p"), text.as_bytes());
    }

    #[test]
    fn decoding_never_panics_on_damaged_jpegs(at in 2_usize..700, value: u8) {
        let mut bytes = with_orientation(&jpeg(16, 16), 3);
        let at = at.min(bytes.len() - 3);
        bytes[at] = value;
        let _ = read_header(&bytes, Path::new("p"));
        let _ = decode_rgb_bytes(&bytes, Path::new("p"));
    }

    #[test]
    fn written_ellipses_are_read_back(
        faces in proptest::collection::vec((0.1..900.0_f64, 0.1..900.0_f64, -2.0..2.0_f64, -90.0..990.0_f64, -90.0..990.0_f64), 0..6)
    ) {
        use std::fmt::Write;
        let mut text = format!("2002/a b/img_1\n{}\n", faces.len());
        for (ra, rb, theta, cx, cy) in &faces {
            writeln!(text, "{ra} {rb} {theta} {cx} {cy}  1").unwrap();
        }
        let read = fddb::parse_ellipse_list(Path::new("p"), text.as_bytes()).unwrap();
        let back: Vec<_> = read[0].ellipses.iter().map(|e| (e.ra, e.rb, e.theta, e.cx, e.cy)).collect();
        prop_assert_eq!(back, faces);
    }
}
