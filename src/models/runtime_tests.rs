//! Tests the runtimes on small real files: tests/fixtures/models (made by scripts/model_fixtures.py) and a module traced here.

#![cfg(any(feature = "onnx", feature = "torch"))]

use image::{Rgb, RgbImage};

use super::*;

/// A 64 x 64 image with one cell of the network's grid (8 pixels) coloured, at column 3 and row 2.
fn image_of(colour: [u8; 3]) -> RgbImage {
    RgbImage::from_fn(
        64,
        64,
        |x, y| if (24..32).contains(&x) && (16..24).contains(&y) { Rgb(colour) } else { Rgb([0, 0, 0]) },
    )
}

fn check_cells(model: &mut Model) {
    let preparer = model.preparer();
    let images = [[0, 255, 0], [255, 0, 0], [0, 0, 255]].map(image_of).map(|image| preparer(&image).unwrap());
    let found = model.detect(&images.iter().collect::<Vec<_>>()).unwrap();
    let reported: Vec<Vec<(&str, i32, [i32; 4])>> = found
        .iter()
        .map(|of_image| {
            let corners = |b: &BoundingBox| [b.x1, b.y1, b.x2, b.y2].map(|side| side.round() as i32);
            of_image
                .iter()
                .map(|d| (model.classes()[d.class].as_str(), (d.score * 100.0) as i32, corners(&d.bbox)))
                .collect()
        })
        .collect();
    let cell = [24, 16, 32, 24];
    assert_eq!(reported, [vec![("green", 100, cell)], vec![("red", 100, cell)], vec![]]);
}

#[cfg(feature = "onnx")]
mod onnx_files {
    use super::*;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models").join(name)
    }

    #[derive(serde::Deserialize)]
    struct Reference {
        shape: Vec<usize>,
        values: Vec<f32>,
    }

    fn is_skipped() -> bool {
        let is_here = onnx::library().is_some_and(|library| library.exists());
        if !is_here {
            println!("SKIPPED: ONNX Runtime is not installed (make setup); no ONNX model was run");
        }
        !is_here
    }

    #[test]
    fn the_output_equals_that_of_onnx_runtime_in_python() {
        if is_skipped() {
            return;
        }
        let text = crate::domain::read_text(&fixture("cells_ramp.json"), crate::domain::limits::TEXT).unwrap();
        let expected: Reference = serde_json::from_str(&text).unwrap();
        let ramp: Vec<f32> = (0..2 * 3 * 64 * 64).map(|n| (n % 251) as f32 / 251.0).collect();
        let input = Array { shape: vec![2, 3, 64, 64], values: ramp };
        let mut model = onnx::Onnx::load(&fixture("cells.onnx"), "cpu", 1).unwrap();
        let outputs = model.run(&input, &[(64, 64); 2]).unwrap();
        assert_eq!((outputs.len(), outputs[0].0.as_str(), &outputs[0].1.shape), (1, "output0", &expected.shape));
        let differences = outputs[0].1.values.iter().zip(&expected.values).map(|(a, b)| (a - b).abs());
        let largest = differences.fold(0.0, f32::max);
        assert!(largest <= 1e-4, "{largest}");
    }

    #[test]
    fn an_onnx_detector_tells_its_classes_and_size_and_finds_objects() {
        if is_skipped() {
            return;
        }
        let mut model = Model::load(&fixture("cells.onnx"), "auto", 1).unwrap();
        assert_eq!((model.classes(), model.size), (["red".to_owned(), "green".to_owned()].as_slice(), (64, 64)));
        check_cells(&mut model);
    }

    #[test]
    fn files_that_are_no_detector_are_refused_with_their_name_and_advice() {
        if is_skipped() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let check = |path: &Path, parts: &[&str]| {
            let prepared = |model: &mut Model| {
                let prepared = model.preparer()(&RgbImage::new(8, 8)).unwrap();
                model.detect(&[&prepared]).map(|_| ())
            };
            let error = Model::load(path, "cpu", 1).and_then(|mut model| prepared(&mut model)).unwrap_err().to_string();
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(error.contains(name) && parts.iter().all(|part| error.contains(part)), "{path:?}: {error}");
        };
        check(&fixture("too_new.onnx"), &["opset"]);
        check(&fixture("no_detector.onnx"), &["match no known layout", "features [1, 3, 1, 1]"]);
        check(&dir.path().join("missing.onnx"), &["check the path"]);
        let whole = std::fs::read(fixture("cells.onnx")).unwrap();
        for (name, bytes) in
            [("cut.onnx", &whole[..whole.len() / 2]), ("empty.onnx", &whole[..0]), ("text.onnx", b"a model")]
        {
            std::fs::write(dir.path().join(name), bytes).unwrap();
            check(&dir.path().join(name), &["whole ONNX file"]);
        }
        std::fs::create_dir(dir.path().join("folder.onnx")).unwrap();
        check(&dir.path().join("folder.onnx"), &["check the path"]);
        let error = Model::load(&fixture("cells.onnx"), "cuda:0", 1).unwrap_err().to_string();
        assert!(error.contains("run on the CPU"), "{error}");
    }
}

#[cfg(feature = "torch")]
#[test]
fn a_torchscript_detector_finds_objects() {
    use tch::{CModule, Device, Kind, Tensor};

    let dir = tempfile::tempdir().unwrap();
    let centres = Tensor::arange(8, (Kind::Float, Device::Cpu)) * 8.0 + 4.0;
    let (cx, cy) = (centres.repeat([8]), centres.repeat_interleave_self_int(8, 0, 64));
    let size = cx.full_like(8.0);
    let boxes = Tensor::stack(&[&cx, &cy, &size, &size], 0).unsqueeze(0);
    let mut cells = |inputs: &[Tensor]| {
        let scores = inputs[0].avg_pool2d([8, 8], [8, 8], [0, 0], false, true, None).narrow(1, 0, 2).flatten(2, 3);
        vec![Tensor::cat(&[&boxes.expand([inputs[0].size()[0], -1, -1], false), &scores], 1)]
    };
    let example = [Tensor::zeros([1, 3, 64, 64], (Kind::Float, Device::Cpu))];
    let module = CModule::create_by_tracing("Cells", "forward", &example, &mut cells).unwrap();
    let path = dir.path().join("cells.torchscript");
    module.save(&path).unwrap();
    std::fs::write(
        path.with_extension("toml"),
        "classes = [\"red\", \"green\"]\n[input]\nsize = [64, 64]\nbatch = 1\n",
    )
    .unwrap();
    let mut model = Model::load(&path, "cpu", 1).unwrap();
    check_cells(&mut model);

    std::fs::write(dir.path().join("text.pt"), "no module").unwrap();
    let error = Model::load(&dir.path().join("text.pt"), "cpu", 1).unwrap_err().to_string();
    assert!(error.contains("text.pt") && error.contains("torch.jit"), "{error}");
}
