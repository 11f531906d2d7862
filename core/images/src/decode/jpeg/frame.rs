//! The frame: size of the image, its components and their samples.

use super::super::{Failure, reason};
use super::idct;
use super::scan::Scan;

/// Coefficients of which libjpeg estimates what scans have not told.
const SMOOTHED: usize = 10;

/// One color of the image.
pub(super) struct Component {
    pub(super) id: u8,
    /// Samples along x and y in a unit of interleaved data.
    pub(super) sampling: (usize, usize),
    /// Samples along x and y that belong to the image.
    pub(super) size: (usize, usize),
    /// Blocks along x and y that contain them.
    pub(super) blocks: (usize, usize),
    /// Samples, in rows of whole interleaved units.
    pub(super) samples: Vec<u8>,
    /// Length of these rows.
    pub(super) stride: usize,
    /// Coefficients of all blocks, where several scans refine them.
    pub(super) coefficients: Vec<[i16; 64]>,
    /// Lowest bit of the first coefficients that a scan has carried, in coded order.
    known: [Option<u32>; SMOOTHED],
    slot: usize,
    pub(super) quantization: Option<[u16; 64]>,
}

impl Component {
    /// Blocks in a row of [`coefficients`](Self::coefficients).
    pub(super) fn blocks_stride(&self) -> usize {
        self.stride / 8
    }

    /// Where the samples of block (x, y) begin.
    pub(super) fn offset(&self, x: usize, y: usize) -> usize {
        8 * (y * self.stride + x)
    }

    /// Row `y` of the samples that belong to the image.
    pub(super) fn row(&self, y: usize) -> &[u8] {
        &self.samples[y * self.stride..][..self.size.0]
    }
}

/// Size and components.
pub(super) struct Frame {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) progressive: bool,
    /// Largest [`Component::sampling`] along x and y.
    pub(super) sampling: (usize, usize),
    pub(super) components: Vec<Component>,
}

impl Frame {
    /// A frame of mid-gray from the content of its segment; `checked` checks its size.
    pub(super) fn parse(
        content: &[u8],
        progressive: bool,
        checked: impl FnOnce(u16, u16) -> Result<(usize, usize), Failure>,
    ) -> Result<Self, Failure> {
        let [precision, h1, h0, w1, w0, count, rest @ ..] = content else {
            return Err(reason("a frame is cut short"));
        };
        if *precision != 8 {
            return Err(Failure::Reason(format!("{precision} bits a sample, not 8")));
        }
        let (width, height) = (u16::from_be_bytes([*w1, *w0]), u16::from_be_bytes([*h1, *h0]));
        let (width, height) = checked(width, height)?;
        if ![1, 3, 4].contains(count) || rest.len() != 3 * *count as usize {
            return Err(Failure::Reason(format!("{count} components")));
        }
        let specifications = rest.as_chunks::<3>().0;
        let samplings = specifications.iter().map(|s| ((s[1] >> 4) as usize, (s[1] & 15) as usize));
        let samplings: Vec<(usize, usize)> = samplings.collect();
        if samplings.iter().any(|&(h, v)| !(1..=4).contains(&h) || !(1..=4).contains(&v)) {
            return Err(reason("a sampling factor outside 1 to 4"));
        }
        let largest =
            |of: fn(&(usize, usize)) -> usize| samplings.iter().map(of).max().unwrap_or(1);
        let sampling = (largest(|s| s.0), largest(|s| s.1));
        let units = (width.div_ceil(8 * sampling.0), height.div_ceil(8 * sampling.1));
        let components = specifications.iter().zip(&samplings).map(|(&[id, _, slot], &(h, v))| {
            let size = ((width * h).div_ceil(sampling.0), (height * v).div_ceil(sampling.1));
            let all = (units.0 * h, units.1 * v);
            Component {
                id,
                sampling: (h, v),
                size,
                blocks: (size.0.div_ceil(8), size.1.div_ceil(8)),
                samples: vec![128; 64 * all.0 * all.1],
                stride: 8 * all.0,
                coefficients: if progressive { vec![[0; 64]; all.0 * all.1] } else { Vec::new() },
                known: [None; SMOOTHED],
                slot: slot as usize,
                quantization: None,
            }
        });
        Ok(Self { width, height, progressive, sampling, components: components.collect() })
    }

    /// Gives the components of a scan the quantization tables that are valid when they first occur.
    pub(super) fn latch_tables(
        &mut self,
        scan: &Scan,
        tables: &[Option<[u16; 64]>; 4],
    ) -> Result<(), Failure> {
        for &index in scan.components() {
            let component = &mut self.components[index];
            if component.quantization.is_none() {
                let table = tables.get(component.slot).copied().flatten();
                let missing = || reason("a quantization table is missing");
                component.quantization = Some(table.ok_or_else(missing)?);
            }
        }
        Ok(())
    }

    /// Remembers which coefficients a scan of progressive coding has carried, down to which bit.
    pub(super) fn note_pass(&mut self, scan: &Scan) {
        let (coefficients, low) = scan.carried();
        for &index in scan.components() {
            let known = &mut self.components[index].known;
            coefficients.clone().filter(|&k| k < SMOOTHED).for_each(|k| known[k] = Some(low));
        }
    }

    /// Whether scans are missing without which libjpeg smooths the picture.
    pub(super) fn is_unfinished(&self) -> bool {
        let missing =
            |component: &Component| component.known[1..].iter().any(|low| *low != Some(0));
        self.progressive && self.components.iter().any(missing)
    }

    /// Transforms the coefficients that several scans have refined.
    pub(super) fn finish(&mut self) {
        for component in &mut self.components {
            let Some(table) = component.quantization else { continue };
            let (stride, blocks) = (component.stride, component.blocks_stride());
            for (i, coefficients) in component.coefficients.iter().enumerate() {
                let offset = 8 * (i / blocks * stride + i % blocks);
                idct::block(coefficients, &table, &mut component.samples[offset..], stride);
            }
        }
    }
}
