//! What a filter answers to a call: the few instructions of classic BPF that filters are made of.
//!
//! `merge.rs` asks it, when filters are made, which numbers have one answer whatever their
//! arguments are; the tests ask it whether the merged filter answers like the three it came from.

use seccompiler::sock_filter;

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER: u16 = 0x25;
const JUMP_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;
/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// A system call as a filter sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) architecture: u32,
    pub(crate) number: u32,
    /// `None`: not known, so an answer that needs them is `ByArguments`.
    pub(crate) arguments: Option<[u64; 6]>,
}

/// What a filter says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// One of the kernel's actions, with its data.
    Action(u32),
    /// It depends on arguments that are not known.
    ByArguments,
}

/// The answer of `program`; `None` for an instruction no filter of ours holds, or a jump past the
/// end.
pub(crate) fn answer(program: &[sock_filter], call: &Call) -> Option<Answer> {
    let mut accumulator = 0u32;
    let mut at = 0usize;
    loop {
        let instruction = program.get(at)?;
        at += 1;
        let taken = match instruction.code {
            LOAD => {
                match load(call, instruction.k)? {
                    Some(value) => accumulator = value,
                    None => return Some(Answer::ByArguments),
                }
                continue;
            }
            AND => {
                accumulator &= instruction.k;
                continue;
            }
            JUMP => {
                at += usize::try_from(instruction.k).ok()?;
                continue;
            }
            RETURN => return Some(Answer::Action(instruction.k)),
            JUMP_EQUAL => accumulator == instruction.k,
            JUMP_GREATER => accumulator > instruction.k,
            JUMP_AT_LEAST => accumulator >= instruction.k,
            _ => return None,
        };
        at += usize::from(if taken {
            instruction.jt
        } else {
            instruction.jf
        });
    }
}

/// One word of the call; `Some(None)` for an argument that is not known.
fn load(call: &Call, offset: u32) -> Option<Option<u32>> {
    match offset {
        NUMBER => Some(Some(call.number)),
        ARCHITECTURE => Some(Some(call.architecture)),
        _ => {
            let word = offset.checked_sub(ARGUMENTS)? / 4;
            let Some(arguments) = call.arguments else {
                return Some(None);
            };
            let argument = arguments.get(usize::try_from(word / 2).ok()?)?;
            let half = if word % 2 == 0 {
                argument & 0xffff_ffff
            } else {
                argument >> 32
            };
            Some(u32::try_from(half).ok())
        }
    }
}

pub(crate) fn load_architecture() -> sock_filter {
    instruction(LOAD, 0, 0, ARCHITECTURE)
}

pub(crate) fn load_number() -> sock_filter {
    instruction(LOAD, 0, 0, NUMBER)
}

/// Skips `yes` instructions if the accumulator is `value`, else `no`.
pub(crate) fn if_equal(value: u32, yes: u8, no: u8) -> sock_filter {
    instruction(JUMP_EQUAL, yes, no, value)
}

/// Skips `yes` instructions if the accumulator is `value` or more, else `no`.
pub(crate) fn if_at_least(value: u32, yes: u8, no: u8) -> sock_filter {
    instruction(JUMP_AT_LEAST, yes, no, value)
}

pub(crate) fn skip(count: u32) -> sock_filter {
    instruction(JUMP, 0, 0, count)
}

pub(crate) fn finish(action: u32) -> sock_filter {
    instruction(RETURN, 0, 0, action)
}

fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf, k }
}
