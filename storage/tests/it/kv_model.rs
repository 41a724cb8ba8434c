//! Goal: every backend is the same ordered map. Method: random batches, reads and scans against
//! a `BTreeMap`, with the durable backends closed and opened again on the way.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use proptest::prelude::*;
use redb::ReadableDatabase;
use storage::kv::mem::MemKv;
use storage::kv::sled::SledKv;
use storage::kv::{Batch, Flow, Kv, StoreError};

const TABLE: redb::TableDefinition<'_, &[u8], &[u8]> = redb::TableDefinition::new("state");

/// The way out, should sled have to go: it passes the same suite.
struct RedbKv {
    db: redb::Database,
}

fn failed(error: impl std::error::Error) -> StoreError {
    StoreError::Database(error.to_string())
}

impl RedbKv {
    fn open(dir: &Path) -> Self {
        let db = redb::Database::create(dir.join("state.redb")).unwrap();
        let write = db.begin_write().unwrap();
        write.open_table(TABLE).unwrap();
        write.commit().unwrap();
        Self { db }
    }
}

impl Kv for RedbKv {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let read = self.db.begin_read().map_err(failed)?;
        let table = read.open_table(TABLE).map_err(failed)?;
        let value = table.get(key).map_err(failed)?;
        Ok(value.map(|value| value.value().to_vec()))
    }

    fn scan(
        &self,
        prefix: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> Flow,
    ) -> Result<(), StoreError> {
        let read = self.db.begin_read().map_err(failed)?;
        let table = read.open_table(TABLE).map_err(failed)?;
        for pair in table.range(prefix..).map_err(failed)? {
            let (key, value) = pair.map_err(failed)?;
            if !key.value().starts_with(prefix) || visit(key.value(), value.value()).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let write = self.db.begin_write().map_err(failed)?;
        {
            let mut table = write.open_table(TABLE).map_err(failed)?;
            for (key, value) in batch.changes() {
                match value {
                    Some(value) => drop(table.insert(key, value).map_err(failed)?),
                    None => drop(table.remove(key).map_err(failed)?),
                }
            }
        }
        write.commit().map_err(failed)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<(Vec<u8>, Option<Vec<u8>>)>),
    Reopen,
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    // Few distinct bytes, so that keys collide and share prefixes.
    proptest::collection::vec(0_u8..3, 1..5)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let value = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..80));
    let commit = proptest::collection::vec((key(), value), 0..12).prop_map(Step::Commit);
    proptest::collection::vec(prop_oneof![6 => commit, 1 => Just(Step::Reopen)], 1..10)
}

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn same(kv: &dyn Kv, model: &Model, prefix: &[u8]) {
    let mut found = Vec::new();
    kv.scan(prefix, &mut |key, value| {
        found.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    })
    .unwrap();
    let expected: Vec<_> = model
        .iter()
        .filter(|(key, _)| key.starts_with(prefix))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    assert_eq!(found, expected, "scan of {prefix:?}");
    let mut first = None;
    kv.scan(prefix, &mut |key, _| {
        assert!(
            first.replace(key.to_vec()).is_none(),
            "a stopped scan went on"
        );
        ControlFlow::Break(())
    })
    .unwrap();
    assert_eq!(first, expected.first().map(|(key, _)| key.clone()));
    assert_eq!(kv.get(prefix).unwrap(), model.get(prefix).cloned());
}

fn run(steps: &[Step], mut kv: Box<dyn Kv>, reopen: Option<&dyn Fn() -> Box<dyn Kv>>) {
    let mut model = Model::new();
    for step in steps {
        match (step, reopen) {
            (Step::Commit(changes), _) => {
                let mut batch = Batch::new();
                for (key, value) in changes {
                    match value {
                        Some(value) => {
                            batch.put(key.clone(), value.clone()).unwrap();
                            model.insert(key.clone(), value.clone());
                        }
                        None => {
                            batch.delete(key.clone()).unwrap();
                            model.remove(key);
                        }
                    }
                }
                kv.commit(&batch).unwrap();
            }
            (Step::Reopen, Some(open)) => {
                drop(kv);
                kv = open();
            }
            (Step::Reopen, None) => {}
        }
        for prefix in [&[][..], &[0], &[1, 2], &[2, 2, 2, 2], &[9]] {
            same(kv.as_ref(), &model, prefix);
        }
    }
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn memory(steps in steps()) {
        run(&steps, Box::new(MemKv::new()), None);
    }
}

proptest! {
    #![proptest_config(cases(12))]

    #[test]
    fn guarded_sled(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let open = || -> Box<dyn Kv> { Box::new(SledKv::open(&dir.path().join("state")).unwrap()) };
        run(&steps, open(), Some(&open));
    }

    #[test]
    fn redb_is_a_way_out(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let open = || -> Box<dyn Kv> { Box::new(RedbKv::open(dir.path())) };
        run(&steps, open(), Some(&open));
    }
}

#[test]
fn lengths_are_limited() {
    let mut batch = Batch::new();
    assert!(batch.put(vec![1], vec![0; 32 << 10]).is_ok());
    let long = batch.put(vec![1], vec![0; (32 << 10) + 1]).unwrap_err();
    assert!(
        matches!(
            long,
            StoreError::ValueTooLong {
                found: 32_769,
                limit: 32_768
            }
        ),
        "{long}"
    );
    assert!(matches!(
        batch.put(Vec::new(), Vec::new()),
        Err(StoreError::KeyLength { found: 0, .. })
    ));
    assert!(matches!(
        batch.delete(vec![0; 257]),
        Err(StoreError::KeyLength { found: 257, .. })
    ));
}

#[test]
fn a_replaced_database_file_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let mut kv = SledKv::open(dir.path()).unwrap();
    let file = dir.path().join("db");
    std::fs::copy(&file, dir.path().join("copy")).unwrap();
    std::fs::rename(dir.path().join("copy"), &file).unwrap();
    let mut batch = Batch::new();
    batch.put(vec![1], vec![2]).unwrap();
    let error = kv.commit(&batch).unwrap_err();
    assert!(matches!(error, StoreError::Replaced { .. }), "{error}");
}
