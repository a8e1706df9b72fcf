//! Tools of 2026-07-28 that answer with a question: the client calls again with what was asked.

use rmcp::{
    ErrorData,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, InputRequiredResult,
        InputResponses,
    },
};
use serde_json::{Map, Value, json};

use super::{Context, Server, result};

/// A form with one field, a text.
pub(super) fn form(field: &str) -> Value {
    json!({"method": "elicitation/create", "params": {
        "mode": "form",
        "message": format!("What is your {field}?"),
        "requestedSchema": {
            "type": "object",
            "properties": {field: {"type": "string"}},
            "required": [field],
        },
    }})
}

fn sampling() -> Value {
    json!({"method": "sampling/createMessage", "params": {
        "messages": [{"role": "user", "content": {
            "type": "text", "text": "What is the capital of France?",
        }}],
        "maxTokens": 100,
    }})
}

fn roots() -> Value {
    json!({"method": "roots/list"})
}

/// The client's answer to a question. What is no object is no answer.
pub(super) fn answer<'a>(
    answers: &'a Option<InputResponses>,
    question: &str,
) -> Option<&'a Map<String, Value>> {
    answers.as_ref()?.get(question)?.as_object()
}

/// The questions, with the name of the round where there are several.
pub(super) fn asked(
    questions: Value,
    state: Option<String>,
) -> Result<CallToolResponse, ErrorData> {
    let mut asked = json!({"inputRequests": questions});
    if let Some(state) = state {
        asked["requestState"] = json!(state);
    }
    Ok(result::<InputRequiredResult>(asked)?.into())
}

pub(super) fn said(text: &str) -> Result<CallToolResponse, ErrorData> {
    let content = json!([{"type": "text", "text": text}]);
    Ok(result::<CallToolResult>(json!({"content": content}))?.into())
}

impl Server {
    pub(super) fn call_in_rounds(
        &self,
        request: &CallToolRequestParams,
        context: &Context,
    ) -> Result<CallToolResponse, ErrorData> {
        let answers = &request.input_responses;
        let round = match &request.request_state {
            Some(name) => Some(self.recall(name)?),
            None => None,
        };
        match request.name.as_ref() {
            "test_input_required_result_elicitation" => match answer(answers, "user_name") {
                Some(answer) => {
                    let name = answer.get("content").and_then(|form| form.get("name"));
                    let name = name.and_then(Value::as_str).unwrap_or("nobody");
                    said(&format!("Hello, {name}!"))
                }
                None => asked(json!({"user_name": form("name")}), None),
            },
            "test_input_required_result_sampling" => match answer(answers, "capital_question") {
                Some(_) => said("The capital was named"),
                None => asked(json!({"capital_question": sampling()}), None),
            },
            "test_input_required_result_list_roots" => match answer(answers, "client_roots") {
                Some(_) => said("The roots were named"),
                None => asked(json!({"client_roots": roots()}), None),
            },
            "test_input_required_result_request_state"
            | "test_input_required_result_tampered_state" => match round {
                Some(_) => said("state-ok"),
                None => asked(json!({"confirm": form("consent")}), Some(self.remember(1))),
            },
            "test_input_required_result_multiple_inputs" => {
                let all = ["user_name", "greeting", "client_roots"]
                    .iter()
                    .all(|question| answer(answers, question).is_some());
                if all && round.is_some() {
                    return said("All was answered");
                }
                let questions = json!({
                    "user_name": form("name"), "greeting": sampling(), "client_roots": roots(),
                });
                asked(questions, Some(self.remember(1)))
            }
            "test_input_required_result_multi_round" => match round {
                None => asked(json!({"step1": form("name")}), Some(self.remember(1))),
                Some(1) => asked(json!({"step2": form("color")}), Some(self.remember(2))),
                Some(_) => said("That was the last round"),
            },
            "test_input_required_result_capabilities" if answers.is_some() => said("Answered"),
            "test_input_required_result_capabilities" => {
                // Nothing is asked that the client did not say it can answer.
                let can = context.meta.client_capabilities().unwrap_or_default();
                let mut questions = Map::new();
                if can.elicitation.is_some() {
                    questions.insert("user_name".to_owned(), form("name"));
                }
                if can.sampling.is_some() {
                    questions.insert("greeting".to_owned(), sampling());
                }
                if can.roots.is_some() {
                    questions.insert("client_roots".to_owned(), roots());
                }
                if questions.is_empty() {
                    return said("There is nothing that this client could be asked");
                }
                asked(Value::Object(questions), None)
            }
            _ => Err(ErrorData::invalid_params("There is no such tool", None)),
        }
    }
}
