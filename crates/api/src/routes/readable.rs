//! The document of the API as a page for people, at `/api`. Invariant: all of it comes from the document, escaped; each link leads to a place in the
//! page. Absent here: what the document says (`described`).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};
use utoipa::openapi::OpenApi;

use crate::html::escaped;

/// The title and the body of the page.
pub(super) fn page_of(document: &OpenApi) -> (String, String) {
    let document = serde_json::to_value(document).unwrap_or_default();
    let info = &document["info"];
    let mut body = format!(
        "<main><h1>{} <span class=\"note\">{}</span></h1><p>{}</p>\
         <p class=\"note\">For programs, the same is at <a href=\"/api/openapi.json\">/api/openapi.json</a>: OpenAPI 3.1.</p>",
        words(&info["title"]),
        words(&info["version"]),
        words(&info["description"]),
    );
    let parts = by_tag(&document);
    body.push_str("<nav>");
    for tag in parts.keys() {
        let _ = write!(body, "<a href=\"#{0}\">{1}</a> · ", anchor("tag", tag), escaped(tag));
    }
    body.push_str("<a href=\"#shapes\">shapes</a></nav>");
    for (tag, operations) in &parts {
        let _ = write!(body, "<h2 id=\"{}\">{}</h2>", anchor("tag", tag), escaped(tag));
        for operation in operations {
            operation.write(&mut body);
        }
    }
    body.push_str("<h2 id=\"shapes\">shapes</h2>");
    for (name, schema) in object(&document["components"]["schemas"]) {
        write_shape(&mut body, name, schema);
    }
    body.push_str("</main>");
    (format!("{} API", words(&info["title"])), body)
}

/// What is asked with one method of one path.
struct Operation<'a> {
    method: &'a str,
    path: &'a str,
    said: &'a Value,
}

/// All of them, by their first tag.
fn by_tag(document: &Value) -> BTreeMap<&str, Vec<Operation<'_>>> {
    let mut parts: BTreeMap<&str, Vec<Operation<'_>>> = BTreeMap::new();
    for (path, methods) in object(&document["paths"]) {
        for (method, said) in object(methods).filter(|(_, said)| said.get("responses").is_some()) {
            let tag = said["tags"][0].as_str().unwrap_or("others");
            parts.entry(tag).or_default().push(Operation { method, path, said });
        }
    }
    parts
}

impl Operation<'_> {
    fn write(&self, out: &mut String) {
        let Self { method, path, said } = self;
        let _ = write!(
            out,
            "<details><summary><b class=\"verb\">{}</b> <code>{}</code> <span class=\"note\">{}</span></summary>",
            escaped(&method.to_uppercase()),
            escaped(path),
            words(&said["summary"])
        );
        paragraph(out, &said["description"]);
        let parameters = said["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
        if !parameters.is_empty() {
            out.push_str("<table class=\"parts\"><tr><th>Parameter</th><th>in</th><th>is</th><th></th></tr>");
            for parameter in parameters {
                let _ = write!(
                    out,
                    "<tr><td><code>{}</code>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                    words(&parameter["name"]),
                    if parameter["required"] == true { "" } else { " (if wanted)" },
                    words(&parameter["in"]),
                    kind(&parameter["schema"]),
                    words(&parameter["description"])
                );
            }
            out.push_str("</table>");
        }
        for (media, content) in object(&said["requestBody"]["content"]) {
            let _ = write!(out, "<p>Body: {} ({})</p>", kind(&content["schema"]), escaped(media));
        }
        out.push_str("<table class=\"parts\"><tr><th>Answer</th><th>is</th><th></th></tr>");
        for (status, answer) in object(&said["responses"]) {
            let status = if status == "default" { "otherwise" } else { status };
            let contents = object(&answer["content"]).map(|(media, content)| {
                if content.get("schema").is_some() { kind(&content["schema"]) } else { escaped(media) }
            });
            let contents: Vec<String> = contents.collect();
            let _ = write!(
                out,
                "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
                escaped(status),
                contents.join(" or "),
                words(&answer["description"])
            );
        }
        out.push_str("</table></details>");
    }
}

fn write_shape(out: &mut String, name: &str, schema: &Value) {
    let _ = write!(out, "<h3 id=\"{}\"><code>{}</code></h3>", anchor("shape", name), escaped(name));
    paragraph(out, &schema["description"]);
    write_parts(out, schema);
}

