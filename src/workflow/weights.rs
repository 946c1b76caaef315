//! Weight files of other programs: imports a backbone or a whole detector, exports for torchvision, lists known files.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::outputs::OutputPolicy;
pub use super::weights_error::WeightsTaskError;
#[cfg(feature = "torch")]
use crate::detector::weights::Format;
use crate::detector::weights::{
    BACKBONES, FLAVOUR_KEY, FileState, Manifest, ManifestEntry, NamedArray, WeightError, check_finite, metadata, read,
    read_backbone, sha256_hex, write_safetensors,
};
use crate::detector::{Anchors, Architecture, CONFIG_KEY, DetectorConfig, DetectorError, verify_file};
#[cfg(feature = "torch")]
use crate::domain::counted_as;
use crate::domain::{Output, counted, data_folder, read_weights, shown_path};
#[cfg(feature = "torch")]
use crate::training::last_model;

/// The parts of torchvision's own detector; everything else in a checkpoint is Quarry's, such as the ellipse head.
const TORCHVISION_PARTS: [&str; 5] = [
    "backbone.",
    "rpn.",
    "roi_heads.box_head.",
    "roi_heads.box_predictor.cls_score.",
    "roi_heads.box_predictor.bbox_pred.",
];

/// What to import.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    pub file: PathBuf,
    /// One of [`BACKBONES`], or a detector's preset (`resnet50-fpn`).
    pub target: String,
    /// Number of classes with background of an imported detector; by default the file's own.
    pub classes: Option<i64>,
    /// The batch norm epsilon of an imported detector's weights; by default the one in the file's settings, or 0 (torchvision's COCO_V1)
    /// for `resnet50-fpn` without settings.
    pub eps: Option<f64>,
    /// The folder for the file, whose manifest lists it.
    pub models: PathBuf,
    /// Whether an earlier import may be replaced.
    pub replace: bool,
    /// For the manifest; the file's own name if empty.
    pub source: String,
    pub licence: String,
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WrittenWeights {
    #[serde(serialize_with = "shown_path")]
    pub file: PathBuf,
    pub tensors: usize,
    pub sha256: String,
    /// A message on everything that was changed, dropped or replaced.
    pub notes: Vec<String>,
}

/// An entry of the manifest and the state of its file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ListedWeights {
    #[serde(flatten)]
    pub entry: ManifestEntry,
    pub state: FileState,
}

/// Converts a weight file to `models/<target>.safetensors` and lists it in the manifest there.
pub fn import(request: &ImportRequest) -> Result<WrittenWeights, WeightsTaskError> {
    let is_backbone = BACKBONES.contains(&request.target.as_str());
    if !is_backbone && Architecture::parse(&request.target).is_none() {
        return Err(WeightsTaskError::UnknownTarget {
            name: request.target.clone(),
            backbones: BACKBONES.join(", "),
            detectors: Architecture::ALL.map(Architecture::as_str).join(", "),
        });
    }
    check_exists(&request.file)?;
    let name = format!("{}.safetensors", request.target);
    let path = request.models.join(&name);
    let policy = OutputPolicy::new().input(&request.file).project_around(&request.file);
    policy.check(&Output::new(&path, request.replace))?;
    // An earlier import with this name is about to be replaced.
    if request.file.file_name().is_none_or(|file| file != name.as_str()) {
        Manifest::check_listed(&request.models, &request.file)?;
    }
    let (tensors, notes) = if is_backbone {
        refuse_detector_options(request)?;
        let backbone = read_backbone(&request.file, &request.target)?;
        write_safetensors(&path, &backbone.arrays, Some((FLAVOUR_KEY, backbone.flavour)))?;
        (backbone.arrays.len(), backbone.notes)
    } else {
        import_detector(request, &path)?
    };
    let written = written(path, tensors, notes)?;
    Manifest::record(&request.models, &entry_of(request, &written))?;
    Ok(written)
}

/// Advice about the content of a file would mislead where there is none.
fn check_exists(path: &Path) -> Result<(), WeightsTaskError> {
    if path.exists() { Ok(()) } else { Err(WeightsTaskError::NoFile(path.to_path_buf())) }
}

fn refuse_detector_options(request: &ImportRequest) -> Result<(), WeightsTaskError> {
    let options = [("classes", request.classes.is_some()), ("eps", request.eps.is_some())];
    options.into_iter().find(|(_, given)| *given).map_or(Ok(()), |(option, _)| {
        Err(WeightsTaskError::NotForBackbones { option, backbone: request.target.clone() })
    })
}

