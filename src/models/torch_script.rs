//! Runs TorchScript files with libtorch. A module that needs operators of other libraries (torchvision's NMS) is refused by libtorch, whose
//! error names them.
//! names them.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::path::{Path, PathBuf};

use tch::{CModule, Device, IValue, Kind, Tensor};

use super::{Array, FileFacts, ModelError, Outputs, Runtime};
use crate::detector::choose_device;

#[derive(Debug)]
pub(super) struct TorchScript {
    module: CModule,
    path: PathBuf,
    device: Device,
}

/// Name for the outputs of a module that returns a tuple: TorchScript has none.
const NAMELESS: &str = "output";

impl TorchScript {
    pub(super) fn load(path: &Path, device: &str) -> Result<Self, ModelError> {
        let device = choose_device(device).map_err(|error| ModelError::Runtime(error.to_string()))?;
        crate::domain::open_weights(path)
            .map_err(|error| ModelError::file(path, std::io::Error::from(error), "check the path"))?;
        let advice = "give a module that was made with torch.jit.script or torch.jit.trace and needs torch alone; export others as ONNX";
        let mut module = CModule::load_on_device(path, device)
            .map_err(|error| ModelError::file(path, libtorch_message(&error), advice))?;
        module.f_set_eval().map_err(|error| ModelError::file(path, libtorch_message(&error), advice))?;
        Ok(Self { module, path: path.to_path_buf(), device })
    }
}

impl Runtime for TorchScript {
    fn run(&mut self, input: &Array, _sizes: &[(u32, u32)]) -> Result<Outputs, ModelError> {
        let failed = |error: tch::TchError| {
            ModelError::file(
                &self.path,
                format!("it failed on an image: {}", libtorch_message(&error)),
                "check size and batch in its model.toml",
            )
        };
        let _guard = tch::no_grad_guard();
        let shape: Vec<i64> = input.shape.iter().map(|side| *side as i64).collect();
        let batch = Tensor::f_from_slice(&input.values).and_then(|values| values.f_reshape(shape));
        let batch = batch.and_then(|batch| batch.f_to_device(self.device)).map_err(failed)?;
        let output = self.module.forward_is(&[IValue::Tensor(batch)]).map_err(failed)?;
        let mut found = Vec::new();
        collect(&output, NAMELESS, &mut found).map_err(failed)?;
        Ok(found)
    }

    fn facts(&self) -> FileFacts {
        FileFacts::default()
    }
}

/// Collects all tensors of a value with their keys or indices.
fn collect(value: &IValue, name: &str, found: &mut Outputs) -> Result<(), tch::TchError> {
    match value {
        IValue::Tensor(tensor) => {
            let shape = tensor.size().iter().map(|side| *side as usize).collect();
            let flat = tensor.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?.f_reshape([-1])?;
            let values = Vec::<f32>::try_from(&flat)?;
            found.push((name.to_owned(), Array { shape, values }));
        }
        IValue::Tuple(parts) | IValue::GenericList(parts) => {
            for (number, part) in parts.iter().enumerate() {
                collect(part, &format!("{name}{number}"), found)?;
            }
        }
        IValue::TensorList(parts) => {
            for (number, part) in parts.iter().enumerate() {
                collect(&IValue::Tensor(part.shallow_clone()), &format!("{name}{number}"), found)?;
            }
        }
        IValue::GenericDict(pairs) => {
            for (key, part) in pairs {
                let key = if let IValue::String(key) = key { key.as_str() } else { name };
                collect(part, key, found)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Returns libtorch's message without its C++ frames.
fn libtorch_message(error: &tch::TchError) -> String {
    crate::detector::libtorch_message(&error.to_string())
}
