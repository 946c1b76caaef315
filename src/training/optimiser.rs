//! SGD with momentum and weight decay, with torch's semantics and a state that can be saved (tch cannot save its optimisers'). Updates are
//! in place: a step allocates nothing the size of a parameter.
//!
//! For each parameter p with gradient g: `g += weight_decay * p; v = momentum * v + g; p -= lr * v`.

use std::collections::HashMap;
use std::path::Path;

use tch::{Device, Kind, TchError, Tensor, no_grad_guard};

use super::config::RoundConfig;
use super::error::TrainingError;

/// One trainable parameter.
struct Slot {
    name: String,
    value: Tensor,
    /// Same shape; zero before the first step.
    velocity: Tensor,
    /// At most one dimension: biases and norms have separate rate and decay settings.
    is_bias: bool,
}

/// The optimiser of a round.
///
/// Invariant: gradients are disabled by a guard. `tch::no_grad` leaves them disabled after a panic, and a step that ran out of memory is
/// retried.
pub(super) struct Sgd {
    slots: Vec<Slot>,
    momentum: f64,
    clip_norm: f64,
    bias_lr_factor: f64,
    /// A 0-dimensional tensor, so that decay is one fused, in-place operation; `None` without decay.
    decay: Option<Tensor>,
    bias_decays: bool,
}

impl Sgd {
    /// `parameters` are leaf tensors that require gradients. Biases and norms are those with one dimension.
    pub fn new(parameters: Vec<(String, Tensor)>, config: &RoundConfig) -> Result<Self, TrainingError> {
        let _guard = no_grad_guard();
        let device = parameters.first().map_or(Device::Cpu, |(_, value)| value.device());
        let decay = (config.weight_decay > 0.0).then(|| scalar(config.weight_decay, device)).transpose();
        let slot = |(name, value): (String, Tensor)| {
            Ok(Slot { name, velocity: value.f_zeros_like()?, is_bias: value.dim() <= 1, value })
        };
        let slots: Result<_, TchError> = parameters.into_iter().map(slot).collect();
        Ok(Self {
            slots: slots.map_err(TrainingError::torch("making the optimiser"))?,
            momentum: config.momentum,
            clip_norm: config.clip_norm,
            bias_lr_factor: config.bias_lr_factor,
            decay: decay.map_err(TrainingError::torch("making the optimiser"))?,
            bias_decays: config.bias_weight_decay,
        })
    }

    /// Returns the number of trainable values.
    pub fn numel(&self) -> u64 {
        self.slots.iter().map(|slot| slot.value.numel() as u64).sum()
    }

    /// Sets all gradients to zero and keeps their memory.
    pub fn zero_grad(&mut self) {
        for slot in &mut self.slots {
            slot.value.zero_grad();
        }
    }

    /// Returns the L2 norm of all gradients as a 0-dimensional double on their device; NaN or infinite if any gradient is.
    pub fn grad_norm(&self) -> Result<Tensor, TrainingError> {
        let _guard = no_grad_guard();
        #[cfg(test)]
        super::step::fault::strike_in_norm();
        self.norm_of_gradients().map_err(TrainingError::torch("measuring the gradients"))
    }

    fn norm_of_gradients(&self) -> Result<Tensor, TchError> {
        let gradients = self.slots.iter().map(|slot| slot.value.f_grad());
        let defined = gradients.filter(|grad| grad.as_ref().map_or(true, Tensor::defined));
        let norms: Vec<Tensor> = defined.map(|grad| grad?.f_norm()).collect::<Result<_, _>>()?;
        if norms.is_empty() {
            return Tensor::f_zeros([], (Kind::Double, Device::Cpu));
        }
        Tensor::f_stack(&norms, 0)?.f_to_kind(Kind::Double)?.f_norm()
    }

    /// Clips by the norm from [`Self::grad_norm`], then makes a step. Parameters without a gradient are unchanged.
    pub fn step(&mut self, lr: f64, grad_norm: f64) -> Result<(), TrainingError> {
        let _guard = no_grad_guard();
        let clip = if self.clip_norm > 0.0 && grad_norm > self.clip_norm { self.clip_norm / grad_norm } else { 1.0 };
        self.update_all(lr, clip).map_err(TrainingError::torch("updating the weights"))
    }

