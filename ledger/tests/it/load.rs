//! Leaves out and in: storage must get back the state it was given.

use ledger::{LoadError, State};
use std::collections::BTreeMap;

use crate::world::{Conduct, World};

fn busy() -> World {
    let mut world = World::new();
    world.conduct.insert("mallory".to_owned(), Conduct::Lie(9));
    for round in 0..4 {
        let job = world.submit(world.spec(&format!("model {round}")));
        world.run(job);
    }
    world.submit(world.spec("still queued"));
    world
}

#[test]
fn from_leaves_gives_the_same_root_and_the_same_future() {
    let mut world = busy();
    let loaded = State::from_leaves(&world.genesis, world.state.leaves()).unwrap();
    assert_eq!(loaded.root(), world.state.root());
    assert_eq!(loaded.leaves(), world.state.leaves());
    let mut backwards = world.state.leaves();
    backwards.reverse();
    assert_eq!(
        State::from_leaves(&world.genesis, backwards)
            .unwrap()
            .root(),
        world.state.root()
    );
    let mut other = World {
        state: loaded,
        ..busy()
    };
    for _ in 0..60 {
        let live = world.state.live_jobs();
        assert_eq!(live, other.state.live_jobs());
        let messages: Vec<_> = live
            .iter()
            .flat_map(|job| world.seat_messages(*job))
            .collect();
        world.block(&messages);
        other.block(&messages);
        assert_eq!(world.state.root(), other.state.root());
    }
}

#[test]
fn changes_of_each_block_replay_to_the_same_leaves() {
    let mut world = World::new();
    let mut kept: BTreeMap<Vec<u8>, Vec<u8>> = world.state.leaves().into_iter().collect();
    let job = world.submit(world.spec("m"));
    let mut follow = |world: &World| {
        for change in &world.last.as_ref().unwrap().changes {
            match &change.value {
                Some(value) => kept.insert(change.key.clone(), value.clone()),
                None => kept.remove(&change.key),
            };
        }
        assert_eq!(kept.clone().into_iter().collect::<Vec<_>>(), {
            let mut leaves = world.state.leaves();
            leaves.sort();
            leaves
        });
    };
    follow(&world);
    while !world.phase(job).is_end() {
        let messages = world.seat_messages(job);
        world.block(&messages);
        follow(&world);
    }
}

#[test]
fn foreign_leaves_are_refused() {
    let world = World::new();
    let load = |extra: (Vec<u8>, Vec<u8>)| {
        let leaves = world.state.leaves().into_iter().chain([extra]);
        State::from_leaves(&world.genesis, leaves).unwrap_err()
    };
    assert_eq!(
        load((vec![9, 0], vec![])),
        LoadError::UnknownLeaf(vec![9, 0])
    );
    assert_eq!(load((vec![1, 0], vec![])), LoadError::Malformed(vec![1, 0]));
    assert_eq!(
        load((vec![1, 0], vec![0; 40_000])),
        LoadError::TooLong { len: 40_000 }
    );
    let none: [(Vec<u8>, Vec<u8>); 0] = [];
    assert_eq!(
        State::from_leaves(&world.genesis, none).unwrap_err(),
        LoadError::NoHead
    );
}

#[test]
fn job_records_are_proved_to_strangers() {
    let mut world = World::new();
    let job = world.submit(world.spec("m"));
    world.run(job);
    let proven = world.state.prove_job(&job).unwrap();
    let root = world.header(&[]).state_root;
    let verify =
        |job, record: &[u8]| ledger::receipt::verify_job_record(&root, job, record, &proven.proof);
    let head = verify(&job, &proven.record).unwrap();
    assert_eq!(head.seats.len(), 3);
    for index in 0..proven.record.len() {
        let mut forged = proven.record.clone();
        forged[index] ^= 1;
        assert!(verify(&job, &forged).is_err(), "byte {index}");
    }
    assert!(verify(&protocol::digest::JobId::ZERO, &proven.record).is_err());
}
