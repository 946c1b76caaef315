//! Colours and line styles of curves: stable by curve, told apart by colour-blind eyes and without colour. Plain numbers, so that the
//! window and the figures share them; must not know either.

/// Red, green, blue.
pub type Rgb = [u8; 3];

/// Okabe and Ito's palette for all kinds of colour vision, without its yellow, which is lost on white.
pub const COLOURS: [Rgb; 7] =
    [[0, 114, 178], [213, 94, 0], [0, 158, 115], [204, 121, 167], [86, 180, 233], [230, 159, 0], [64, 64, 64]];

/// Lengths of strokes and gaps in points; empty is a solid line.
pub const DASHES: [&[u32]; 4] = [&[], &[8, 4], &[2, 3], &[10, 3, 2, 3]];

/// Colour of published curves, which stand behind one's own.
pub const PUBLISHED: Rgb = [140, 140, 140];

/// How a curve is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurveStyle {
    pub colour: Rgb,
    pub dash: &'static [u32],
}

/// The style of the curve with this number (a round's number, or a fold's): the same wherever it is shown. Curves that share a
/// colour differ in dash: 28 styles, because 7 and 4 have no common divisor.
pub fn curve_style(number: usize) -> CurveStyle {
    CurveStyle { colour: COLOURS[number % COLOURS.len()], dash: DASHES[number % DASHES.len()] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_28_styles_differ_and_neighbours_differ_without_colour() {
        let styles: Vec<CurveStyle> = (0..28).map(curve_style).collect();
        for (k, a) in styles.iter().enumerate() {
            assert!(styles[..k].iter().all(|b| b != a), "{k}");
            assert!(k == 0 || styles[k - 1].dash != a.dash, "{k}");
        }
    }
}
