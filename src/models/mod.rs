//! Runs third-party detectors: an ONNX or TorchScript file with its `model.toml` -> detections on decoded images.
//!
//! Pipeline: `input` resizes and normalises an image, a `Runtime` runs the network, `layout` decodes its output to boxes, which are mapped
//! back to image pixels here.

mod description;
mod error;
mod input;
mod layout;
#[cfg(feature = "onnx")]
mod onnx;
mod resize;
#[cfg(feature = "torch")]
mod torch_script;

use std::path::{Path, PathBuf};

use image::RgbImage;

pub use self::description::{
    Activation, Anchor, BoxForm, Colour, InputSettings, Layout, ModelDescription, OutputSettings, Resize,
};
pub use self::error::ModelError;
pub use self::input::Prepared;
pub use self::layout::{Array, Found, Outputs};
use crate::geometry::BoundingBox;

/// Runs a network. Arrays are plain numbers, so that runtime types do not leak.
trait Runtime: std::fmt::Debug {
    /// Takes `[B, 3, H, W]` and returns the named outputs. `sizes` are the original `(width, height)`, for networks that have such an
    /// input.
    fn run(&mut self, input: &Array, sizes: &[(u32, u32)]) -> Result<Outputs, ModelError>;
    /// Returns class names and input size from the file.
    fn facts(&self) -> FileFacts;
}

/// Metadata of a model file.
#[derive(Debug, Clone, Default, PartialEq)]
struct FileFacts {
    /// Names in the order of the network's class numbers.
    classes: Vec<String>,
    /// `(width, height)` if fixed.
    size: Option<(u32, u32)>,
    /// Batch size if fixed.
    batch: Option<usize>,
}

/// The format of a model file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelFormat {
    Onnx,
    TorchScript,
}

impl ModelFormat {
    /// By file extension; `None` for a Quarry checkpoint or anything else.
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "onnx" => Some(Self::Onnx),
            "torchscript" | "pt" | "ts" => Some(Self::TorchScript),
            _ => None,
        }
    }
}

/// A third-party model's detection in image pixels, best first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModelDetection {
    /// Index of the class in [`Model::classes`], from 0.
    pub class: usize,
    pub bbox: BoundingBox,
    pub score: f32,
}

/// A model that is ready to run.
#[derive(Debug)]
pub struct Model {
    path: PathBuf,
    description: ModelDescription,
    classes: Vec<String>,
    /// Neither the file nor its description names the classes: numbers are used as names, up to the largest one seen.
    is_unnamed: bool,
    size: (u32, u32),
    /// Maximum batch size; a network with a fixed batch size always gets exactly this many.
    batch: usize,
    is_batch_fixed: bool,
    layout: Option<Layout>,
    runtime: Box<dyn Runtime>,
}

/// Batch size for a network that accepts any.
const BATCH: usize = 8;
/// Input side length if neither the file nor `model.toml` gives one.
const USUAL_SIDE: u32 = 640;

impl Model {
    /// Loads the model and its description: `NAME.toml` or `model.toml` next to the file, or the file's own metadata.
    ///
    /// # Errors
    ///
    /// The file or its description cannot be read; the runtime is missing or rejects the model; the classes have no names.
    pub fn load(path: &Path, device: &str, threads: usize) -> Result<Self, ModelError> {
        let format = ModelFormat::of(path).ok_or_else(|| {
            ModelError::file(
                path,
                "unknown model format: the name must end in .onnx, .torchscript, .ts or .pt",
                "rename it to match its format",
            )
        })?;
        let description = ModelDescription::of_model(path)?;
        let runtime = load_runtime(path, format, device, threads)?;
        Self::new(path, description, runtime)
    }

