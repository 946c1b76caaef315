//! The pretrained backbones of a detector: their tensors, and how to extract them from any weight file.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::{Format, NamedArray, WeightError, WeightFile, naming, onnx, resnet_graph, safetensors_file};
use crate::domain::counted;

/// The names accepted by `--as`.
pub const BACKBONES: [&str; 4] = ["resnet50-half", "resnet50", "resnet18", "vgg16"];

const CAFFE: &str = "caffe";
const TORCHVISION_EPS: f64 = 1e-5;

/// The metadata key with a backbone's flavour.
pub const FLAVOUR_KEY: &str = "quarry.flavour";

/// Backbone weights under torchvision's names (`conv1.weight`, `layer1.0.conv1.weight`; `features.0.weight`), without a prefix and without
/// the classifier's last layer.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedBackbone {
    pub backbone: String,
    /// `torchvision` or `caffe`: the position of strides and the pixel format.
    pub flavour: &'static str,
    /// The batch norm epsilon of these weights.
    pub batch_norm_eps: f64,
    pub arrays: Vec<NamedArray>,
    pub notes: Vec<String>,
}

/// Returns the tensors of a backbone as `(name, shape)`; `None` for an unknown name.
pub fn expected_shapes(backbone: &str) -> Option<Vec<(String, Vec<usize>)>> {
    match backbone {
        "resnet50" => Some(resnet([3, 4, 6, 3], 64, true)),
        "resnet50-half" => Some(resnet([3, 4, 6, 3], 32, true)),
        "resnet18" => Some(resnet([2, 2, 2, 2], 64, false)),
        "vgg16" => Some(vgg16()),
        _ => None,
    }
}

/// Extracts `backbone` from a weight file of any supported format: an ONNX graph, or the state dict of a classifier or of a whole detector.
/// `bytes` is the content of `path`.
pub fn import_backbone(path: &Path, bytes: &[u8], backbone: &str) -> Result<ImportedBackbone, WeightError> {
    let unknown = || WeightError::UnknownBackbone { name: backbone.to_owned(), known: BACKBONES.join(", ") };
    let expected = expected_shapes(backbone).ok_or_else(unknown)?;
    let found = match Format::of(bytes) {
        Some(Format::Onnx) => from_graph(path, bytes, backbone, &expected)?,
        _ => from_state_dict(super::read_bytes(path, bytes)?, backbone),
    };
    let mut notes = found.notes;
    let arrays = select(path, backbone, &expected, found.arrays, &mut notes)?;
    check_finite(path, &arrays)?;
    Ok(ImportedBackbone {
        backbone: backbone.to_owned(),
        flavour: if stored_flavour(bytes).unwrap_or(found.caffe) { CAFFE } else { "torchvision" },
        batch_norm_eps: if found.folded { 0.0 } else { TORCHVISION_EPS },
        arrays,
        notes,
    })
}

/// Refuses NaN and infinite values.
pub fn check_finite(path: &Path, arrays: &[NamedArray]) -> Result<(), WeightError> {
    for array in arrays {
        let count = array.data.iter().filter(|v| !v.is_finite()).count();
        if count > 0 {
            return Err(WeightError::NotFinite { path: path.to_path_buf(), tensor: array.name.clone(), count });
        }
    }
    Ok(())
}

/// A file's content before it is compared with the expected tensors.
struct Found {
    arrays: Vec<NamedArray>,
    notes: Vec<String>,
    caffe: bool,
    /// Batch norm is folded into the convolutions.
    folded: bool,
}

