//! Hand-made pickles: every protocol, and everything that a hostile one can try.

mod assembler;

use std::time::{Duration, Instant};

use assembler::{Pickle, Tensor, legacy_file, legacy_start};
use ganscope_weights::{Array, Dtype, Error, ReadOptions, inspect_bytes, read_bytes};

fn open(file: &[u8]) -> Result<Array, Error> {
    let mut weights = read_bytes(file, &ReadOptions::default())?;
    Ok(weights.arrays.remove("x").expect("the tensor is named"))
}

/// The error at the end of the chain.
fn root(error: Error) -> Error {
    match error {
        Error::Array { source, .. } | Error::File { source, .. } => root(*source),
        other => other,
    }
}

fn refused(file: &[u8]) -> Error {
    root(read_bytes(file, &ReadOptions::default()).expect_err("the file is refused"))
}

fn assert_malformed(file: &[u8]) {
    let error = refused(file);
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
}

#[test]
fn protocols_2_to_5_are_read_and_6_is_not() {
    for protocol in 2..=5 {
        let array = open(&legacy_file(protocol, &Tensor::PLAIN)).unwrap();
        assert_eq!(array.to_f32(), [1.0, 2.0, 3.0, 4.0]);
    }
    assert_malformed(&legacy_file(6, &Tensor::PLAIN));
}

#[test]
fn storages_of_every_type_are_read() {
    let case = |storage, dtype, data: &[u8], expected: &[f64]| {
        let elements = expected.len() as i64;
        let tensor =
            Tensor { storage, elements, data, offset: 0, shape: &[elements], strides: &[1] };
        let array = open(&legacy_file(2, &tensor)).unwrap();
        assert_eq!((array.dtype(), array.to_f64().as_slice()), (dtype, expected));
    };
    case("BoolStorage", Dtype::Bool, &[0, 1, 2], &[0.0, 1.0, 1.0]);
    case("ByteStorage", Dtype::U8, &[0, 255], &[0.0, 255.0]);
    case("CharStorage", Dtype::I8, &[0, 255], &[0.0, -1.0]);
    case("ShortStorage", Dtype::I16, &[0, 128], &[-32768.0]);
    case("IntStorage", Dtype::I32, &[0, 0, 0, 128], &[-2_147_483_648.0]);
    case("LongStorage", Dtype::I64, &[254, 255, 255, 255, 255, 255, 255, 255], &[-2.0]);
    case("HalfStorage", Dtype::F16, &[0, 60, 1, 0], &[1.0, 1.0 / 16_777_216.0]);
    case("BFloat16Storage", Dtype::Bf16, &[128, 63, 73, 192], &[1.0, -3.140_625]);
    case("FloatStorage", Dtype::F32, &[0, 0, 32, 192], &[-2.5]);
    case("DoubleStorage", Dtype::F64, &[0, 0, 0, 0, 0, 0, 4, 192], &[-2.5]);
}

#[test]
fn views_are_put_in_c_order() {
    let case = |offset, shape, strides, expected: &[f32]| {
        let tensor = Tensor { offset, shape, strides, ..Tensor::PLAIN };
        assert_eq!(open(&legacy_file(2, &tensor)).unwrap().to_f32(), expected);
    };
    case(0, &[2, 2], &[2, 1], &[1.0, 2.0, 3.0, 4.0]);
    case(0, &[2, 2], &[1, 2], &[1.0, 3.0, 2.0, 4.0]); // transposed
    case(0, &[1, 2, 1, 2], &[4, 1, 4, 2], &[1.0, 3.0, 2.0, 4.0]); // channels last
    case(1, &[3], &[1], &[2.0, 3.0, 4.0]);
    case(3, &[1, 1], &[9, 9], &[4.0]); // strides of a single element reach nothing
    case(1, &[2, 3], &[2, 0], &[2.0, 2.0, 2.0, 4.0, 4.0, 4.0]); // expanded
    case(2, &[], &[], &[3.0]);
    case(99, &[0, 7], &[1, 1], &[]); // nothing is out of bounds
}

