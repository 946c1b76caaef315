//! Reading and writing safetensors.

use std::collections::HashMap;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use super::{DType, NamedArray, WeightError};
use crate::domain::write_whole;

/// Returns all tensors by name.
pub fn read(bytes: &[u8]) -> Result<Vec<NamedArray>, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| format!("{e}; the file is cut off or damaged"))?;
    let mut views = file.tensors();
    views.sort_by(|a, b| a.0.cmp(&b.0));
    views.into_iter().map(|(name, view)| array(name, &view)).collect()
}

/// Returns the text metadata of the safetensors file `path`; empty if there is none.
pub fn metadata(path: &Path) -> Result<HashMap<String, String>, WeightError> {
    let bytes = crate::domain::read_weights(path).map_err(|error| WeightError::io(path, error.into()))?;
    let malformed = |e| WeightError::Malformed { path: path.to_path_buf(), format: "safetensors", why: format!("{e}") };
    metadata_in(&bytes).map_err(malformed)
}

/// [`metadata`] for a file's bytes.
pub fn metadata_in(bytes: &[u8]) -> Result<HashMap<String, String>, safetensors::SafeTensorError> {
    Ok(SafeTensors::read_metadata(bytes)?.1.metadata().clone().unwrap_or_default())
}

/// Writes `arrays` as f32 with `metadata`, atomically. At most one metadata entry, so that the same input always gives the same bytes and
/// checksum.
pub fn write_safetensors(
    path: &Path,
    arrays: &[NamedArray],
    metadata: Option<(&str, &str)>,
) -> Result<(), WeightError> {
    let mut views = Vec::with_capacity(arrays.len());
    for array in arrays {
        let view = TensorView::new(Dtype::F32, array.shape.clone(), bytemuck::cast_slice(&array.data));
        views.push((array.name.as_str(), view.map_err(|e| unwritable(path, &e))?));
    }
    let metadata = metadata.map(|(key, value)| HashMap::from([(key.to_owned(), value.to_owned())]));
    let bytes = safetensors::serialize(views, metadata).map_err(|e| unwritable(path, &e))?;
    let io = |source| WeightError::io(path, source);
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(io)?;
    write_whole(path, &bytes).map_err(io)
}

fn unwritable(path: &Path, error: &safetensors::SafeTensorError) -> WeightError {
    WeightError::Malformed {
        path: path.to_path_buf(),
        format: "safetensors",
        why: format!("cannot be written: {error}"),
    }
}

fn array(name: String, view: &TensorView) -> Result<NamedArray, String> {
    let dtype = match view.dtype() {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::I16 => DType::I16,
        Dtype::I8 => DType::I8,
        Dtype::U8 => DType::U8,
        Dtype::BOOL => DType::Bool,
        other => return Err(format!("tensor `{name}` is stored as {other:?}, which is not read; save it as f32")),
    };
    Ok(NamedArray { name, shape: view.shape().to_vec(), dtype, data: dtype.floats(view.data()) })
}
