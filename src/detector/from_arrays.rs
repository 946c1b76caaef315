//! Builds a detector from another program's weights.

use std::collections::{HashMap, HashSet};

use tch::{Device, Tensor};

use super::weights::NamedArray;
use super::{Detector, DetectorConfig, DetectorError};

impl Detector {
    /// Builds a detector on the CPU from weights with torchvision's names. Missing tensors under one of the prefixes `fresh` start from
    /// random values and are counted in the result; any other missing tensor is an error.
    pub fn from_arrays(
        config: &DetectorConfig,
        arrays: &[NamedArray],
        fresh: &[&str],
    ) -> Result<(Self, usize), DetectorError> {
        let mut state: HashMap<String, Tensor> = HashMap::new();
        if !fresh.is_empty() {
            let given: HashSet<&str> = arrays.iter().map(|a| a.name.as_str()).collect();
            let starts = |name: &str| fresh.iter().any(|prefix| name.starts_with(prefix)) && !given.contains(name);
            state.extend(Self::new(config, Device::Cpu, 0)?.state().into_iter().filter(|(name, _)| starts(name)));
        }
        let randomly_initialised = state.len();
        for array in arrays {
            let shape: Vec<i64> = array.shape.iter().map(|&side| side as i64).collect();
            state.insert(array.name.clone(), Tensor::from_slice(&array.data).reshape(shape));
        }
        Ok((Self::from_state(config, Device::Cpu, state)?, randomly_initialised))
    }
}
