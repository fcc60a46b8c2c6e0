//! What no SDK does: cleartext HTTP/2, bearer tokens, bodies that are no good.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use sluicegate_fake_bedrock::Fake;
use sluicegate_sim::LaneConfig;
use tokio::net::TcpStream;

use super::{MODEL, REGION, lane, start, until};

const BODY: &str = r#"{"messages": [{"role": "user", "content": "hello"}]}"#;

fn post(path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let request = Request::builder().method(Method::POST).uri(path).header("host", "fake");
    request.header("authorization", "Bearer test").body(Full::new(body.into())).unwrap()
}

async fn send(fake: &Fake, request: Request<Full<Bytes>>) -> (StatusCode, Response<()>, Value) {
    let socket = TokioIo::new(TcpStream::connect(fake.addr()).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(socket).await.unwrap();
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.status, Response::from_parts(head, ()), serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn cleartext_http2_shares_the_port() {
    let fake = start(vec![lane(REGION)]).await;
    let socket = TokioIo::new(TcpStream::connect(fake.addr()).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), socket).await.unwrap();
    tokio::spawn(connection);
    for operation in ["converse", "converse-stream"] {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/model/{MODEL}/{operation}", fake.url()))
            .header("authorization", "Bearer test")
            .body(Full::new(Bytes::from(BODY)))
            .unwrap();
        let reply = sender.send_request(request).await.unwrap();
        assert_eq!((reply.status(), reply.version()), (StatusCode::OK, hyper::Version::HTTP_2));
        assert!(!reply.collect().await.unwrap().to_bytes().is_empty());
    }
    assert_eq!(fake.stop().await.lanes[0].totals.completed, 2);
}

#[tokio::test]
async fn a_reset_http2_stream_is_a_client_gone() {
    let fake = start(vec![LaneConfig { first_token_us: 3_600_000_000, ..lane(REGION) }]).await;
    let socket = TokioIo::new(TcpStream::connect(fake.addr()).await.unwrap());
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), socket).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post(format!("{}/model/{MODEL}/converse", fake.url()))
        .header("authorization", "Bearer test")
        .body(Full::new(Bytes::from(BODY)))
        .unwrap();
    let mut other = sender.clone();
    let call = tokio::spawn(async move { other.send_request(request).await });
    until(|| fake.with_ledger(|ledger| ledger.lanes[0].totals.admitted == 1)).await;
    call.abort();
    until(|| fake.with_ledger(|ledger| ledger.lanes[0].totals.abandoned == 1)).await;
    assert!(sender.is_ready(), "the connection lives on");
}

#[tokio::test]
async fn a_large_body_is_answered_even_where_it_is_refused_unread() {
    let fake = start(vec![lane(REGION)]).await;
    let mut request = post(&format!("/model/{MODEL}/converse"), vec![b' '; 5_000_000]);
    request.headers_mut().remove("authorization");
    assert_eq!(send(&fake, request).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn without_a_signature_the_path_or_the_first_lane_gives_the_region() {
    let fake = start(vec![lane(REGION), lane("eu-west-1")]).await;
    for path in [format!("/model/{MODEL}/converse"), format!("/region/eu-west-1/model/{MODEL}/converse")] {
        assert_eq!(send(&fake, post(&path, BODY)).await.0, StatusCode::OK);
    }
    let missing = Request::post(format!("/model/{MODEL}/converse")).header("host", "fake");
    let (status, reply, body) = send(&fake, missing.body(Full::new(Bytes::from(BODY))).unwrap()).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let kind = reply.headers()["x-amzn-errortype"].to_str().unwrap();
    assert_eq!(kind, "MissingAuthenticationTokenException:http://internal.amazon.com/coral/com.amazon.bedrock/");
    assert_eq!(body["message"], "Missing Authentication Token");
    let ledger = fake.stop().await;
    assert_eq!(ledger.lanes.iter().map(|lane| lane.totals.completed).collect::<Vec<_>>(), [1, 1]);
}

#[tokio::test]
async fn bodies_that_are_no_good_are_named() {
    let fake = start(vec![lane(REGION)]).await;
    let path = format!("/model/{MODEL}/converse");
    for (body, words) in [("{", "Malformed input request"), ("{}", "messages: Field required")] {
        let (status, _, body) = send(&fake, post(&path, body)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(body["message"].as_str().unwrap().contains(words), "{body}");
    }
    let (status, ..) = send(&fake, post(&path, vec![b' '; 25_000_001])).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let (status, _, body) = send(&fake, post("/model/m/sing", "{}")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(body["message"].as_str().unwrap().contains("operation"));
}

#[tokio::test]
async fn invoke_model_reports_its_counts_in_headers() {
    let fake = start(vec![lane(REGION)]).await;
    let mut request = post(&format!("/model/{MODEL}/invoke"), BODY);
    request.headers_mut().insert("x-sluicegate-output-tokens", "12".parse().unwrap());
    let (_, reply, _) = send(&fake, request).await;
    assert_eq!(reply.headers()["x-amzn-bedrock-input-token-count"], "6");
    assert_eq!(reply.headers()["x-amzn-bedrock-output-token-count"], "12");
}

#[tokio::test]
async fn the_ledger_can_be_read_over_http() {
    let fake = start(vec![lane(REGION)]).await;
    send(&fake, post(&format!("/model/{MODEL}/converse"), BODY)).await;
    let request = Request::get("/sluicegate/ledger").header("host", "fake").body(Full::default()).unwrap();
    let (_, _, ledger) = send(&fake, request).await;
    assert_eq!(ledger.pointer("/lanes/0/totals/completed").unwrap(), 1);
}
