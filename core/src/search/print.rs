//! Writes a query so that it parses to itself.

use std::fmt;

use super::expr::{Expr, Order, Term};
use super::fields::FieldTest;
use super::parser::is_ours;
use super::pattern::Pattern;

/// Writes a tree.
pub(super) fn expr(expr: &Expr, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match expr {
        Expr::Always => f.write_str("*"),
        Expr::Never => f.write_str("NOT *"),
        Expr::And(parts) => joined(parts, " ", |part| matches!(part, Expr::And(_) | Expr::Or(_)), f),
        Expr::Or(parts) => joined(parts, " OR ", |part| matches!(part, Expr::Or(_)), f),
        Expr::Not(part) => {
            f.write_str("NOT ")?;
            grouped(part, matches!(**part, Expr::And(_) | Expr::Or(_)), f)
        }
        Expr::Term(term) => self::term(term, f),
    }
}

fn joined(
    parts: &[Expr],
    with: &str,
    needs_group: impl Fn(&Expr) -> bool,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        f.write_str(if at == 0 { "" } else { with })?;
        grouped(part, needs_group(part), f)?;
    }
    Ok(())
}

fn grouped(part: &Expr, group: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(if group { "(" } else { "" })?;
    expr(part, f)?;
    f.write_str(if group { ")" } else { "" })
}

fn term(term: &Term, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match term {
        Term::Job(scope) => write!(f, "job:{scope}"),
        Term::Name(name) => write!(f, "name:{}", Value(name)),
        Term::Label { key, value } if value.is_any() => write!(f, "label:{key}"),
        // Labels are made of characters that need no quotes.
        Term::Label { key, value } => {
            write!(f, "label:{key}=")?;
            starred(value, true, f)
        }
        Term::State(state) => write!(f, "state:{}", state.as_str()),
        Term::Reason(reason) => write!(f, "reason:{reason}"),
        Term::Node(node) => write!(f, "node:{}", Value(node)),
        Term::Task(order, index) => write!(f, "task{}{index}", order.as_str()),
        Term::Attempt(order, number) => write!(f, "attempt{}{number}", order.as_str()),
        Term::Stream(stream) => write!(f, "stream:{stream}"),
        Term::Level { order, severity, .. } => write!(f, "level{}{}", order.as_str(), severity.as_str()),
        Term::Field { path, test, .. } => {
            f.write_str(if is_ours(path) { "." } else { "" })?;
            match test {
                FieldTest::Fits(value) => write!(f, "{path}:{}", Value(value)),
                FieldTest::Number(order, number) => write!(f, "{path}{}{number}", order.as_str()),
            }
        }
        Term::Text(text) => write!(f, "{}", Word(text.pattern())),
        Term::Regex(regex) => write!(f, "/{}/", slashes_escaped(regex.source())),
    }
}

impl Order {
    fn as_str(self) -> &'static str {
        match self {
            Self::Equal => ":",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
        }
    }
}

/// A pattern behind the name of a field.
struct Value<'a>(&'a Pattern);

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // With two slashes behind the colon it would be an address.
        starred(self.0, is_plain(&self.0.text) && !self.0.text.starts_with('/'), f)
    }
}

/// A pattern that stands alone.
struct Word<'a>(&'a Pattern);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.text.as_str();
        let means_more = matches!(text, "AND" | "OR" | "NOT")
            || text.starts_with('/')
            || text.contains([':', '=', '<', '>', '!']);
        starred(self.0, is_plain(text) && !means_more, f)
    }
}

fn starred(pattern: &Pattern, plain: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if pattern.is_any() {
        return f.write_str("*");
    }
    f.write_str(if pattern.open_start { "*" } else { "" })?;
    if plain {
        f.write_str(&pattern.text)?;
    } else {
        write!(f, "\"{}\"", pattern.text.replace('\\', "\\\\").replace('"', "\\\""))?;
    }
    f.write_str(if pattern.open_end { "*" } else { "" })
}

/// Whether a text needs no quotes behind the name of a field.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('*')
        && !text.ends_with('*')
        && !text.contains(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"'))
}

fn slashes_escaped(source: &str) -> String {
    let mut written = String::with_capacity(source.len());
    let mut characters = source.chars();
    while let Some(c) = characters.next() {
        match c {
            '/' => written.push_str("\\/"),
            '\\' => {
                written.push(c);
                written.extend(characters.next());
            }
            other => written.push(other),
        }
    }
    written
}
