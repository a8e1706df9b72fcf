//! What Redis is asked about a token, and what its answer means.

use redis::{Cmd, Pipeline, RedisResult, Value};

use super::{
    connection::{Connection, ask_master},
    keys,
};
use crate::{clock::UnixTime, error::StoreError, token::VerifiedToken};

/// The questions whose answers say whether a token is revoked.
pub(super) struct Question {
    /// Of the token, its session and its client: whether there is such a key.
    exists: [Option<Cmd>; 3],
    /// Of its subject: up to when.
    subject: Cmd,
}

impl Question {
    pub(super) fn about(token: &VerifiedToken) -> Result<Self, StoreError> {
        let claims = token.claims();
        let principal = claims.principal();
        let key = |kind, id: &str| keys::revoked(kind, principal.issuer(), id);
        let exists = |kind, id: Option<&str>| {
            let exists = |id| key(kind, id).map(Cmd::exists);
            id.map(exists).transpose()
        };
        Ok(Self {
            exists: [
                exists("jti", claims.jwt_id())?,
                exists("sid", claims.session_id())?,
                exists("client", principal.client_id())?,
            ],
            subject: Cmd::get(key("sub", principal.subject())?),
        })
    }

    /// One round trip. A node must say in it that it is the master. In a cluster the keys are on
    /// several nodes, which are asked side by side.
    pub(super) async fn ask(&self, connection: Connection) -> RedisResult<Answer> {
        let Connection::Node(mut node) = connection else {
            let [token, session, client] = &self.exists;
            let (token, session, client, subject) = tokio::try_join!(
                exists(connection.clone(), token.as_ref()),
                exists(connection.clone(), session.as_ref()),
                exists(connection.clone(), client.as_ref()),
                subject(connection.clone(), &self.subject),
            )?;
            return Ok(Answer {
                exists: token || session || client,
                subject,
            });
        };
        let mut pipeline = Pipeline::with_capacity(5);
        for exists in self.exists.iter().flatten() {
            pipeline.add_command(exists.clone());
        }
        pipeline.add_command(self.subject.clone());
        let mut answers = ask_master(&mut node, pipeline).await?;
        let subject = answers.pop().unwrap_or(Value::Nil);
        let exists: Vec<bool> = redis::from_redis_value(Value::Array(answers))?;
        Ok(Answer {
            exists: exists.contains(&true),
            subject: redis::from_redis_value(subject)?,
        })
    }
}

async fn exists(mut connection: Connection, question: Option<&Cmd>) -> RedisResult<bool> {
    match question {
        Some(question) => question.query_async(&mut connection).await,
        None => Ok(false),
    }
}

async fn subject(mut connection: Connection, question: &Cmd) -> RedisResult<Option<Vec<u8>>> {
    question.query_async(&mut connection).await
}

/// What Redis said of a token.
pub(super) struct Answer {
    exists: bool,
    subject: Option<Vec<u8>>,
}

impl Answer {
    /// Whether the token is revoked that was issued at this instant.
    pub(super) fn names(&self, issued_at: Option<UnixTime>) -> bool {
        let up_to = self.subject.as_deref().map(|text| {
            let text = std::str::from_utf8(text.trim_ascii()).ok();
            let number = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            // What is no number was meant to revoke, and does.
            number
                .and_then(|text| text.parse().ok())
                .unwrap_or(u64::MAX)
        });
        let named = up_to.is_some_and(|up_to| issued_at.is_none_or(|at| at.as_secs() <= up_to));
        self.exists || named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_revoked_up_to_the_second_that_is_written() {
        let names = |text: &str, iat: Option<u64>| {
            let answer = Answer {
                exists: false,
                subject: Some(text.into()),
            };
            answer.names(iat.map(UnixTime::from_secs))
        };
        for (text, up_to) in [("100", 100), (" 100\n", 100), ("0", 0)] {
            assert!(names(text, Some(up_to)) && names(text, None), "{text}");
            assert!(!names(text, Some(up_to + 1)), "{text}");
        }
        // What cannot be read as an instant holds for all.
        for text in [
            "",
            "yes",
            "-1",
            "1e3",
            "100.5",
            "99999999999999999999",
            "\u{0}",
            "0x10",
            // The script that revokes reads just the same.
            "+100",
            "\u{b}100",
            "\u{a0}100",
        ] {
            assert!(names(text, Some(4_000_000_000)), "{text}");
        }
        let none = Answer {
            exists: false,
            subject: None,
        };
        assert!(!none.names(None));
    }
}
