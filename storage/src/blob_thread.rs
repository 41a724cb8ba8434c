//! The blob thread: large files, kept away from votes.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::sync::mpsc::Receiver;

use protocol::digest::Digest;

use crate::blobs::{BlobError, BlobStore, FileParts};
use crate::request::Reply;

type BlobReply<T> = Reply<T, BlobError>;

pub(crate) enum BlobRequest {
    Put {
        key: Digest,
        bytes: Vec<u8>,
        reply: BlobReply<()>,
    },
    Get {
        key: Digest,
        reply: BlobReply<Vec<u8>>,
    },
    Chunk {
        key: Digest,
        offset: u64,
        reply: BlobReply<Vec<u8>>,
    },
    Open {
        key: Digest,
        reply: BlobReply<File>,
    },
    Missing {
        parts: FileParts,
        reply: BlobReply<Vec<Digest>>,
    },
    Assemble {
        parts: FileParts,
        reply: BlobReply<Vec<Digest>>,
    },
    Length {
        key: Digest,
        reply: BlobReply<Option<u64>>,
    },
    Remove {
        key: Digest,
        reply: BlobReply<()>,
    },
    Pin {
        referenced: BTreeSet<Digest>,
    },
    Stop,
}

impl fmt::Debug for BlobRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Put { .. } => "Put",
            Self::Get { .. } => "Get",
            Self::Chunk { .. } => "Chunk",
            Self::Open { .. } => "Open",
            Self::Missing { .. } => "Missing",
            Self::Assemble { .. } => "Assemble",
            Self::Length { .. } => "Length",
            Self::Remove { .. } => "Remove",
            Self::Pin { .. } => "Pin",
            Self::Stop => "Stop",
        })
    }
}

pub(crate) fn run(mut store: BlobStore, requests: &Receiver<BlobRequest>) {
    for request in requests {
        match request {
            BlobRequest::Put { key, bytes, reply } => reply(store.put(key, &bytes)),
            BlobRequest::Get { key, reply } => reply(store.get(&key)),
            BlobRequest::Chunk { key, offset, reply } => reply(store.chunk(&key, offset)),
            BlobRequest::Open { key, reply } => reply(store.file(&key)),
            BlobRequest::Missing { parts, reply } => reply(store.missing(&parts)),
            BlobRequest::Assemble { parts, reply } => reply(store.assemble(&parts)),
            BlobRequest::Length { key, reply } => reply(Ok(store.bytes_of(&key))),
            BlobRequest::Remove { key, reply } => reply(store.remove(&key)),
            BlobRequest::Pin { referenced } => store.pin(referenced),
            BlobRequest::Stop => break,
        }
    }
}
