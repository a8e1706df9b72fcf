//! Sessions that several instances share.

use std::{fmt, future::Future, pin::Pin};

use redis::{ExistenceCheck, Expiry, Pipeline, RedisResult, SetExpiry, SetOptions, Value};

use super::{client::Redis, connection::Connection, keys};
use crate::{
    clock::UnixTime,
    error::StoreError,
    session::{IDLE, SessionHash, SessionOwner, SessionStore},
};

type Answer = Pin<Box<dyn Future<Output = Result<Option<SessionOwner>, StoreError>> + Send>>;

/// Sessions that several instances share, on [`Redis`].
///
/// A session is the key `mcp-auth:session:<sha256 of its id>`; its value stands for the owner. It
/// expires by itself a day after its last use, by Redis' own clock.
#[derive(Clone)]
#[must_use]
pub struct RedisSessionStore {
    redis: Redis,
}

impl RedisSessionStore {
    /// The sessions on this Redis.
    pub const fn new(redis: Redis) -> Self {
        Self { redis }
    }

    /// Asks for the owner by the last command of a transaction.
    fn ask(&self, question: Pipeline) -> Answer {
        let redis = self.redis.clone();
        Box::pin(async move {
            let answer = redis.ask(|connection| owner(connection, &question)).await?;
            answer
                .map(|owner| {
                    let owner = owner.try_into();
                    owner.map(SessionOwner::from_bytes).map_err(|_| {
                        StoreError::new("a session in Redis has an owner of another kind")
                    })
                })
                .transpose()
        })
    }
}

async fn owner(mut connection: Connection, question: &Pipeline) -> RedisResult<Option<Vec<u8>>> {
    let mut answers: Vec<Value> = question.query_async(&mut connection).await?;
    redis::from_redis_value(answers.pop().unwrap_or(Value::Nil)).map_err(Into::into)
}

impl fmt::Debug for RedisSessionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSessionStore")
            .field("redis", &self.redis)
            .finish()
    }
}

impl SessionStore for RedisSessionStore {
    type Future = Answer;

    fn owner(&self, session: SessionHash, _: UnixTime) -> Answer {
        let mut question = Pipeline::new();
        question.get_ex(keys::session(session), Expiry::EX(IDLE.as_secs()));
        self.ask(question)
    }

    fn bind(&self, session: SessionHash, owner: SessionOwner, _: UnixTime) -> Answer {
        let key = keys::session(session);
        let unless_there = SetOptions::default()
            .conditional_set(ExistenceCheck::NX)
            .with_expiration(SetExpiry::EX(IDLE.as_secs()));
        let mut question = Pipeline::new();
        question
            .atomic()
            .set_options(&key, owner.as_bytes(), unless_there)
            .get(&key);
        self.ask(question)
    }

    fn forget(&self, session: SessionHash) -> Answer {
        let mut question = Pipeline::new();
        question.get_del(keys::session(session));
        self.ask(question)
    }
}
