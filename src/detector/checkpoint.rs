//! Checkpoints: safetensors with the detector's settings in their metadata, written atomically.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use tch::{Device, Kind, Tensor};

use super::model::guarded;
use super::parameters::is_finite;
use super::weights::{self, FLAVOUR_KEY, Manifest};
use super::{Architecture, CONFIG_KEY, Detector, DetectorConfig, DetectorError, verify_bytes};
use crate::domain::{read_weights, write_whole};

impl Detector {
    /// Writes all tensors and the settings to a temporary file, syncs it to disk and renames it to `path`.
    pub fn save(&self, path: &Path) -> Result<(), DetectorError> {
        let state = self.state();
        if let Some((name, _)) = state.iter().find(|(_, tensor)| !is_finite(tensor)) {
            return Err(DetectorError::NotFinite { name: name.clone() });
        }
        let config = serde_json::to_string(self.config()).map_err(|e| DetectorError::file(path, e, "report this"))?;
        let bytes = guarded("reading the weights", || serialize(&state, config, path))?;
        let advice = "free some disk space or choose another folder";
        write_whole(path, &bytes).map_err(|e| DetectorError::file(path, e, advice))
    }

    /// Loads a checkpoint with its own settings.
    pub fn load(path: &Path, device: Device) -> Result<Self, DetectorError> {
        let (state, metadata) = read(path)?;
        let config = settings_in(path, &metadata)?;
        config.validate().map_err(|e| DetectorError::file(path, e, "use a checkpoint that Quarry wrote"))?;
        let held: u64 = state.values().map(|tensor| tensor.numel() as u64).sum();
        if config.fewest_parameters() > held {
            // Before the network is built: so far its size is only claimed by the file.
            let what = format!(
                "its settings describe a network of over {} weights, and it holds {held}",
                config.fewest_parameters()
            );
            return Err(DetectorError::file(path, what, "use a checkpoint that Quarry wrote"));
        }
        Self::from_state(&config, device, state).map_err(DetectorError::in_file(path))
    }

    /// Whether [`Detector::load_as`] would accept the checkpoint's architecture, reading only its header.
    pub fn check_architecture(path: &Path, expected: Architecture) -> Result<(), DetectorError> {
        let metadata = weights::metadata(path).map_err(|e| DetectorError::file(path, e, ADVICE))?;
        same_architecture(path, settings_in(path, &metadata)?.architecture, expected)
    }

    /// Returns a checkpoint's settings without its weights.
    pub fn config_of(path: &Path) -> Result<DetectorConfig, DetectorError> {
        let metadata = weights::metadata(path).map_err(|e| DetectorError::file(path, e, ADVICE))?;
        settings_in(path, &metadata)
    }

    /// Like [`Detector::load`], but refuses a checkpoint of another architecture.
    pub fn load_as(path: &Path, expected: &DetectorConfig, device: Device) -> Result<Self, DetectorError> {
        let detector = Self::load(path, device)?;
        same_architecture(path, detector.config().architecture, expected.architecture)?;
        Ok(detector)
    }

    /// Loads a checkpoint's weights with other settings of the same architecture. Flavour and batch norm eps belong to the weights and are
    /// taken from the checkpoint.
    pub fn load_with(path: &Path, settings: &DetectorConfig, device: Device) -> Result<Self, DetectorError> {
        let found = Self::load_as(path, settings, Device::Cpu)?;
        let (flavour, batch_norm_eps) = (found.config().flavour, found.config().batch_norm_eps);
        let config = DetectorConfig { flavour, batch_norm_eps, ..settings.clone() };
        let made = Self::from_state(&config, device, found.state().into_iter().collect());
        made.map_err(DetectorError::in_file(path))
    }

