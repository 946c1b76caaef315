//! A detector from another program's weights, and the errors for weights that do not fit.
#![cfg(feature = "torch")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::HashMap;
use std::path::Path;

use image::RgbImage;
use quarry::detector::weights::NamedArray;
use quarry::detector::{Architecture, Detector, DetectorConfig};
use tch::{Device, Kind, Tensor};

/// resnet18-fpn for small images.
fn small() -> DetectorConfig {
    let mut config = DetectorConfig::of(Architecture::ResNet18Fpn);
    (config.shorter_side, config.longer_side_cap) = (64, 96);
    (config.pyramid_channels, config.roi.hidden) = (16, 16);
    config
}

fn vgg16(hidden: i64) -> DetectorConfig {
    let mut config = DetectorConfig::of(Architecture::Vgg16);
    config.roi.hidden = hidden;
    config
}

fn state(detector: &Detector) -> HashMap<String, Tensor> {
    detector.state().into_iter().collect()
}

#[test]
fn vgg16_takes_fc6_and_fc7_from_the_classifier() {
    const HIDDEN: i64 = 24;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vgg16.safetensors");
    let source = Detector::new(&vgg16(HIDDEN), Device::Cpu, 9).unwrap();
    let name = |ours: &str| match ours.split_once(".fc") {
        Some(("roi_heads.box_head", rest)) => Some(rest.replace("6.", "classifier.0.").replace("7.", "classifier.3.")),
        _ => ours.strip_prefix("backbone.").map(str::to_owned),
    };
    let theirs: Vec<(String, Tensor)> =
        source.state().into_iter().filter_map(|(ours, tensor)| Some((name(&ours)?, tensor))).collect();
    assert_eq!(theirs.len(), 30, "13 convolutions and two layers");
    Tensor::write_safetensors(&theirs, &path).unwrap();
    let source = state(&source);

    // With the file's own width all of it is loaded; with another one fc6 and fc7 keep their initial values, which is reported.
    for (hidden, taken) in [(HIDDEN, true), (HIDDEN / 2, false)] {
        let mut detector = Detector::new(&vgg16(hidden), Device::Cpu, 1).unwrap();
        let before = state(&detector);
        let notes = detector.load_backbone(&path).unwrap();
        let after = state(&detector);
        for part in ["fc6.weight", "fc6.bias", "fc7.weight", "fc7.bias"] {
            let name = format!("roi_heads.box_head.{part}");
            let expected = if taken { &source[&name] } else { &before[&name] };
            assert!(after[&name].equal(expected), "{part} with {hidden}");
        }
        let last = "backbone.features.28.weight";
        assert!(after[last].equal(&source[last]) && !after[last].equal(&before[last]));
        assert_eq!(notes.is_empty(), taken, "{notes:?}");
        assert!(notes.iter().all(|note| note.contains("fc6 and fc7 are initialised randomly")), "{notes:?}");
    }

    let convolutions: Vec<_> = theirs.into_iter().filter(|(name, _)| name.starts_with("features.")).collect();
    Tensor::write_safetensors(&convolutions, &path).unwrap();
    let message = Detector::new(&vgg16(HIDDEN), Device::Cpu, 1).unwrap().load_backbone(&path).unwrap_err().to_string();
    assert!(message.contains("vgg16.safetensors") && message.contains("lack 4 tensors"), "{message}");
}

fn arrays(detector: &Detector) -> Vec<NamedArray> {
    let array = |(name, tensor): (String, Tensor)| {
        let mut data = vec![0.0; tensor.numel()];
        tensor.copy_data(&mut data, tensor.numel());
        NamedArray::new(name, tensor.size().iter().map(|&side| side as usize).collect(), data)
    };
    detector.state().into_iter().map(array).collect()
}

