//! A detector's trainable parameters in one buffer: an update is a few operations on it instead of a few for each parameter, each of which
//! is a kernel launch on a GPU.

use tch::{Device, Kind, TchError, Tensor, no_grad_guard};

/// Values of a row. Norms are summed within rows first, so that large networks lose no precision.
const ROW: usize = 1 << 12;
/// Parameters start at multiples of this number of values, so that they are as aligned as tensors of their own.
const ALIGNMENT: usize = 64;

/// A buffer `[rows * ROW]` of `f32`; what lies between and after the parameters is zero.
pub(super) struct Flat {
    values: Tensor,
    parameters: Vec<Parameter>,
}

struct Parameter {
    name: String,
    /// Shares memory with the buffer, and with the detector that it is of.
    value: Tensor,
    start: usize,
}

impl Flat {
    /// Moves the parameters into a buffer. They keep their values, and everything that holds them sees what is written to it.
    pub fn of(parameters: Vec<(String, Tensor)>) -> Result<Self, TchError> {
        let _guard = no_grad_guard();
        let device = parameters.first().map_or(Device::Cpu, |(_, value)| value.device());
        let mut end = 0;
        let place = |(name, value): (String, Tensor)| {
            let start = end;
            end += value.numel().next_multiple_of(ALIGNMENT);
            Parameter { name, value, start }
        };
        let mut parameters: Vec<Parameter> = parameters.into_iter().map(place).collect();
        let values = Tensor::f_zeros([end.next_multiple_of(ROW) as i64], (Kind::Float, device))?;
        for Parameter { value, start, .. } in &mut parameters {
            let mut place = part(&values, *start, value)?;
            place.f_copy_(value)?;
            value.f_set_data(&place)?;
        }
        Ok(Self { values, parameters })
    }

    /// Gives every parameter a gradient of zero, and returns their buffer, in which backward passes add them up.
    pub fn make_gradients(&self) -> Result<Tensor, TchError> {
        let gradients = self.values.f_zeros_like()?;
        for Parameter { value, start, .. } in &self.parameters {
            // libtorch makes a gradient in a backward pass only.
            tch::with_grad(|| value.f_sum(Kind::Float)?.f_backward())?;
            let mut gradient = value.f_grad()?;
            gradient.f_set_data(&part(&gradients, *start, value)?)?;
        }
        Ok(gradients)
    }

    pub fn values(&self) -> &Tensor {
        &self.values
    }

    /// Returns the parameters' names and their parts of `buffer`, which has this one's layout, in their shapes.
    pub fn parts<'a>(&'a self, buffer: &'a Tensor) -> impl Iterator<Item = Result<(&'a str, Tensor), TchError>> {
        let named = |p: &'a Parameter| Ok((p.name.as_str(), part(buffer, p.start, &p.value)?));
        self.parameters.iter().map(named)
    }

    /// Returns the number of the parameters' values.
    pub fn numel(&self) -> usize {
        self.parameters.iter().map(|p| p.value.numel()).sum()
    }

    /// Must follow each write to the buffer: libtorch counts writes by tensor, and detection keeps weights prepared until they change.
    pub fn written(&self) -> Result<(), TchError> {
        let _guard = no_grad_guard();
        // An operation on no values counts, and launches nothing.
        self.parameters.iter().try_for_each(|p| p.value.f_flatten(0, -1)?.f_narrow(0, 0, 0)?.f_zero_().map(drop))
    }
}

/// Returns the part of `buffer` for `parameter`, in its shape.
fn part(buffer: &Tensor, start: usize, parameter: &Tensor) -> Result<Tensor, TchError> {
    buffer.f_narrow(0, start as i64, parameter.numel() as i64)?.f_reshape(parameter.size())
}

