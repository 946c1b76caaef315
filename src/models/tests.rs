//! Tests models with a runtime of known outputs: the network's input, output decoding, and what is refused.

use image::{Rgb, RgbImage};

use super::*;

/// Returns the same outputs for any input, and records its inputs.
#[derive(Debug)]
struct Fixed {
    outputs: Outputs,
    facts: FileFacts,
}

impl Runtime for Fixed {
    fn run(&mut self, _input: &Array, _sizes: &[(u32, u32)]) -> Result<Outputs, ModelError> {
        Ok(self.outputs.clone())
    }

    fn facts(&self) -> FileFacts {
        self.facts.clone()
    }
}

fn array(shape: &[usize], values: &[f32]) -> Array {
    assert_eq!(shape.iter().product::<usize>(), values.len(), "{shape:?}");
    Array { shape: shape.to_vec(), values: values.to_vec() }
}

fn model(description: &str, classes: &[&str], outputs: &[(&str, Array)]) -> Model {
    let description: ModelDescription = toml::from_str(description).unwrap();
    let outputs = outputs.iter().map(|(name, array)| ((*name).to_owned(), array.clone())).collect();
    let classes = classes.iter().map(|name| (*name).to_owned()).collect();
    let facts = FileFacts { classes, size: Some((100, 100)), batch: Some(1) };
    Model::new(Path::new("m.onnx"), description, Box::new(Fixed { outputs, facts })).unwrap()
}

/// Such sizes come from the model's file as well as from its description.
#[test]
fn an_input_that_no_workstation_can_hold_is_refused_when_the_model_is_loaded() {
    let model = |size: Option<(u32, u32)>, batch: Option<usize>, description: &str| {
        let facts = FileFacts { size, batch, ..FileFacts::default() };
        let runtime = Box::new(Fixed { outputs: Vec::new(), facts });
        let description: ModelDescription = toml::from_str(description).unwrap();
        Model::new(Path::new("m.onnx"), description, runtime).map(|model| model.batch()).map_err(|e| e.to_string())
    };
    let check = |size, batch, description: &str, expected: &[&str]| {
        let message = model(size, batch, description).unwrap_err();
        assert!(expected.iter().all(|part| message.contains(part)), "{message}");
        assert!(message.starts_with("m.onnx: ") && message.contains("model.toml"), "{message}");
    };
    check(Some((60_000, 60_000)), None, "", &["60000 x 60000", "1 to 8192"]);
    check(Some((0, 640)), None, "", &["0 x 640"]);
    check(Some((640, 640)), Some(1_000_000_000), "", &["1000000000 images of 640 x 640"]);
    check(Some((640, 640)), Some(usize::MAX), "", &["images of 640 x 640"]);
    check(None, None, "input = { size = [8192, 8192], batch = 256 }", &["256 images of 8192 x 8192", "192 GB"]);
    assert_eq!(model(Some((640, 640)), None, ""), Ok(8));
    assert_eq!(model(Some((8192, 8192)), None, ""), Ok(5));
}

/// Padded to a square, the image alone would take 120 GB.
#[test]
fn a_long_thin_image_is_padded_without_the_memory_of_its_square() {
    let prepare = |description: &str, image: &RgbImage| model(description, &["a"], &[]).preparer()(image).unwrap();
    let thin = RgbImage::from_pixel(1, 200_000, Rgb([255; 3]));
    for anchor in ["centre", "top-left"] {
        let prepared = prepare(&format!("input = {{ resize = \"pad\", anchor = \"{anchor}\" }}"), &thin);
        assert_eq!((prepared.width, prepared.height, prepared.values.len()), (100, 100, 30_000), "{anchor}");
        assert!(prepared.values.iter().all(|value| (0.0..=1.0).contains(value)), "{anchor}");
    }
}