#[test]
fn only_what_was_replaced_starts_anew() {
    let config = small();
    let all = arrays(&Detector::new(&config, Device::Cpu, 3).unwrap());
    let check = |missing: &str, anew: &[&str], expected: Result<usize, &str>| {
        let left: Vec<NamedArray> = all.iter().filter(|a| !a.name.starts_with(missing)).cloned().collect();
        match (Detector::from_arrays(&config, &left, anew), expected) {
            (Ok((_, started)), Ok(count)) => assert_eq!(started, count, "{missing}"),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{missing}: {error}"),
            (found, _) => panic!("{missing}: {:?}", found.map(|f| f.1)),
        }
    };
    let predictor = "roi_heads.box_predictor.";
    check("nothing", &[], Ok(0));
    check("nothing", &[predictor], Ok(0));
    check(predictor, &[predictor], Ok(6));
    check(predictor, &[], Err("lack 6 tensors"));
    check("roi_heads.box_head.fc6.", &[predictor], Err("first roi_heads.box_head.fc6.weight"));
}

#[test]
fn a_checkpoint_with_wrong_tensors_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let detector = Detector::new(&small(), Device::Cpu, 3).unwrap();
    detector.save(&path).unwrap();
    let half = DetectorConfig::of(Architecture::ResNet50HalfFpn);
    let message = Detector::load_as(&path, &half, Device::Cpu).unwrap_err().to_string();
    assert!(message.contains("model.safetensors: ") && message.contains("belong to resnet18-fpn"), "{message}");
    let mut wider = small();
    wider.roi.hidden *= 2;
    let message = Detector::load_with(&path, &wider, Device::Cpu).unwrap_err().to_string();
    assert!(message.contains("model.safetensors: ") && message.contains("has shape"), "{message}");
    let metadata = quarry::detector::weights::metadata(&path).unwrap();
    let settings = metadata.iter().next().map(|(key, value)| (key.as_str(), value.as_str()));
    let check = |change: &dyn Fn(&mut Vec<NamedArray>), expected: &str| {
        let mut changed = arrays(&detector);
        change(&mut changed);
        quarry::detector::weights::write_safetensors(&path, &changed, settings).unwrap();
        let message = Detector::load(&path, Device::Cpu).unwrap_err().to_string();
        assert!(message.contains("model.safetensors: ") && message.contains(expected), "{message}");
        assert!(message.contains("choose weights") || message.contains("take an earlier"), "{message}");
    };
    check(&|a| drop(a.remove(0)), "lack 1 tensor ");
    check(&|a| a.push(NamedArray::new("fc.weight", vec![1], vec![0.0])), "does not know, first fc.weight");
    check(&|a| a[0].data[0] = f32::NAN, "NaN");
    check(&|a| a[0] = NamedArray::new(a[0].name.clone(), vec![1], vec![0.0]), "has shape [1]");
    let message = load_backbone_message(&half, &path);
    assert!(message.contains("model.safetensors: "), "{message}");
}

fn load_backbone_message(config: &DetectorConfig, path: &Path) -> String {
    Detector::new(config, Device::Cpu, 1).unwrap().load_backbone(path).unwrap_err().to_string()
}

#[test]
fn gradients_are_recorded_again_after_libtorch_fails_in_a_detection() {
    let detector = Detector::new(&small(), Device::Cpu, 3).unwrap();
    let picture = RgbImage::new(64, 64);
    detector.detect(&picture).unwrap();
    let mut parameters = detector.trainable();
    let broken = &mut parameters.iter_mut().find(|(name, _)| name == "rpn.head.conv.0.0.weight").unwrap().1;
    broken.set_data(&Tensor::zeros([3, 3], (Kind::Float, Device::Cpu)));
    let message = detector.detect(&picture).unwrap_err().to_string();
    assert!(message.contains("libtorch failed while detecting"), "{message}");
    let weight = Tensor::from_slice(&[1.0_f32]).set_requires_grad(true);
    assert!((&weight * 2.0).requires_grad(), "gradients stayed off");
}
