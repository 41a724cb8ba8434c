//! Goal: a changed audit log is told with its record, as a document and as an error with its code.
//! Method: a copy of a running node's log, with one byte flipped.

use crate::node::{Node, home};
use crate::{problem, run, stdout};

#[test]
fn a_flipped_byte_is_an_error_with_its_record() {
    let node = Node::start();
    let dir = node.dir.path();
    let copy = dir.join("copy");
    std::fs::create_dir(&copy).unwrap();
    for entry in std::fs::read_dir(home(dir).join("data/audit")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
    }
    let args = [
        "--home",
        "net/nodes/alice",
        "--output",
        "json",
        "audit",
        "verify",
        "copy",
    ];
    let mut segments: Vec<_> = std::fs::read_dir(&copy)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.metadata().unwrap().len() > 64)
        .collect();
    segments.sort();
    let first = segments
        .first()
        .expect("a node that started has recorded it");
    let mut bytes = std::fs::read(first).unwrap();
    bytes[40] ^= 1;
    std::fs::write(first, bytes).unwrap();

    let output = run(dir, &args);
    let document: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(
        (output.status.code(), &document["ok"]),
        (Some(8), &false.into())
    );
    let problem = problem(&output);
    assert_eq!(
        (&problem["code"], &problem["exit_code"]),
        (&"audit.broken".into(), &8.into())
    );
    let detail = problem["detail"].as_str().unwrap();
    let record = format!("record {}", document["first_bad"]);
    assert!(detail.contains(&record), "{problem}");
}
