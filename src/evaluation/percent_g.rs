//! C's `%g`: six significant digits, the default of C++ streams for a double.

use std::fmt::Write as _;

const POWERS: [f64; 12] = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];

/// Appends `value` formatted like `printf("%g")`. `value` is finite.
pub fn push_percent_g(out: &mut String, value: f64) {
    if value.is_sign_negative() {
        out.push('-');
    }
    let magnitude = value.abs();
    if magnitude == 0.0 {
        out.push('0');
        return;
    }
    let (digits, exponent) = six_digits_fast(magnitude).unwrap_or_else(|| six_digits(magnitude));
    if (-4..6).contains(&exponent) { push_plain(out, digits, exponent) } else { push_scientific(out, digits, exponent) }
}

/// Formats `value` like `%g`.
pub fn percent_g(value: f64) -> String {
    let mut out = String::new();
    push_percent_g(&mut out, value);
    out
}

/// Returns the first six digits, rounded, and the exponent of the first; `None` if one multiplication cannot decide the rounding.
fn six_digits_fast(magnitude: f64) -> Option<(u32, i32)> {
    if !(1e-4..1e6).contains(&magnitude) {
        return None;
    }
    let above = POWERS.partition_point(|p| *p <= magnitude);
    let exponent = above as i32 - 6;
    // 5 - exponent is 0..=9: these powers of ten are exact.
    let scaled = magnitude * 10_f64.powi(5 - exponent);
    let rest = scaled - scaled.floor();
    if (rest - 0.5).abs() < 1e-6 {
        return None;
    }
    let digits = scaled.round() as u32;
    if digits == 1_000_000 { Some((100_000, exponent + 1)) } else { Some((digits, exponent)) }
}

/// The same with the standard library's exact formatting.
fn six_digits(magnitude: f64) -> (u32, i32) {
    let text = format!("{magnitude:.5e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).fold(0, |n, b| n * 10 + u32::from(b - b'0'));
    (digits, exponent.parse().unwrap_or(0))
}

/// Writes the digits without trailing zeros; the first digit is never 0.
fn significant(digits: u32, text: &mut [u8; 6]) -> &str {
    let mut rest = digits;
    for slot in text.iter_mut().rev() {
        *slot = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let used = text.iter().rposition(|&b| b != b'0').map_or(1, |k| k + 1);
    std::str::from_utf8(&text[..used]).unwrap_or("0")
}

fn push_plain(out: &mut String, digits: u32, exponent: i32) {
    let mut buffer = [0; 6];
    let text = significant(digits, &mut buffer);
    if exponent < 0 {
        out.push_str("0.");
        (1..-exponent).for_each(|_| out.push('0'));
        out.push_str(text);
        return;
    }
    let whole = exponent as usize + 1;
    if text.len() <= whole {
        out.push_str(text);
        (text.len()..whole).for_each(|_| out.push('0'));
    } else {
        out.push_str(&text[..whole]);
        out.push('.');
        out.push_str(&text[whole..]);
    }
}

fn push_scientific(out: &mut String, digits: u32, exponent: i32) {
    let mut buffer = [0; 6];
    let text = significant(digits, &mut buffer);
    out.push_str(&text[..1]);
    if text.len() > 1 {
        out.push('.');
        out.push_str(&text[1..]);
    }
    // Writing to a string cannot fail.
    let _ = write!(out, "e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_c_does() {
        let check = |value: f64, expected: &str| assert_eq!(percent_g(value), expected, "{value:?}");
        check(0.0, "0");
        check(-0.0, "-0");
        check(1.0, "1");
        check(100.0, "100");
        check(0.5, "0.5");
        check(0.954_361_245, "0.954361");
        check(582.0, "582");
        check(999_999.5, "1e+06");
        check(999_999.0, "999999");
        check(1_200_000.0, "1.2e+06");
        check(f64::MAX, "1.79769e+308");
        check(1e-4, "0.0001");
        check(0.000_193_386, "0.000193386");
        check(0.000_099_999_96, "0.0001");
        check(0.000_099_999_94, "9.99999e-05");
        check(1e-5, "1e-05");
        check(-2e10, "-2e+10");
        check(1e-7, "1e-07");
        check(0.123_456_5, "0.123456"); // the double lies below the tie
        check(2.5, "2.5");
        check(100_000.5, "100000"); // an exact tie goes to even
        check(100_001.5, "100002");
        check(1e300, "1e+300");
        check(5e-324, "4.94066e-324");
    }

    #[test]
    fn the_fast_digits_are_the_exact_ones() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..200_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let value = (state >> 11) as f64 / (1_u64 << 53) as f64 * 10_f64.powi((state % 11) as i32 - 4);
            if let Some(fast) = six_digits_fast(value) {
                assert_eq!(fast, six_digits(value), "{value:?}");
            }
        }
    }
}
