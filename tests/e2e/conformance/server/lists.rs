//! What the server has: its tools, prompts and resources.

use serde_json::{Map, Value, json};

/// A picture of one red pixel, and a sound of no length.
pub(super) const IMAGE: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8/5+hHgAHggJ/PchI7wAAAABJRU5ErkJggg==";
pub(super) const SOUND: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA=";

/// Tools without arguments.
const PLAIN: [&str; 30] = [
    "test_simple_text",
    "test_image_content",
    "test_audio_content",
    "test_embedded_resource",
    "test_multiple_content_types",
    "test_tool_with_logging",
    "test_error_handling",
    "test_tool_with_progress",
    "test_elicitation_sep1034_defaults",
    "test_elicitation_sep1330_enums",
    "test_reconnection",
    "test_trigger_tool_change",
    "test_trigger_prompt_change",
    "test_missing_capability",
    "test_streaming_elicitation",
    "test_logging_tool",
    "test_input_required_result_elicitation",
    "test_input_required_result_sampling",
    "test_input_required_result_list_roots",
    "test_input_required_result_request_state",
    "test_input_required_result_multiple_inputs",
    "test_input_required_result_multi_round",
    "test_input_required_result_tampered_state",
    "test_input_required_result_capabilities",
    "slow_compute",
    "failing_job",
    "protocol_error_job",
    "confirm_delete",
    "multi_input",
    "test_tool_with_task",
];

/// A list that may be kept for a minute, by everyone.
fn cacheable(mut list: Value) -> Value {
    list["ttlMs"] = json!(60_000);
    list["cacheScope"] = json!("public");
    list
}

fn tool(name: &str, schema: Value) -> Value {
    json!({"name": name, "description": format!("The tool {name}"), "inputSchema": schema})
}

/// A tool with one argument, a text.
fn tool_with(name: &str, argument: &str, property: Value) -> Value {
    let schema = json!({
        "type": "object", "properties": {argument: property}, "required": [argument],
    });
    tool(name, schema)
}

pub(super) fn tools() -> Value {
    let plain = PLAIN.map(|name| tool(name, json!({"type": "object", "properties": {}})));
    let text = json!({"type": "string"});
    let mut tools = Vec::from(plain);
    tools.push(tool_with("test_sampling", "prompt", text.clone()));
    tools.push(tool_with("test_elicitation", "message", text.clone()));
    tools.push(tool_with("greet", "name", text));
    tools.push(tool_with(
        "test_custom_header",
        "value",
        json!({"type": "string", "x-mcp-header": "Value"}),
    ));
    tools.push(tool(
        "json_schema_2020_12_tool",
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "$defs": {"address": {
                "$anchor": "address",
                "type": "object",
                "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
            }},
            "properties": {
                "name": {"type": "string"},
                "address": {"$ref": "#/$defs/address"},
            },
            "allOf": [{"anyOf": [{"required": ["name"]}, {"required": ["address"]}]}],
            "if": {"required": ["address"]},
            "then": {"properties": {"address": {"required": ["street"]}}},
            "else": {"required": ["name"]},
            "additionalProperties": false,
        }),
    ));
    cacheable(json!({"tools": tools}))
}

pub(super) fn prompts() -> Value {
    let argument = |name| json!({"name": name, "description": "A text", "required": true});
    cacheable(json!({"prompts": [
        {"name": "test_simple_prompt", "description": "A prompt"},
        {
            "name": "test_prompt_with_arguments",
            "description": "A prompt with arguments",
            "arguments": [argument("arg1"), argument("arg2")],
        },
        {
            "name": "test_prompt_with_embedded_resource",
            "description": "A prompt with a resource in it",
            "arguments": [argument("resourceUri")],
        },
        {"name": "test_prompt_with_image", "description": "A prompt with a picture"},
        {"name": "test_input_required_result_prompt", "description": "A prompt that asks back"},
    ]}))
}

/// What a prompt says, where there is one of this name.
pub(super) fn prompt(name: &str, arguments: &Map<String, Value>) -> Option<Value> {
    let argument = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or("");
    let text = |text: &str| json!({"type": "text", "text": text});
    let content = match name {
        "test_simple_prompt" | "test_input_required_result_prompt" => {
            vec![text("This is a simple prompt for testing.")]
        }
        "test_prompt_with_arguments" => vec![text(&format!(
            "Prompt with arguments: arg1='{}', arg2='{}'",
            argument("arg1"),
            argument("arg2"),
        ))],
        "test_prompt_with_embedded_resource" => vec![
            json!({"type": "resource", "resource": {
                "uri": argument("resourceUri"),
                "mimeType": "text/plain",
                "text": "Embedded resource content for testing.",
            }}),
            text("Please process the embedded resource above."),
        ],
        "test_prompt_with_image" => vec![
            json!({"type": "image", "data": IMAGE, "mimeType": "image/png"}),
            text("Please analyze the image above."),
        ],
        _ => return None,
    };
    let messages: Vec<_> = content
        .into_iter()
        .map(|content| json!({"role": "user", "content": content}))
        .collect();
    Some(json!({"messages": messages}))
}

pub(super) fn resources() -> Value {
    cacheable(json!({"resources": [
        {"uri": "test://static-text", "name": "A text", "mimeType": "text/plain"},
        {"uri": "test://static-binary", "name": "A picture", "mimeType": "image/png"},
    ]}))
}

pub(super) fn resource_templates() -> Value {
    cacheable(json!({"resourceTemplates": [{
        "uriTemplate": "test://template/{id}/data",
        "name": "Data by id",
        "mimeType": "application/json",
    }]}))
}

/// What a resource holds, where there is one of this URI.
pub(super) fn resource(uri: &str) -> Option<Value> {
    let content = match uri {
        "test://static-text" => json!({
            "uri": uri, "mimeType": "text/plain", "text": "The content of the static text.",
        }),
        "test://static-binary" => json!({"uri": uri, "mimeType": "image/png", "blob": IMAGE}),
        _ => {
            let id = uri
                .strip_prefix("test://template/")?
                .strip_suffix("/data")?;
            let text =
                json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
            json!({"uri": uri, "mimeType": "application/json", "text": text.to_string()})
        }
    };
    Some(cacheable(json!({"contents": [content]})))
}
