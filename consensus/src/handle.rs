//! One file per kind of input.

mod block;
mod certificate;
mod commit;
mod message;
mod timeout;
