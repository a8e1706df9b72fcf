//! One connection, to a node or to a cluster, and how it is made.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult,
    Role, ServerErrorKind, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster_async::ClusterConnection,
    cluster_routing::{
        MultipleNodeRoutingInfo, ResponsePolicy, Route, RoutingInfo, SingleNodeRoutingInfo,
        SlotAddr,
    },
    sentinel::SentinelClient,
};

use super::url::Address;

/// How long one node may take to be connected to.
pub(super) const NODE: Duration = Duration::from_secs(1);

/// A connection that many questions share at a time.
#[derive(Clone)]
pub(super) enum Connection {
    Node(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    /// Connects to the node that takes writes, or to a cluster, and waits for an answer.
    pub(super) async fn open(address: &Address) -> RedisResult<Self> {
        let connection = match address {
            Address::Standalone(client) => Self::to_node(client).await?,
            Address::Sentinel(sentinels) => {
                Self::to_node(&sentinels.client()?.async_get_client().await?).await?
            }
            Address::Cluster(client) => Self::Cluster(client.get_async_connection().await?),
        };
        connection.ping().await?;
        Ok(connection)
    }

    async fn to_node(client: &Client) -> RedisResult<Self> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(NODE))
            // Each question has a timeout of its own.
            .set_response_timeout(None);
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        connection.await.map(Self::Node)
    }

    /// Fails while the data is being loaded, and where no master answers.
    pub(super) async fn ping(&self) -> RedisResult<()> {
        match self.clone() {
            Self::Node(mut connection) => {
                let mut ping = Pipeline::with_capacity(2);
                ping.cmd("PING");
                ask_master(&mut connection, ping).await?;
            }
            Self::Cluster(mut connection) => {
                let all = MultipleNodeRoutingInfo::AllMasters;
                let routing = RoutingInfo::MultiNode((all, Some(ResponsePolicy::AllSucceeded)));
                connection
                    .route_command(redis::cmd("PING"), routing)
                    .await?;
            }
        }
        Ok(())
    }

    /// Sends a command to the node that holds a key.
    async fn ask_node_of(&self, key: &str, command: Cmd) -> RedisResult<Value> {
        match self.clone() {
            Self::Node(mut connection) => connection.req_packed_command(&command).await,
            Self::Cluster(mut connection) => {
                let node =
                    SingleNodeRoutingInfo::SpecificNode(Route::with_key(key, SlotAddr::Master));
                connection
                    .route_command(command, RoutingInfo::SingleNode(node))
                    .await
            }
        }
    }

    /// How many replicas the node that holds a key has.
    pub(super) async fn replicas(&self, key: &str) -> RedisResult<usize> {
        match redis::from_redis_value(self.ask_node_of(key, redis::cmd("ROLE")).await?)? {
            Role::Primary { replicas, .. } => Ok(replicas.len()),
            _ => Err(RedisError::from((
                ErrorKind::Io,
                "the master became a replica",
            ))),
        }
    }

    /// Waits until a replica has what was last written to the node that holds a key. Nothing else
    /// may use the connection meanwhile. Says whether one has.
    pub(super) async fn wait(&self, key: &str, limit: Duration) -> RedisResult<bool> {
        let mut command = redis::cmd("WAIT");
        command.arg(1).arg(limit.as_millis().to_string());
        let replicas: u64 = redis::from_redis_value(self.ask_node_of(key, command).await?)?;
        Ok(replicas > 0)
    }
}

/// Asks a node in one round trip, and gives its answers if it still is the master.
///
/// Who reads alone would never notice otherwise: a master that was made a replica keeps its
/// connections, and goes on to answer from what it had. The role is asked last: who is the master
/// then was it when it answered the rest. (A cluster needs none of this: there a replica redirects
/// to the master whoever did not say `READONLY`, which is never said.)
pub(super) async fn ask_master(
    node: &mut MultiplexedConnection,
    mut questions: Pipeline,
) -> RedisResult<Vec<Value>> {
    questions.cmd("ROLE").ignore_errors();
    let mut answers: Vec<Value> = questions.query_async(node).await?;
    if !is_master(answers.pop()) {
        return Err(RedisError::from((
            ErrorKind::Server(ServerErrorKind::ReadOnly),
            "a replica answers where the master is needed",
        )));
    }
    answers.into_iter().map(Value::extract_error).collect()
}

/// Reads the first word alone: what follows it is of many forms, and of no matter.
fn is_master(role: Option<Value>) -> bool {
    match role {
        Some(Value::Array(role)) => {
            matches!(role.first(), Some(Value::BulkString(word)) if word == b"master")
        }
        // Not every user may ask.
        Some(Value::ServerError(_)) => true,
        _ => false,
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Node(connection) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Node(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Node(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

/// Watches whom the sentinels call the master.
pub(super) struct MasterWatch {
    client: SentinelClient,
    master: Option<String>,
}

impl MasterWatch {
    /// `None` where there are no sentinels, or none to ask.
    pub(super) fn new(address: &Address) -> Option<Self> {
        match address {
            Address::Sentinel(sentinels) => Some(Self {
                client: sentinels.client().ok()?,
                master: None,
            }),
            Address::Standalone(_) | Address::Cluster(_) => None,
        }
    }

    /// Whether they name another one than before. Where none of them can tell, it is the same.
    pub(super) async fn has_changed(&mut self) -> bool {
        let Ok(client) = self.client.async_get_client().await else {
            return false;
        };
        let named = client.get_connection_info().addr().to_string();
        let changed = self.master.as_ref().is_some_and(|master| *master != named);
        self.master = Some(named);
        changed
    }
}
