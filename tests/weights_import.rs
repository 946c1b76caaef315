//! `quarry weights import | export | list`, and the converted default backbone against its manifest.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::path::{Path, PathBuf};

use quarry::detector::weights::{FileState, NamedArray, expected_shapes, read, write_safetensors};
use quarry::workflow::weights::{ImportRequest, converted_backbone, export, import, list};

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn request(file: &Path, target: &str, models: &Path) -> ImportRequest {
    let (source, licence) = ("a test".to_owned(), "MIT".to_owned());
    ImportRequest {
        file: file.to_owned(),
        target: target.to_owned(),
        classes: None,
        eps: None,
        models: models.to_owned(),
        replace: true,
        source,
        licence,
    }
}

fn resnet18() -> Vec<NamedArray> {
    let shapes = expected_shapes("resnet18").unwrap().into_iter();
    shapes.map(|(name, shape)| NamedArray::new(name, shape.clone(), vec![0.25; shape.iter().product()])).collect()
}

#[test]
fn an_imported_backbone_is_listed_and_a_changed_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (file, models) = (dir.path().join("given.safetensors"), dir.path().join("models"));
    write_safetensors(&file, &resnet18(), None).unwrap();
    let written = import(&request(&file, "resnet18", &models)).unwrap();
    assert_eq!((written.tensors, written.file.file_name().unwrap().to_str()), (100, Some("resnet18.safetensors")));
    assert_eq!(import(&request(&file, "resnet18", &models)).unwrap().sha256, written.sha256, "repeatable");
    let listed = list(&models).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0].entry.sha256, listed[0].state), (&written.sha256, FileState::Present));

    let mut bytes = std::fs::read(&written.file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&written.file, bytes).unwrap();
    assert_eq!(list(&models).unwrap()[0].state, FileState::Changed);
    let message = read(&written.file).unwrap_err().to_string();
    assert!(message.contains("SHA-256") && message.contains("manifest.toml"), "{message}");
    std::fs::remove_file(&written.file).unwrap();
    assert_eq!(list(&models).unwrap()[0].state, FileState::Absent);
}

#[test]
fn a_file_from_elsewhere_is_checked_against_the_manifests_entry_of_its_name() {
    let (dir, models) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = dir.path().join("resnet18-ba7816bf.safetensors");
    write_safetensors(&file, &resnet18(), None).unwrap();
    let entry = |sha256: &str| {
        let manifest = format!(
            "[[weights]]\nname = \"a\"\nfile = \"resnet18-ba7816bf.safetensors\"\nsource = \"s\"\nlicence = \"l\"\nsha256 = \"{sha256}\"\n"
        );
        std::fs::write(models.path().join("manifest.toml"), manifest).unwrap();
    };
    entry("ba7816bf");
    let message = import(&request(&file, "resnet18", models.path())).unwrap_err().to_string();
    assert!(
        message.contains("resnet18-ba7816bf.safetensors: SHA-256") && message.contains("manifest.toml"),
        "{message}"
    );
    assert!(!models.path().join("resnet18.safetensors").exists());
    entry(&quarry::detector::weights::sha256_hex(&std::fs::read(&file).unwrap())[..8]);
    import(&request(&file, "resnet18", models.path())).unwrap();

    // The entry of an imported file does not apply to a file elsewhere with the same name.
    let named_alike = dir.path().join("resnet18.safetensors");
    let mut others = resnet18();
    others[0].data[0] = 7.0;
    write_safetensors(&named_alike, &others, None).unwrap();
    import(&request(&named_alike, "resnet18", models.path())).unwrap();
}

#[test]
fn a_detectors_options_are_refused_for_a_backbone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("given.safetensors");
    write_safetensors(&file, &resnet18(), None).unwrap();
    let plain = request(&file, "resnet18", dir.path());
    for (request, option) in [
        (ImportRequest { classes: Some(2), ..plain.clone() }, "--classes"),
        (ImportRequest { eps: Some(0.0), ..plain.clone() }, "--eps"),
    ] {
        let message = import(&request).unwrap_err().to_string();
        assert!(message.contains(option) && message.contains("remove it"), "{message}");
    }
}

