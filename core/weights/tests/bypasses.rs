//! Pickles by which scanners of models were bypassed: a scanner has a list of what is dangerous, and the
//! attacks name what is not on it, hide where the scanner does not look, or break the file behind
//! themselves. The reader here has a list of what is allowed, and runs nothing.

use std::io::{Cursor, Write as _};

use ganscope_weights::{Error, ReadOptions, inspect_bytes, read_bytes};
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

/// Functions of published attacks and their kin, as module and name.
const GLOBALS: &[(&str, &str)] = &[
    ("__builtin__", "eval"),
    ("_io", "FileIO"),
    ("_operator", "methodcaller"),
    ("aiohttp", "client"),
    ("asyncio.unix_events", "_UnixSubprocessTransport._start"),
    ("bdb", "Bdb.run"),
    ("builtins", "__import__"),
    ("builtins", "getattr"),
    ("cProfile", "runctx"),
    ("cloudpickle", "loads"),
    ("code", "InteractiveInterpreter.runcode"),
    ("collections", "OrderedDict.__reduce__.__globals__"),
    ("ctypes", "CDLL"),
    ("dill", "loads"),
    ("distutils.file_util", "write_file"),
    ("doctest", "debug_script"),
    ("ensurepip", "_run_pip"),
    ("functools", "partial"),
    ("http.client", "HTTPSConnection"),
    ("idlelib.autocomplete", "AutoComplete.get_entity"),
    ("idlelib.calltip", "get_entity"),
    ("idlelib.debugobj", "ObjectTreeItem.SetText"),
    ("idlelib.pyshell", "ModifiedInterpreter.runcode"),
    ("idlelib.run", "Executive.runcode"),
    ("importlib", "import_module"),
    ("lib2to3.pgen2.grammar", "Grammar.loads"),
    ("lib2to3.pgen2.pgen", "ParserGenerator.make_label"),
    ("linecache", "getlines"),
    ("logging.config", "listen"),
    ("nt", "system"),
    ("numpy", "load"),
    ("numpy.core.multiarray", "scalar.__class__"),
    ("numpy.f2py.crackfortran", "param_eval"),
    ("numpy.testing._private.utils", "runstring"),
    ("operator", "attrgetter"),
    ("os", "system"),
    ("pdb", "run"),
    ("pickle", "loads"),
    ("pip", "main"),
    ("pip._internal.cli.main", "main"),
    ("pkgutil", "resolve_name"),
    ("posix", "system"),
    ("profile", "Profile.runctx"),
    ("pty", "spawn"),
    ("pydoc", "locate"),
    ("runpy", "_run_code"),
    ("shelve", "open"),
    ("shutil", "rmtree"),
    ("subprocess", "getoutput"),
    ("sys", "modules"),
    ("timeit", "timeit"),
    ("torch", "load"),
    ("torch._dynamo.guards", "GuardBuilder.get"),
    ("torch._utils", "_rebuild_tensor_v2.__globals__"),
    ("torch.fx.experimental.symbolic_shapes", "ShapeEnv.evaluate_guards_expression"),
    ("torch.hub", "load"),
    ("torch.jit.unsupported_tensor_ops", "execWrapper"),
    ("torch.serialization", "load"),
    ("torch.utils._config_module", "ConfigModule.load_config"),
    ("torch.utils.bottleneck.__main__", "run_cprofile"),
    ("torch.utils.collect_env", "run"),
    ("torch.utils.data.datapipes.utils.decoder", "basichandlers"),
    ("trace", "Trace.run"),
    ("types", "CodeType"),
    ("urllib.request", "urlopen"),
    ("uuid", "_get_command_stdout"),
    ("webbrowser", "open"),
];

/// A pickle that calls a function with one text, by an instruction that names it in one way.
type Call = fn(&str, &str) -> Vec<u8>;

