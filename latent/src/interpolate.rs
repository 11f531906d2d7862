//! Points between two latents: straight and spherical.
//!
//! Shoemake, "Animating rotation with quaternion curves", 1985; White, "Sampling generative
//! networks", 2016, <https://arxiv.org/abs/1609.04468>.

/// Cosine of an angle whose sine has lost half of its digits.
const STRAIGHT: f64 = 1.0 - 1e-7;

/// Straight interpolation `a + t (b - a)`; `t` = 0 and 1 return `a` and `b` bit for bit.
///
/// # Panics
/// If the lengths differ.
pub fn lerp(a: &[f32], b: &[f32], t: f64) -> Vec<f32> {
    assert_eq!(a.len(), b.len(), "latents of different length");
    let between = |a: f64, b: f64| if t < 0.5 { a + t * (b - a) } else { b - (1.0 - t) * (b - a) };
    a.iter().zip(b).map(|(&a, &b)| between(a as f64, b as f64) as f32).collect()
}

/// Spherical interpolation `(sin((1-t) o) a + sin(t o) b) / sin o`, `o` the angle between them.
///
/// Vectors of the same length keep it. Parallel, opposite and zero vectors span no arc: they are
/// interpolated straight.
///
/// # Panics
/// If the lengths differ.
pub fn slerp(a: &[f32], b: &[f32], t: f64) -> Vec<f32> {
    assert_eq!(a.len(), b.len(), "latents of different length");
    let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
    // Zero vectors result in NaN.
    if cosine.is_nan() || cosine.abs() >= STRAIGHT || t == 0.0 || t == 1.0 {
        return lerp(a, b, t);
    }
    let angle = cosine.acos();
    let (from, to) = (((1.0 - t) * angle).sin() / angle.sin(), (t * angle).sin() / angle.sin());
    a.iter().zip(b).map(|(&a, &b)| (from * a as f64 + to * b as f64) as f32).collect()
}

/// Spherical interpolation on the unit sphere, as the StyleGAN path length walks in Z.
///
/// Both ends are normalized first, so the result has length 1 and not that of `a` or `b`; a
/// StyleGAN mapping normalizes `z` anyway. Parallel vectors return the normalized `a`. Opposite
/// vectors follow a half circle through an axis that stands on them; a zero vector stays zero.
///
/// # Panics
/// If the lengths differ.
pub fn slerp_unit(a: &[f32], b: &[f32], t: f64) -> Vec<f32> {
    assert_eq!(a.len(), b.len(), "latents of different length");
    let (a, b) = (unit(a.iter().map(|&v| v as f64)), unit(b.iter().map(|&v| v as f64)));
    let cosine: f64 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
    let across = unit(a.iter().zip(&b).map(|(a, b)| b - cosine * a));
    let across = if cosine < -1.0 + 1e-12 { perpendicular(&a) } else { across };
    let angle = t * cosine.clamp(-1.0, 1.0).acos();
    unit(a.iter().zip(&across).map(|(a, c)| a * angle.cos() + c * angle.sin()))
        .into_iter()
        .map(|v| v as f32)
        .collect()
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| a as f64 * b as f64).sum()
}

/// The vector divided by its length, or unchanged if it has none.
fn unit(v: impl Iterator<Item = f64>) -> Vec<f64> {
    let v: Vec<f64> = v.collect();
    let norm = v.iter().map(|v| v * v).sum::<f64>().sqrt();
    if norm > 0.0 { v.iter().map(|v| v / norm).collect() } else { v }
}

/// A unit vector at a right angle to the unit vector `a`: the axis that `a` leans on least, made
/// so.
fn perpendicular(a: &[f64]) -> Vec<f64> {
    let axis = (0..a.len()).min_by(|&i, &j| a[i].abs().total_cmp(&a[j].abs())).unwrap_or(0);
    unit(a.iter().enumerate().map(|(i, v)| f64::from(i == axis) - a[axis] * v))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One rounding to float32 of values of order one.
    const F32_ROUNDING: f64 = 1e-6;

    fn norm(v: &[f32]) -> f64 {
        dot(v, v).sqrt()
    }

    fn angle(a: &[f32], b: &[f32]) -> f64 {
        (dot(a, b) / norm(a) / norm(b)).clamp(-1.0, 1.0).acos()
    }

    fn latent() -> impl Strategy<Value = Vec<f32>> {
        proptest::collection::vec(-3.0..3.0f32, 8).prop_filter("not zero", |v| norm(v) > 0.1)
    }

    proptest! {
        #[test]
        fn ends_are_the_ends(a in latent(), b in latent()) {
            for between in [lerp, slerp] {
                prop_assert_eq!(&between(&a, &b, 0.0), &a);
                prop_assert_eq!(&between(&a, &b, 1.0), &b);
            }
        }

        #[test]
        fn the_way_back_is_the_way(a in latent(), b in latent(), t in 0.0..1.0) {
            for between in [lerp, slerp, slerp_unit] {
                for (x, y) in between(&a, &b, t).iter().zip(between(&b, &a, 1.0 - t)) {
                    prop_assert!((x - y).abs() < 1e-5);
                }
            }
        }

        #[test]
        fn slerp_divides_the_angle(a in latent(), b in latent(), t in 0.01..0.99) {
            let whole = angle(&a, &b);
            prop_assume!(whole > 0.1 && whole < 3.0);
            let b: Vec<f32> = b.iter().map(|v| (*v as f64 * norm(&a) / norm(&b)) as f32).collect();
            for between in [slerp, slerp_unit] {
                let part = angle(&a, &between(&a, &b, t));
                prop_assert!((part - t * whole).abs() < 1e-4, "{part} of {whole}");
            }
            prop_assert!((norm(&slerp(&a, &b, t)) / norm(&a) - 1.0).abs() < F32_ROUNDING);
            prop_assert!((norm(&slerp_unit(&a, &b, t)) - 1.0).abs() < F32_ROUNDING);
        }

        #[test]
        fn a_straight_walk_has_equal_steps(a in latent(), b in latent()) {
            let middle = lerp(&a, &b, 0.5);
            for ((m, a), b) in middle.iter().zip(&a).zip(&b) {
                prop_assert!((m - 0.5 * (a + b)).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn a_quarter_circle_is_halved_at_45_degrees() {
        let half = std::f32::consts::FRAC_1_SQRT_2;
        for between in [slerp, slerp_unit] {
            let middle = between(&[1.0, 0.0], &[0.0, 1.0], 0.5);
            assert!((middle[0] - half).abs() < 1e-7 && (middle[1] - half).abs() < 1e-7);
        }
    }

    #[test]
    fn vectors_without_an_arc_are_interpolated_all_the_same() {
        assert_eq!(slerp(&[1.0, 0.0], &[3.0, 0.0], 0.5), [2.0, 0.0]);
        assert_eq!(slerp(&[1.0, 0.0], &[-1.0, 0.0], 0.25), [0.5, 0.0]);
        assert_eq!(slerp(&[0.0, 0.0], &[0.0, 2.0], 0.5), [0.0, 1.0]);
        assert_eq!(slerp_unit(&[2.0, 0.0], &[5.0, 0.0], 0.5), [1.0, 0.0]);
        assert_eq!(slerp_unit(&[0.0, 0.0], &[0.0, 0.0], 0.5), [0.0, 0.0]);
        let half_way = slerp_unit(&[1.0, 0.0], &[-1.0, 0.0], 0.5);
        assert!(half_way[0].abs() < 1e-7 && (half_way[1] - 1.0).abs() < 1e-7);
    }
}
