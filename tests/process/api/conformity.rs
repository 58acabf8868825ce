//! Whether an answer is as the OpenAPI document says: its path, method, status, content type and body. What the document does not name is a fault:
//! it is read as closed.

use serde_json::Value;

use super::client::{Ask, Told};

/// The document that the binary serves.
pub(super) struct Document(Value);

impl Document {
    /// As the code has it.
    pub(super) fn of_code() -> Self {
        Self(serde_json::to_value(swarm_api::document()).expect("it is JSON"))
    }

    pub(super) fn value(&self) -> &Value {
        &self.0
    }

    /// Every path and method.
    pub(super) fn operations(&self) -> Vec<(String, String)> {
        let paths = self.0["paths"].as_object().expect("paths");
        let of_path = |(path, item): (&String, &Value)| -> Vec<(String, String)> {
            let methods = item.as_object().expect("methods").keys();
            methods.map(|method| (method.to_uppercase(), path.clone())).collect()
        };
        paths.iter().flat_map(of_path).collect()
    }

    /// What is wrong with an answer; nothing if it is as the document says.
    pub(super) fn fault(&self, ask: &Ask, told: &Told) -> Option<String> {
        let path = ask.path.split('?').next().unwrap_or_default();
        let mut known = self.0["paths"].as_object().expect("paths").iter();
        let Some((template, item)) = known.find(|(template, _)| is_at(template, path)) else {
            return undescribed(path, told);
        };
        let method = if ask.method == "HEAD" { "get".to_owned() } else { ask.method.to_lowercase() };
        let Some(described) = item.get(&method) else {
            // Such a request is refused, and nothing else.
            let is_refused = [401, 403, 405, 421, 426].contains(&told.status);
            return (!is_refused).then(|| format!("{template} has no {method}: {}", told.status));
        };
        let responses = described["responses"].as_object().expect("responses");
        let of_status = responses.get(&told.status.to_string());
        let is_success = told.status < 400;
        let Some(response) = of_status.or_else(|| responses.get("default").filter(|_| !is_success)) else {
            return Some(format!("{method} {template} has no status {}", told.status));
        };
        let found = told.header("content-type").split(';').next().unwrap_or_default();
        let Some(contents) = response["content"].as_object().filter(|contents| !contents.is_empty()) else {
            let has_body = !told.body.is_empty();
            return has_body.then(|| format!("{method} {template} {} has no body", told.status));
        };
        // A file has the type that its name says.
        let content = contents.get(found).or_else(|| contents.get("*/*"));
        let Some(content) = content else {
            return Some(format!("{method} {template} {} is not {found:?}", told.status));
        };
        if contents.contains_key("*/*") || !found.ends_with("json") || ask.method == "HEAD" {
            return None;
        }
        let body = told.json();
        self.unlike(&content["schema"], &body, "")
            .map(|fault| format!("{method} {template} {}: {fault} in {body}", told.status))
    }

    /// Where a value is not as a schema says.
    fn unlike(&self, schema: &Value, value: &Value, at: &str) -> Option<String> {
        if let Some(target) = schema["$ref"].as_str() {
            return self.unlike(self.target(target), value, at);
        }
        if let Some(choices) = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array()) {
            let faults: Vec<_> = choices.iter().map(|choice| self.unlike(choice, value, at)).collect();
            return faults.iter().all(Option::is_some).then(|| format!("{at}: none of {faults:?}"));
        }
        if let Some(values) = schema["enum"].as_array() {
            return (!values.contains(value)).then(|| format!("{at}: {value} is not one of {values:?}"));
        }
        if !is_of_type(&schema["type"], value) && schema.get("allOf").is_none() {
            return Some(format!("{at}: {value} is not {}", schema["type"]));
        }
        if let (Some(items), Some(list)) = (schema.get("items"), value.as_array()) {
            let mut faults = list.iter().enumerate();
            return faults.find_map(|(index, item)| self.unlike(items, item, &format!("{at}[{index}]")));
        }
        value.as_object().and_then(|_| self.unlike_object(schema, value, at))
    }

    fn unlike_object(&self, schema: &Value, value: &Value, at: &str) -> Option<String> {
        let parts = self.parts(schema);
        let object = value.as_object()?;
        for part in &parts {
            let required = part["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            if let Some(missing) = required.into_iter().find(|key| !object.contains_key(*key)) {
                return Some(format!("{at}: `{missing}` is missing"));
            }
        }
        for (key, value) in object {
            let named = parts.iter().find_map(|part| part["properties"].get(key));
            let further = parts.iter().find_map(|part| part.get("additionalProperties"));
            let is_free = parts.iter().all(|part| part.get("properties").is_none()) && further.is_none();
            match named.or(further) {
                Some(schema) => {
                    let fault = self.unlike(schema, value, &format!("{at}.{key}"));
                    if fault.is_some() {
                        return fault;
                    }
                }
                None if is_free => {}
                None => return Some(format!("{at}: `{key}` is not described")),
            }
        }
        None
    }

    /// A schema, and those that it is made of.
    fn parts<'a>(&'a self, schema: &'a Value) -> Vec<&'a Value> {
        if let Some(target) = schema["$ref"].as_str() {
            return self.parts(self.target(target));
        }
        let further = schema["allOf"].as_array().into_iter().flatten();
        further.flat_map(|part| self.parts(part)).chain([schema]).collect()
    }

    fn target(&self, reference: &str) -> &Value {
        let path = reference.strip_prefix('#').expect("a reference in the document");
        self.0.pointer(path).unwrap_or_else(|| panic!("{reference} leads nowhere"))
    }
}

