//! Finds the route of a request by the rules of an HTTP API.
//!
//! The whole path must match. A literal segment takes precedence over a parameter, and a method
//! over `ANY`.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html>

use std::collections::BTreeMap;

use super::path::percent_decode_lossy;
use crate::template::Function;

/// All routes, most specific first.
pub(crate) struct Routes(Vec<Route>);

struct Route {
    /// The key in the template, such as `GET /api/stream/call/{callId}`.
    key: String,
    method: String,
    segments: Vec<Segment>,
    function: String,
}

enum Segment {
    Literal(String),
    Parameter(String),
}

/// The route of a request.
pub(super) struct RouteMatch<'a> {
    pub(super) key: &'a str,
    pub(super) function: &'a str,
    /// The decoded values of the path parameters.
    pub(super) parameters: BTreeMap<&'a str, String>,
}

impl Routes {
    pub(crate) fn new(functions: &[Function]) -> Self {
        let function_routes = |function: &Function| {
            let name = function.name.clone();
            let route = move |key: &String| Route::new(key, name.clone());
            function.routes.iter().map(route).collect::<Vec<_>>()
        };
        let mut routes: Vec<Route> = functions.iter().flat_map(function_routes).collect();
        routes.sort_by_cached_key(|route| {
            let parameters: Vec<bool> = route.segments.iter().map(Segment::is_parameter).collect();
            (parameters, route.method == "ANY")
        });
        Self(routes)
    }

    /// The route for a request. The path is still percent-encoded, so that an encoded slash does
    /// not separate segments.
    pub(super) fn find(&self, method: &str, path: &str) -> Option<RouteMatch<'_>> {
        let segments: Vec<String> = path.split('/').map(percent_decode_lossy).collect();
        self.0.iter().find_map(|route| route.match_request(method, &segments))
    }
}

impl Route {
    fn new(key: &str, function: String) -> Self {
        let (method, path) = key.split_once(' ').unwrap_or(("ANY", key));
        let segments = path.split('/').map(Segment::new).collect();
        Self { key: key.to_owned(), method: method.to_owned(), segments, function }
    }

    fn match_request(&self, method: &str, segments: &[String]) -> Option<RouteMatch<'_>> {
        if (self.method != "ANY" && self.method != method) || self.segments.len() != segments.len()
        {
            return None;
        }
        let mut parameters = BTreeMap::new();
        for (expected, actual) in self.segments.iter().zip(segments) {
            match expected {
                Segment::Literal(literal) if literal == actual => {}
                Segment::Parameter(name) if !actual.is_empty() => {
                    parameters.insert(name.as_str(), actual.clone());
                }
                _ => return None,
            }
        }
        Some(RouteMatch { key: &self.key, function: &self.function, parameters })
    }
}

impl Segment {
    fn new(text: &str) -> Self {
        match text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => Self::Parameter(name.to_owned()),
            None => Self::Literal(text.to_owned()),
        }
    }

    fn is_parameter(&self) -> bool {
        matches!(self, Self::Parameter(_))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;

    fn routes() -> Routes {
        let function = |name: &str, route: &str| Function {
            name: name.to_owned(),
            routes: vec![route.to_owned()],
            schedules: Vec::new(),
            stream_mappings: Vec::new(),
            timeout: Duration::from_secs(1),
            memory_mb: 128,
            variables: BTreeSet::new(),
            actions: BTreeSet::new(),
        };
        Routes::new(&[
            function("any", "ANY /call/{callId}"),
            function("get", "GET /call/{callId}"),
            function("quality", "GET /call/quality/{callId}"),
            function("by-id", "GET /call/{callId}/{part}"),
            function("create", "POST /call/create"),
        ])
    }

    #[test]
    fn the_most_specific_route_wins() {
        let cases = [
            ("GET", "/call/c1", Some("get")),
            ("PUT", "/call/c1", Some("any")),
            ("GET", "/call/quality", Some("get")),
            ("GET", "/call/quality/c1", Some("quality")),
            ("GET", "/call/other/c1", Some("by-id")),
            ("POST", "/call/create", Some("create")),
            ("POST", "/call/%63reate", Some("create")),
            ("GET", "/call/create", Some("get")),
            ("POST", "/call/quality/c1", None),
            ("HEAD", "/call/quality/c1", None),
            ("OPTIONS", "/call/quality/c1", None),
            ("GET", "/call", None),
            ("GET", "/call/", None),
            ("GET", "/call/c1/", None),
            ("GET", "//call/c1", None),
            ("GET", "/", None),
        ];
        let routes = routes();
        for (method, path, expected) in cases {
            let function = routes.find(method, path).map(|route_match| route_match.function);
            assert_eq!(function, expected, "{method} {path}");
        }
    }

    #[test]
    fn parameters_are_decoded_within_their_segment() {
        let cases = [
            ("/call/c1", "c1"),
            ("/call/a%40b", "a@b"),
            ("/call/a%2Fb", "a/b"),
            ("/call/..", ".."),
            ("/call/%2e%2E", ".."),
            ("/call/a+b", "a+b"),
            ("/call/%ff", "\u{fffd}"),
        ];
        let routes = routes();
        for (path, value) in cases {
            let route_match = routes.find("GET", path).unwrap();
            assert_eq!(route_match.key, "GET /call/{callId}", "{path}");
            assert_eq!(route_match.parameters, BTreeMap::from([("callId", value.to_owned())]));
        }
    }
}
