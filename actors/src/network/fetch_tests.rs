//! The road of an artifact, peer by peer.

use protocol::codec::encode;
use protocol::manifest::{InputManifest, InputTensor, MANIFEST_VERSION};
use protocol::result::Dtype;

use super::*;

fn peer() -> PeerId {
    PeerId::random()
}

/// An input of three chunks, its artifact and its manifest.
fn input() -> (Artifact, InputManifest, Vec<u8>) {
    let bytes: Vec<u8> = (0..CHUNK_BYTES * 2 + 4)
        .map(|n| u8::try_from(n % 251).unwrap())
        .collect();
    let manifest = InputManifest {
        version: MANIFEST_VERSION,
        inputs: vec![InputTensor {
            name: "x".to_owned(),
            dtype: Dtype::F32,
            dims: vec![u64::try_from(bytes.len() / 4).unwrap()],
            offset: 0,
        }],
        bundle: FileDigest::of(&bytes),
    };
    (Artifact::Input(manifest.root()), manifest, bytes)
}

fn request(key: Digest, chunk: usize) -> BlobRequest {
    BlobRequest {
        key,
        offset: u64::try_from(chunk * CHUNK_BYTES).unwrap(),
    }
}

fn chunk(bytes: &[u8], index: usize) -> Vec<u8> {
    bytes[index * CHUNK_BYTES..bytes.len().min((index + 1) * CHUNK_BYTES)].to_vec()
}

#[test]
fn what_is_here_is_not_fetched() {
    let (artifact, manifest, _) = input();
    let mut fetcher = Fetcher::default();
    assert_eq!(fetcher.want(artifact), [Action::ReadManifest(artifact)]);
    assert_eq!(fetcher.want(artifact), []);
    let bundle = manifest.bundle.clone();
    let check = Action::CheckFile(artifact, bundle.clone());
    assert_eq!(
        fetcher.manifest_read(artifact, Some(encode(&manifest))),
        [check]
    );
    assert_eq!(
        fetcher.missing_listed(artifact, Some(vec![])),
        [Action::Assemble(artifact, bundle)]
    );
    assert_eq!(
        fetcher.assembled(artifact, true),
        [Action::Done(artifact, true)]
    );
}

#[test]
fn pieces_come_from_peers_and_are_checked() {
    let (artifact, manifest, bytes) = input();
    let (good, liar, other) = (peer(), peer(), peer());
    let mut fetcher = Fetcher::default();
    fetcher.set_peers(vec![liar, other, good]);
    fetcher.want(artifact);
    let root = BlobRequest {
        key: artifact.root(),
        offset: 0,
    };
    assert_eq!(
        fetcher.manifest_read(artifact, None),
        [Action::Request(liar, root)]
    );
    assert_eq!(
        fetcher.arrived(liar, root, Some(vec![1, 2, 3])),
        [Action::Report(liar), Action::Request(other, root)]
    );
    assert_eq!(
        fetcher.arrived(liar, root, Some(encode(&manifest))),
        [],
        "nobody asked it again"
    );
    let actions = fetcher.arrived(other, root, Some(encode(&manifest)));
    assert_eq!(
        actions,
        [
            Action::Put(artifact, artifact.root(), encode(&manifest)),
            Action::CheckFile(artifact, manifest.bundle.clone())
        ]
    );
    let file = manifest.bundle;
    let missing = vec![file.chunks[0], file.chunks[2]];
    assert_eq!(
        fetcher.missing_listed(artifact, Some(missing)),
        [
            Action::Request(other, request(file.sha256, 0)),
            Action::Request(other, request(file.sha256, 2))
        ]
    );
    let wrong = fetcher.arrived(other, request(file.sha256, 2), Some(chunk(&bytes, 0)));
    assert_eq!(
        wrong,
        [
            Action::Report(other),
            Action::Request(good, request(file.sha256, 2))
        ]
    );
    let put = fetcher.arrived(good, request(file.sha256, 2), Some(chunk(&bytes, 2)));
    assert_eq!(
        put,
        [Action::Put(artifact, file.chunks[2], chunk(&bytes, 2))]
    );
    assert_eq!(fetcher.stored(artifact, true), []);
    fetcher.arrived(other, request(file.sha256, 0), Some(chunk(&bytes, 0)));
    assert_eq!(
        fetcher.stored(artifact, true),
        [Action::Assemble(artifact, file)]
    );
}

