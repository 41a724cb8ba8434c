//! Tokens to a checked expression: an unknown name is an error here, not a surprise at run time.

use super::ExpectError;
use super::lexer::{Token, tokens};
use super::names::{
    Argument, EVIDENCE_OUTCOMES, FUNCTIONS, Function, JOB_OUTCOMES, Names, OFFENCES, SETS,
    function, nearest,
};

/// How two terms are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of the operators say it")]
pub enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Something with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term {
    /// A plain number.
    Integer(u64),
    /// Money, in upal.
    Amount(u64),
    /// A duration, in milliseconds.
    Duration(u64),
    /// A text.
    Text(String),
    /// A value of the net.
    Call {
        /// Which.
        name: &'static str,
        /// About what.
        arguments: Vec<String>,
    },
    /// A predicate over several nodes: `all`, `any` or `none`.
    Each {
        /// `all`, `any` or `none`.
        quantifier: &'static str,
        /// A predicate of one node.
        predicate: &'static str,
        /// Node names and names of sets.
        nodes: Vec<String>,
    },
}

/// A checked expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// At least one holds.
    Or(Vec<Expr>),
    /// All hold.
    And(Vec<Expr>),
    /// Does not hold.
    Not(Box<Expr>),
    /// A comparison.
    Compare(Term, Operator, Term),
    /// A term that is true or false by itself.
    Plain(Term),
}

/// Nesting deeper than this is a mistake.
const DEPTH_MAX: usize = 32;

/// Parses and checks one expression against the names of a net.
///
/// # Errors
/// [`ExpectError`] with the column of the first mistake.
pub fn parse(text: &str, names: &Names) -> Result<Expr, ExpectError> {
    let tokens = tokens(text)?;
    let mut parser = Parser {
        tokens: &tokens,
        at: 0,
        end: text.len() + 1,
        names,
    };
    let expression = parser.or(0)?;
    match parser.peek() {
        None => Ok(expression),
        Some(_) => Err(parser.error("expected `&&`, `||` or the end")),
    }
}

struct Parser<'a> {
    tokens: &'a [(usize, Token)],
    at: usize,
    end: usize,
    names: &'a Names,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn column(&self) -> usize {
        self.tokens
            .get(self.at)
            .map_or(self.end, |(column, _)| *column)
    }

    fn error(&self, problem: impl Into<String>) -> ExpectError {
        ExpectError::at(self.column(), problem)
    }

    fn take(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Symbol(found)) if *found == symbol);
        self.at += usize::from(found);
        found
    }

    fn require(&mut self, symbol: &str) -> Result<(), ExpectError> {
        if self.take(symbol) {
            Ok(())
        } else {
            Err(self.error(format!("expected `{symbol}`")))
        }
    }

    fn or(&mut self, depth: usize) -> Result<Expr, ExpectError> {
        let mut parts = vec![self.and(depth)?];
        while self.take("||") {
            parts.push(self.and(depth)?);
        }
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Expr::Or(parts)
        })
    }

    fn and(&mut self, depth: usize) -> Result<Expr, ExpectError> {
        let mut parts = vec![self.not(depth)?];
        while self.take("&&") {
            parts.push(self.not(depth)?);
        }
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Expr::And(parts)
        })
    }

    fn not(&mut self, depth: usize) -> Result<Expr, ExpectError> {
        if depth > DEPTH_MAX {
            return Err(self.error("nested too deeply"));
        }
        if self.take("!") {
            return Ok(Expr::Not(Box::new(self.not(depth + 1)?)));
        }
        if self.take("(") {
            let inner = self.or(depth + 1)?;
            self.require(")")?;
            return Ok(inner);
        }
        self.compare()
    }

    fn compare(&mut self) -> Result<Expr, ExpectError> {
        let column = self.column();
        let left = self.term()?;
        let operators = [
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        for (symbol, operator) in operators {
            if self.take(symbol) {
                return Ok(Expr::Compare(left, operator, self.term()?));
            }
        }
        match left {
            Term::Call { .. } | Term::Each { .. } => Ok(Expr::Plain(left)),
            _ => Err(ExpectError::at(
                column,
                "a constant alone is neither true nor false",
            )),
        }
    }

    fn term(&mut self) -> Result<Term, ExpectError> {
        let column = self.column();
        let token = self.peek().ok_or_else(|| self.error("expected a value"))?;
        self.at += 1;
        Ok(match token {
            Token::Integer(value) => Term::Integer(*value),
            Token::Amount(value) => Term::Amount(*value),
            Token::Duration(value) => Term::Duration(*value),
            Token::Text(text) => Term::Text(text.clone()),
            Token::Name(name) => return self.call(name, column),
            Token::Symbol(symbol) => {
                return Err(ExpectError::at(
                    column,
                    format!("expected a value, found `{symbol}`"),
                ));
            }
        })
    }

    fn call(&mut self, name: &str, column: usize) -> Result<Term, ExpectError> {
        for quantifier in ["all", "any", "none"] {
            if name == quantifier {
                return self.each(quantifier);
            }
        }
        let function = known_function(name, column)?;
        let arguments = self.arguments()?;
        check_arity(function, &arguments, column)?;
        for ((at, argument), kind) in arguments.iter().zip(function.arguments) {
            self.check_argument(*kind, argument, *at)?;
        }
        let arguments = arguments
            .into_iter()
            .map(|(_, argument)| argument)
            .collect();
        Ok(Term::Call {
            name: function.name,
            arguments,
        })
    }

    fn each(&mut self, quantifier: &'static str) -> Result<Term, ExpectError> {
        let column = self.column();
        let mut arguments = self.arguments()?;
        if arguments.len() < 2 {
            let problem = format!("`{quantifier}` takes a predicate and at least one name");
            return Err(ExpectError::at(column, problem));
        }
        let (at, predicate) = arguments.remove(0);
        let predicate = known_function(&predicate, at)?;
        if !predicate.predicate {
            let problem = format!("`{}` is not a predicate of one node", predicate.name);
            return Err(ExpectError::at(at, problem));
        }
        for (at, name) in &arguments {
            if !SETS.contains(&name.as_str()) {
                self.check_argument(Argument::Node, name, *at)?;
            }
        }
        let nodes = arguments.into_iter().map(|(_, name)| name).collect();
        Ok(Term::Each {
            quantifier,
            predicate: predicate.name,
            nodes,
        })
    }

    fn arguments(&mut self) -> Result<Vec<(usize, String)>, ExpectError> {
        let mut arguments = Vec::new();
        if !self.take("(") {
            return Ok(arguments);
        }
        if self.take(")") {
            return Ok(arguments);
        }
        loop {
            let column = self.column();
            match self.peek() {
                Some(Token::Name(text) | Token::Text(text)) => {
                    arguments.push((column, text.clone()));
                }
                _ => return Err(self.error("expected a name or a text")),
            }
            self.at += 1;
            if self.take(")") {
                return Ok(arguments);
            }
            self.require(",")?;
        }
    }

    fn check_argument(&self, kind: Argument, text: &str, column: usize) -> Result<(), ExpectError> {
        let nodes: Vec<&str> = self.names.nodes.iter().map(String::as_str).collect();
        let (what, known): (&str, &[&str]) = match kind {
            Argument::Node => ("node", &nodes),
            Argument::Offence => ("offence", &OFFENCES),
            Argument::EvidenceOutcome => ("outcome", &EVIDENCE_OUTCOMES),
            Argument::JobOutcome => ("outcome", &JOB_OUTCOMES),
            Argument::Account | Argument::Peer | Argument::Text => return Ok(()),
        };
        if known.contains(&text) {
            return Ok(());
        }
        Err(ExpectError::at(
            column,
            unknown(what, text, known.iter().copied()),
        ))
    }
}

