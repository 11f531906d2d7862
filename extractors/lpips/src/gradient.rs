//! LPIPS to a fixed image, and its gradient.

use ganscope_model::network::{Real, Rectifier, Walker};
use ganscope_model::{Error, FeatureMap, Node, Result, Shape};

use crate::{EPSILON, Lpips, SCALE, SHIFT, SMALLEST};

/// The distance of images to one that does not change.
#[derive(Debug)]
pub struct DistanceTo<T: Real> {
    walker: Walker<T>,
    taps: Vec<Node>,
    heads: Vec<Vec<f32>>,
    shape: Shape,
    /// The channels of each pixel of the fixed image, divided by their length, for each block.
    target: Vec<FeatureMap<T>>,
}

impl Lpips {
    /// The distance to an image (3, H, W) in [-1, 1].
    ///
    /// # Errors
    /// If it is smaller than 16 pixels, or has another number of values.
    pub fn to<T: Real>(&self, image: &[T], [h, w]: [usize; 2]) -> Result<DistanceTo<T>> {
        if h.min(w) < SMALLEST {
            let expected = format!("expected at least {SMALLEST}x{SMALLEST}");
            return Err(Error::Input(format!("LPIPS of an image of {h}x{w}, {expected}")));
        }
        let mut to = DistanceTo {
            walker: Walker::new(self.engine.network().clone()),
            taps: self.taps.clone(),
            heads: self.heads.clone(),
            shape: Shape { c: 3, h, w },
            target: Vec::new(),
        };
        let trace = to.walker.run(to.input(image)?)?;
        to.target = to.taps.iter().map(|&tap| unit_length(trace.value(tap)).0).collect();
        Ok(to)
    }
}

impl<T: Real> DistanceTo<T> {
    /// The distance of an image (3, H, W) in [-1, 1], and its gradient by that image.
    ///
    /// # Errors
    /// If the image has another number of values than the fixed one.
    pub fn gradient(&self, image: &[T]) -> Result<(f64, Vec<T>)> {
        let trace = self.walker.run(self.input(image)?)?;
        let mut distance = 0.0;
        let mut seeds = Vec::with_capacity(self.taps.len());
        for ((&tap, target), head) in self.taps.iter().zip(&self.target).zip(&self.heads) {
            let (found, seed) = block(trace.value(tap), target, head);
            distance += found;
            seeds.push((tap, seed));
        }
        let by_input = trace.gradient_of(seeds, &[Node::INPUT], Rectifier::Gradient)?;
        let mut gradient = by_input[0].to_nchw();
        let plane = self.shape.h * self.shape.w;
        for (channel, scale) in gradient.chunks_exact_mut(plane).zip(SCALE) {
            for v in channel {
                *v = *v / T::of(scale.into());
            }
        }
        Ok((distance, gradient))
    }

    /// The input of the network.
    fn input(&self, image: &[T]) -> Result<FeatureMap<T>> {
        let mut input = FeatureMap::from_nchw(1, self.shape, image)?;
        for pixel in input.data.chunks_exact_mut(3) {
            for ((v, shift), scale) in pixel.iter_mut().zip(SHIFT).zip(SCALE) {
                *v = (*v - T::of(shift.into())) / T::of(scale.into());
            }
        }
        Ok(input)
    }
}

impl Lpips {
    /// A row for each image of (N, 3, H, W) in [-1, 1]: LPIPS is the squared Euclidean distance of two
    /// rows. NVIDIA's `vgg16.pt` returns the same.
    ///
    /// # Errors
    /// If the images are smaller than 16 pixels, or there is another number of values.
    pub fn rows(&self, images: &[f32], (n, h, w): (usize, usize, usize)) -> Result<Vec<Vec<f32>>> {
        if images.len() != n * 3 * h * w || h.min(w) < SMALLEST {
            let found = format!("{} numbers as {n} images of {h}x{w}", images.len());
            let expected = format!("expected at least {SMALLEST}x{SMALLEST}");
            return Err(Error::Input(format!("LPIPS of {found}, {expected}")));
        }
        let mut rows = vec![Vec::new(); n];
        for (map, head) in self.maps(images, (n, h, w))?.iter().zip(&self.heads) {
            let pixels = (map.shape.h * map.shape.w) as f32;
            let weights: Vec<f32> = head.iter().map(|w| (w / pixels).sqrt()).collect();
            for (row, image) in
                rows.iter_mut().zip(unit_length(map).0.data.chunks_exact(map.shape.len()))
            {
                let weighted =
                    image.iter().enumerate().map(|(i, v)| v * weights[i % weights.len()]);
                row.extend(weighted);
            }
        }
        Ok(rows)
    }
}

