//! Tools that run as tasks, for the extension of that name.

use std::time::Duration;

use rmcp::{
    ErrorData,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities,
        CreateTaskResult,
    },
    task_manager::{TaskContext, TaskExit, TaskFuture, TaskOptions},
};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    Context, Server, made, result,
    rounds::{answer, asked, form, said},
};

pub(super) const NAMES: [&str; 6] = [
    "slow_compute",
    "failing_job",
    "protocol_error_job",
    "confirm_delete",
    "multi_input",
    "test_tool_with_task",
];
/// Those that can only run as tasks.
const ONLY_TASKS: [&str; 4] = [
    "failing_job",
    "confirm_delete",
    "multi_input",
    "test_tool_with_task",
];

fn done(text: &str, is_error: bool) -> Result<CallToolResult, TaskExit> {
    let content = json!([{"type": "text", "text": text}]);
    Ok(result(json!({"content": content, "isError": is_error}))?)
}

/// Asks in a running task, and gives the field that was filled in.
async fn fill_in(task: &TaskContext, question: &str, field: &str) -> Result<String, TaskExit> {
    let answer = task.request_input(question, made(form(field))?).await?;
    Ok(answer["content"][field].to_string())
}

impl Server {
    pub(super) async fn call_as_task(
        &self,
        request: &CallToolRequestParams,
        context: &Context,
    ) -> Result<CallToolResponse, ErrorData> {
        let name = request.name.as_ref();
        let can = context.client_capabilities();
        let as_task = can.is_some_and(|can| can.supports_tasks());
        if !as_task && ONLY_TASKS.contains(&name) {
            let needed = ClientCapabilities::builder().enable_tasks().build();
            return Err(ErrorData::missing_required_client_capability(needed));
        }
        let seconds = request.arguments.as_ref();
        let seconds = seconds.and_then(|arguments| arguments.get("seconds"));
        let seconds = Duration::from_secs_f64(seconds.and_then(Value::as_f64).unwrap_or(1.0));
        match name {
            "slow_compute" if as_task => Ok(self.spawn(move |task| {
                Box::pin(async move {
                    tokio::select! {
                        () = task.cancelled() => Err(TaskExit::Cancelled),
                        () = sleep(seconds) => done("Computed", false),
                    }
                })
            })),
            "slow_compute" => {
                sleep(seconds).await;
                said("Computed")
            }
            "failing_job" => Ok(self.spawn(|_| Box::pin(async { done("Failed", true) }))),
            "protocol_error_job" => {
                let failure = ErrorData::internal_error("Failed, as it should", None);
                if !as_task {
                    return Err(failure);
                }
                Ok(self.spawn(|_| Box::pin(async { Err(TaskExit::Error(failure)) })))
            }
            "confirm_delete" => Ok(self.spawn(|task| {
                Box::pin(async move {
                    let consent = fill_in(&task, "confirm", "confirm").await?;
                    done(&format!("Confirmed: {consent}"), false)
                })
            })),
            "multi_input" => Ok(self.spawn(|task| {
                Box::pin(async move {
                    let (a, b) = tokio::try_join!(
                        fill_in(&task, "input-a", "value"),
                        fill_in(&task, "input-b", "value"),
                    )?;
                    done(&format!("a = {a}, b = {b}"), false)
                })
            })),
            // A question first, then a task.
            _ => {
                let Some(answer) = answer(&request.input_responses, "user_name") else {
                    return asked(json!({"user_name": form("name")}), None);
                };
                let name = answer.get("content").and_then(|form| form.get("name"));
                let name = name.and_then(Value::as_str).unwrap_or("nobody").to_owned();
                Ok(self.spawn(move |_| {
                    Box::pin(async move { done(&format!("Hello, {name}!"), false) })
                }))
            }
        }
    }

    fn spawn(&self, work: impl FnOnce(TaskContext) -> TaskFuture) -> CallToolResponse {
        let task = self.0.tasks.spawn(TaskOptions::default(), work);
        CreateTaskResult::new(task).into()
    }
}