/// Returns the file from which a detector loads `backbone`: `path` itself if it is a converted file, otherwise its conversion next to it
/// (or among the temporary files, if that folder is not writable).
pub fn converted_backbone(path: &Path, backbone: &str) -> Result<PathBuf, WeightsTaskError> {
    if path.extension().is_some_and(|e| e == "safetensors") {
        return Ok(path.to_path_buf());
    }
    let imported = read_backbone(path, backbone)?;
    let flavour = Some((FLAVOUR_KEY, imported.flavour));
    let name = format!("{backbone}.safetensors");
    let converted = path.with_file_name(&name);
    if write_safetensors(&converted, &imported.arrays, flavour).is_ok() {
        return Ok(converted);
    }
    let temporary = std::env::temp_dir().join(format!("quarry-{}-{name}", std::process::id()));
    write_safetensors(&temporary, &imported.arrays, flavour)?;
    Ok(temporary)
}

/// Resolves a checkpoint: a file is itself, a round's folder its last checkpoint, and a checkpoint's folder the model in it.
pub fn checkpoint_file(path: &Path) -> Result<PathBuf, WeightsTaskError> {
    if !path.is_dir() {
        return Ok(path.to_path_buf());
    }
    let inside = Some(path.join("model.safetensors")).filter(|file| file.is_file());
    inside.or_else(|| last_model(path)).ok_or_else(|| WeightsTaskError::NoCheckpoint(path.to_path_buf()))
}

#[cfg(not(feature = "torch"))]
fn last_model(_: &Path) -> Option<PathBuf> {
    None
}

/// Writes the checkpoint `file` (or the last one in a round's folder) as a state dict that torchvision's `fasterrcnn_resnet50_fpn` loads
/// with `strict=True`. The settings stay in its metadata, so that [`import`] recreates the same detector.
pub fn export(file: &Path, to: impl Into<Output>) -> Result<WrittenWeights, WeightsTaskError> {
    check_exists(file)?;
    let to = to.into();
    OutputPolicy::new().input(file).project_around(file).check(&to)?;
    let (file, to) = (&checkpoint_file(file)?, to.path.as_path());
    verify_file(file)?;
    let (ours, arrays): (Vec<NamedArray>, Vec<NamedArray>) =
        read(file)?.arrays.into_iter().partition(|a| !TORCHVISION_PARTS.iter().any(|part| a.name.starts_with(part)));
    if arrays.is_empty() {
        let why = "it has no tensor of a detector: name a checkpoint of a round".to_owned();
        return Err(WeightError::Malformed { path: file.clone(), format: "a checkpoint", why }.into());
    }
    check_finite(file, &arrays)?;
    let mut notes = Vec::new();
    if let Some(first) = ours.first() {
        notes.push(format!(
            "left out {} that torchvision does not have; the first is `{}`",
            counted(ours.len(), "tensor"),
            first.name
        ));
    }
    let config = checkpoint_config(file).map(|config| DetectorConfig { ellipse_head: false, ..config });
    notes.extend(peer_notes(config.as_ref()));
    let json = config.map(|config| serde_json::to_string(&config)).transpose();
    let json = json.map_err(|e| DetectorError::file(to, e, "report this"))?;
    write_safetensors(to, &arrays, json.as_deref().map(|json| (CONFIG_KEY, json)))?;
    written(to.to_path_buf(), arrays.len(), notes)
}

/// Returns the settings in a checkpoint; `None` if this version cannot read any.
fn checkpoint_config(file: &Path) -> Option<DetectorConfig> {
    serde_json::from_str(metadata(file).ok()?.get(CONFIG_KEY)?).ok()
}

/// Returns the options that torchvision's model needs to compute the same as the checkpoint.
fn peer_notes(config: Option<&DetectorConfig>) -> Vec<String> {
    let Some(config) = config else {
        return vec![
            "load it into a model with FrozenBatchNorm2d; with eps 0 (COCO_V1) call overwrite_eps(model, 0.0)"
                .to_owned(),
        ];
    };
    if config.architecture != Architecture::ResNet50Fpn {
        return vec![format!(
            "the names are torchvision's, but its fasterrcnn_resnet50_fpn does not load {}: only resnet50-fpn has its shapes",
            config.architecture
        )];
    }
    let Anchors { sizes, ratios } = &config.anchors;
    vec![
        format!(
            "load it into a model with {} classes and FrozenBatchNorm2d of eps {:e}",
            config.num_classes, config.batch_norm_eps
        ),
        format!("its anchors: AnchorGenerator({sizes:?}, [{ratios:?}] * {})", sizes.len()),
    ]
}

/// Returns every file of the manifest in `models`, and whether it is present and unchanged.
pub fn list(models: &Path) -> Result<Vec<ListedWeights>, WeightsTaskError> {
    let entries = Manifest::of(models)?.weights.into_iter();
    let listed = entries.map(|entry| Ok(ListedWeights { state: Manifest::state(models, &entry)?, entry }));
    listed.collect()
}