#[test]
fn views_beyond_their_storage_are_refused() {
    let case = |offset, shape, strides| {
        let tensor = Tensor { offset, shape, strides, ..Tensor::PLAIN };
        assert_malformed(&legacy_file(2, &tensor));
    };
    case(0, &[5], &[1]);
    case(1, &[4], &[1]);
    case(4, &[1], &[1]);
    case(0, &[2, 2], &[3, 1]);
    case(0, &[2], &[-1]);
    case(-1, &[2], &[1]);
    case(0, &[-2], &[1]);
    case(0, &[2, 2], &[1]);
    case(0, &[i64::MAX, 2], &[i64::MAX, 1]);
    case(i64::MAX, &[2], &[i64::MAX]);
}

#[test]
fn expanded_tensors_cannot_fill_the_memory() {
    let tensor = Tensor { shape: &[1 << 40], strides: &[0], ..Tensor::PLAIN };
    let error = refused(&legacy_file(2, &tensor));
    assert!(matches!(error, Error::Limit { what: "array memory", .. }), "{error}");
    let tensor = Tensor { shape: &[1 << 40, 1 << 40], strides: &[0, 0], ..Tensor::PLAIN };
    assert!(matches!(refused(&legacy_file(2, &tensor)), Error::Limit { .. }));
    // Within the bound they are read.
    let tensor = Tensor { shape: &[1 << 20], strides: &[0], ..Tensor::PLAIN };
    assert_eq!(open(&legacy_file(2, &tensor)).unwrap().len(), 1 << 20);
    // A listing names them without making them.
    let tensor = Tensor { shape: &[1 << 40], strides: &[0], ..Tensor::PLAIN };
    let listing = inspect_bytes(&legacy_file(2, &tensor)).unwrap();
    assert_eq!(listing.entries[0].shape, [1 << 40]);
}

#[test]
fn storages_that_are_not_what_they_claim_are_refused() {
    for elements in [3, 5, 1 << 40, i64::MAX, -1] {
        assert_malformed(&legacy_file(2, &Tensor { elements, ..Tensor::PLAIN }));
    }
    let whole = legacy_file(2, &Tensor::PLAIN);
    for len in 0..whole.len() {
        assert!(read_bytes(&whole[..len], &ReadOptions::default()).is_err(), "{len} bytes");
    }
}

#[test]
fn globals_outside_of_the_list_are_named_and_refused() {
    for protocol in 2..=5 {
        let call = Pickle::protocol(protocol).global("os", "system").text("true").raw(b"\x85R");
        let error = refused(&call.stop());
        assert_eq!(
            error.to_string(),
            "the pickle asks for `os.system`, which is not on the list of allowed globals"
        );
    }
    let stacked = Pickle::protocol(4).text("builtins").text("eval").raw(b"\x93").stop();
    assert!(refused(&stacked).to_string().contains("`builtins.eval`"));
    // Inside of a legacy file, as the type of a storage.
    let tensor = Tensor { storage: "load", ..Tensor::PLAIN };
    assert!(refused(&legacy_file(2, &tensor)).to_string().contains("`torch.load`"));
    // Beside the package of TorchScript.
    for module in ["__torch__os", "x.__torch__", "__torch"] {
        let call = Pickle::protocol(2).global(module, "system").text("true").raw(b"\x85R");
        assert!(refused(&call.stop()).to_string().contains(module));
    }
}

