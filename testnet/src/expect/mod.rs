//! The language of `[[expect]]`, `testnet wait` and `testnet assert` (testnet.md).
//!
//! ```text
//! or   := and ("||" and)*          and := not ("&&" not)*
//! not  := "!" not | cmp | "(" or ")"
//! cmp  := term (("=="|"!="|"<"|"<="|">"|">=") term)?
//! term := integer | "5 PAL" | "2s" | "\"text\"" | name ["(" args ")"]
//! ```
//! Logic is three-valued: a node that cannot be reached yields *unknown*, which is not true.

mod eval;
mod lexer;
mod names;
mod parser;

pub use eval::{Truth, Value, View, evaluate};
pub(crate) use names::nearest;
pub use names::{Names, SETS};
pub use parser::{Expr, Operator, Term, parse};

use thiserror::Error;

/// What is wrong with an expectation, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("column {column}: {problem}")]
pub struct ExpectError {
    /// From 1.
    pub column: usize,
    /// What and, where it helps, the nearest right word.
    pub problem: String,
}

impl ExpectError {
    fn at(column: usize, problem: impl Into<String>) -> Self {
        Self {
            column,
            problem: problem.into(),
        }
    }
}
