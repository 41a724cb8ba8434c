//! Three filters become one that decides by binary search.
//!
//! Installing a filter costs time in proportion to its length: the kernel checks and compiles it,
//! and walks it once for every system call number there is. Three linear filters took longer than
//! all seven namespaces but the network's; the merged one takes a tenth of that.
//!
//! ```text
//! architecture -> number -> binary search over ranges -> one action
//!                                                     \-> rules about arguments (seccompiler's)
//! ```
//! Nothing is decided here: every verdict is asked of seccompiler's own programs, and combined as
//! the kernel combines the answers of stacked filters.

use seccompiler::{BpfProgram, sock_filter};

use super::machine::{self, Answer, Call};

/// Beyond every number any architecture uses; numbers from here on are all alike.
const NUMBERS: u32 = 1024;
/// `AUDIT_ARCH_X86_64`.
pub(crate) const ARCHITECTURE: u32 = 0xc000_003e;
const ACTION_MASK: u32 = 0xffff_0000;

/// The parts of one profile, as seccompiler compiled them.
pub(crate) struct Parts<'a> {
    /// In the order in which they would be installed.
    pub(crate) stacked: [&'a [sock_filter]; 3],
    /// For each call whose answer depends on arguments: a filter of its rules alone.
    pub(crate) by_arguments: &'a [BpfProgram],
}

/// What happens to a range of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Action(u32),
    /// Index into `by_arguments`.
    Rules(usize),
}

/// One filter with the verdicts of all three.
pub(crate) fn merge(parts: &Parts<'_>) -> Result<BpfProgram, String> {
    let foreign = action(parts, !ARCHITECTURE, 0)?;
    let mut ranges: Vec<(u32, Verdict)> = Vec::new();
    for number in 0..=NUMBERS {
        let verdict = verdict(parts, number)?;
        if ranges.last().map(|(_, last)| *last) != Some(verdict) {
            ranges.push((number, verdict));
        }
    }
    let mut program = vec![
        machine::load_architecture(),
        machine::if_equal(ARCHITECTURE, 1, 0),
        machine::finish(foreign),
        machine::load_number(),
    ];
    let head = program.len();
    let tree = search(&ranges)?;
    program.extend(tree.program);
    for (index, rules) in parts.by_arguments.iter().enumerate() {
        let start = program.len();
        for (at, _) in tree.jumps.iter().filter(|(_, target)| *target == index) {
            let at = head + at;
            let distance = u32::try_from(start - at - 1).map_err(|e| e.to_string())?;
            let jump = program.get_mut(at).ok_or("a jump outside the filter")?;
            *jump = machine::skip(distance);
        }
        program.extend(rules.iter().cloned());
    }
    Ok(program)
}

/// A piece of the search, and the jumps in it to the rules about arguments, which are filled in
/// once it is known where those stand.
struct Tree {
    program: BpfProgram,
    /// Position within `program`, and index into `by_arguments`.
    jumps: Vec<(usize, usize)>,
}

/// Splits the ranges in the middle until one is left.
fn search(ranges: &[(u32, Verdict)]) -> Result<Tree, String> {
    match ranges {
        [] => Err("no range".to_owned()),
        [(_, Verdict::Action(action))] => Ok(Tree {
            program: vec![machine::finish(*action)],
            jumps: Vec::new(),
        }),
        [(_, Verdict::Rules(index))] => Ok(Tree {
            program: vec![machine::skip(0)],
            jumps: vec![(0, *index)],
        }),
        _ => {
            let (low, high) = ranges.split_at(ranges.len() / 2);
            let middle = high.first().map_or(0, |(number, _)| *number);
            let (low, high) = (search(low)?, search(high)?);
            let distance = low.program.len();
            let mut program = match u8::try_from(distance) {
                Ok(near) => vec![machine::if_at_least(middle, near, 0)],
                Err(_) => vec![
                    machine::if_at_least(middle, 0, 1),
                    machine::skip(u32::try_from(distance).map_err(|e| e.to_string())?),
                ],
            };
            let mut jumps = Vec::new();
            for part in [low, high] {
                let offset = program.len();
                jumps.extend(part.jumps.iter().map(|(at, index)| (offset + at, *index)));
                program.extend(part.program);
            }
            Ok(Tree { program, jumps })
        }
    }
}

fn verdict(parts: &Parts<'_>, number: u32) -> Result<Verdict, String> {
    let [kill, absent, allow] = parts.stacked;
    let settled = [ask(kill, number)?, ask(absent, number)?];
    match ask(allow, number)? {
        Answer::Action(_) => action(parts, ARCHITECTURE, number).map(Verdict::Action),
        Answer::ByArguments => {
            let open = Answer::Action(seccomp_allow());
            if settled != [open, open] {
                return Err(format!("call {number} stands in two filters"));
            }
            rules_of(parts, number).map(Verdict::Rules)
        }
    }
}

fn rules_of(parts: &Parts<'_>, number: u32) -> Result<usize, String> {
    for (index, rules) in parts.by_arguments.iter().enumerate() {
        if ask(rules, number)? == Answer::ByArguments {
            return Ok(index);
        }
    }
    Err(format!("no rules for the arguments of call {number}"))
}

fn ask(program: &[sock_filter], number: u32) -> Result<Answer, String> {
    ask_as(program, ARCHITECTURE, number)
}

fn ask_as(program: &[sock_filter], architecture: u32, number: u32) -> Result<Answer, String> {
    let call = Call {
        architecture,
        number,
        arguments: None,
    };
    machine::answer(program, &call).ok_or_else(|| "an instruction not understood".to_owned())
}

/// The answer of all three, where none needs arguments.
fn action(parts: &Parts<'_>, architecture: u32, number: u32) -> Result<u32, String> {
    let mut answers = Vec::new();
    for program in parts.stacked {
        match ask_as(program, architecture, number)? {
            Answer::Action(action) => answers.push(action),
            Answer::ByArguments => return Err(format!("call {number} depends on arguments")),
        }
    }
    Ok(strictest(&answers))
}

/// As the kernel chooses among the answers of stacked filters, given in the order of their
/// installation: the lowest action as a signed number, and among equal ones the newest filter's.
pub(crate) fn strictest(answers: &[u32]) -> u32 {
    let mut chosen = seccomp_allow();
    for answer in answers.iter().rev() {
        if (answer & ACTION_MASK).cast_signed() < (chosen & ACTION_MASK).cast_signed() {
            chosen = *answer;
        }
    }
    chosen
}

const fn seccomp_allow() -> u32 {
    libc::SECCOMP_RET_ALLOW
}
