//! What the document of the API says of all operations alike: how a user is proven, and what a problem looks like. Invariant: an operation that proves a
//! user itself is named here as open; each other one needs a proven user.

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{OpenApi, Ref, RefOr, Response};

use crate::auth::COOKIE;

/// Completes the document.
pub(super) fn complete(mut document: OpenApi) -> OpenApi {
    for (path, item) in &mut document.paths.paths {
        let is_open = OPEN.contains(&path.as_str());
        for operation in operations(item) {
            name_problems(operation);
            name_operation(operation);
            if is_open {
                // The empty requirement: nothing has to be proven (OpenAPI 3.1, section 4.8.30).
                operation.security = Some(Vec::new());
            }
        }
    }
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("basic", http(HttpAuthScheme::Basic, None));
    components.add_security_scheme("bearer", http(HttpAuthScheme::Bearer, Some("JWT")));
    let cookie = ApiKeyValue::with_description(
        COOKIE,
        "Of POST /login. Eight digits of the node follow in its name, and __Host- stands before it over HTTPS. What changes something needs the header x-csrf-token, too.",
    );
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    let schemes = ["basic", "bearer", "session"];
    document.security =
        Some(schemes.map(|name| SecurityRequirement::new(name, Vec::<String>::new())).to_vec());
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

/// Functions are named within their module, and operations in the whole document.
fn name_operation(operation: &mut Operation) {
    let tag = operation.tags.iter().flatten().next().cloned().unwrap_or_default();
    operation.operation_id = operation.operation_id.take().map(|id| format!("{tag}_{id}"));
}

/// A problem of RFC 9457 has a content type of its own.
fn name_problems(operation: &mut Operation) {
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response
            && is_problem(response)
            && let Some(content) = response.content.shift_remove("application/json")
        {
            response.content.insert("application/problem+json".to_owned(), content);
        }
    }
}

fn is_problem(response: &Response) -> bool {
    let problem = Ref::from_schema_name("Problem").ref_location;
    let json = serde_json::to_value(response.content.get("application/json"));
    json.is_ok_and(|json| json["schema"]["$ref"] == problem.as_str())
}

fn http(scheme: HttpAuthScheme, format: Option<&str>) -> SecurityScheme {
    let builder = HttpBuilder::new().scheme(scheme);
    let builder = if let Some(format) = format { builder.bearer_format(format) } else { builder };
    SecurityScheme::Http(builder.build())
}

/// Paths that prove a user, or need none.
const OPEN: [&str; 10] = [
    "/login",
    "/logout",
    "/api/v1/setup",
    "/auth/token",
    "/auth/refresh",
    "/auth/revoke",
    "/link/{token}/{name}",
    "/robots.txt",
    "/public/{guid}/",
    "/public/{guid}/file/{path}",
];

#[cfg(test)]
mod tests {
    #[test]
    fn every_operation_says_what_a_problem_is_and_who_may_ask() {
        let document = serde_json::to_value(crate::document()).expect("it is JSON");
        assert_eq!(document["openapi"], "3.1.0");
        let paths = document["paths"].as_object().expect("paths");
        let mut ids = std::collections::BTreeSet::new();
        for (path, item) in paths {
            for (method, operation) in item.as_object().expect("methods") {
                let kinds: Vec<&String> = operation["responses"]["default"]["content"]
                    .as_object()
                    .map(|content| content.keys().collect())
                    .unwrap_or_default();
                let expected =
                    if path.starts_with("/sync/") { "application/json" } else { "application/problem+json" };
                assert_eq!(kinds, [expected], "{method} {path}");
                assert!(ids.insert(operation["operationId"].as_str()), "{method} {path}");
                let parameters = operation["parameters"].as_array().into_iter().flatten();
                for parameter in parameters.filter(|parameter| parameter["in"] == "path") {
                    let name = parameter["name"].as_str().expect("a name");
                    assert!(path.contains(&format!("{{{name}}}")), "{name} of {method} {path}");
                }
                let is_open = super::OPEN.contains(&path.as_str());
                assert_eq!(operation.get("security").is_some(), is_open, "{method} {path}");
            }
        }
        let text = document.to_string();
        assert!(!text.contains("\"items\":["), "a list has one schema for its items: {text}");
        assert!(super::OPEN.iter().all(|open| paths.contains_key(*open)));
        let session = &document["components"]["securitySchemes"]["session"];
        assert_eq!((&session["type"], &session["in"]), (&"apiKey".into(), &"cookie".into()));
        assert_eq!(session["name"], super::COOKIE);
        let told = session["description"].as_str().expect("a text");
        assert!(
            ["Eight digits", crate::auth::SECURE_COOKIE].iter().all(|part| told.contains(part)),
            "{told}"
        );
    }
}
