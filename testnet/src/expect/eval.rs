//! Evaluation over a view of the net, in three-valued logic.

use super::parser::{Expr, Operator, Term};

/// What a term is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A count, an amount in upal or a duration in milliseconds.
    Number(u64),
    /// A truth value.
    Bool(bool),
    /// A text.
    Text(String),
    /// Nobody could tell: a node did not answer.
    Unknown,
}

impl From<Option<u64>> for Value {
    fn from(value: Option<u64>) -> Self {
        value.map_or(Self::Unknown, Self::Number)
    }
}

impl From<Option<bool>> for Value {
    fn from(value: Option<bool>) -> Self {
        value.map_or(Self::Unknown, Self::Bool)
    }
}

/// The outcome of an expression (Kleene's strong logic).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// Holds.
    True,
    /// Does not hold.
    False,
    /// Cannot be told; not true.
    Unknown,
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

impl Truth {
    fn not(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
        }
    }

    /// `decisive` settles it at once, else unknown beats the rest.
    fn fold(parts: impl Iterator<Item = Self>, decisive: Self) -> Self {
        let mut result = decisive.not();
        for part in parts {
            if part == decisive {
                return decisive;
            }
            if part == Self::Unknown {
                result = Self::Unknown;
            }
        }
        result
    }
}

/// What is known of a net.
pub trait View {
    /// The value of a call that the parser let through.
    fn call(&self, name: &str, arguments: &[String]) -> Value;
    /// The nodes in a set of [`super::SETS`].
    fn set(&self, name: &str) -> Option<Vec<String>>;
}

/// Evaluates an expression.
pub fn evaluate(expression: &Expr, view: &dyn View) -> Truth {
    match expression {
        Expr::Or(parts) => Truth::fold(parts.iter().map(|part| evaluate(part, view)), Truth::True),
        Expr::And(parts) => {
            Truth::fold(parts.iter().map(|part| evaluate(part, view)), Truth::False)
        }
        Expr::Not(inner) => evaluate(inner, view).not(),
        Expr::Plain(term) => match value(term, view) {
            Value::Bool(value) => value.into(),
            Value::Number(number) => (number > 0).into(),
            Value::Text(_) | Value::Unknown => Truth::Unknown,
        },
        Expr::Compare(left, operator, right) => {
            compare(&value(left, view), *operator, &value(right, view))
        }
    }
}

fn value(term: &Term, view: &dyn View) -> Value {
    match term {
        Term::Integer(number) | Term::Amount(number) | Term::Duration(number) => {
            Value::Number(*number)
        }
        Term::Text(text) => Value::Text(text.clone()),
        Term::Call { name, arguments } => view.call(name, arguments),
        Term::Each {
            quantifier,
            predicate,
            nodes,
        } => match each(quantifier, predicate, nodes, view) {
            Truth::True => Value::Bool(true),
            Truth::False => Value::Bool(false),
            Truth::Unknown => Value::Unknown,
        },
    }
}

fn each(quantifier: &str, predicate: &str, nodes: &[String], view: &dyn View) -> Truth {
    let members = nodes
        .iter()
        .flat_map(|name| view.set(name).unwrap_or(vec![name.clone()]));
    let truths = members.map(|node| match view.call(predicate, &[node]) {
        Value::Bool(value) => value.into(),
        _ => Truth::Unknown,
    });
    match quantifier {
        "all" => Truth::fold(truths, Truth::False),
        "any" => Truth::fold(truths, Truth::True),
        _ => Truth::fold(truths, Truth::True).not(),
    }
}

fn compare(left: &Value, operator: Operator, right: &Value) -> Truth {
    let ordering = match (left, right) {
        (Value::Number(a), Value::Number(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        _ => return Truth::Unknown,
    };
    match operator {
        Operator::Equal => ordering.is_eq(),
        Operator::NotEqual => ordering.is_ne(),
        Operator::Less => ordering.is_lt(),
        Operator::LessOrEqual => ordering.is_le(),
        Operator::Greater => ordering.is_gt(),
        Operator::GreaterOrEqual => ordering.is_ge(),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::super::{Names, parse};
    use super::*;

    /// alice is up, bob is down and cannot be asked for his height.
    struct Two;

    impl View for Two {
        fn call(&self, name: &str, arguments: &[String]) -> Value {
            let alice = arguments.first().is_none_or(|node| node == "alice");
            match name {
                "up" => Value::Bool(alice),
                "height" if alice => Value::Number(7),
                "agree" => Value::Bool(true),
                "finality_p95" => Value::Number(1_500),
                _ => Value::Unknown,
            }
        }

        fn set(&self, name: &str) -> Option<Vec<String>> {
            (name == "honest").then(|| vec!["alice".into(), "bob".into()])
        }
    }

    fn truth(text: &str) -> Truth {
        let names = Names {
            nodes: vec!["alice".into(), "bob".into()],
        };
        evaluate(&parse(text, &names).unwrap(), &Two)
    }

    #[test]
    fn three_valued_logic() {
        for (text, expected) in [
            ("height > 3", Truth::True),
            ("height(bob) > 3", Truth::Unknown),
            ("!(height(bob) > 3)", Truth::Unknown),
            ("height(bob) > 3 || agree", Truth::True),
            ("height(bob) > 3 && !agree", Truth::False),
            ("height(bob) > 3 && agree", Truth::Unknown),
            ("all(up, honest)", Truth::False),
            ("any(up, honest)", Truth::True),
            ("none(up, bob)", Truth::True),
            ("all(synced, honest)", Truth::Unknown),
            ("height == \"seven\"", Truth::Unknown),
            ("finality_p95 < 2s", Truth::True),
            ("finality_p95 < 1500ms", Truth::False),
            ("2s > finality_p95 && finality_p95 >= 1500ms", Truth::True),
            ("commit_interval_p95 < 2s", Truth::Unknown),
            ("!(commit_interval_p95 < 2s)", Truth::Unknown),
        ] {
            assert_eq!(truth(text), expected, "{text}");
        }
    }
}
