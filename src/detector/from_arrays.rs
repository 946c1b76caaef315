//! Weights of other programs -> a detector. Must not know which file they came from.

use std::collections::HashMap;

use tch::{Device, Tensor};

use super::weights::NamedArray;
use super::{Detector, DetectorConfig, DetectorError};

impl Detector {
    /// A detector on the CPU with these weights, under torchvision's names. With `fill`, tensors that are not among them start anew;
    /// without it they are an error. Returns how many started anew too.
    pub fn from_arrays(
        config: &DetectorConfig,
        arrays: &[NamedArray],
        fill: bool,
    ) -> Result<(Self, usize), DetectorError> {
        let mut state: HashMap<String, Tensor> = HashMap::new();
        let mut started_anew = 0;
        if fill {
            state.extend(Self::new(config, Device::Cpu, 0)?.state());
            started_anew = state.keys().filter(|name| !arrays.iter().any(|a| &a.name == *name)).count();
        }
        for array in arrays {
            let shape: Vec<i64> = array.shape.iter().map(|&side| side as i64).collect();
            state.insert(array.name.clone(), Tensor::from_slice(&array.data).reshape(shape));
        }
        Ok((Self::from_state(config, Device::Cpu, state)?, started_anew))
    }
}
