//! Weight files of all formats, written here byte by byte and read back; malicious and damaged ones; the converted backbone.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod graph_writer;
mod pickle_writer;

use std::path::Path;

use graph_writer::Strides;
use pickle_writer::{Saved, floats, global, legacy_file, saved, state_dict, state_dict_of_python_2, text, zip_file};
use quarry::detector::weights::{
    DType, Format, NamedArray, WeightError, WeightFile, expected_shapes, read, read_backbone, read_bytes,
    write_safetensors,
};

fn parse(bytes: &[u8]) -> Result<WeightFile, WeightError> {
    read_bytes(Path::new("some.pth"), bytes)
}

fn refusal(bytes: &[u8]) -> String {
    parse(bytes).expect_err("the file is refused").to_string()
}

fn counting(n: usize) -> Vec<u8> {
    floats((0..n).map(|k| k as f32))
}

#[test]
fn both_pytorch_formats_give_shapes_strides_offsets_and_number_formats() {
    let tensors = [
        saved("a", "0", &[2, 3], &[3, 1]),
        saved("transposed", "0", &[3, 2], &[1, 3]),
        Saved { offset: 4, ..saved("tail", "0", &[2], &[1]) },
        Saved { parameter: true, ..saved("parameter", "0", &[1, 1, 6], &[6, 6, 1]) },
        saved("scalar", "0", &[], &[]),
        saved("empty", "0", &[0, 4], &[4, 1]),
        saved("four", "0", &[1, 2, 1, 3], &[6, 3, 3, 1]),
        Saved { old: true, offset: 1, ..saved("old", "0", &[2, 2], &[2, 1]) },
    ];
    let storages = [("0", counting(6))];
    let zip = parse(&zip_file(&state_dict(&tensors, false), &storages)).unwrap();
    let legacy = parse(&legacy_file(&state_dict(&tensors, true), &storages, 4)).unwrap();
    assert_eq!((zip.format, legacy.format), (Format::TorchZip, Format::TorchLegacy));
    assert_eq!(zip.arrays, legacy.arrays);
    let check = |name: &str, shape: &[usize], data: &[f32]| {
        let array = zip.arrays.iter().find(|a| a.name == name).unwrap();
        assert_eq!((&array.shape[..], &array.data[..], array.dtype), (shape, data, DType::F32), "{name}");
    };
    check("a", &[2, 3], &[0., 1., 2., 3., 4., 5.]);
    check("transposed", &[3, 2], &[0., 3., 1., 4., 2., 5.]);
    check("tail", &[2], &[4., 5.]);
    check("parameter", &[1, 1, 6], &[0., 1., 2., 3., 4., 5.]);
    check("scalar", &[], &[0.]);
    check("empty", &[0, 4], &[]);
    check("four", &[1, 2, 1, 3], &[0., 1., 2., 3., 4., 5.]);
    check("old", &[2, 2], &[1., 2., 3., 4.]);
}

#[test]
fn files_of_pytorch_before_0_4_and_of_python_2_are_read() {
    let storages = [("0", counting(6))];
    let old = Saved { old: true, ..saved("features.0.weight", "0", &[2, 3], &[3, 1]) };
    for pickle in [state_dict(std::slice::from_ref(&old), true), state_dict_of_python_2(&old)] {
        let file = parse(&legacy_file(&pickle, &storages, 4)).unwrap();
        let array = &file.arrays[0];
        assert_eq!((array.name.as_str(), &array.shape[..]), ("features.0.weight", &[2, 3][..]));
        assert_eq!(array.data, [0., 1., 2., 3., 4., 5.]);
    }
}

#[test]
fn half_and_integer_storages_become_floats() {
    let check = |storage: &str, bytes: Vec<u8>, expected: &[f32]| {
        let shape = [expected.len() as u32];
        let tensors = [Saved { storage, ..saved("x", "7", &shape, &[1]) }];
        let file = parse(&zip_file(&state_dict(&tensors, false), &[("7", bytes)])).unwrap();
        assert_eq!(file.arrays[0].data, expected, "{storage}");
    };
    check("HalfStorage", vec![0x00, 0x3c, 0x00, 0xc0], &[1.0, -2.0]);
    check("BFloat16Storage", vec![0x80, 0x3f], &[1.0]);
    check("DoubleStorage", 2.5_f64.to_le_bytes().to_vec(), &[2.5]);
    check("LongStorage", 41_i64.to_le_bytes().to_vec(), &[41.0]);
}

