//! The graph, block by block.

use ganscope_model::network::{Builder, ConvSpec, PoolSpec};
use ganscope_model::{Checkpoint, Network, Node, Op, Result};

/// Batch normalization adds this to the variance.
const BATCH_NORM_EPS: f64 = 1e-3;

/// Window of the pools that keep the size of the map.
const SAME: PoolSpec = PoolSpec { kernel: [3, 3], stride: [1, 1], padding: [[1, 1], [1, 1]] };
/// Window of the pools that halve it.
const HALF: PoolSpec = PoolSpec { kernel: [3, 3], stride: [2, 2], padding: [[0, 0], [0, 0]] };

/// The network of a checkpoint, (N, 3, 299, 299) to 1008 logits, with bias.
///
/// # Errors
/// If a tensor is missing, has another shape, or is left over.
pub fn network(mut checkpoint: Checkpoint) -> Result<Network> {
    checkpoint.discard(|name| name.ends_with("num_batches_tracked"));
    let mut g = Graph { checkpoint, builder: Builder::new(3), block: String::new() };

    let x = g.conv("Conv2d_1a_3x3", Node::INPUT, (3, 32), Kernel::Halving3)?;
    let x = g.conv("Conv2d_2a_3x3", x, (32, 32), Kernel::Valid3)?;
    let x = g.conv("Conv2d_2b_3x3", x, (32, 64), Kernel::Same(3, 3))?;
    let x = g.builder.max_pool("maxpool_1", x, HALF);
    let x = g.conv("Conv2d_3b_1x1", x, (64, 80), Kernel::Same(1, 1))?;
    let x = g.conv("Conv2d_4a_3x3", x, (80, 192), Kernel::Valid3)?;
    let x = g.builder.max_pool("maxpool_2", x, HALF);
    let x = g.mixed_5("Mixed_5b", x, 192, 32)?;
    let x = g.mixed_5("Mixed_5c", x, 256, 64)?;
    let x = g.mixed_5("Mixed_5d", x, 288, 64)?;
    let x = g.mixed_6a("Mixed_6a", x)?;
    let x = g.mixed_6("Mixed_6b", x, 128)?;
    let x = g.mixed_6("Mixed_6c", x, 160)?;
    let x = g.mixed_6("Mixed_6d", x, 160)?;
    let x = g.mixed_6("Mixed_6e", x, 192)?;
    let x = g.mixed_7a("Mixed_7a", x)?;
    let x = g.mixed_7("Mixed_7b", x, 1280, Op::AvgPool(SAME, false))?;
    let x = g.mixed_7("Mixed_7c", x, 2048, Op::MaxPool(SAME))?;
    let x = g.builder.step("avgpool", &[x], Op::GlobalAvgPool);
    g.builder.linear(&mut g.checkpoint, "fc", x, (2048, 1008))?;
    g.checkpoint.finish()?;
    Ok(g.builder.build())
}

/// Kernel sizes, with their stride and padding.
#[derive(Clone, Copy)]
enum Kernel {
    /// Height and width, padded so that the map keeps its size.
    Same(usize, usize),
    /// 3 x 3 without padding.
    Valid3,
    /// 3 x 3 without padding, every second pixel.
    Halving3,
}

struct Graph {
    checkpoint: Checkpoint,
    builder: Builder,
    /// Name of the block whose branches are being built.
    block: String,
}

impl Graph {
    /// Convolution, batch normalization and rectifier `name`.
    fn conv(
        &mut self,
        name: &str,
        x: Node,
        (inputs, outputs): (usize, usize),
        kernel: Kernel,
    ) -> Result<Node> {
        let sized = |kernel| ConvSpec::new(inputs, outputs, kernel);
        let spec = match kernel {
            Kernel::Same(h, w) => sized([h, w]).padding(h / 2, w / 2),
            Kernel::Valid3 => sized([3, 3]),
            Kernel::Halving3 => sized([3, 3]).stride(2),
        };
        let names = (format!("{name}.conv"), format!("{name}.bn"));
        let norm = (names.0.as_str(), names.1.as_str(), BATCH_NORM_EPS);
        let x = self.builder.conv_norm(&mut self.checkpoint, norm, x, spec)?;
        Ok(self.builder.relu(&format!("{name}.relu"), x))
    }

    /// The same for a branch of the current block.
    fn branch(
        &mut self,
        name: &str,
        x: Node,
        channels: (usize, usize),
        kernel: Kernel,
    ) -> Result<Node> {
        self.conv(&format!("{}.{name}", self.block), x, channels, kernel)
    }

    /// A 1 x 1 convolution after a pool.
    fn pooled(&mut self, x: Node, channels: (usize, usize), pool: Op) -> Result<Node> {
        let pooled = self.builder.step(&format!("{}.pool", self.block), &[x], pool);
        self.branch("branch_pool", pooled, channels, Kernel::Same(1, 1))
    }

