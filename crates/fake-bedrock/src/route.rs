//! Which operation a request wants, of which model, in which Region, and who asks.

use hyper::{HeaderMap, Method, header::AUTHORIZATION};
use sluicegate_sim::ErrorKind;

/// Access key ids that begin like this are refused as unknown (403 `UnrecognizedClientException`), so that tests can
/// have wrong credentials.
pub const INVALID_ACCESS_KEY_PREFIX: &str = "AKIAINVALID";

/// What can be asked of the fake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Converse,
    ConverseStream,
    Invoke,
    InvokeStream,
    CountTokens,
}

/// A request's address.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) operation: Operation,
    pub(crate) model: String,
    /// As far as the request names one.
    pub(crate) region: Option<String>,
}

/// Reads method, path and credentials.
pub(crate) fn route(method: &Method, path: &str, headers: &HeaderMap) -> Result<Route, ErrorKind> {
    let (path_region, path) = match path.strip_prefix("/region/").and_then(|rest| rest.split_once('/')) {
        Some((region, rest)) => (Some(region.to_owned()), rest),
        None => (None, path.strip_prefix('/').unwrap_or(path)),
    };
    let rest = path.strip_prefix("model/").ok_or(ErrorKind::UnknownOperation)?;
    // The operation is what follows the last slash: an ARN that is not percent-encoded has slashes of its own.
    let (model, operation) = rest.rsplit_once('/').ok_or(ErrorKind::UnknownOperation)?;
    let operation = match operation {
        "converse" => Operation::Converse,
        "converse-stream" => Operation::ConverseStream,
        "invoke" => Operation::Invoke,
        "invoke-with-response-stream" => Operation::InvokeStream,
        "count-tokens" => Operation::CountTokens,
        _ => return Err(ErrorKind::UnknownOperation),
    };
    if method != Method::POST || model.is_empty() {
        return Err(ErrorKind::UnknownOperation);
    }
    let signed_region = credentials(headers)?;
    Ok(Route { operation, model: percent_decode(model), region: signed_region.or(path_region) })
}

/// The Region that the credentials are scoped to; a bearer token has none.
fn credentials(headers: &HeaderMap) -> Result<Option<String>, ErrorKind> {
    let header = headers.get(AUTHORIZATION).ok_or(ErrorKind::MissingAuthenticationToken)?;
    let header = header.to_str().map_err(|_| ErrorKind::IncompleteSignature)?;
    if let Some(token) = header.strip_prefix("Bearer ") {
        return if token.trim().is_empty() { Err(ErrorKind::InvalidClientTokenId) } else { Ok(None) };
    }
    let fields = header.strip_prefix("AWS4-HMAC-SHA256 ").ok_or(ErrorKind::IncompleteSignature)?;
    let scope = fields.split(',').find_map(|field| field.trim().strip_prefix("Credential="));
    let mut scope = scope.ok_or(ErrorKind::IncompleteSignature)?.split('/');
    let (key, _date, region) = (scope.next(), scope.next(), scope.next());
    if key.is_some_and(|key| key.starts_with(INVALID_ACCESS_KEY_PREFIX)) {
        return Err(ErrorKind::UnrecognizedClient);
    }
    region.map(|region| Some(region.to_owned())).ok_or(ErrorKind::IncompleteSignature)
}

/// Decodes `%3A` and the like; what is not valid stays as it is.
fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..2).filter(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|hex| core::str::from_utf8(hex).ok());
        let decoded = digits.filter(|_| *first == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn headers(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))])
    }

    const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/eu-west-1/bedrock/aws4_request, SignedHeaders=host, Signature=0";

    #[test]
    fn the_region_is_that_of_the_signature_else_of_the_path() {
        let route = |path, value| route(&Method::POST, path, &headers(value)).unwrap();
        let signed = route("/region/us-east-1/model/m/converse", SIGNED);
        assert_eq!((signed.region.as_deref(), signed.operation), (Some("eu-west-1"), Operation::Converse));
        assert_eq!(route("/region/us-east-1/model/m/invoke", "Bearer x").region.as_deref(), Some("us-east-1"));
        assert_eq!(route("/model/m/count-tokens", "Bearer x").region, None);
    }

    #[test]
    fn model_ids_may_be_encoded_arns() {
        let arn = "arn:aws:bedrock:us-east-1:1:inference-profile/us.m";
        for id in ["arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.m", arn] {
            let route = route(&Method::POST, &format!("/model/{id}/converse-stream"), &headers(SIGNED)).unwrap();
            assert_eq!(route.model, arn);
        }
        assert_eq!(percent_decode("100%"), "100%");
        assert_eq!(percent_decode("%zz%41"), "%zzA");
    }

    #[test]
    fn callers_without_credentials_and_unknown_paths_are_refused() {
        let error = |method, path, headers: &HeaderMap| route(&method, path, headers).unwrap_err();
        let path = "/model/m/converse";
        assert_eq!(error(Method::POST, path, &HeaderMap::new()), ErrorKind::MissingAuthenticationToken);
        assert_eq!(error(Method::POST, path, &headers("Bearer ")), ErrorKind::InvalidClientTokenId);
        assert_eq!(error(Method::POST, path, &headers("Basic x")), ErrorKind::IncompleteSignature);
        let wrong = "AWS4-HMAC-SHA256 Credential=AKIAINVALID0/1/r/bedrock/aws4_request";
        assert_eq!(error(Method::POST, path, &headers(wrong)), ErrorKind::UnrecognizedClient);
        assert_eq!(error(Method::GET, path, &headers(SIGNED)), ErrorKind::UnknownOperation);
        for path in ["/model/m/sing", "/", "/model//converse", "/model/converse"] {
            assert_eq!(error(Method::POST, path, &headers(SIGNED)), ErrorKind::UnknownOperation);
        }
    }
}