#[test]
fn weights_inside_a_larger_checkpoint_are_found_and_the_rest_is_named() {
    let inner = state_dict(&[saved("w", "0", &[2], &[1])], false);
    let mut outer = vec![0x80, 2, b'}', b'('];
    text(&mut outer, "epoch");
    outer.extend([b'K', 12]);
    text(&mut outer, "state_dict");
    outer.extend(&inner[2..inner.len() - 1]);
    outer.extend(b"u.");
    let file = parse(&zip_file(&outer, &[("0", counting(2))])).unwrap();
    assert_eq!(file.arrays.len(), 1);
    assert!(file.notes[0].contains("`state_dict`"), "{:?}", file.notes);
}

#[test]
fn a_pickle_that_wants_to_run_something_is_refused_by_opcode_and_offset() {
    let mut evil = vec![0x80, 2];
    global(&mut evil, "os", "system");
    text(&mut evil, "echo owned");
    evil.extend([0x85, b'R', b'.']);
    let message = refusal(&zip_file(&evil, &[]));
    assert!(message.contains("os.system") && message.contains("opcode 0x63 at byte 2"), "{message}");

    for (opcode, bytes) in [
        ("0x69", &b"\x80\x02(i"[..]),
        ("0x93", b"\x80\x02\x93."),
        ("0x81", b"\x80\x02)\x81."),
        ("0x6f", b"\x80\x02(o."),
    ] {
        let message = refusal(&zip_file(bytes, &[]));
        assert!(message.contains(&format!("opcode {opcode} at byte")), "{message}");
    }
    let mut evil = vec![0x80, 2];
    global(&mut evil, "torch", "load");
    let message = refusal(&legacy_file(&evil, &[], 4));
    assert!(message.contains("torch.load") && message.contains("some.pth"), "{message}");
}

/// Only the opcodes of state dicts are read: all other pickle opcodes, in any protocol, are refused.
#[test]
fn every_opcode_that_state_dicts_do_not_need_is_refused() {
    const READ: &[u8] = b"\x80(}])N\x88\x89KMJ\x8aGXTUqrhjt\x85\x86\x87suaecQRb.";
    for opcode in 0..=u8::MAX {
        let message = refusal(&zip_file(&[&[0x80, 2, opcode][..], b"os\nsystem\n\x08\0\0\0echo 1\n."].concat(), &[]));
        let is_unknown = message.contains(&format!("opcode 0x{opcode:02x} at byte 2: is not one that PyTorch writes"));
        assert_eq!(is_unknown, !READ.contains(&opcode), "0x{opcode:02x}: {message}");
    }
    // Allowed globals are listed; everything else is refused when it is named, before any call.
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("__builtin__", "exec"),
        ("subprocess", "Popen"),
        ("torch", "load"),
        ("torch.storage", "_load_from_bytes"),
        ("torch._utils", "_rebuild_wrapper_subclass"),
        ("torch.hub", "load"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("collections", "OrderedDict.__init__"),
        ("runpy", "_run_code"),
        ("", ""),
    ] {
        let mut evil = vec![0x80, 2];
        global(&mut evil, module, name);
        evil.extend([b')', b'R', b'.']);
        assert!(refusal(&zip_file(&evil, &[])).contains(&format!("`{module}.{name}`")), "{module}.{name}");
    }
    // An allowed global that is not a function is not called, nor is anything that the file created itself.
    for callable in [&b"ctorch\nFloatStorage\n"[..], b"K\x01", b"X\x02\0\0\0os", b"}", b")"] {
        let evil = [&[0x80, 2][..], callable, b")R."].concat();
        assert!(refusal(&zip_file(&evil, &[])).contains("a call that is not part of a state dict"), "{callable:?}");
    }
}