    fn update_all(&mut self, lr: f64, clip: f64) -> Result<(), TchError> {
        let Some(device) = self.slots.first().map(|slot| slot.value.device()) else { return Ok(()) };
        // One upload per rate instead of per parameter.
        let (rate, bias_rate) = (scalar(-lr, device)?, scalar(-(lr * self.bias_lr_factor), device)?);
        for slot in &mut self.slots {
            let mut grad = slot.value.f_grad()?;
            if !grad.defined() {
                continue;
            }
            if clip < 1.0 {
                let _ = grad.f_mul_scalar_(clip)?;
            }
            if let Some(decay) = self.decay.as_ref().filter(|_| !slot.is_bias || self.bias_decays) {
                let _ = grad.f_addcmul_(&slot.value, decay)?;
            }
            let _ = slot.velocity.f_mul_scalar_(self.momentum)?.f_add_(&grad)?;
            let _ = slot.value.f_addcmul_(&slot.velocity, if slot.is_bias { &bias_rate } else { &rate })?;
        }
        Ok(())
    }

    /// Whether all weights are finite.
    pub fn is_finite(&self) -> Result<bool, TrainingError> {
        let _guard = no_grad_guard();
        self.all_finite().map_err(TrainingError::torch("checking the weights"))
    }

    fn all_finite(&self) -> Result<bool, TchError> {
        let of_each = self.slots.iter().map(|slot| slot.value.f_isfinite()?.f_all());
        let of_each: Vec<Tensor> = of_each.collect::<Result<_, _>>()?;
        Ok(of_each.is_empty() || Tensor::f_stack(&of_each, 0)?.f_all()?.f_int64_value(&[])? == 1)
    }

    /// Saves the velocities under their parameters' names.
    pub fn save(&self, path: &Path) -> Result<(), TrainingError> {
        let tensors: Vec<(&str, &Tensor)> =
            self.slots.iter().map(|slot| (slot.name.as_str(), &slot.velocity)).collect();
        Tensor::write_safetensors(&tensors, path).map_err(TrainingError::torch("writing the optimiser's state"))
    }

    /// Loads what [`Self::save`] wrote; every velocity must exist with its shape.
    pub fn load(&mut self, path: &Path) -> Result<(), TrainingError> {
        let wrong = |what: String| TrainingError::OtherRound { path: path.to_path_buf(), what };
        let read = Tensor::read_safetensors(path).map_err(|error| TrainingError::Checkpoint {
            path: path.to_path_buf(),
            what: format!("the optimiser's state can't be read ({error}); resume from an earlier checkpoint"),
        })?;
        let _guard = no_grad_guard();
        let mut state: HashMap<String, Tensor> = read.into_iter().collect();
        for slot in &mut self.slots {
            let Some(velocity) = state.remove(&slot.name) else {
                return Err(wrong(format!("the optimiser's state lacks {}", slot.name)));
            };
            if velocity.size() != slot.velocity.size() {
                let (found, needed) = (velocity.size(), slot.velocity.size());
                return Err(wrong(format!("{} has shape {found:?} where {needed:?} is needed", slot.name)));
            }
            slot.velocity.f_copy_(&velocity).map_err(TrainingError::torch("restoring the optimiser"))?;
        }
        match state.keys().min() {
            Some(extra) => Err(wrong(format!("the optimiser's state has {extra}, which this detector lacks"))),
            None => Ok(()),
        }
    }
}

/// Returns a 0-dimensional float on `device`.
fn scalar(value: f64, device: Device) -> Result<Tensor, TchError> {
    Tensor::from(value as f32).f_to_device(device)
}

#[cfg(test)]
mod tests {
    use tch::nn::OptimizerConfig;
    use tch::{Device, nn};

    use super::*;

    fn config(change: fn(&mut RoundConfig)) -> RoundConfig {
        let mut config = RoundConfig::preset("paper").unwrap();
        config.bias_lr_factor = 1.0;
        change(&mut config);
        config
    }

    fn leaf(values: &[f32]) -> Tensor {
        Tensor::from_slice(values).set_requires_grad(true)
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        Vec::try_from(tensor.detach().flatten(0, -1)).unwrap()
    }

    fn built(parameters: Vec<(String, Tensor)>, config: &RoundConfig) -> Sgd {
        Sgd::new(parameters, config).unwrap()
    }

    fn norm_of(sgd: &Sgd) -> f64 {
        sgd.grad_norm().unwrap().double_value(&[])
    }

    fn backward_of_squares(parameter: &Tensor, target: f64) {
        (parameter - target).square().sum(Kind::Float).backward();
    }