/// The keys of an object, the variants of a choice, or what it is otherwise.
fn write_parts(out: &mut String, schema: &Value) {
    if let Some((joint, variants)) = variants(schema) {
        let _ = write!(out, "<p>{}</p><ul>", if joint == AND { "All of:" } else { "One of:" });
        for variant in variants {
            out.push_str("<li>");
            if variant.get("properties").is_some() {
                paragraph(out, &variant["description"]);
                write_parts(out, variant);
            } else {
                let _ = write!(out, "{} {}", kind(variant), words(&variant["description"]));
            }
            out.push_str("</li>");
        }
        out.push_str("</ul>");
        return;
    }
    if schema.get("properties").is_none() {
        let _ = write!(out, "<p>{}</p>", kind(schema));
        return;
    }
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    out.push_str("<table class=\"parts\"><tr><th>Key</th><th>is</th><th></th></tr>");
    for (key, value) in object(&schema["properties"]) {
        let is_required = required.iter().any(|required| required == key);
        let _ = write!(
            out,
            "<tr><td><code>{}</code>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(key),
            if is_required { "" } else { " (may be missing)" },
            kind(value),
            words(&value["description"])
        );
    }
    out.push_str("</table>");
}

/// What a value is, in a few words.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return format!("<a href=\"#{}\">{}</a>", anchor("shape", name), escaped(name));
    }
    if let Some(values) = schema["enum"].as_array() {
        let shown: Vec<String> =
            values.iter().map(|value| format!("<code>{}</code>", words(value))).collect();
        return shown.join(" or ");
    }
    if let Some((joint, variants)) = variants(schema) {
        return variants.iter().map(kind).collect::<Vec<_>>().join(joint);
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => vec!["anything"],
    };
    let one = |kind: &&str| match *kind {
        "array" => format!("list of {}", self::kind(&schema["items"])),
        "object" if schema["additionalProperties"].is_object() => {
            format!("object of {}", self::kind(&schema["additionalProperties"]))
        }
        "object" if schema.get("properties").is_some() => {
            let keys: Vec<String> = object(&schema["properties"])
                .map(|(key, _)| format!("<code>{}</code>", escaped(key)))
                .collect();
            format!("object with {}", keys.join(", "))
        }
        "string" if schema["format"] == "binary" => "bytes".to_owned(),
        kind => escaped(kind),
    };
    types.iter().map(one).collect::<Vec<_>>().join(" or ")
}

/// What a value is one of, or all of, with the word between them.
fn variants(schema: &Value) -> Option<(&'static str, &[Value])> {
    let of = |key: &str| schema[key].as_array().map(Vec::as_slice);
    of("allOf").map(|all| (AND, all)).or_else(|| Some((OR, of("oneOf").or_else(|| of("anyOf"))?)))
}

const AND: &str = " and ";
const OR: &str = " or ";

fn object(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter).map(|(key, value)| (key.as_str(), value))
}

fn paragraph(out: &mut String, text: &Value) {
    for part in text.as_str().into_iter().flat_map(|text| text.split("\n\n")) {
        let _ = write!(out, "<p>{}</p>", words(&Value::from(part)));
    }
}

/// A text with what stands between backticks as code.
fn words(text: &Value) -> String {
    let plain = match text {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    // Lines within a paragraph end where the source's do.
    let plain = plain.replace('\n', " ");
    let parts: Vec<&str> = plain.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return escaped(&plain);
    }
    let mut out = String::new();
    for (at, part) in parts.into_iter().enumerate() {
        let part = escaped(part);
        out.push_str(&if at % 2 == 1 { format!("<code>{part}</code>") } else { part });
    }
    out
}

fn anchor(kind: &str, name: &str) -> String {
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("{kind}-{plain}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::document;
    use super::*;

    #[test]
    fn all_of_the_document_is_in_the_page_and_no_link_leads_nowhere() {
        let (_, body) = page_of(&document());
        let document = serde_json::to_value(document()).expect("JSON");
        let mut count = 0;
        for (path, methods) in object(&document["paths"]) {
            for (method, said) in object(methods).filter(|(_, said)| said.get("responses").is_some()) {
                let head = format!("<b class=\"verb\">{}</b> <code>{path}</code>", method.to_uppercase());
                assert!(body.contains(&head), "{method} {path}");
                assert!(body.contains(&words(&said["summary"])), "{method} {path}");
                count += 1;
            }
        }
        assert_eq!(body.matches("<details>").count(), count);
        let named = |mark: &str| -> BTreeSet<String> {
            let found = body.split(mark).skip(1).filter_map(|rest| rest.split('"').next());
            found.map(str::to_owned).collect()
        };
        let (links, places) = (named("href=\"#"), named("id=\""));
        assert!(links.is_subset(&places), "{:?}", links.difference(&places));
    }

    #[test]
    fn a_text_is_no_markup_and_backticks_make_code() {
        let check = |text: &str, expected: &str| assert_eq!(words(&Value::from(text)), expected);
        check("<b> of `GET /x<y>`", "&lt;b&gt; of <code>GET /x&lt;y&gt;</code>");
        check("one ` alone", "one ` alone");
        check("two\nlines", "two lines");
    }
}
