use super::*;

fn batch(first: f32, rows: usize) -> FeatureBatch {
    let values = |width: usize| (0..rows * width).map(|i| first + i as f32).collect();
    FeatureBatch {
        features: Features::from_vec(values(3), 3).unwrap(),
        logits: Some(Features::from_vec(values(2), 2).unwrap()),
        spatial: None,
    }
}

fn read(store: &FeatureStore) -> Vec<FeatureBatch> {
    store.read().collect::<Result<_>>().unwrap()
}

#[test]
fn rows_come_back_as_they_were_appended() {
    let mut store = FeatureStore::temporary().unwrap();
    store.append(Some(&batch(0.0, 2)), &[], 2).unwrap();
    store.append(Some(&batch(9.0, 1)), &[], 3).unwrap();
    assert_eq!(read(&store), [batch(0.0, 2), batch(9.0, 1)]);
    assert_eq!((store.done(), store.rows()), (3, 3));
}

#[test]
fn two_readers_do_not_disturb_each_other() {
    let mut store = FeatureStore::temporary().unwrap();
    // More than a reader takes at once.
    let batches: Vec<_> = (0..4).map(|i| batch(i as f32, 50_000)).collect();
    for (i, batch) in batches.iter().enumerate() {
        store.append(Some(batch), &[], 50_000 * (i + 1)).unwrap();
    }
    let logits = Rows::batches(&store);
    for ((read, logits), batch) in store.read().zip(logits).zip(&batches) {
        assert_eq!((&read.unwrap(), &logits.unwrap()), (batch, batch.logits.as_ref().unwrap()));
    }
    assert_eq!((Rows::len(&store), store.dim()), (200_000, 2));
}

#[test]
fn an_interrupted_store_goes_on_after_its_last_whole_record() {
    let folder = tempfile::tempdir().unwrap();
    let skipped = Skipped { index: 2, name: "x.png".into(), reason: "broken".into() };
    let mut store = FeatureStore::open(folder.path(), "key").unwrap();
    store.append(Some(&batch(0.0, 2)), std::slice::from_ref(&skipped), 3).unwrap();
    store.append(Some(&batch(9.0, 2)), &[], 5).unwrap();
    drop(store);
    let path = folder.path().join("key.rows");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();

    let mut store = FeatureStore::open(folder.path(), "key").unwrap();
    assert_eq!((store.done(), store.rows(), store.skipped().collect()), (3, 2, vec![&skipped]));
    store.append(Some(&batch(9.0, 2)), &[], 5).unwrap();
    drop(store);
    assert_eq!(std::fs::read(&path).unwrap(), whole);
}

#[test]
fn whatever_byte_is_changed_only_good_rows_are_left_and_the_store_heals() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = FeatureStore::open(folder.path(), "key").unwrap();
    let batches = [batch(0.0, 2), batch(9.0, 2)];
    store.append(Some(&batches[0]), &[], 2).unwrap();
    store.append(Some(&batches[1]), &[], 4).unwrap();
    drop(store);
    let path = folder.path().join("key.rows");
    let whole = std::fs::read(&path).unwrap();
    for (at, bit) in (0..whole.len()).flat_map(|at| [(at, 1), (at, 0x80)]) {
        let mut bytes = whole.clone();
        bytes[at] ^= bit;
        std::fs::write(&path, bytes).unwrap();
        let mut store = FeatureStore::open(folder.path(), "key").unwrap();
        // A digit of the widths changes what follows, which then has no digest.
        assert_eq!(read(&store), batches[..store.rows() / 2], "byte {at}");
        for (i, batch) in batches.iter().enumerate().skip(store.done() / 2) {
            store.append(Some(batch), &[], 2 * (i + 1)).unwrap();
        }
        assert_eq!(read(&store), batches);
        drop(store);
        assert_eq!(std::fs::read(&path).unwrap(), whole, "byte {at}");
    }
}

#[test]
fn widths_that_add_up_to_the_same_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = FeatureStore::open(folder.path(), "key").unwrap();
    store.append(Some(&batch(0.0, 2)), &[], 2).unwrap();
    drop(store);
    let path = folder.path().join("key.rows");
    let mut bytes = std::fs::read(&path).unwrap();
    let line = bytes.iter().position(|&b| b == b'\n').unwrap();
    for digit in &mut bytes[..line] {
        *digit = match *digit {
            b'3' => b'2',
            b'2' => b'3',
            other => other,
        };
    }
    let layout = bytes.windows(10).position(|window| window == b"\"layout\":3").unwrap();
    bytes[layout + 9] = b'2';
    std::fs::write(&path, bytes).unwrap();
    let store = FeatureStore::open(folder.path(), "key").unwrap();
    assert_eq!((store.done(), store.rows()), (0, 0));
}

#[test]
fn zeros_at_the_end_are_dropped_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = FeatureStore::open(folder.path(), "key").unwrap();
    store.append(Some(&batch(0.0, 2)), &[], 2).unwrap();
    store.append(Some(&batch(9.0, 2)), &[], 4).unwrap();
    drop(store);
    let path = folder.path().join("key.rows");
    let mut bytes = std::fs::read(&path).unwrap();
    let len = bytes.len();
    bytes[len - 20..].fill(0);
    std::fs::write(&path, bytes).unwrap();
    let store = FeatureStore::open(folder.path(), "key").unwrap();
    assert!(store.was_damaged());
    assert_eq!((store.done(), read(&store)), (2, vec![batch(0.0, 2)]));
}

#[cfg(unix)]
#[test]
fn a_link_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    std::fs::write(&other, b"mine").unwrap();
    std::os::unix::fs::symlink(&other, folder.path().join("key.rows")).unwrap();
    assert!(FeatureStore::open(folder.path(), "key").is_err());
    assert_eq!(std::fs::read(&other).unwrap(), b"mine");
}

#[test]
fn a_file_of_another_kind_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key.rows"), b"something else\n").unwrap();
    let mut store = FeatureStore::open(folder.path(), "key").unwrap();
    assert_eq!((store.done(), store.rows()), (0, 0));
    store.append(Some(&batch(0.0, 2)), &[], 2).unwrap();
    assert_eq!(read(&store), [batch(0.0, 2)]);
}
