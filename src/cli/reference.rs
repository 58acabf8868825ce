//! The generated parts of the reference in `docs/reference`: commands and exit codes from the declaration of the arguments, JSON
//! events from their types, the configuration from its schema. Each test compares a page with what it should be;
//! `make reference` (REGENERATE=1) writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Arg, Command, CommandFactory as _};
use serde_json::Value;

use super::args::Args;
use super::output::{Json, PairJson, SyncJson, VersionJson};
use swarm_host::Config;
use swarm_host::protocol::{ReputationStatus, Status};

/// Compares what stands between the marks of a page, or writes it.
fn check(page: &str, generated: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference").join(page);
    let text = std::fs::read_to_string(&path).expect("the page is there");
    let (before, rest) = text.split_once(BEGIN).expect("the page has a mark where it begins");
    let (_, after) = rest.split_once(END).expect("the page has a mark where it ends");
    let wanted = format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", generated.trim());
    if std::env::var_os("REGENERATE").is_some() {
        std::fs::write(&path, wanted).expect("the repository can be written to");
    } else {
        assert!(text == wanted, "docs/reference/{page} is out of date: run `make reference` and commit it");
    }
}

#[test]
fn the_page_of_commands_is_what_the_arguments_are() {
    let mut command = Args::command();
    // Otherwise `help` and the flags that every command takes are missing.
    command.build();
    let mut page = String::new();
    describe(&command, &mut page);
    check("commands.md", &page);
}

fn describe(command: &Command, page: &mut String) {
    let name = command.get_bin_name().unwrap_or(command.get_name());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim().to_owned();
    let _ = write!(page, "## {name}\n\n{about}.\n\n```text\n{usage}\n```\n\n");
    let is_root = command.get_name() == "swarm";
    let is_shown = |arg: &&Arg| {
        !arg.is_hide_set()
            && arg.get_id() != "help"
            && arg.get_id() != "version"
            && (is_root || !arg.is_global_set())
    };
    let shown: Vec<&Arg> = command.get_arguments().filter(is_shown).collect();
    let mut headings = Vec::new();
    for arg in &shown {
        let heading = heading_of(arg);
        if !headings.contains(&heading) {
            headings.push(heading);
        }
    }
    for heading in headings {
        let _ = write!(page, "| {heading} | meaning | variable |\n|---|---|---|\n");
        for arg in shown.iter().filter(|arg| heading_of(arg) == heading) {
            let _ = writeln!(page, "| {} | {} | {} |", flag(arg), meaning(arg), variable(arg));
        }
        page.push('\n');
    }
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help" && !sub.is_hide_set()) {
        describe(sub, page);
    }
}

/// The table that an argument stands in, as `--help` groups them.
fn heading_of(arg: &Arg) -> &str {
    match arg.get_help_heading() {
        Some(heading) => heading,
        None if arg.is_positional() => "argument",
        None => "flag",
    }
}

fn flag(arg: &Arg) -> String {
    let value = || {
        let names = arg.get_value_names().unwrap_or_default().iter().map(|name| name.as_str());
        names.collect::<Vec<_>>().join(" ")
    };
    let is_list = arg.get_num_args().is_some_and(|count| count.max_values() > 1);
    if arg.is_positional() {
        return code(&format!("{}{}", value(), if is_list { "..." } else { "" }));
    }
    let takes_value = arg.get_action().takes_values();
    let long = arg.get_long().map(|long| format!("--{long}")).unwrap_or_default();
    let with_value = if takes_value { format!("{long} {}", value()) } else { long };
    let short = arg.get_short().map(|short| code(&format!("-{short}")) + ", ").unwrap_or_default();
    short + &code(&with_value)
}

fn meaning(arg: &Arg) -> String {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let mut text = cell(&help);
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if arg.get_action().takes_values() && defaults.iter().any(|value| !value.is_empty()) {
        let _ = write!(text, " [default: {}]", cell(&defaults.join(", ")));
    }
    text
}

fn variable(arg: &Arg) -> String {
    arg.get_env().map(|name| code(&name.to_string_lossy())).unwrap_or_default()
}

#[test]
fn the_page_of_exit_codes_is_what_help_says() {
    let help = Args::command().get_after_long_help().expect("it ends with the exit codes").to_string();
    let mut page = "| code | meaning |\n|---|---|\n".to_owned();
    for line in help.lines() {
        if let Some((number, meaning)) = line.trim().split_once("  ")
            && number.chars().all(|c| c.is_ascii_digit())
        {
            let _ = writeln!(page, "| {number} | {} |", cell(meaning.trim()));
        }
    }
    assert!(page.lines().count() > 9, "{help}");
    check("exit-codes.md", &page);
}

#[test]
fn the_page_of_json_events_is_what_their_types_are() {
    let schema = schemars::schema_for!(Json).to_value();
    let mut page = "## Events of contents\n\n".to_owned();
    events(&schema, &mut page);
    let _ = write!(page, "### Each of `peers` in `done`\n\n");
    field_list(&schema["$defs"]["PeerLine"], &schema, &mut page);
    let schema = schemars::schema_for!(SyncJson).to_value();
    let _ = write!(page, "## Events of `swarm sync`, `resolve` and `undo`\n\n{}\n\n", text_of(&schema));
    events(&schema, &mut page);
    for (heading, table) in [
        ("`local` and `remote` in `plan` and `done`", "CountsJson"),
        ("`held` in `plan`", "HeldJson"),
        ("`local_version` and `remote_version` in `conflict`", "ConflictVersion"),
    ] {
        let _ = write!(page, "### {heading}\n\n{}\n\n", text_of(&schema["$defs"][table]));
        field_list(&schema["$defs"][table], &schema, &mut page);
    }
    page += "## Objects of the commands about a pair\n\n";
    objects(&schemars::schema_for!(PairJson).to_value(), "swarm sync --list", &mut page);
    objects(&schemars::schema_for!(VersionJson).to_value(), "swarm versions", &mut page);
    check("json.md", &page);
}