/// `(class, score, corners)` of a 200 x 100 image, which fills the middle half of a letterboxed 100 x 100 input.
fn found(model: &mut Model) -> Result<Vec<(usize, f32, [f64; 4])>, String> {
    let prepared = model.preparer()(&RgbImage::new(200, 100)).unwrap();
    let found = model.detect(&[&prepared]).map_err(|error| error.to_string())?;
    assert_eq!(found.len(), 1);
    Ok(found[0].iter().map(|d| (d.class, d.score, [d.bbox.x1, d.bbox.y1, d.bbox.x2, d.bbox.y2])).collect())
}

/// 20 x 10 about (50, 50) in the input: 40 x 20 about (100, 50) in the image.
const IN_IMAGE: [f64; 4] = [80.0, 40.0, 120.0, 60.0];

#[test]
fn every_layout_gives_the_same_object() {
    let check = |outputs: &[(&str, Array)], classes: &[&str], description: &str| {
        let found = found(&mut model(description, classes, outputs)).unwrap();
        let [(class, score, corners)] = found.as_slice() else { panic!("{outputs:?}: {found:?}") };
        assert_eq!(*class, 1, "{outputs:?}");
        assert!((score - 0.8).abs() < 1e-6, "{outputs:?}: {score}");
        assert!(corners.iter().zip(IN_IMAGE).all(|(a, b)| (a - b).abs() < 1e-3), "{outputs:?}: {corners:?}");
    };
    let two = ["cat", "dog"];
    // YOLOv8: channels first, and last; the second box is below the threshold.
    let first = [50., 1., 50., 1., 20., 2., 10., 2., 0.1, 0.01, 0.8, 0.02];
    check(&[("output0", array(&[1, 6, 2], &first))], &two, "layout = \"yolov8\"");
    let last = [50., 50., 20., 10., 0.1, 0.8, 1., 1., 2., 2., 0.01, 0.02];
    check(&[("output0", array(&[1, 2, 6], &last))], &two, "layout = \"yolov8\"");
    // YOLOv5: objectness times class.
    let v5 = [50., 50., 20., 10., 1.0, 0.1, 0.8, 1., 1., 2., 2., 0.02, 0.9, 0.9];
    check(&[("output", array(&[1, 2, 7], &v5))], &two, "");
    // After NMS, in three forms.
    check(&[("output0", array(&[1, 1, 6], &[40., 45., 60., 55., 0.8, 1.]))], &["a", "b", "c"], "");
    check(&[("output", array(&[1, 7], &[0., 40., 45., 60., 55., 1., 0.8]))], &two, "");
    let four = [
        ("num_dets", array(&[1, 1], &[1.])),
        ("det_boxes", array(&[1, 2, 4], &[40., 45., 60., 55., 0., 0., 9., 9.])),
        ("det_scores", array(&[1, 2], &[0.8, 0.9])),
        ("det_classes", array(&[1, 2], &[1., 0.])),
    ];
    check(&four, &two, "");
    // torchvision numbers classes from 1; outputs are found by name or, if exporters number them, by content.
    let boxes = array(&[2, 4], &[40., 45., 60., 55., 1., 1., 2., 2.]);
    let (labels, scores) = (array(&[2], &[2., 1.]), array(&[2], &[0.8, 0.01]));
    check(&[("boxes", boxes.clone()), ("labels", labels.clone()), ("scores", scores.clone())], &two, "");
    check(&[("2713", boxes.clone()), ("2714", labels.clone()), ("2715", scores.clone())], &two, "");
    check(&[("2713", boxes), ("2714", scores), ("2715", labels)], &two, "");
    // DETR: fractions, softmax with "no object" last; sigmoid without it.
    let logits = [0.0_f32.ln(), 0.8_f32.ln(), 0.2_f32.ln()];
    let place = array(&[1, 1, 4], &[0.5, 0.5, 0.2, 0.1]);
    check(&[("logits", array(&[1, 1, 3], &logits)), ("pred_boxes", place.clone())], &two, "");
    let sigmoid = [-9.0, 4.0_f32.ln()];
    check(
        &[("logits", array(&[1, 1, 2], &sigmoid)), ("pred_boxes", place)],
        &two,
        "[output]\nactivation = \"sigmoid\"",
    );
}

