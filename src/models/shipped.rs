//! Models and statistics that are part of the library, so that everything works on first run.

/// A file that is part of the library.
#[derive(Debug, Clone, Copy)]
pub struct Shipped {
    /// Its name.
    pub name: &'static str,
    /// A description.
    pub about: &'static str,
    /// Its license.
    pub license: &'static str,
    /// Its content, safetensors.
    pub bytes: &'static [u8],
}

#[cfg(feature = "models")]
macro_rules! shipped {
    ($name:literal, $about:literal) => {
        Shipped {
            name: $name,
            about: $about,
            license: "MIT OR Apache-2.0; trained on Fashion-MNIST (MIT)",
            bytes: include_bytes!(concat!("../../models/", $name, ".safetensors")),
        }
    };
}

/// The files.
#[cfg(feature = "models")]
pub const SHIPPED: &[Shipped] = &[
    shipped!("fashion-stylegan2", "StyleGAN2 of Fashion-MNIST, 32 x 32, unconditional"),
    shipped!("fashion-biggan", "BigGAN-deep of Fashion-MNIST, 32 x 32, 10 classes"),
    shipped!("fashion-cnn", "classifier of Fashion-MNIST, 10 classes, 32 x 32"),
    shipped!("fashion-test", "statistics of the 10,000 test images of Fashion-MNIST"),
];

/// None: the feature `models` is off.
#[cfg(not(feature = "models"))]
pub const SHIPPED: &[Shipped] = &[];

/// The shipped file `name`.
pub fn shipped(name: &str) -> Option<&'static Shipped> {
    SHIPPED.iter().find(|s| s.name == name)
}
