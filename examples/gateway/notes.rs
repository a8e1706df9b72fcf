//! The MCP server of the demonstration: notes to read and write, behind an API key of its own.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::request::Parts;
use rmcp::{
    ServerHandler,
    handler::server::{tool::Extension, wrapper::Parameters},
    model::{ServerCapabilities, ServerConfig},
    schemars, tool, tool_handler, tool_router,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};

/// The header in which this server wants its key.
pub(crate) const KEY_HEADER: &str = "x-api-key";
/// How many notes there may be, and how long name and text of one may be.
const MOST: usize = 1000;
const LONGEST: usize = 4096;

#[derive(Clone, Debug)]
pub(crate) struct Notes {
    notes: Arc<Mutex<BTreeMap<String, String>>>,
    names_of_keys: Arc<BTreeMap<String, String>>,
}

#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
struct Name {
    /// The name of the note.
    name: String,
}

#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
struct Note {
    /// The name of the note.
    name: String,
    /// What it says.
    text: String,
}

#[tool_router]
impl Notes {
    /// A server that knows its keys by name.
    pub(crate) fn new(names_of_keys: BTreeMap<String, String>) -> Self {
        let welcome = (
            "welcome".to_owned(),
            "Hello from behind the gateway".to_owned(),
        );
        Self {
            notes: Arc::new(Mutex::new(BTreeMap::from([welcome]))),
            names_of_keys: Arc::new(names_of_keys),
        }
    }

    /// The server over HTTP.
    pub(crate) fn into_service(self) -> StreamableHttpService<Self, LocalSessionManager> {
        StreamableHttpService::new(
            move || Ok(self.clone()),
            Arc::default(),
            StreamableHttpServerConfig::default()
                .with_legacy_session_mode(false)
                .with_json_response(true),
        )
    }

    /// The name of the key that a call was made with. This is where a real server refuses.
    fn key_name(&self, parts: &Parts) -> &str {
        let key = parts.headers.get(KEY_HEADER);
        let key = key.and_then(|value| value.to_str().ok());
        let name = key.and_then(|key| self.names_of_keys.get(key));
        name.map_or("nobody's", String::as_str)
    }

    fn notes(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[tool(description = "The names of all notes")]
    fn list_notes(&self) -> String {
        let names: Vec<_> = self.notes().keys().cloned().collect();
        names.join(", ")
    }

    #[tool(description = "What a note says")]
    fn get_note(&self, Parameters(Name { name }): Parameters<Name>) -> Result<String, String> {
        let text = self.notes().get(&name).cloned();
        text.ok_or_else(|| "There is no such note".to_owned())
    }

    #[tool(description = "Writes a note")]
    fn put_note(
        &self,
        Parameters(Note { name, text }): Parameters<Note>,
        Extension(parts): Extension<Parts>,
    ) -> Result<String, String> {
        let mut notes = self.notes();
        if name.len() > LONGEST || text.len() > LONGEST {
            return Err("The note is too long".to_owned());
        }
        if notes.len() >= MOST && !notes.contains_key(&name) {
            return Err("There are too many notes".to_owned());
        }
        notes.insert(name, text);
        drop(notes);
        Ok(format!("Written with the key {}", self.key_name(&parts)))
    }

    #[tool(description = "Deletes a note")]
    fn delete_note(&self, Parameters(Name { name }): Parameters<Name>) -> Result<String, String> {
        let gone = self.notes().remove(&name);
        gone.map(|_| "Deleted".to_owned())
            .ok_or_else(|| "There is no such note".to_owned())
    }

    #[tool(description = "Which internal key this call was made with")]
    fn whoami(&self, Extension(parts): Extension<Parts>) -> String {
        format!("You came with the key {}", self.key_name(&parts))
    }
}

#[tool_handler]
impl ServerHandler for Notes {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }
}