/// By name if the graph keeps torchvision's names (as exports with batch norm do), otherwise by walking the graph of a ResNet.
fn from_graph(
    path: &Path,
    bytes: &[u8],
    backbone: &str,
    expected: &[(String, Vec<usize>)],
) -> Result<Found, WeightError> {
    let malformed = |format, why| WeightError::Malformed { path: path.to_path_buf(), format, why };
    let graph = onnx::Graph::read(bytes).map_err(|why| malformed("ONNX", why))?;
    if backbone == "vgg16" || expected.iter().all(|(name, _)| graph.initialiser(name).is_some()) {
        return Ok(by_name(graph, expected));
    }
    let found = resnet_graph::read(&graph).map_err(|why| malformed("ONNX ResNet", why))?;
    let convolutions = found.arrays.iter().filter(|a| a.shape.len() == 4).count();
    let note = format!(
        "{convolutions} convolutions found by walking the graph; their folded batch norm is kept as bias; last feature `{}`; \
         the strides are {}'s",
        found.last_feature,
        if found.caffe { "Caffe" } else { "torchvision" }
    );
    Ok(Found { arrays: found.arrays, notes: vec![note], caffe: found.caffe, folded: true })
}

/// Returns only the initialisers with torchvision's names.
fn by_name(graph: onnx::Graph, expected: &[(String, Vec<usize>)]) -> Found {
    let opening = graph.convolution_with("layer2.0.conv1.weight");
    let caffe = opening.is_some_and(|node| resnet_graph::is_caffe(&graph, node));
    let all = graph.arrays.len();
    let wanted: HashSet<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
    let arrays: Vec<NamedArray> = graph.arrays.into_iter().filter(|a| wanted.contains(a.name.as_str())).collect();
    let note = format!("{} of the graph's {all} initialisers have torchvision's names and were used", arrays.len());
    Found { arrays, notes: vec![note], caffe, folded: false }
}

/// Whether a file written by Quarry says Caffe; `None` for other files.
fn stored_flavour(bytes: &[u8]) -> Option<bool> {
    let metadata = safetensors_file::metadata_in(bytes).ok()?;
    metadata.get(FLAVOUR_KEY).map(|word| word == CAFFE)
}

fn from_state_dict(file: WeightFile, backbone: &str) -> Found {
    let adapted = naming::torchvision_names(file.arrays);
    let mut notes = file.notes;
    notes.extend(adapted.notes);
    let arrays = without_prefix(adapted.arrays, &mut notes);
    let half = backbone == "resnet50-half";
    Found { arrays, notes, caffe: half, folded: half }
}

/// Keeps only a detector's backbone.
fn without_prefix(arrays: Vec<NamedArray>, notes: &mut Vec<String>) -> Vec<NamedArray> {
    for (prefix, keep) in [("backbone.body.", ""), ("backbone.features.", "features."), ("backbone.", "")] {
        if !arrays.iter().any(|a| a.name.starts_with(prefix)) {
            continue;
        }
        let all = arrays.len();
        let strip = |mut a: NamedArray| {
            a.name = format!("{keep}{}", a.name.strip_prefix(prefix)?);
            Some(a)
        };
        let arrays: Vec<NamedArray> = arrays.into_iter().filter_map(strip).collect();
        notes.push(format!(
            "{} of {all} tensors under `{prefix}` were used, the rest belongs to other parts",
            arrays.len()
        ));
        return arrays;
    }
    arrays
}

/// Returns the expected tensors in order. The classifier's last layer is dropped; any other extra tensor means another network.
fn select(
    path: &Path,
    backbone: &str,
    expected: &[(String, Vec<usize>)],
    arrays: Vec<NamedArray>,
    notes: &mut Vec<String>,
) -> Result<Vec<NamedArray>, WeightError> {
    let wrong = |why| WeightError::WrongArchitecture { path: path.to_path_buf(), backbone: backbone.to_owned(), why };
    let mut by_name: HashMap<String, NamedArray> = arrays.into_iter().map(|a| (a.name.clone(), a)).collect();
    let missing: Vec<&str> =
        expected.iter().map(|e| e.0.as_str()).filter(|name| !by_name.contains_key(*name)).collect();
    if let Some(first) = missing.first() {
        return Err(wrong(format!(
            "{} of {} tensors are missing, the first is `{first}`",
            missing.len(),
            expected.len()
        )));
    }
    let mut out = Vec::with_capacity(expected.len());
    for (name, shape) in expected {
        let Some(array) = by_name.remove(name) else { continue };
        if &array.shape != shape {
            return Err(wrong(format!("`{name}` has the shape {:?} where {shape:?} is expected", array.shape)));
        }
        out.push(array);
    }
    let (head, beyond): (Vec<&String>, Vec<&String>) = by_name.keys().partition(|name| is_last_layer(name));
    if let Some(first) = beyond.iter().min() {
        return Err(wrong(format!("{}, the first is `{first}`", counted(beyond.len(), "unexpected tensor"))));
    }
    if !head.is_empty() {
        notes.push("the classifier's last layer was left out, a detector has its own".to_owned());
    }
    Ok(out)
}