/// What is wrong with an answer at a path that the document does not name: only files of the page and the document itself stand there.
fn undescribed(path: &str, told: &Told) -> Option<String> {
    let is_of_page = path == "/"
        || path == "/api"
        || path == "/api/openapi.json"
        || path.rsplit('/').next()?.contains('.');
    let kind = told.header("content-type");
    let is_problem = told.status >= 400 && kind.starts_with("application/") && kind.ends_with("json");
    let is_right = is_problem || (is_of_page && [200, 304].contains(&told.status)) || told.status == 308;
    (!is_right).then(|| format!("{path} is not described: {} {kind:?}", told.status))
}

/// Whether a path is one of a template. The path of a file has slashes.
fn is_at(template: &str, path: &str) -> bool {
    let is_whole = template.ends_with("/{path}");
    let (wanted, found): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    let has_len = if is_whole { found.len() >= wanted.len() } else { found.len() == wanted.len() };
    let is_part = |(wanted, found): (&&str, &&str)| wanted.starts_with('{') || wanted == found;
    has_len && wanted.iter().zip(&found).all(is_part)
}

fn is_of_type(kind: &Value, value: &Value) -> bool {
    let is = |kind: &str| match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    match kind {
        Value::String(kind) => is(kind),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).any(is),
        _ => true,
    }
}

#[test]
fn the_checker_sees_what_is_not_described() {
    let document = Document::of_code();
    let check = |method: &str, path: &str, status: u16, body: &str, expected: Option<&str>| {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let told = Told { status, headers, body: body.as_bytes().to_vec() };
        let fault = document.fault(&Ask::new(method, path), &told);
        let is_right = match (&fault, expected) {
            (Some(fault), Some(expected)) => fault.contains(expected),
            (None, None) => true,
            _ => false,
        };
        assert!(is_right, "{method} {path} {body}: {fault:?}");
    };
    check("GET", "/api/v1/setup", 200, r#"{"needed":true,"user":null}"#, None);
    check("GET", "/api/v1/setup", 200, r#"{"needed":1,"user":"anna"}"#, Some("is not \"boolean\""));
    check(
        "GET",
        "/api/v1/setup",
        200,
        r#"{"needed":true,"user":null,"more":1}"#,
        Some("`more` is not described"),
    );
    check("GET", "/api/v1/setup", 200, "{}", Some("`needed` is missing"));
    check("GET", "/api/v1/setup", 201, "{}", Some("no status 201"));
    check("GET", "/api/v1/setup", 500, "{}", Some("is not \"application/json\""));
    check("POST", "/logout", 200, "{}", Some("has no post"));
    check("POST", "/logout", 405, "{}", None);
    check("GET", "/api/v1/nowhere", 200, "{}", Some("is not described"));
    check("GET", "/api/v1/nowhere", 404, "{}", None);
    check("GET", "/app.js", 200, "{}", None);
    check("GET", "/api/v1/me", 200, "{}", Some("is missing"));
    check("GET", "/file/a/b", 302, "", Some("no status 302"));
}