#[test]
fn imports_of_dill_are_names_of_allowed_globals() {
    let import = |pickle: Pickle, module: &str| {
        pickle.global("dill._dill", "_import_module").text(module).raw(b"\x85R")
    };
    let get = |module: &str, name: &str| {
        let pickle = Pickle::protocol(4).global("dill._dill", "_get_attr");
        import(pickle, module).text(name).raw(b"\x86R")
    };
    for (module, name) in [("os", "system"), ("builtins", "eval"), ("torch", "load")] {
        let call = get(module, name).text("true").raw(b"\x85R").stop();
        assert!(matches!(refused(&call), Error::ForbiddenGlobal { .. }), "{module}.{name}");
    }
    assert!(refused(&import(Pickle::protocol(4), "os").stop()).to_string().contains("`os.*`"));
    // A module by something else than its name, a name of something else than a module.
    let unnamed = Pickle::protocol(4).global("dill._dill", "_import_module").int(1).raw(b"\x85R");
    assert_malformed(&unnamed.stop());
    let of_text = Pickle::protocol(4).global("dill._dill", "_get_attr").text("numpy");
    assert_malformed(&of_text.text("dtype").raw(b"\x86R").stop());
    let of_itself = Pickle::protocol(4).global("dill._dill", "_get_attr").global("torch", "Size");
    assert_malformed(&of_itself.raw(b")R").text("Size").raw(b"\x86R").stop());
    // An allowed one is what it is by its own name.
    let by_name = |pickle: Pickle| pickle.raw(b")R").stop();
    let direct = by_name(Pickle::protocol(4).global("torch", "Size"));
    let imported = by_name(get("torch", "Size"));
    assert_eq!(refused(&direct).to_string(), refused(&imported).to_string());
}

#[test]
fn a_module_of_torchscript_is_its_attributes_and_may_contain_itself_without_end() {
    // `object = Node(); object.self = object`
    let start = Pickle::protocol(2).global("__torch__", "Node").raw(b")\x81q\x00}");
    let nested = start.text("self").raw(b"h\x00sb").stop();
    let error = refused(&nested).to_string();
    assert!(error.contains("nesting of dicts"), "{error}");
    let empty = Pickle::protocol(2).global("__torch__.a", "Node").raw(b")\x81}b").stop();
    assert!(refused(&empty).to_string().contains("no arrays"));
}

#[test]
fn instructions_that_no_checkpoint_needs_are_named() {
    let error = refused(&Pickle::protocol(2).raw(b"\xFF").stop());
    assert!(matches!(error, Error::UnknownOpcode { opcode: 0xFF, offset: 2 }), "{error}");
    // INST, which names a class and calls it
    let error = refused(&Pickle::protocol(2).raw(b"(ios\nsystem\n").stop());
    assert!(matches!(error, Error::UnknownOpcode { opcode: b'i', .. }), "{error}");
}

#[test]
fn claimed_lengths_are_not_believed() {
    let huge = [0xFF; 8];
    for opcode in [b"X", b"B", b"T", b"\x8D", b"\x8E", b"\x96", b"\x8B", b"\x95"] {
        assert_malformed(&Pickle::protocol(4).raw(opcode).raw(&huge).stop());
        assert_malformed(&Pickle::protocol(4).raw(opcode).raw(&huge[..7]).raw(&[0x7F]).stop());
    }
}

#[test]
fn a_stack_that_is_used_wrongly_is_refused() {
    for body in [
        &b""[..],
        b"0",
        b"1",
        b"t",
        b"2",
        b"(0",
        b"N(R",
        b"\x87",
        b"N\x86",
        b"h\x07",
        b"j\xFF\xFF\xFF\xFF",
        b"q\x00",
        b"NNR",
        b"NNs",
        b"NNb",
        b"NNa",
        b"}(Nu",
        b"](NNe(",
        b")Na",
        b"\x93",
        b"NQR",
        b"\x80\x09",
    ] {
        assert_malformed(&Pickle::protocol(4).raw(body).stop());
    }
}

#[test]
fn a_container_in_itself_is_refused_in_time() {
    let itself = Pickle::protocol(2).raw(b"}q\x00").text("a").raw(b"h\x00s").stop();
    assert!(matches!(refused(&itself), Error::Limit { .. }));
    let list = Pickle::protocol(2).raw(b"]q\x00h\x00ah\x00ah\x00a").stop();
    assert!(matches!(refused(&list), Error::Limit { .. }));
}

