//! Runs ONNX files with ONNX Runtime's shared library, which is loaded when the first model needs it.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ort::environment::Environment;
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, Tensor, TensorElementType, ValueType};

use super::{Array, FileFacts, ModelError, Outputs, Runtime};
use crate::domain::data_folder;

/// Environment variable with the path of a custom library.
const LIBRARY_VARIABLE: &str = "QUARRY_ONNXRUNTIME";
const LIBRARY: &str = "libonnxruntime.so";

pub(super) struct Onnx {
    session: Session,
    path: PathBuf,
    inputs: Vec<Input>,
    facts: FileFacts,
}

struct Input {
    name: String,
    ty: TensorElementType,
    shape: Vec<i64>,
}

impl std::fmt::Debug for Onnx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Onnx").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Onnx {
    pub(super) fn load(path: &Path, device: &str, threads: usize) -> Result<Self, ModelError> {
        if !matches!(device, "auto" | "cpu") {
            let what = format!("ONNX models run on the CPU only, and the device is {device}");
            return Err(ModelError::file(path, what, "choose --device cpu, or export the model as TorchScript"));
        }
        let environment = environment()?;
        let advice = "check that it is a whole ONNX file; an opset that is too new needs a newer ONNX Runtime, or an export with an older `opset`";
        let refused = |error: &dyn std::fmt::Display| ModelError::file(path, first_line(&error.to_string()), advice);
        // Opened here first, so that a FIFO, a folder or a missing file gets Quarry's own error message.
        crate::domain::open_weights(path)
            .map_err(|error| ModelError::file(path, std::io::Error::from(error), "check the path"))?;
        let builder = Session::builder(environment).map_err(|e| refused(&e))?;
        let mut builder = builder.with_intra_threads(threads.max(1)).map_err(|e| refused(&e))?;
        let session = builder.commit_from_file(path).map_err(|e| refused(&e))?;
        let inputs = session.inputs().iter().map(|outlet| match outlet.dtype() {
            ValueType::Tensor { ty, shape, .. } => {
                Ok(Input { name: outlet.name().to_owned(), ty: *ty, shape: shape.iter().copied().collect() })
            }
            other => Err(ModelError::file(
                path,
                format!("its input {} is not a tensor but {other}", outlet.name()),
                "export a detector",
            )),
        });
        let inputs: Vec<Input> = inputs.collect::<Result<_, _>>()?;
        let facts = facts_of(&session, &inputs);
        Ok(Self { session, path: path.to_path_buf(), inputs, facts })
    }

    /// Returns the tensor for an input: the images, or their sizes if a network has a second input for them.
    fn value(
        &self,
        input: &Input,
        images: &Array,
        sizes: &[(u32, u32)],
    ) -> Result<SessionInputValue<'static>, ModelError> {
        let unfit =
            |what: String| ModelError::file(&self.path, what, "export the detector with images as its only input");
        if input.shape.len() == 2 && input.name.contains("size") && input.ty == TensorElementType::Int64 {
            let rows =
                sizes.iter().flat_map(|(width, height)| [i64::from(*height), i64::from(*width)]).collect::<Vec<_>>();
            return Ok(self.made(Tensor::from_array((vec![sizes.len() as i64, 2], rows)))?.into());
        }
        let mut shape: Vec<i64> = images.shape.iter().map(|side| *side as i64).collect();
        match input.shape.len() {
            4 => {}
            // One image without a batch axis, as torchvision's detectors expect it.
            3 if shape.first() == Some(&1) => drop(shape.remove(0)),
            3 => {
                return Err(unfit(
                    "it takes one image at a time; set `batch = 1` under [input] of its model.toml".to_owned(),
                ));
            }
            _ => {
                return Err(unfit(format!(
                    "its input {} has the shape {:?}, and images are [B, 3, H, W]",
                    input.name, input.shape
                )));
            }
        }
        match input.ty {
            TensorElementType::Float32 => Ok(self.made(Tensor::from_array((shape, images.values.clone())))?.into()),
            TensorElementType::Float16 => {
                let values: Vec<half::f16> = images.values.iter().map(|value| half::f16::from_f32(*value)).collect();
                Ok(self.made(Tensor::from_array((shape, values)))?.into())
            }
            other => {
                Err(unfit(format!("its input {} takes {other:?}, and Quarry gives float32 or float16", input.name)))
            }
        }
    }

    fn made<T>(&self, made: ort::Result<T>) -> Result<T, ModelError> {
        made.map_err(|error| {
            ModelError::file(&self.path, first_line(&error.to_string()), "report this with the model's input shape")
        })
    }
}