#[test]
fn unknown_targets_are_refused_with_the_known_ones() {
    let dir = tempfile::tempdir().unwrap();
    let message = import(&request(Path::new("x.pth"), "resnet51", dir.path())).unwrap_err().to_string();
    assert!(message.contains("resnet50-half") && message.contains("resnet50-fpn"), "{message}");
}

#[test]
fn the_default_backbone_converts_to_the_file_that_the_manifest_lists() {
    let onnx = repository().join("models/open-nsfw.onnx");
    if !onnx.is_file() {
        eprintln!("SKIPPED: the default backbone, {} is missing (`make setup` fetches it)", onnx.display());
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("open-nsfw.onnx");
    std::fs::copy(&onnx, &copy).unwrap();
    let converted = converted_backbone(&copy, "resnet50-half").unwrap();
    let listed = list(&repository().join("models")).unwrap();
    let sha = |file: &str| listed.iter().find(|l| l.entry.file == file).unwrap().entry.sha256.clone();
    let found = |path: &Path| quarry::detector::weights::sha256_hex(&std::fs::read(path).unwrap());
    assert_eq!(found(&copy), sha("open-nsfw.onnx"));
    assert_eq!(found(&converted), sha("resnet50-half.safetensors"));
    assert_eq!(converted_backbone(&converted, "resnet50-half").unwrap(), converted);
}

#[test]
fn export_keeps_torchvisions_part_of_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("checkpoint.safetensors"), dir.path().join("out.safetensors"));
    let array = |name: &str| NamedArray::new(name, vec![2], vec![1.0, 2.0]);
    let names = [
        "backbone.body.bn1.bias",
        "roi_heads.box_predictor.cls_score.bias",
        "roi_heads.box_predictor.ellipse_pred.bias",
    ];
    write_safetensors(&from, &names.map(array), None).unwrap();
    let written = export(&from, &to).unwrap();
    assert!(written.notes[0].starts_with("left out 1 tensor "), "{:?}", written.notes);
    let exported: Vec<String> = read(&to).unwrap().arrays.into_iter().map(|a| a.name).collect();
    assert_eq!(exported, names[..2]);
}

#[cfg(feature = "torch")]
mod whole_detector {
    use std::collections::HashMap;

    use super::*;
    use quarry::detector::{Architecture, Detector, DetectorConfig};
    use quarry::domain::Output;
    use tch::Device;

    /// resnet50-fpn's state with `classes`, under torchvision's older names, as f32 arrays.
    fn old_spelling(classes: i64) -> Vec<NamedArray> {
        let config = DetectorConfig { num_classes: classes, ellipse_head: false, ..DetectorConfig::torchvision_coco() };
        let state = Detector::new(&config, Device::Cpu, 5).unwrap().state();
        let array = |(name, tensor): (String, tch::Tensor)| {
            let old = if name.contains("fpn.") {
                name.replace(".0.weight", ".weight").replace(".0.bias", ".bias")
            } else {
                name.replace("rpn.head.conv.0.0.", "rpn.head.conv.")
            };
            let mut data = vec![0.0; tensor.numel()];
            tensor.copy_data(&mut data, tensor.numel());
            NamedArray::new(old, tensor.size().iter().map(|&s| s as usize).collect(), data)
        };
        state.into_iter().map(array).collect()
    }

    #[test]
    fn torchvisions_state_dict_becomes_a_checkpoint_and_its_heads_are_replaced_where_classes_differ() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("fasterrcnn.safetensors");
        let mut arrays = old_spelling(91);
        assert_eq!(arrays.len(), 295);
        arrays.push(NamedArray::new("backbone.body.bn1.num_batches_tracked", vec![], vec![3.0]));
        write_safetensors(&file, &arrays, None).unwrap();

        let whole = import(&request(&file, "resnet50-fpn", dir.path())).unwrap();
        let detector = Detector::load(&whole.file, Device::Cpu).unwrap();
        assert_eq!((detector.config().num_classes, detector.state().len()), (91, 295));
        assert_eq!(detector.config().architecture, Architecture::ResNet50Fpn);