/// Every event of an enum.
fn events(schema: &Value, page: &mut String) {
    for event in schema["oneOf"].as_array().expect("an enum of objects") {
        let name = event["properties"]["event"]["const"].as_str().expect("a tag");
        let _ = write!(page, "### `{name}`\n\n{}\n\n", text_of(event));
        field_list(&resolved(event, schema), schema, page);
    }
}

/// What a command prints.
fn objects(schema: &Value, command: &str, page: &mut String) {
    let _ = write!(page, "### `{command}`\n\n{}\n\n", text_of(schema));
    field_list(schema, schema, page);
}

#[test]
fn the_page_of_json_names_every_field_of_a_status() {
    let status = serde_json::to_value(Status::default()).expect("it is JSON");
    let reputation = serde_json::to_value(ReputationStatus::default()).expect("it is JSON");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/json.md");
    let page = std::fs::read_to_string(path).expect("the page is there");
    let fields =
        [status, reputation].into_iter().flat_map(|value| value.as_object().cloned().unwrap_or_default());
    for (field, _) in fields {
        assert!(page.contains(&code(&field)), "docs/reference/json.md lacks `{field}`");
    }
}

#[test]
fn the_page_of_the_configuration_is_its_schema() {
    let schema = Config::schema();
    let mut page = "### Top level\n\n".to_owned();
    fields(&schema, &schema, &mut page);
    for (name, property) in schema["properties"].as_object().expect("keys") {
        let (table, is_list) = match property["items"].as_object() {
            Some(items) => (items.get("$ref"), true),
            None => (reference(property), false),
        };
        let Some(table) = table.and_then(Value::as_str) else { continue };
        let table = &schema["$defs"][table.trim_start_matches("#/$defs/")];
        if table["properties"].is_object() {
            let heading = if is_list { format!("[[{name}]]") } else { format!("[{name}]") };
            let _ = write!(page, "### `{heading}`\n\n{}\n\n", text_of(property));
            fields(table, &schema, &mut page);
        }
    }
    check("configuration.md", &page);
}

/// The name of what a property is, be it one or none of them.
fn reference(property: &Value) -> Option<&Value> {
    let one_of = property["anyOf"].as_array().into_iter().flatten();
    one_of.chain([property]).find_map(|schema| schema.get("$ref"))
}

/// An event with the fields of the type that it holds.
fn resolved(event: &Value, schema: &Value) -> Value {
    let mut event = event.clone();
    if let Some(name) = event["$ref"].as_str() {
        let held = &schema["$defs"][name.trim_start_matches("#/$defs/")]["properties"];
        event["properties"] = held.clone();
    }
    event
}

/// The fields of an event, which have no text of their own.
fn field_list(object: &Value, schema: &Value, page: &mut String) {
    let properties = object["properties"].as_object().expect("an object").iter();
    let fields = properties.filter(|(name, _)| *name != "event");
    let shown = fields.map(|(name, property)| format!("{} ({})", code(name), kind(property, schema)));
    let shown = shown.collect::<Vec<_>>().join(", ");
    let _ = write!(page, "{}.\n\n", if shown.is_empty() { "No fields" } else { &shown });
}

/// The keys of a table of the configuration.
fn fields(object: &Value, schema: &Value, page: &mut String) {
    let properties = object["properties"].as_object().expect("an object");
    let required = object["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    *page += "| key | type | meaning |\n|---|---|---|\n";
    for (name, property) in properties {
        let kind = kind(property, schema);
        let is_required = required.iter().any(|known| known == name.as_str());
        let kind = kind.trim_end_matches(" or null").to_owned() + if is_required { ", required" } else { "" };
        let _ = writeln!(page, "| {} | {kind} | {} |", code(name), cell(&text_of(property)));
    }
    page.push('\n');
}

/// The type of a field, in words.
fn kind(property: &Value, schema: &Value) -> String {
    let named = |name: &str| {
        let known = &schema["$defs"][name.trim_start_matches("#/$defs/")];
        let is_table = known["properties"].is_object();
        if is_table { "table".to_owned() } else { kind(known, schema) }
    };
    if let Some(name) = reference(property).and_then(Value::as_str) {
        return named(name);
    }
    let choices: Vec<&Value> =
        property["enum"].as_array().map(|list| list.iter().collect()).unwrap_or_default();
    let constants: Vec<&Value> =
        property["oneOf"].as_array().into_iter().flatten().map(|one| &one["const"]).collect();
    let words: Vec<String> =
        choices.into_iter().chain(constants).filter_map(Value::as_str).map(code).collect();
    if !words.is_empty() {
        return words.join(" or ");
    }
    if property["items"].is_object() {
        return format!("list of {}", kind(&property["items"], schema));
    }
    let types: Vec<&str> = match &property["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    types.join(" or ")
}

fn text_of(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text in a cell of a table, which has one line.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|").replace('<', "&lt;")
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{}`", text.replace('|', "\\|")) }
}

const BEGIN: &str = "<!-- Generated by `make reference`; edit the source instead. -->";
const END: &str = "<!-- End of the generated part. -->";