#[test]
fn what_nobody_has_is_given_up() {
    let (artifact, ..) = input();
    let peers = [peer(), peer()];
    let mut fetcher = Fetcher::default();
    fetcher.set_peers(peers.to_vec());
    fetcher.want(artifact);
    let root = BlobRequest {
        key: artifact.root(),
        offset: 0,
    };
    let mut actions = fetcher.manifest_read(artifact, None);
    for round in 1..=ROUNDS_MAX {
        for peer in peers {
            assert_eq!(actions, [Action::Request(peer, root)]);
            actions = fetcher.arrived(peer, root, None);
        }
        if round < ROUNDS_MAX {
            assert_eq!(actions, [Action::Later], "a pause after round {round}");
            actions = fetcher.retry();
        }
    }
    assert_eq!(actions, [Action::Done(artifact, false)]);
}

/// A large file that one peer of three has: what the others say at once about all its pieces does
/// not use up the patience that the one with the file, which sends few at a time, needs.
#[test]
fn a_large_file_comes_from_the_one_that_has_it() {
    let pieces = 264;
    let bytes: Vec<u8> = (0..pieces * CHUNK_BYTES)
        .map(|n| u8::try_from(n / CHUNK_BYTES % 251).unwrap())
        .collect();
    let (_, mut manifest, _) = input();
    manifest.inputs[0].dims = vec![u64::try_from(bytes.len() / 4).unwrap()];
    manifest.bundle = FileDigest::of(&bytes);
    let artifact = Artifact::Input(manifest.root());
    let (holder, others) = (peer(), [peer(), peer()]);
    let mut fetcher = Fetcher::default();
    fetcher.set_peers(vec![others[0], others[1], holder]);
    fetcher.want(artifact);
    let file = manifest.bundle.clone();
    fetcher
        .wanted
        .insert(artifact, Stage::CheckingFile(file.clone()));
    let mut actions = fetcher.missing_listed(artifact, Some(file.chunks.clone()));
    let (mut asked_in_vain, mut put) = (0, 0);
    while let Some(action) = actions.pop() {
        // Whoever has nothing says so at once; the holder's answers come last.
        match action {
            Action::Request(peer, request) if peer == holder => {
                let ready = actions
                    .iter()
                    .all(|of| matches!(of, Action::Request(peer, _) if *peer == holder));
                if ready {
                    let at = usize::try_from(request.offset).unwrap() / CHUNK_BYTES;
                    actions.extend(fetcher.arrived(peer, request, Some(chunk(&bytes, at))));
                } else {
                    actions.insert(0, Action::Request(peer, request));
                }
            }
            Action::Request(peer, request) => {
                asked_in_vain += 1;
                actions.extend(fetcher.arrived(peer, request, None));
            }
            Action::Put(..) => {
                put += 1;
                actions.extend(fetcher.stored(artifact, true));
            }
            Action::Assemble(..) => actions.extend(fetcher.assembled(artifact, true)),
            other => assert_eq!(other, Action::Done(artifact, true)),
        }
    }
    assert_eq!(put, pieces);
    assert!(fetcher.wanted.is_empty());
    assert!(asked_in_vain <= 2 * PER_PEER_MAX, "{asked_in_vain}");
}

/// A holder that has no room for a while is waited for.
#[test]
fn a_piece_ends_the_count_of_rounds() {
    let (artifact, manifest, bytes) = input();
    let from = peer();
    let mut fetcher = Fetcher::default();
    fetcher.set_peers(vec![from]);
    fetcher.want(artifact);
    fetcher.manifest_read(artifact, Some(encode(&manifest)));
    let file = manifest.bundle;
    fetcher.missing_listed(artifact, Some(file.chunks.clone()));
    for at in 0..3 {
        for _ in 1..ROUNDS_MAX {
            for idle in at..3 {
                fetcher.arrived(from, request(file.sha256, idle), None);
            }
            assert_eq!(fetcher.retry().len(), 3 - at);
        }
        let piece = fetcher.arrived(from, request(file.sha256, at), Some(chunk(&bytes, at)));
        assert_eq!(
            piece,
            [Action::Put(artifact, file.chunks[at], chunk(&bytes, at))]
        );
    }
}