/// Returns the L2 norm of `buffers` together as a 0-dimensional double; NaN or infinite if any value is.
pub(super) fn norm(buffers: &[&Tensor]) -> Result<Tensor, TchError> {
    let of_rows = |buffer: &&Tensor| {
        let rows = buffer.f_reshape([-1, ROW as i64])?;
        rows.f_norm_scalaropt_dim(2.0, [1_i64].as_slice(), false)?.f_to_kind(Kind::Double)
    };
    let of_rows: Vec<Tensor> = buffers.iter().map(of_rows).collect::<Result<_, TchError>>()?;
    Tensor::f_cat(&of_rows, 0)?.f_norm()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(values: &[f32], shape: &[i64]) -> Tensor {
        Tensor::from_slice(values).reshape(shape).set_requires_grad(true)
    }

    fn two() -> (Tensor, Tensor, Flat) {
        let (a, b) = (leaf(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3]), leaf(&[7.0], &[1]));
        let named = [("a", &a), ("b", &b)].map(|(name, value)| (name.to_owned(), value.shallow_clone()));
        let flat = Flat::of(named.into()).unwrap();
        (a, b, flat)
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        Vec::try_from(tensor.detach().flatten(0, -1)).unwrap()
    }

    #[test]
    fn parameters_keep_their_values_and_share_the_buffers_memory() {
        let (a, b, flat) = two();
        assert_eq!((values(&a), values(&b), a.size()), (vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], vec![7.0], vec![2, 3]));
        assert_eq!((flat.numel(), flat.values().numel()), (7, ROW));
        let _guard = no_grad_guard();
        let _ = flat.values().shallow_clone().f_mul_scalar_(2.0).unwrap();
        assert_eq!((values(&a), values(&b)), (vec![2.0, 4.0, 6.0, 8.0, 10.0, 12.0], vec![14.0]));
        let names: Vec<(&str, Vec<i64>)> =
            flat.parts(flat.values()).map(|part| part.map(|(name, part)| (name, part.size())).unwrap()).collect();
        assert_eq!(names, [("a", vec![2, 3]), ("b", vec![1])]);
    }

    #[test]
    fn gradients_add_up_in_their_buffer() {
        let (a, b, flat) = two();
        let gradients = flat.make_gradients().unwrap();
        assert_eq!(values(&gradients), vec![0.0; ROW]);
        for _ in 0..2 {
            ((&a * &a).sum(Kind::Float) + &b * 3.0).backward();
        }
        let expected = [4.0, 8.0, 12.0, 16.0, 20.0, 24.0];
        assert_eq!((values(&gradients)[..6].to_vec(), values(&gradients)[ALIGNMENT]), (expected.to_vec(), 6.0));
        assert_eq!(values(&a.grad()), expected);
        let squares: f32 = expected.iter().map(|v| v * v).sum();
        let found = norm(&[&gradients]).unwrap().double_value(&[]);
        assert!((found - f64::from(squares + 36.0).sqrt()).abs() < 1e-6, "{found}");
    }

    #[test]
    fn a_write_to_the_buffer_counts_as_one_to_each_parameter() {
        let (a, b, flat) = two();
        let before = [&a, &b].map(Tensor::internal_version);
        flat.written().unwrap();
        let after = [&a, &b].map(Tensor::internal_version);
        assert!(before.iter().zip(&after).all(|(before, after)| after > before), "{before:?} {after:?}");
    }

    #[test]
    fn a_norm_is_precise_over_millions_of_values_and_shows_what_is_not_finite() {
        let large = Tensor::full([(ROW * 400) as i64], 0.1, (Kind::Float, Device::Cpu));
        let found = norm(&[&large, &large]).unwrap().double_value(&[]);
        let expected = f64::from(0.1_f32) * (2.0 * (ROW * 400) as f64).sqrt();
        assert!((found / expected - 1.0).abs() < 1e-5, "{found} {expected}");
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let _ = large.narrow(0, 5, 1).fill_(bad);
            assert!(!norm(&[&large]).unwrap().double_value(&[]).is_finite(), "{bad}");
        }
        let none = Flat::of(Vec::new()).unwrap();
        assert_eq!(norm(&[none.values()]).unwrap().double_value(&[]), 0.0);
    }
}
