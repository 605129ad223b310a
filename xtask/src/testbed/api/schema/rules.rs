//! `x-kubernetes-validations`: rules in CEL.

use anyhow::Context as _;
use cel::{Context, Program};
use serde_json::Value;

use crate::testbed::api::refusal::Cause;

/// Whether all rules compile.
///
/// # Errors
/// With the first rule that does not.
pub fn check(schema: &Value) -> anyhow::Result<()> {
    for rule in rules(schema) {
        let text = rule["rule"].as_str().context("a rule without text")?;
        Program::compile(text).with_context(|| format!("compile the rule `{text}`"))?;
    }
    match schema {
        Value::Object(map) => map.values().try_for_each(check),
        Value::Array(items) => items.iter().try_for_each(check),
        _ => Ok(()),
    }
}

fn rules(schema: &Value) -> impl Iterator<Item = &Value> {
    schema.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten()
}

/// The rules that an object breaks, by where.
pub fn broken(schema: &Value, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    walk(schema, object, old, "", &mut causes);
    causes
}

fn walk(schema: &Value, value: &Value, old: Option<&Value>, at: &str, causes: &mut Vec<Cause>) {
    for rule in rules(schema) {
        let text = rule["rule"].as_str().unwrap_or_default();
        match is_met(text, value, old) {
            Ok(true) => {}
            Ok(false) => {
                let message =
                    rule["message"].as_str().map_or_else(|| format!("failed rule: {text}"), str::to_owned);
                causes.push(Cause::invalid(at, message));
            }
            Err(problem) => {
                causes.push(Cause::invalid(at, format!("the rule `{text}` gives an error: {problem}")))
            }
        }
    }
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let known = schema["properties"].get(name);
                let Some(schema) = known.or_else(|| schema.get("additionalProperties")) else { continue };
                let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                walk(schema, value, old.and_then(|old| old.get(name)), &path, causes);
            }
        }
        // Items of lists are not followed over time: no rule here compares them with what they were.
        Value::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                walk(&schema["items"], item, None, &format!("{at}[{place}]"), causes);
            }
        }
        _ => {}
    }
}

/// A rule that compares with the old value holds when there is none.
fn is_met(text: &str, value: &Value, old: Option<&Value>) -> Result<bool, String> {
    let program = Program::compile(text).map_err(|error| error.to_string())?;
    let is_transition = program.references().has_variable("oldSelf");
    let mut context = Context::default();
    if is_transition {
        let Some(old) = old else { return Ok(true) };
        context.add_variable("oldSelf", old).map_err(|error| error.to_string())?;
    }
    context.add_variable("self", value).map_err(|error| error.to_string())?;
    match program.execute(&context).map_err(|error| error.to_string())? {
        cel::Value::Bool(verdict) => Ok(verdict),
        other => Err(format!("it is no bool, but {other:?}")),
    }
}
