//! Tools that answer at once, and those that ask the client while they run, as the revisions up to
//! 2025-11-25 do.

use std::time::Duration;

use rmcp::{
    ErrorData,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ElicitRequest,
        LoggingLevel, LoggingMessageNotificationParam, ProgressNotificationParam, ServerRequest,
    },
};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    Context, Server,
    lists::{IMAGE, SOUND},
    made, result,
    rounds::{asked, form, said},
};

fn content(content: Value) -> Result<CallToolResponse, ErrorData> {
    Ok(result::<CallToolResult>(json!({"content": content}))?.into())
}

fn image() -> Value {
    json!({"type": "image", "data": IMAGE, "mimeType": "image/png"})
}

/// Asks the person at the client, while the call runs, and tells what came back.
async fn elicit(
    context: &Context,
    message: &str,
    properties: Value,
) -> Result<CallToolResponse, ErrorData> {
    let schema = json!({"type": "object", "properties": properties});
    let params = json!({"mode": "form", "message": message, "requestedSchema": schema});
    let request = ServerRequest::ElicitRequest(ElicitRequest::new(made(params)?));
    match context.peer.send_request(request).await {
        Ok(answer) => said(&format!("The client answered {answer:?}")),
        Err(error) => said(&format!("The client did not answer: {error}")),
    }
}

/// Asks the model of the client, while the call runs.
async fn sample(context: &Context, prompt: &str) -> Result<CallToolResponse, ErrorData> {
    let message = json!({"role": "user", "content": {"type": "text", "text": prompt}});
    let params = made(json!({"messages": [message], "maxTokens": 100}))?;
    match context.peer.create_message(params).await {
        Ok(answer) => said(&format!("The model answered {answer:?}")),
        Err(error) => said(&format!("The model did not answer: {error}")),
    }
}

/// A client that went away misses what it is told.
async fn log(context: &Context, level: LoggingLevel, text: &str) {
    let message = LoggingMessageNotificationParam::new(level, json!(text));
    let _ = context.peer.notify_logging_message(message).await;
}

impl Server {
    pub(super) async fn call(
        &self,
        request: &CallToolRequestParams,
        context: &Context,
    ) -> Result<CallToolResponse, ErrorData> {
        let argument = |name: &str| {
            let arguments = request.arguments.as_ref();
            arguments.and_then(|arguments| arguments.get(name)?.as_str())
        };
        match request.name.as_ref() {
            "test_simple_text" => said("This is a simple text response for testing."),
            "test_image_content" => content(json!([image()])),
            "test_audio_content" => {
                content(json!([{"type": "audio", "data": SOUND, "mimeType": "audio/wav"}]))
            }
            "test_embedded_resource" => content(json!([{"type": "resource", "resource": {
                "uri": "test://embedded-resource",
                "mimeType": "text/plain",
                "text": "This is an embedded resource content.",
            }}])),
            "test_multiple_content_types" => content(json!([
                {"type": "text", "text": "Multiple content types test:"},
                image(),
                {"type": "resource", "resource": {
                    "uri": "test://mixed-content-resource",
                    "mimeType": "application/json",
                    "text": r#"{"test":"data","value":123}"#,
                }},
            ])),
            "test_error_handling" => {
                let text = "This tool intentionally returns an error for testing";
                let failed = json!({"content": [{"type": "text", "text": text}], "isError": true});
                Ok(result::<CallToolResult>(failed)?.into())
            }
            "test_tool_with_logging" => {
                for text in ["Started", "Working", "Completed"] {
                    log(context, LoggingLevel::Info, text).await;
                    sleep(Duration::from_millis(50)).await;
                }
                said("Logged")
            }
            "test_tool_with_progress" => {
                for progress in [0.0, 50.0, 100.0] {
                    if let Some(token) = context.meta.get_progress_token() {
                        let progress = ProgressNotificationParam::new(token, progress);
                        let progress = progress.with_total(100.0);
                        let _ = context.peer.notify_progress(progress).await;
                    }
                    sleep(Duration::from_millis(50)).await;
                }
                said("Progressed")
            }
            "test_logging_tool" => {
                if let Some(level) = context.meta.log_level() {
                    log(context, level, "A message was asked for").await;
                }
                said("Logged")
            }
            "test_sampling" => sample(context, argument("prompt").unwrap_or("Hello")).await,
            "test_elicitation" => {
                let text = json!({"type": "string", "description": "A text"});
                let fields = json!({"username": text, "email": text});
                elicit(
                    context,
                    argument("message").unwrap_or("Who are you?"),
                    fields,
                )
                .await
            }
            "test_elicitation_sep1034_defaults" => {
                let fields = json!({
                    "name": {"type": "string", "default": "John Doe"},
                    "age": {"type": "integer", "default": 30},
                    "score": {"type": "number", "default": 95.5},
                    "status": {
                        "type": "string",
                        "enum": ["active", "inactive", "pending"],
                        "default": "active",
                    },
                    "verified": {"type": "boolean", "default": true},
                });
                elicit(context, "Who are you?", fields).await
            }
            "test_elicitation_sep1330_enums" => {
                let titled = |titles: [(&str, &str); 3]| {
                    json!(titles.map(|(value, title)| json!({"const": value, "title": title})))
                };
                let values = ["value1", "value2", "value3"];
                let titles = titled([(values[0], "One"), (values[1], "Two"), (values[2], "Three")]);
                let options = json!(["option1", "option2", "option3"]);
                let fields = json!({
                    "untitledSingle": {"type": "string", "enum": options},
                    "titledSingle": {"type": "string", "oneOf": titles},
                    "legacyEnum": {
                        "type": "string",
                        "enum": ["opt1", "opt2", "opt3"],
                        "enumNames": ["One", "Two", "Three"],
                    },
                    "untitledMulti": {
                        "type": "array", "items": {"type": "string", "enum": options},
                    },
                    "titledMulti": {"type": "array", "items": {"anyOf": titles}},
                });
                elicit(context, "Which?", fields).await
            }
            "test_reconnection" => {
                sleep(Duration::from_millis(100)).await;
                said("Reconnected")
            }
            "test_trigger_tool_change" => {
                for subscription in self.subscriptions() {
                    let _ = subscription.notify_tool_list_changed().await;
                }
                said("Told")
            }
            "test_trigger_prompt_change" => {
                for subscription in self.subscriptions() {
                    let _ = subscription.notify_prompt_list_changed().await;
                }
                said("Told")
            }
            "test_missing_capability" => {
                let can = context.meta.client_capabilities().unwrap_or_default();
                if can.sampling.is_none() {
                    let needed = ClientCapabilities::builder().enable_sampling().build();
                    return Err(ErrorData::missing_required_client_capability(needed));
                }
                said("The client can do it")
            }
            "test_streaming_elicitation" => {
                asked(json!({"streaming_elicitation": form("value")}), None)
            }
            "test_custom_header" => match argument("value") {
                Some(value) => said(value),
                None => Err(ErrorData::invalid_params("The value is no text", None)),
            },
            "greet" | "json_schema_2020_12_tool" => {
                said(&format!("Hello, {}!", argument("name").unwrap_or("nobody")))
            }
            _ => Err(ErrorData::invalid_params("There is no such tool", None)),
        }
    }
}