        let two = import(&ImportRequest { classes: Some(2), ..request(&file, "resnet50-fpn", dir.path()) }).unwrap();
        assert!(two.notes.iter().any(|n| n.contains("91 classes where 2")), "{:?}", two.notes);
        assert!(two.notes.iter().any(|n| n.contains("older names")), "{:?}", two.notes);
        let detector = Detector::load(&two.file, Device::Cpu).unwrap();
        let state: HashMap<String, tch::Tensor> = detector.state().into_iter().collect();
        assert_eq!(state["roi_heads.box_predictor.cls_score.weight"].size(), [2, 1024]);
        let kept = arrays.iter().find(|a| a.name == "backbone.body.layer4.2.conv3.weight").unwrap();
        let ours = state["backbone.body.layer4.2.conv3.weight"].double_value(&[7, 9, 0, 0]);
        assert_eq!(ours, f64::from(kept.data[7 * 512 + 9]));

        let exported = export(&two.file, dir.path().join("back.safetensors")).unwrap();
        assert_eq!(exported.tensors, 295);
    }

    #[test]
    fn a_missing_layer_is_no_replaced_head() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("given.safetensors");
        let mut arrays = old_spelling(91);
        arrays.retain(|a| !a.name.starts_with("roi_heads.box_head.fc6."));
        write_safetensors(&file, &arrays, None).unwrap();
        let two = ImportRequest { classes: Some(2), ..request(&file, "resnet50-fpn", dir.path()) };
        let message = import(&two).unwrap_err().to_string();
        assert!(message.contains("given.safetensors: ") && message.contains("lack 2 tensors"), "{message}");
        assert!(message.contains("roi_heads.box_head.fc6"), "{message}");
    }

    #[test]
    fn export_and_import_are_a_round_trip() {
        let dir = tempfile::tempdir().unwrap();
        let [checkpoint, exported] = ["checkpoint", "exported"].map(|n| dir.path().join(format!("{n}.safetensors")));
        let mut config = DetectorConfig::of(Architecture::ResNet18Fpn);
        (config.pyramid_channels, config.roi.hidden, config.shorter_side) = (16, 24, 123);
        (config.batch_norm_eps, config.anchors.ratios, config.num_classes) = (3e-5, vec![1.0, 1.25], 5);
        assert!(config.ellipse_head);
        let detector = Detector::new(&config, Device::Cpu, 5).unwrap();
        detector.save(&checkpoint).unwrap();
        export(&checkpoint, &exported).unwrap();

        let plain = request(&exported, "resnet18-fpn", dir.path());
        let check = |request: &ImportRequest, expected: &DetectorConfig| {
            let written = import(request).unwrap();
            let back = Detector::load(&written.file, Device::Cpu).unwrap();
            assert_eq!(back.config(), expected);
            (back.state(), written.notes)
        };
        let without_head = DetectorConfig { ellipse_head: false, ..config.clone() };
        let (state, notes) = check(&plain, &without_head);
        assert!(notes.iter().any(|n| n.contains("settings inside the file") && n.contains("3e-5")), "{notes:?}");
        let ours: HashMap<String, tch::Tensor> = detector.state().into_iter().collect();
        assert_eq!(state.len() + 2, ours.len(), "all but the ellipse head");
        assert!(state.iter().all(|(name, tensor)| tensor.equal(&ours[name])));

        let two = DetectorConfig { num_classes: 2, batch_norm_eps: 0.0, ..without_head };
        check(&ImportRequest { classes: Some(2), eps: Some(0.0), ..plain }, &two);
        let message = import(&request(&exported, "resnet50-fpn", dir.path())).unwrap_err().to_string();
        assert!(message.contains("exported.safetensors: ") && message.contains("belong to resnet18-fpn"), "{message}");
    }

    #[test]
    fn eps_is_said_for_files_without_settings() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("given.safetensors");
        write_safetensors(&file, &old_spelling(2), None).unwrap();
        let plain = request(&file, "resnet50-fpn", dir.path());
        let eps = |eps| {
            let written = import(&ImportRequest { eps, ..plain.clone() });
            written.map(|w| Detector::load(&w.file, Device::Cpu).unwrap().config().batch_norm_eps)
        };
        assert_eq!((eps(None).unwrap(), eps(Some(1e-5)).unwrap()), (0.0, 1e-5));
        assert!(eps(Some(-1.0)).unwrap_err().to_string().contains("batch_norm_eps"));
    }

    #[test]
    fn export_of_a_checkpoint_with_an_ellipse_head_has_torchvisions_tensors_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("checkpoint.safetensors"), dir.path().join("out.safetensors"));
        let config = DetectorConfig::of(Architecture::ResNet50Fpn);
        assert!(config.ellipse_head);
        Detector::new(&config, Device::Cpu, 5).unwrap().save(&from).unwrap();
        let exported = export(&from, &to).unwrap();
        assert_eq!(exported.tensors, 295, "{:?}", exported.notes);
        assert!(
            exported.notes.iter().any(|n| n.contains("2 classes") && n.contains("eps 1e-5")),
            "{:?}",
            exported.notes
        );

        let small = DetectorConfig::of(Architecture::ResNet18Fpn);
        Detector::new(&small, Device::Cpu, 5).unwrap().save(&from).unwrap();
        let exported = export(&from, Output::new(&to, true)).unwrap();
        assert!(exported.notes.iter().any(|n| n.contains("does not load resnet18-fpn")), "{:?}", exported.notes);
    }

    #[test]
    fn weights_of_another_shape_or_with_tensors_too_many_or_too_few_or_nan_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("given.safetensors");
        let check = |change: fn(&mut Vec<NamedArray>), expected: &str| {
            let mut arrays = old_spelling(2);
            change(&mut arrays);
            write_safetensors(&file, &arrays, None).unwrap();
            let message = import(&request(&file, "resnet50-fpn", dir.path())).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
            assert!(!dir.path().join("resnet50-fpn.safetensors").exists(), "nothing is written");
        };
        check(|a| a.retain(|a| a.name != "backbone.body.conv1.weight"), "lack 1 tensor ");
        check(|a| a.push(NamedArray::new("fc.weight", vec![1], vec![0.0])), "does not know, first fc.weight");
        check(|a| a.iter_mut().for_each(|a| a.data[0] = f32::NAN), "NaN");
        check(
            |a| {
                let stem = a.iter_mut().find(|a| a.name == "backbone.body.conv1.weight").unwrap();
                *stem = NamedArray::new(stem.name.clone(), vec![64, 1, 1, 1], vec![0.0; 64]);
            },
            "backbone.body.conv1.weight has shape",
        );
    }

    /// The numbers come from scripts/onnxruntime_features.py, which states the image's formula.
    #[test]
    fn the_default_backbone_computes_what_onnxruntime_computes() {
        let onnx = repository().join("models/open-nsfw.onnx");
        if !onnx.is_file() {
            eprintln!("SKIPPED: the default backbone, {} is missing (`make setup` fetches it)", onnx.display());
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let copy = dir.path().join("open-nsfw.onnx");
        std::fs::copy(&onnx, &copy).unwrap();
        let picture = image::RgbImage::from_fn(224, 224, |x, y| {
            image::Rgb([7 * x + 3 * y, x * y, 5 * x + 11 * y + x * y / 32].map(|v| (v % 256) as u8))
        });
        let config = DetectorConfig { shorter_side: 224, ..DetectorConfig::of(Architecture::ResNet50HalfFpn) };
        let mut detector = Detector::new(&config, Device::Cpu, 1).unwrap();
        detector.load_backbone(&converted_backbone(&copy, "resnet50-half").unwrap()).unwrap();
        let prepared = quarry::detector::NetworkImage::prepare(&picture, &config).unwrap();
        let ours = detector.stage_features(&prepared).unwrap().pop().unwrap();
        let fixture = read(&repository().join("tests/fixtures/open_nsfw_features.safetensors")).unwrap();
        let golden = tch::Tensor::from_slice(&fixture.arrays[0].data).reshape([1, 1024, 7, 7]);
        assert_eq!(ours.size(), golden.size());
        let off = (&ours - &golden).abs().max().double_value(&[]);
        println!(
            "last block against onnxruntime: largest deviation {off:.1e}, largest value {:.2}",
            golden.max().double_value(&[])
        );
        assert!(off < 1e-3, "{off}");
    }
}
