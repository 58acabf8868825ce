//! Values to JSON text: two spaces for each level; what stood on one line stays there as long as it fits.

use super::{Json, Value};

/// A whole document. The outermost list or object has a line for each entry.
pub(super) fn document(json: &Json) -> String {
    let mut out = String::new();
    match &json.value {
        Value::List(_) | Value::Object(_) => tall(json, 0, &mut out),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => flat(json, &mut out),
    }
    out.push('\n');
    out
}

/// A string with its quotes and escapes.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A value that begins behind `used` columns.
fn value(json: &Json, level: usize, used: usize, out: &mut String) {
    if json.is_inline {
        let mut line = String::new();
        flat(json, &mut line);
        // Only lists and objects can be broken into lines.
        let is_leaf = json.items().is_empty() && json.members().is_empty();
        if is_leaf || used + line.len() <= WIDTH {
            out.push_str(&line);
            return;
        }
    }
    tall(json, level, out);
}

/// On one line.
fn flat(json: &Json, out: &mut String) {
    match &json.value {
        Value::Null => out.push_str("null"),
        Value::Bool(is) => out.push_str(if *is { "true" } else { "false" }),
        Value::Number(text) => out.push_str(text),
        Value::Text(text) => out.push_str(&quoted(text)),
        Value::List(items) => {
            let items = items.iter().map(|item| ("", item));
            flat_entries(items, ['[', ']'], out);
        }
        Value::Object(members) => {
            let members = members.iter().map(|(key, value)| (key.as_str(), value));
            flat_entries(members, ['{', '}'], out);
        }
    }
}

fn flat_entries<'a>(
    entries: impl Iterator<Item = (&'a str, &'a Json)>,
    [open, close]: [char; 2],
    out: &mut String,
) {
    out.push(open);
    for (at, (key, json)) in entries.enumerate() {
        out.push_str(if at == 0 { "" } else { ", " });
        if open == '{' {
            out.push_str(&quoted(key));
            out.push_str(": ");
        }
        flat(json, out);
    }
    out.push(close);
}

/// With a line for each entry.
fn tall(json: &Json, level: usize, out: &mut String) {
    let entries: Vec<(String, &Json)> = match &json.value {
        Value::List(items) if !items.is_empty() => items.iter().map(|item| (String::new(), item)).collect(),
        Value::Object(members) if !members.is_empty() => {
            members.iter().map(|(key, value)| (format!("{}: ", quoted(key)), value)).collect()
        }
        _ => return flat(json, out),
    };
    let [open, close] = if json.members().is_empty() { ['[', ']'] } else { ['{', '}'] };
    let indent = "  ".repeat(level + 1);
    out.push(open);
    for (at, (key, json)) in entries.iter().enumerate() {
        out.push_str(if at == 0 { "\n" } else { ",\n" });
        out.push_str(&indent);
        out.push_str(key);
        value(json, level + 1, indent.len() + key.len(), out);
    }
    out.push('\n');
    out.push_str(&indent[2..]);
    out.push(close);
}

/// Columns of the longest line that is made; a longer one of a person's own is broken when the file is rewritten.
const WIDTH: usize = 140;