    fn new(path: &Path, description: ModelDescription, runtime: Box<dyn Runtime>) -> Result<Self, ModelError> {
        let facts = runtime.facts();
        let classes = if description.classes.is_empty() { facts.classes } else { description.classes.clone() };
        let size = description.input.size.map(|[width, height]| (width, height)).or(facts.size);
        let is_batch_fixed = facts.batch.is_some();
        let size = size.unwrap_or((USUAL_SIDE, USUAL_SIDE));
        let fitting = || (1..=BATCH).rfind(|batch| description::check_input(size, *batch).is_ok()).unwrap_or(1);
        let batch = facts.batch.or(description.input.batch).unwrap_or_else(fitting).max(1);
        description::check_input(size, batch)
            .map_err(|problem| ModelError::file(path, problem, "set size and batch under [input] of its model.toml"))?;
        Ok(Self {
            path: path.to_path_buf(),
            layout: description.layout,
            size,
            batch,
            is_batch_fixed,
            description,
            is_unnamed: classes.is_empty(),
            classes,
            runtime,
        })
    }

    /// Returns names in the order of [`ModelDetection::class`]; empty until the first image if their number is only known from the output's
    /// shape.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Describes how images are fed to the network; stored with the round.
    pub fn input_text(&self) -> String {
        self.description.input.text(self.size)
    }

    /// Formats all `model.toml` settings, including defaults, on one line.
    pub fn settings_text(&self) -> String {
        format!("{:?} {:?} {:?}", self.description, self.size, self.classes)
    }

    /// Returns the preferred batch size.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Returns a function that prepares images for [`Model::detect`] on any thread.
    pub fn preparer(&self) -> impl Fn(&RgbImage) -> Result<Prepared, ModelError> + Send + Sync + use<> {
        let (settings, size) = (self.description.input.clone(), self.size);
        move |image| input::prepare(image, &settings, size)
    }

    /// Detects objects on each of `images`, best first.
    ///
    /// # Errors
    ///
    /// The runtime fails; the outputs match no known layout, or several.
    pub fn detect(&mut self, images: &[&Prepared]) -> Result<Vec<Vec<ModelDetection>>, ModelError> {
        let mut all = Vec::with_capacity(images.len());
        for part in images.chunks(self.batch) {
            all.extend(self.detect_batch(part)?);
        }
        Ok(all)
    }

    fn detect_batch(&mut self, images: &[&Prepared]) -> Result<Vec<Vec<ModelDetection>>, ModelError> {
        let rows = if self.is_batch_fixed { self.batch } else { images.len() };
        let batch = input::batch(images, rows);
        let sizes: Vec<(u32, u32)> = images.iter().map(|image| image.of_image).collect();
        let outputs = self.runtime.run(&batch, &sizes)?;
        let layout = if let Some(layout) = self.layout {
            layout
        } else {
            let named = self.classes.len();
            layout::recognise(&outputs, named, rows).map_err(|problem| self.unfit(&problem))?
        };
        self.layout = Some(layout);
        let settings = &self.description.output;
        let named = self.classes.len();
        let found =
            layout::read(&outputs, layout, settings, self.size, named, rows).map_err(|problem| self.unfit(&problem))?;
        self.take_classes(&found)?;
        let settings = &self.description.output;
        let of_images = found.of_images.into_iter().zip(images);
        Ok(of_images.map(|(found, prepared)| in_image(found, prepared, settings)).collect())
    }

    /// Numbers the classes if the model names none, and refuses a class without a name.
    fn take_classes(&mut self, found: &Found) -> Result<(), ModelError> {
        if self.classes.is_empty() && found.classes > 0 {
            self.classes = (0..found.classes).map(|class| format!("class {class}")).collect();
        }
        let highest = found.of_images.iter().flatten().map(|detection| detection.class).max();
        match highest {
            Some(highest) if self.is_unnamed && highest >= self.classes.len() => {
                self.classes = (0..=highest).map(|class| format!("class {class}")).collect();
                Ok(())
            }
            Some(highest) if highest >= self.classes.len() => Err(self.unfit(&format!(
                "it returns class number {highest}, but only {} classes are named ({})",
                self.classes.len(),
                self.classes.iter().take(10).cloned().collect::<Vec<_>>().join(", ")
            ))),
            _ => Ok(()),
        }
    }

    fn unfit(&self, problem: &str) -> ModelError {
        ModelError::Layout { path: self.path.clone(), problem: problem.to_owned() }
    }
}

