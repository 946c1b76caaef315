//! Decompression bombs for tests: small files that claim to be huge images, built byte by byte.

/// Returns every bomb with a name for messages and its file extension.
pub(super) fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("square.png", png(200_000, 200_000)),
        ("large.png", png(60_000, 60_000)),
        ("wide.png", png(0x7FFF_FFFF, 0x7FFF_FFFF)),
        ("row.png", png(0x7FFF_FFFF, 1)),
        ("screen.gif", gif((0xFFFF, 0xFFFF), (0xFFFF, 0xFFFF))),
        ("frame.gif", gif((1, 1), (0xFFFF, 0xFFFF))),
        ("square.jpg", jpeg(0xC0, 0xFFFF, 0xFFFF)),
        ("progressive.jpg", jpeg(0xC2, 0xFFFF, 0xFFFF)),
        ("binary.ppm", b"P6 100000 100000 255\n\0\0".to_vec()),
        ("largest.ppm", b"P6 4294967295 4294967295 65535\n".to_vec()),
        ("ascii.ppm", b"P3\n100000 100000\n255\n1 2 3".to_vec()),
        ("ascii.pgm", b"P2\n100000 100000\n255\n1".to_vec()),
        ("binary.pgm", b"P5 100000 100000 65535\n\0".to_vec()),
        ("ascii.pbm", b"P1\n100000 100000\n1 0 1".to_vec()),
        ("binary.pbm", b"P4 400000 400000\n\0".to_vec()),
        ("any.pnm", b"P7\nWIDTH 100000\nHEIGHT 100000\nDEPTH 4\nMAXVAL 65535\nTUPLTYPE RGB_ALPHA\nENDHDR\n".to_vec()),
        ("square.bmp", bmp(60_000, 60_000)),
        ("upside_down.bmp", bmp(60_000, -60_000)),
        ("lowest.bmp", bmp(60_000, i32::MIN)),
        ("lower.bmp", bmp(60_000, i32::MIN + 1)),
        ("huge.bmp", bmp(i32::MAX, i32::MAX)),
        ("square.tif", tiff(100_000, 100_000, 0xFFFF_FFFF)),
        ("strips.tif", tiff(100, 100, 0xFFFF_FFFF)),
        ("lossless.webp", webp(*b"VP8L", &[0x2F, 0xFE, 0xBF, 0xFF, 0x0F])),
        ("lossy.webp", webp(*b"VP8 ", &[0x10, 0, 0, 0x9D, 0x01, 0x2A, 0xFF, 0x3F, 0xFF, 0x3F])),
        ("canvas.webp", webp(*b"VP8X", &[0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00])),
        ("metadata.webp", webp_with_endless_exif()),
    ]
}

fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    for (name, content) in
        [(b"IHDR", header.as_slice()), (b"IDAT", b"\x78\x9c\x63\x60\x60\x60\0\0\0\x04\0\x01"), (b"IEND", b"")]
    {
        let named = [&name[..], content].concat();
        bytes.extend((content.len() as u32).to_be_bytes());
        bytes.extend(&named);
        bytes.extend(crc32(&named).to_be_bytes());
    }
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}

fn gif(screen: (u16, u16), frame: (u16, u16)) -> Vec<u8> {
    let pair = |(width, height): (u16, u16)| [width.to_le_bytes(), height.to_le_bytes()].concat();
    [
        &b"GIF89a"[..],
        &pair(screen),
        &[0x80, 0, 0, 0, 0, 0, 9, 9, 9, 0x2C, 0, 0, 0, 0],
        &pair(frame),
        &[0, 2, 2, 0x44, 1, 0, 0x3B],
    ]
    .concat()
}

/// A grey JPEG with arbitrary dimensions in its frame header (`SOF0` or `SOF2`).
pub(super) fn jpeg(frame: u8, width: u16, height: u16) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::GrayImage::new(8, 8).write_to(&mut bytes, image::ImageFormat::Jpeg).unwrap();
    let mut bytes = bytes.into_inner();
    let at = bytes.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    bytes[at + 1] = frame;
    bytes[at + 5..at + 7].copy_from_slice(&height.to_be_bytes());
    bytes[at + 7..at + 9].copy_from_slice(&width.to_be_bytes());
    bytes
}

fn bmp(width: i32, height: i32) -> Vec<u8> {
    let mut bytes = b"BM\x3A\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    bytes.extend(width.to_le_bytes());
    bytes.extend(height.to_le_bytes());
    bytes.extend([1, 0, 24, 0]);
    bytes.resize(58, 0);
    bytes
}

fn tiff(width: u32, height: u32, strip_bytes: u32) -> Vec<u8> {
    let tags: [(u16, u16, u32, u32); 9] = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, 8),
        (277, 3, 1, 1),
        (278, 4, 1, height),
        (279, 4, 1, strip_bytes),
    ];
    let mut bytes = b"II\x2A\0\x08\0\0\0\x09\0".to_vec();
    for (tag, kind, count, value) in tags {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([0; 4]);
    bytes
}

fn webp(chunk: [u8; 4], content: &[u8]) -> Vec<u8> {
    let padded = content.len() + content.len() % 2;
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((12 + padded as u32).to_le_bytes());
    bytes.extend(b"WEBP");
    bytes.extend(chunk);
    bytes.extend((content.len() as u32).to_le_bytes());
    bytes.extend(content);
    bytes.resize(20 + padded, 0);
    bytes
}

fn webp_with_endless_exif() -> Vec<u8> {
    let mut bytes = webp(*b"VP8X", &[0x08, 0, 0, 0, 7, 0, 0, 7, 0, 0]);
    for (name, length) in [(b"VP8L", 6_u32), (b"EXIF", 0xFFFF_FFF0)] {
        bytes.extend(name);
        bytes.extend(length.to_le_bytes());
        bytes.extend([0x2F, 7, 0xC0, 1, 0, 0]);
    }
    let length = bytes.len() as u32 - 8;
    bytes[4..8].copy_from_slice(&length.to_le_bytes());
    bytes
}
