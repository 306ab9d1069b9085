//! From a path to the operation that serves it.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::charset;
use crate::document::ContractError;
use crate::finding::keyword;

/// The path templates of a document (OpenAPI 3.1.0 section 4.8.8), as a tree of segments. Segments that are written out
/// go before those with a parameter, as the specification wants it.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    plain: HashMap<String, Node>,
    patterns: Vec<(Pattern, Node)>,
    /// The path that ends here, by its number.
    ends: Option<usize>,
}

/// A segment with parameters: texts between them, and their names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    before: String,
    parameters: Vec<(String, String)>,
}

/// A path that was found, with the values of its parameters by name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found<'p> {
    pub(crate) path: usize,
    pub(crate) values: Vec<(String, Cow<'p, str>)>,
}

impl Routes {
    /// Puts a template in.
    pub(crate) fn insert(&mut self, template: &str, path: usize, place: &str) -> Result<(), ContractError> {
        let Some(rest) = template.strip_prefix('/') else {
            return Err(ContractError::at(place, "a path begins with `/`"));
        };
        let mut node = &mut self.root;
        for segment in rest.split('/') {
            node = match Pattern::read(segment, place)? {
                None => node.plain.entry(segment.to_owned()).or_default(),
                Some(pattern) => {
                    let same = node.patterns.iter().position(|(known, _)| known.is_like(&pattern));
                    let at = same.unwrap_or(node.patterns.len());
                    if same.is_none() {
                        node.patterns.push((pattern, Node::default()));
                    }
                    let Some((_, next)) = node.patterns.get_mut(at) else { return Ok(()) };
                    next
                }
            };
        }
        match node.ends.replace(path) {
            Some(_) => {
                Err(ContractError::at(place, "another path differs from this one only in the names of its parameters"))
            }
            None => Ok(()),
        }
    }

    /// Finds the path. The outer error is a path that two readers could take for two.
    pub(crate) fn find<'p>(&self, path: &'p str) -> Result<Option<Found<'p>>, &'static str> {
        let segments = segments(path)?;
        if segments.len() > SEGMENTS_MAX {
            return Ok(None);
        }
        let mut values = Vec::new();
        Ok(self.root.find(&segments, &mut values).map(|path| {
            let values = values.into_iter().map(|(name, value): (&str, _)| (name.to_owned(), value)).collect();
            Found { path, values }
        }))
    }

    /// The names of the parameters of a template.
    pub(crate) fn names(template: &str) -> Vec<&str> {
        template.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
    }
}

/// The segments of a path as the application reads them.
pub(crate) fn segments(path: &str) -> Result<Vec<Cow<'_, str>>, &'static str> {
    path.strip_prefix('/').unwrap_or(path).split('/').map(segment_of).collect()
}

/// A segment as the application reads it. What becomes a separator or a step upwards when it is decoded is refused: the
/// application might decode it before it looks for its route.
fn segment_of(segment: &str) -> Result<Cow<'_, str>, &'static str> {
    let decoded = charset::percent(segment.as_bytes())?;
    let steps = matches!(&*decoded, "." | "..");
    if steps || decoded.bytes().any(|byte| matches!(byte, b'/' | b'\\' | 0)) {
        return Err(keyword::PERCENT);
    }
    Ok(decoded)
}

impl Node {
    fn find<'n, 'p>(&'n self, segments: &[Cow<'p, str>], values: &mut Vec<(&'n str, Cow<'p, str>)>) -> Option<usize> {
        let Some((first, rest)) = segments.split_first() else { return self.ends };
        if let Some(path) = self.plain.get(&**first).and_then(|next| next.find(rest, values)) {
            return Some(path);
        }
        for (pattern, next) in &self.patterns {
            let taken = values.len();
            if pattern.take(first, values)
                && let Some(path) = next.find(rest, values)
            {
                return Some(path);
            }
            values.truncate(taken);
        }
        None
    }
}

