//! Where Redis is: one URL for each form that it comes in.

use std::fmt;

use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisResult, TlsMode,
    cluster::ClusterClient,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};

use crate::error::ConfigError;

/// The most hosts that a URL may name.
const HOSTS: usize = 64;
const SENTINEL_PORT: u16 = 26_379;

/// Where Redis is. It never shows a password.
pub(super) enum Address {
    Standalone(Client),
    Sentinel(Sentinels),
    Cluster(ClusterClient),
}

/// The sentinels that know the master, and how to log in to it.
pub(super) struct Sentinels {
    sentinels: Vec<ConnectionInfo>,
    service: String,
    master: ConnectionInfo,
}

impl Address {
    pub(super) fn from_url(url: &str) -> Result<Self, ConfigError> {
        let (scheme, rest) = url.split_once("://").ok_or_else(unknown)?;
        let (base, form) = scheme.split_once('+').unwrap_or((scheme, ""));
        // Behind a # would stand that no certificate need be valid.
        if !matches!(base, "redis" | "rediss") || rest.contains('#') {
            return Err(unknown());
        }
        match form {
            "" => {
                // The client would take several hosts for one of a strange name.
                if Parts::of(rest)?.hosts.contains(',') {
                    return Err(unknown());
                }
                let client = Client::open(url).map_err(|_| unknown())?;
                Ok(Self::Standalone(client))
            }
            "sentinel" => Sentinels::parse(base, rest).map(Self::Sentinel),
            "cluster" => {
                let parts = Parts::of(rest)?;
                if !parts.query.is_empty() || !parts.path.trim_matches('/').is_empty() {
                    return Err(ConfigError::new(
                        "the URL of a Redis Cluster ends after its hosts",
                    ));
                }
                let nodes = parts.nodes(base, 6379, "")?;
                let client = ClusterClient::builder(nodes)
                    .retries(2)
                    .min_retry_wait(5)
                    .max_retry_wait(20)
                    .connection_timeout(super::connection::NODE)
                    .response_timeout(super::connection::NODE)
                    .build()
                    .map_err(|_| unknown())?;
                Ok(Self::Cluster(client))
            }
            _ => Err(unknown()),
        }
    }

    pub(super) fn is_encrypted(&self) -> bool {
        let is_tls = |info: &ConnectionInfo| matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        match self {
            Self::Standalone(client) => is_tls(client.get_connection_info()),
            Self::Sentinel(sentinels) => is_tls(&sentinels.master),
            // It does not tell; what is prepared for nothing does no harm.
            Self::Cluster(_) => true,
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standalone(_) => "Standalone(..)",
            Self::Sentinel(_) => "Sentinel(..)",
            Self::Cluster(_) => "Cluster(..)",
        })
    }
}

impl Sentinels {
    fn parse(base: &str, rest: &str) -> Result<Self, ConfigError> {
        let parts = Parts::of(rest)?;
        let (service, db) = parts.path.split_once('/').unwrap_or((parts.path, ""));
        if service.is_empty() {
            return Err(ConfigError::new(
                "the URL of a Redis Sentinel names the master after the hosts: \
                 redis+sentinel://HOST:PORT,HOST:PORT/MASTER",
            ));
        }
        let (mut user, mut password) = ("", "");
        for pair in parts.query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sentinel_username", value)) => user = value,
                Some(("sentinel_password", value)) => password = value,
                _ => return Err(unknown()),
            }
        }
        let login = if user.is_empty() && password.is_empty() {
            String::new()
        } else {
            format!("{user}:{password}@")
        };
        let own = Parts {
            login: &login,
            ..parts
        };
        let master = parts.nodes(base, SENTINEL_PORT, db)?.into_iter().next();
        Ok(Self {
            sentinels: own.nodes(base, SENTINEL_PORT, "")?,
            service: service.to_owned(),
            master: master.ok_or_else(unknown)?,
        })
    }

    /// A client that asks them, one after the other.
    pub(super) fn client(&self) -> RedisResult<SentinelClient> {
        let addresses = self.sentinels.iter().map(|info| info.addr().clone());
        let mut builder =
            SentinelClientBuilder::new(addresses, &self.service, SentinelServerType::Master)?;
        if let Some(own) = self.sentinels.first().map(ConnectionInfo::redis_settings) {
            if let Some(user) = own.username() {
                builder = builder.set_client_to_sentinel_username(user);
            }
            if let Some(password) = own.password() {
                builder = builder.set_client_to_sentinel_password(password);
            }
        }
        if matches!(self.master.addr(), ConnectionAddr::TcpTls { .. }) {
            builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
        }
        let master = self.master.redis_settings();
        if let Some(user) = master.username() {
            builder = builder.set_client_to_redis_username(user);
        }
        if let Some(password) = master.password() {
            builder = builder.set_client_to_redis_password(password);
        }
        builder.set_client_to_redis_db(master.db()).build()
    }
}

