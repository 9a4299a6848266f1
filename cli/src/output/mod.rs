//! Data on standard output: tables for people, the API's own JSON for programs.
//!
//! Owns the formats and the writing, and that a closed or full output is an error and never a panic. JSON is the API's
//! proto3 JSON and as stable as the API.

mod job;
mod node;
mod task;
mod words;

use std::io::{self, Write as _};

use clap::ValueEnum;
use comfy_table::Table;
use serde::Serialize;

use crate::failure::Failure;

pub(crate) use job::{bar, command_text, state_word};
pub(crate) use words::{
    age, ago, attempt_state, bytes, cores, deletion, duration, reason, rfc3339, seconds_between, task_state,
};

/// How data is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// Columns for people
    #[default]
    Table,
    /// More columns
    Wide,
    /// The API's JSON, indented
    Json,
    /// The API's JSON, one object a line
    Jsonl,
    /// The same as YAML
    Yaml,
    /// Only what names each object
    Name,
}

/// Something that is listed.
pub(crate) trait Row: Serialize {
    /// Field of the list in the API's answer.
    const LIST: &'static str;
    /// Column heads.
    fn head(wide: bool) -> Vec<&'static str>;
    /// One cell a column.
    fn cells(&self, wide: bool) -> Vec<String>;
    /// What names it on the command line.
    fn name(&self) -> String;
}

/// Writes a list.
pub(crate) fn list<T: Row>(format: Format, rows: &[T]) -> Result<(), Failure> {
    let text = match format {
        Format::Table => table(rows, false),
        Format::Wide => table(rows, true),
        Format::Json => pretty(&listing(rows))?,
        Format::Jsonl => lines(rows)?,
        Format::Yaml => yaml(&listing(rows))?,
        Format::Name => rows.iter().map(|row| row.name() + "\n").collect(),
    };
    print(&text)
}

/// Writes what was asked for by name: one object alone, several as a list. People get `page`.
pub(crate) fn objects<T: Row>(format: Format, rows: &[T]) -> Result<(), Failure> {
    let text = match (format, rows) {
        (Format::Json, [only]) => pretty(only)?,
        (Format::Yaml, [only]) => yaml(only)?,
        _ => return list(format, rows),
    };
    print(&text)
}

/// Writes one object, for a command that makes or changes one; people get `line`.
pub(crate) fn object<T: Row>(format: Format, row: &T, line: &str) -> Result<(), Failure> {
    match format {
        Format::Table => print(&format!("{line}\n")),
        Format::Wide | Format::Json | Format::Jsonl | Format::Yaml | Format::Name => {
            objects(format, std::slice::from_ref(row))
        }
    }
}

/// Writes text to standard output, all of it or an error.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::from)
}

/// Says something to the person on standard error; where that is closed nobody can be told.
pub(crate) fn say(text: &str) {
    let _nobody_listens = writeln!(io::stderr().lock(), "{text}");
}

/// One object on one line, newline included.
pub(crate) fn json_line(row: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(row).map(|text| text + "\n").map_err(|error| unshowable(&error))
}

/// Rows as a table, for a part of a page.
pub(crate) fn rows<T: Row>(rows: &[T]) -> String {
    table(rows, false)
}

/// Lines up columns two spaces apart, without borders.
pub(crate) fn columns(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(head.to_vec());
    rows.for_each(|row| {
        table.add_row(row);
    });
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

fn table<T: Row>(rows: &[T], wide: bool) -> String {
    columns(&T::head(wide), rows.iter().map(|row| row.cells(wide)))
}

fn listing<T: Row>(rows: &[T]) -> std::collections::BTreeMap<&'static str, &[T]> {
    std::collections::BTreeMap::from([(T::LIST, rows)])
}

fn lines<T: Serialize>(rows: &[T]) -> Result<String, Failure> {
    rows.iter().map(json_line).collect()
}

/// One object over several lines.
pub(crate) fn pretty(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map(|text| text + "\n").map_err(|error| unshowable(&error))
}

/// One object as YAML.
pub(crate) fn yaml(value: &impl Serialize) -> Result<String, Failure> {
    let value = serde_json::to_value(value).map_err(|error| unshowable(&error))?;
    serde_saphyr::to_string(&value).map_err(|error| unshowable(&error))
}

fn unshowable(error: &dyn std::fmt::Display) -> Failure {
    Failure::failed(format!("the coordinator's answer cannot be shown: {error}"))
}

#[cfg(test)]
mod tests;