/// A node that has just started may have no peers yet: that says nothing about the artifact.
#[test]
fn nobody_to_ask_is_waited_out() {
    let (artifact, ..) = input();
    let mut fetcher = Fetcher::default();
    fetcher.want(artifact);
    let mut actions = fetcher.manifest_read(artifact, None);
    for _ in 0..ROUNDS_MAX * 2 {
        assert_eq!(actions, [Action::Later]);
        actions = fetcher.retry();
    }
    let late = peer();
    fetcher.set_peers(vec![late]);
    let root = BlobRequest {
        key: artifact.root(),
        offset: 0,
    };
    assert_eq!(fetcher.retry(), [Action::Request(late, root)]);
}

/// A job may name anything as its input; who serves what the name says has not lied.
#[test]
fn a_blob_of_another_kind_is_no_lie() {
    let (artifact, manifest, bytes) = input();
    let honest = peer();
    let ask = |artifact: Artifact| {
        let mut fetcher = Fetcher::default();
        fetcher.set_peers(vec![honest]);
        fetcher.want(artifact);
        fetcher.manifest_read(artifact, None);
        let root = BlobRequest {
            key: artifact.root(),
            offset: 0,
        };
        (fetcher, root)
    };
    let as_model = Artifact::Model(artifact.root());
    let (mut fetcher, root) = ask(as_model);
    assert_eq!(
        fetcher.arrived(honest, root, Some(encode(&manifest))),
        [Action::Done(as_model, false)]
    );
    let as_file = Artifact::Input(sha256(&bytes));
    let (mut fetcher, root) = ask(as_file);
    assert_eq!(
        fetcher.arrived(honest, root, Some(chunk(&bytes, 0))),
        [Action::Later],
        "the start of a long file proves nothing"
    );
    assert_eq!(fetcher.retry(), [Action::Request(honest, root)]);
}

/// Two inputs over one file: each gets its pieces.
#[test]
fn artifacts_that_share_a_file_do_not_starve_each_other() {
    let (artifact, manifest, bytes) = input();
    let mut renamed = manifest.clone();
    renamed.inputs[0].name = "y".to_owned();
    let other = Artifact::Input(renamed.root());
    let from = peer();
    let mut fetcher = Fetcher::default();
    fetcher.set_peers(vec![from]);
    let file = manifest.bundle.clone();
    for (artifact, manifest) in [(artifact, &manifest), (other, &renamed)] {
        fetcher.want(artifact);
        fetcher.manifest_read(artifact, Some(encode(manifest)));
        fetcher.missing_listed(artifact, Some(vec![file.chunks[0]]));
    }
    let first = request(file.sha256, 0);
    let mut stored = Vec::new();
    for _ in 0..2 {
        let actions = fetcher.arrived(from, first, Some(chunk(&bytes, 0)));
        stored.extend(actions.into_iter().filter_map(|action| match action {
            Action::Put(artifact, ..) => Some(artifact),
            _ => None,
        }));
    }
    stored.sort();
    let mut both = vec![artifact, other];
    both.sort();
    assert_eq!(stored, both);
}

#[test]
fn an_absurd_output_is_not_asked_for() {
    let artifact = Artifact::Output {
        sha256: sha256(b"claimed"),
        size: u64::MAX,
    };
    let mut fetcher = Fetcher::default();
    fetcher.set_peers(vec![peer()]);
    fetcher.want(artifact);
    assert_eq!(
        fetcher.manifest_read(artifact, None),
        [Action::Done(artifact, false)]
    );
}