/// What stands behind the scheme: `[user[:password]@]host[:port],…[/path][?query]`.
#[derive(Clone, Copy)]
struct Parts<'a> {
    /// With its `@`, as it stands in the URL.
    login: &'a str,
    hosts: &'a str,
    path: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    fn of(rest: &'a str) -> Result<Self, ConfigError> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let hosts_at = authority.rfind('@').map_or(0, |at| at + 1);
        let (login, hosts) = authority.split_at_checked(hosts_at).ok_or_else(unknown)?;
        Ok(Self {
            login,
            hosts,
            path,
            query,
        })
    }

    /// Each host as if it stood in a URL of its own.
    fn nodes(&self, base: &str, port: u16, db: &str) -> Result<Vec<ConnectionInfo>, ConfigError> {
        let hosts: Vec<&str> = self.hosts.split(',').collect();
        if hosts.len() > HOSTS || hosts.iter().any(|host| host.is_empty()) {
            return Err(unknown());
        }
        let login = self.login;
        let node = |host: &&str| {
            // A colon inside of brackets is one of an IPv6 address.
            let has_port = host
                .rsplit_once(':')
                .is_some_and(|(_, port)| !port.contains(']'));
            let url = if has_port {
                format!("{base}://{login}{host}/{db}")
            } else {
                format!("{base}://{login}{host}:{port}/{db}")
            };
            url.into_connection_info().map_err(|_| unknown())
        };
        hosts.iter().map(node).collect()
    }
}

/// Says nothing of the URL, which may hold a password.
fn unknown() -> ConfigError {
    ConfigError::new(
        "the URL of Redis is none of redis://HOST:PORT/DB, \
         redis+sentinel://HOST:PORT,HOST:PORT/MASTER and redis+cluster://HOST:PORT,HOST:PORT \
         (rediss for TLS; USER:PASSWORD@ before the hosts)",
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn sentinels(url: &str) -> Sentinels {
        match Address::from_url(url).unwrap() {
            Address::Sentinel(sentinels) => sentinels,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_three_forms() {
        for (url, shown) in [
            ("redis://127.0.0.1", "Standalone(..)"),
            ("redis://u:p%40@127.0.0.1:7000/3", "Standalone(..)"),
            ("redis://u,v:p,q@127.0.0.1", "Standalone(..)"),
            ("rediss://:p@redis.example.com", "Standalone(..)"),
            ("redis+sentinel://a,b:1,[::1]:2/m", "Sentinel(..)"),
            ("rediss+sentinel://a/m/3", "Sentinel(..)"),
            ("redis+cluster://u:p@a:1,b:2", "Cluster(..)"),
            ("rediss+cluster://a:1/", "Cluster(..)"),
        ] {
            assert_eq!(format!("{:?}", Address::from_url(url).unwrap()), shown);
        }
    }

    #[test]
    fn a_sentinel_url_says_who_logs_in_where() {
        let it = sentinels(
            "rediss+sentinel://app:s%40crt@one,[::1],two:7/main/4?sentinel_password=o%2Fther",
        );
        assert_eq!(it.service, "main");
        let master = it.master.redis_settings();
        assert_eq!(master.username(), Some("app"));
        assert_eq!(master.password(), Some("s@crt"));
        assert_eq!(master.db(), 4);
        let at: Vec<_> = it
            .sentinels
            .iter()
            .map(|it| it.addr().to_string())
            .collect();
        assert_eq!(at, ["one:26379", "::1:26379", "two:7"]);
        for sentinel in &it.sentinels {
            assert_eq!(sentinel.redis_settings().username(), None);
            assert_eq!(sentinel.redis_settings().password(), Some("o/ther"));
        }
        it.client().unwrap();
        let it = sentinels("redis+sentinel://app:secret@one/main");
        let sentinel = it.sentinels.first().unwrap().redis_settings();
        assert_eq!((sentinel.username(), sentinel.password()), (None, None));
    }

    #[test]
    fn what_is_none_of_them_is_said_without_showing_it() {
        for url in [
            "",
            "hunter2",
            "http://u:hunter2@h",
            "redis+sentinel://u:hunter2@h",
            "redis+sentinel://u:hunter2@h/",
            "redis+sentinel://u:hunter2@h/m?x=y",
            "redis+sentinel://u:hunter2@h,/m",
            "redis+sentinel://u:hunter2@h/m#insecure",
            "redis+cluster://u:hunter2@h#insecure",
            "rediss://u:hunter2@h/#insecure",
            "redis+sentinel://u:hunter2@h/m/db",
            "redis+cluster://u:hunter2@h/3",
            "redis+cluster://u:hunter2@h,,i",
            "redis+cluster://",
            "redis+other://u:hunter2@h",
            "redis://u:hunter2@h/notanumber",
            "redis://u:hunter2@h:99999",
            "redis://u:hunter2@h,i",
            "redis://u:hunter2@h,i:6379/0",
        ] {
            let error = Address::from_url(url).unwrap_err();
            let said = format!("{error} {error:?}");
            assert!(
                said.contains("Redis") && !said.contains("hunter2"),
                "{url}: {said}"
            );
        }
    }
}