impl Runtime for Onnx {
    fn run(&mut self, input: &Array, sizes: &[(u32, u32)]) -> Result<Outputs, ModelError> {
        let mut values = Vec::with_capacity(self.inputs.len());
        for wanted in &self.inputs {
            values.push((wanted.name.clone(), self.value(wanted, input, sizes)?));
        }
        let path = self.path.clone();
        let failed = |error: ort::Error| {
            ModelError::file(
                &path,
                format!("it failed on an image: {}", first_line(&error.to_string())),
                "check size and batch in its model.toml",
            )
        };
        let outputs = self.session.run(values).map_err(failed)?;
        let mut found = Vec::with_capacity(outputs.len());
        for (name, value) in &outputs {
            if let Some(array) = numbers(&value) {
                found.push((name.to_owned(), array));
            }
        }
        Ok(found)
    }

    fn facts(&self) -> FileFacts {
        self.facts.clone()
    }
}

/// Converts a tensor's numbers to f32; `None` if it is not numeric.
fn numbers(value: &DynValue) -> Option<Array> {
    let shaped = |shape: &[i64], values: Vec<f32>| Array {
        shape: shape.iter().map(|side| (*side).max(0) as usize).collect(),
        values,
    };
    if let Ok((shape, values)) = value.try_extract_tensor::<f32>() {
        return Some(shaped(shape, values.to_vec()));
    }
    if let Ok((shape, values)) = value.try_extract_tensor::<i64>() {
        return Some(shaped(shape, values.iter().map(|value| *value as f32).collect()));
    }
    if let Ok((shape, values)) = value.try_extract_tensor::<i32>() {
        return Some(shaped(shape, values.iter().map(|value| *value as f32).collect()));
    }
    let (shape, values) = value.try_extract_tensor::<half::f16>().ok()?;
    Some(shaped(shape, values.iter().map(|value| value.to_f32()).collect()))
}

fn facts_of(session: &Session, inputs: &[Input]) -> FileFacts {
    let metadata = session.metadata().ok();
    let custom = |key: &str| metadata.as_ref().and_then(|metadata| metadata.custom(key));
    let classes = custom("names").map(|text| super::names_in(&text)).unwrap_or_default();
    let fixed = |side: Option<&i64>| side.and_then(|side| u32::try_from(*side).ok()).filter(|side| *side > 0);
    let images = inputs.iter().find(|input| input.shape.len() >= 3);
    let (mut size, mut batch) = (None, None);
    if let Some(Input { shape, .. }) = images {
        let mut sides = shape.iter().rev();
        let (width, height) = (fixed(sides.next()), fixed(sides.next()));
        size = width.zip(height);
        batch = match shape.len() {
            4 => fixed(shape.first()).map(|rows| rows as usize),
            _ => Some(1),
        };
    }
    // Ultralytics stores `[height, width]` for a network that accepts any size.
    let size = size.or_else(|| {
        let text = custom("imgsz")?;
        let sides: Vec<u32> = text
            .split(|c: char| !c.is_ascii_digit())
            .filter(|part| !part.is_empty())
            .filter_map(|part| part.parse().ok())
            .collect();
        match sides.as_slice() {
            [height, width] => Some((*width, *height)),
            [side] => Some((*side, *side)),
            _ => None,
        }
    });
    FileFacts { classes, size, batch }
}

/// Returns the process-wide ONNX Runtime environment.
fn environment() -> Result<&'static Environment, ModelError> {
    static ENVIRONMENT: OnceLock<Result<Environment, String>> = OnceLock::new();
    let made = ENVIRONMENT.get_or_init(|| {
        let advice = format!(
            "Run `quarry setup` (in a checkout `make setup`), or set {LIBRARY_VARIABLE} to the {LIBRARY} of ONNX Runtime 1.18 or newer (PyPI's onnxruntime \
             wheel has it under onnxruntime/capi)."
        );
        let Some(library) = library() else {
            return Err(format!("ONNX Runtime is not installed: no {LIBRARY} was found. {advice}"));
        };
        let builder = ort::init_from(&library)
            .map_err(|error| format!("ONNX Runtime could not be loaded from {}: {error}. {advice}", library.display()))?;
        builder.with_telemetry(false).build().map_err(|error| format!("ONNX Runtime could not be started: {error}. {advice}"))
    });
    made.as_ref().map_err(|problem| ModelError::Runtime(problem.clone()))
}

/// Finds the user's own library, one next to the program, or the one from `make setup` or `quarry setup`.
pub(super) fn library() -> Option<PathBuf> {
    if let Some(own) = std::env::var_os(LIBRARY_VARIABLE) {
        return Some(PathBuf::from(own));
    }
    let next_to_program = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.join(LIBRARY)));
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join(".onnxruntime").join(LIBRARY);
    let installed = data_folder().map(|dir| dir.join("onnxruntime").join(LIBRARY));
    next_to_program.into_iter().chain([checkout]).chain(installed).find(|path| path.exists())
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or(text).trim().to_owned()
}