/// An output has no manifest: its pieces are checked together, and a lie costs a round.
#[test]
fn an_output_is_checked_as_a_whole() {
    let (.., bytes) = input();
    let size = u64::try_from(bytes.len()).unwrap();
    let artifact = Artifact::Output {
        sha256: sha256(&bytes),
        size,
    };
    let (liar, good) = (peer(), peer());
    let mut fetcher = Fetcher::default();
    fetcher.set_peers(vec![liar, good]);
    fetcher.want(artifact);
    let ask = |peer| [0, 1, 2].map(|at| Action::Request(peer, request(artifact.root(), at)));
    assert_eq!(fetcher.manifest_read(artifact, None), ask(liar));
    let mut wrong = bytes.clone();
    wrong[5] ^= 1;
    fetcher.arrived(liar, request(artifact.root(), 0), Some(chunk(&wrong, 0)));
    fetcher.arrived(liar, request(artifact.root(), 1), Some(chunk(&bytes, 1)));
    let again = fetcher.arrived(liar, request(artifact.root(), 2), Some(chunk(&bytes, 2)));
    assert_eq!(again, ask(good), "the next round begins with another peer");
    let short = fetcher.arrived(good, request(artifact.root(), 2), Some(chunk(&bytes, 1)));
    let again = Action::Request(liar, request(artifact.root(), 2));
    assert_eq!(
        short,
        [again],
        "the size is a claim: nobody is blamed for it"
    );
    fetcher.arrived(good, request(artifact.root(), 0), Some(chunk(&bytes, 0)));
    fetcher.arrived(good, request(artifact.root(), 1), Some(chunk(&bytes, 1)));
    let put = fetcher.arrived(liar, request(artifact.root(), 2), Some(chunk(&bytes, 2)));
    assert_eq!(put, [Action::Put(artifact, sha256(&bytes), bytes)]);
    assert_eq!(
        fetcher.stored(artifact, true),
        [Action::Done(artifact, true)]
    );
}

/// How many requests go out for this key.
fn asked(actions: &[Action], key: Digest) -> usize {
    let of_key = |action: &&Action| matches!(action, Action::Request(_, of) if of.key == key);
    actions.iter().filter(of_key).count()
}

/// An input of so many distinct chunks, whose manifest is on disk.
fn long_input(chunks: u8) -> (Artifact, FileDigest) {
    let bytes: Vec<u8> = (0..chunks)
        .flat_map(|n| vec![n + chunks; CHUNK_BYTES])
        .collect();
    let (_, mut manifest, _) = input();
    manifest.bundle = FileDigest::of(&bytes);
    let artifact = Artifact::Input(manifest.root());
    (artifact, manifest.bundle)
}

/// Goes as far as all chunks of the file being missing.
fn missing_all(fetcher: &mut Fetcher, artifact: Artifact, file: &FileDigest) -> Vec<Action> {
    fetcher.check_file(artifact, file.clone());
    fetcher.missing_listed(artifact, Some(file.chunks.clone()))
}

/// Goal: what nobody sits for yet is never in a seat's way. Method: enough peers for every request at
/// once, a file wanted ahead, then one for a seat.
#[test]
fn seats_come_before_what_is_fetched_ahead() {
    let ((ahead, early), (seat, urgent)) = (long_input(40), long_input(60));
    let mut fetcher = Fetcher::default();
    fetcher.set_peers((0..8).map(|_| peer()).collect());
    assert_ne!(fetcher.want_ahead(ahead), []);
    let first = missing_all(&mut fetcher, ahead, &early);
    assert_eq!(asked(&first, early.sha256), AHEAD_IN_FLIGHT_MAX);
    assert_ne!(fetcher.want(seat), []);
    let second = missing_all(&mut fetcher, seat, &urgent);
    assert_eq!(
        asked(&second, urgent.sha256),
        IN_FLIGHT_MAX - AHEAD_IN_FLIGHT_MAX
    );
    // What becomes free goes to the seat.
    let Some(Action::Request(peer, request)) = first.first() else {
        panic!("{first:?}")
    };
    let next = fetcher.arrived(*peer, *request, None);
    assert_eq!(
        (asked(&next, urgent.sha256), asked(&next, early.sha256)),
        (1, 0)
    );
    // A seat after all: it has a share like any other.
    assert_eq!(fetcher.want(ahead), []);
    assert!(!fetcher.leave_ahead(&ahead), "and is not left");
}

#[test]
fn what_no_seat_came_of_is_left() {
    let (artifact, file) = long_input(5);
    let mut fetcher = Fetcher::default();
    let only = peer();
    fetcher.set_peers(vec![only]);
    fetcher.want_ahead(artifact);
    let actions = missing_all(&mut fetcher, artifact, &file);
    let Some(Action::Request(_, request)) = actions.first() else {
        panic!("{actions:?}")
    };
    assert!(fetcher.leave_ahead(&artifact));
    assert_eq!(
        fetcher.arrived(only, *request, Some(vec![5; CHUNK_BYTES])),
        []
    );
    assert_eq!(fetcher.stored(artifact, true), []);
    assert_eq!(
        fetcher.want(artifact),
        [Action::ReadManifest(artifact)],
        "anew"
    );
}