#[test]
fn shared_containers_do_not_multiply() {
    // Each dict holds the previous one twice: 2^60 ways to the innermost.
    let mut pickle = Pickle::protocol(2).raw(b"}q\x00");
    for level in 0..60u8 {
        pickle = pickle.raw(b"}").text("a").raw(&[b'h', level, b's']);
        pickle = pickle.text("b").raw(&[b'h', level, b's', b'q', level + 1]);
    }
    let start = Instant::now();
    assert!(matches!(refused(&pickle.stop()), Error::Limit { .. }));
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn one_tensor_under_many_names_stays_within_the_bound() {
    let tensor = Tensor { shape: &[1 << 20], strides: &[0], ..Tensor::PLAIN };
    let whole = legacy_file(2, &tensor);
    let name = b"X\x01\x00\x00\x00x";
    let start = legacy_start().len();
    let at = start + whole[start..].windows(name.len()).position(|w| w == name).unwrap();
    let end = start + whole[start..].windows(2).position(|w| w == b"s.").unwrap();
    let mut file = whole[..at].to_vec();
    file.extend(Pickle::default().text("x0").0);
    file.extend(&whole[at + name.len()..end]);
    file.extend(b"q\x01s");
    for index in 1..100 {
        file.extend(Pickle::default().text(&format!("x{index}")).raw(b"h\x01s").0);
    }
    file.extend(&whole[end + 1..]);
    let error = refused(&file);
    assert!(matches!(error, Error::Limit { what: "array memory", .. }), "{error}");
}

#[test]
fn depth_costs_no_stack() {
    let deep = |open: &[u8], close: &[u8]| {
        let pickle = Pickle::protocol(2).raw(&open.repeat(1_000_000)).raw(b"N");
        pickle.raw(&close.repeat(1_000_000)).stop()
    };
    for file in [deep(b"", b"\x85"), deep(b"(", b"t"), deep(b"]", b"a"), deep(b"(", b"l")] {
        let error = refused(&file);
        assert!(matches!(error, Error::Limit { .. }), "{error}");
    }
    let parameters = Pickle::protocol(2)
        .raw(&b"ctorch._utils\n_rebuild_parameter\n".repeat(10_000))
        .raw(b"N")
        .raw(&b"\x85R".repeat(10_000));
    assert_malformed(&parameters.stop());
}

#[test]
fn endless_programs_are_refused() {
    let pickle = Pickle::protocol(2).raw(&b"N0".repeat(4_000_000));
    assert!(matches!(refused(&pickle.stop()), Error::Limit { .. }));
}

#[test]
fn modules_that_share_their_parts_do_not_multiply() {
    // A persistent object whose two submodules are the same object, sixty times.
    let module = |pickle: Pickle, inner: Option<u8>| {
        let pickle = pickle
            .global("torch_utils.persistence", "_reconstruct_persistent_obj")
            .raw(b"}")
            .text("state")
            .raw(b"}")
            .text("_modules")
            .raw(b"}");
        let pickle = match inner {
            Some(memo) => {
                pickle.text("a").raw(&[b'h', memo, b's']).text("b").raw(&[b'h', memo, b's'])
            }
            None => pickle,
        };
        pickle.raw(b"ss\x85R")
    };
    let mut pickle = module(Pickle::protocol(4), None).raw(b"q\x00");
    for level in 0..60 {
        pickle = module(pickle, Some(level)).raw(&[b'q', level + 1]);
    }
    assert!(matches!(refused(&pickle.stop()), Error::Limit { .. }));
}

#[test]
fn plain_modules_that_share_their_parts_do_not_multiply() {
    let module = |pickle: Pickle, inner: Option<u8>| {
        let pickle = pickle.global("R3GAN.Networks", "Generator").raw(b")\x81}");
        let pickle = pickle.text("_modules").raw(b"}");
        let pickle = match inner {
            Some(memo) => {
                pickle.text("a").raw(&[b'h', memo, b's']).text("b").raw(&[b'h', memo, b's'])
            }
            None => pickle,
        };
        pickle.raw(b"sb")
    };
    let mut pickle = module(Pickle::protocol(4), None).raw(b"q\x00");
    for level in 0..60 {
        pickle = module(pickle, Some(level)).raw(&[b'q', level + 1]);
    }
    assert!(matches!(refused(&pickle.stop()), Error::Limit { .. }));
}

#[test]
fn a_part_of_a_module_that_is_no_module_is_refused() {
    let with = |class: (&str, &str), part: &[u8]| {
        let pickle = Pickle::protocol(4).global(class.0, class.1).raw(b")\x81}");
        let pickle = pickle.text("_modules").raw(b"}").text("a").raw(part).raw(b"ssb");
        refused(&pickle.stop()).to_string()
    };
    let known = ("R3GAN.Networks", "Generator");
    let seven = with(known, b"K\x07");
    assert!(seven.contains("the module `a.` is"), "{seven}");
    // Classes of the same packages that are not known, and others under known names.
    for class in [("R3GAN.Networks", "Loader"), ("training.networks", "exec"), ("os", "Generator")]
    {
        let error = with(class, b"N");
        assert!(error.contains(class.1), "{error}");
    }
}

#[test]
fn a_snapshot_is_read_without_its_source_code() {
    // What the golden snapshots do not have: a parameter that is None, a buffer that is not
    // saved, and positional arguments.
    let blob = {
        let storage = Pickle::protocol(2).raw(b"(").text("storage").global("torch", "LongStorage");
        let storage = storage.text("7").text("cpu").int(1).raw(b"NtQ").stop();
        let keys = Pickle::protocol(2).raw(b"]").text("7").raw(b"a").stop();
        [legacy_start(), storage, keys, 1u64.to_le_bytes().into(), 42u64.to_le_bytes().into()]
            .concat()
    };
    let tensor = |pickle: Pickle| {
        pickle
            .global("torch._utils", "_rebuild_tensor_v2")
            .raw(b"(")
            .global("torch.storage", "_load_from_bytes")
            .bytes(&blob)
            .raw(b"\x85R")
            .int(0)
            .ints(&[])
            .ints(&[])
            .raw(b"\x89NtR")
    };
    let pickle = Pickle::protocol(3)
        .raw(b"}")
        .text("G_ema")
        .global("torch_utils.persistence", "_reconstruct_persistent_obj")
        .raw(b"}(")
        .text("module_src")
        .text("import os; os.system('true')")
        .text("class_name")
        .text("Generator")
        .text("state")
        .raw(b"}(")
        .text("_init_args")
        .ints(&[512])
        .text("_init_kwargs")
        .raw(b"}")
        .text("w_dim")
        .int(512)
        .raw(b"s")
        .text("_parameters")
        .raw(b"}")
        .text("bias")
        .raw(b"Ns")
        .text("_non_persistent_buffers_set")
        .global("builtins", "set")
        .raw(b"](")
        .text("scratch")
        .raw(b"e\x85R")
        .text("_buffers")
        .raw(b"}");
    let pickle = tensor(pickle.text("scratch")).raw(b"s");
    let file = tensor(pickle.text("kept")).raw(b"suu\x85Rs").stop();
    let weights = read_bytes(&file, &ReadOptions::default()).unwrap();
    assert_eq!(weights.arrays.keys().collect::<Vec<_>>(), ["kept"]);
    assert_eq!(weights.arrays["kept"].to_i64(), [42]);
    let config = serde_json::Value::Object(weights.config).to_string();
    assert_eq!(config, r#"{"class_name":"Generator","w_dim":512,"_init_args":[512]}"#);
}

#[test]
fn what_is_no_checkpoint_is_called_what_it_is() {
    let case = |bytes: &[u8], expected: &str| {
        let message = refused(bytes).to_string();
        assert_eq!(message, format!("no known checkpoint format: {expected}"));
    };
    case(b"", "the file is empty");
    case(b"<!DOCTYPE html>", "a web page or XML");
    case(b"\x1f\x8b\x08\x00", "a gzip file");
    case(b"hello, world", "the file starts with 68 65 6c 6c 6f 2c 20 77");
    case(
        b"version https://git-lfs.github.com/spec/v1\n",
        "a Git LFS pointer in place of the file, which `git lfs pull` fetches",
    );
}
