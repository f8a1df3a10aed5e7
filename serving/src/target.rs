//! The target of a request in its normal form.

use http::{Uri, uri::PathAndQuery};

/// `uri`, whose path has no escapes but of what has to be escaped: `%5F` and `_` are the same (RFC 3986
/// §6.2.2.2). Other escapes stay, as they may mean another thing than what they stand for.
pub(crate) fn normal(uri: &mut Uri) {
    if !uri.path().as_bytes().contains(&b'%') {
        return;
    }
    let mut path = String::with_capacity(uri.path().len());
    let mut parts = uri.path().split('%');
    path.extend(parts.next());
    for part in parts {
        // `from_str_radix` takes a sign.
        let hex = part.get(..2).filter(|hex| !hex.starts_with('+'));
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                path.push(char::from(byte));
                path.push_str(&part[2..]);
            }
            _ => {
                path.push('%');
                path.push_str(part);
            }
        }
    }
    if let Some(query) = uri.query() {
        path.push('?');
        path.push_str(query);
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(path).ok();
    // What was a target is one without the escapes.
    if let Ok(normal) = Uri::from_parts(parts) {
        *uri = normal;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_need_not_be_escaped_is_not() {
        for (given, wanted) in [
            ("/v1/get%5Fgreetings", "/v1/get_greetings"),
            ("/v1/get%5fgreetings?a=%5F", "/v1/get_greetings?a=%5F"),
            ("/%76%31/%7E%2d%2E", "/v1/~-."),
            ("/a%2Fb%3F%25%20", "/a%2Fb%3F%25%20"),
            ("/a%2561", "/a%2561"),
            ("/a%", "/a%"),
            ("/a%4", "/a%4"),
            ("/a%+1", "/a%+1"),
            ("/a%zz", "/a%zz"),
            ("/plain?q", "/plain?q"),
            ("http://x:1/%61", "http://x:1/a"),
            ("*", "*"),
        ] {
            let mut uri: Uri = given.parse().unwrap();
            normal(&mut uri);
            assert_eq!(uri.to_string(), wanted);
        }
    }
}
