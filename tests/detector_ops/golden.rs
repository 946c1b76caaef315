//! Loads torchvision's golden values and compares with them.

use std::collections::HashMap;
use std::path::PathBuf;

use tch::{Kind, Tensor};

/// Named tensors written by torchvision.
pub struct Golden(HashMap<String, Tensor>);

impl Golden {
    /// All golden values from the shared folder; `None` with a loud message if it is missing.
    pub fn full() -> Option<Self> {
        let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
        let shared = std::env::var_os("QUARRY_SHARED").map_or(beside, PathBuf::from);
        let file = shared.join("golden/torchvision_ops.safetensors");
        if file.is_file() {
            return Some(Self::read(&file));
        }
        eprintln!("SKIPPED: torchvision's full golden numbers, {} is missing (../shared is missing)", file.display());
        None
    }

    /// The subset that is small enough to be checked in with the tests.
    pub fn small() -> Self {
        Self::read(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/torchvision_ops_small.safetensors"))
    }

    pub fn get(&self, key: &str) -> Tensor {
        self.0.get(key).unwrap_or_else(|| panic!("no golden tensor `{key}`")).copy()
    }

    fn read(file: &std::path::Path) -> Self {
        Self(Tensor::read_safetensors(file).unwrap().into_iter().collect())
    }
}

/// Returns the largest deviation relative to the largest golden value (floats).
pub fn deviation(ours: &Tensor, golden: &Tensor) -> f64 {
    assert_eq!(ours.size(), golden.size());
    assert!(bool::try_from(ours.isfinite().all()).unwrap(), "all values are finite");
    let (ours, golden) = (ours.to_kind(Kind::Double), golden.to_kind(Kind::Double));
    let scale = golden.abs().max().double_value(&[]).max(1e-12);
    (ours - golden).abs().max().double_value(&[]) / scale
}

/// Elementwise: |ours - golden| <= 1e-4 * |golden| + 1e-6 * (largest golden value).
pub fn check_floats(what: &str, ours: &Tensor, golden: &Tensor) {
    let off = deviation(ours, golden);
    let floor = 1e-6 * golden.abs().max().double_value(&[]).max(1e-6);
    assert!(ours.allclose(golden, 1e-4, floor, false), "{what}: deviates by {off:.2e}");
    println!("| {what} | {off:.1e} |");
}

/// Compares dtype, shape and every value exactly; for the table of deviations.
pub fn check_exact(what: &str, ours: &Tensor, golden: &Tensor) {
    check_same(what, ours, golden);
    println!("| {what} | equal |");
}

pub fn check_same(what: &str, ours: &Tensor, expected: &Tensor) {
    assert_eq!(ours.kind(), expected.kind(), "{what}");
    assert!(ours.equal(expected), "{what}: {ours} against {expected}");
}