/// Returns the weights folder: `$QUARRY_MODELS`, else `models` in the working directory if it exists, else in the source tree, else in the
/// user's data folder.
pub fn models_folder() -> PathBuf {
    let here = PathBuf::from("models");
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let installed = data_folder().map(|dir| dir.join("models"));
    let places = [Some(here.clone()), Some(built), installed];
    let found = places.into_iter().flatten().find(|place| place.is_dir()).unwrap_or(here);
    std::env::var_os("QUARRY_MODELS").map_or(found, PathBuf::from)
}

fn written(file: PathBuf, tensors: usize, notes: Vec<String>) -> Result<WrittenWeights, WeightsTaskError> {
    let bytes = read_weights(&file).map_err(|error| WeightError::io(&file, error.into()))?;
    Ok(WrittenWeights { sha256: sha256_hex(&bytes), file, tensors, notes })
}

fn entry_of(request: &ImportRequest, written: &WrittenWeights) -> ManifestEntry {
    let name_of = |path: &Path| path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let source = if request.source.is_empty() { name_of(&request.file) } else { request.source.clone() };
    let licence = if request.licence.is_empty() { "not stated".to_owned() } else { request.licence.clone() };
    ManifestEntry {
        name: request.target.clone(),
        file: name_of(&written.file),
        source,
        licence,
        sha256: written.sha256.clone(),
    }
}

/// Converts a state dict of torchvision's whole detector to a checkpoint of Quarry. Heads for another number of classes or anchors are
/// replaced by new ones.
#[cfg(feature = "torch")]
fn import_detector(request: &ImportRequest, path: &Path) -> Result<(usize, Vec<String>), WeightsTaskError> {
    use crate::detector::Detector;
    use crate::detector::weights::{drop_foreign_heads, torchvision_names};

    let file = read(&request.file)?;
    let (config, note) = import_config(request, file.format)?;
    let adapted = torchvision_names(file.arrays);
    check_finite(&request.file, &adapted.arrays)?;
    let mut notes = file.notes;
    notes.push(note);
    notes.extend(adapted.notes);
    let rows = |a: &NamedArray| a.shape.first().map(|&rows| rows as i64);
    let predictor = adapted.arrays.iter().find(|a| a.name == "roi_heads.box_predictor.cls_score.weight");
    let num_classes = request.classes.or_else(|| predictor.and_then(rows)).unwrap_or(config.num_classes);
    let config = DetectorConfig { num_classes, ..config };
    config.validate()?;
    let per_cell = config.anchors.sizes.first().map_or(0, Vec::len) * config.anchors.ratios.len();
    let adapted = drop_foreign_heads(adapted.arrays, config.num_classes as usize, per_cell);
    notes.extend(adapted.notes);
    let made = Detector::from_arrays(&config, &adapted.arrays, &adapted.dropped);
    let (detector, randomly_initialised) = made.map_err(DetectorError::in_file(&request.file))?;
    if !adapted.dropped.is_empty() {
        notes
            .push(format!("{} from random values", counted_as(randomly_initialised, "tensor starts", "tensors start")));
    }
    std::fs::create_dir_all(&request.models).map_err(|source| WeightError::io(&request.models, source))?;
    detector.save(path)?;
    Ok((detector.state().len(), notes))
}

/// Returns the settings of the detector to create, and a message on their source: the file itself, if Quarry exported it, otherwise the
/// target's preset with torchvision's eps.
#[cfg(feature = "torch")]
fn import_config(request: &ImportRequest, format: Format) -> Result<(DetectorConfig, String), WeightsTaskError> {
    let inside = if format == Format::Safetensors { metadata(&request.file)?.remove(CONFIG_KEY) } else { None };
    let (mut config, from) = if let Some(json) = inside {
        let advice = "use the Quarry that wrote it";
        let config: DetectorConfig =
            serde_json::from_str(&json).map_err(|e| DetectorError::file(&request.file, e, advice))?;
        if config.architecture.as_str() != request.target {
            let (expected, found) = (request.target.clone(), config.architecture.to_string());
            let error = DetectorError::WrongArchitecture { expected, found };
            return Err(DetectorError::in_file(&request.file)(error).into());
        }
        (config, "the settings inside the file were taken over")
    } else if request.target == Architecture::ResNet50Fpn.as_str() {
        (DetectorConfig::torchvision_coco(), "settings of torchvision's COCO_V1 weights")
    } else {
        (DetectorConfig::preset(&request.target)?, "settings of the preset")
    };
    config.ellipse_head = false;
    config.batch_norm_eps = request.eps.unwrap_or(config.batch_norm_eps);
    let note = format!("{from}, batch norm eps {:e}", config.batch_norm_eps);
    Ok((config, note))
}

#[cfg(not(feature = "torch"))]
fn import_detector(_: &ImportRequest, _: &Path) -> Result<(usize, Vec<String>), WeightsTaskError> {
    Err(WeightsTaskError::NeedsTorch)
}