#[test]
fn hostile_sizes_are_refused_without_filling_memory() {
    let check = |tensor: Saved, expected: &str| {
        let message = refusal(&zip_file(&state_dict(&[tensor], false), &[("0", counting(6))]));
        assert!(message.contains(expected), "{message}");
    };
    check(saved("x", "0", &[7], &[1]), "beyond its storage");
    check(Saved { offset: 6, ..saved("x", "0", &[1], &[1]) }, "beyond its storage");
    check(saved("x", "0", &[2, 2], &[1, 5]), "beyond its storage");
    check(saved("x", "0", &[60_000, 60_000, 60_000], &[0, 0, 0]), "larger than the file");
    check(saved("x", "0", &[2_000_000_000, 2_000_000_000, 2_000_000_000], &[0, 0, 0]), "larger than the file");
    check(saved("x", "9", &[1], &[1]), "data/9");

    // Values that cost one byte of the file each, or six, and unbounded memory.
    let many = |value: &[u8], count: usize| [&[0x80, 2][..], &value.repeat(count), b"."].concat();
    for bomb in [many(b"]", 3_100_000), many(b"(", 3_100_000), many(b"(((((", 700_000)] {
        assert!(refusal(&zip_file(&bomb, &[])).contains("more than 3000000 values"));
    }
    let mut bomb = vec![0x80, 2];
    global(&mut bomb, "collections", "OrderedDict");
    // A pair, memoised; a list of it a hundred thousand times, in a tuple, memoised; a thousand dicts made of that.
    bomb.extend(b"q\0NN\x86q\x02]q\x01(");
    bomb.extend(b"h\x02".repeat(100_000));
    bomb.extend(b"e\x85q\x03");
    bomb.extend(b"h\0h\x03R".repeat(1000));
    bomb.push(b'.');
    let message = refusal(&zip_file(&bomb, &[]));
    assert!(message.contains("more than 3000000 values"), "{message}");

    // A million nested tuples, and a truncated pickle.
    let mut deep = vec![0x80, 2, b')'];
    deep.extend(std::iter::repeat_n(0x85, 1_000_000));
    deep.push(b'.');
    assert!(refusal(&zip_file(&deep, &[])).contains("no state dict"));
    let whole = legacy_file(&state_dict(&[saved("a", "0", &[6], &[1])], true), &[("0", counting(6))], 4);
    for end in 0..whole.len() {
        assert!(parse(&whole[..end]).is_err(), "cut off at byte {end}");
    }
    parse(&whole).unwrap();
}

#[test]
fn no_single_changed_byte_panics() {
    let tensors = [saved("a", "0", &[2, 3], &[3, 1]), saved("b", "1", &[4], &[1])];
    let storages = [("0", counting(6)), ("1", counting(4))];
    let files = [
        zip_file(&state_dict(&tensors, false), &storages),
        legacy_file(&state_dict(&tensors, true), &storages, 4),
        graph_writer::one_convolution(),
    ];
    for file in files {
        for at in 0..file.len().min(1500) {
            for change in [0x01, 0x80, 0xff] {
                let mut damaged = file.clone();
                damaged[at] ^= change;
                // Either outcome is right; a panic is not.
                let _ = parse(&damaged);
            }
        }
    }
}

#[test]
fn safetensors_round_trip_is_exact_and_repeatable() {
    let dir = tempfile::tempdir().unwrap();
    let arrays =
        [NamedArray::new("b", vec![2, 2], vec![1.0, -2.5, 3.0e-9, 4.0]), NamedArray::new("a", vec![], vec![7.0])];
    let metadata = Some(("quarry", "{}"));
    let (one, two) = (dir.path().join("one.safetensors"), dir.path().join("two.safetensors"));
    write_safetensors(&one, &arrays, metadata).unwrap();
    write_safetensors(&two, &arrays, metadata).unwrap();
    assert_eq!(std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());
    let file = read(&one).unwrap();
    assert_eq!((file.format, &file.arrays[0], &file.arrays[1]), (Format::Safetensors, &arrays[1], &arrays[0]));
    assert_eq!(quarry::detector::weights::metadata(&one).unwrap()["quarry"], "{}");
    let bytes = std::fs::read(&one).unwrap();
    assert!(refusal(&bytes[..bytes.len() - 1]).contains("cut off"));
}

#[test]
fn unknown_files_and_missing_files_are_told_apart() {
    assert!(refusal(b"JFIF").contains("neither a safetensors file"));
    assert!(refusal(b"").contains("neither a safetensors file"));
    let message = read(Path::new("nowhere/at/all.pth")).unwrap_err().to_string();
    assert!(message.contains("nowhere/at/all.pth"), "{message}");
}

#[test]
fn a_graph_is_walked_by_its_edges_whatever_the_order_and_names() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("half.onnx");
    let mut seen = Vec::new();
    for (shuffle, strides, flavour) in
        [(1, Strides::Caffe, "caffe"), (2, Strides::Caffe, "caffe"), (1, Strides::Torchvision, "torchvision")]
    {
        std::fs::write(&path, graph_writer::resnet50_half_like(shuffle, strides)).unwrap();
        let backbone = read_backbone(&path, "resnet50-half").unwrap();
        assert_eq!((backbone.flavour, backbone.batch_norm_eps, backbone.arrays.len()), (flavour, 0.0, 53 * 5));
        for (array, (name, shape)) in backbone.arrays.iter().zip(expected_shapes("resnet50-half").unwrap()) {
            assert_eq!((&array.name, &array.shape), (&name, &shape));
            if name.ends_with("conv1.weight") || name.ends_with("conv2.weight") || name.ends_with("downsample.0.weight")
            {
                // The writer puts a number derived from the layer's position into each weight.
                assert_eq!(array.data[0], graph_writer::mark(name.trim_end_matches(".weight")), "{name}");
            }
        }
        let bias = backbone.arrays.iter().find(|a| a.name == "layer3.0.downsample.1.bias").unwrap();
        assert_eq!(bias.data[3], graph_writer::mark("layer3.0.downsample.0") + 0.5, "the bias is the norm's");
        seen.push(backbone.arrays);
    }
    assert_eq!(seen[0], seen[1]);
    // Quarry's own files keep their flavour.
    let converted = dir.path().join("half.safetensors");
    write_safetensors(&converted, &seen[2], Some(("quarry.flavour", "torchvision"))).unwrap();
    assert_eq!(read_backbone(&converted, "resnet50-half").unwrap().flavour, "torchvision");
}