/// Maps detections back to image pixels, clips them to the image and drops empty ones.
fn in_image(found: Vec<layout::Raw>, prepared: &Prepared, settings: &OutputSettings) -> Vec<ModelDetection> {
    let back = prepared.fit.inverse();
    let (width, height) = (f64::from(prepared.of_image.0), f64::from(prepared.of_image.1));
    let placed = found.into_iter().map(|raw| {
        let bbox = back.bounding_box(&raw.bbox).clipped(width, height);
        ModelDetection { class: raw.class, bbox, score: raw.score }
    });
    let mut placed: Vec<ModelDetection> = placed.filter(|d| d.bbox.is_finite() && d.bbox.area() > 0.0).collect();
    placed.sort_by(|a, b| b.score.total_cmp(&a.score));
    placed.truncate(settings.max_detections);
    placed
}

fn load_runtime(
    path: &Path,
    format: ModelFormat,
    device: &str,
    threads: usize,
) -> Result<Box<dyn Runtime>, ModelError> {
    match format {
        #[cfg(feature = "onnx")]
        ModelFormat::Onnx => Ok(Box::new(onnx::Onnx::load(path, device, threads)?)),
        #[cfg(feature = "torch")]
        ModelFormat::TorchScript => Ok(Box::new(torch_script::TorchScript::load(path, device)?)),
        #[allow(unreachable_patterns, reason = "every format has its runtime in a build with all features")]
        _ => {
            let _ = (device, threads);
            Err(ModelError::file(
                path,
                "this build of Quarry was made without the runtime for it",
                "build it with --features onnx,torch",
            ))
        }
    }
}

/// Parses class names in a model's metadata: a Python or JSON dictionary from number to name, a list, or one name per line.
#[cfg_attr(not(feature = "onnx"), allow(dead_code, reason = "only ONNX files have metadata"))]
fn names_in(text: &str) -> Vec<String> {
    let text = text.trim();
    if !text.starts_with(['{', '[']) {
        return text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    }
    let mut quoted = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(['\'', '"']) {
        let quote = rest.as_bytes().get(start).copied();
        let inner = rest.get(start + 1..).unwrap_or("");
        let Some(end) = inner.bytes().position(|byte| Some(byte) == quote) else { break };
        quoted.push((rest.get(..start).unwrap_or("").to_owned(), inner.get(..end).unwrap_or("").to_owned()));
        rest = inner.get(end + 1..).unwrap_or("");
    }
    // `{0: 'a', 1: 'b'}` has its numbers outside the quotes; in `{"0": "a"}` they are strings like the others.
    let is_json = text.starts_with('{')
        && quoted.len() % 2 == 0
        && quoted.iter().step_by(2).all(|(_, key)| key.parse::<u32>().is_ok());
    if is_json && !quoted.is_empty() {
        let numbered =
            quoted.chunks_exact(2).filter_map(|pair| Some((pair[0].1.parse::<u32>().ok()?, pair[1].1.clone())));
        return in_order(numbered.collect());
    }
    let number = |before: &str| before.chars().filter(char::is_ascii_digit).collect::<String>().parse::<u32>();
    if text.starts_with('{') {
        return in_order(quoted.into_iter().filter_map(|(before, name)| Some((number(&before).ok()?, name))).collect());
    }
    quoted.into_iter().map(|(_, name)| name).collect()
}

/// Orders names by number; a missing name is filled in, so that the others keep their numbers. Empty if numbers are implausibly large.
fn in_order(mut numbered: Vec<(u32, String)>) -> Vec<String> {
    numbered.sort();
    let Some((highest, _)) = numbered.last() else { return Vec::new() };
    if *highest as usize >= 4 * numbered.len() + 100 {
        return Vec::new();
    }
    let mut names: Vec<String> = (0..=*highest).map(|number| format!("class {number}")).collect();
    for (number, name) in numbered {
        if let Some(place) = names.get_mut(number as usize) {
            *place = name;
        }
    }
    names
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod runtime_tests;