impl Pattern {
    fn read(segment: &str, place: &str) -> Result<Option<Self>, ContractError> {
        let Some((before, mut rest)) = segment.split_once('{') else { return Ok(None) };
        let mut parameters = Vec::new();
        loop {
            let Some((name, after)) = rest.split_once('}') else {
                return Err(ContractError::at(place, "a `{` without its `}`"));
            };
            let (between, next) = after.split_once('{').map_or((after, None), |(between, next)| (between, Some(next)));
            parameters.push((name.to_owned(), between.to_owned()));
            match next {
                Some(_) if between.is_empty() => {
                    return Err(ContractError::at(place, "two parameters with nothing between cannot be told apart"));
                }
                Some(next) => rest = next,
                None => return Ok(Some(Self { before: before.to_owned(), parameters })),
            }
        }
    }

    /// Whether both match the same segments.
    fn is_like(&self, other: &Self) -> bool {
        let ends = |pattern: &Self| pattern.parameters.iter().map(|(_, after)| after.clone()).collect::<Vec<_>>();
        self.before == other.before && ends(self) == ends(other)
    }

    /// Takes the values of a segment, each at least one character long.
    #[expect(clippy::ptr_arg, reason = "a value that was not decoded goes on borrowed from the path")]
    fn take<'n, 'p>(&'n self, segment: &Cow<'p, str>, values: &mut Vec<(&'n str, Cow<'p, str>)>) -> bool {
        if let ("", [(name, after)]) = (self.before.as_str(), self.parameters.as_slice())
            && after.is_empty()
        {
            values.push((name, segment.clone()));
            return !segment.is_empty();
        }
        let Some(mut rest) = segment.strip_prefix(self.before.as_str()) else { return false };
        for (at, (name, after)) in self.parameters.iter().enumerate() {
            let last = at + 1 == self.parameters.len();
            let split = if last {
                rest.strip_suffix(after.as_str()).map(|value| (value, ""))
            } else {
                rest.split_once(after.as_str())
            };
            let Some((value, next)) = split.filter(|(value, _)| !value.is_empty()) else { return false };
            values.push((name, Cow::Owned(value.to_owned())));
            rest = next;
        }
        true
    }
}

const SEGMENTS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn routes(templates: &[&str]) -> Routes {
        let mut routes = Routes::default();
        templates.iter().enumerate().for_each(|(number, template)| routes.insert(template, number, "").unwrap());
        routes
    }

    #[track_caller]
    fn found(path: &str, expected: Option<(usize, &[&str])>) {
        let routes =
            routes(&["/", "/orders", "/orders/{id}", "/orders/mine", "/orders/{id}/lines/{line}.json", "/v{a}-{b}"]);
        let found = routes.find(path).unwrap();
        let found = found.map(|found| {
            (found.path, found.values.into_iter().map(|(_, value)| value.into_owned()).collect::<Vec<_>>())
        });
        assert_eq!(
            found,
            expected.map(|(path, values)| (path, values.iter().map(|&value| value.to_owned()).collect())),
            "{path}"
        );
    }

    #[test]
    fn written_out_segments_go_first_and_values_are_decoded() {
        found("/", Some((0, &[])));
        found("/orders", Some((1, &[])));
        found("/orders/", None);
        found("/orders/4%207", Some((2, &["4 7"])));
        found("/orders/mine", Some((3, &[])));
        found("/orders/mine/lines/2.json", Some((4, &["mine", "2"])));
        found("/orders/mine/lines/2.xml", None);
        found("/v1-2", Some((5, &["1", "2"])));
        found("/v-2", None);
        found("/Orders", None);
        found("/orders//lines/1.json", None);
    }

    #[test]
    fn what_hides_a_separator_is_refused() {
        let routes = routes(&["/orders/{id}"]);
        for path in
            ["/orders/a%2Fb", "/orders/a%5cb", "/orders/%2e%2e", "/orders/..", "/orders/%00", "/orders/%c0%af", "/a%"]
        {
            assert!(routes.find(path).is_err(), "{path}");
        }
        assert!(Routes::default().insert("/{a}{b}", 0, "").is_err());
        assert!(Routes::default().insert("orders", 0, "").is_err());
    }
}