const CALLS: &[(&str, Call)] = &[
    ("by GLOBAL", |module, name| {
        [b"\x80\x02c", module.as_bytes(), b"\n", name.as_bytes(), b"\n", ARGUMENT, b"R."].concat()
    }),
    ("by STACK_GLOBAL", |module, name| {
        [b"\x80\x04", &text(module)[..], &text(name), b"\x93", ARGUMENT, b"R."].concat()
    }),
    ("by names from the memo", |module, name| {
        let memo = [&text(name)[..], b"\x940", &text(module), b"\x940"].concat();
        [b"\x80\x04", &memo[..], b"h\x01h\x00\x93", ARGUMENT, b"R."].concat()
    }),
    ("by INST", |module, name| {
        let names = [module, "\n", name, "\n"].concat();
        [b"\x80\x02(X\x04\x00\x00\x00echoi", names.as_bytes(), b"."].concat()
    }),
    ("by NEWOBJ", |module, name| {
        [b"\x80\x02c", module.as_bytes(), b"\n", name.as_bytes(), b"\n", ARGUMENT, b"\x81."]
            .concat()
    }),
    ("as the factory of a dictionary", |module, name| {
        let factory = [b"c", module.as_bytes(), b"\n", name.as_bytes(), b"\n"].concat();
        [b"\x80\x02ccollections\ndefaultdict\n", &factory[..], b"\x85R."].concat()
    }),
    ("by an import of dill", |module, name| {
        let import = [b"cdill._dill\n_import_module\n", &text(module)[..], b"\x85R"].concat();
        let get = [b"cdill._dill\n_get_attr\n", &import[..], &text(name), b"\x86R"].concat();
        [b"\x80\x04", &get[..], ARGUMENT, b"R."].concat()
    }),
    ("deep in a state dict", |module, name| {
        let call =
            [b"c", module.as_bytes(), b"\n", name.as_bytes(), b"\n", ARGUMENT, b"R"].concat();
        [b"\x80\x02}X\x01\x00\x00\x00a}X\x01\x00\x00\x00b", &call[..], b"ss."].concat()
    }),
    ("and then the file breaks", |module, name| {
        let names = [module, "\n", name, "\n"].concat();
        [b"\x80\x02c", names.as_bytes(), ARGUMENT, b"R\xff\xff"].concat()
    }),
    ("and a harmless dictionary follows", |module, name| {
        let names = [module, "\n", name, "\n"].concat();
        [b"\x80\x02c", names.as_bytes(), ARGUMENT, b"R0}."].concat()
    }),
];

/// A tuple of one text.
const ARGUMENT: &[u8] = b"X\x04\x00\x00\x00echo\x85";

fn text(text: &str) -> Vec<u8> {
    let mut bytes = vec![0x8C, text.len() as u8];
    bytes.extend(text.as_bytes());
    bytes
}

/// The archive of `torch.save` with a pickle, which is packed or not.
fn archive(pickle: &[u8], method: CompressionMethod) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in [("model/data.pkl", pickle), ("model/version", b"3\n")] {
        archive.start_file(name, options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// The archive with a checksum of its pickle that is wrong: a scanner gave up where torch read on.
fn wrong_checksum(pickle: &[u8]) -> Vec<u8> {
    let mut bytes = archive(pickle, CompressionMethod::Stored);
    let mut crc = flate2::Crc::new();
    crc.update(pickle);
    let crc = crc.sum().to_le_bytes();
    for at in 0..bytes.len() - 4 {
        if bytes[at..at + 4] == crc {
            bytes[at] ^= 1;
        }
    }
    bytes
}

#[test]
fn every_published_bypass_is_refused() {
    let mut cases = 0;
    for (module, name) in GLOBALS {
        for (how, call) in CALLS {
            let pickle = call(module, name);
            let mut legacy =
                b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.".to_vec();
            legacy.extend(&pickle);
            let files = [
                ("bare", pickle.clone()),
                ("stored", archive(&pickle, CompressionMethod::Stored)),
                ("deflated", archive(&pickle, CompressionMethod::Deflated)),
                ("with a wrong checksum", wrong_checksum(&pickle)),
                ("legacy", legacy),
            ];
            for (what, file) in files {
                let case = format!("{module}.{name} {how}, {what}");
                let read = read_bytes(&file, &ReadOptions::default());
                let error = read.expect_err(&case);
                assert!(inspect_bytes(&file).is_err(), "{case}");
                let is_named = matches!(&error, Error::ForbiddenGlobal { .. });
                // INST is not an instruction of checkpoints, and a wrong checksum ends the reading.
                let may_be_other = *how == "by INST" || what == "with a wrong checksum";
                assert!(is_named || may_be_other, "{case}: {error}");
                cases += 1;
            }
        }
    }
    assert!(cases > 2500, "{cases} cases");
}