#[test]
fn what_fits_no_layout_or_several_is_asked_for_with_its_shapes() {
    let check = |shape: &[usize], classes: &[&str], parts: &[&str]| {
        let values = vec![0.0; shape.iter().product()];
        let error = found(&mut model("", classes, &[("out", array(shape, &values))])).unwrap_err();
        assert!(parts.iter().all(|part| error.contains(part)), "{shape:?} {classes:?}: {error}");
        assert!(error.contains("m.onnx") && error.contains("model.toml"), "{error}");
    };
    check(&[1, 3, 8, 8], &["a"], &["match no known layout", "out [1, 3, 8, 8]", "yolov8"]);
    check(&[1, 1000], &[], &["match no known layout", "[1, 1000]"]);
    // 85 columns: 80 classes and an objectness, or 81 classes.
    check(&[1, 2000, 85], &[], &["several layouts", "yolov5, yolov8"]);
    check(&[1, 2000, 85], &["a", "b"], &["match no known layout"]);
    check(&[1, 300, 6], &["a", "b"], &["several layouts", "nms, yolov8"]);
    // A batch size that does not match.
    check(&[2, 84, 8400], &[], &["match no known layout"]);
}

#[test]
fn a_layout_that_does_not_fit_is_refused_and_scores_stay_within_0_and_1() {
    let check = |description: &str, outputs: &[(&str, Array)], part: &str| {
        let error = found(&mut model(description, &["a", "b"], outputs)).unwrap_err();
        assert!(error.contains(part), "{description}: {error}");
    };
    let logits = [50., 50., 20., 10., 3.5, -2.0];
    check("layout = \"yolov8\"", &[("o", array(&[1, 6, 1], &logits))], "score of 3.5");
    // NaN is below no threshold: a broken model does not look like an empty image.
    for score in [f32::NAN, f32::INFINITY] {
        let broken = [50., 50., 20., 10., score, score];
        check("layout = \"yolov8\"", &[("o", array(&[1, 6, 1], &broken))], "outside 0 to 1");
        let rows = [("o", array(&[1, 1, 6], &[40., 45., 60., 55., score, 1.]))];
        check("layout = \"nms\"", &rows, "outside 0 to 1");
    }
    check("layout = \"detr\"", &[("o", array(&[1, 6, 1], &logits))], "not of the layout `detr`: o [1, 6, 1]");
    check("layout = \"torchvision\"", &[("o", array(&[1, 6, 1], &logits))], "not of the layout");
    let seventh = [("o", array(&[1, 1, 6], &[40., 45., 60., 55., 0.8, 7.]))];
    check("layout = \"nms\"", &seventh, "class number 7, but only 2 classes are named (a, b)");
}

#[test]
fn nms_is_class_by_class_and_ends_at_the_most_detections() {
    // Three overlapping boxes: two of class 0, one of class 1; and one elsewhere.
    let rows: [[f32; 6]; 4] = [
        [50., 50., 20., 20., 0.9, 0.0],
        [51., 50., 20., 20., 0.7, 0.0],
        [50., 50., 20., 20., 0.0, 0.6],
        [20., 50., 10., 10., 0.5, 0.0],
    ];
    let outputs = [("o", array(&[1, 4, 6], &rows.concat()))];
    let scores = |description: &str| {
        let mut model = model(description, &["a", "b"], &outputs);
        found(&mut model)
            .unwrap()
            .iter()
            .map(|(class, score, _)| (*class, (score * 10.0).round() as i32))
            .collect::<Vec<_>>()
    };
    assert_eq!(scores("layout = \"yolov8\""), [(0, 9), (1, 6), (0, 5)]);
    assert_eq!(scores("layout = \"yolov8\"\n[output]\nnms_iou = 0.95"), [(0, 9), (0, 7), (1, 6), (0, 5)]);
    assert_eq!(scores("layout = \"yolov8\"\n[output]\nmax_detections = 2"), [(0, 9), (1, 6)]);
    assert_eq!(scores("layout = \"yolov8\"\n[output]\nscore_threshold = 0.55"), [(0, 9), (1, 6)]);
}