    /// 35 x 35 pixels.
    fn mixed_5(&mut self, name: &str, x: Node, c: usize, pool_features: usize) -> Result<Node> {
        use Kernel::Same;
        self.block = name.into();
        let a = self.branch("branch1x1", x, (c, 64), Same(1, 1))?;
        let b = self.branch("branch5x5_1", x, (c, 48), Same(1, 1))?;
        let b = self.branch("branch5x5_2", b, (48, 64), Same(5, 5))?;
        let d = self.branch("branch3x3dbl_1", x, (c, 64), Same(1, 1))?;
        let d = self.branch("branch3x3dbl_2", d, (64, 96), Same(3, 3))?;
        let d = self.branch("branch3x3dbl_3", d, (96, 96), Same(3, 3))?;
        let p = self.pooled(x, (c, pool_features), Op::AvgPool(SAME, false))?;
        Ok(self.builder.concat(name, &[a, b, d, p]))
    }

    /// 35 x 35 to 17 x 17 pixels.
    fn mixed_6a(&mut self, name: &str, x: Node) -> Result<Node> {
        self.block = name.into();
        let a = self.branch("branch3x3", x, (288, 384), Kernel::Halving3)?;
        let b = self.branch("branch3x3dbl_1", x, (288, 64), Kernel::Same(1, 1))?;
        let b = self.branch("branch3x3dbl_2", b, (64, 96), Kernel::Same(3, 3))?;
        let b = self.branch("branch3x3dbl_3", b, (96, 96), Kernel::Halving3)?;
        let p = self.builder.max_pool(&format!("{name}.pool"), x, HALF);
        Ok(self.builder.concat(name, &[a, b, p]))
    }

    /// 17 x 17 pixels, with `c` channels between the 7 x 7 factors.
    fn mixed_6(&mut self, name: &str, x: Node, c: usize) -> Result<Node> {
        use Kernel::Same;
        self.block = name.into();
        let a = self.branch("branch1x1", x, (768, 192), Same(1, 1))?;
        let b = self.branch("branch7x7_1", x, (768, c), Same(1, 1))?;
        let b = self.branch("branch7x7_2", b, (c, c), Same(1, 7))?;
        let b = self.branch("branch7x7_3", b, (c, 192), Same(7, 1))?;
        let d = self.branch("branch7x7dbl_1", x, (768, c), Same(1, 1))?;
        let d = self.branch("branch7x7dbl_2", d, (c, c), Same(7, 1))?;
        let d = self.branch("branch7x7dbl_3", d, (c, c), Same(1, 7))?;
        let d = self.branch("branch7x7dbl_4", d, (c, c), Same(7, 1))?;
        let d = self.branch("branch7x7dbl_5", d, (c, 192), Same(1, 7))?;
        let p = self.pooled(x, (768, 192), Op::AvgPool(SAME, false))?;
        Ok(self.builder.concat(name, &[a, b, d, p]))
    }

    /// 17 x 17 to 8 x 8 pixels.
    fn mixed_7a(&mut self, name: &str, x: Node) -> Result<Node> {
        self.block = name.into();
        let a = self.branch("branch3x3_1", x, (768, 192), Kernel::Same(1, 1))?;
        let a = self.branch("branch3x3_2", a, (192, 320), Kernel::Halving3)?;
        let b = self.branch("branch7x7x3_1", x, (768, 192), Kernel::Same(1, 1))?;
        let b = self.branch("branch7x7x3_2", b, (192, 192), Kernel::Same(1, 7))?;
        let b = self.branch("branch7x7x3_3", b, (192, 192), Kernel::Same(7, 1))?;
        let b = self.branch("branch7x7x3_4", b, (192, 192), Kernel::Halving3)?;
        let p = self.builder.max_pool(&format!("{name}.pool"), x, HALF);
        Ok(self.builder.concat(name, &[a, b, p]))
    }

    /// 8 x 8 pixels.
    fn mixed_7(&mut self, name: &str, x: Node, c: usize, pool: Op) -> Result<Node> {
        use Kernel::Same;
        self.block = name.into();
        let a = self.branch("branch1x1", x, (c, 320), Same(1, 1))?;
        let b = self.branch("branch3x3_1", x, (c, 384), Same(1, 1))?;
        let b1 = self.branch("branch3x3_2a", b, (384, 384), Same(1, 3))?;
        let b2 = self.branch("branch3x3_2b", b, (384, 384), Same(3, 1))?;
        let d = self.branch("branch3x3dbl_1", x, (c, 448), Same(1, 1))?;
        let d = self.branch("branch3x3dbl_2", d, (448, 384), Same(3, 3))?;
        let d1 = self.branch("branch3x3dbl_3a", d, (384, 384), Same(1, 3))?;
        let d2 = self.branch("branch3x3dbl_3b", d, (384, 384), Same(3, 1))?;
        let p = self.pooled(x, (c, 192), pool)?;
        Ok(self.builder.concat(name, &[a, b1, b2, d1, d2, p]))
    }
}
