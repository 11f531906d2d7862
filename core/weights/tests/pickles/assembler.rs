//! Writes pickles, instruction by instruction.

/// A pickle under construction.
#[derive(Debug, Clone, Default)]
pub(super) struct Pickle(pub(super) Vec<u8>);

impl Pickle {
    pub(super) fn protocol(version: u8) -> Self {
        Self(vec![0x80, version])
    }

    /// Appends instructions as they are.
    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    pub(super) fn text(self, text: &str) -> Self {
        self.raw(b"X").raw(&(text.len() as u32).to_le_bytes()).raw(text.as_bytes())
    }

    pub(super) fn int(self, value: i64) -> Self {
        self.raw(&[0x8A, 8]).raw(&value.to_le_bytes())
    }

    pub(super) fn bytes(self, bytes: &[u8]) -> Self {
        self.raw(b"B").raw(&(bytes.len() as u32).to_le_bytes()).raw(bytes)
    }

    pub(super) fn global(self, module: &str, name: &str) -> Self {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }

    pub(super) fn ints(self, values: &[i64]) -> Self {
        values.iter().fold(self.raw(b"("), |pickle, &value| pickle.int(value)).raw(b"t")
    }

    pub(super) fn stop(self) -> Vec<u8> {
        self.raw(b".").0
    }
}

/// A tensor of a torch file: type of its storage, data, and the view.
#[derive(Debug, Clone)]
pub(super) struct Tensor<'a> {
    pub(super) storage: &'a str,
    pub(super) elements: i64,
    pub(super) data: &'a [u8],
    pub(super) offset: i64,
    pub(super) shape: &'a [i64],
    pub(super) strides: &'a [i64],
}

impl Tensor<'_> {
    /// Four floats as a vector, to be changed by the test.
    pub(super) const PLAIN: Self = Self {
        storage: "FloatStorage",
        elements: 4,
        data: &[0, 0, 128, 63, 0, 0, 0, 64, 0, 0, 64, 64, 0, 0, 128, 64],
        offset: 0,
        shape: &[4],
        strides: &[1],
    };
}

/// The pickles in front of the object of a legacy file.
pub(super) fn legacy_start() -> Vec<u8> {
    let magic = [0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19];
    let mut file = Pickle(magic.into()).stop();
    file.extend(Pickle::protocol(2).raw(&[b'M', 0xE9, 0x03]).stop());
    file.extend(Pickle::protocol(2).raw(b"}").text("little_endian").raw(b"\x88s").stop());
    file
}

/// A legacy file with one tensor named `x`, its object pickled by `protocol`.
pub(super) fn legacy_file(protocol: u8, tensor: &Tensor<'_>) -> Vec<u8> {
    let object = Pickle::protocol(protocol)
        .raw(b"}")
        .text("x")
        .global("torch._utils", "_rebuild_tensor_v2")
        .raw(b"((")
        .text("storage")
        .global("torch", tensor.storage)
        .text("0")
        .text("cpu")
        .int(tensor.elements)
        .raw(b"NtQ")
        .int(tensor.offset)
        .ints(tensor.shape)
        .ints(tensor.strides)
        .raw(b"\x89NtRs")
        .stop();
    let mut file = legacy_start();
    file.extend(object);
    file.extend(Pickle::protocol(2).raw(b"]").text("0").raw(b"a").stop());
    file.extend(tensor.elements.to_le_bytes());
    file.extend(tensor.data);
    file
}
