//! Real files.

use std::fs;
use std::path::Path;

use super::{Redb, Storage, content, put};
use crate::stage::{EntryId, StoreErrorKind};

/// A file with 50 entries.
fn filled(path: &Path) {
    let mut store = Redb::open(path).unwrap();
    let changes: Vec<_> = (1..=50).map(|id| put(id, 300)).collect();
    store.commit(&changes, true).unwrap();
}

#[test]
fn what_was_written_is_there_when_the_file_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox");
    filled(&path);
    let mut store = Redb::open(&path).unwrap();
    assert!(store.set_aside().is_none());
    assert_eq!(content(&mut store).unwrap().len(), 50);
}

#[cfg(unix)]
#[test]
fn nobody_but_the_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox");
    filled(&path);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_second_owner_is_refused_and_disturbs_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox");
    let mut store = Redb::open(&path).unwrap();
    let error = Redb::open(&path).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::InUse);
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    store.commit(&[put(1, 1)], true).unwrap();
    drop(store);
    assert_eq!(content(&mut Redb::open(&path).unwrap()).unwrap().len(), 1);
}

#[test]
fn what_cannot_be_a_file_is_said_with_its_name_and_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let error = Redb::open(directory.path()).unwrap_err();
    assert!(error.to_string().contains("is a directory"), "{error}");
    let error = Redb::open(directory.path().join("no/outbox")).unwrap_err();
    assert!(error.to_string().contains("does not exist: make it"), "{error}");
    assert!(error.to_string().contains(&directory.path().join("no").display().to_string()), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_may_not_be_written_is_denied() {
    // Nobody may make files there, root neither.
    let error = Redb::open("/proc/outbox").unwrap_err();
    assert!(matches!(error.kind(), StoreErrorKind::Denied | StoreErrorKind::Io), "{error}");
    assert!(error.to_string().contains("/proc/outbox"), "{error}");
}

#[test]
fn a_damaged_file_is_set_aside_and_a_new_one_begun() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 6] = [
        ("garbage", |bytes| bytes.iter_mut().for_each(|byte| *byte = byte.wrapping_mul(31).wrapping_add(7))),
        ("text", |bytes| *bytes = b"this is no database".to_vec()),
        ("cut in half", |bytes| bytes.truncate(bytes.len() / 2)),
        ("cut to a few bytes", |bytes| bytes.truncate(100)),
        ("zeroes", |bytes| bytes.fill(0)),
        // Every page from the second on, so that the entries are hit wherever they lie.
        ("flipped bits", |bytes| bytes[4096..].iter_mut().step_by(64).for_each(|byte| *byte ^= 0x10)),
    ];
    for (name, damage) in damages {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("outbox");
        filled(&path);
        let mut bytes = fs::read(&path).unwrap();
        damage(&mut bytes);
        fs::write(&path, &bytes).unwrap();
        let mut store = Redb::open(&path).unwrap();
        let aside = store.set_aside().unwrap_or_else(|| panic!("{name}: nothing was noticed")).to_owned();
        assert_eq!(aside, directory.path().join("outbox.damaged-1"), "{name}");
        assert_eq!(fs::read(&aside).unwrap(), bytes, "{name}: kept as it was");
        assert!(content(&mut store).unwrap().is_empty(), "{name}");
        store.commit(&[put(1, 1)], true).unwrap();
        drop(store);
        let mut store = Redb::open(&path).unwrap();
        assert!(store.set_aside().is_none(), "{name}");
        assert_eq!(content(&mut store).unwrap().len(), 1, "{name}");
        // And once more.
        drop(store);
        fs::write(&path, b"text").unwrap();
        assert_eq!(Redb::open(&path).unwrap().set_aside(), Some(&*directory.path().join("outbox.damaged-2")));
    }
}

#[test]
fn an_empty_file_is_a_new_outbox() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox");
    fs::write(&path, b"").unwrap();
    assert!(Redb::open(&path).unwrap().set_aside().is_none());
}

#[test]
fn a_database_of_something_else_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox");
    let database = ::redb::Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    let table: ::redb::TableDefinition<'_, u64, u64> = ::redb::TableDefinition::new("other");
    transaction.open_table(table).unwrap().insert(1, 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = Redb::open(&path).unwrap_err();
    assert!(error.to_string().contains("a database of something else"), "{error}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing was set aside");
}

/// Writes another number where the file says in which form it is, or none.
fn say_form(path: &Path, form: Option<u64>) {
    let database = ::redb::Database::open(path).unwrap();
    let transaction = database.begin_write().unwrap();
    let table: ::redb::TableDefinition<'_, &str, u64> = ::redb::TableDefinition::new("outbox.meta");
    let mut meta = transaction.open_table(table).unwrap();
    match form {
        Some(form) => meta.insert("form", form).unwrap(),
        None => meta.remove("form").unwrap(),
    };
    drop(meta);
    transaction.commit().unwrap();
}

#[test]
fn a_file_of_a_newer_version_is_refused_and_keeps_its_place_and_its_messages() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox");
    filled(&path);
    say_form(&path, Some(2));
    let error = Redb::open(&path).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Newer);
    assert!(error.to_string().contains("has the form 2, which a newer version"), "{error}");
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing was set aside");
    say_form(&path, Some(1));
    assert_eq!(content(&mut Redb::open(&path).unwrap()).unwrap().len(), 50);
}

#[test]
fn a_file_that_does_not_say_its_form_is_set_aside() {
    for form in [None, Some(0)] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("outbox");
        filled(&path);
        say_form(&path, form);
        let mut store = Redb::open(&path).unwrap();
        assert_eq!(store.set_aside(), Some(&*directory.path().join("outbox.damaged-1")));
        assert!(content(&mut store).unwrap().is_empty());
    }
}

#[test]
fn with_a_thousand_damaged_files_beside_it_a_damaged_one_is_left_where_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox");
    fs::write(&path, b"text").unwrap();
    for number in 1..=1000 {
        fs::write(directory.path().join(format!("outbox.damaged-{number}")), b"").unwrap();
    }
    let error = Redb::open(&path).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupted);
    assert!(error.to_string().contains("1000 damaged ones beside it already"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"text");
}

#[test]
fn the_file_does_not_grow_with_what_went_through_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox");
    let mut store = Redb::open(&path).unwrap();
    let mut largest = 0;
    for round in 0..2_000_u64 {
        let id = round * 2 + 1;
        store.commit(&[put(id, 500), put(id + 1, 500)], round % 3 == 0).unwrap();
        store.commit(&[super::delete(id), super::delete(id + 1)], false).unwrap();
        largest = largest.max(fs::metadata(&path).unwrap().len());
    }
    assert!(content(&mut store).unwrap().is_empty());
    assert!(largest <= 4 * 1024 * 1024, "{largest} bytes");
    assert_eq!(store.load(EntryId(1), 1, 1).unwrap(), []);
}