    /// Loads the backbone's weights from a classification network's file (torchvision's names, with or without `backbone.body.`): conv1 to
    /// conv5_x, or VGG16's convolutions with fc6 and fc7. The detector takes over the file's flavour. If the settings give fc6 and fc7
    /// other sizes than the file's, they keep their initial values. Returns a message on layers that keep theirs.
    pub fn load_backbone(&mut self, path: &Path) -> Result<Vec<String>, DetectorError> {
        let (tensors, metadata) = read(path)?;
        let mut config = self.config().clone();
        if let Some(word) = metadata.get(FLAVOUR_KEY) {
            config.flavour = serde_json::from_value(serde_json::Value::String(word.clone())).map_err(|_| {
                DetectorError::file(path, format!("unknown flavour {word}"), "import the weights again")
            })?;
        }
        let mut state: HashMap<String, Tensor> = self.state().into_iter().collect();
        let notes: Vec<String> = new_layers(&config, &tensors, &state).into_iter().collect();
        let head = notes.is_empty() && config.architecture == Architecture::Vgg16;
        let named = |name: &str| backbone_name(name).or_else(|| classifier_name(name).filter(|_| head));
        let mut wanted: Vec<&String> = state.keys().filter(|name| named(name).is_some()).collect();
        wanted.sort();
        let found: Vec<(String, Tensor)> = wanted
            .iter()
            .filter_map(|name| Some(((*name).clone(), find(&tensors, &named(name)?, state.get(*name)?)?)))
            .collect();
        let missing: Vec<String> =
            wanted.iter().filter(|n| !found.iter().any(|f| &f.0 == **n)).map(|n| (*n).clone()).collect();
        if let Some(first) = missing.first() {
            let architecture = format!("the backbone of {}", config.architecture);
            let error = DetectorError::MissingTensors { architecture, count: missing.len(), first: first.clone() };
            return Err(DetectorError::in_file(path)(error));
        }
        state.extend(found);
        *self = Self::from_state(&config, self.device(), state).map_err(DetectorError::in_file(path))?;
        Ok(notes)
    }
}

fn settings_in(path: &Path, metadata: &HashMap<String, String>) -> Result<DetectorConfig, DetectorError> {
    let json = metadata.get(CONFIG_KEY).ok_or_else(|| {
        let advice = "import weights of other programs with `quarry weights import`";
        DetectorError::file(path, "this is not a checkpoint of Quarry (no settings inside)", advice)
    })?;
    serde_json::from_str(json).map_err(|e| {
        DetectorError::file(path, format!("its settings cannot be read: {e}"), "use the Quarry that wrote it")
    })
}

fn same_architecture(path: &Path, found: Architecture, expected: Architecture) -> Result<(), DetectorError> {
    if found == expected {
        return Ok(());
    }
    let error = DetectorError::WrongArchitecture { expected: expected.to_string(), found: found.to_string() };
    Err(DetectorError::in_file(path)(error))
}

/// Returns a detector tensor's name in a classification network's state dict; `None` if only the detector has it.
fn backbone_name(name: &str) -> Option<String> {
    if let Some(rest) = name.strip_prefix("backbone.body.") {
        return Some(rest.to_owned());
    }
    if let Some(rest) = name.strip_prefix("backbone.features.") {
        return Some(format!("features.{rest}"));
    }
    let head = name.strip_prefix("roi_heads.box_head.")?;
    head.starts_with("layer4.").then(|| head.to_owned())
}

/// VGG16's two fully connected layers: the box head's fc6 and fc7 are the first two of torchvision's classifier.
const CLASSIFIER: [(&str, &str); 2] =
    [("roi_heads.box_head.fc6.", "classifier.0."), ("roi_heads.box_head.fc7.", "classifier.3.")];

fn classifier_name(name: &str) -> Option<String> {
    CLASSIFIER.iter().find_map(|(ours, theirs)| Some(format!("{theirs}{}", name.strip_prefix(ours)?)))
}

/// Returns the message if VGG16's fc6 and fc7 have other sizes than the detector's, which then keeps its initial ones.
fn new_layers(
    config: &DetectorConfig,
    theirs: &HashMap<String, Tensor>,
    ours: &HashMap<String, Tensor>,
) -> Option<String> {
    if config.architecture != Architecture::Vgg16 {
        return None;
    }
    CLASSIFIER.iter().find_map(|(prefix, classifier)| {
        let found = theirs.get(&format!("{classifier}weight"))?.size();
        let wanted = ours.get(&format!("{prefix}weight"))?.size();
        (found != wanted).then(|| {
            format!(
                "fc6 and fc7 are initialised randomly: `{classifier}weight` of the backbone is {found:?} and the settings require {wanted:?} \
                 (roi.hidden = 4096 and roi.resolution = 7 take VGG16's own)"
            )
        })
    })
}