#[test]
fn a_graph_with_torchvisions_names_is_read_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("named.onnx");
    let check = |backbone: &str, strides: Strides, flavour: &str| {
        std::fs::write(&path, graph_writer::by_name(backbone, strides, |_| false)).unwrap();
        let read = read_backbone(&path, backbone).unwrap();
        let expected = expected_shapes(backbone).unwrap();
        assert_eq!(
            (read.flavour, read.batch_norm_eps, read.arrays.len()),
            (flavour, 1e-5, expected.len()),
            "{backbone}"
        );
        for (array, (name, shape)) in read.arrays.iter().zip(expected) {
            assert_eq!((&array.name, &array.shape, array.data[0]), (&name, &shape, graph_writer::mark(&name)));
        }
        assert!(read.notes[0].contains(&format!("of the graph's {} initialisers", read.arrays.len() + 1)));
    };
    check("resnet50-half", Strides::Torchvision, "torchvision");
    check("resnet50-half", Strides::Caffe, "caffe");
    // Two 3x3 convolutions have the stride in the first, whatever their origin.
    check("resnet18", Strides::Caffe, "torchvision");
    let refused = |backbone: &str, bytes: Vec<u8>, expected: &str| {
        std::fs::write(&path, bytes).unwrap();
        let message = read_backbone(&path, backbone).unwrap_err().to_string();
        assert!(message.contains("named.onnx") && message.contains(expected), "{message}");
    };
    refused(
        "vgg16",
        graph_writer::by_name("resnet18", Strides::Caffe, |_| false),
        "not the weights of vgg16: 30 of 30",
    );
    refused("resnet18", graph_writer::by_name("resnet18", Strides::Caffe, |n| n.starts_with("bn1.")), "ONNX ResNet");
}

#[test]
fn a_backbone_comes_out_of_a_classifier_and_out_of_a_whole_detector() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("weights.safetensors");
    let check = |arrays: &[NamedArray], expected: Result<usize, &str>| {
        write_safetensors(&path, arrays, None).unwrap();
        match (read_backbone(&path, "resnet18"), expected) {
            (Ok(backbone), Ok(notes)) => {
                assert_eq!(backbone.arrays.len(), 100);
                assert_eq!(backbone.notes.len(), notes, "{:?}", backbone.notes);
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expected) => panic!("{found:?} where {expected:?} was expected"),
        }
    };
    let bare: Vec<NamedArray> = filled("resnet18", "");
    check(&bare, Ok(0));
    let mut classifier = bare.clone();
    classifier.push(NamedArray::new("fc.weight", vec![2, 512], vec![0.0; 1024]));
    classifier.push(NamedArray::new("bn1.num_batches_tracked", vec![], vec![9.0]));
    check(&classifier, Ok(2));
    let mut detector = filled("resnet18", "backbone.body.");
    detector.push(NamedArray::new("rpn.head.conv.weight", vec![1], vec![0.0]));
    check(&detector, Ok(2));
    check(&bare[1..], Err("1 of 100 tensors are missing, the first is `conv1.weight`"));
    let mut larger = bare.clone();
    larger.push(NamedArray::new("layer1.2.conv1.weight", vec![1], vec![0.0]));
    check(&larger, Err("the first is `layer1.2.conv1.weight`"));
    let mut reshaped = bare.clone();
    reshaped[0].shape = vec![3, 64, 7, 7];
    check(&reshaped, Err("[3, 64, 7, 7] where [64, 3, 7, 7]"));
    let mut broken = bare;
    broken[4].data[1] = f32::NAN;
    check(&broken, Err("holds 1 numbers that are NaN"));
    let message = read_backbone(&path, "resnet51").unwrap_err().to_string();
    assert!(message.contains("resnet50-half"), "{message}");
}

fn filled(backbone: &str, prefix: &str) -> Vec<NamedArray> {
    let shapes = expected_shapes(backbone).unwrap().into_iter();
    shapes
        .map(|(name, shape)| {
            NamedArray::new(format!("{prefix}{name}"), shape.clone(), vec![0.5; shape.iter().product()])
        })
        .collect()
}