/// The channels of each pixel divided by their length, and the lengths.
fn unit_length<T: Real>(map: &FeatureMap<T>) -> (FeatureMap<T>, Vec<f64>) {
    let mut unit = map.clone();
    let mut lengths = Vec::with_capacity(map.shape.h * map.shape.w);
    for pixel in unit.data.chunks_exact_mut(map.shape.c) {
        let length = pixel.iter().map(|v| v.to_f64() * v.to_f64()).sum::<f64>().sqrt();
        let divisor = T::of(length + f64::from(EPSILON));
        for v in pixel {
            *v = *v / divisor;
        }
        lengths.push(length);
    }
    (unit, lengths)
}

/// Distance in one block, and its gradient by the block's map.
///
/// With `u = a / |a|`, the gradient by `a` is `(g - u (u . g)) / |a|`, `g` that by `u`.
fn block<T: Real>(
    map: &FeatureMap<T>,
    target: &FeatureMap<T>,
    head: &[f32],
) -> (f64, FeatureMap<T>) {
    let (unit, lengths) = unit_length(map);
    let (channels, pixels) = (map.shape.c, lengths.len() as f64);
    let mut sum = 0.0;
    let mut seed = FeatureMap::filled(1, map.shape, T::ZERO);
    let rows = unit.data.chunks_exact(channels).zip(target.data.chunks_exact(channels));
    for (((u, t), seed), length) in rows.zip(seed.data.chunks_exact_mut(channels)).zip(lengths) {
        let mut along = 0.0;
        for (((&u, &t), &w), seed) in u.iter().zip(t).zip(head).zip(seed.iter_mut()) {
            let (off, w) = ((u - t).to_f64(), f64::from(w));
            sum += w * off * off;
            let by_unit = 2.0 * w * off / pixels;
            along += by_unit * u.to_f64();
            *seed = T::of(by_unit);
        }
        for (&u, seed) in u.iter().zip(seed) {
            // Where all channels are 0 the rectifiers are closed, whatever the value.
            let by_map = (seed.to_f64() - u.to_f64() * along) / length;
            *seed = if length > 0.0 { T::of(by_map) } else { T::ZERO };
        }
    }
    (sum / pixels, seed)
}

#[cfg(test)]
mod tests {
    use crate::tests::{images, lpips, recipe};

    /// Central differences in float64 with a step of 1e-5.
    const CENTRAL_DIFFERENCE: f64 = 1e-6;
    /// float32 against float64 through sixteen layers, away from kinks.
    const F32_NETWORK: f64 = 1e-4;

    #[test]
    fn the_gradient_is_that_of_central_differences() {
        let ends: Vec<f64> = images(&[60, 61], 16).into_iter().map(f64::from).collect();
        let (image, target) = ends.split_at(3 * 16 * 16);
        let to = lpips(recipe()).unwrap().to(target, [16, 16]).unwrap();
        let (distance, gradient) = to.gradient(image).unwrap();
        for at in [5, 300, 767] {
            let moved = |by: f64| {
                let mut moved = image.to_vec();
                moved[at] += by;
                to.gradient(&moved).unwrap().0
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            let scale = gradient.iter().fold(0.0_f64, |most, v| most.max(v.abs()));
            assert!((slope - gradient[at]).abs() < CENTRAL_DIFFERENCE * scale.max(1.0), "{at}");
        }
        let pair = images(&[60, 61], 16);
        let expected = lpips(recipe()).unwrap().pair_distances(&pair, (2, 16, 16)).unwrap()[0];
        assert!((distance / expected - 1.0).abs() < F32_NETWORK, "{distance} {expected}");
        assert_eq!(to.gradient(target).unwrap().0, 0.0);
        let rows = lpips(recipe()).unwrap().rows(&pair, (2, 16, 16)).unwrap();
        let square = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
        let square: f64 = rows[0].iter().zip(&rows[1]).map(square).sum();
        assert!((square / expected - 1.0).abs() < F32_NETWORK, "{square} {expected}");
    }

    #[test]
    fn images_of_another_size_are_refused() {
        let lpips = lpips(recipe()).unwrap();
        assert!(lpips.to(&vec![0.0_f32; 3 * 15 * 20], [15, 20]).is_err());
        let to = lpips.to(&vec![0.0_f32; 3 * 16 * 16], [16, 16]).unwrap();
        assert!(to.gradient(&[0.0; 3]).is_err());
    }
}