/// Returns the tensor with this name, or its equivalent from a convolution with its own bias (folded batch norm).
fn find(tensors: &HashMap<String, Tensor>, name: &str, like: &Tensor) -> Option<Tensor> {
    let spelt = |name: &str| tensors.get(name).or_else(|| tensors.get(&format!("backbone.body.{name}")));
    if let Some(tensor) = spelt(name) {
        return Some(tensor.shallow_clone());
    }
    let (norm, part) = name.rsplit_once('.')?;
    let folded = spelt(&format!("{}.bias", convolution_of(norm)?))?;
    match part {
        "bias" => Some(folded.shallow_clone()),
        "weight" | "running_var" => Some(like.ones_like()),
        "running_mean" => Some(like.zeros_like()),
        _ => None,
    }
}

/// Returns the convolution before a batch norm: `layer1.0.bn2` -> `layer1.0.conv2`, `layer1.0.downsample.1` -> `.. .0`.
fn convolution_of(norm: &str) -> Option<String> {
    if let Some(shortcut) = norm.strip_suffix("downsample.1") {
        return Some(format!("{shortcut}downsample.0"));
    }
    let (before, after) = norm.rsplit_once("bn")?;
    Some(format!("{before}conv{after}"))
}

const ADVICE: &str = "give a safetensors file that is complete";

/// The tensors of a file on the CPU, and its metadata.
type Contents = (HashMap<String, Tensor>, HashMap<String, String>);

fn read(path: &Path) -> Result<Contents, DetectorError> {
    let bytes = read_weights(path).map_err(io::Error::from);
    let bytes = bytes.map_err(|e| DetectorError::file(path, e, "check the path"))?;
    Manifest::check(path, &bytes).map_err(|e| DetectorError::Weights(Box::new(e)))?;
    verify_bytes(path, &bytes)?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| DetectorError::file(path, e, ADVICE))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| DetectorError::file(path, e, ADVICE))?;
    let mut tensors = HashMap::new();
    for (name, view) in file.tensors() {
        let kind = kind(view.dtype()).ok_or_else(|| {
            DetectorError::file(path, format!("tensor {name} holds {:?}", view.dtype()), "save it as 32-bit floats")
        })?;
        let shape: Vec<i64> = view.shape().iter().map(|&s| s as i64).collect();
        let tensor = Tensor::f_from_data_size(view.data(), &shape, kind);
        tensors.insert(name, tensor.map_err(DetectorError::torch("reading a tensor"))?);
    }
    Ok((tensors, header.metadata().clone().unwrap_or_default()))
}

fn kind(dtype: Dtype) -> Option<Kind> {
    match dtype {
        Dtype::F32 => Some(Kind::Float),
        Dtype::F64 => Some(Kind::Double),
        Dtype::F16 => Some(Kind::Half),
        Dtype::BF16 => Some(Kind::BFloat16),
        Dtype::I64 => Some(Kind::Int64),
        _ => None,
    }
}

fn serialize(state: &[(String, Tensor)], config: String, path: &Path) -> Result<Vec<u8>, DetectorError> {
    let bytes: Vec<Vec<u8>> = state.iter().map(|(_, tensor)| bytes_of(tensor)).collect();
    let mut views = BTreeMap::new();
    for ((name, tensor), bytes) in state.iter().zip(&bytes) {
        let shape = tensor.size().iter().map(|&s| s as usize).collect();
        let view = TensorView::new(Dtype::F32, shape, bytes);
        views.insert(name.clone(), view.map_err(|e| DetectorError::file(path, e, "report this"))?);
    }
    let metadata = HashMap::from([(CONFIG_KEY.to_owned(), config)]);
    safetensors::serialize(views, Some(metadata)).map_err(|e| DetectorError::file(path, e, "report this"))
}

fn bytes_of(tensor: &Tensor) -> Vec<u8> {
    let tensor = tensor.detach().to_device(Device::Cpu).to_kind(Kind::Float).contiguous();
    let mut bytes = vec![0_u8; tensor.numel() * size_of::<f32>()];
    // Invariant: the buffer has the tensor's size, so the copy cannot fail.
    tensor.copy_data_u8(&mut bytes, tensor.numel());
    bytes
}