    #[test]
    fn two_steps_by_hand() {
        let config = config(|c| (c.momentum, c.weight_decay) = (0.9, 0.1));
        let parameter = leaf(&[1.0]);
        let mut sgd = built(vec![("w".to_owned(), parameter.shallow_clone())], &config);
        // d/dw (w - 3)^2 = 2 (w - 3)
        backward_of_squares(&parameter, 3.0);
        let norm = norm_of(&sgd);
        assert_eq!(norm, 4.0);
        sgd.step(0.1, norm).unwrap();
        // v = -4 + 0.1; w = 1 + 0.39
        assert!((values(&parameter)[0] - 1.39).abs() < 1e-6);
        sgd.zero_grad();
        backward_of_squares(&parameter, 3.0);
        sgd.step(0.1, norm_of(&sgd)).unwrap();
        // v = 0.9 * -3.9 + 2 (1.39 - 3) + 0.139 = -6.591
        assert!((values(&parameter)[0] - 2.0491).abs() < 1e-5, "{:?}", values(&parameter));
    }

    #[test]
    fn follows_torchs_sgd() {
        let config = config(|c| (c.momentum, c.weight_decay) = (0.9, 0.0005));
        let store = nn::VarStore::new(Device::Cpu);
        let theirs = store.root().var_copy("w", &Tensor::arange(12, (Kind::Float, Device::Cpu)).reshape([3, 4]));
        let mut torch =
            nn::Sgd { momentum: 0.9, dampening: 0.0, wd: 0.0005, nesterov: false }.build(&store, 0.01).unwrap();
        let ours = theirs.detach().copy().set_requires_grad(true);
        let mut sgd = built(vec![("w".to_owned(), ours.shallow_clone())], &config);
        for _ in 0..5 {
            torch.backward_step(&(&theirs - 1.5).square().sum(Kind::Float));
            sgd.zero_grad();
            backward_of_squares(&ours, 1.5);
            sgd.step(0.01, norm_of(&sgd)).unwrap();
        }
        for (a, b) in values(&theirs).iter().zip(values(&ours)) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }

    #[test]
    fn clipping_keeps_the_direction_and_biases_have_their_own_rules() {
        let config = config(|c| {
            (c.momentum, c.weight_decay, c.clip_norm) = (0.0, 0.5, 1.0);
            (c.bias_lr_factor, c.bias_weight_decay) = (2.0, false);
        });
        let (bias, weight) =
            (leaf(&[3.0, 4.0]), Tensor::zeros([1, 1], (Kind::Float, Device::Cpu)).set_requires_grad(true));
        let unused = leaf(&[7.0]);
        let parameters = [("b", &bias), ("w", &weight), ("u", &unused)];
        let mut sgd = built(parameters.map(|(n, t)| (n.to_owned(), t.shallow_clone())).into(), &config);
        ((&bias * &bias).sum(Kind::Float) / 2.0 + weight.sum(Kind::Float) * 0.0).backward();
        let norm = norm_of(&sgd);
        assert!((norm - 5.0).abs() < 1e-6, "{norm}");
        sgd.step(0.1, norm).unwrap();
        let expected = [3.0 - 0.2 * 0.6, 4.0 - 0.2 * 0.8];
        for (found, expected) in values(&bias).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
        assert_eq!(values(&unused), [7.0], "no gradient, no step");
    }

    #[test]
    fn a_saved_state_goes_on_in_the_same_way_and_a_wrong_one_is_refused() {
        let config = config(|_| {});
        let run = |steps: usize, sgd: &mut Sgd, parameter: &Tensor| {
            for _ in 0..steps {
                sgd.zero_grad();
                backward_of_squares(parameter, 0.5);
                sgd.step(0.01, norm_of(sgd)).unwrap();
            }
        };
        let fresh = |start: &[f32]| {
            let parameter = leaf(start);
            (built(vec![("w".to_owned(), parameter.shallow_clone())], &config), parameter)
        };
        let (mut through, whole) = fresh(&[1.0, 2.0]);
        run(6, &mut through, &whole);
        let (mut first, half) = fresh(&[1.0, 2.0]);
        run(3, &mut first, &half);
        let file = tempfile::NamedTempFile::new().unwrap();
        first.save(file.path()).unwrap();
        let (mut second, rest) = fresh(&values(&half));
        second.load(file.path()).unwrap();
        run(3, &mut second, &rest);
        assert_eq!(values(&rest), values(&whole));

        let (mut other, _) = fresh(&[1.0]);
        let message = other.load(file.path()).unwrap_err().to_string();
        assert!(message.contains("shape [2] where [1]"), "{message}");
    }
}