fn is_last_layer(name: &str) -> bool {
    name.starts_with("fc.") || name.starts_with("classifier.6.")
}

type Shapes = Vec<(String, Vec<usize>)>;

fn resnet(blocks: [usize; 4], width: usize, bottleneck: bool) -> Shapes {
    let mut out = Vec::new();
    convolution(&mut out, "conv1", "bn1", [64, 3, 7]);
    let mut from = 64;
    for (stage, count) in blocks.into_iter().enumerate() {
        let width = width << stage;
        let to = if bottleneck { 4 * width } else { width };
        for block in 0..count {
            let prefix = format!("layer{}.{block}", stage + 1);
            let row = if bottleneck {
                vec![[width, from, 1], [width, width, 3], [to, width, 1]]
            } else {
                vec![[to, from, 3], [to, to, 3]]
            };
            for (k, shape) in row.into_iter().enumerate() {
                convolution(&mut out, &format!("{prefix}.conv{}", k + 1), &format!("{prefix}.bn{}", k + 1), shape);
            }
            if block == 0 && (from != to || stage > 0) {
                convolution(
                    &mut out,
                    &format!("{prefix}.downsample.0"),
                    &format!("{prefix}.downsample.1"),
                    [to, from, 1],
                );
            }
            from = to;
        }
    }
    out
}

fn convolution(out: &mut Shapes, name: &str, norm: &str, [to, from, kernel]: [usize; 3]) {
    out.push((format!("{name}.weight"), vec![to, from, kernel, kernel]));
    for part in ["weight", "bias", "running_mean", "running_var"] {
        out.push((format!("{norm}.{part}"), vec![to]));
    }
}

fn vgg16() -> Shapes {
    const STAGES: [&[usize]; 5] = [&[64, 64], &[128, 128], &[256, 256, 256], &[512, 512, 512], &[512, 512, 512]];
    let mut out = Vec::new();
    let mut push = |name: String, shape: Vec<usize>| {
        out.push((format!("{name}.bias"), shape.first().copied().into_iter().collect()));
        out.push((format!("{name}.weight"), shape));
    };
    let (mut index, mut from) = (0, 3);
    for stage in STAGES {
        for &to in stage {
            push(format!("features.{index}"), vec![to, from, 3, 3]);
            // A relu has an index of its own.
            (index, from) = (index + 2, to);
        }
        index += 1;
    }
    push("classifier.0".to_owned(), vec![4096, 512 * 7 * 7]);
    push("classifier.3".to_owned(), vec![4096, 4096]);
    out
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_backbone_has_as_many_tensors_as_torchvision_says() {
        let check = |backbone: &str, tensors: usize, parameters: usize| {
            let shapes = expected_shapes(backbone).unwrap();
            let names: HashSet<&String> = shapes.iter().map(|s| &s.0).collect();
            assert_eq!((names.len(), shapes.len()), (tensors, tensors), "{backbone}");
            let learnt = shapes.iter().filter(|s| !s.0.contains("running_"));
            assert_eq!(learnt.map(|s| s.1.iter().product::<usize>()).sum::<usize>(), parameters, "{backbone}");
        };
        // torchvision's documented parameter counts minus the last layer (1000 classes).
        check("resnet50", 53 * 5, 25_557_032 - 2_049_000);
        check("resnet18", 20 * 5, 11_689_512 - 513_000);
        check("vgg16", 30, 138_357_544 - 4_097_000);
        assert_eq!(expected_shapes("resnet50-half").unwrap().len(), 53 * 5);
        assert!(expected_shapes("resnet51").is_none());
    }
}