fn known_function(name: &str, column: usize) -> Result<&'static Function, ExpectError> {
    function(name).ok_or_else(|| {
        let names = FUNCTIONS.iter().map(|function| function.name);
        ExpectError::at(
            column,
            unknown("value", name, names.chain(["all", "any", "none"])),
        )
    })
}

fn check_arity(
    function: &Function,
    arguments: &[(usize, String)],
    column: usize,
) -> Result<(), ExpectError> {
    let (least, most) = (function.required, function.arguments.len());
    if (least..=most).contains(&arguments.len()) {
        return Ok(());
    }
    let wanted = if least == most {
        least.to_string()
    } else {
        format!("{least} to {most}")
    };
    let problem = format!(
        "`{}` takes {wanted} arguments, found {}",
        function.name,
        arguments.len()
    );
    Err(ExpectError::at(column, problem))
}

fn unknown<'a>(what: &str, word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(word, known) {
        Some(near) => format!("unknown {what} `{word}`, did you mean `{near}`?"),
        None => format!("unknown {what} `{word}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names {
            nodes: vec!["alice".into(), "mallory".into()],
        }
    }

    #[test]
    fn the_manifest_example_parses() {
        let text = "slashed(mallory, wrong_result) && none(slashed, honest) && agree \
                    && supply_conserved";
        let Expr::And(parts) = parse(text, &names()).unwrap() else {
            panic!("not a conjunction")
        };
        assert_eq!(parts.len(), 4);
    }

    #[test]
    fn every_mistake_has_its_column() {
        for (text, column, word) in [
            ("heigth > 3", 1, "did you mean `height`"),
            ("agree && slashed(malory)", 18, "did you mean `mallory`"),
            ("slashed(alice, mallory)", 16, "unknown offence"),
            ("5", 1, "constant"),
            ("(agree", 7, "expected `)`"),
            ("agree agree", 7, "expected `&&`"),
            ("height > ", 10, "expected a value"),
            ("stake(alice) > 5 POL", 18, "unknown unit"),
            ("all(height, honest)", 5, "not a predicate"),
            ("all(up)", 4, "at least one name"),
            ("log(alice, \"x", 12, "closing quote"),
            ("height @ 3", 8, "unexpected `@`"),
            ("stake()", 1, "takes 1 arguments"),
            ("finality_p95(alice) < 2s", 1, "takes 0 arguments"),
            ("finalty_p95 < 2s", 1, "did you mean `finality_p95`"),
            ("finality_p95 < 2h", 17, "unknown unit"),
            ("99999999999999999999", 1, "too large"),
        ] {
            let error = parse(text, &names()).unwrap_err();
            assert!(error.problem.contains(word), "{text}: {error}");
            assert_eq!(error.column, column, "{text}: {error}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_not_overflowed() {
        let text = "(".repeat(2000);
        assert!(
            parse(&text, &names())
                .unwrap_err()
                .problem
                .contains("nested")
        );
    }
}
