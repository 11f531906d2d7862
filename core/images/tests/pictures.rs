//! Pictures: bytes from floats, grids, PNG files.

use std::fs;

use ganscope_images::{Image, decode, grid, quantize_biggan, quantize_stylegan, save_png};

#[test]
fn floats_become_the_bytes_of_the_stylegan_tools() {
    // (x * 127.5 + 128).clamp(0, 255).to(uint8), by PyTorch
    let cases =
        [(-2.0, 0), (-1.0, 0), (-0.996, 1), (0.0, 128), (0.5, 191), (0.999, 255), (3.0, 255)];
    for (x, byte) in cases {
        assert_eq!(quantize_stylegan(x), byte, "{x}");
    }
}

#[test]
fn floats_become_the_bytes_of_the_biggan_tools() {
    // ((x + 1) / 2 * 256).clip(0, 255).astype(uint8), by NumPy
    let cases =
        [(-2.0, 0), (-1.0, 0), (-0.992, 1), (0.0, 128), (0.5, 192), (0.999, 255), (3.0, 255)];
    for (x, byte) in cases {
        assert_eq!(quantize_biggan(x), byte, "{x}");
    }
}

#[test]
fn a_grid_puts_images_beside_and_below_each_other() {
    let [red, green, blue] = [[255, 0, 0], [0, 255, 0], [0, 0, 255]];
    let images = [red, green, blue].map(|color| Image::filled(2, 1, color));
    let picture = grid(&images, 2, 1, [9; 3]);
    assert_eq!((picture.width, picture.height), (7, 5));
    let g = [9; 3];
    let rows =
        [[g; 7], [g, red, red, g, green, green, g], [g; 7], [g, blue, blue, g, g, g, g], [g; 7]];
    assert_eq!(picture.pixels, rows.concat().concat());
    assert_eq!(grid(&images[..1], 8, 0, [0; 3]), images[0]);
    assert!(grid(&[], 8, 0, [0; 3]).pixels.is_empty());
}

#[test]
fn a_saved_png_holds_the_pixels_and_replaces_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    fs::write(&path, "old").unwrap();
    let image = Image { width: 2, height: 2, pixels: (0..12).collect() };
    save_png(&path, &image).unwrap();
    assert_eq!(decode(&fs::read(&path).unwrap(), "a.png").unwrap().image, image);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let error = save_png(&folder.path().join("missing/a.png"), &image).unwrap_err();
    assert!(error.to_string().starts_with("write `"), "{error}");
}

#[test]
fn pixels_of_another_number_are_no_image() {
    assert!(Image::new(2, 2, vec![0; 12]).is_some());
    assert!(Image::new(2, 2, vec![0; 11]).is_none());
    assert!(Image::new(usize::MAX, 2, vec![]).is_none());
}
