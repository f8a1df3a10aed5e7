//! Which form a request is written in, and which form its answer should have.

use axum::http::{
    HeaderMap, HeaderValue,
    header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE},
};

use crate::faults::Fault;

/// A form of requests and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// JSON, as proto3 maps messages to it.
    Json,
    /// Protobuf.
    Protobuf,
    /// Protobuf, for clients that know only its older name.
    XProtobuf,
}

/// The form that a fault names for a body in a content coding that is not read.
pub(super) const COMPRESSED: &str = "a compressed body";

/// The forms that are read, as an `Accept` header lists them.
const READ: &str = "application/json, application/protobuf";

impl Form {
    /// All of them, the preferred one first.
    const ALL: [Self; 3] = [Self::Json, Self::Protobuf, Self::XProtobuf];

    /// Its media type.
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => "application/protobuf",
            Self::XProtobuf => "application/x-protobuf",
        }
    }

    /// Returns the form of the body that comes with `headers`. Without a content type, or with the
    /// one that curl sends by default, it is JSON.
    ///
    /// # Errors
    /// [`Fault::UnsupportedMediaType`], when it is none of these.
    pub(crate) fn of_request(headers: &HeaderMap) -> Result<Self, Fault> {
        let refused = |form: &str| Fault::UnsupportedMediaType {
            form: form.chars().take(80).collect(),
            accept: READ,
        };
        if !headers.get_all(CONTENT_ENCODING).iter().all(is_identity) {
            return Err(refused(COMPRESSED));
        }
        let mut types = headers.get_all(CONTENT_TYPE).iter();
        let Some(value) = types.next() else {
            return Ok(Self::Json);
        };
        // Of two, nobody can say which is meant.
        if types.next().is_some() {
            return Err(refused("a body with two content types"));
        }
        if value == Self::Json.media_type() {
            return Ok(Self::Json);
        }
        let Ok(value) = value.to_str() else {
            return Err(refused("this content type"));
        };
        let name = value.split(';').next().unwrap_or_default().trim();
        match name.to_ascii_lowercase().as_str() {
            "" | "application/json" | "text/json" | "application/x-www-form-urlencoded" => {
                Ok(Self::Json)
            }
            name if name.ends_with("+json") => Ok(Self::Json),
            "application/protobuf" => Ok(Self::Protobuf),
            "application/x-protobuf" => Ok(Self::XProtobuf),
            _ => Err(refused(name)),
        }
    }

    /// The form of the answer to a request in `self` that came with `headers`: the one that `Accept`
    /// values most, and `self` where it values several alike or none of ours (RFC 9110 §12.5.1 allows
    /// that).
    pub(crate) fn of_answer(self, headers: &HeaderMap) -> Self {
        let mut ranges = headers.get_all(ACCEPT).iter().peekable();
        if ranges.peek().is_none_or(|range| *range == "*/*") {
            return self;
        }
        let ranges: Vec<_> = ranges.filter_map(range_list).flatten().collect();
        let mut best = (self, self.value(&ranges));
        for form in Self::ALL {
            let value = form.value(&ranges);
            if value > best.1 {
                best = (form, value);
            }
        }
        best.0
    }

    /// Returns the weight that the most specific matching range of `ranges` gives this form, or 0
    /// if none matches.
    fn value(self, ranges: &[(&str, f32)]) -> f32 {
        let fits = |wanted: &str| {
            let range = ranges.iter();
            let mut range = range.filter(|(range, _)| range.eq_ignore_ascii_case(wanted));
            range.next().map(|(_, value)| *value)
        };
        fits(self.media_type())
            .or_else(|| fits("application/*"))
            .or_else(|| fits("*/*"))
            .unwrap_or(0.0)
    }
}

/// Returns true if one `Content-Encoding` header names no coding that changes a body (RFC 9110
/// §8.4).
fn is_identity(header: &HeaderValue) -> bool {
    let mut codings = header.as_bytes().split(|byte| *byte == b',');
    codings.all(|coding| {
        let coding = coding.trim_ascii();
        coding.is_empty() || coding.eq_ignore_ascii_case(b"identity")
    })
}

/// The media ranges of one `Accept` header, each with its weight.
fn range_list(header: &HeaderValue) -> Option<impl Iterator<Item = (&str, f32)>> {
    Some(header.to_str().ok()?.split(',').map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        let weight = weight.map_or(1.0, |weight| weight.parse::<f32>().unwrap_or(0.0));
        (name, weight.clamp(0.0, 1.0))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static(value))])
    }

    #[test]
    fn an_answer_has_the_form_that_is_valued_most() {
        use Form::{Json, Protobuf, XProtobuf};
        for (asked, accept, answered) in [
            (Json, "*/*", Json),
            (Protobuf, "*/*", Protobuf),
            (Protobuf, "", Protobuf),
            (Json, "application/protobuf", Protobuf),
            (Json, "application/x-protobuf", XProtobuf),
            (Protobuf, "application/json", Json),
            (Protobuf, "Application/JSON; charset=utf-8", Json),
            (Json, "application/protobuf, application/json", Json),
            (Protobuf, "application/protobuf, application/json", Protobuf),
            (
                Json,
                "application/json;q=0.5, application/protobuf",
                Protobuf,
            ),
            (Protobuf, "application/protobuf;q=0, */*", Json),
            (Json, "text/html, application/*;q=0.9, */*;q=0.8", Json),
            (Json, "text/html", Json),
            (Json, "application/json;q=2, application/protobuf;q=x", Json),
        ] {
            let headers = headers("accept", accept);
            assert_eq!(asked.of_answer(&headers), answered, "{asked:?}, {accept}");
        }
    }

    #[test]
    fn a_body_is_json_or_protobuf_or_refused() {
        for (content_type, form) in [
            ("application/json", Some(Form::Json)),
            ("Application/JSON; charset=utf-8", Some(Form::Json)),
            ("application/vnd.api+json", Some(Form::Json)),
            ("application/x-www-form-urlencoded", Some(Form::Json)),
            ("application/protobuf", Some(Form::Protobuf)),
            ("application/x-protobuf; v=1", Some(Form::XProtobuf)),
            ("text/plain", None),
            ("multipart/form-data; boundary=x", None),
            ("application/grpc", None),
            ("nonsense", None),
        ] {
            let headers = headers("content-type", content_type);
            assert_eq!(Form::of_request(&headers).ok(), form, "{content_type}");
        }
        assert_eq!(Form::of_request(&HeaderMap::new()), Ok(Form::Json));
        for (codings, is_read) in [
            (&["identity"][..], true),
            (&["Identity"], true),
            (&["identity, IDENTITY", ""], true),
            (&["gzip"], false),
            (&["identity, gzip"], false),
            (&["identity", "gzip"], false),
        ] {
            let mut headers = HeaderMap::new();
            for coding in codings {
                headers.append(CONTENT_ENCODING, HeaderValue::from_static(coding));
            }
            assert_eq!(Form::of_request(&headers).is_ok(), is_read, "{codings:?}");
        }
        let mut two = headers("content-type", "application/json");
        two.append(
            CONTENT_TYPE,
            HeaderValue::from_static("application/protobuf"),
        );
        assert!(Form::of_request(&two).is_err());
    }
}
