//! Which of the servers a request is for.

use std::{
    cell::LazyCell,
    cmp::Reverse,
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::Request;
use mcp_auth::ResourceMetadata;
use tower_service::Service;

use crate::{mount::Place, upstream::segments};

/// Where one server alone would have its metadata too (RFC 9728 section 3.1).
const ROOT: &str = "/.well-known/oauth-protected-resource";

/// One of the servers.
#[derive(Debug)]
pub(crate) struct Route<S> {
    pub(crate) place: Place,
    pub(crate) metadata: ResourceMetadata,
    pub(crate) service: S,
}

/// Hands each request to one of several services. Clones share the places; the services are copies,
/// for one connection each.
#[derive(Clone, Debug)]
pub(crate) struct Router<S> {
    /// The segments of each path, the longest first, and where its server is described.
    places: Arc<Vec<(Vec<String>, ResourceMetadata)>>,
    /// In the same order.
    services: Vec<S>,
    /// Answers where no server stands.
    nowhere: S,
}

impl<S> Router<S> {
    pub(crate) fn new(mut routes: Vec<Route<S>>, nowhere: S) -> Self {
        let segments_of = |route: &Route<S>| segments(route.place.path().unwrap_or_default());
        routes.sort_by_key(|route| Reverse(segments_of(route).len()));
        let (places, services) = routes
            .into_iter()
            .map(|route| ((segments_of(&route), route.metadata), route.service))
            .unzip();
        Self {
            places: Arc::new(places),
            services,
            nowhere,
        }
    }

    /// The service for a path.
    ///
    /// A path that some server behind could read as one under a mount is judged by that mount's
    /// rules, however it is written. (To that server it goes only to the letter: see
    /// [`Upstream::locate`](crate::upstream::Upstream::locate).)
    fn service(&mut self, path: &str) -> &mut S {
        let mut places = self.places.iter();
        let described = places.position(|(_, metadata)| metadata.is_at(path));
        let found = match described {
            None if path == ROOT => None,
            None => {
                // The one of `--upstream` alone takes every path, unread.
                let asked = LazyCell::new(|| segments(path));
                let mut places = self.places.iter();
                places.position(|(mount, _)| mount.is_empty() || asked.starts_with(mount))
            }
            some => some,
        };
        let service = found.and_then(|index| self.services.get_mut(index));
        service.unwrap_or(&mut self.nowhere)
    }
}

impl<S, B> Service<Request<B>> for Router<S>
where
    S: Service<Request<B>, Error = Infallible>,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Which of them is asked, only the request tells.
        for service in self.services.iter_mut().chain([&mut self.nowhere]) {
            ready!(service.poll_ready(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        self.service(request.uri().path()).call(request)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::mount::ServerArgs;

    fn router(places: &[&str], with_main: bool) -> Router<String> {
        let is_one = places.len() + usize::from(with_main) == 1;
        let metadata = |path: &str| {
            let url = format!("https://mcp.example{path}");
            let metadata = ResourceMetadata::new(&url, ["https://idp.example"]).unwrap();
            if is_one {
                metadata
            } else {
                metadata.without_root_alias()
            }
        };
        let mut all: Vec<_> = places
            .iter()
            .map(|path| {
                let server = ServerArgs::mounted(&format!("{path}=http://h,audience=x"), true);
                Route {
                    place: server.unwrap().place,
                    metadata: metadata(path),
                    service: (*path).to_owned(),
                }
            })
            .collect();
        if with_main {
            all.push(Route {
                place: Place::MAIN,
                metadata: metadata("/mcp"),
                service: "main".to_owned(),
            });
        }
        Router::new(all, "nowhere".to_owned())
    }

    #[test]
    fn the_longest_mount_wins_on_whole_segments() {
        let (mut mounts, mut both) = (
            router(&["/a", "/a/b", "/c"], false),
            router(&["/a", "/a/b", "/c"], true),
        );
        for (path, expected) in [
            ("/a", "/a"),
            ("/a/", "/a"),
            ("/a/x", "/a"),
            ("/a/b", "/a/b"),
            ("/a/b/x", "/a/b"),
            ("/a/bc", "/a"),
            ("/c", "/c"),
            ("/ab", "main"),
            ("/A", "main"),
            ("/x/a", "main"),
            ("/", "main"),
            ("*", "main"),
            // To the letter under no mount, but not for the server of --upstream to read so.
            ("//a", "/a"),
            ("/%61/b", "/a/b"),
            ("/a%2Fb", "/a/b"),
            ("/a\\b", "/a/b"),
            ("/a;v=1/b", "/a/b"),
            ("/.well-known/oauth-protected-resource", "nowhere"),
            ("/.well-known/oauth-protected-resource/a", "/a"),
            ("/.well-known/oauth-protected-resource/a/b", "/a/b"),
            ("/.well-known/oauth-protected-resource/a/x", "main"),
            ("/.well-known/oauth-protected-resource/mcp", "main"),
        ] {
            assert_eq!(*both.service(path), expected, "{path}");
            let expected = expected.replace("main", "nowhere");
            assert_eq!(*mounts.service(path), expected, "{path}");
        }
    }

    #[test]
    fn one_mount_alone_has_the_root_alias() {
        let mut one = router(&["/a"], false);
        assert_eq!(one.service(ROOT), "/a");
        assert_eq!(one.service("/"), "nowhere");
    }
}
