//! The named tensors of a network, created from a seed or loaded from a file. Names are torchvision's.

use std::collections::HashMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};

use super::DetectorError;

/// Initial values of a tensor that no file provides. They depend only on the seed and the tensor's name, so that adding or removing a head
/// does not change other tensors.
#[derive(Debug, Clone, Copy)]
pub(super) enum Init {
    Constant(f64),
    /// Normal with this standard deviation.
    Normal(f64),
    /// He et al. 2015 by fan-out (torchvision's for ResNet).
    FanOut,
    /// Uniform within the square root of `gain` / fan-in: 3 is torchvision's for the pyramid, 1 libtorch's for linear layers.
    FanIn {
        gain: f64,
    },
    /// Exactly these values.
    Values(&'static [f64]),
}

/// One tensor of the state dict.
#[derive(Debug)]
pub(super) struct Parameter {
    pub name: String,
    pub tensor: Tensor,
    pub trainable: bool,
}

/// The source of values.
pub(super) enum Source {
    Seed(u64),
    /// A state dict; tensors left over after building are an error.
    State(HashMap<String, Tensor>),
}

/// Provides tensors to layers while a network is built, and records them.
pub(super) struct Builder {
    source: Source,
    device: Device,
    entries: Vec<Parameter>,
    missing: Vec<String>,
    first_error: Option<DetectorError>,
}

impl Builder {
    pub fn new(source: Source, device: Device) -> Self {
        Self { source, device, entries: Vec::new(), missing: Vec::new(), first_error: None }
    }

    /// Returns a tensor that is trainable unless `frozen`.
    pub fn weight(&mut self, name: &str, shape: &[i64], init: Init, frozen: bool) -> Tensor {
        let value = self.value(name, shape, init);
        let tensor = if frozen { value } else { value.set_requires_grad(true) };
        self.remember(name, tensor, !frozen)
    }

    /// Returns a tensor that is never trainable (batch norm's statistics).
    pub fn buffer(&mut self, name: &str, shape: &[i64], start: f64) -> Tensor {
        let value = self.value(name, shape, Init::Constant(start));
        self.remember(name, value, false)
    }

    /// Returns all tensors by name in build order, or what was wrong with the state dict.
    pub fn finish(self, architecture: &str) -> Result<Vec<Parameter>, DetectorError> {
        let architecture = architecture.to_owned();
        if let Some(first) = self.missing.first().cloned() {
            return Err(DetectorError::MissingTensors { architecture, count: self.missing.len(), first });
        }
        if let Some(error) = self.first_error {
            return Err(error);
        }
        if let Source::State(rest) = &self.source
            && let Some(first) = rest.keys().min().cloned()
        {
            return Err(DetectorError::ExtraTensors { architecture, count: rest.len(), first });
        }
        Ok(self.entries)
    }

    fn remember(&mut self, name: &str, tensor: Tensor, trainable: bool) -> Tensor {
        self.entries.push(Parameter { name: name.to_owned(), tensor: tensor.shallow_clone(), trainable });
        tensor
    }

    fn value(&mut self, name: &str, shape: &[i64], init: Init) -> Tensor {
        match &mut self.source {
            Source::Seed(seed) => drawn(*seed, name, shape, init).to_device(self.device),
            Source::State(state) => {
                if let Some(tensor) = state.remove(name) {
                    return self.checked(name, shape, &tensor);
                }
                self.missing.push(name.to_owned());
                Tensor::zeros(shape, (Kind::Float, self.device))
            }
        }
    }

