//! From flags to a gateway that is ready to serve: opens what they name.

use std::{
    env,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use mcp_auth::{JsonLinesSink, MemoryRevocationStore};
use tokio::net::TcpListener;
use zeroize::Zeroizing;

use crate::{
    args::{Args, Fault, KEY_MAP, KeySource},
    mount::Place,
    proxy::Proxy,
    router::Router,
    stacks::{GatewayService, KeyText, Rules, Shared, are_described_apart},
    stores::Stores,
};

/// A gateway that is ready to serve.
pub(crate) struct Gateway {
    pub(crate) listener: TcpListener,
    pub(crate) service: Router<GatewayService>,
    pub(crate) audit: Option<JsonLinesSink>,
    /// What the operator should know, a line each.
    pub(crate) notices: Vec<String>,
}

/// Opens what the flags name. Files are made only once everything else is judged.
pub(crate) async fn open(args: Args) -> Result<Gateway, Fault> {
    // Which address it is says nobody who left the flag out.
    let listener = TcpListener::bind(args.listen)
        .await
        .map_err(|error| Fault::new("--listen", format_args!("{}: {error}", args.listen)))?;
    let bound = listener
        .local_addr()
        .map_err(|error| Fault::new("--listen", error))?;
    let revoked = MemoryRevocationStore::new();
    let stores = match &args.redis {
        Some(redis) => Stores::on_redis(redis)?,
        None => Stores::in_memory(revoked.clone()),
    };
    let mut shared = Shared::new(
        stores,
        args.issuers,
        args.jwks_uri.as_deref(),
        args.allowed,
        args.key_header,
    )?;
    if let Some(quota) = args.rate_limit {
        shared.limit_calls(quota);
    }
    if args.redis.is_some_and(|redis| redis.fail_open) {
        shared.fail_open();
    }
    let is_alone = args.servers.len() == 1;
    let mut stacks = Vec::new();
    for server in args.servers {
        let proxy =
            Proxy::new(server.upstream).map_err(|error| server.place.fault("--upstream", error))?;
        let rules = Rules {
            resource: resource(&server.place, server.resource, &server.audiences, bound),
            policy: match &server.policy {
                Some(path) => Some(read(&server.place, "--policy", path)?.as_str().to_owned()),
                None => None,
            },
            keys: key_text(&server.place, server.keys)?,
            place: server.place,
            audiences: server.audiences,
            is_alone,
        };
        stacks.push((rules.into_stack(&shared)?, proxy));
    }
    are_described_apart(stacks.iter().map(|(stack, _)| stack))?;

    if let Some(path) = args.revocation_file {
        revoked
            .follow_file(path, shared.issuers.clone())
            .map_err(|error| Fault::new("--revocation-file", error))?;
    }
    let audit = args.audit_log.map(audit_sink).transpose()?;
    let mut notices: Vec<_> = stacks
        .iter()
        .filter_map(|(stack, _)| stack.notice.clone())
        .collect();
    if audit.is_none() {
        notices.push("no audit log is written (--audit-log)".to_owned());
    }
    Ok(Gateway {
        listener,
        service: shared.route(stacks, audit.as_ref()),
        audit,
        notices,
    })
}

/// The canonical resource: as said, else the first audience if it is a URL, else the address.
fn resource(
    place: &Place,
    said: Option<String>,
    audiences: &[String],
    bound: SocketAddr,
) -> String {
    let first = audiences
        .first()
        .filter(|audience| audience.starts_with("https://") || audience.starts_with("http://"));
    match (said, first) {
        (Some(resource), _) => resource,
        // An audience without a path may be written with a slash, a resource may not.
        (None, Some(url)) => match url.strip_suffix('/') {
            Some(host) if host.matches('/').count() == 2 => host.to_owned(),
            _ => url.clone(),
        },
        (None, None) => format!("http://{bound}{}", place.path().unwrap_or("/mcp")),
    }
}

fn read(place: &Place, flag: &str, path: &Path) -> Result<Zeroizing<String>, Fault> {
    fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| place.fault(flag, format_args!("{}: {error}", path.display())))
}

fn key_text(place: &Place, source: KeySource) -> Result<Option<KeyText>, Fault> {
    match source {
        KeySource::None => Ok(None),
        KeySource::File(path) => Ok(Some(KeyText {
            flag: "--key-map-file",
            json: read(place, "--key-map-file", &path)?,
        })),
        KeySource::Environment => {
            let json = env::var(KEY_MAP).map_err(|_| Fault::new(KEY_MAP, "is not UTF-8"))?;
            Ok(Some(KeyText {
                flag: KEY_MAP,
                json: Zeroizing::new(json),
            }))
        }
    }
}

fn audit_sink(path: PathBuf) -> Result<JsonLinesSink, Fault> {
    let writer: Box<dyn Write + Send> = if path.as_os_str() == "-" {
        Box::new(io::stdout())
    } else {
        let file = audit_file(&path).map_err(|error| {
            Fault::new("--audit-log", format_args!("{}: {error}", path.display()))
        })?;
        Box::new(file)
    };
    JsonLinesSink::new(writer).map_err(|error| Fault::new("--audit-log", error))
}

/// The file, at the start of a line: a process that ended in the midst of one, as on a full disk,
/// takes no event of this one along.
fn audit_file(path: &Path) -> io::Result<File> {
    let mut file = File::options().append(true).create(true).open(path)?;
    if file.metadata()?.is_file() && is_torn(path).unwrap_or(false) {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// Whether the last line of a file lacks its end. One that may not be read cannot be asked.
fn is_torn(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    Ok(last != *b"\n")
}
