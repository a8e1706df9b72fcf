//! The MCP server that the suite is run against: it offers what the suite asks for, on the official
//! SDK. Its answers are written as the JSON that goes over the wire.

mod calls;
mod lists;
mod rounds;
mod tasks;

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams,
        CompleteResult, GetPromptRequestParams, GetPromptResponse, GetPromptResult, GetTaskParams,
        GetTaskResult, InitializeRequestParams, InitializeResult, InputRequiredResult,
        ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
        PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse,
        ReadResourceResult, ServerCapabilities, ServerConfig, SetLevelRequestParams,
        SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams,
        UpdateTaskParams,
    },
    service::{RequestContext, SubscriptionContext, SubscriptionSink},
    task_manager::TaskManager,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The server. Its clones share what they know.
#[derive(Clone, Default)]
pub(crate) struct Server(Arc<State>);

#[derive(Default)]
struct State {
    subscriptions: Mutex<HashMap<u64, SubscriptionSink>>,
    next: AtomicU64,
    /// How far the calls in several rounds are, under names that nobody can guess.
    rounds: Mutex<HashMap<String, u64>>,
    names: RandomState,
    tasks: TaskManager,
}

type Context = RequestContext<RoleServer>;

/// What the JSON says, as the SDK's type.
fn made<T: DeserializeOwned>(json: Value) -> Result<T, ErrorData> {
    serde_json::from_value(json).map_err(|e| ErrorData::internal_error(e.to_string(), None))
}

/// The same for an answer to a request, which says what it is.
fn result<T: DeserializeOwned>(mut json: Value) -> Result<T, ErrorData> {
    let asks = json.get("inputRequests").is_some();
    json["resultType"] = json!(if asks { "input_required" } else { "complete" });
    made(json)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    /// The server over HTTP, as the SDK sets it up: with sessions for the revisions that have them.
    pub(crate) fn into_service(self) -> StreamableHttpService<Self, LocalSessionManager> {
        StreamableHttpService::new(
            move || Ok(self.clone()),
            Arc::default(),
            StreamableHttpServerConfig::default(),
        )
    }

    /// Remembers how far a call is, and gives the name to come back with.
    fn remember(&self, round: u64) -> String {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let name = format!("{:016x}", self.0.names.hash_one(number));
        locked(&self.0.rounds).insert(name.clone(), round);
        name
    }

    /// How far the call of this name is. What was changed on the way is no name of ours.
    fn recall(&self, name: &str) -> Result<u64, ErrorData> {
        let round = locked(&self.0.rounds).get(name).copied();
        round.ok_or_else(|| ErrorData::invalid_params("The requestState is none of ours", None))
    }

    fn subscriptions(&self) -> Vec<SubscriptionSink> {
        locked(&self.0.subscriptions).values().cloned().collect()
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(
            ServerCapabilities::builder()
                .enable_prompts()
                .enable_prompts_list_changed()
                .enable_resources()
                .enable_resources_subscribe()
                .enable_resources_list_changed()
                .enable_tools()
                .enable_tool_list_changed()
                .enable_completions()
                .enable_logging()
                .enable_tasks()
                .build(),
        )
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        _: Context,
    ) -> Result<InitializeResult, ErrorData> {
        let info = self.get_info();
        Ok(InitializeResult::new(info.capabilities)
            .with_protocol_version(request.protocol_version)
            .with_server_info(info.server_info))
    }

    async fn ping(&self, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn set_level(&self, _: SetLevelRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn complete(
        &self,
        _: CompleteRequestParams,
        _: Context,
    ) -> Result<CompleteResult, ErrorData> {
        result(json!({"completion": {"values": ["paris", "park"], "total": 2, "hasMore": false}}))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        let tools: ListToolsResult = result(lists::tools()).ok()?;
        tools.tools.into_iter().find(|tool| tool.name == name)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListToolsResult, ErrorData> {
        result(lists::tools())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: Context,
    ) -> Result<CallToolResponse, ErrorData> {
        if request.name.starts_with("test_input_required_result_") {
            return self.call_in_rounds(&request, &context);
        }
        if tasks::NAMES.contains(&request.name.as_ref()) {
            return self.call_as_task(&request, &context).await;
        }
        self.call(&request, &context).await
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListPromptsResult, ErrorData> {
        result(lists::prompts())
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: Context,
    ) -> Result<GetPromptResponse, ErrorData> {
        let asks = request.name == "test_input_required_result_prompt";
        if asks && rounds::answer(&request.input_responses, "user_context").is_none() {
            let asked = json!({"inputRequests": {"user_context": rounds::form("context")}});
            return Ok(result::<InputRequiredResult>(asked)?.into());
        }
        let arguments = request.arguments.unwrap_or_default();
        let prompt = lists::prompt(&request.name, &arguments)
            .ok_or_else(|| ErrorData::invalid_params("There is no such prompt", None))?;
        Ok(result::<GetPromptResult>(prompt)?.into())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        result(lists::resources())
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        result(lists::resource_templates())
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = request.uri;
        match lists::resource(&uri) {
            Some(resource) => Ok(result::<ReadResourceResult>(resource)?.into()),
            None => Err(ErrorData::resource_not_found(
                "There is no such resource",
                Some(json!({"uri": uri})),
            )),
        }
    }

    async fn subscribe(&self, _: SubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(&self, _: UnsubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.supported_by(&self.get_info().capabilities))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let sink = context.sink().clone();
        locked(&self.0.subscriptions).insert(number, sink);
        context.cancelled().await;
        locked(&self.0.subscriptions).remove(&number);
        Ok(())
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _: Context,
    ) -> Result<GetTaskResult, ErrorData> {
        let task = self.0.tasks.get_task(&request.task_id)?;
        Ok(GetTaskResult::new(task))
    }

    async fn update_task(&self, request: UpdateTaskParams, _: Context) -> Result<(), ErrorData> {
        self.0
            .tasks
            .update_task(&request.task_id, request.input_responses)
    }

    async fn cancel_task(&self, request: CancelTaskParams, _: Context) -> Result<(), ErrorData> {
        self.0.tasks.cancel_task(&request.task_id)
    }
}
