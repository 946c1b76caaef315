//! The content of a weight file: named arrays of floats.

use half::{bf16, f16};

/// One parameter: its values in row-major order, as f32 whatever the file's format.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedArray {
    pub name: String,
    pub shape: Vec<usize>,
    /// The file's number format.
    pub dtype: DType,
    pub data: Vec<f32>,
}

impl NamedArray {
    /// Creates an f32 array. Invariant, checked: the length of `data` matches `shape`.
    pub fn new(name: impl Into<String>, shape: Vec<usize>, data: Vec<f32>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "an array's shape and its numbers agree");
        Self { name: name.into(), shape, dtype: DType::F32, data }
    }
}

/// The number formats in weight files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DType {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl DType {
    /// Returns the bytes per number.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// Converts little-endian `bytes` to f32. An incomplete number at the end is dropped; callers check lengths.
    pub fn floats(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F64 => each(bytes, |b| f64::from_le_bytes(b) as f32),
            Self::F32 => each(bytes, f32::from_le_bytes),
            Self::F16 => each(bytes, |b| f16::from_le_bytes(b).to_f32()),
            Self::BF16 => each(bytes, |b| bf16::from_le_bytes(b).to_f32()),
            Self::I64 => each(bytes, |b| i64::from_le_bytes(b) as f32),
            Self::I32 => each(bytes, |b| i32::from_le_bytes(b) as f32),
            Self::I16 => each(bytes, |b| f32::from(i16::from_le_bytes(b))),
            Self::I8 => each(bytes, |b| f32::from(i8::from_le_bytes(b))),
            Self::U8 | Self::Bool => bytes.iter().map(|&b| f32::from(b)).collect(),
        }
    }
}

fn each<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<N>().0.iter().map(|&chunk| read(chunk)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_reads_its_own_numbers() {
        let check = |dtype: DType, bytes: &[u8], expected: &[f32]| {
            assert_eq!(dtype.floats(bytes), expected, "{dtype:?}");
            assert_eq!(bytes.len(), dtype.size() * expected.len());
        };
        check(DType::F64, &(-2.5f64).to_le_bytes(), &[-2.5]);
        check(DType::F32, &1.25f32.to_le_bytes(), &[1.25]);
        check(DType::F16, &[0x00, 0x3c, 0x00, 0xc0], &[1.0, -2.0]);
        check(DType::BF16, &[0x80, 0x3f], &[1.0]);
        check(DType::I64, &(-7i64).to_le_bytes(), &[-7.0]);
        check(DType::I32, &9i32.to_le_bytes(), &[9.0]);
        check(DType::I16, &(-3i16).to_le_bytes(), &[-3.0]);
        check(DType::I8, &[0xff], &[-1.0]);
        check(DType::U8, &[0xff], &[255.0]);
        check(DType::Bool, &[1, 0], &[1.0, 0.0]);
    }
}