    fn checked(&mut self, name: &str, shape: &[i64], tensor: &Tensor) -> Tensor {
        let fits = tensor.size() == shape;
        let error = if !fits {
            let name = name.to_owned();
            Some(DetectorError::WrongShape { name, expected: shape.to_vec(), found: tensor.size() })
        } else if !is_finite(tensor) {
            Some(DetectorError::NotFinite { name: name.to_owned() })
        } else {
            None
        };
        self.first_error = self.first_error.take().or(error);
        if !fits {
            return Tensor::zeros(shape, (Kind::Float, self.device));
        }
        // Copied, so that no two detectors share memory.
        tensor.detach().to_device(self.device).to_kind(Kind::Float).contiguous().copy()
    }
}

/// Whether there is no NaN or infinity.
pub(super) fn is_finite(tensor: &Tensor) -> bool {
    tensor.numel() == 0 || tensor.isfinite().all().int64_value(&[]) == 1
}

fn drawn(seed: u64, name: &str, shape: &[i64], init: Init) -> Tensor {
    let count = shape.iter().product::<i64>() as usize;
    let receptive: i64 = shape.iter().skip(2).product();
    let fan_in = shape.get(1).copied().unwrap_or(1) * receptive;
    let fan_out = shape[0] * receptive;
    let values = match init {
        Init::Constant(value) => vec![value as f32; count],
        Init::Values(values) => values.iter().map(|&v| v as f32).collect(),
        Init::Normal(deviation) => normal(&mut stream(seed, name), count, deviation),
        Init::FanOut => normal(&mut stream(seed, name), count, (2.0 / fan_out as f64).sqrt()),
        Init::FanIn { gain } => uniform(&mut stream(seed, name), count, (gain / fan_in as f64).sqrt()),
    };
    Tensor::from_slice(&values).reshape(shape)
}

/// Returns the tensor's own random stream: FNV-1a of its name.
fn stream(seed: u64, name: &str) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    rng.set_stream(hash);
    rng
}

fn uniform(rng: &mut ChaCha8Rng, count: usize, bound: f64) -> Vec<f32> {
    let bound = bound as f32;
    (0..count).map(|_| (rng.random::<f32>() * 2.0 - 1.0) * bound).collect()
}

/// The Box-Muller transform.
fn normal(rng: &mut ChaCha8Rng, count: usize, deviation: f64) -> Vec<f32> {
    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        let radius = (-2.0 * (1.0 - rng.random::<f32>()).ln()).sqrt() * deviation as f32;
        let (sin, cos) = (std::f32::consts::TAU * rng.random::<f32>()).sin_cos();
        values.extend([radius * cos, radius * sin]);
    }
    values.truncate(count);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_their_deviation_and_depend_on_seed_and_name() {
        let draw = |seed, name| drawn(seed, name, &[64, 32, 3, 3], Init::FanOut);
        let deviation = draw(1, "a").std(true).double_value(&[]);
        assert!((deviation / (2.0_f64 / (64.0 * 9.0)).sqrt() - 1.0).abs() < 0.03, "{deviation}");
        assert!(draw(1, "a").equal(&draw(1, "a")));
        assert!(!draw(1, "a").equal(&draw(2, "a")));
        assert!(!draw(1, "a").equal(&draw(1, "b")));
    }

    #[test]
    fn a_bad_state_dict_is_described() {
        let check = |state: Vec<(&str, Tensor)>, expected: &str| {
            let state = state.into_iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect();
            let mut builder = Builder::new(Source::State(state), Device::Cpu);
            let _ = builder.weight("w", &[2, 2], Init::Constant(0.0), false);
            let message = builder.finish("a net").err().map(|e| e.to_string()).unwrap_or_default();
            assert!(message.contains(expected) && message.is_empty() == expected.is_empty(), "{message}");
        };
        let ones = || Tensor::ones([2, 2], (Kind::Float, Device::Cpu));
        check(vec![("w", ones())], "");
        check(vec![], "lack 1 tensor that a net needs, first w");
        check(vec![("w", ones()), ("v", ones())], "does not know, first v");
        check(vec![("w", Tensor::ones([3], (Kind::Float, Device::Cpu)))], "shape [3] where [2, 2]");
        check(vec![("w", ones() * f64::NAN)], "tensor w holds NaN");
    }
}