#[test]
fn images_are_letterboxed_as_ultralytics_does_and_stretched_where_that_is_said() {
    let mut image = RgbImage::new(8, 4);
    image.pixels_mut().for_each(|pixel| *pixel = Rgb([255, 0, 51]));
    let settings: InputSettings = toml::from_str("").unwrap();
    let prepared = input::prepare(&image, &settings, (4, 4)).unwrap();
    let grey = 114.0 / 255.0;
    // Two image rows between one grey row above and one below.
    let plane = |value: f32| [[grey; 4], [value; 4], [value; 4], [grey; 4]].concat();
    assert_eq!(prepared.values, [plane(1.0), plane(0.0), plane(0.2)].concat());
    assert_eq!(
        (prepared.fit.scale_x, prepared.fit.scale_y, prepared.fit.offset_x, prepared.fit.offset_y),
        (0.5, 0.5, 0.0, 1.0)
    );

    let text = "resize = \"stretch\"\ncolour = \"bgr\"\nscale = 1.0\nmean = [1.0, 2.0, 3.0]\nstd = [2.0, 2.0, 2.0]";
    let stretched = input::prepare(&image, &toml::from_str(text).unwrap(), (2, 2)).unwrap();
    assert_eq!(stretched.values, [[25.0_f32; 4], [-1.0; 4], [126.0; 4]].concat());
    assert_eq!((stretched.fit.scale_x, stretched.fit.scale_y), (0.25, 0.5));

    let corner = input::prepare(&image, &toml::from_str("anchor = \"top-left\"\npad = 0").unwrap(), (4, 4)).unwrap();
    assert_eq!(corner.values[..16], [[1.0; 4], [1.0; 4], [0.0; 4], [0.0; 4]].concat());

    // An odd remainder: ultralytics rounds 1.5 - 0.1 to 1 before and 1.5 + 0.1 to 2 after.
    let prepared = input::prepare(&RgbImage::new(10, 7), &settings, (10, 10)).unwrap();
    assert!((prepared.fit.offset_y - 1.0).abs() < 1e-9, "{:?}", prepared.fit);
}

#[test]
fn class_names_are_read_from_metadata_of_any_form() {
    let check = |text: &str, expected: &[&str]| assert_eq!(names_in(text), expected, "{text}");
    check("{0: 'person', 1: 'traffic light', 2: \"it's\"}", &["person", "traffic light", "it's"]);
    check("{1: 'b', 0: 'a'}", &["a", "b"]);
    check("{\"0\": \"a\", \"2\": \"c\"}", &["a", "class 1", "c"]);
    check("['a', 'b']", &["a", "b"]);
    check("a\nb\n", &["a", "b"]);
    check("{4000000000: 'far'}", &[]);
    check("{0: 'open", &[]);
    check("", &[]);
}

#[test]
fn descriptions_are_checked_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("best.onnx");
    assert_eq!(ModelDescription::of_model(&model).unwrap(), ModelDescription::default());
    let check = |text: &str, part: &str| {
        std::fs::write(dir.path().join("best.toml"), text).unwrap();
        let error = ModelDescription::of_model(&model).unwrap_err().to_string();
        assert!(error.contains("best.toml") && error.contains(part), "{text}: {error}");
    };
    check("layout = \"yolo\"", "yolov8");
    check("layouts = \"yolov8\"", "layouts");
    check("[input]\nsize = [0, 4]", "a side is 1 to 8192");
    check("[input]\nsize = [100000, 4]", "a side is 1 to 8192");
    check("[input]\nstd = [1.0, 0.0, 1.0]", "above 0");
    check("[input]\nscale = nan", "input.scale");
    check("[input]\nbatch = 0", "1 to 256");
    check("[output]\nscore_threshold = 1.5", "0 to 1");
    check("classes = [\"a\", \"a\"]", "twice");
    check("classes = [\" \"]", "empty");
    std::fs::remove_file(dir.path().join("best.toml")).unwrap();
    std::fs::write(dir.path().join("model.toml"), "classes = [\"a\"]").unwrap();
    assert_eq!(ModelDescription::of_model(&model).unwrap().classes, ["a"]);
}
