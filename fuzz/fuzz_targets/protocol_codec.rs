//! What decodes is canonical: it encodes to the same bytes.
#![no_main]

use protocol::codec::{Canonical, decode_canonical, encode};

fn canonical<T: Canonical>(bytes: &[u8]) {
    if let Ok(value) = decode_canonical::<T>(bytes) {
        assert_eq!(encode(&value), bytes);
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((which, bytes)) = bytes.split_first() else {
        return;
    };
    match which % 8 {
        0 => canonical::<protocol::tx::Tx>(bytes),
        1 => canonical::<protocol::block::Header>(bytes),
        2 => canonical::<protocol::block::Body>(bytes),
        3 => canonical::<protocol::vote::Certificate>(bytes),
        4 => canonical::<protocol::manifest::ModelManifest>(bytes),
        5 => canonical::<protocol::manifest::InputManifest>(bytes),
        6 => canonical::<protocol::job::JobSpec>(bytes),
        _ => {
            // Unverified: whether the signature holds is another question.
            let header = protocol::envelope::Envelope::parse(bytes);
            drop(header);
        }
    }
});
