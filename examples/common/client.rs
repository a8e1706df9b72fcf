//! A call of the official client.

use std::{error::Error, io};

use rmcp::{
    ServiceExt,
    model::CallToolRequestParams,
    transport::{
        StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig,
    },
};

/// Lists the tools of the server at `url` and calls the one that tells the caller's key.
pub(crate) async fn whoami(url: &str, token: &str) -> Result<String, Box<dyn Error + Send + Sync>> {
    let config = StreamableHttpClientTransportConfig::with_uri(url).auth_header(token);
    let client = ().serve(StreamableHttpClientTransport::from_config(config)).await?;
    let tools = client.list_all_tools().await?;
    if !tools.iter().any(|tool| tool.name == "whoami") {
        return Err(io::Error::other("the tool is not listed").into());
    }
    let result = client
        .call_tool(CallToolRequestParams::new("whoami"))
        .await?;
    client.cancel().await?;
    let said = result.content.first().and_then(|content| content.as_text());
    Ok(said.map(|text| text.text.clone()).unwrap_or_default())
}
