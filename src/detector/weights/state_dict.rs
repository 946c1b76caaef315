//! Converts an unpickled value to named arrays: finds the state dict and copies its strided tensors.

use super::NamedArray;
use super::pickle::{Pickle, TensorRef, Value};

/// Keys of the weights in checkpoints that contain more.
const WRAPPERS: [&str; 4] = ["state_dict", "model_state_dict", "model", "net"];

/// Returns the state dict's tensors by name, in order, and a message on everything skipped.
pub fn tensors(pickle: &Pickle) -> Result<Split, String> {
    let top = pickle.top();
    let (found, others) = split(pickle, top);
    if !found.is_empty() {
        return Ok((found, left_out(&others).into_iter().collect()));
    }
    for key in WRAPPERS {
        let Some(inner) = pickle.entry(top, key) else { continue };
        let (found, inner_others) = split(pickle, inner);
        if !found.is_empty() {
            let mut notes = vec![format!("the weights were read from `{key}` of a larger checkpoint")];
            notes.extend(left_out(&inner_others));
            return Ok((found, notes));
        }
    }
    Err("it holds no state dict (a dict of tensors); save `model.state_dict()`".to_owned())
}

/// Copies one tensor from its storage's bytes. `budget` (in numbers) decreases by its size, so that many views of one storage cannot
/// request more memory than the file could have filled.
pub fn array(name: &str, tensor: &TensorRef, bytes: &[u8], budget: &mut usize) -> Result<NamedArray, String> {
    let dtype = tensor.storage.dtype;
    let count =
        product(&tensor.shape).filter(|&n| n <= *budget).ok_or_else(|| format!("`{name}` is larger than the file"))?;
    *budget -= count;
    let start = tensor.storage.offset.checked_add(tensor.offset).ok_or_else(|| outside(name))?;
    let available = bytes.len() / dtype.size();
    let data = if count == 0 {
        Vec::new()
    } else if is_contiguous(tensor) {
        let end = start.checked_add(count).filter(|&end| end <= available);
        let taken = end.and_then(|end| bytes.get(start * dtype.size()..end * dtype.size()));
        dtype.floats(taken.ok_or_else(|| outside(name))?)
    } else {
        let last = last_place(tensor, start).filter(|&last| last < available).ok_or_else(|| outside(name))?;
        let read = bytes.get(..(last + 1) * dtype.size()).ok_or_else(|| outside(name))?;
        strided(tensor, start, &dtype.floats(read))
    };
    Ok(NamedArray { name: name.to_owned(), shape: tensor.shape.clone(), dtype, data })
}

/// Tensors by name, and names (or messages) of everything else.
pub type Split = (Vec<(String, TensorRef)>, Vec<String>);

fn split(pickle: &Pickle, dict: &Value) -> Split {
    let (mut found, mut others) = (Vec::new(), Vec::new());
    let Value::Dict(entries) = dict else { return (found, others) };
    for &(key, value) in entries {
        let Value::Text(key) = pickle.get(key) else { continue };
        match pickle.get(value) {
            Value::Tensor(tensor) => found.push((key.clone(), tensor.clone())),
            _ => others.push(key.clone()),
        }
    }
    (found, others)
}

fn left_out(others: &[String]) -> Option<String> {
    (!others.is_empty()).then(|| format!("left out, as they are not tensors: {}", others.join(", ")))
}

fn outside(name: &str) -> String {
    format!("`{name}` reaches beyond its storage; the file is cut off or damaged")
}

fn product(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |n, &side| n.checked_mul(side))
}

fn is_contiguous(tensor: &TensorRef) -> bool {
    let mut expected = 1;
    tensor.shape.iter().zip(&tensor.stride).rev().all(|(&side, &stride)| {
        let fits = side == 1 || stride == expected;
        expected *= side;
        fits
    })
}

/// Returns the last index that the tensor reads. All sides are at least 1.
fn last_place(tensor: &TensorRef, start: usize) -> Option<usize> {
    let mut sides = tensor.shape.iter().zip(&tensor.stride);
    sides.try_fold(start, |at, (&side, &stride)| at.checked_add((side - 1).checked_mul(stride)?))
}

#[expect(clippy::indexing_slicing, reason = "`array` returns as many numbers as `last_place` requires")]
fn strided(tensor: &TensorRef, start: usize, numbers: &[f32]) -> Vec<f32> {
    let mut places = vec![start];
    for (&side, &stride) in tensor.shape.iter().zip(&tensor.stride) {
        places = places.iter().flat_map(|&place| (0..side).map(move |k| place + k * stride)).collect();
    }
    places.into_iter().map(|place| numbers[place]).collect()
}
